"""A warm engine in a process of its own: answers each line of standard input by one line of JSON.

    python worker.py ENGINE THREADS

It is asked {"query": name, "variant": number, "path": file, "output": file} and answers with the seconds from the
query's text to the last row in Python (or in the file, where the question is of that kind), the rows, and the peak
resident memory of the process in KiB so far; or with {"error": text}. An engine is loaded only in its own worker.
"""

import json
import os
import sys
import time


def peak_kib():
    """The peak resident memory of this process, as the kernel counts it."""
    with open("/proc/self/status") as status:
        return next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0)


class DuckDB:
    def __init__(self, threads):
        import duckdb

        self.version = duckdb.__version__
        self.connection = duckdb.connect()
        self.connection.execute(f"set threads = {threads}")
        # The freedom that the job allows: the order of groups and of kept records does not matter to it.
        self.connection.execute("set preserve_insertion_order = false")

    def variants(self, query):
        return len(query.duckdb)

    def run(self, query, variant, path, output):
        text = query.duckdb[variant].format(path=path, output=output)
        return lambda: self.connection.execute(text).fetchall()


class Polars:
    def __init__(self, threads):
        os.environ["POLARS_MAX_THREADS"] = str(threads)
        import polars

        self.module, self.version = polars, polars.__version__

    def variants(self, query):
        return 1 if query.polars else 0

    def run(self, query, variant, path, output):
        def frame(schema):
            return self.module.scan_ndjson(path, schema=schema)

        def ask():
            lazy = query.polars(frame, self.module)
            if query.rows == "file":
                lazy.sink_ndjson(output, engine="streaming")
                return []
            return lazy.collect(engine="streaming").rows()

        return ask


class ChDB:
    def __init__(self, threads):
        import chdb

        self.version = chdb.__version__
        self.connection = chdb.connect(":memory:")
        # Without the cache of counts, which would answer the second count(*) from what the first one found.
        self.settings = (
            f" settings max_threads = {threads}, max_parsing_threads = {threads}, use_cache_for_count_from_files = 0"
        )

    def variants(self, query):
        return 1 if query.chdb else 0

    def run(self, query, variant, path, output):
        text = query.chdb.format(path=path, output=output) + self.settings

        def ask():
            answer = self.connection.query(text, "JSONCompactEachRow").bytes()
            return [json.loads(line) for line in answer.splitlines()]

        return ask


class DataFusion:
    def __init__(self, threads):
        os.environ["TOKIO_WORKER_THREADS"] = str(threads)
        import datafusion
        import pyarrow

        self.version = datafusion.__version__
        self.context = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(threads))
        self.schema = pyarrow.schema(
            {
                "quantity": pyarrow.int64(),
                "price": pyarrow.float64(),
                "status": pyarrow.string(),
                "orderDate": pyarrow.string(),
            }
        )

    def variants(self, query):
        return 1 if query.datafusion else 0

    def run(self, query, variant, path, output):
        self.context.deregister_table("orders")
        self.context.register_json("orders", path, schema=self.schema, file_extension=".jsonl")
        return lambda: [
            tuple(row.values()) for batch in self.context.sql(query.datafusion).collect() for row in batch.to_pylist()
        ]


class Spark:
    """Most of its memory is in a Java process beside this one, so its peak is not told."""

    def __init__(self, threads):
        import pyspark
        from pyspark.sql import SparkSession

        self.version = pyspark.__version__
        self.session = (
            SparkSession.builder.master(f"local[{threads}]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", str(threads))
            .config("spark.driver.memory", "4g")
            .getOrCreate()
        )
        self.session.sparkContext.setLogLevel("ERROR")

    def variants(self, query):
        return 1 if query.spark else 0

    def run(self, query, variant, path, output):
        columns = "quantity int, price double, status string, orderDate string"
        self.session.read.schema(columns).json(path).createOrReplaceTempView("orders")
        return lambda: [tuple(row) for row in self.session.sql(query.spark).collect()]


ENGINES = {"duckdb": DuckDB, "polars": Polars, "chdb": ChDB, "datafusion": DataFusion, "spark": Spark}


def main():
    # What an engine prints by itself must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    import leniency
    from queries import named

    queries = {query.name: query for query in [*named(), leniency.QUERY]}
    engine = ENGINES[sys.argv[1]](int(sys.argv[2]))
    print(
        json.dumps(
            {"version": engine.version, "variants": {name: engine.variants(query) for name, query in queries.items()}}
        ),
        file=answers,
        flush=True,
    )
    for line in sys.stdin:
        order = json.loads(line)
        try:
            ask = engine.run(queries[order["query"]], order["variant"], order["path"], order["output"])
            start = time.perf_counter()
            rows = ask()
            answer = {
                "seconds": time.perf_counter() - start,
                "rows": [list(row) for row in rows],
                "peak_kib": peak_kib(),
            }
        except Exception as error:  # Whatever an engine fails with is told, and is no reason to stop the others.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=str), file=answers, flush=True)


main()
