"""The questions of the suite."""

from . import events, language, made, orders, real
from .query import Query

QUERIES: list[Query] = [*orders.QUERIES, *events.QUERIES, *real.QUERIES, *made.QUERIES, *language.QUERIES]


def named(names=()):
    """The questions of these names, or all; a name that ends in `*` stands for all that begin so."""
    if not names:
        return QUERIES
    chosen = []
    for name in names:
        found = [
            query
            for query in QUERIES
            if query.name == name or (name.endswith("*") and query.name.startswith(name[:-1]))
        ]
        if not found:
            raise SystemExit(f"no query {name}; there are {', '.join(query.name for query in QUERIES)}")
        chosen += [query for query in found if query not in chosen]
    return chosen
