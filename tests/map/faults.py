#!/usr/bin/env python3
"""`foldl map` with children that fail in every way, and killed itself: no record is lost or comes twice.

    tests/map/faults.py --foldl target/debug/foldl [--cases 300] [--kills 100] [--seed 1]

Cases: each has some batches whose first attempts hang, die before they read, die half-way, are killed, flood standard output
or standard error, write half a line, answer too few or too many lines, ignore SIGTERM, or leave processes behind. A batch
that fails more often than it may be repeated has to be in the rejects, record for record; every other one in the output,
once, in order. No process is left, no zombie stays, and the numbers of --stats-json add up.

Kills: a run with --checkpoint is killed with SIGKILL at random times and started again until it is done. Its output and its
rejects have to be those of a run that nobody disturbed.

And a run that was started by a process that ignores the ends of its children, whose exit statuses the system then forgets.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

# Tells its attempts at a batch apart by directories that it makes.
CHILD = r"""
attempt() {
    n=0
    while ! mkdir "$STATE/$1.$n" 2>/dev/null; do n=$((n + 1)); done
    kind=; count=0
    [ -e "$STATE/plan.$1" ] && read -r kind count < "$STATE/plan.$1"
    [ "$n" -lt "$count" ]
}
fail() {
    case $1 in
    hang) exec sleep 1000 ;;
    before) exit 4 ;;
    halfway) head -n 1; exit 5 ;;
    killed) head -n 2; kill -9 $$ ;;
    flood) exec yes '{"n":0}' ;;
    flood_stderr) yes 'this is wrong' | head -c 2000000 >&2; exit 6 ;;
    half_line) cat; printf '{"n":' ;;
    no_json) cat; echo '{"n":}' ;;
    few) sed 1d ;;
    many) cat; echo '{"n":0}' ;;
    stubborn) trap '' TERM INT HUP; while :; do sleep 1000; done ;;
    grandchild) (trap '' TERM; sleep 1000) & cat; exit 7 ;;
    left_behind) sleep 1000 & cat ;;
    unread) exec 0<&-; exit 0 ;;
    esac
    exit 0
}
"""
ONCE = CHILD + r"""
if attempt "$FOLDL_BATCH"; then fail "$kind"; fi
exec cat
"""
# Lives on: the batch is told by the number of its first record.
KEPT = CHILD + r"""
while IFS= read -r line; do
    n=${line#*:}; n=${n%\}}
    if [ -e "$STATE/plan.$n" ] && attempt "$n"; then fail "$kind"; fi
    printf '%s\n' "$line"
done
"""
# Of children that live on, the faults that do not depend on reading to the end.
OF_KEPT = ["hang", "before", "killed", "flood", "flood_stderr", "stubborn"]
OF_ONCE = ["hang", "before", "halfway", "killed", "flood", "flood_stderr", "half_line", "no_json", "few", "many", "stubborn",
           "grandchild", "left_behind", "unread"]


def processes(mark):
    """The processes whose environment has a text."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if mark.encode() in file.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


class Zombies(threading.Thread):
    """Looks for children of a process that have ended and that nobody waits for."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.found, self.ended = pid, [], False

    def run(self):
        since = {}
        while not self.ended:
            zombies = {}
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/stat") as file:
                        state, parent = file.read().rsplit(")", 1)[1].split()[:2]
                    if int(parent) == self.pid and state == "Z":
                        zombies[pid] = since.get(pid, time.monotonic())
                except OSError:
                    pass
            since = zombies
            self.found += [pid for pid, start in since.items() if time.monotonic() - start > 8]
            time.sleep(0.1)


def one_case(foldl, folder, rng):
    kept = rng.random() < 0.25
    records, size = rng.randrange(1, 60), rng.randrange(1, 12)
    retries, concurrency = rng.randrange(0, 3), rng.randrange(1, 5)
    ordered = rng.random() < 0.7
    batches = [list(range(first, min(first + size, records + 1))) for first in range(1, records + 1, size)]
    plans = {}
    for number, batch in enumerate(batches, 1):
        if rng.random() < 0.35:
            kind = rng.choice(OF_KEPT if kept else OF_ONCE)
            plans[number] = (kind, rng.randrange(1, 4))
            with open(os.path.join(folder, f"plan.{batch[0] if kept else number}"), "w") as file:
                file.write("%s %d\n" % plans[number])
    source = os.path.join(folder, "in.jsonl")
    with open(source, "w") as file:
        file.writelines('{"n":%d}\n' % n for n in range(1, records + 1))
    names = {name: os.path.join(folder, name) for name in ("out.jsonl", "rejects.jsonl", "stats.json")}
    command = [foldl, "map", source, "--batch", str(size), "--retries", str(retries), "-n", str(concurrency),
               "--timeout", "4s", "--batch-time", "1h", "--on-error", "skip", "--expect-lines", "same", "--max-answer", "4MiB",
               "-o", names["out.jsonl"], "--rejects", names["rejects.jsonl"], "--stats-json", names["stats.json"]]
    command += [] if ordered else ["--unordered"]
    command += ["--keep-alive"] if kept else []
    command += ["--", "sh", "-c", KEPT if kept else ONCE]
    process = subprocess.Popen(command, env={**os.environ, "STATE": folder}, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    zombies = Zombies(process.pid)
    zombies.start()
    try:
        code = process.wait(timeout=180)
    finally:
        process.kill()
    zombies.ended = True
    assert code == 0, f"exit code {code}"
    assert not zombies.found, f"zombies: {zombies.found}"
    failed = {number for number, (_, times) in plans.items() if times > retries}
    good = [n for number, batch in enumerate(batches, 1) if number not in failed for n in batch]
    bad = [n for number, batch in enumerate(batches, 1) if number in failed for n in batch]
    with open(names["out.jsonl"]) as file:
        out = [json.loads(line)["n"] for line in file]
    assert (out if ordered else sorted(out)) == good, f"output {out}, not {good}"
    with open(names["rejects.jsonl"]) as file:
        rejects = [json.loads(line) for line in file]
    found = [json.loads(reject["raw"])["n"] for reject in rejects]
    assert (found if ordered else sorted(found)) == bad, f"rejects {found}, not {bad}"
    for reject, n in zip(rejects, found):
        assert reject["line"] == n and reject["attempts"] == retries + 1 and reject["file"] == source, reject
    with open(names["stats.json"]) as file:
        stats = json.load(file)
    assert (stats["records_in"], stats["records_done"], stats["records_failed"]) == (records, len(good), len(bad)), stats
    assert (stats["batches_done"], stats["batches_failed"]) == (len(batches) - len(failed), len(failed)), stats
    assert stats["retries"] == sum(min(times, retries) for _, times in plans.values()), stats
    assert stats["lines_out"] == len(good), stats
    deadline = time.monotonic() + 5
    while (left := processes(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left, f"processes are left: {left}"
    return len(plans), len(failed)


def cases(foldl, count, rng):
    faults = failed = 0
    for number in range(count):
        seed = rng.randrange(1 << 32)
        with tempfile.TemporaryDirectory(prefix="foldl-map-") as folder:
            try:
                result = one_case(foldl, folder, random.Random(seed))
            except Exception as error:
                print(f"FAILED: case {number}, seed {seed}: {error}", flush=True)
                raise SystemExit(1)
        faults, failed = faults + result[0], failed + result[1]
    print(f"{count} cases with {faults} batches that failed at first, {failed} of them for good: all as they should be")


def kills(foldl, wanted, rng):
    done = rounds = resumed = 0
    with tempfile.TemporaryDirectory(prefix="foldl-map-") as folder:
        source = os.path.join(folder, "in.jsonl")
        with open(source, "w") as file:
            for n in range(40_000):
                file.write('{"n":%d,"text":"%s"}\n' % (n, "x" * (n % 90)) if n % 1000 != 7 else "no record %d\n" % n)
        shell = "[ $((FOLDL_BATCH % 50)) = 49 ] && exit 1; sleep 0.0$((FOLDL_BATCH % 3)); exec cat"

        def command(name):
            paths = [os.path.join(folder, f"{name}.{end}") for end in ("state", "jsonl", "rejects")]
            return paths, [foldl, "map", source, "--batch", "150", "--batch-time", "1h", "-n", "4", "--retries", "0", "--on-error", "skip", "--checkpoint",
                           paths[0], "-o", paths[1], "--rejects", paths[2], "-q", "--where", "n % 5 <> 2", "--", "sh", "-c", shell]

        def read(paths):
            contents = []
            for path in paths[1:]:
                with open(path, "rb") as file:
                    contents.append(file.read())
            return contents

        paths, once = command("once")
        start = time.monotonic()
        assert subprocess.run(once).returncode == 0
        took = time.monotonic() - start
        expected = read(paths)
        assert expected[0].count(b"\n") > 20_000 and expected[1].count(b"\n") > 100
        while done < wanted:
            paths, again = command(f"round{rounds}")
            for _ in range(40):
                process = subprocess.Popen(again, stderr=subprocess.PIPE)
                try:
                    said = process.communicate(timeout=rng.random() * took * 0.7)[1]
                    assert process.returncode == 0, f"exit code {process.returncode}: {said.decode()}"
                    break
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.communicate()
                    done += 1
                    resumed += os.path.exists(paths[0])
                # It may have been killed after one got its name and before the other.
                for path, whole in zip(paths[1:], expected):
                    if os.path.exists(path):
                        with open(path, "rb") as file:
                            assert file.read() == whole, f"a part of {os.path.basename(path)} is visible"
            else:
                assert subprocess.run(again).returncode == 0
            if read(paths) != expected:
                print(f"FAILED: round {rounds} gave another output or other rejects", flush=True)
                raise SystemExit(1)
            assert not [name for name in os.listdir(folder) if name.startswith(f"round{rounds}") and "." in name
                        and name.rsplit(".", 1)[1] not in ("jsonl", "rejects")], os.listdir(folder)
            for path in paths[1:]:
                os.remove(path)
            rounds += 1
    print(f"{done} kills in {rounds} runs, {resumed} of which had a checkpoint: every output is that of a run nobody disturbed")


def ignored_ends(foldl):
    """Exit statuses are known all the same."""
    ignore = lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for child, code in [("cat", 0), ("exit 3", 5)]:
        command = [foldl, "map", "-q", "--retries", "0", "--", "sh", "-c", child]
        done = subprocess.run(command, input=b'{"n":1}\n', capture_output=True, preexec_fn=ignore)
        told = done.stderr.decode()
        if done.returncode != code or (code and "exited with status 3" not in told):
            sys.exit(f"with SIGCHLD ignored, `{child}`: exit code {done.returncode}: {told}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--foldl", required=True)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    foldl = os.path.abspath(args.foldl)
    rng = random.Random(args.seed)
    ignored_ends(foldl)
    cases(foldl, args.cases, rng)
    kills(foldl, args.kills, rng)


if __name__ == "__main__":
    sys.exit(main())
