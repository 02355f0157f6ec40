"""The suite: puts the questions to foldl and its peers in turns, checks the answers, and prints a report.

Started by `run`, which installs what this needs. Exit code 1: an answer differs.
"""

import argparse
import datetime
import os
import signal
import sys
import tempfile

import commands
import compare
import data
import report
import sections
from queries import named

PEERS = ["duckdb", "polars", "chdb"]
MAIN_JOB_PEERS = ["datafusion", "spark", *commands.SLOW]


def words(text):
    return text.replace(",", " ").split()


def parse():
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--queries", type=words, default=[], help="names of queries; a trailing * matches any end (all)"
    )
    parser.add_argument("--peers", type=words, default=[*PEERS, *MAIN_JOB_PEERS], help="names of peers (all)")
    parser.add_argument(
        "--sections", type=words, default=list(sections.SECTIONS), help=f"of {', '.join(sections.SECTIONS)} (all)"
    )
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", "5")))
    parser.add_argument("--threads", type=int, default=int(os.environ.get("THREADS", "2")))
    parser.add_argument("--save", action="store_true", help="write the report to benches/results, too")
    options = parser.parse_args()
    if options.rounds < 5:
        parser.error("fewer than 5 rounds say little")
    for kind, known in [("peers", [*PEERS, *MAIN_JOB_PEERS]), ("sections", sections.SECTIONS)]:
        unknown = [name for name in getattr(options, kind) if name not in known]
        if unknown:
            parser.error(f"no {kind} {', '.join(unknown)}; there are {', '.join(known)}")
    return options


def main():
    options = parse()
    # Ends by the ordinary way, so that temporary files go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load = os.getloadavg()[0]
    queries = [query for query in named(options.queries) if all(map(data.make, [query.data, *query.beside]))]
    left_out = [query.name for query in named(options.queries) if query not in queries]
    if left_out:
        print(f"LEFT OUT, as their files are not there: {', '.join(left_out)}", file=sys.stderr)

    paper = report.Report()
    foldl = commands.Foldl(data.foldl(), options.threads)
    # Beside the inputs, so that what is written goes to the same disk as always.
    with tempfile.TemporaryDirectory(dir=data.path("orders").parent) as folder:
        suite = compare.Suite(foldl, queries, options, folder, paper)
        paper.say(f"# foldl {foldl.version} and its peers, {datetime.date.today()}\n")
        paper.say(f"`benches/peers/run`. {report.machine()}; load before the run {load:.1f}.\n")
        paper.say(
            f"{options.threads} threads each, page cache warm, {options.rounds} rounds in turns, medians in seconds. foldl "
            "is a whole process, start and end included; DuckDB, Polars, chDB, DataFusion and Spark are warm, and only the "
            "query counts. README.md in benches/peers says what each is given."
        )
        if left_out:
            paper.say(f"\nLeft out, as their files were not there: {', '.join(left_out)}.")
        for name in options.sections:
            sections.SECTIONS[name](suite)
        suite.close()

    if suite.differences:
        paper.say("\n**Answers differ:**\n")
        for line in suite.differences.values():
            paper.say(f"- {line}")
    if options.save:
        name = f"{datetime.date.today()}-peers.md"
        (data.ROOT / "benches/results" / name).write_text(paper.text())
        print(f"saved as benches/results/{name}", file=sys.stderr)
    sys.exit(bool(suite.differences))


if __name__ == "__main__":
    main()
