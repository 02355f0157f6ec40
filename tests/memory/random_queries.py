#!/usr/bin/env python3
"""Random queries with little memory: each gives the bytes that it gives with enough, or exits with 6 and names a limit that
then does.

    tests/memory/random_queries.py --foldl target/debug/foldl [--queries 1000] [--seed 1] [--rows 200000] [--keep DIR]
"""

import argparse
import os
import random
import re
import sys
import tempfile

from run import SKEWS, run, write_input

FIELDS = {
    "id": "number", "v": "number", "k": "text", "t": "text", "h": "text",
    "id % 1000": "number", "v * 2 + id": "number", "upper(t)": "text", "k[:6]": "text", "repeat(t, 9)": "text", "range(id % 300)": "list", "length(h)": "number", "id % 3 = 0": "truth",
}
AGGREGATES = [
    "count(*)", "count({any})", "count(distinct {any})", "sum({number})", "avg({number})", "min({any})", "max({any})",
    "median({number})", "quantile_cont({number}, 0.9)", "quantile_disc({number}, [0.1, 0.5])", "mode({any})", "stddev({number})",
    "first({any})", "last({any})", "first({any} order by {any}, id)", "length(string_agg({text}, ','))", "length(array_agg({any} order by id desc))",
    "sum(distinct {number})", "approx_count_distinct({any})", "min_by({any}, id)", "max({number}, 3)", "count_if({truth})",
]
FILTERS = ["id % 2 = 0", "v > 300", "k < 'key-00100000'", "t like '%1%'", "id between 1000 and 90000", "h > '8'", "true"]


def pick(chance, kind="any"):
    return chance.choice([field for field, of in FIELDS.items() if kind in ("any", of)])


def fill(chance, template):
    return re.sub(r"\{(\w+)\}", lambda found: pick(chance, found[1]), template)


def make_query(chance):
    """A query, in which the side of a join has keys of its own, so that the rows do not become too many."""
    source = "input"
    shape = chance.random()
    prefix = ""
    if shape < 0.4:
        prefix = "x."
        kind = chance.choice(["join", "join", "left join", "semi join", "anti join"])
        key = chance.choice(["h", "id"])
        side = chance.choice(["input", "(select id, h, v as w, t as u from input where id % 3 <> 1)", "(from input where v < 700)"])
        more = chance.choice(["", " and y.id % 2 = 0"])
        source = f"input x {kind} {side} y on x.{key} = y.{key}{more}"
        extra = [] if kind in ("semi join", "anti join") else ["y.h", "y.id"]
    else:
        extra = []
    bare = {field: re.sub(r"\b(id|v|k|t|h)\b(?!\()", prefix + r"\1", field) for field in FIELDS}

    def own(text):
        for field, named in bare.items():
            if text == field:
                return named
        return re.sub(r"\b(id|v|k|t|h)\b(?!\()", prefix + r"\1", text)

    where = f" where {own(chance.choice(FILTERS))}" if chance.random() < 0.6 else ""
    limit = f" limit {chance.choice([1, 100, 5000, 100000])}" if chance.random() < 0.3 else ""
    if chance.random() < 0.6:
        keys = [own(pick(chance)) for _ in range(chance.choice([0, 1, 1, 1, 2, 3]))]
        calls = [own(fill(chance, chance.choice(AGGREGATES))) for _ in range(chance.choice([1, 2, 3]))]
        if extra and chance.random() < 0.5:
            calls.append(f"max({chance.choice(extra)})")
        items = [f"{item} as c{number}" for number, item in enumerate(keys + calls)]
        group = f" group by {', '.join(keys)}" if keys else ""
        having = " having count(*) > 1" if keys and chance.random() < 0.3 else ""
        ties = "".join(f", c{place}" for place in range(len(keys)))
        order = f" order by c{len(keys)} desc{ties}" if chance.random() < 0.4 else ""
        return f"select {', '.join(items)} from {source}{where}{group}{having}{order}{limit}"
    items = [own(pick(chance)) for _ in range(chance.choice([1, 2, 4]))] + extra[: chance.randrange(3)]
    items = [f"{item} as c{number}" for number, item in enumerate(items)]
    distinct = "distinct " if chance.random() < 0.3 else ""
    order = ""
    if not distinct and chance.random() < 0.5:
        order = f" order by {own(pick(chance))} {chance.choice(['', 'desc', 'nulls first'])}"
    return f"select {distinct}{', '.join(items)} from {source}{where}{order}{limit}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--foldl", required=True)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--code", type=int, default=0, help="MiB that a build without optimisation may have beyond the limit, as its code is longer")
    parser.add_argument("--keep", help="a directory for the inputs, which are made if they are not there")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    counts = {"done": 0, "spilled": 0, "refused": 0, "failed": 0, "wrong query": 0}
    with tempfile.TemporaryDirectory() as folder:
        temporary, output = os.path.join(folder, "temporary"), os.path.join(folder, "output")
        os.mkdir(temporary)
        inputs = {}
        for skew in SKEWS:
            inputs[skew] = os.path.join(arguments.keep or folder, f"{skew}-{arguments.rows}.jsonl")
            if not os.path.exists(inputs[skew]):
                write_input(inputs[skew], skew, arguments.rows)
        for number in range(arguments.queries):
            query, path = make_query(chance), inputs[chance.choice(SKEWS)]
            limit, threads = chance.choice([32, 32, 36, 48, 64, 96]), chance.choice([1, 2, 3, 8, 16])
            block = chance.choice(["4KiB", "64KiB", "256KiB", "1MiB"])
            code, expected, _, _, _, stderr = run(arguments.foldl, ["-m", "8GiB", "-j", "2"], query, [path], output)
            if code:
                counts["wrong query"] += 1
                print(f"{number}: exit code {code}: {query}\n  {stderr.strip()}", flush=True)
                continue
            problem = None
            for attempt in range(2):
                options = ["-m", f"{limit}MiB", "-j", str(threads), "--block-size", block, "--temp-dir", temporary]
                code, found, peak, stats, _, stderr = run(arguments.foldl, options, query, [path], output)
                needed = re.search(r"(?:more than|about) (\d+) MiB", stderr)
                if code == 6 and needed and attempt == 0:
                    counts["refused"] += 1
                    print(f"{number}: {limit} MiB do not do, {needed[1]} MiB are to: {query}", flush=True)
                    limit = int(needed[1]) + 1
                    continue
                if code:
                    problem = f"exit code {code}: {stderr.strip()}"
                elif found != expected:
                    problem = "other bytes than with enough memory"
                elif peak > limit + arguments.code << 20:
                    problem = f"{peak / 2**20:.1f} MiB resident"
                elif os.listdir(temporary):
                    problem = f"{os.listdir(temporary)} was left behind"
                counts["spilled"] += stats.get("spilled_bytes", 0) > 0
                break
            counts["failed" if problem else "done"] += 1
            if problem:
                print(f"{number}: FAILED {problem}\n  {' '.join(options)} {path}\n  {query}", flush=True)
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    if counts["failed"] or counts["wrong query"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
