"""Whether two answers are the same: counts and text exactly, floats within 1e-9 of each other."""

import json


def difference(ours, theirs, ordered):
    """The first difference between two lists of rows, or None."""
    if len(ours) != len(theirs):
        return f"{len(ours)} rows against {len(theirs)}"
    if not ordered:
        ours, theirs = sorted(ours, key=place), sorted(theirs, key=place)
    for one, other in zip(ours, theirs):
        if len(one) != len(other) or not all(map(same, one, other)):
            return f"{one} against {other}"
    return None


def place(row):
    """Sorts rows by what is compared exactly, as floats may differ a little."""
    return [json.dumps(value) for value in row if not isinstance(value, float)]


def same(one, other):
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (one, other))
    if numbers and (isinstance(one, float) or isinstance(other, float)):
        return abs(one - other) <= 1e-9 * max(abs(one), abs(other))
    return one == other


def digest(path, columns):
    """The number of rows in a file and the sum of their hashes: the same whatever their order and format."""
    import duckdb

    with open(path, "rb") as file:
        is_json = file.read(1) == b"{"
    kinds = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    source = (
        f"read_json('{path}', format = 'newline_delimited', columns = {{{kinds}}})"
        if is_json
        else f"read_csv('{path}', header = false, columns = {{{kinds}}})"
    )
    return duckdb.execute(f"select count(*), sum(hash({', '.join(columns)})::hugeint) from {source}").fetchone()
