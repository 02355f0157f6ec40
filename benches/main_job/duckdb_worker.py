"""A warm DuckDB: answers each line of standard input (the number of a variant) by one line of JSON.

The answer holds the seconds of the query alone, from its text to the fetched rows, and the rows.
Every variant names the columns and their types, so that DuckDB detects nothing; they differ in how the day is taken
from orderDate, and the fastest way depends on the version.
"""

import json
import sys
import time

import duckdb

VARIANTS = [
    ("timestamp cast to date", "TIMESTAMP", "cast(orderDate as date)"),
    ("text, cast to timestamp and date", "VARCHAR", "cast(cast(orderDate as timestamp) as date)"),
    ("date", "DATE", "orderDate"),
    ("text, substr", "VARCHAR", "substr(orderDate, 1, 10)"),
    ("text, left", "VARCHAR", "left(orderDate, 10)"),
    ("text, substr cast to date", "VARCHAR", "cast(substr(orderDate, 1, 10) as date)"),
]


def query(path, date_type, date):
    literal = path.replace("'", "''")
    return f"""
        select {date} as date, count(*) as totalOrders, sum(quantity * price) as totalRevenue,
               avg(quantity * price) as avgOrderValue
        from read_json('{literal}', format = 'newline_delimited', columns = {{
            quantity: 'INTEGER', price: 'DOUBLE', status: 'VARCHAR', orderDate: '{date_type}'}})
        where status = 'completed'
        group by 1"""


def main():
    path, threads = sys.argv[1:]
    connection = duckdb.connect()
    connection.execute(f"set threads = {int(threads)}")
    # Gives DuckDB the freedom that the job allows: the order of the groups does not matter to it.
    connection.execute("set preserve_insertion_order = false")
    print(json.dumps({"version": duckdb.__version__, "variants": [name for name, *_ in VARIANTS]}), flush=True)
    for line in sys.stdin:
        _, date_type, date = VARIANTS[int(line)]
        text = query(path, date_type, date)
        start = time.perf_counter()
        rows = connection.execute(text).fetchall()
        seconds = time.perf_counter() - start
        rows = [[str(day), orders, revenue, average] for day, orders, revenue, average in rows]
        print(json.dumps({"seconds": seconds, "rows": rows}), flush=True)


main()
