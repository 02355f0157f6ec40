#!/usr/bin/env python3
"""Every operator that holds state, with far more data than memory: the process stays within its limit, spills, and gives
the bytes that it gives with enough memory.

    tests/memory/run.py --foldl target/debug/foldl [--rows 1000000] [--limit 32MiB] [--keep DIR]

The peak is the kernel's, `ru_maxrss` of the child. With --rows 60000000 the input has about 10 GB.
"""

import argparse
import hashlib
import os
import random
import resource
import subprocess
import sys
import tempfile
import time

# A name, the query, and whether it must spill for each skew (uniform, zipf, giant).
QUERIES = [
    ("group by key", "k, count(*) as n, sum(v) as s, min(t) as t group by k", (True, True, False)),
    ("group by key, ordered", "k, count(*) as n, avg(v) as a group by k order by n desc, k limit 1000", (True, True, False)),
    ("group by two keys", "k, v, count(*) as n, max(t) as t group by k, v", (True, True, False)),
    ("having", "k, count(*) as n group by k having n > 3", (True, True, False)),
    ("distinct", "select distinct k, t, v", (True, True, True)),
    ("distinct rows of groups", "select distinct n, s from (select k, count(*) as n, sum(id) as s group by k)", (True, True, None)),
    ("count distinct", "count(distinct id), count(distinct k)", (True, True, True)),
    ("count distinct by key", "k, count(distinct id) as d group by k", (True, True, True)),
    ("sum distinct by key", "k, sum(distinct id) as d, avg(distinct v) as a group by k", (True, True, True)),
    ("median by key", "k, median(id) as m, quantile_cont(v, 0.9) as q group by k", (True, True, True)),
    ("quantile, mode and histogram", "k, quantile_disc(id, 0.25) as q, mode(id) as m group by k", (True, True, True)),
    ("lists", "k, length(string_agg(t, ',' order by id desc)) as l, length(array_agg(v)) as a where id % 10 = 0 group by k", (True, True, True)),
    ("first and last", "k, first(t order by v, id) as f, last(t) as l, min_by(t, id) as m group by k", (True, True, False)),
    ("deviations and sketches", "k, stddev(v) as s, approx_count_distinct(id) as d, approx_quantile(id, 0.5) as q group by k", (True, True, None)),
    ("sort", "select * order by h", (True, True, True)),
    ("sort descending with ties", "select id, k, t order by k desc, v", (True, True, True)),
    ("sort with a large limit", "select id, h order by h limit 500000", (True, True, True)),
    ("sort of a query within", "select * from (select k, count(*) as n group by k) order by n desc, k", (True, True, False)),
    ("rows as they stand", "where id % 2 = 0", (False, False, False)),
    ("many rows of one record", "select i.a as a, x.t as t from input x, unnest(x.many) as i where x.id % 100 = 0", (False, False, False)),
]
SKEWS = ["uniform", "zipf", "giant"]


def write_input(path, skew, rows):
    """Records with a key `k` that is spread by a skew, a number `id` of their own, a text `t` and a hash `h`."""
    chance = random.Random(skew)
    uniform = chance.random
    with open(path, "w") as file:
        lines = []
        for number in range(rows):
            if skew == "uniform":
                key = int(uniform() * rows)
            elif skew == "zipf":
                key = int(rows ** uniform()) if uniform() < 0.7 else int(uniform() * rows)
            else:
                key = 0 if uniform() < 0.9 else int(uniform() * 100)
            value = number * 2654435761 % 1000
            many = ',"many":[' + ",".join('{"a":%d}' % a for a in range(20)) + "]" if number % 100 == 0 else ""
            lines.append(
                '{"id":%d,"k":"key-%08d","v":%d.25,"t":"text %d of some length","h":"%016x"%s}\n'
                % (number, key, value, number % 7919, number * 0x9E3779B97F4A7C15 % 2**64, many)
            )
            if len(lines) == 10000:
                file.write("".join(lines))
                lines.clear()
        file.write("".join(lines))


def run(foldl, options, query, path, output):
    """Runs foldl: its exit code, the hash of its output, the bytes that it had resident at most, its statistics."""
    stats = output + ".stats"
    begun = time.time()
    with open(output, "wb") as out:
        process = subprocess.Popen([foldl, *options, "-q", "--stats-json", stats, query, path], stdout=out, stderr=subprocess.PIPE)
        stderr = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.time() - begun
    digest = hashlib.file_digest(open(output, "rb"), "sha256").hexdigest()
    known = eval(open(stats).read(), {"null": None}) if os.path.exists(stats) else {}
    if os.path.exists(stats):
        os.remove(stats)
    # What the kernel tells of a child is at least what this process had when it started it.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = max(known.get("peak_rss", 0), usage.ru_maxrss * 1024 if usage.ru_maxrss > own else 0)
    return process.returncode, digest, peak, known, seconds, stderr.decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--foldl", required=True)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--limit", default="32MiB")
    parser.add_argument("--threads", default="1,2,8")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", help="a directory for the inputs, which are made if they are not there")
    arguments = parser.parse_args()
    limit = int(arguments.limit.removesuffix("MiB")) << 20
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        temporary = os.path.join(folder, "temporary")
        os.mkdir(temporary)
        inputs = arguments.keep or folder
        os.makedirs(inputs, exist_ok=True)
        for number, skew in enumerate(SKEWS):
            path = os.path.join(inputs, f"{skew}-{arguments.rows}.jsonl")
            if not os.path.exists(path):
                write_input(path, skew, arguments.rows)
            for name, query, spills in QUERIES:
                if arguments.only not in name:
                    continue
                output = os.path.join(folder, "output")
                code, expected, _, _, whole, stderr = run(arguments.foldl, ["-m", "8GiB", "-j", "2"], query, path, output)
                problems = [f"exit code {code}: {stderr.strip()}"] if code else []
                told = []
                for threads in arguments.threads.split(","):
                    options = ["-m", arguments.limit, "-j", threads, "--temp-dir", temporary]
                    code, found, peak, stats, seconds, stderr = run(arguments.foldl, options, query, path, output)
                    spilled = stats.get("spilled_bytes", 0)
                    told.append(f"-j{threads} {peak / 2**20:5.1f} MiB {spilled / 2**20:6.1f} spilled {seconds / whole:4.1f}x")
                    if code:
                        problems.append(f"-j{threads}: exit code {code}: {stderr.strip()}")
                        continue
                    if found != expected:
                        problems.append(f"-j{threads}: other bytes than with enough memory")
                    if peak > limit:
                        problems.append(f"-j{threads}: {peak / 2**20:.1f} MiB resident")
                    if spills[number] and not spilled:
                        problems.append(f"-j{threads}: nothing was spilled")
                    if os.listdir(temporary):
                        problems.append(f"-j{threads}: {os.listdir(temporary)} was left behind")
                print(f"{skew:8} {name:28} {'; '.join(told)}", flush=True)
                for problem in problems:
                    print(f"  FAILED {problem}\n         {query}", flush=True)
                failures += len(problems)
    if failures:
        sys.exit(f"{failures} failures")
    print("all within the limit, with the same bytes")


if __name__ == "__main__":
    main()
