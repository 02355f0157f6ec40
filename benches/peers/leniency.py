"""What each engine makes of a record that is no JSON, where the fault is in a field that the question does not use.

A file has three records, of which the second is bad. The question sums `v`, which is 1, 10 and 100: an answer of 101
left the bad record out, 111 took it, an error refused the file, and 1 or so lost good records as well.
"""

from peers import Refused
from queries.query import Query, chdb, duckdb, duckdb_objects

BAD = {
    "invalid UTF-8 in a text": b'{"u":"a\xffb","v":10}',
    "an overlong UTF-8 form": b'{"u":"a\xc0\xafb","v":10}',
    "an unknown escape": b'{"u":"a\\qb","v":10}',
    "a broken \\u escape": b'{"u":"\\u12zz","v":10}',
    "a raw control character in a text": b'{"u":"a\x01b","v":10}',
    "a number with a leading zero": b'{"u":01,"v":10}',
    "a number that ends in a dot": b'{"u":1.,"v":10}',
    "a misspelt literal": b'{"u":tru,"v":10}',
    "NaN": b'{"u":NaN,"v":10}',
    "a missing comma": b'{"u":1 "v":10}',
    "a comma at the end": b'{"u":1,"v":10,}',
    "an array that is not closed": b'{"u":[1,2,"v":10}',
    "something after the record": b'{"u":1,"v":10} x',
    "a fault after the field that is used": b'{"v":10,"u":"a\\qb"}',
    "a comment": b'{"u":1,/* none */"v":10}',
    "single quotes": b"{'u':1,\"v\":10}",
}
TEXT = "select sum(v) as total from input"
VERDICTS = {101: "left out", 111: "**taken**", 1: "stops there"}

QUERY = Query(
    name="leniency",
    data="leniency",
    foldl="sum(v) as total",
    duckdb=[
        duckdb(TEXT, {"v": "BIGINT"}),
        duckdb_objects("select sum((json->>'$.v')::bigint) from input"),
        duckdb(TEXT, {"v": "BIGINT"}, ignore_errors="true"),
    ],
    polars=lambda frame, pl: frame({"v": pl.Int64}).select(pl.col("v").sum()),
    chdb=chdb(TEXT, {"v": "Int64"}),
)


def engines(suite):
    """Each way of asking, by its title: a function from a path to the total."""
    found = {"foldl": lambda path: suite.foldl.run(QUERY, path, suite.output())[1][0][0]}
    titles = {
        "duckdb": ["DuckDB, columns", "DuckDB, objects", "DuckDB, ignore_errors"],
        "polars": ["Polars"],
        "chdb": ["chDB"],
    }
    for name, peer in suite.peers(*titles).items():
        for variant, title in enumerate(titles[name]):
            found[title] = lambda path, peer=peer, variant=variant: peer.ask(QUERY, variant, path)[1][0][0]
    return found


def validation(suite):
    """What each engine makes of a bad record."""
    suite.paper.heading(
        "Validation",
        "Three records, of which the second is no JSON: what happens to it where the question does not use the field "
        "with the fault. foldl leaves such a line out, and counts and locates it.",
    )
    ways = engines(suite)
    suite.paper.header("the fault", *ways)
    for fault, bad in BAD.items():
        path = f"{suite.folder}/leniency.jsonl"
        with open(path, "wb") as file:
            file.write(b'{"u":0,"v":1}\n' + bad + b'\n{"u":0,"v":100}\n')
        verdicts = []
        for ask in ways.values():
            try:
                total = ask(path)
                verdicts.append(VERDICTS.get(total, f"total {total}"))
            except Refused:
                verdicts.append("error")
        suite.paper.row(fault, *verdicts)
