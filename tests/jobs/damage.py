#!/usr/bin/env python3
"""Damages what a job has left for later, byte by byte: it is noticed, and never makes a wrong output.

    tests/jobs/damage.py --foldl target/debug/foldl [--points 60]

A job is killed when it has a checkpoint. Then one bit is flipped, at 60 places of each file (`--points 0`: in every byte), or the
end is cut off, in

- the checkpoint: the run starts over, and says that it is damaged,
- what the checkpoint refers to, sorted runs of groups and rows: the run starts over, unless it does not need them,
- staged files, and the rows that are not compressed yet: the run starts over, unless these bytes came after the checkpoint,
- the record of a commit, done or to be finished: the run ends with exit code 5, names the record, and changes no output,
- the log of runs, which decides nothing: the run takes no notice.

In the end the outputs have the bytes of a run that nothing disturbed.
"""

import argparse
import collections
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from kill import tree

# Little is kept, so that every byte of it can be damaged.
JOB = """
[run]
state = "out/state"
checkpoint = "1KiB"
threads = 1
[sources.orders]
files = ["in.jsonl"]
rejects = "out/rejects.jsonl"
[[checks]]
on = "orders"
unique = ["orderId"]
severity = "warn"
quarantine = "out/twice.jsonl"
[[outputs]]
name = "rows"
query = "select orderId, status from orders where quantity > 9"
path = "out/rows"
partition_by = ["status"]
compression = "zst"
[[outputs]]
name = "groups"
query = "select status, count(*) as n, sum(price) as s, median(quantity) as m, count(distinct quantity) as d from orders group by status"
path = "out/groups"
[[outputs]]
name = "top"
query = "select orderId, price from orders order by price desc, orderId limit 5"
path = "out/top"
format = "csv"
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--foldl", required=True)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--points", type=int, default=60, help="how many bytes of each file; 0 is all")
    arguments = parser.parse_args()
    foldl = os.path.abspath(arguments.foldl)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with open("in.jsonl", "wb") as file:
            lines = subprocess.run([foldl, "generate", "orders", "--seed", "1", "--rows", str(arguments.rows)], check=True, capture_output=True).stdout
            file.write(lines[: len(lines) // 2] + b"\nno record\n" + lines[len(lines) // 2 :] + lines[:500].rsplit(b"\n", 1)[0] + b"\n")
        pathlib.Path("job.toml").write_text(JOB)

        def run(*more):
            done = subprocess.run([foldl, "run", "job.toml", *more], capture_output=True, text=True)
            if "panicked" in done.stderr or done.returncode not in (0, 5):
                raise Failed(f"exit code {done.returncode}: {done.stderr[-800:]}")
            return done.returncode, done.stderr

        run()
        expected = tree("out")
        shutil.copytree("out", "committed")
        kill_with_checkpoint(foldl)
        shutil.copytree("out", "killed")
        code, told = run()
        if code or "resumed" not in told or tree("out") != expected:
            sys.exit(f"what is not damaged does not go on: {told}")

        counts, failures = collections.Counter(), 0

        def attempt(start, path, what, damage, verify):
            nonlocal failures
            shutil.rmtree("out")
            shutil.copytree(start, "out")
            content = bytearray(path.read_bytes())
            try:
                damage(content)
                path.write_bytes(content)
                counts[verify(path)] += 1
            except Failed as failed:
                failures += 1
                print(f"  FAILED {path.name}, {what}: {failed}", flush=True)
                if failures >= 20:
                    sys.exit("too many failures")

        def damages(length):
            """What is done to a file of a length, and how."""
            every = max(1, length // arguments.points) if arguments.points else 1
            for at in range(0, length, every):
                # Of each stretch of bytes another one.
                at = min(at + at // every % every, length - 1)

                def flip(content, at=at):
                    content[at] ^= 1 << at % 8

                yield f"byte {at}", flip
            for end in sorted({0, 1, length // 2, length - 1, *range(0, length, 16 * every)}):

                def cut(content, end=end):
                    del content[end:]

                yield f"cut to {end} of {length} bytes", cut

        def has_expected(where, told):
            found = tree("out")
            if found != expected:
                different = [key for key in sorted(set(found) | set(expected)) if found.get(key) != expected.get(key)]
                raise Failed(f"{where} the outputs are others, {different[:5]}: {told[-500:]}")

        def starts_over(path):
            code, told = run()
            if code or "started over" not in told or str(path.name.split(".")[0]) not in told:
                raise Failed(f"exit code {code}: {told[-500:]}")
            has_expected("started over,", told)
            return "checkpoints started over"

        def is_not_relied_on(path):
            code, told = run()
            if code:
                raise Failed(f"exit code {code}: {told[-500:]}")
            has_expected("with a damaged run,", told)
            # Nothing has to be read of a file whose rows were taken into a later one.
            return "runs, where it started over" if "started over" in told else "runs that were not needed"

        def starts_over_if_staged(path):
            return is_not_relied_on(path).replace("runs", "staged files")

        def refuses(path):
            code, told = run()
            if code == 0 or path.name not in told:
                raise Failed(f"exit code {code}: {told[-500:]}")
            has_expected("after a damaged record", told)
            return "records refused"

        def takes_no_notice(path):
            code, told = run()
            if code:
                raise Failed(f"exit code {code}: {told[-500:]}")
            has_expected("with a damaged log", told)
            return "logs ignored"

        state = pathlib.Path("killed/state/checkpoints")
        (checkpoint,) = state.glob("*.checkpoint")
        runs = sorted(path for path in state.rglob("*.runs"))
        if not runs:
            sys.exit("the checkpoint refers to no runs")
        targets = [("killed", checkpoint, starts_over)]
        targets += [("killed", path, is_not_relied_on) for path in runs]
        staged = sorted(path for path in pathlib.Path("killed/rows/_foldl").glob("run-*/data/*/*") if path.stat().st_size)
        if not any(path.suffix == ".tail" for path in staged):
            sys.exit("no row is staged that is not compressed")
        targets += [("killed", path, starts_over_if_staged) for path in staged]
        record = pathlib.Path("committed/state/commits/000001.json")
        # As it is when all has been done, but for the note that it is so.
        shutil.copytree("committed", "pending")
        pending = pathlib.Path("pending/state/commits/000001.pending")
        pathlib.Path("pending/state/commits/000001.json").rename(pending)
        targets += [("committed", record, refuses), ("pending", pending, refuses)]
        targets.append(("committed", pathlib.Path("committed/state/runs.jsonl"), takes_no_notice))
        begun = time.monotonic()
        for start, path, verify in targets:
            length = path.stat().st_size
            print(f"{path.suffix.lstrip('.')} of {length} bytes", flush=True)
            for what, damage in damages(length):
                attempt(start, pathlib.Path("out") / path.relative_to(start), what, damage, verify)
        told = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        print(f"{sum(counts.values()) + failures} times damaged: {told}: {failures} failures, {time.monotonic() - begun:.0f} s")
        sys.exit(1 if failures or not (counts["runs, where it started over"] and counts["staged files, where it started over"]) else 0)


class Failed(Exception):
    pass


def committed(out):
    return list(pathlib.Path(out).glob("*/_SUCCESS"))


def kill_with_checkpoint(foldl):
    """Runs the job until it has a checkpoint with runs, and no commit."""
    for _ in range(200):
        shutil.rmtree("out", ignore_errors=True)
        process = subprocess.Popen([foldl, "run", "job.toml", "-q"], stderr=subprocess.DEVNULL)
        checkpoints = pathlib.Path("out/state/checkpoints")
        while process.poll() is None and not (list(checkpoints.glob("*.checkpoint")) and len(list(checkpoints.rglob("*.runs"))) > 1):
            time.sleep(0.0005)
        process.kill()
        process.wait()
        if list(checkpoints.glob("*.checkpoint")) and not committed("out"):
            return
    sys.exit("the run always ended before it could be killed")


if __name__ == "__main__":
    main()
