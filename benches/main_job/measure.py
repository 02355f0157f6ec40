"""Measures foldl and DuckDB in turns, compares their answers, and prints a Markdown table.

foldl is measured as a whole process, from its start to its end; DuckDB is warm, and only its query is measured.
Exit code 1: the answers differ, or one of them failed.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

QUERY = """
select date(orderDate) as date, count(*) as totalOrders, sum(quantity * price) as totalRevenue,
       avg(quantity * price) as avgOrderValue
where status = 'completed'
group by date
"""

# Runs a command and prints its peak resident memory in KiB. A small process of its own: on Linux a child starts with
# the peak of its parent.
PEAK = """
import os, sys
child = os.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class DuckDB:
    """A warm DuckDB in a process of its own, and its fastest variant of the query."""

    def __init__(self, python, path, threads):
        worker = os.path.join(os.path.dirname(os.path.abspath(__file__)), "duckdb_worker.py")
        self.process = subprocess.Popen(
            [python, worker, path, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        hello = self.receive()
        self.version, self.variants = hello["version"], hello["variants"]
        # The first run of each warms the file and DuckDB up.
        best = {}
        for _ in range(3):
            for variant in range(len(self.variants)):
                best[variant] = min(best.get(variant, 1e9), self.run(variant)[0])
        self.fastest = min(best, key=best.get)
        for variant, seconds in best.items():
            print(f"DuckDB, {self.variants[variant]}: best of 3 is {seconds:.3f} s", file=sys.stderr)

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("DuckDB failed")
        return json.loads(line)

    def run(self, variant=None):
        variant = self.fastest if variant is None else variant
        self.process.stdin.write(f"{variant}\n")
        self.process.stdin.flush()
        answer = self.receive()
        return answer["seconds"], {day: tuple(values) for day, *values in answer["rows"]}


class Foldl:
    """foldl, started anew for each run."""

    def __init__(self, binary, path, threads):
        self.command = [binary, "-j", str(threads), QUERY, path]
        version = subprocess.run([binary, "--version"], capture_output=True, text=True)
        self.version = version.stdout.strip().removeprefix("foldl").strip() or "of unknown version"

    def run(self):
        with tempfile.TemporaryFile() as output:
            start = time.perf_counter()
            code = subprocess.run(self.command, stdout=output).returncode
            seconds = time.perf_counter() - start
            if code != 0:
                sys.exit(f"foldl failed with exit code {code}")
            output.seek(0)
            records = [json.loads(line) for line in output]
        return seconds, {r["date"]: (r["totalOrders"], r["totalRevenue"], r["avgOrderValue"]) for r in records}

    def peak_bytes(self):
        """The highest peak of three runs."""
        peaks = []
        for _ in range(3):
            run = subprocess.run(
                [sys.executable, "-ISc", PEAK, *self.command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            if run.returncode != 0:
                sys.exit(f"foldl failed with exit code {run.returncode}: {run.stderr}")
            peaks.append(int(run.stderr.split()[-1]) * 1024)
        return max(peaks)


def difference(ours, theirs):
    """The first difference between two answers, or None. Counts are equal, sums are within 1e-9 of each other."""
    if ours.keys() != theirs.keys():
        return f"the days differ: {sorted(ours.keys() ^ theirs.keys())[:5]}"
    for day in sorted(ours):
        counts_agree = ours[day][0] == theirs[day][0]
        sums_agree = all(abs(a - b) <= 1e-9 * max(abs(a), abs(b)) for a, b in zip(ours[day][1:], theirs[day][1:]))
        if not (counts_agree and sums_agree):
            return f"{day}: foldl has {ours[day]}, DuckDB has {theirs[day]}"
    return None


def machine():
    """The processor, the number of its cores, the memory and the kernel."""
    model = platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            model = next((line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--foldl", required=True)
    parser.add_argument("--duckdb-python", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    if options.rounds < 5:
        parser.error("fewer than 5 rounds say little")

    load = os.getloadavg()[0]
    duckdb = DuckDB(options.duckdb_python, options.input, options.threads)
    foldl = Foldl(options.foldl, options.input, options.threads)
    foldl.run()
    times = {"foldl": [], "duckdb": []}
    for _ in range(options.rounds):
        seconds, ours = foldl.run()
        times["foldl"].append(seconds)
        seconds, theirs = duckdb.run()
        times["duckdb"].append(seconds)
        different = difference(ours, theirs)
        if different:
            sys.exit(f"the answers differ: {different}")
    orders = sum(values[0] for values in ours.values())
    if not 0.5 * options.rows < orders < options.rows:
        sys.exit(f"{orders} completed orders among {options.rows} are not plausible")

    size = os.path.getsize(options.input)
    peak = foldl.peak_bytes()

    def row(name, seconds, memory):
        median = statistics.median(seconds)
        cells = [name, f"{median:.3f}", f"{min(seconds):.3f}–{max(seconds):.3f}", f"{size / median / 1e9:.2f}", memory]
        print("| " + " | ".join(cells) + " |")

    print(f"Main job: {options.rows:,} orders, {size / 1e6:.0f} MB, {options.threads} threads, page cache warm,", end=" ")
    print(f"{options.rounds} rounds in turns.\n")
    print("| | median s | range s | GB/s | peak resident |")
    print("| --- | --- | --- | --- | --- |")
    row(f"foldl {foldl.version}, whole process", times["foldl"], f"{peak / 2**20:.1f} MiB")
    row(f"DuckDB {duckdb.version}, warm, query only ({duckdb.variants[duckdb.fastest]})", times["duckdb"], "")
    ratio = statistics.median(times["duckdb"]) / statistics.median(times["foldl"])
    print(f"\nfoldl is {ratio:.2f} times as fast as DuckDB. Answers: {len(ours)} groups, {orders:,} orders, equal", end=" ")
    print("(counts exactly, sums within 1e-9).")
    print(f"\n{datetime.date.today()}, {machine()}, load before the run {load:.1f}")


main()
