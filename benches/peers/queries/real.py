"""Questions about real files: a security log, a Windows event log, a server's status, exercises with answers."""

from .query import Query, chdb, duckdb

ZEEK = 'select _path, count(*) as n, sum("id.resp_p") as ports, sum(rtt) as seconds from input group by _path'
WINDOWS = """
    select Channel, EventID, count(*) as n, sum(ExecutionProcessID) as ids
    from input
    group by Channel, EventID"""
STATUS = """
    select address, count(*) as n, sum(upstreams."trac-backend".peers[{first}].requests) as requests,
           max(caches.http_cache.hit.bytes) as hits
    from input
    group by address"""
LENGTH = "select count(*) as n, avg({length}(answer)) as length from input"


def sum_or_null(pl, column):
    """A sum over nothing is NULL in SQL."""
    return pl.when(pl.col(column).count() > 0).then(pl.col(column).sum()).alias(column)


def status(frame, pl):
    """The deep paths of the server's status."""
    requests = pl.List(pl.Struct({"requests": pl.Int64}))
    backend = pl.col("upstreams").struct.field("trac-backend").struct.field("peers")
    cache = pl.col("caches").struct.field("http_cache").struct.field("hit").struct.field("bytes")
    return (
        frame(
            {
                "address": pl.String,
                "upstreams": pl.Struct({"trac-backend": pl.Struct({"peers": requests})}),
                "caches": pl.Struct({"http_cache": pl.Struct({"hit": pl.Struct({"bytes": pl.Int64})})}),
            }
        )
        .group_by("address")
        .agg(pl.len(), backend.list.get(0).struct.field("requests").sum(), cache.max())
    )


QUERIES = [
    Query(
        name="zeek_path",
        data="zeek",
        foldl=ZEEK,
        duckdb=[duckdb(ZEEK, {"_path": "VARCHAR", "id.resp_p": "INTEGER", "rtt": "DOUBLE"})],
        polars=lambda frame, pl: (
            frame({"_path": pl.String, "id.resp_p": pl.Int64, "rtt": pl.Float64})
            .group_by("_path")
            .agg(pl.len(), sum_or_null(pl, "id.resp_p"), sum_or_null(pl, "rtt"))
        ),
        chdb=chdb(ZEEK, {"_path": "String", "id.resp_p": "Nullable(Int64)", "rtt": "Nullable(Float64)"}),
    ),
    Query(
        name="winlog_event",
        data="winlog_empire",
        foldl=WINDOWS,
        duckdb=[duckdb(WINDOWS, {"Channel": "VARCHAR", "EventID": "INTEGER", "ExecutionProcessID": "INTEGER"})],
        polars=lambda frame, pl: (
            frame({"Channel": pl.String, "EventID": pl.Int64, "ExecutionProcessID": pl.Int64})
            .group_by("Channel", "EventID")
            .agg(pl.len(), pl.col("ExecutionProcessID").sum())
        ),
        chdb=chdb(WINDOWS, {"Channel": "String", "EventID": "Int64", "ExecutionProcessID": "Int64"}),
    ),
    Query(
        name="nginx_deep_path",
        data="nginxplus",
        foldl=STATUS.format(first=0),
        duckdb=[
            duckdb(
                STATUS.format(first=1),
                {
                    "address": "VARCHAR",
                    "upstreams": 'STRUCT("trac-backend" STRUCT(peers STRUCT(requests BIGINT)[]))',
                    "caches": "STRUCT(http_cache STRUCT(hit STRUCT(bytes BIGINT)))",
                },
            )
        ],
        polars=status,
        chdb=chdb(
            STATUS.format(first=1),
            {
                "address": "String",
                "upstreams": "Tuple(`trac-backend` Tuple(peers Array(Tuple(requests Int64))))",
                "caches": "Tuple(http_cache Tuple(hit Tuple(bytes Int64)))",
            },
        ),
    ),
    Query(
        name="gsm8k_length",
        data="gsm8k",
        foldl=LENGTH.format(length="length"),
        duckdb=[duckdb(LENGTH.format(length="length"), {"answer": "VARCHAR"})],
        polars=lambda frame, pl: frame({"answer": pl.String}).select(
            pl.len(), pl.col("answer").str.len_chars().mean().alias("length")
        ),
        chdb=chdb(LENGTH.format(length="lengthUTF8"), {"answer": "String"}),
    ),
]
