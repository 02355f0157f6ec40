"""What a query of the suite consists of, and how its texts are completed."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Query:
    """One question about one file, put to each engine in its own words.

    `duckdb` are several ways to ask DuckDB the same, of which a run keeps the fastest. `polars` takes the module and a
    function that scans the file lazily with a schema, and gives a lazy frame. An engine that is None is left out.
    """

    name: str
    data: str
    foldl: str
    duckdb: list[str]
    polars: Callable | None = None
    chdb: str | None = None
    # The main job is put to more engines.
    datafusion: str | None = None
    spark: str | None = None
    # How answers compare: `set` (rows in any order), `list` (in this order), or `file` (many rows of these `columns`,
    # which each engine writes to a file, and which are compared by a digest).
    rows: str = "set"
    columns: dict[str, str] | None = None
    # Further files that the query names.
    beside: list[str] = field(default_factory=list)
    # `peers`, or `hostile` or `language`: told in sections of their own and no part of the means.
    section: str = "peers"
    options: list[str] = field(default_factory=list)


def duckdb(text, columns, **options):
    """A query of DuckDB `from input`: newline-delimited JSON of declared columns, so that nothing is detected."""
    columns = ", ".join(f"\"{name}\": '{kind}'" for name, kind in columns.items())
    options = "".join(f", {name} = {value}" for name, value in options.items())
    source = f"read_json('{{path}}', format = 'newline_delimited', columns = {{{{{columns}}}}}{options})"
    return text.replace("from input", f"from {source}")


def duckdb_objects(text, **options):
    """A query of DuckDB `from input`: a column `json` of whole records, of which fields are taken with `->>`.

    It can be quicker than declared columns where no column is needed.
    """
    options = "".join(f", {name} = {value}" for name, value in options.items())
    return text.replace("from input", f"from read_ndjson_objects('{{path}}'{options})")


def chdb(text, columns):
    """A query of chDB `from input`: JSONEachRow with a declared structure."""
    structure = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
    return text.replace("from input", f"from file('{{path}}', JSONEachRow, '{structure}')")
