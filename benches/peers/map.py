#!/usr/bin/env python3
"""Measures `foldl map` beside GNU parallel, and prints a table in Markdown.

    python3 benches/peers/map.py [--rounds 5] [--children 2] [--command 'cat']

Five million orders go through a command that hands on what it gets, in batches of 1 MiB, with two children: a new child
for each batch, as GNU parallel --pipe has them, too, and children that are kept. What comes out is compared with what went
in; without order it is compared by its lines. parallel checks nothing; foldl validates the input and the answers, unless
--raw says that answers can be anything. The files are those of data.py, the binary is FOLDL (target/release/foldl).
"""

import argparse
import datetime
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import time

import data

MIB = ["--batch-bytes", "1MiB"]
# A name, the options of foldl map, and whether the order is kept.
WAYS = [
    ("a child for each batch", [*MIB], True),
    ("the same, unordered", [*MIB, "--unordered"], False),
    ("the same, raw answers", [*MIB, "--raw"], True),
    ("children that are kept", [*MIB, "--keep-alive"], True),
    ("the same, unordered", [*MIB, "--keep-alive", "--unordered"], False),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--children", type=int, default=2)
    parser.add_argument("--command", default="cat")
    options = parser.parse_args()
    orders = data.make("orders")
    size = orders.stat().st_size
    command = options.command.split()
    children = str(options.children)
    ways = [
        (f"foldl map: {name}", [data.foldl(), "map", "-q", "-n", children, *more, orders, "--", *command], ordered, None)
        for name, more, ordered in WAYS
    ]
    if shutil.which("parallel"):
        parallel = ["parallel", "--pipe", "--block", "1M", "-j", children]
        ways += [
            ("GNU parallel, in order", [*parallel, "-k", *command], True, orders),
            ("GNU parallel, unordered", [*parallel, *command], False, orders),
        ]
    else:
        print("parallel is not installed and is left out", file=sys.stderr)
    expected = digests(open(orders, "rb"))
    for name, arguments, ordered, stdin in ways:
        process = subprocess.Popen(arguments, stdin=stdin and open(stdin, "rb"), stdout=subprocess.PIPE)
        found = digests(process.stdout)
        if process.wait() or found[1] != expected[1] or ordered and found[0] != expected[0]:
            sys.exit(f"{name} gives something else")
    times = {number: [] for number in range(len(ways))}
    load = os.getloadavg()[0]
    for _ in range(options.rounds):
        for number, (_, arguments, _, stdin) in enumerate(ways):
            start, before = time.monotonic(), os.times()
            with open(os.devnull, "wb") as null:
                subprocess.run(arguments, stdin=stdin and open(stdin, "rb"), stdout=null, check=True)
            after = os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            times[number].append((time.monotonic() - start, cpu))
    print(f"# foldl map, {datetime.date.today()}\n")
    print(f"{size / 1e6:.0f} MB of orders through `{options.command}`, {children} children, {os.cpu_count()} processors, load {load:.1f} "
          f"before; {options.rounds} rounds in turns, medians.\n")
    print("| | seconds | MB/s | processor seconds |\n| --- | --: | --: | --: |")
    for number, (name, *_) in enumerate(ways):
        wall, cpu = (statistics.median(column) for column in zip(*times[number]))
        print(f"| {name} | {wall:.2f} | {size / wall / 1e6:.0f} | {cpu:.2f} |")


def digests(lines):
    """A hash of all bytes, and one of the lines in whatever order."""
    whole, sum_of_lines = hashlib.blake2b(), 0
    for line in lines:
        whole.update(line)
        sum_of_lines += int.from_bytes(hashlib.blake2b(line, digest_size=8).digest())
    return whole.hexdigest(), sum_of_lines


if __name__ == "__main__":
    main()
