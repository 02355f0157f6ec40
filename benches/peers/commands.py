"""Programs as whole processes: foldl itself, and the slow peers that are put to the main job only."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

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

JQ = """
reduce inputs as $o ({};
  if $o.status == "completed"
  then .[$o.orderDate[0:10]] |= [(.[0] // 0) + 1, (.[1] // 0) + $o.quantity * $o.price]
  else . end)
| to_entries[] | [.key, .value[0], .value[1], .value[1] / .value[0]]
"""
MILLER = [
    "--ijsonl",
    "--ojsonl",
    "filter",
    '$status == "completed"',
    "then",
    "put",
    "$date = $orderDate[1:10]; $value = $quantity * $price",
    "then",
    "stats1",
    "-a",
    "count,sum,mean",
    "-f",
    "value",
    "-g",
    "date",
]

# The first lines only, and the time scaled to all of them, as these take minutes.
PART = 500_000
SLOW = {
    "node": (["node", str(HERE / "main_job.mjs")], None),
    "jq": (["jq", "-nc", JQ], PART),
    "jaq": (["jaq", "-nc", JQ], PART),
    "miller": (["mlr", *MILLER], PART),
}


class Foldl:
    """foldl, started anew for each run."""

    def __init__(self, binary, threads):
        self.binary, self.threads = binary, threads
        self.version = version([binary, "--version"])

    def command(self, query, *paths, threads=None):
        return [self.binary, "-q", "-j", str(threads or self.threads), *query.options, query.foldl, *map(str, paths)]

    def run(self, query, path, output):
        """Seconds of the whole process, and the rows unless they are for a file."""
        seconds = timed(self.command(query, path), output)
        return seconds, None if query.rows == "file" else rows_of(output)


def version(command):
    """The first number-like word that a program says of its version."""
    try:
        said = subprocess.run(command, capture_output=True, text=True).stdout
    except OSError:
        return None
    words = said.replace("-", " ").split()
    return next((word.lstrip("v") for word in words if any(letter.isdigit() for letter in word)), "?")


def timed(command, output=None, environment=None, stdin=None):
    """Seconds from the start of a program to its end; its output goes to a new file, or nowhere.

    A program that fails ends the suite.
    """
    if output and os.path.exists(output):
        os.unlink(output)
    with open(output or os.devnull, "wb") as target:
        start = time.perf_counter()
        code = subprocess.run(command, stdout=target, stdin=stdin, env={**os.environ, **(environment or {})}).returncode
        seconds = time.perf_counter() - start
    if code != 0:
        sys.exit(f"{command[0]} failed with exit code {code}: {command}")
    return seconds


def rows_of(path):
    """The rows of a file of JSON Lines, each an object or an array."""
    with open(path) as lines:
        records = [json.loads(line) for line in lines]
    return [list(record.values()) if isinstance(record, dict) else record for record in records]


def peak_bytes(command, runs=3):
    """The highest peak of resident memory of some runs."""
    peaks = []
    for _ in range(runs):
        run = subprocess.run(
            [sys.executable, "-ISc", PEAK, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if run.returncode != 0:
            sys.exit(f"{command[0]} failed with exit code {run.returncode}: {run.stderr}")
        peaks.append(int(run.stderr.split()[-1]) * 1024)
    return max(peaks)


def slow_peers(names):
    """The commands of those slow peers that are wanted and installed, and whether they get a part only."""
    found = {}
    for name in names:
        command, part = SLOW[name]
        if shutil.which(command[0]):
            found[name] = (command, part)
        else:
            print(f"LEFT OUT: {name} is not installed", file=sys.stderr)
    return found
