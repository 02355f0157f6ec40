#!/bin/sh
# Makes up orders, users and products, and runs the job over one day of them.
#
#     run.sh [FOLDER]
#
# FOLDER is where all of it goes; a new one below /tmp if none is given. The program is $FOLDL, or `foldl` on the path.
set -eu

job=$(cd "$(dirname "$0")" && pwd)/daily.toml
folder=${1:-$(mktemp -d "${TMPDIR:-/tmp}/daily-etl.XXXXXX")}
foldl=${FOLDL:-foldl}
case $foldl in
*/*) foldl=$(cd "$(dirname "$foldl")" && pwd)/$(basename "$foldl") ;;
esac
day=2025-02-01

mkdir -p "$folder"
cd "$folder"
folder=$(pwd)
cp "$job" daily.toml
mkdir -p "raw/orders/$day" lake/users lake/products

"$foldl" generate orders --rows 100000 -o orders.jsonl
"$foldl" -q -o "raw/orders/$day/orders.jsonl" "where orderDate like '$day%'" orders.jsonl
"$foldl" generate users --rows 100000 -o lake/users/users.jsonl
"$foldl" generate products -o products.jsonl
"$foldl" -q --format csv -o lake/products/products.csv "productId, name, category, brand, stock" products.jsonl
rm orders.jsonl products.jsonl

"$foldl" run daily.toml --var "date=$day"
echo "The outputs are in $folder/warehouse; the best products of the day:"
cat "warehouse/top_products/date=$day"/part-*.csv
