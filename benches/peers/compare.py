"""Measures foldl and its peers in turns, and compares their answers."""

import os
import sys

import answers
import commands
import data
import peers
import report


class Suite:
    """What the sections share: foldl, the warm peers, the report, and the answers that differed."""

    def __init__(self, foldl, queries, options, folder, paper):
        self.foldl, self.queries, self.options, self.folder, self.paper = foldl, queries, options, folder, paper
        self.rounds, self.threads = options.rounds, options.threads
        self.differences, self.workers = {}, {}

    def peers(self, *names):
        """Those of the peers that are wanted and can be started."""
        for name in names:
            if name in self.options.peers and name not in self.workers:
                self.workers |= peers.start([name], self.threads, self.folder) or {name: None}
        return {name: self.workers[name] for name in names if self.workers.get(name)}

    def stop(self, *names):
        """Ends peers, so that their memory is free again."""
        for name in names:
            peer = self.workers.pop(name, None)
            if peer:
                peer.close()

    def close(self):
        self.stop(*list(self.workers))

    def output(self, name="foldl"):
        return os.path.join(self.folder, f"{name}.out")

    def different(self, query, name, what):
        """Notes that an answer differs; the first difference is told of each question and peer."""
        if (query.name, name) not in self.differences:
            self.differences[query.name, name] = f"{query.name}: foldl and {name}: {what}"
            print(f"THE ANSWERS DIFFER: {self.differences[query.name, name]}", file=sys.stderr)

    def measure(self, query, workers):
        """Times of foldl and the peers by name, in turns; a peer that fails has none, and is said to."""
        path = data.path(query.data)
        print(f"{query.name} …", file=sys.stderr)
        for _ in range(2):
            _, ours = self.foldl.run(query, path, self.output())
        if query.rows == "file":
            digest = answers.digest(self.output(), query.columns)

        variants = {}
        for name, peer in workers.items():

            def check(rows, name=name, peer=peer):
                if query.rows == "file":
                    theirs = answers.digest(peer.output, query.columns)
                    what = None if theirs == digest else f"{digest} against {theirs} (rows, sum of hashes)"
                else:
                    what = answers.difference(ours, rows, query.rows == "list")
                if what:
                    self.different(query, name, what)

            try:
                variants[name] = peer.fastest(query, path, check)
            except peers.Refused as refused:
                print(f"{query.name}: {name} fails: {refused}", file=sys.stderr)

        times = {name: [] for name in ["foldl", *variants]}
        for _ in range(self.rounds):
            seconds, ours = self.foldl.run(query, path, self.output())
            times["foldl"].append(seconds)
            for name, variant in variants.items():
                seconds, rows = workers[name].ask(query, variant, path)
                times[name].append(seconds)
                if query.rows != "file":
                    what = answers.difference(ours, rows, query.rows == "list")
                    if what:
                        self.different(query, name, what)
        return times

    def turns(self, runs):
        """The median seconds of each of several functions that give seconds, in turns after one warm-up."""
        for run in runs.values():
            run()
        times = {name: [] for name in runs}
        for _ in range(self.rounds):
            for name, run in runs.items():
                times[name].append(run())
        return {name: report.median(of) for name, of in times.items()}

    def table(self, queries, workers):
        """A table of queries against peers, the ratios beside the times; gives the ratios by peer."""
        paper = self.paper
        paper.header("query", "MB", "foldl", "GB/s", *(cell for name in workers for cell in (name, "×")))
        ratios = {name: {} for name in workers}
        for query in queries:
            times = self.measure(query, workers)
            size = os.path.getsize(data.path(query.data))
            ours = report.median(times["foldl"])
            wrong = any(name == query.name for name, _ in self.differences)
            cells = [
                query.name + (" **differs**" if wrong else ""),
                f"{size / 1e6:.0f}",
                report.seconds(ours),
                report.gigabytes(size, ours),
            ]
            for name in workers:
                if name in times:
                    theirs = report.median(times[name])
                    ratios[name][query.name] = theirs / ours
                    cells += [report.seconds(theirs), f"{theirs / ours:.2f}"]
                else:
                    cells += ["fails" if workers[name].variants[query.name] else "", ""]
            paper.row(*cells)
        return ratios

    def commands(self, *names):
        """The slow peers that are wanted and installed."""
        return commands.slow_peers([name for name in names if name in self.options.peers])
