"""Questions that need more of the language: arrays taken apart, joins, quantiles, regular expressions, exact decimals."""

import data

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

BY_COUNTRY = """
    select country as k, count(*) as n, sum(price * quantity) as revenue
    from input join {users} using (userId)
    group by k"""
ENRICHED = """
    select segment as k, category as c, sum(quantity * o.price) as revenue
    from input o left join {users} u using (userId) left join {products} p using (productId)
    where status = 'completed'
    group by k, c"""
SEMI = """
    select count(*) as n, sum(quantity) as q
    from input semi join (select * from {users} where country = 'US') using (userId)"""
MONEY = """
    select status as k, sum({price} * quantity){cast} as revenue
    from input
    group by k"""
SIDES = {
    "users": {"userId": "VARCHAR", "country": "VARCHAR", "segment": "VARCHAR"},
    "products": {"productId": "VARCHAR", "category": "VARCHAR"},
}


def question(name, data, ours, theirs, columns, rows="set", beside=()):
    return Query(
        name=name,
        data=data,
        section="language",
        rows=rows,
        foldl=ours,
        duckdb=[duckdb(theirs, columns)],
        beside=list(beside),
    )


def join(name, text, beside, columns):
    """A question over orders with other files beside them, read with declared columns."""
    files = {side: f"'{data.path(side)}'" for side in beside}
    read = {
        side: duckdb("from input", SIDES[side]).removeprefix("from ").replace("'{path}'", files[side]) for side in beside
    }
    return question(name, "orders", text.format(**files), text.format(**read), columns, beside=beside)


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
    join(
        "join_country",
        BY_COUNTRY,
        ["users"],
        {"userId": "VARCHAR", "price": "DOUBLE", "quantity": "INTEGER"},
    ),
    join(
        "join_enriched",
        ENRICHED,
        ["users", "products"],
        {
            "userId": "VARCHAR",
            "productId": "VARCHAR",
            "price": "DOUBLE",
            "quantity": "INTEGER",
            "status": "VARCHAR",
        },
    ),
    join("join_semi", SEMI, ["users"], {"userId": "VARCHAR", "quantity": "INTEGER"}),
    question(
        "money",
        "orders",
        MONEY.format(price="decimal(price)", cast=""),
        MONEY.format(price="price", cast="::double"),
        {"status": "VARCHAR", "price": "DECIMAL(18, 2)", "quantity": "INTEGER"},
    ),
]
