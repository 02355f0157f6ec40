#!/usr/bin/env python3
"""Lets system calls of a job fail, one at a time: the run says so, and the next one ends as if nothing had been.

    tests/jobs/inject.py --foldl target/debug/foldl [--points 200] [--seed 1]

The job is that of kill.py: outputs that are appended in partitions, overwritten, and overwritten by partitions, a summary,
rejects, quarantine and checkpoints. It is committed once, its input changes, and the second run meets the error: with
`strace` the Nth call of a kind gives ENOSPC, EIO, EDQUOT, EMFILE or EACCES, once or from then on. First the calls of each
kind are counted; then points are spread over them. After each

- the exit code is 0, 5 or 6, and an error names a path;
- every output is exactly as it was, or exactly as it is to be, or without `_SUCCESS` where the commit was decided;
- a run that nothing disturbs ends with exit code 0 and the bytes of a run that met no error, and leaves no file behind.

strace has to be there, and ptrace(2) to be permitted: else it says so and ends with exit code 3.
"""

import argparse
import collections
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

from kill import OUTPUTS, job_text, make_inputs, tree

# The calls that change the disk, with the errors that each may give, and how often it is taken.
CALLS = {
    "write": (["ENOSPC", "EIO", "EDQUOT"], 3),
    "pwrite64": (["ENOSPC", "EIO", "EDQUOT"], 2),
    "writev": (["ENOSPC", "EIO", "EDQUOT"], 1),
    "pwritev": (["ENOSPC", "EIO", "EDQUOT"], 1),
    "fsync": (["EIO", "ENOSPC", "EDQUOT"], 3),
    "fdatasync": (["EIO", "ENOSPC", "EDQUOT"], 1),
    "syncfs": (["EIO", "ENOSPC"], 1),
    "rename": (["EIO", "ENOSPC", "EACCES"], 3),
    "renameat": (["EIO", "ENOSPC", "EACCES"], 1),
    "renameat2": (["EIO", "ENOSPC", "EACCES"], 1),
    "link": (["EIO", "ENOSPC", "EDQUOT"], 1),
    "linkat": (["EIO", "ENOSPC", "EDQUOT"], 1),
    "openat": (["ENOSPC", "EMFILE", "EACCES"], 4),
    "mkdir": (["ENOSPC", "EIO", "EDQUOT"], 2),
    "mkdirat": (["ENOSPC", "EIO", "EDQUOT"], 1),
    "unlink": (["EIO", "EACCES"], 2),
    "unlinkat": (["EIO", "EACCES"], 1),
    "rmdir": (["EIO", "EACCES"], 1),
    "ftruncate": (["EIO", "ENOSPC"], 1),
    "copy_file_range": (["EIO", "ENOSPC"], 1),
    "sendfile": (["EIO", "ENOSPC"], 1),
    "fallocate": (["EIO", "ENOSPC"], 1),
}
# The pipes between queries, and whoever reads the messages.
OFF_DISK = re.compile(r"\(\d+<(pipe|socket|anon_inode):")
COMMITTED = re.compile(r"the commit is (decided|done)")


def strace(command, inject=None, log=None, timeout=120):
    """Runs a command under strace; `inject` is a call, an error and which of the calls."""
    wrapped = ["strace", "-f", "-qq", "-y", "-o", log or "/dev/null", "--signal=none"]
    if inject:
        call, error, when = inject
        wrapped += ["-e", f"trace=?{call}", "-e", f"inject=?{call}:error={error}:when={when}"]
    else:
        wrapped += ["-e", "trace=" + ",".join(f"?{call}" for call in CALLS)]
    return subprocess.run([*wrapped, *command], capture_output=True, text=True, timeout=timeout)


def permitted():
    """Why calls cannot be injected here; None if they can."""
    if not shutil.which("strace"):
        return "strace is not installed"
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=mkdir", "-e", "inject=mkdir:error=EIO", "mkdir", "never-made"],
        capture_output=True, text=True,
    )
    if os.path.isdir("never-made"):
        os.rmdir("never-made")
        return "strace does not inject errors on this machine"
    if done.returncode != 1 or "Input/output error" not in done.stderr:
        return f"strace cannot trace on this machine (is ptrace permitted?): {done.stderr.strip()[-200:]}"
    return None


def count_calls(log):
    """For each call the numbers that it has on the disk, as strace counts those of each thread for itself. What comes before
    the job has been read is left out."""
    counts = collections.Counter()
    numbers = collections.defaultdict(list)
    started = False
    with open(log, encoding="utf-8", errors="replace") as lines:
        for text in lines:
            found = re.match(r"(\d+)\s+(\w+)\(", text)
            if not found or found.group(2) not in CALLS:
                continue
            thread, call = found.groups()
            counts[thread, call] += 1
            if started and not OFF_DISK.search(text):
                numbers[call].append(counts[thread, call])
            started = started or "job.toml" in text
    return numbers


def output_state(found, name):
    """What a reader sees of an output."""
    return {key: value for key, value in found.items() if key.startswith(name + "/")}


def stray(out):
    """Files that nobody wants any more, when a run has ended well."""
    found = []
    for folder, folders, files in os.walk(out):
        inner = os.path.relpath(folder, out)
        for name in files:
            path = os.path.join(inner, name)
            if name.startswith(".") or name.endswith((".tmp", ".pending", ".tail", ".checkpoint", ".runs")):
                found.append(path)
            elif "_foldl" in inner.split(os.sep) and name not in ("lock", "sequence"):
                found.append(path)
            elif inner in ("state/staging", "state/checkpoints"):
                found.append(path)
        found += [os.path.join(inner, name) + "/" for name in folders if name.startswith("run-") or inner == "state/checkpoints"]
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--foldl", required=True)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one point, as it is printed: CALL:ERROR:WHEN")
    parser.add_argument("--keep", help="a folder to which a failed point's files are copied")
    arguments = parser.parse_args()
    foldl = os.path.abspath(arguments.foldl)
    keep = os.path.abspath(arguments.keep) if arguments.keep else None
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        why = permitted()
        if why:
            print(f"CANNOT RUN: {why}", file=sys.stderr)
            sys.exit(3)
        make_inputs(foldl, "in", arguments.rows)
        with open("job.toml", "w") as file:
            file.write(job_text("out", "256KiB"))
        command = [foldl, "run", "job.toml", "-j", "1"]

        # The first commit, and what changes after it.
        subprocess.run([*command, "-q"], check=True)
        with open("in/e.jsonl", "wb") as file:
            file.write(subprocess.run([foldl, "generate", "orders", "--seed", "9", "--rows", "500"], check=True, capture_output=True).stdout)
        with open("in/d.jsonl", "ab") as file, open("in/e.jsonl", "rb") as more:
            file.write(more.read() + b"another that is none\n")
        shutil.copytree("out", "before", symlinks=True)
        old = tree("out")

        def begin():
            shutil.rmtree("out")
            shutil.copytree("before", "out", symlinks=True)

        log = os.path.join(folder, "strace.log")
        counted = strace(command, log=log)
        if counted.returncode:
            sys.exit(f"the run that is counted failed: {counted.stderr}")
        new = tree("out")
        left = stray("out")
        if left:
            sys.exit(f"the undisturbed run left {left[:5]}")
        numbers = count_calls(log)
        total = sum(CALLS[call][1] for call in numbers)
        points = []
        for call, every in numbers.items():
            errors, weight = CALLS[call]
            share = max(2, round(arguments.points * weight / total))
            # Some at even distances.
            for number in range(share):
                at = every[(len(every) - 1) * number // max(share - 1, 1)]
                points.append((call, errors[number % len(errors)], f"{at}{'+' if number % 4 == 3 else ''}"))
        points = list(dict.fromkeys(points))
        while len(points) < arguments.points:
            call = chance.choice(list(numbers))
            points.append((call, chance.choice(CALLS[call][0]), str(chance.choice(numbers[call]))))
        if arguments.only:
            points = [tuple(arguments.only.rsplit(":", 2))]
        told = ", ".join(f"{len(every)} {call}" for call, every in numbers.items())
        print(f"calls of a run: {told}; {len(points)} points", flush=True)

        failures, ends = 0, collections.Counter()
        for point in points:
            begin()
            problems = []
            try:
                done = strace(command, inject=point, log=log)
                code, message = done.returncode, done.stderr
            except subprocess.TimeoutExpired:
                code, message = "none", "it did not end in two minutes"
            with open(log, encoding="utf-8", errors="replace") as lines:
                injected = [text.strip() for text in lines if "(INJECTED)" in text]
            found = tree("out")
            decided = bool(COMMITTED.search(message)) or bool([name for name in os.listdir("out/state/commits") if name.endswith(".pending")])
            states = [
                "old" if output_state(found, name) == output_state(old, name)
                else "new" if output_state(found, name) == output_state(new, name)
                else "between"
                for name in OUTPUTS
            ]
            successes = [os.path.exists(f"out/{name}/_SUCCESS") for name in OUTPUTS]
            if code not in (0, 5, 6):
                problems.append(f"exit code {code}: {message[-600:]}")
            if code == 0 and (states != ["new"] * len(OUTPUTS)):
                problems.append(f"exit code 0, and outputs are {dict(zip(OUTPUTS, states))}")
            if code in (5, 6):
                if decided:
                    # A reader finds `_SUCCESS` over what is old or new, or none.
                    if any(state == "between" and success for state, success in zip(states, successes)):
                        problems.append(f"_SUCCESS over what is neither old nor new: {dict(zip(OUTPUTS, states))}")
                elif states != ["old"] * len(OUTPUTS):
                    problems.append(f"exit code {code}, not a word of a commit that is decided, and outputs are {dict(zip(OUTPUTS, states))}: {message[-300:]}")
                error = message[message.rfind("foldl: error:"):]
                if "foldl: error:" not in message or "/" not in error.replace("I/O", "").replace("Input/output", ""):
                    problems.append(f"the error names no path: {error.strip()[-400:]}")
                if "panicked" in message:
                    problems.append(f"it panicked: {message[-600:]}")
            if not injected or any(OFF_DISK.search(text) for text in injected):
                ends["not counted, as no call to the disk failed alone"] += 1
                continue
            ends["decided" if code != 0 and decided else f"exit code {code}"] += 1
            again = subprocess.run(command, capture_output=True, text=True)
            if again.returncode:
                problems.append(f"the next run ends with exit code {again.returncode}: {again.stderr[-600:]}\n    after {message[-600:]}")
            else:
                found = tree("out")
                different = [key for key in sorted(set(found) | set(new)) if found.get(key) != new.get(key)]
                # A run that begins anew has a number of its own.
                if different and same_but_numbers(found, new):
                    different = []
                if different:
                    problems.append(f"the next run gives others: {different[:6]}\n    after {message[-300:]}\n    {again.stderr[-500:]}")
                left = stray("out")
                if left:
                    problems.append(f"the next run leaves {left[:6]}")
            if problems:
                failures += 1
                print(f"  FAILED {':'.join(point)} in {injected[0][:200]}" + "".join(f"\n    {problem}" for problem in problems), flush=True)
                if keep:
                    shutil.copytree(".", os.path.join(keep, "-".join(point)), dirs_exist_ok=True, symlinks=True)
                if failures >= 20:
                    break
        told = ", ".join(f"{count} {what}" for what, count in sorted(ends.items()))
        print(f"{sum(ends.values())} points ({told}): {failures} failures")
        sys.exit(1 if failures else 0)


def same_but_numbers(found, expected):
    """Whether the new data files have the same bytes under the number of another commit."""
    def by_content(files):
        return sorted((re.sub(r"part-(?!000001)\d+-", "part-N-", key), value) for key, value in files.items())
    return by_content(found) == by_content(expected)


if __name__ == "__main__":
    main()
