#!/bin/sh
# Makes up orders, lets them through the gate, and then spoils some of them.
#
#     run.sh [FOLDER]
#
# FOLDER is where all of it goes; a new one below /tmp if none is given. The program is $FOLDL, or `foldl` on the path.
# Ends with 0 if the good orders passed and the bad ones were stopped.
set -eu

job=$(cd "$(dirname "$0")" && pwd)/gate.toml
folder=${1:-$(mktemp -d "${TMPDIR:-/tmp}/quality-gate.XXXXXX")}
foldl=${FOLDL:-foldl}
case $foldl in
*/*) foldl=$(cd "$(dirname "$foldl")" && pwd)/$(basename "$foldl") ;;
esac

mkdir -p "$folder"
cd "$folder"
folder=$(pwd)
cp "$job" gate.toml

# Runs a command that is to end with exit code 1.
stopped() {
    code=0
    "$@" || code=$?
    [ "$code" -eq 1 ] || { echo "exit code $code in place of 1: $*" >&2 && exit 1; }
}

echo "Good orders:" >&2
"$foldl" generate orders --rows 5000 -o orders.jsonl
"$foldl" run gate.toml

echo "Orders some of which come twice, and some of which cost less than nothing:" >&2
"$foldl" generate orders --rows 5000 -o good.jsonl
"$foldl" -q "select * replace (-price as price) where price > 1000" good.jsonl >>orders.jsonl
stopped "$foldl" run gate.toml

echo "The same in one line:" >&2
stopped "$foldl" check orders.jsonl --rows 1000.. --unique orderId --not-null userId:1% --range quantity:1..1000 \
    --accepted status:completed,pending,shipped,cancelled,refunded --expect 'price >= 0'

echo "Nothing of them is in $folder/approved:" >&2
"$foldl" "count(*) as orders, count_if(price < 0) as negative" 'approved/*.jsonl.zst'
