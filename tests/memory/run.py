#!/usr/bin/env python3
"""Every operator that holds state, with far more data than memory: the process stays within its limit, spills, and gives
the bytes that it gives with enough memory.

    tests/memory/run.py --foldl target/debug/foldl [--rows 1000000] [--limit 32MiB] [--keep DIR]

The peak is the kernel's, `ru_maxrss` of the child. With --rows 60000000 the input has about 10 GB.
"""

import argparse
import hashlib
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time

# A name, the query, and whether it must spill for each skew (uniform, zipf, giant). TWENTIETH and QUARTER stand for the
# numbers of records, so that what a join multiplies grows with the input and not with its square.
QUERIES = [
    ("group by key", "k, count(*) as n, sum(v) as s, min(t) as t group by k", (True, True, False)),
    ("group by key, ordered", "k, count(*) as n, avg(v) as a group by k order by n desc, k limit 1000", (True, True, False)),
    ("group by two keys", "k, v, count(*) as n, max(t) as t group by k, v", (True, True, False)),
    ("having", "k, count(*) as n group by k having n > 3", (True, True, False)),
    ("distinct", "select distinct k, t, v", (True, True, True)),
    ("distinct rows of groups", "select distinct n, s from (select k, count(*) as n, sum(id) as s group by k)", (True, True, None)),
    ("distinct rows made of groups", "select distinct count(*) as n, max(t) as t, sum(id) as s group by k", (True, True, False)),
    ("the same, ordered", "select distinct count(*) as n, max(t) as t, sum(id) as s group by k order by s desc", (True, True, False)),
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
    ("join", "select a.id, b.t, b.h from input a join input b on a.id = b.id", (True, True, True)),
    ("left join, grouped", "select b.v as v, count(*) as n, max(b.t) as t from input a left join input b on a.id = b.id + 100000 group by b.v", (True, True, True)),
    ("semi join with a condition", "select a.id from input a semi join input b on a.h = b.h and b.v > 500", (True, True, True)),
    ("anti join of half", "select * from input anti join (select h from input where id % 2 = 0) using (h)", (True, True, True)),
    ("join of many records of a key", "select count(*) as n, sum(b.id) as s, max(a.h) as h, max(b.h) as bh from (select k, h from input where id % TWENTIETH = 7) a join input b using (k)", (True, True, True)),
    ("two joins", "select a.id, b.v, c.t, * from input a join input b on a.id = b.id left join input c on b.id + 1 = c.id where a.id % 3 = 0", (True, True, True)),
    ("join whose order shows", "select a.v, first(b.id) as f, last(b.h) as l, length(string_agg(b.t)) as n from input a join input b on a.id = b.id group by a.v", (True, True, True)),
    ("cross join", "select count(*), sum(a.id + b.id), max(b.h) from (select id from input where id % QUARTER = 1) a cross join input b", (True, True, True)),
    ("rows as they stand", "where id % 2 = 0", (False, False, False)),
    ("many rows of one record", "select i.a as a, x.t as t from input x, unnest(x.many) as i where x.id % 100 = 0", (False, False, False)),
]
SKEWS = ["uniform", "zipf", "giant"]
# A single value of these may be larger than the memory: then they end with exit code 6, and the limit that is told must do.
OF_ONE_VALUE = ["lists"]

# Queries whose answer does not depend on the order of files, asked in every combination of these.
SAME = [
    "k, count(*) as n, sum(v) as s, count(distinct id) as d, median(id) as m, min(t) as t group by k",
    "select k, t, v, id order by v desc, k, id",
    "select b.v as v, count(*) as n, sum(a.id) as s, min(b.h) as h from input a join input b on a.id = b.id group by b.v",
]
THREADS = [1, 2, 3, 8, 16]
LIMITS = ["32MiB", "64MiB", "1GiB"]
BLOCKS = ["4KiB", "64KiB", "1MiB"]


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


PREFIX = []


def run(foldl, options, query, paths, output):
    """Runs foldl: its exit code, the hash of its output, the bytes that it had resident at most, its statistics."""
    stats = output + ".stats"
    begun = time.time()
    with open(output, "wb") as out:
        process = subprocess.Popen([*PREFIX, foldl, *options, "-q", "--stats-json", stats, query, *paths], stdout=out, stderr=subprocess.PIPE)
        stderr = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.time() - begun
    with open(output, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    known = {}
    if os.path.exists(stats):
        with open(stats) as file:
            known = json.load(file)
        os.remove(stats)
    # What the kernel tells of a child is at least what this process had when it started it.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = max(known.get("peak_rss", 0), usage.ru_maxrss * 1024 if usage.ru_maxrss > own else 0)
    return process.returncode, digest, peak, known, seconds, stderr.decode()


def split(path, folder):
    """The ways to give one input: whole; cut in three; the parts in another order. Parts are of whole lines."""
    size = os.path.getsize(path)
    parts = [os.path.join(folder, f"part-{number}.jsonl") for number in range(3)]
    with open(path, "rb") as file:
        for number, part in enumerate(parts):
            end = size * (3 * number + 4) // 10 if number < 2 else size
            with open(part, "wb") as out:
                out.write(file.read(max(0, end - file.tell())))
                out.write(file.readline())
    return [[path], parts, [parts[2], parts[0], parts[1]]]


def same(foldl, path, folder):
    """One hash for each query, whatever the threads, the limit, the blocks, the files and their order."""
    failures, runs, spilled = 0, 0, 0
    inputs = split(path, folder)
    output = os.path.join(folder, "output")
    for query in SAME:
        expected = None
        for threads in THREADS:
            for limit in LIMITS:
                for block in BLOCKS:
                    for number, files in enumerate(inputs):
                        options = ["-j", str(threads), "-m", limit, "--block-size", block, "--temp-dir", folder]
                        code, found, peak, stats, _, stderr = run(foldl, options, query, files, output)
                        expected = expected or found
                        runs += 1
                        spilled += stats.get("spilled_bytes", 0) > 0
                        most = 1 << 30 if limit == "1GiB" else int(limit.removesuffix("MiB")) << 20
                        if code or found != expected or peak > most:
                            failures += 1
                            print(f"  FAILED {' '.join(options)}, input {number}: exit code {code}, {peak / 2**20:.1f} MiB resident, "
                                  f"{'same' if found == expected else 'other'} bytes {stderr.strip()}\n         {query}", flush=True)
    print(f"{runs} runs of {len(SAME)} queries, of which {spilled} spilled: {failures} failures", flush=True)
    return failures + (spilled < runs // 4)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--foldl", required=True)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--limit", default="32MiB")
    parser.add_argument("--threads", default="1,2,8")
    parser.add_argument("--only", default="", help="only the queries whose name has this in it")
    parser.add_argument("--skews", default=",".join(SKEWS))
    parser.add_argument("--cgroup", action="store_true", help="also let the kernel enforce the limit, and 8 MiB for its own needs; as root, cgroup v1")
    parser.add_argument("--keep", help="a directory for the inputs, which are made if they are not there")
    arguments = parser.parse_args()
    limit = int(arguments.limit.removesuffix("MiB")) << 20
    if arguments.cgroup:
        group = "/sys/fs/cgroup/memory/foldl-test"
        os.makedirs(group, exist_ok=True)
        with open(f"{group}/memory.limit_in_bytes", "w") as file:
            file.write(str(limit + (8 << 20)))
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        temporary = os.path.join(folder, "temporary")
        os.mkdir(temporary)
        inputs = arguments.keep or folder
        os.makedirs(inputs, exist_ok=True)
        for number, skew in enumerate(SKEWS):
            if skew not in arguments.skews.split(","):
                continue
            path = os.path.join(inputs, f"{skew}-{arguments.rows}.jsonl")
            if not os.path.exists(path):
                write_input(path, skew, arguments.rows)
            for name, query, spills in QUERIES:
                if arguments.only not in name:
                    continue
                query = query.replace("TWENTIETH", str(arguments.rows // 20)).replace("QUARTER", str(arguments.rows // 4))
                output = os.path.join(folder, "output")
                code, expected, _, _, whole, stderr = run(arguments.foldl, ["-m", "8GiB", "-j", "2"], query, [path], output)
                problems = [f"exit code {code}: {stderr.strip()}"] if code else []
                told = []
                for threads in arguments.threads.split(","):
                    options = ["-m", arguments.limit, "-j", threads, "--temp-dir", temporary]
                    if arguments.cgroup:
                        PREFIX[:] = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
                    code, found, peak, stats, seconds, stderr = run(arguments.foldl, options, query, [path], output)
                    PREFIX.clear()
                    most, advice = limit, re.search(r"about (\d+) MiB would do", stderr)
                    if code == 6 and name in OF_ONE_VALUE and advice:
                        most = int(advice[1]) << 20
                        options[1] = f"{advice[1]}MiB"
                        told.append(f"-j{threads} one value takes more than {peak / 2**20:.1f} MiB: {options[1]}")
                        code, found, peak, stats, seconds, stderr = run(arguments.foldl, options, query, [path], output)
                    spilled = stats.get("spilled_bytes", 0)
                    told.append(f"-j{threads} {peak / 2**20:5.1f} MiB {spilled / 2**20:6.1f} spilled {seconds / whole:4.1f}x")
                    if code:
                        problems.append(f"-j{threads}: exit code {code}: {stderr.strip()}")
                        continue
                    if found != expected:
                        problems.append(f"-j{threads}: other bytes than with enough memory")
                    if peak > most:
                        problems.append(f"-j{threads}: {peak / 2**20:.1f} MiB resident")
                    if spills[number] and not spilled:
                        problems.append(f"-j{threads}: nothing was spilled")
                    if os.listdir(temporary):
                        problems.append(f"-j{threads}: {os.listdir(temporary)} was left behind")
                print(f"{skew:8} {name:28} {'; '.join(told)}", flush=True)
                for problem in problems:
                    print(f"  FAILED {problem}\n         {query}", flush=True)
                failures += len(problems)
        if not arguments.only and "uniform" in arguments.skews.split(","):
            failures += same(arguments.foldl, os.path.join(inputs, f"uniform-{arguments.rows}.jsonl"), folder)
    if failures:
        sys.exit(f"{failures} failures")
    print("all within the limit, with the same bytes")


if __name__ == "__main__":
    main()
