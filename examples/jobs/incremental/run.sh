#!/bin/sh
# Makes up orders that come in three steps, runs the job after each, and once over everything at once, which gives the same.
#
#     run.sh [FOLDER]
#
# FOLDER is where all of it goes; a new one below /tmp if none is given. The program is $FOLDL, or `foldl` on the path.
set -eu

job=$(cd "$(dirname "$0")" && pwd)/incremental.toml
folder=${1:-$(mktemp -d "${TMPDIR:-/tmp}/incremental.XXXXXX")}
foldl=${FOLDL:-foldl}
case $foldl in
*/*) foldl=$(cd "$(dirname "$foldl")" && pwd)/$(basename "$foldl") ;;
esac

mkdir -p "$folder"
cd "$folder"
folder=$(pwd)
rm -rf raw warehouse at-once .foldl
mkdir raw
cp "$job" incremental.toml

"$foldl" generate products -o products.jsonl
"$foldl" generate orders --rows 30000 -o orders.jsonl

head -n 10000 orders.jsonl >raw/2025-02.jsonl
"$foldl" run incremental.toml

# The file grows, and a new one comes that sorts before it.
tail -n +10001 orders.jsonl | head -n 10000 >>raw/2025-02.jsonl
tail -n +20001 orders.jsonl >raw/2025-01.jsonl
"$foldl" run incremental.toml

# Nothing has come since.
"$foldl" run incremental.toml

# All of it at once, elsewhere.
sed 's|"warehouse/|"at-once/|; s|.foldl/incremental|.foldl/at-once|; s|"rejects|"at-once-rejects|' incremental.toml >at-once.toml
"$foldl" run --quiet at-once.toml
for output in by_category best_days; do
    cat warehouse/$output/part-*.jsonl >steps.jsonl
    cat at-once/$output/part-*.jsonl | cmp - steps.jsonl
done
echo "The outputs are in $folder/warehouse, the same as at once; by category:"
cat warehouse/by_category/part-*.jsonl
