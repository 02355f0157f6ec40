#!/usr/bin/env python3
"""Measures `foldl run`, and prints tables in Markdown.

    target/bench-venv/bin/python benches/peers/jobs.py [--sections peers,five,checkpoints] [--rounds 3] [--threads 2]

`peers`: the job of examples/jobs/daily-etl over 5 million orders, beside the same job in SQL of DuckDB and in PySpark: the
same checks, the same outputs, which are compared. `five`: five outputs in one pass, beside each of them alone.
`checkpoints`: a job with checkpoints beside itself without, in pairs.

The files are those of data.py, the binary is FOLDL (target/release/foldl). SCALE=small takes a twentieth.
"""

import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import answers
import data

HERE = Path(__file__).resolve()
EXAMPLE = data.ROOT / "examples/jobs/daily-etl/daily.toml"
DAY = "2025-02-01"
# Orders as both read them: only the columns of the job, prices as decimals.
COLUMNS = {"orderId": "VARCHAR", "userId": "VARCHAR", "productId": "VARCHAR", "quantity": "INTEGER", "price": "DECIMAL(18,2)",
           "status": "VARCHAR", "orderDate": "VARCHAR"}
FACTS = ["orderId", "userId", "productId", "category", "brand", "segment", "country", "quantity", "price", "amount", "orderDate", "date"]
ENRICHED = """
    select o.orderId, o.userId, o.productId, p.category, p.brand, u.segment, coalesce(u.country, 'none') as country,
           o.quantity, o.price, o.price * o.quantity as amount, o.orderDate
    from orders o left join users u using (userId) left join products p using (productId)
    where o.status = 'completed'"""
SUMMARY = "select count(*) as orders, sum(amount) as revenue, avg(amount) as averageOrder, count(distinct userId) as customers from enriched"
TOP = """select productId, category, brand, sum(quantity) as sold, sum(amount) as revenue from enriched
         group by productId, category, brand order by revenue desc, productId limit 10"""
CHECKS = """select count(*) as n, count(orderId) - count(distinct orderId) as twice, count(*) - count(userId) as nulls,
                   sum(case when quantity < 1 or quantity > 1000 then 1 else 0 end) as out_of_range from orders"""
UNKNOWN = "from orders o left anti join users u on o.userId = u.userId where o.userId is not null"

# Five outputs over the same records, none of which is nearly free.
FIVE = {
    "facts": "query = \"select *, date(orderDate) as date from enriched\"\ncompression = \"zst\"\npartition_by = [\"country\"]",
    "customers": "query = \"select userId, count(*) as orders, sum(amount) as revenue, max(orderDate) as last from enriched group by userId\"",
    "days": "query = \"select date(orderDate) as date, country, count(*) as orders, sum(amount) as revenue, count(distinct userId) as customers from enriched group by all\"",
    "dearest": "query = \"select orderId, amount, category from enriched order by amount desc, orderId limit 1000\"",
    "brands": "query = \"select category, brand, median(quantity) as quantity, sum(amount) as revenue from enriched group by all\"",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", default="peers,five,checkpoints")
    parser.add_argument("--peers", default="duckdb,spark")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--worker", nargs=2, metavar=("PEER", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        peer, folder = options.worker
        print(json.dumps({"duckdb": duckdb_job, "spark": spark_job}[peer](Path(folder), options.threads)))
        return
    print(f"# foldl run, {datetime.date.today()}\n")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before; {options.threads} threads, {options.rounds} rounds, medians\n", flush=True)
    data.make("orders")
    with tempfile.TemporaryDirectory(dir=data.path("orders").parent) as folder:
        inputs = prepare(Path(folder))
        sections = {"peers": peers, "five": five, "checkpoints": checkpoints}
        for name in options.sections.split(","):
            sections[name](Path(folder), inputs, options)


def prepare(folder):
    """Lays the files out as the job wants them: how many bytes of orders there are."""
    day = folder / "raw/orders" / DAY
    for place in (day, folder / "lake/users", folder / "lake/products"):
        place.mkdir(parents=True)
    (day / "orders.jsonl").symlink_to(data.make("orders").resolve())
    (folder / "lake/users/users.jsonl").symlink_to(data.make("users").resolve())
    query = "productId, name, category, brand, stock"
    products = folder / "lake/products/products.csv"
    subprocess.run([data.foldl(), "-q", "--format", "csv", "-o", products, query, data.make("products")], check=True)
    return (day / "orders.jsonl").stat().st_size


def job(folder, change=lambda text: text):
    """The job of the example. Its orders are of all days of a year, so that countries alone make its partitions."""
    text = EXAMPLE.read_text().replace('partition_by = ["date", "country"]', 'partition_by = ["country"]')
    (folder / "daily.toml").write_text(change(text.replace('checkpoint = "30s"\n', "")))


def run_foldl(folder, threads, *more):
    """Wall seconds, processor seconds and the most memory of a run of the job."""
    for name in ("warehouse", ".foldl", "rejects"):
        shutil.rmtree(folder / name, ignore_errors=True)
    return timed([data.foldl(), "run", "daily.toml", "--var", f"date={DAY}", "-q", "-j", str(threads), *more], folder)


def timed(command, folder, output=None):
    os.sync()
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=output)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with exit code {process.returncode}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


# The job in other words.


def duckdb_job(folder, threads):
    """By DuckDB, from the process's first query on. Orders are read once, into a table in memory."""
    import duckdb

    out = folder / "duckdb"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    start = time.monotonic()
    connection = duckdb.connect()
    ask = connection.execute
    ask(f"set threads = {threads}")
    kinds = ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items())
    ask(f"create table orders as select * from read_json('{folder}/raw/orders/{DAY}/*.jsonl', format = 'newline_delimited', columns = {{{kinds}}}, ignore_errors = true)")
    ask(f"create table users as select * from read_json('{folder}/lake/users/*.jsonl', format = 'newline_delimited', "
        "columns = {userId: 'VARCHAR', country: 'VARCHAR', segment: 'VARCHAR'})")
    ask(f"create table products as select * from read_csv('{folder}/lake/products/*.csv')")
    ask(f"create table enriched as {ENRICHED}")
    checks = list(ask(CHECKS).fetchone()) + [ask("select sum(amount)::double from enriched").fetchone()[0]]
    unknown = f"select o.* {UNKNOWN}".replace("left anti", "anti")
    checks.append(ask(f"select count(*) from ({unknown})").fetchone()[0])
    ask(f"copy ({unknown}) to '{out}/unknown.json' (format json)")
    ask(f"copy (select *, orderDate[:10] as date from enriched) to '{out}/fact_orders' (format json, partition_by (country), compression zstd, file_extension 'json.zst')")
    ask(f"copy ({SUMMARY}) to '{out}/summary.json' (format json)")
    ask(f"copy ({TOP}) to '{out}/top.csv' (format csv, header true)")
    return {"seconds": time.monotonic() - start, "version": duckdb.__version__, "checks": checks}


def spark_job(folder, threads):
    """By Spark, without the start of its session. What is read by several outputs is kept, in memory or on disk."""
    import pyspark
    from pyspark.sql import SparkSession

    out = folder / "spark"
    shutil.rmtree(out, ignore_errors=True)
    session = (
        SparkSession.builder.master(f"local[{threads}]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", str(threads))
        .config("spark.driver.memory", "4g")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.local.dir", str(folder / "spark-tmp"))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    start = time.monotonic()
    schema = ", ".join(f"{name} {kind.replace('VARCHAR', 'string').replace('INTEGER', 'int').lower()}" for name, kind in COLUMNS.items())
    session.read.schema(schema).json(f"{folder}/raw/orders/{DAY}").createOrReplaceTempView("orders")
    session.read.schema("userId string, country string, segment string").json(f"{folder}/lake/users").createOrReplaceTempView("users")
    session.read.option("header", True).csv(f"{folder}/lake/products").createOrReplaceTempView("products")
    enriched = session.sql(ENRICHED).persist()
    enriched.createOrReplaceTempView("enriched")
    checks = list(session.sql(CHECKS).first()) + [float(session.sql("select sum(amount) from enriched").first()[0])]
    unknown = session.sql(f"select o.* {UNKNOWN}").persist()
    checks.append(unknown.count())
    unknown.coalesce(1).write.json(f"{out}/unknown")
    facts = session.sql("select *, substring(orderDate, 1, 10) as date from enriched").repartition("country")
    facts.write.partitionBy("country").option("compression", "gzip").json(f"{out}/fact_orders")
    session.sql(SUMMARY).coalesce(1).write.json(f"{out}/summary")
    session.sql(TOP).coalesce(1).write.option("header", True).csv(f"{out}/top")
    return {"seconds": time.monotonic() - start, "version": pyspark.__version__, "checks": checks}


def read_outputs(folder, facts, summary, top):
    """What an engine wrote: the number of facts and the sum of their hashes, the summary, the list."""
    import duckdb

    kinds = ", ".join(
        f"{name}: '{'DECIMAL(18,2)' if name in ('price', 'amount') else 'INTEGER' if name == 'quantity' else 'VARCHAR'}'"
        for name in FACTS if name != "country"
    )
    rows = duckdb.execute(
        f"select count(*), sum(hash({', '.join(FACTS)})::hugeint) from read_json('{facts}', format = 'newline_delimited', "
        f"columns = {{{kinds}}}, hive_partitioning = true, hive_types = {{country: 'VARCHAR'}})"
    ).fetchone()
    summary = duckdb.execute(
        f"select orders, revenue::double, averageOrder::double, customers from read_json('{summary}', format = 'newline_delimited')"
    ).fetchone()
    top = duckdb.execute(f"select productId, category, brand, sold::bigint, revenue::double from read_csv('{top}', header = true)").fetchall()
    return [rows, summary, *top]


def places(engine, folder):
    if engine == "foldl":
        house = folder / "warehouse"
        return house / "fact_orders/*/*.zst", house / f"daily_summary/date={DAY}/part-*", house / f"top_products/date={DAY}/part-*"
    if engine == "duckdb":
        return folder / "duckdb/fact_orders/*/*.zst", folder / "duckdb/summary.json", folder / "duckdb/top.csv"
    return folder / "spark/fact_orders/*/*.gz", folder / "spark/summary/part-*", folder / "spark/top/part-*"


def peers(folder, inputs, options):
    engines = ["foldl", *options.peers.split(",")]
    if "spark" in engines and not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        print("Spark is left out: it needs Java, and there is none.\n")
        engines.remove("spark")
    job(folder)
    found = {engine: [] for engine in engines}
    told, outputs = {}, {}
    for _ in range(options.rounds):
        for engine in list(engines):
            if engine == "foldl":
                found[engine].append((0.0, *run_foldl(folder, options.threads)))
                report = json.loads((folder / ".foldl/daily-etl/report.json").read_text())["results"]
                observed = {result["name"]: result for result in report}
                told[engine] = {"version": subprocess.run([data.foldl(), "-V"], capture_output=True, text=True).stdout.split()[-1], "checks": [
                    observed["orders.row_count"]["records"], observed["orders.unique(orderId)"]["failing"], observed["orders.not_null(userId)"]["failing"],
                    observed["orders.range(quantity)"]["failing"], observed["revenue"]["observed"], observed["orders.relationship(userId)"]["failing"]]}
            else:
                result = folder / "result.json"
                try:
                    with open(result, "wb") as output:
                        whole = timed([sys.executable, HERE, "--worker", engine, str(folder), "--threads", str(options.threads)], folder, output)
                except RuntimeError as error:
                    print(f"{engine} is left out: {error}\n")
                    engines.remove(engine)
                    continue
                told[engine] = json.loads(result.read_text().splitlines()[-1])
                found[engine].append((told[engine]["seconds"], *whole))
            if engine not in outputs:
                outputs[engine] = read_outputs(folder, *places(engine, folder))
    print(f"## The daily job over {outputs['foldl'][0][0]:,} facts of {inputs / 1e6:.0f} MB of orders\n")
    print("| | s in all | s without start | CPU s | peak MB | × foldl | answers |\n|---|---|---|---|---|---|---|")
    middle = lambda rows, place: statistics.median(row[place] for row in rows)
    for engine in engines:
        rows = found[engine]
        wall, inner = middle(rows, 1), middle(rows, 0) or middle(rows, 1)
        problem = answers.difference(outputs[engine], outputs["foldl"], True) or answers.difference([told[engine]["checks"]], [told["foldl"]["checks"]], True)
        peak = f"{max(row[3] for row in rows) / 1e6:.0f}" if engine != "spark" else "not told"
        cpu = f"{middle(rows, 2):.1f}" if engine != "spark" else "not told"
        print(f"| {engine} {told[engine]['version']} | {wall:.2f} | {inner:.2f} | {cpu} | {peak} | {inner / middle(found['foldl'], 1):.2f} | {problem or 'equal'} |")
    print(flush=True)


def five_job(folder, names):
    text = EXAMPLE.read_text()
    text = text[: text.index("[[checks]]")].replace('checkpoint = "30s"\n', "")
    outputs = "".join(f'[[outputs]]\nname = "{name}"\npath = "warehouse/{name}"\n{FIVE[name]}\n' for name in names)
    (folder / "daily.toml").write_text(text + outputs)


def five(folder, inputs, options):
    sets = [[name] for name in FIVE] + [list(FIVE)]
    found = [[] for _ in sets]
    for _ in range(options.rounds):
        for at, names in enumerate(sets):
            five_job(folder, names)
            found[at].append(run_foldl(folder, options.threads))
    medians = [[statistics.median(row[place] for row in rows) for place in range(3)] for rows in found]
    dearest, together = max(row[0] for row in medians[:-1]), sum(row[0] for row in medians[:-1])
    print("## Five outputs in one pass\n\n| | s | CPU s | peak MB |\n|---|---|---|---|")
    for names, row in zip([*FIVE, "all five"], medians):
        print(f"| {names} | {row[0]:.2f} | {row[1]:.2f} | {row[2] / 1e6:.0f} |")
    cpu = max(row[1] for row in medians[:-1])
    print(f"\nAll five take {medians[-1][0] / dearest:.2f} times as long as the dearest alone ({medians[-1][1] / cpu:.2f} times its CPU time), "
          f"and {medians[-1][0] / together:.2f} of the time of all one after another.\n", flush=True)


def checkpoints(folder, inputs, options):
    print("## Checkpoints of the daily job\n")
    print("| checkpoints in a run | s without | s with | s more | CPU s more | ms for each | share at one in 30 s | the same of CPU time |\n|---|---|---|---|---|---|---|---|")
    for count in (1, 4, 16):
        # So many, as none comes when all has been read.
        interval = f"{inputs // (count + 1) // 1024 + 1}KiB"
        pairs = []
        for at in range(options.rounds):
            pair = {}
            for which in (("without", "with"), ("with", "without"))[at % 2]:
                job(folder, lambda text: text.replace("[run]\n", f'[run]\ncheckpoint = "{interval}"\n') if which == "with" else text)
                pair[which] = run_foldl(folder, options.threads)
            pairs.append(pair)
        middle = lambda which, place: statistics.median(pair[which][place] for pair in pairs)
        more, cpu = (statistics.median(pair["with"][place] - pair["without"][place] for pair in pairs) for place in (0, 1))
        each = more / count
        print(f"| {count} | {middle('without', 0):.2f} | {middle('with', 0):.2f} | {more:.2f} | {cpu:.2f} | {1000 * each:.0f} | {each / 30:.2%} | {cpu / count / 30:.2%} |", flush=True)
    print()


if __name__ == "__main__":
    main()
