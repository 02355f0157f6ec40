"""Questions that need more of the language: arrays taken apart, quantiles, regular expressions, time zones."""

from .query import Query, duckdb

UNNEST = """
    select region as k, count(*) as n, sum(item.qty * item.price) as revenue
    from {source}
    group by k"""
QUANTILES = """
    select productId as k, quantile_cont(price, 0.9) as high, mode(quantity) as usual
    from input
    group by k
    order by k
    limit 20"""
TEXTS = """
    select status as k, {about} as users
    from input
    group by k"""
PATTERN = """
    select regexp_extract(userId, 'u-(..)', 1) as k, count(*) as n
    from input
    where regexp_matches(orderId, '[0-9]{{3}}[a-f]+$')
    group by k"""
BUCKETS = """
    select strftime(time_bucket(interval '6 hours', {moment}), '%Y-%m-%d %H') as k, count(*) as n
    from input
    group by k"""


def question(name, data, ours, theirs, columns, rows="set"):
    return Query(name=name, data=data, section="language", rows=rows, foldl=ours, duckdb=[duckdb(theirs, columns)])


QUERIES = [
    question(
        "unnest",
        "nested",
        UNNEST.format(source="input, unnest(items) as item"),
        UNNEST.format(source="(select region, unnest(items) as item from input)"),
        {"items": "STRUCT(qty BIGINT, price DOUBLE)[]", "region": "VARCHAR"},
    ),
    question(
        "quantiles",
        "orders",
        QUANTILES,
        QUANTILES,
        {"productId": "VARCHAR", "price": "DOUBLE", "quantity": "INTEGER"},
        rows="list",
    ),
    question(
        "distinct_by_status",
        "orders",
        TEXTS.format(about="count(distinct userId)"),
        TEXTS.format(about="count(distinct userId)"),
        {"status": "VARCHAR", "userId": "VARCHAR"},
    ),
    question(
        "patterns",
        "orders",
        PATTERN.format(),
        # Formatted again, with the path.
        PATTERN,
        {"userId": "VARCHAR", "orderId": "VARCHAR"},
    ),
    question(
        "buckets",
        "orders",
        BUCKETS.format(moment="orderDate"),
        BUCKETS.format(moment="orderDate"),
        {"orderDate": "TIMESTAMP"},
    ),
]
