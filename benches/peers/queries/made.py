"""One question for each made shape, the hostile ones among them: an aggregate of some fields, often filtered.

Fields stand in double quotes, as some of their names are keywords somewhere.
"""

from dataclasses import replace

import hostile

from .query import Query, chdb, duckdb, duckdb_objects

CHDB = {"VARCHAR": "String", "INTEGER": "Int64", "DOUBLE": "Float64"}


def flat(name, text, columns, optional=(), section="peers"):
    """A question about top-level fields, which every engine takes in the same words.

    `optional` are fields that some records lack.
    """

    def polars(frame, pl):
        kinds = {"VARCHAR": pl.String, "INTEGER": pl.Int64, "DOUBLE": pl.Float64}
        return pl.SQLContext(input=frame({column: kinds[kind] for column, kind in columns.items()})).execute(text)

    structure = {column: CHDB[kind] for column, kind in columns.items()}
    structure |= {column: f"Nullable({structure[column]})" for column in optional}
    return Query(
        name=name,
        data=name.removesuffix("_length"),
        section=section,
        foldl=text,
        duckdb=[duckdb(text, columns)],
        polars=polars,
        chdb=chdb(text.replace("length(", "lengthUTF8("), structure),
    )


def hurting(name, text, columns):
    """A question about a hostile shape."""
    return flat(name, text, columns, section="hostile")


LOG = """
    select "level" as k, count(*) as n, sum("bytes") as bytes
    from input
    where "method" = 'GET'
    group by k"""
LOG_COLUMNS = {"level": "VARCHAR", "bytes": "INTEGER", "method": "VARCHAR"}
GROUP = """
    select "group" as k, count(*) as n, sum("value") as total
    from input
    where "value" >= 100
    group by k"""
GROUP_COLUMNS = {"group": "VARCHAR", "value": "INTEGER"}
LONG = [hostile.LONG_NAMES[place] for place in [0, 7, 8]]
NESTED = """
    select region as k, count(*) as n, avg({length}) as item_count, sum({price}) as first_price
    from input
    where total > 100
    group by k"""

QUERIES = [
    flat(
        "wide60",
        """
            select "region" as k, count(*) as n, avg("latency_ms") as latency
            from input
            where "status_code" >= 500
            group by k""",
        {"region": "VARCHAR", "latency_ms": "DOUBLE", "status_code": "INTEGER"},
    ),
    flat("hash_order", LOG, LOG_COLUMNS),
    flat(
        "spaced",
        """
            select "label" as k, count(*) as n, avg("score") as score, sum("tokens") as tokens
            from input
            where "split" = 'train'
            group by k""",
        {"label": "VARCHAR", "score": "DOUBLE", "tokens": "INTEGER", "split": "VARCHAR"},
    ),
    flat(
        "escaped",
        """
            select "lang" as k, count(*) as n, avg("stars") as stars, max("id") as last
            from input
            group by k""",
        {"lang": "VARCHAR", "stars": "INTEGER", "id": "INTEGER"},
    ),
    flat(
        "escaped_length",
        """
            select "lang" as k, count(*) as n, avg(length("text")) as length
            from input
            where "stars" > 1
            group by k""",
        {"lang": "VARCHAR", "stars": "INTEGER", "text": "VARCHAR"},
    ),
    flat(
        "chinese",
        """
            select "city" as k, count(*) as n, sum("amount") as amount
            from input
            where "category" = '图书'
            group by k""",
        {"city": "VARCHAR", "amount": "DOUBLE", "category": "VARCHAR"},
    ),
    flat(
        "numbers",
        """
            select "sensor" as k, count(*) as n, sum("price") as price, avg("p") as p, max("mean") as mean
            from input
            where "gauss" > 0
            group by k""",
        {"sensor": "INTEGER", "price": "DOUBLE", "p": "DOUBLE", "mean": "DOUBLE", "gauss": "DOUBLE"},
    ),
    Query(
        name="nested",
        data="nested",
        foldl=NESTED.format(length="length(items)", price="items[0].price"),
        duckdb=[
            duckdb(
                NESTED.format(length="len(items)", price="items[1].price"),
                {"items": "STRUCT(price DOUBLE)[]", "region": "VARCHAR", "total": "DOUBLE"},
            ),
        ],
        polars=lambda frame, pl: (
            frame({"items": pl.List(pl.Struct({"price": pl.Float64})), "region": pl.String, "total": pl.Float64})
            .filter(pl.col("total") > 100)
            .group_by("region")
            .agg(
                pl.len(),
                pl.col("items").list.len().mean().alias("length"),
                pl.col("items").list.get(0, null_on_oob=True).struct.field("price").sum().alias("price"),
            )
        ),
        chdb=chdb(
            NESTED.format(length="length(items)", price="items[1].price"),
            {"items": "Array(Tuple(price Float64))", "region": "String", "total": "Float64"},
        ),
    ),
    flat(
        "mixed20",
        """
            select "type" as k, count(*) as n, sum("ms") as ms
            from input
            where "type" <> 'or.6'
            group by k""",
        {"type": "VARCHAR", "ms": "INTEGER"},
        optional=["ms"],
    ),
    flat(
        "tiny",
        """
            select "k" as key, count(*) as n, sum("v") as total
            from input
            group by key""",
        {"k": "VARCHAR", "v": "INTEGER"},
    ),
    flat(
        "large50k",
        """
            select "kind" as k, count(*) as n, sum("size") as size, max("id") as last
            from input
            group by k""",
        {"kind": "VARCHAR", "size": "INTEGER", "id": "VARCHAR"},
    ),
    hurting("new_keys", GROUP, GROUP_COLUMNS),
    hurting("alternating", LOG, LOG_COLUMNS),
    hurting("deep", GROUP, GROUP_COLUMNS),
    hurting(
        "long_keys",
        f"""
            select "{LONG[0]}" as k, count(*) as n, sum("{LONG[1]}") as total
            from input
            where "{LONG[2]}" = 'search'
            group by k""",
        {LONG[0]: "VARCHAR", LONG[1]: "INTEGER", LONG[2]: "VARCHAR"},
    ),
    replace(
        hurting("dupes", GROUP, GROUP_COLUMNS),
        # Declared columns refuse a record with a key that stands twice.
        duckdb=[
            duckdb_objects("""
                select json->>'$.group' as k, count(*), sum((json->'$.value')::integer)
                from input
                where (json->'$.value')::integer >= 100
                group by k""")
        ],
    ),
    hurting(
        "escaped_keys",
        """
            select "café" as k, count(*) as n, sum("value") as total
            from input
            where "text/plain" <> ''
            group by k""",
        {"café": "VARCHAR", "value": "INTEGER", "text/plain": "VARCHAR"},
    ),
]
