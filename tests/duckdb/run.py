"""Compares foldl with DuckDB over the fixtures: the same question to both, the same answer expected. Questions about
tables that have scalar columns only are put to foldl three times: about JSON Lines, and about the CSV and the JSON array
that DuckDB writes of the table.

    tests/duckdb/run.py --foldl PATH

Rows are compared as sets, or in order where the query has ORDER BY; floats within 1e-12 relative, everything else
exactly. Deliberate differences are written into the queries below, each with its reason.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import duckdb

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures"

TABLES = {
    "orders": (
        "orders.jsonl.gz",
        "orderId varchar, userId varchar, productId varchar, quantity bigint, price double, status varchar,"
        " orderDate varchar",
    ),
    "users": (
        "users.jsonl",
        "userId varchar, name varchar, email varchar, segment varchar, country varchar, signupDate varchar,"
        " age bigint, tags varchar[]",
    ),
    "products": (
        "products.jsonl",
        "productId varchar, name varchar, category varchar, brand varchar, price double, stock bigint, rating double",
    ),
    "events": (
        "events.jsonl",
        'did varchar, time_us bigint, kind varchar,'
        ' "commit" struct(operation varchar, collection varchar, record struct(langs varchar[], "text" varchar))',
    ),
}

# (table, query of foldl, query of DuckDB or None if it is the same with `from` added)
CASES = [
    ("orders", "select count(*) as n", None),
    ("orders", "select status, count(*) as n group by status", None),
    ("orders", "select status, sum(quantity) as q, avg(quantity) as a group by status", None),
    ("orders", "select status, sum(price) as s, avg(price) as a group by status", None),
    ("orders", "select status, sum(quantity * price) as s where price > 20 group by status", None),
    ("orders", "select status, min(price) as lo, max(price) as hi, median(price) as mid group by status", None),
    ("orders", "select status, stddev(price) as sd, variance(price) as v group by status", None),
    ("orders", "select status, stddev_pop(price) as sd, var_pop(price) as v group by status", None),
    ("orders", "select count(distinct userId) as u, count(distinct productId) as p", None),
    ("orders", "select productId, sum(quantity) as q group by productId order by q desc, productId limit 10", None),
    ("orders", "select quantity, count(*) as n group by quantity having count(*) > 50 order by quantity", None),
    ("orders", "select status, quantity, count(*) as n group by status, quantity", None),
    ("orders", "select status, quantity, count(*) as n group by all", None),
    ("orders", "select distinct status, quantity", None),
    ("orders", "select orderId, price where price between 10 and 12", None),
    ("orders", "select orderId where status in ('pending', 'refunded') and not quantity > 1", None),
    ("orders", "select orderId where status not in ('completed', 'shipped') or price >= 1000", None),
    ("orders", "select orderId where userId like 'u-0000_1' or productId like '%99'", None),
    ("orders", "select orderId where status ilike 'COMP%' and price < 5", None),
    ("orders", "select orderId where orderId like '%' || right(userId, 1) || '_' || left(productId, 1) || '%'", None),
    ("orders", "select orderId where orderId like '%' || right(userId, 1)", None),
    ("orders", "select orderId where orderId not ilike upper(left(orderId, 5)) || '%'", None),
    ("orders", "select orderId, ilike_escape(status, left(status, 2) || '!%', '!') as x, status like '%ed' escape left(status, 1) as y", None),
    ("orders", "select orderId where status similar to '(comp|ref).*' and price < 5", None),
    ("orders", "select array_slice(orderId, 2, 4) as a, array_slice(status, -3, -2) as b, array_slice(status, 0, quantity) as c", None),
    # Slices in brackets count from 0 here and leave their end out.
    ("orders", "select orderId[1:4] as a, status[-3:-1] as b, status[:2] as c, status[3:] as d",
     "select orderId[2:4], status[-3:-2], status[:2], status[4:] from orders"),
    ("users", "select userId, tags[:2] as a, tags[1:] as b, tags[-1:] as c, list_slice(tags, 2, 3) as d",
     "select userId, tags[:2], tags[2:], tags[-1:], list_slice(tags, 2, 3) from users"),
    ("orders", "select orderId, price order by price desc, orderId limit 20", None),
    ("orders", "select orderId, price order by price, orderId limit 20 offset 5", None),
    ("orders", "select orderId, quantity * price + 1 as x, quantity - 3 as d, -quantity as m", None),
    ("orders", "select orderId, quantity / 3 as q, quantity // 3 as i, quantity % 3 as r", None),
    # Division by zero is NULL and counted; DuckDB 2 gives infinity, which JSON cannot write.
    (
        "orders",
        "select orderId, quantity / (quantity - 1) as q",
        "select orderId, quantity / nullif(quantity - 1, 0) as q from orders",
    ),
    ("orders", "select orderId, case when price > 100 then 'dear' when price > 10 then 'fair' else 'cheap' end as c", None),
    ("orders", "select case status when 'completed' then 1 else 0 end as c, count(*) as n group by c", None),
    ("orders", "select count(*) filter (where price > 100) as dear, count(*) as n", None),
    ("orders", "select count_if(price > 100) as dear", None),
    ("orders", "select min_by(orderId, price + quantity / 1000.0) as a", None),
    ("orders", "select status, max_by(orderId, orderDate) as last group by status", None),
    ("orders", "select round(price, 1) as r, round(price) as w, floor(price) as f, ceil(price) as c, abs(-price) as a", None),
    ("orders", "select orderId || '/' || quantity as k, concat(status, '-', quantity) as c", None),
    ("orders", "select cast(price as bigint) as i, cast(quantity as double) as d, quantity::varchar as t", None),
    ("orders", "select try_cast(status as bigint) as i, count(*) as n group by i", None),
    ("orders", "select coalesce(null, status) as s, nullif(quantity, 1) as q, greatest(quantity, 3) as g, least(price, 9.5) as l", None),
    (
        "orders",
        "select date(orderDate) as d, count(*) as n group by d",
        "select strftime(cast(cast(orderDate as timestamp) as date), '%Y-%m-%d') as d, count(*) as n from orders group by d",
    ),
    (
        "orders",
        "select year(orderDate) as y, month(orderDate) as m, day(orderDate) as d, hour(orderDate) as h, count(*) as n group by all",
        "select year(t) as y, month(t) as m, day(t) as d, hour(t) as h, count(*) as n"
        " from (select cast(orderDate as timestamp) as t from orders) group by all",
    ),
    (
        "orders",
        "select quarter(orderDate) as q, week(orderDate) as w, dayofweek(orderDate) as d, dayofyear(orderDate) as y, count(*) as n group by all",
        "select quarter(t) as q, week(t) as w, dayofweek(t) as d, dayofyear(t) as y, count(*) as n"
        " from (select cast(orderDate as timestamp) as t from orders) group by all",
    ),
    (
        "orders",
        "select epoch_ms(orderDate) as e, count(*) as n group by e",
        "select epoch_ms(cast(orderDate as timestamp)) as e, count(*) as n from orders group by e",
    ),
] + [
    (
        "orders",
        f"select epoch_ms(date_trunc('{unit}', orderDate)) as t, count(*) as n group by t",
        f"select epoch_ms(cast(date_trunc('{unit}', cast(orderDate as timestamp)) as timestamp)) as t, count(*) as n from orders group by t",
    )
    for unit in ("second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade", "century")
] + [
    ("users", "select country, count(*) as n, avg(age) as a, count(age) as k group by country", None),
    ("users", "select userId where age is null", None),
    ("users", "select userId, age where age is not null order by age desc nulls first, userId limit 15", None),
    # DuckDB puts NULLs last in both directions, too.
    ("users", "select userId, age order by age, userId", None),
    ("users", "select userId, age order by age desc, userId", None),
    # Upper case is that of Unicode, where one character can become two (ß, SS); DuckDB maps one to one (ß, ẞ).
    (
        "users",
        "select upper(name) as u, lower(name) as l, length(name) as n",
        "select replace(upper(name), 'ẞ', 'SS') as u, lower(name) as l, length(name) as n from users",
    ),
    ("users", "select substring(name, 2, 3) as a, substring(name, -3) as b, substring(name, 0, 2) as c, left(name, 4) as d, right(name, 4) as e", None),
    ("users", "select replace(name, 'a', '-') as r, contains(name, 'el') as c, starts_with(name, 'A') as s, trim(name) as t", None),
    ("users", "select tags[0] as t, count(*) as n group by t", "select tags[1] as t, count(*) as n from users group by t"),
    ("users", "select len(tags) as k, count(*) as n group by k", None),
    ("users", "select segment, count(distinct country) as c, any_value(segment) as a group by segment", None),
    ("users", "select count(*) as n where signupDate >= '2022-01-01' and country in ('DE', 'FR', 'JP')", None),
    ("products", "select category, count(*) as n, sum(stock) as s, avg(rating) as r, max(price) as p group by category", None),
    ("products", "select brand, category, sum(price * stock) as v group by brand, category", None),
    ("products", "select productId where rating is null and stock > 100", None),
    ("products", "select productId where rating > 4.5 is true", None),
    ("products", "select productId, rating is distinct from 4 as d", None),
    ("events", "select kind, count(*) as n group by kind", None),
    ("events", "select commit.collection as c, count(*) as n, count(distinct did) as u group by c", None),
    ("events", "select commit.operation as o, count(*) as n where kind = 'commit' group by o", None),
    ("events", "select did, min(time_us) as first, max(time_us) - min(time_us) as span group by did", None),
    ("events", "select length(commit.record.text) as l, count(*) as n group by l", None),
    ("events", "select commit.record.langs[0] as l, count(*) as n group by l",
     'select "commit".record.langs[1] as l, count(*) as n from events group by l'),
    # The five questions of JSONBench.
    ("events", "select commit.collection as event, count(*) as n group by event order by n desc, event", None),
    ("events", "select commit.collection as event, count(*) as n, count(distinct did) as users"
     " where kind = 'commit' and commit.operation = 'create' group by event order by n desc, event", None),
    ("events", "select commit.collection as event, hour(make_timestamp(time_us)) as hour, count(*) as n"
     " where kind = 'commit' and commit.operation = 'create' and commit.collection in ('app.plaza.feed.post',"
     " 'app.plaza.feed.repost', 'app.plaza.feed.like') group by event, hour order by hour, event", None),
    ("events", "select did, min(make_timestamp(time_us))::varchar as first where kind = 'commit' and"
     " commit.operation = 'create' and commit.collection = 'app.plaza.feed.post' group by did"
     " order by min(time_us), did limit 3",
     "select did, strftime(min(make_timestamp(time_us)), '%Y-%m-%dT%H:%M:%S.') || rtrim(strftime(min(make_timestamp(time_us)),"
     " '%f'), '0') || 'Z' as first from events where kind = 'commit' and \"commit\".operation = 'create' and"
     " \"commit\".collection = 'app.plaza.feed.post' group by did order by min(time_us), did limit 3"),
    ("events", "select did, date_diff('ms', min(make_timestamp(time_us)), max(make_timestamp(time_us))) as span"
     " where kind = 'commit' and commit.operation = 'create' and commit.collection = 'app.plaza.feed.post'"
     " group by did order by span desc, did limit 3", None),
    # Orders, users and products.
    *[
        ("orders", query.replace("users", "'fixtures/users.jsonl'").replace("products", "'fixtures/products.jsonl'"),
         query.replace("input", "orders"))
        for query in [
            "select u.country, count(*) as n, sum(o.quantity * o.price) as revenue, count(distinct o.userId) as who"
            " from input o join users u using (userId) where o.status = 'completed' group by u.country",
            "select u.segment, p.category, count(*) as n, sum(o.quantity * o.price) as revenue, avg(u.age) as age"
            " from input o left join users u using (userId) left join products p using (productId)"
            " group by u.segment, p.category",
            "select o.orderId, u.name, p.brand, p.price - o.price as saved from input o join users u on o.userId = u.userId"
            " join products p on o.productId = p.productId and p.price > o.price where u.age > 60",
            "select count(*) as n, sum(quantity) as q from input o semi join users u on o.userId = u.userId and u.country = 'US'",
            "select status, count(*) as n from input o anti join users u using (userId) group by status",
            "select p.category, count(*) as n from products p left join input o on p.productId = o.productId"
            " and o.quantity > 4 group by p.category",
            "with spent as (select userId, sum(quantity * price) as total from input group by userId)"
            " select u.segment, count(*) as n, max(s.total) as most from spent s join users u using (userId) group by u.segment",
            "select country, n from (select u.country, count(*) as n from input o join users u using (userId)"
            " group by u.country) where n > 30",
        ]
    ],
]


def with_from(query, table):
    """DuckDB's query: FROM stands before the first clause after the select list."""
    words = (" where ", " group by ", " having ", " order by ", " limit ")
    # `filter (where …)` is no clause of the query.
    depth, at = 0, len(query)
    for i, c in enumerate(query):
        depth += (c == "(") - (c == ")")
        if depth == 0 and any(query.startswith(word, i) for word in words):
            at = i
            break
    return f"{query[:at]} from {table}{query[at:]}".replace("commit.", '"commit".')


def same(a, b):
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool):
        return a == b or math.isclose(a, b, rel_tol=1e-12)
    return a == b


def row_key(row):
    numbers = lambda v: round(float(v), 9) if isinstance(v, (int, float)) and not isinstance(v, bool) else v
    return json.dumps([numbers(v) for v in row], ensure_ascii=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--foldl", required=True)
    args = parser.parse_args()
    foldl = pathlib.Path(args.foldl).resolve()
    db = duckdb.connect()
    folder = tempfile.TemporaryDirectory()
    files = {table: [str(FIXTURES / file)] for table, (file, _) in TABLES.items()}
    for table, (file, columns) in TABLES.items():
        spec = ", ".join(f"{name}: '{kind.strip()}'" for name, kind in split_columns(columns))
        db.execute(
            f"create table {table} as select * from read_json('{FIXTURES / file}',"
            f" format='newline_delimited', columns={{{spec}}})"
        )
        if "[]" not in columns and "struct" not in columns:
            for copy, options in [(f"{table}.csv", "header"), (f"{table}.json", "format json, array true")]:
                path = str(pathlib.Path(folder.name) / copy)
                db.execute(f"copy {table} to '{path}' ({options})")
                files[table].append(path)
    failed = 0
    cases = [(table, query, other, file) for table, query, other in CASES for file in files[table]]
    for table, query, other, file in cases:
        run = subprocess.run([foldl, "-q", "-j", "2", query, file], cwd=ROOT, capture_output=True, text=True)
        ours = [list(json.loads(line).values()) for line in run.stdout.splitlines()]
        theirs = [list(row) for row in db.execute(other or with_from(query, table)).fetchall()]
        if "order by" not in query:
            ours.sort(key=row_key)
            theirs.sort(key=row_key)
        equal = run.returncode == 0 and len(ours) == len(theirs)
        difference = next(
            ((a, b) for a, b in zip(ours, theirs) if len(a) != len(b) or not all(map(same, a, b))), None
        )
        if not equal or difference:
            failed += 1
            print(f"DIFFERENT: {query} {file}\n  foldl:  {len(ours)} rows {run.stderr.strip()}\n  DuckDB: {len(theirs)} rows")
            if difference:
                print(f"  foldl:  {difference[0]}\n  DuckDB: {difference[1]}")
    print(f"{len(cases) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


def split_columns(columns):
    """The columns of a list such as `a bigint, b struct(c varchar, d varchar)`."""
    depth, start = 0, 0
    for i, c in enumerate(columns + ","):
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            name, kind = columns[start:i].strip().split(" ", 1)
            yield name if name.startswith('"') else f'"{name}"', kind
            start = i + 1


main()
