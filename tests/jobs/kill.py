#!/usr/bin/env python3
"""A job that is killed at random times, again and again, until it is done: every byte of its outputs is that of a run that
nobody disturbed, and a reader never sees a commit that is partly applied.

    tests/jobs/kill.py --foldl target/debug/foldl [--kills 200] [--seed 1] [--incremental]

The job has four outputs (append in partitions, overwrite, overwrite_partitions, a summary), rejects, checks and checkpoints.
Three kills in four are SIGKILL, the others SIGTERM, after which the run writes a checkpoint and ends with exit code 143. With
--incremental the job is incremental, has been committed once, and is killed while it reads what has come since.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

JOB = """
[run]
state = "OUT/state"
checkpoint = "CHECKPOINT"
incremental = INCREMENTAL
[sources.orders]
files = ["in/a.jsonl", "in/b.jsonl.gz", "in/c.csv", "in/d.jsonl", "in/more/*.jsonl"]
rejects = "OUT/rejects.jsonl"
schema = { quantity = "int" }
[sources.users]
files = ["in/users.jsonl"]
[views]
enriched = \"\"\"select o.*, u.country, quantity * price as amount
              from orders o left join users u using (userId) where status = 'completed'\"\"\"
[[checks]]
on = "orders"
not_null = { column = "userId" }
[[checks]]
on = "orders"
unique = ["orderId"]
severity = "warn"
quarantine = "OUT/twice.jsonl"
[[outputs]]
name = "facts"
query = "select * from enriched"
path = "OUT/facts"
partition_by = ["country"]
mode = "append"
compression = "zst"
[[outputs]]
name = "users"
query = "select userId, count(*) as n, sum(amount) as s, count(distinct productId) as p from enriched group by userId"
path = "OUT/users"
[[outputs]]
name = "top"
query = "select orderId, price from orders order by price desc, orderId limit 1000"
path = "OUT/top"
format = "csv"
[[outputs]]
name = "countries"
query = "select country, count(*) as n, median(amount) as m, first(orderId) as f, last(orderId) as l from enriched group by country"
path = "OUT/countries"
partition_by = ["country"]
mode = "overwrite_partitions"
[[outputs]]
name = "summary"
query = "select count(*) as orders, sum(amount) as revenue, avg(amount) as mean from enriched"
path = "OUT/summary"
"""
OUTPUTS = ["facts", "users", "top", "countries", "summary"]


def job_text(out, checkpoint, incremental=False):
    """The job, with outputs and state in a folder."""
    return JOB.replace("OUT", out).replace("CHECKPOINT", checkpoint).replace("INCREMENTAL", str(incremental).lower())


def make_inputs(foldl, folder, rows):
    def generate(kind, seed, count):
        return subprocess.run([foldl, "generate", kind, "--seed", str(seed), "--rows", str(count)], check=True, capture_output=True).stdout

    os.makedirs(folder)
    orders = [generate("orders", seed, rows) for seed in (1, 2, 3, 4)]
    for name, content in (("a.jsonl", orders[0]), ("d.jsonl", orders[3] + orders[0][:2000] + b"\nno record\n"), ("users.jsonl", generate("users", 1, 5000))):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    with open(os.path.join(folder, "b.jsonl.gz"), "wb") as file:
        file.write(subprocess.run(["gzip", "-c"], input=orders[1] + b'{"quantity":"many"}\n', check=True, capture_output=True).stdout)
    query = "select orderId, userId, productId, quantity, price, status, orderDate"
    with open(os.path.join(folder, "c.csv"), "wb") as file:
        file.write(subprocess.run([foldl, "--format", "csv", query], input=orders[2], check=True, capture_output=True).stdout)
    os.makedirs(os.path.join(folder, "more"))
    with open(os.path.join(folder, "more", "m.jsonl"), "wb") as file:
        file.write(orders[1][:3000])


def make_more_inputs(foldl, folder, rows):
    """A file grows, one comes that is read first, and one that is read last."""
    more = [subprocess.run([foldl, "generate", "orders", "--seed", str(seed), "--rows", str(rows)], check=True, capture_output=True).stdout for seed in (5, 6, 7)]
    for name, content in (("a.jsonl", more[0]), ("more/b.jsonl", more[1] + b"no record\n"), ("more/z.jsonl", more[2])):
        with open(os.path.join(folder, name), "ab") as file:
            file.write(content)


def tree(out):
    """The hash of every file below a folder that readers see, and of rejects."""
    found = {}
    for folder, _, files in os.walk(out):
        if os.path.join(out, "state") in folder or "_foldl" in folder:
            continue
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                content = file.read()
            if name == "_SUCCESS":
                content = str(json.loads(content)["rows"]).encode()
            found[os.path.relpath(path, out)] = hashlib.sha256(content).hexdigest()
    return found


class Reader(threading.Thread):
    """Reads the outputs all the time: where `_SUCCESS` is there before and after, and the same, the data is whole."""

    def __init__(self, out, expected):
        super().__init__(daemon=True)
        # What there may be to see: one tree, or the one before the run and the one after it.
        self.out, self.expected, self.done, self.seen, self.failures = out, expected, False, 0, []

    def run(self):
        while not self.done:
            for output in OUTPUTS:
                marks = []
                data = {}
                for part in range(3):
                    if part == 1:
                        data = {key: value for key, value in self.read(output).items()}
                    else:
                        try:
                            with open(os.path.join(self.out, output, "_SUCCESS"), "rb") as file:
                                marks.append(file.read())
                        except FileNotFoundError:
                            marks.append(None)
                if marks[0] is None or marks[0] != marks[1]:
                    continue
                self.seen += 1
                wanted = [{key: value for key, value in tree.items() if key.startswith(output + "/") and not key.endswith("_SUCCESS")} for tree in self.expected]
                if data not in wanted:
                    self.failures.append(f"{output}: {sorted(set(data) ^ set(wanted[-1]))[:3]}")
            time.sleep(0.01)

    def read(self, output):
        found = {}
        for folder, _, files in os.walk(os.path.join(self.out, output)):
            if "_foldl" in folder:
                continue
            for name in files:
                if name.startswith(("_", ".")):
                    continue
                path = os.path.join(folder, name)
                try:
                    with open(path, "rb") as file:
                        found[os.path.relpath(path, self.out)] = hashlib.sha256(file.read()).hexdigest()
                except FileNotFoundError:
                    found[path] = "gone"
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--foldl", required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--incremental", action="store_true")
    arguments = parser.parse_args()
    foldl = os.path.abspath(arguments.foldl)
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make_inputs(foldl, "in", arguments.rows)

        def job(out, checkpoint="256KiB"):
            path = f"{os.path.basename(out)}.toml"
            with open(path, "w") as file:
                file.write(job_text(out, checkpoint, arguments.incremental))
            return path

        def start_over():
            shutil.rmtree("out", ignore_errors=True)
            if arguments.incremental:
                shutil.copytree("before", "out")

        before = []
        if arguments.incremental:
            subprocess.run([foldl, "run", job("out"), "-q"], check=True)
            before = [tree("out")]
            os.rename("out", "before")
            make_more_inputs(foldl, "in", arguments.rows)

        begun = time.time()
        start_over()
        undisturbed = subprocess.run([foldl, "run", job("out"), "-q"], capture_output=True, text=True)
        seconds = time.time() - begun
        if undisturbed.returncode:
            sys.exit(f"the undisturbed run failed: {undisturbed.stderr}")
        expected = tree("out")
        kills = rounds = resumed = seen = failures = 0
        while kills < arguments.kills and failures < 3:
            rounds += 1
            start_over()
            path = job("out", chance.choice(["64KiB", "256KiB", "1MiB"]))
            reader = Reader("out", before + [expected])
            reader.start()
            log = []
            for attempt in range(40):
                command = [foldl, "run", path, "-j", chance.choice(["1", "2", "3"]), "-m", chance.choice(["128MiB", "1GiB"])]
                process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
                try:
                    # A tenth of the kills hit what a run does first, which may be to recover.
                    most = 0.02 if chance.random() < 0.1 else seconds * 0.9
                    _, told = process.communicate(timeout=chance.uniform(0, most) if attempt < 30 else 600)
                except subprocess.TimeoutExpired:
                    number = chance.choice([signal.SIGKILL] * 3 + [signal.SIGTERM])
                    process.send_signal(number)
                    _, told = process.communicate()
                    kills += 1
                    log.append(f"signal {number}, exit code {process.returncode}: {told[-300:]}")
                    # Who is asked to end may have been done before.
                    if number == signal.SIGTERM and process.returncode not in (143, -signal.SIGTERM, 0):
                        failures += 1
                        print(f"  FAILED exit code {process.returncode} after SIGTERM: {told}", flush=True)
                    continue
                log.append(f"exit code {process.returncode}: {told[-300:]}")
                resumed += "resumed" in told
                break
            reader.done = True
            reader.join()
            seen += reader.seen
            found = tree("out")
            different = [key for key in sorted(set(found) | set(expected)) if found.get(key) != expected.get(key)]
            if process.returncode or different or reader.failures:
                failures += 1
                print(f"  FAILED round {rounds}: exit code {process.returncode}, different: {different[:5]}, seen: {reader.failures[:3]}", flush=True)
                print("    " + "\n    ".join(log[-6:]), flush=True)
        print(f"{kills} kills in {rounds} runs, of which {resumed} were resumed at the end; read {seen} times under _SUCCESS: {failures} failures")
        if failures or not resumed:
            sys.exit(1)


if __name__ == "__main__":
    main()
