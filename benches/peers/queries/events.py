"""Questions about events of a social network, nested and of several kinds: those of the JSONBench suite."""

from .query import Query, chdb, duckdb

DUCKDB = {
    "did": "VARCHAR",
    "time_us": "BIGINT",
    "kind": "VARCHAR",
    "commit": "STRUCT(operation VARCHAR, collection VARCHAR)",
}
CHDB = {
    "did": "String",
    "time_us": "Int64",
    "kind": "String",
    "commit": "Tuple(operation Nullable(String), collection Nullable(String))",
}
CREATED = "kind = 'commit' and commit.operation = 'create'"
LIKED = "commit.collection in ('app.plaza.feed.post', 'app.plaza.feed.repost', 'app.plaza.feed.like')"
POSTED = "commit.collection = 'app.plaza.feed.post'"


def only(columns, *names):
    """The columns of these names, in one engine's types."""
    return {name: columns[name] for name in [*names, "kind", "commit"]}


def created(frame, pl, *names):
    """The events that create something, with `event` as their collection."""
    kinds = {
        "did": pl.String,
        "time_us": pl.Int64,
        "kind": pl.String,
        "commit": pl.Struct({"operation": pl.String, "collection": pl.String}),
    }
    commit = pl.col("commit").struct
    return (
        frame(only(kinds, *names))
        .filter((pl.col("kind") == "commit") & (commit.field("operation") == "create"))
        .with_columns(commit.field("collection").alias("event"))
    )


def per_user(name, value, polars, order):
    """An aggregate of the times of each user who posted, and the three users that come first."""
    text = f"""
        select did as user, {value} as value
        from input
        where {CREATED} and {POSTED}
        group by user
        order by value {order}, user
        limit 3"""
    return Query(
        name=name,
        data="events",
        rows="list",
        foldl=text,
        duckdb=[duckdb(text, only(DUCKDB, "did", "time_us"))],
        polars=lambda frame, pl: (
            created(frame, pl, "did", "time_us")
            .filter(pl.col("event") == "app.plaza.feed.post")
            .group_by("did")
            .agg(polars(pl.col("time_us")).alias("value"))
            .sort(["value", "did"], descending=[order == "desc", False])
            .limit(3)
        ),
        chdb=chdb(text, only(CHDB, "did", "time_us")),
    )


KIND = "select commit.collection as event, count(*) as n from input group by event"
USERS = f"""
    select commit.collection as event, count(*) as n, {{users}} as users
    from input
    where {CREATED}
    group by event"""
HOUR = f"""
    select commit.collection as event, {{hour}} as hour, count(*) as n
    from input
    where {CREATED} and {LIKED}
    group by event, hour"""

QUERIES = [
    Query(
        name="events_kind",
        data="events",
        foldl=KIND,
        duckdb=[duckdb(KIND, {"commit": "STRUCT(collection VARCHAR)"})],
        polars=lambda frame, pl: (
            frame({"commit": pl.Struct({"collection": pl.String})})
            .group_by(pl.col("commit").struct.field("collection"))
            .agg(pl.len())
        ),
        chdb=chdb(KIND, {"commit": "Tuple(collection Nullable(String))"}),
    ),
    Query(
        name="events_users",
        data="events",
        foldl=USERS.format(users="count(distinct did)"),
        duckdb=[duckdb(USERS.format(users="count(distinct did)"), only(DUCKDB, "did"))],
        polars=lambda frame, pl: created(frame, pl, "did").group_by("event").agg(pl.len(), pl.col("did").n_unique()),
        chdb=chdb(USERS.format(users="uniqExact(did)"), only(CHDB, "did")),
    ),
    Query(
        name="events_hour",
        data="events",
        foldl=HOUR.format(hour="hour(to_timestamp(time_us // 1000000))"),
        duckdb=[duckdb(HOUR.format(hour="hour(make_timestamp(time_us))"), only(DUCKDB, "time_us"))],
        polars=lambda frame, pl: (
            created(frame, pl, "time_us")
            .filter(pl.col("event").is_in(["app.plaza.feed.post", "app.plaza.feed.repost", "app.plaza.feed.like"]))
            .group_by("event", (pl.col("time_us") // 3_600_000_000 % 24).alias("hour"))
            .agg(pl.len())
        ),
        chdb=chdb(HOUR.format(hour="toHour(fromUnixTimestamp64Micro(time_us, 'UTC'))"), only(CHDB, "time_us")),
    ),
    per_user("events_first_posts", "min(time_us)", lambda time: time.min(), "asc"),
    per_user("events_longest_activity", "max(time_us) - min(time_us)", lambda time: time.max() - time.min(), "desc"),
]
