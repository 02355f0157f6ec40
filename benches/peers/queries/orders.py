"""Questions about orders of seven fields: the main job, groups few and many, filters, the dearest."""

from .query import Query, chdb, duckdb, duckdb_objects

JOB = """
    select {date} as date, count(*) as totalOrders, sum(quantity * price) as totalRevenue,
           avg(quantity * price) as avgOrderValue
    from input
    where status = 'completed'
    group by date"""
WHOLE = {
    "orderId": "VARCHAR",
    "userId": "VARCHAR",
    "productId": "VARCHAR",
    "quantity": "INTEGER",
    "price": "DOUBLE",
    "status": "VARCHAR",
    "orderDate": "VARCHAR",
}
WHOLE_CHDB = {
    name: {"VARCHAR": "String", "INTEGER": "Int64", "DOUBLE": "Float64"}[kind] for name, kind in WHOLE.items()
}


def job_columns(day):
    return {"quantity": "INTEGER", "price": "DOUBLE", "status": "VARCHAR", "orderDate": day}


def day(frame, pl):
    """The main job in Polars, by the first ten characters of the date."""
    value = pl.col("quantity") * pl.col("price")
    return (
        frame({"quantity": pl.Int64, "price": pl.Float64, "status": pl.String, "orderDate": pl.String})
        .filter(pl.col("status") == "completed")
        .group_by(pl.col("orderDate").str.slice(0, 10).alias("date"))
        .agg(pl.len(), value.sum().alias("revenue"), value.mean().alias("average"))
    )


def top(frame, pl, key):
    """The ten greatest groups of a key, in Polars."""
    value = (pl.col("quantity") * pl.col("price")).sum().alias("revenue")
    return (
        frame({key: pl.String, "quantity": pl.Int64, "price": pl.Float64})
        .group_by(key)
        .agg(pl.len(), value)
        .sort("revenue", descending=True)
        .limit(10)
    )


def whole(frame, pl):
    """Whole records in Polars."""
    kinds = {"VARCHAR": pl.String, "INTEGER": pl.Int64, "DOUBLE": pl.Float64}
    return frame({name: kinds[kind] for name, kind in WHOLE.items()})


def by(name, key):
    """The ten greatest groups of a key."""
    text = f"""
        select {key}, count(*) as orders, sum(quantity * price) as revenue
        from input
        group by {key}
        order by revenue desc
        limit 10"""
    return Query(
        name=name,
        data="orders",
        rows="list",
        foldl=text,
        duckdb=[duckdb(text, {key: "VARCHAR", "quantity": "INTEGER", "price": "DOUBLE"})],
        polars=lambda frame, pl: top(frame, pl, key),
        chdb=chdb(text, {key: "String", "quantity": "Int64", "price": "Float64"}),
    )


def keep(name, condition, polars):
    """Whole records, written to a file."""
    select = f"select * from input where {condition}"
    return Query(
        name=name,
        data="orders",
        rows="file",
        columns=WHOLE,
        foldl=f"where {condition}",
        duckdb=[
            f"copy ({duckdb(select, WHOLE)}) to '{{output}}' (format json)",
            f"copy ({duckdb(select, WHOLE)}) to '{{output}}' (format csv, header false)",
        ],
        polars=lambda frame, pl: whole(frame, pl).filter(polars(pl)),
        chdb=chdb(select, WHOLE_CHDB) + " into outfile '{output}' truncate format JSONEachRow",
    )


GROUPS = "select orderId, count(*) as n from input group by orderId"

QUERIES = [
    Query(
        name="orders_day",
        data="orders",
        foldl=JOB.format(date="date(orderDate)"),
        # The fastest way to take the day depends on the version.
        duckdb=[
            duckdb(JOB.format(date="left(orderDate, 10)"), job_columns("VARCHAR")),
            duckdb(JOB.format(date="substr(orderDate, 1, 10)"), job_columns("VARCHAR")),
            duckdb(JOB.format(date="cast(orderDate as date)"), job_columns("TIMESTAMP")),
            duckdb(JOB.format(date="orderDate"), job_columns("DATE")),
            duckdb(JOB.format(date="cast(left(orderDate, 10) as date)"), job_columns("VARCHAR")),
        ],
        polars=day,
        chdb=chdb(
            JOB.format(date="substring(orderDate, 1, 10)"),
            {"quantity": "Int64", "price": "Float64", "status": "String", "orderDate": "String"},
        ),
        datafusion=JOB.format(date='left("orderDate", 10)')
        .replace("from input", "from orders")
        .replace("quantity", '"quantity"'),
        spark=JOB.format(date="left(orderDate, 10)").replace("from input", "from orders"),
    ),
    by("orders_product", "productId"),
    by("orders_user", "userId"),
    Query(
        name="orders_distinct_users",
        data="orders",
        foldl="count(distinct userId) as users",
        duckdb=[duckdb("select count(distinct userId) from input", {"userId": "VARCHAR"})],
        polars=lambda frame, pl: frame({"userId": pl.String}).select(pl.col("userId").n_unique()),
        chdb=chdb("select uniqExact(userId) from input", {"userId": "String"}),
    ),
    keep(
        "orders_filter_few",
        "status = 'shipped' and price > 100",
        lambda pl: (pl.col("status") == "shipped") & (pl.col("price") > 100),
    ),
    keep("orders_filter_most", "status = 'completed'", lambda pl: pl.col("status") == "completed"),
    Query(
        name="orders_dearest",
        data="orders",
        rows="list",
        foldl="order by price desc, orderId limit 10",
        duckdb=[duckdb("select * from input order by price desc, orderId limit 10", WHOLE)],
        polars=lambda frame, pl: whole(frame, pl).sort(["price", "orderId"], descending=[True, False]).limit(10),
        chdb=chdb("select * from input order by price desc, orderId limit 10", WHOLE_CHDB),
    ),
    Query(
        name="orders_count",
        data="orders",
        foldl="count(*) as n",
        duckdb=[
            duckdb("select count(*) from input", {"quantity": "INTEGER"}),
            duckdb_objects("select count(*) from input"),
        ],
        polars=lambda frame, pl: frame({"quantity": pl.Int64}).select(pl.len()),
        chdb=chdb("select count() from input", {"quantity": "Int64"}),
    ),
    Query(
        name="orders_5m_groups",
        data="orders",
        rows="file",
        columns={"orderId": "VARCHAR", "n": "BIGINT"},
        foldl="orderId, count(*) as n group by orderId",
        options=["-m", "4GiB"],
        duckdb=[
            f"copy ({duckdb(GROUPS, {'orderId': 'VARCHAR'})}) to '{{output}}' (format json)",
            f"copy ({duckdb(GROUPS, {'orderId': 'VARCHAR'})}) to '{{output}}' (format csv, header false)",
        ],
        polars=lambda frame, pl: frame({"orderId": pl.String}).group_by("orderId").agg(pl.len().alias("n")),
        chdb=chdb(GROUPS, {"orderId": "String"}) + " into outfile '{output}' truncate format JSONEachRow",
    ),
]
