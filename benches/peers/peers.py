"""The warm peers: each is a worker process that answers one question after another."""

import json
import os
import subprocess
import sys
from pathlib import Path

WORKER = Path(__file__).resolve().parent / "worker.py"
# The best of so many runs decides which way of asking an engine is the fastest. They warm up the file and the engine.
TRIES = 2


class Refused(Exception):
    """An engine could not answer a question."""


class Peer:
    """A warm engine in a process of its own."""

    def __init__(self, name, threads, output):
        self.name, self.output, self.peak_bytes = name, output, 0
        command = [sys.executable, str(WORKER), name, str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        hello = self.receive()
        self.version, self.variants = hello["version"], hello["variants"]

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            raise Refused(f"{self.name} ended")
        return json.loads(line)

    def ask(self, query, variant, path):
        """Seconds and rows of one run."""
        if os.path.exists(self.output):
            os.unlink(self.output)
        order = {"query": query.name, "variant": variant, "path": str(path), "output": self.output}
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Refused(f"{self.name} ended") from None
        answer = self.receive()
        if "error" in answer:
            raise Refused(answer["error"].splitlines()[0])
        self.peak_bytes = answer["peak_kib"] * 1024
        return answer["seconds"], answer["rows"]

    def fastest(self, query, path, check):
        """The fastest variant. `check` is called with the rows of each."""
        best, refusals = {}, []
        for variant in range(self.variants[query.name]):
            try:
                runs = [self.ask(query, variant, path) for _ in range(TRIES)]
            except Refused as refused:
                refusals.append(str(refused))
                continue
            check(runs[-1][1])
            best[variant] = min(seconds for seconds, _ in runs)
        if not best:
            raise Refused(refusals[0] if refusals else "not asked")
        return min(best, key=best.get)

    def close(self):
        """Ends the process."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # It ended by itself.
        self.process.wait()


def start(names, threads, folder):
    """The peers of these names that can be started, by name; the others are said to be left out."""
    peers = {}
    for name in names:
        try:
            peers[name] = Peer(name, threads, os.path.join(folder, f"{name}.out"))
        except Refused:
            print(f"LEFT OUT: {name} cannot be started", file=sys.stderr)
    return peers
