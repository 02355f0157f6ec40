"""The sections of the report: each is a function of the suite that measures and writes one of them."""

import os
import shutil
import subprocess
import sys

import answers
import commands
import data
import leniency
import peers
import report
from queries import named

WARM = ["duckdb", "polars", "chdb"]
# A question of each kind, for the sections that look at one circumstance rather than at all questions.
KINDS = [
    "orders_day",
    "orders_user",
    "orders_filter_most",
    "orders_count",
    "events_users",
    "winlog_event",
    "wide60",
    "chinese",
    "numbers",
    "hash_order",
]


def of_kinds(suite):
    """A question of each kind, as far as their files are there."""
    return [query for query in named(KINDS) if data.make(query.data)]


def queries(suite):
    """Every question to foldl and the warm peers."""
    workers = suite.peers(*WARM)
    versions = ", ".join(f"{name} {peer.version}" for name, peer in workers.items())
    suite.paper.heading(
        "Questions", f"× is the time of the peer through that of foldl: above 1, foldl is faster. {versions}."
    )
    asked = [query for query in suite.queries if query.section == "peers"]
    means(suite, suite.table(asked, workers))
    suite.stop(*WARM)


def means(suite, ratios):
    suite.paper.say()
    suite.paper.header("× over all questions", "geometric mean", "least", "at", "greatest")
    for name, by_query in ratios.items():
        if by_query:
            least = min(by_query, key=by_query.get)
            suite.paper.row(
                f"{name}/foldl",
                f"{report.geometric_mean(by_query.values()):.2f}",
                f"{by_query[least]:.2f}",
                least,
                f"{max(by_query.values()):.2f}",
            )


def hostile(suite):
    """Shapes that are meant to hurt: no cliff is to be seen in foldl's GB/s."""
    suite.paper.heading(
        "Hostile shapes",
        "Keys that are new in each record, orders that alternate, deep nesting, long keys, keys that stand twice, escapes.",
    )
    means(suite, suite.table([query for query in suite.queries if query.section == "hostile"], suite.peers("duckdb")))


def language(suite):
    """Questions that need more of the language than the others, beside DuckDB."""
    suite.paper.heading("The language", "Arrays taken apart, joins, quantiles, distinct values, regular expressions, buckets of time, exact decimals.")
    means(suite, suite.table([query for query in suite.queries if query.section == "language"], suite.peers("duckdb")))


def main_job(suite):
    """The main job to everything that can do it."""
    paper, query = suite.paper, named(["orders_day"])[0]
    path = data.make("orders")
    # Fresh processes, as their memory is told.
    suite.stop(*WARM)
    workers = suite.peers(*WARM, "datafusion", "spark")
    slow = suite.commands(*commands.SLOW)
    parts = [name for name, (_, part) in slow.items() if part]
    note = f" {', '.join(parts)} got the first {commands.PART:,} lines; their times are scaled to all." if parts else ""
    paper.heading("The main job", f"Orders by day: count, sum and mean.{note}")

    times = suite.measure(query, workers)
    peaks = {name: peer.peak_bytes for name, peer in workers.items() if name != "spark"}
    peaks["foldl"] = commands.peak_bytes(suite.foldl.command(query, path))
    versions = {"foldl": suite.foldl.version} | {name: peer.version for name, peer in workers.items()}
    suite.stop(*workers)
    for name, (command, part) in slow.items():
        print(f"{query.name}: {name} …", file=sys.stderr)
        times[name], peaks[name] = slow_times(suite, query, name, command, part)
        versions[name] = commands.version([command[0], "--version"])

    paper.header("", "s", "×", "peak MiB of the process")
    ours = report.median(times["foldl"])
    for name in sorted(times, key=lambda name: report.median(times[name])):
        median = report.median(times[name])
        peak = report.mebibytes(peaks[name]) if name in peaks else ""
        paper.row(f"{name} {versions[name]}", report.seconds(median), f"{median / ours:.1f}", peak)


def slow_times(suite, query, name, command, part):
    """Times of a slow program, scaled to the whole file, and its peak, after a check of its answer to what it got."""
    path, factor = data.make("orders"), 1
    lines = count(path)
    if part and part < lines:
        path, factor = data.first_lines("orders", part), lines / part
    command, output = [*command, str(path)], suite.output(name)
    _, ours = suite.foldl.run(query, path, suite.output())
    times = []
    for _ in range(suite.rounds):
        times.append(commands.timed(command, output) * factor)
        what = answers.difference(ours, commands.rows_of(output), False)
        if what:
            suite.different(query, name, what)
            break
    return times, commands.peak_bytes(command, runs=1)


def count(path):
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def floor(suite):
    """foldl beside a program that only counts the newlines of the blocks that foldl's own reader gives it."""
    program = os.environ.get("COUNT_LINES")
    if not program or not os.path.exists(program):
        suite.paper.heading("The floor", "Left out: there is no count_lines.")
        return
    suite.paper.heading(
        "The floor",
        "`examples/count_lines.rs` counts newlines in the blocks that foldl's own reader gives it, with as many threads. "
        "Nothing that reads lines can be faster; a program that validates each byte has that much left.",
    )
    suite.paper.header("query", "foldl", "counting lines", "foldl / counting", "foldl GB/s", "counting GB/s")
    for query in of_kinds(suite):
        path = data.path(query.data)
        medians = suite.turns(
            {
                "foldl": lambda: suite.foldl.run(query, path, suite.output())[0],
                "floor": lambda: commands.timed([program, str(suite.threads), str(path)]),
            }
        )
        size = os.path.getsize(path)
        ours, least = medians["foldl"], medians["floor"]
        suite.paper.row(
            query.name,
            report.seconds(ours),
            report.seconds(least),
            f"{ours / least:.1f}",
            report.gigabytes(size, ours),
            report.gigabytes(size, least),
        )


def threads(suite):
    """One thread against as many as are asked for."""
    many = max(2, suite.threads)
    suite.paper.heading("Threads", f"Seconds with one thread and with {many}.")
    single = peers.start(["duckdb"], 1, suite.folder) if "duckdb" in suite.options.peers else {}
    several = suite.peers("duckdb") if many == suite.threads else {}
    both = bool(single and several)
    suite.paper.header(
        "query", "foldl, 1", f"foldl, {many}", "gain", *(["duckdb, 1", f"duckdb, {many}", "gain"] if both else [])
    )
    for query in of_kinds(suite):
        path = data.path(query.data)
        runs = {
            count: lambda count=count: commands.timed(suite.foldl.command(query, path, threads=count), suite.output())
            for count in (1, many)
        }
        if both:
            variant = several["duckdb"].fastest(query, path, lambda rows: None)
            for peer in (single["duckdb"], several["duckdb"]):
                runs[peer] = lambda peer=peer: peer.ask(query, variant, path)[0]
        medians = list(suite.turns(runs).values())
        cells = [query.name]
        for one, more in zip(medians[::2], medians[1::2]):
            cells += [report.seconds(one), report.seconds(more), f"{one / more:.2f}"]
        suite.paper.row(*cells)
    for peer in single.values():
        peer.close()


def startup(suite):
    """A small file, where starting is all there is."""
    path = data.ROOT / "fixtures/orders-day1.jsonl"
    query = named(["orders_day"])[0]
    runs = {"foldl": suite.foldl.command(query, path), "true": ["true"]}
    if shutil.which("jq"):
        runs["jq"] = ["jq", "-nc", commands.JQ, str(path)]
    times = {name: [] for name in runs}
    for _ in range(21):
        for name, command in runs.items():
            times[name].append(commands.timed(command))
    suite.paper.heading(
        "Start-up", f"The main job on {path.name} ({path.stat().st_size / 1000:.0f} kB), whole processes, median of 20."
    )
    suite.paper.header("", "ms")
    for name in runs:
        suite.paper.row(name, f"{report.median(times[name][1:]) * 1e3:.2f}")


def memory(suite):
    """The peak of resident memory of each question."""
    suite.paper.heading(
        "Memory",
        "Peak resident memory of foldl as the kernel counts it, the highest of three runs. Below about 8 MiB it is that of "
        "the small process that starts foldl.",
    )
    suite.paper.header("query", "MB of input", "peak MiB")
    for query in suite.queries:
        path = data.path(query.data)
        peak = commands.peak_bytes(suite.foldl.command(query, path))
        suite.paper.row(query.name, f"{os.path.getsize(path) / 1e6:.0f}", report.mebibytes(peak))


def pressure(suite):
    """Little memory: groups and rows that go to disk."""
    threads = str(suite.foldl.threads)
    [groups] = named(["orders_5m_groups"])
    path = data.make(groups.data)
    suite.paper.heading("Little memory", f"Those of the groups of {path.name} that do not fit go to disk.")
    suite.paper.header("limit", "seconds", "x")
    times = {
        limit: lambda limit=limit: commands.timed(
            [suite.foldl.binary, "-q", "-j", threads, "-m", limit, groups.foldl, str(path)], suite.output()
        )
        for limit in ["4GiB", "64MiB"]
    }
    medians = suite.turns(times)
    for limit, seconds in medians.items():
        suite.paper.row(limit, report.seconds(seconds), f"{seconds / medians['4GiB']:.2f}")
    path = data.make("orders_2gb")
    size = os.path.getsize(path)
    suite.paper.heading("Sorting", f"The {size / 1e9:.1f} GB of {path.name} by their first field, which orders the lines, too.")
    suite.paper.header("command", "seconds", "MB/s")
    sort = ["sort", "-S", "64M", f"--parallel={threads}", str(path)]
    ours = [suite.foldl.binary, "-q", "-j", threads, "-m", "64MiB", "select * order by orderId", str(path)]
    medians = suite.turns(
        {
            "foldl -m 64MiB": lambda: commands.timed(ours, suite.output()),
            "sort -S 64M": lambda: commands.timed(sort, suite.output(), {"LC_ALL": "C"}),
        }
    )
    for name, seconds in medians.items():
        suite.paper.row(name, report.seconds(seconds), f"{size / seconds / 1e6:.0f}")


def piped(command, path, output):
    """Seconds of `cat file | command`."""
    cat = subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE)
    seconds = commands.timed(command, output, stdin=cat.stdout)
    cat.stdout.close()
    cat.wait()
    return seconds


def pipes(suite):
    """Standard input against the file."""
    suite.paper.heading("Pipes", "`cat file | foldl` against `foldl file`.")
    suite.paper.header("query", "file", "pipe", "pipe / file", "GB/s of the pipe")
    for query in of_kinds(suite):
        path = data.path(query.data)
        medians = suite.turns(
            {
                "file": lambda: commands.timed(suite.foldl.command(query, path), suite.output()),
                "pipe": lambda: piped(suite.foldl.command(query), path, suite.output()),
            }
        )
        suite.paper.row(
            query.name,
            report.seconds(medians["file"]),
            report.seconds(medians["pipe"]),
            f"{medians['pipe'] / medians['file']:.2f}",
            report.gigabytes(os.path.getsize(path), medians["pipe"]),
        )


def compressed(suite):
    """gzip and zstd, beside the programs that only decompress and beside decompressing by the same library."""
    suite.paper.heading(
        "Compressed files",
        "The main job on compressed orders; `gzip -dc` and `zstd -dc` only decompress, to /dev/null; counting lines "
        "decompresses with foldl's own reader.",
    )
    query = named(["orders_day"])[0]
    data.make("orders")
    program = os.environ.get("COUNT_LINES")
    suite.paper.header("", "MB", "foldl", "the program alone", "foldl / program", "counting lines", "foldl / counting")
    for tool, suffix in [("gzip", "gz"), ("zstd", "zst")]:
        path = data.compressed("orders", tool, suffix)
        if path is None:
            suite.paper.row(suffix, "left out: there is no " + tool, "", "", "", "", "")
            continue
        runs = {
            "foldl": lambda: commands.timed(suite.foldl.command(query, path), suite.output()),
            "tool": lambda: commands.timed([tool, "-dc", str(path)]),
        }
        if program and os.path.exists(program):
            runs["floor"] = lambda: commands.timed([program, str(suite.threads), str(path)])
        medians = suite.turns(runs)
        cells = [f"orders.jsonl.{suffix}", f"{os.path.getsize(path) / 1e6:.0f}", report.seconds(medians["foldl"])]
        for other in ["tool", "floor"]:
            cells += (
                [report.seconds(medians[other]), f"{medians['foldl'] / medians[other]:.2f}"]
                if other in medians
                else ["", ""]
            )
        suite.paper.row(*cells)


def kernels(suite):
    """The same questions with the vector code for older processors."""
    suite.paper.heading(
        "Kernels", "`FOLDL_SIMD` chooses the vector code; without it foldl takes the best that the processor has."
    )
    names = ["best", "avx2", "portable"]
    suite.paper.header("query", *names, "avx2 / best", "portable / best")
    for query in of_kinds(suite):
        path = data.path(query.data)
        medians = suite.turns(
            {
                name: lambda name=name: commands.timed(
                    suite.foldl.command(query, path), suite.output(), {} if name == "best" else {"FOLDL_SIMD": name}
                )
                for name in names
            }
        )
        suite.paper.row(
            query.name,
            *(report.seconds(medians[name]) for name in names),
            *(f"{medians[name] / medians['best']:.2f}" for name in names[1:]),
        )


SECTIONS = {
    section.__name__: section
    for section in [
        queries,
        main_job,
        hostile,
        language,
        floor,
        threads,
        startup,
        memory,
        pressure,
        pipes,
        compressed,
        kernels,
        leniency.validation,
    ]
}
