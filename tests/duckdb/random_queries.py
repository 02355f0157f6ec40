"""Puts random queries over random records to foldl and to DuckDB, and expects the same answers.

    tests/duckdb/random_queries.py --foldl PATH [--queries N] [--seed S]

The same seed gives the same queries. Rows are compared as sets, or in order where the query has ORDER BY over all its
columns; floats within 1e-12 relative or 1e-12 of the greatest number of their column, everything else exactly, decimals
to their last digit. What the two do differently on purpose is not generated, or written in DuckDB's words;
docs/differences.md lists it.
"""

import argparse
import datetime
import decimal
import json
import math
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import duckdb

# Of each path its type and the words of both for it.
COLUMNS = {
    "i": "int",
    "j": "int",
    "f": "float",
    "g": "float",
    "s": "text",
    "t": "text",
    "b": "bool",
    "d": "date",
    "m": "moment",
    "o.a": "int",
    "o.s": "text",
    "p": "money",
    "q": "money",
}
# Of money, which is a number in records, the digits of its decimals, and how many stand after the point.
MONEY = {"p": (12, 2), "q": (9, 4)}
SCHEMA = (
    "{i: 'BIGINT', j: 'BIGINT', f: 'DOUBLE', g: 'DOUBLE', s: 'VARCHAR', t: 'VARCHAR', b: 'BOOLEAN', d: 'DATE', "
    "m: 'TIMESTAMP', o: 'STRUCT(a BIGINT, s VARCHAR)', l: 'BIGINT[]', r: 'BIGINT', "
    "p: 'DECIMAL(12,2)', q: 'DECIMAL(9,4)'}"
)
# The sides of joins: of each its columns, and how a record is made.
SIDES = {
    "sj": ("{j: 'BIGINT', v: 'BIGINT', w: 'VARCHAR'}", lambda r: {"j": r.choice([None, *range(-4, 5)])}),
    "st": ("{t: 'VARCHAR', v: 'BIGINT', w: 'VARCHAR'}", lambda r: {"t": r.choice(["x", "y", "w", None])}),
    "so": (
        "{kj: 'DOUBLE', kt: 'VARCHAR', v: 'BIGINT', w: 'VARCHAR'}",
        lambda r: {"kj": r.choice([None, 1.0, 2, -1, 0.5]), "kt": r.choice(["x", "y"])},
    ),
}
WORDS = ["", "a", "b", "ab", "B", "é", "naïve", "日本", "x-y-z", "a,b;c", "  pad ", "17", "-3.5", "100%", "A_b", "o'clock"]


class Pair(str):
    """An expression in foldl's words, with DuckDB's beside it."""

    def __new__(cls, ours, theirs=None):
        pair = super().__new__(cls, ours)
        pair.theirs = ours if theirs is None else theirs
        return pair


def fill(template, *parts, theirs=None):
    """A pair of a template with `{0}` for the first part, and so on."""
    return Pair(template.format(*parts), (theirs or template).format(*[part.theirs for part in parts]))


def records(random, count):
    """Records with NULLs and missing keys, in various orders of keys."""

    def moment():
        seconds = random.randrange(-10**8, 2 * 10**9)
        text = (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
        return text + random.choice(["Z", ".5Z", ".123456Z", ""])

    def digits(text):
        """A number that is to stand in the record with these digits; see `line`."""
        return f"#{text}#"

    values = {
        "i": lambda: random.choice([0, 1, -1, 7, random.randrange(-100, 100), random.randrange(-(2**40), 2**40)]),
        "j": lambda: random.randrange(-5, 6),
        "f": lambda: random.choice([0.5, -2.25, 1e10, 3.0, random.uniform(-100, 100), random.randrange(-9, 9) / 4]),
        "g": lambda: random.randrange(-20, 20) / 8,
        "s": lambda: random.choice(WORDS),
        "t": lambda: random.choice(["x", "y", "z"]),
        "b": lambda: random.random() < 0.5,
        "d": lambda: str(datetime.date(1970, 1, 1) + datetime.timedelta(days=random.randrange(-3000, 30000))),
        "m": moment,
        "o": lambda: {"a": random.choice([None, random.randrange(9)]), "s": random.choice(WORDS)},
        "p": lambda: digits(f"{random.randrange(-(10 ** random.randrange(1, 10)), 10 ** random.randrange(1, 10)) / 100:.2f}"),
        "q": lambda: digits(random.choice(["0.1", "0.10", "-2.5000", "1e2", "12.3456", "7", str(random.randrange(-99, 99) / 1000)])),
        "l": lambda: [random.choice([None, random.randrange(5)]) for _ in range(random.randrange(4))],
    }
    for number in range(count):
        record = {}
        for key in random.sample(list(values), len(values)):
            fate = random.random()
            if fate < 0.08:
                record[key] = None
            elif fate > 0.16:
                record[key] = values[key]()
        record["r"] = number
        yield record


def side_records(random, make, count):
    """Records of the side of a join, some of them without their key."""
    for _ in range(count):
        record = {**make(random), "v": random.choice([None, *range(6)]), "w": random.choice(WORDS)}
        for key in random.sample(list(record), len(record)):
            if random.random() < 0.05:
                del record[key]
        yield record


def line(record, ascii):
    """A record as JSON, with the digits of its numbers as they were chosen."""
    return re.sub('"#([-+.e0-9]+)#"', r"\1", json.dumps(record, ensure_ascii=ascii)) + "\n"


class Generator:
    """Random expressions by type. `folder` is where the sides of joins are."""

    def __init__(self, random, folder):
        self.random = random
        self.folder = folder
        self.columns = dict(COLUMNS)
        # Whether each record is there once, so that an order by its number is a whole one.
        self.unique = True

    def join(self):
        """A join with a side, whose columns can be used from then on."""
        r = self.random
        name = r.choice(list(SIDES))
        kind = r.choice(["join", "left join", "join", "left join", "semi join", "anti join"])
        if name == "so":
            condition = r.choice(
                ["input.j = so.kj", "so.kj = input.j and input.t = so.kt", "input.j + 1 = so.kj and so.v > input.j",
                 "upper(input.t) = upper(so.kt) and (so.v > 2 or input.b)"]
            )
            on = f" on {condition}"
        else:
            on = f" using ({name[1]})"
        if kind in ("join", "left join"):
            self.columns |= {"v": "int", f"{name}.w": "text"}
            self.unique = False
        return Pair(f"input {kind} '{self.folder}/{name}.jsonl' {name}{on}", f"input {kind} {name}{on}")

    def column(self, kind):
        names = [name for name, of in self.columns.items() if of == kind]
        name = self.random.choice(names)
        # Dates and moments are texts to foldl, and money is a number.
        if kind == "money":
            return Pair(f"{name}::decimal({MONEY[name][0]},{MONEY[name][1]})", name)
        return Pair(name + {"date": "::date", "moment": "::timestamp"}.get(kind, ""), name)

    def literal(self, kind):
        r = self.random
        return Pair(
            {
                "int": lambda: str(r.choice([0, 1, 2, 3, 10, -7])),
                "float": lambda: r.choice(["0.5", "2.0", "-1.25", "1e3"]),
                "text": lambda: "'" + r.choice(WORDS).replace("'", "''") + "'",
                "money": lambda: r.choice(["1.50::decimal(6,2)", "(-0.125)::decimal(6,3)", "3::decimal(4,1)", "decimal '2.5'"]),
                "bool": lambda: r.choice(["true", "false"]),
                "date": lambda: f"date '{r.randrange(1970, 2040)}-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}'",
                "moment": lambda: f"timestamp '{r.randrange(1970, 2040)}-0{r.randrange(1, 9)}-15 0{r.randrange(9)}:30:00'",
            }[kind](),
            None,
        ) if kind != "float" else self.float_literal()

    def float_literal(self):
        text = self.random.choice(["0.5", "2.0", "-1.25", "1000.0"])
        return Pair(f"({text})", f"({text}::double)")

    def expr(self, kind, depth):
        r = self.random
        if depth <= 0 or r.random() < 0.2:
            return self.column(kind) if r.random() < 0.75 else self.literal(kind)
        return getattr(self, kind)(depth - 1)

    def any(self, depth):
        kind = self.random.choice(["int", "int", "float", "money", "money", "text", "bool", "date", "moment"])
        return kind, self.expr(kind, depth)

    def small(self):
        return Pair(str(self.random.choice([0, 1, 2, 3, -1, -2])))

    def int(self, depth):
        r = self.random
        e = self.expr
        choice = r.randrange(20)
        if choice == 19:
            name = r.choice(["list_sum", "list_max", "list_min", "list_count", "list_unique", "len"])
            return fill(name + "({0})", self.list(depth))
        if choice == 18:
            part = r.choice(["year", "month", "day", "hour", "minute", "second", "quarter", "decade", "microsecond", "millisecond"])
            return fill("extract(" + part + " from {0})", self.span(depth))
        if choice == 17:
            return fill("list_position({0}, {1})", self.list(depth), self.small())
        if choice == 16:
            return fill(r.choice(["sign({0})", "({0})::bigint"]), e("money", depth))
        if choice == 0:
            return fill("({0} + {1})", e("int", depth), e("int", depth))
        if choice == 1:
            return fill("({0} - {1})", e("int", depth), e("int", depth))
        if choice == 2:
            return fill("({0} * {1})", self.column("int"), self.literal("int"))
        if choice == 3:
            return fill("({0} % {1})", e("int", depth), Pair(str(r.choice([2, 3, 7, -4]))))
        if choice == 4:
            return fill("({0} // {1})", e("int", depth), Pair(str(r.choice([2, 3, 7, -4]))))
        if choice == 5:
            return fill("length({0})", e("text", depth))
        if choice == 6:
            return fill("abs({0})", e("int", depth))
        if choice == 7:
            return fill("coalesce({0}, {1})", e("int", depth), e("int", depth))
        if choice == 8:
            return fill("case when {0} then {1} else {2} end", e("bool", depth), e("int", depth), e("int", depth))
        if choice == 9:
            part = r.choice(["year", "month", "day", "hour", "minute", "second", "dayofweek", "dayofyear", "week",
                             "quarter", "isodow", "isoyear", "century", "decade", "yearweek", "millennium", "era"])
            return fill(part + "({0})", e("moment", depth))
        if choice == 10:
            unit = r.choice(["year", "quarter", "month", "week", "day", "hour", "minute", "second", "decade", "century"])
            name = r.choice(["date_diff", "date_sub"])
            return fill(name + "('" + unit + "', {0}, {1})", e("moment", depth), e("moment", depth))
        if choice == 11:
            return fill("strpos({0}, {1})", e("text", depth), self.literal("text"))
        if choice == 12:
            return fill("({0} - {1})", e("date", depth), e("date", depth))
        if choice == 13:
            return fill(r.choice(["greatest", "least"]) + "({0}, {1})", e("int", depth), e("int", depth))
        if choice == 14:
            return fill("sign({0})", e(r.choice(["int", "float"]), depth))
        return fill(r.choice(["unicode", "strlen", "ascii", "bit_length"]) + "({0})", e("text", depth))

    def float(self, depth):
        r = self.random
        e = self.expr
        choice = r.randrange(12)
        if choice == 10:
            return fill("({0} / {1})", e("money", depth), Pair(str(r.choice([2, 3, 7]))))
        if choice == 11:
            return fill(r.choice(["({0})::double", "sqrt(abs({0}))", "({0} * 0.5::double)"]), e("money", depth))
        if choice == 0:
            return fill("({0} + {1})", e("float", depth), e(r.choice(["int", "float"]), depth))
        if choice == 1:
            return fill("({0} - {1})", e("float", depth), e("float", depth))
        if choice == 2:
            return fill("({0} * {1})", e("float", depth), self.float_literal())
        if choice == 3:
            return fill("({0} / {1})", e("int", depth), Pair(str(r.choice([2, 3, 7]))))
        if choice == 4:
            return fill(r.choice(["floor", "ceil", "round"]) + "({0})", e("float", depth))
        if choice == 5:
            return fill("abs({0})", e("float", depth))
        if choice == 6:
            return fill("cast({0} as double)", e("int", depth))
        if choice == 7:
            return fill("sqrt(abs({0}))", e("float", depth))
        if choice == 8:
            return fill("nullif({0}, {1})", e("float", depth), self.float_literal())
        return fill("if({0}, {1}, {2})", e("bool", depth), e("float", depth), e("float", depth))

    def money(self, depth):
        r = self.random
        e = self.expr
        number = lambda: e(r.choice(["money", "money", "int"]), depth)
        fraction = Pair(r.choice(["0.5", "1.25", "-2.0", "10"]))
        choice = r.randrange(12)
        if choice == 0:
            return fill("({0} + {1})", e("money", depth), number())
        if choice == 1:
            return fill("({0} - {1})", number(), e("money", depth))
        if choice == 2:
            return fill("({0} * {1})", e("money", depth), r.choice([self.column("money"), self.literal("int"), fraction]))
        if choice == 3:
            return fill("({0} % {1})", e("money", depth), Pair(r.choice(["2", "0.7", "-3"])))
        if choice == 4:
            return fill(r.choice(["abs({0})", "(-{0})", "(+{0})"]), e("money", depth))
        if choice == 5:
            return fill(r.choice(["floor", "ceil", "round", "trunc"]) + "({0})", e("money", depth))
        if choice == 6:
            return fill(r.choice(["round", "trunc"]) + "({0}, " + r.choice(["0", "1", "2", "3", "-1", "-2"]) + ")", e("money", depth))
        if choice == 7:
            return fill("coalesce({0}, {1})", e("money", depth), r.choice([e("money", depth), fraction]))
        if choice == 8:
            return fill("case when {0} then {1} else {2} end", e("bool", depth), e("money", depth), number())
        if choice == 9:
            return fill(r.choice(["greatest", "least"]) + "({0}, {1})", e("money", depth), r.choice([number(), fraction]))
        if choice == 10:
            operand = r.choice([number(), self.column("float"), Pair(r.choice(["'1.255'", "'-7e-1'", "' 3.5 '", "true"]))])
            return fill(r.choice(["cast", "try_cast"]) + "({0} as decimal(" + r.choice(["9,2", "12,1", "15,0", "18,4", "5,2"]) + "))", operand)
        return fill("nullif({0}, {1})", e("money", depth), r.choice([e("money", depth), fraction]))

    def text(self, depth):
        r = self.random
        e = self.expr
        choice = r.randrange(22)
        if choice == 21:
            path = r.choice(["'a'", "'$.b[1]'", "'$.c.d'", "'none'"])
            text = Pair('\'{"a":"x","b":[1,"y"],"c":{"d":2.5}}\'')
            return fill("coalesce({0} ->> " + path + ", {1})", text, e("text", depth)) if r.random() < 0.5 else fill(
                "({0} ->> " + path + ")", text)
        if choice == 20:
            pattern = r.choice(["", "x*", "-", "[a-z]", "^a", "b$"])
            return fill("array_to_string(regexp_split_to_array({0}, '" + pattern + "'), '|')", e("text", depth))
        if choice == 19:
            name = r.choice(["list_sort", "list_reverse_sort", "list_reverse", "list_distinct"])
            listed = self.list(depth)
            if name == "list_distinct":
                listed = fill("list_sort({0})", fill("list_distinct({0})", listed))
            else:
                listed = fill(name + "({0})", listed)
            return fill("array_to_string({0}, ',')", listed)
        if choice == 18:
            return fill("regexp_extract({0}, '([a-z])([a-z])', " + r.choice(["0", "1", "2", "3"]) + ")", e("text", depth))
        if choice == 17:
            return fill("cast(cast({0} as decimal(14,3)) as varchar)", e("money", depth))
        if choice == 0:
            return fill("({0} || {1})", e("text", depth), e("text", depth))
        if choice == 1:
            return fill("lower({0})", e("text", depth))
        if choice == 2:
            return fill("upper({0})", e("text", depth))
        if choice == 3:
            return fill("trim({0})", e("text", depth))
        if choice == 4:
            return fill("substring({0}, {1}, {2})", e("text", depth), self.small(), Pair(str(r.randrange(4))))
        if choice == 5:
            return fill(r.choice(["left", "right"]) + "({0}, {1})", e("text", depth), self.small())
        if choice == 6:
            return fill("replace({0}, {1}, {2})", e("text", depth), self.literal("text"), self.literal("text"))
        if choice == 7:
            return fill("concat({0}, {1})", e("text", depth), e("text", depth))
        if choice == 8:
            return fill("coalesce({0}, {1})", e("text", depth), self.literal("text"))
        if choice == 9:
            return fill("cast({0} as varchar)", e(r.choice(["int", "bool", "date"]), depth))
        if choice == 10:
            return fill("split_part({0}, {1}, {2})", e("text", depth), Pair("'-'"), self.small())
        if choice == 11:
            return fill("reverse({0})", Pair(r.choice(["t", "o.s"])))
        if choice == 12:
            pattern = r.choice(["[a-z]+", "(a)(b)?", "[0-9]", "^x", "\\\\W"]).replace("\\\\", "\\")
            name = r.choice(["regexp_extract({0}, '%s')", "regexp_replace({0}, '%s', '<\\0>')",
                             "regexp_replace({0}, '%s', '_', 'g')"]) % pattern
            return fill(name, e("text", depth))
        if choice == 13:
            return fill(r.choice(["md5", "sha256", "hex", "url_encode"]) + "({0})", e("text", depth))
        if choice == 14:
            return fill(r.choice(["lpad", "rpad"]) + "({0}, {1}, '*')", e("text", depth), Pair(str(r.randrange(5))))
        if choice == 15:
            pattern = r.choice(["%Y-%m-%d", "%d.%m.%y %H:%M", "%A %j", "%b %-d, %Y", "%G-%V %p %I", "%T %h"])
            return fill("strftime({0}, '" + pattern + "')", e("moment", depth))
        return fill(r.choice(["dayname", "monthname"]) + "({0})", e("date", depth))

    def bool(self, depth):
        r = self.random
        e = self.expr
        choice = r.randrange(15)
        if choice == 13:
            return fill("list_contains({0}, {1})", self.list(depth), e("int", depth))
        if choice == 14:
            return fill(r.choice(["list_has_any", "list_has_all"]) + "({0}, {1})", self.list(depth), self.list(depth))
        if choice < 3:
            kind = r.choice(["int", "float", "money", "money", "text", "date", "moment"])
            if kind == "money":
                other = r.choice([e("money", depth), e("int", depth), Pair(r.choice(["0.1", "-2.5", "12.3456", "7.0"]))])
                return fill("({0} " + r.choice(["=", "<>", "<", "<=", ">", ">="]) + " {1})", *r.sample([e("money", depth), other], 2))
            op = r.choice(["=", "<>", "<", "<=", ">", ">="])
            return fill("({0} " + op + " {1})", e(kind, depth), e(kind, depth))
        if choice == 3:
            return fill("({0} and {1})", e("bool", depth), e("bool", depth))
        if choice == 4:
            return fill("({0} or {1})", e("bool", depth), e("bool", depth))
        if choice == 5:
            return fill("(not {0})", e("bool", depth))
        if choice == 6:
            _, operand = self.any(depth)
            return fill("({0} is " + r.choice(["", "not "]) + "null)", operand)
        if choice == 7:
            kind = r.choice(["int", "text", "money"])
            items = [self.literal(kind) for _ in range(r.randrange(1, 4))]
            return fill("({0} " + r.choice(["", "not "]) + "in (" + ", ".join(f"{{{i + 1}}}" for i in range(len(items))) + "))",
                        e(kind, depth), *items)
        if choice == 8:
            return fill("({0} " + r.choice(["", "not "]) + "between {1} and {2})", *(e(r.choice(["int", "money"]), depth) for _ in range(3)))
        if choice == 9:
            pattern = r.choice(["a%", "%b", "%a%", "_", "%\\_%", "x-%-z", "%é%"])
            escape = " escape '\\'" if "\\" in pattern else ""
            return fill("({0} " + r.choice(["like", "not like", "ilike"]) + f" '{pattern}'{escape})", e("text", depth))
        if choice == 10:
            return fill(r.choice(["contains", "starts_with", "ends_with"]) + "({0}, {1})", e("text", depth), self.literal("text"))
        if choice == 11:
            kind = r.choice(["int", "text", "bool", "money"])
            return fill("({0} is " + r.choice(["", "not "]) + "distinct from {1})", e(kind, depth), e(kind, depth))
        return fill(r.choice(["regexp_matches({0}, '", "({0} ~ '"]) + r.choice(["^[a-z]+$", "\\d", "a|é", "."]) + "')", e("text", depth))

    def date(self, depth):
        r = self.random
        choice = r.randrange(5)
        if choice == 4:
            return Pair(r.choice(["'2025-2-2'::date", "'2024/12/1'::date", "cast(' 1999-1-31 ' as date)", "cast('2025-02-02 24:00:00' as date)"]))
        if choice == 0:
            return fill("({0} + {1})", self.expr("date", depth), Pair(str(r.randrange(-40, 40))))
        if choice == 1:
            return fill("cast({0} as date)", self.expr("moment", depth))
        if choice == 2:
            return fill("last_day({0})", self.expr("date", depth))
        return fill("coalesce({0}, {1})", self.expr("date", depth), self.literal("date"))

    def moment(self, depth):
        r = self.random
        choice = r.randrange(7)
        if choice == 5:
            return Pair(r.choice(["'2025-2-2 3:4:5'::timestamp", "'2025-02-02 24:00:00'::timestamp", "'2024/2/29 1:02'::timestamp", "'2025-02-02 12:00:00 UTC'::timestamp"]))
        if choice == 6:
            return fill("strptime(strftime({0}, '" + r.choice(["%Y-%m-%d", "%d.%m.%Y %T"]) + "'), ['%Y-%m-%d', '%d/%m/%Y', '%d.%m.%Y %H:%M:%S'])", self.expr("moment", depth))
        if choice == 0:
            unit = r.choice(["year", "month", "week", "day", "hour", "minute", "quarter", "decade", "century"])
            return fill("date_trunc('" + unit + "', {0})", self.expr("moment", depth))
        if choice == 1:
            span = r.choice(["1 day", "90 minutes", "1 month", "-3 hours", "2 years 5 days"])
            return fill("({0} + interval '" + span + "')", self.expr("moment", depth))
        if choice == 2:
            width = r.choice(["15 minutes", "1 day", "1 week", "1 month", "5 years"])
            return fill("time_bucket(interval '" + width + "', {0})", self.expr("moment", depth))
        if choice == 3:
            return fill("cast({0} as timestamp)", self.expr("date", depth))
        return fill("greatest({0}, {1})", self.expr("moment", depth), self.expr("moment", depth))

    def list(self, depth):
        """An array of integers."""
        r = self.random
        choice = r.randrange(6) if depth > 0 else 5
        if choice == 0:
            return fill("list_concat({0}, {1})", self.list(depth - 1), self.list(depth - 1))
        if choice == 1:
            return fill("list_append({0}, {1})", self.list(depth - 1), self.small())
        if choice == 2:
            return fill("list_slice({0}, {1}, {2})", self.list(depth - 1), Pair(str(r.choice([1, 2, -1, -2]))), Pair(str(r.choice([1, 2, 5, -1]))))
        if choice == 3:
            return Pair(r.choice(["range(3)", "range(1, 7, 2)", "generate_series(3, 1, -1)", "[1, 2, null]"]))
        if choice == 4:
            return fill("[{0}, {1}]", self.column("int"), self.literal("int"))
        return Pair("l")

    def span(self, depth):
        """An interval."""
        r = self.random
        choice = r.randrange(4)
        if choice == 0:
            return fill("({0} - {1})", self.expr("moment", depth), self.expr("moment", depth))
        if choice == 1:
            unit = r.choice(["hour", "minute", "day", "week", "month", "year", "quarter"])
            return fill("date_trunc('" + unit + "', {0})", self.span(depth))
        if choice == 2:
            return fill("to_months({0})", self.small())
        return Pair("interval '" + r.choice(["15 months 3 days 25:03:04.5", "-90 minutes", "1 day", "-400 days -1 month", "7 years"]) + "'")

    def aggregate(self, depth):
        r = self.random
        e = self.expr
        numeric = lambda: e(r.choice(["int", "float", "money"]), depth)
        choice = r.randrange(25)
        while choice in (10, 11, 12) and not self.unique:
            choice = r.randrange(25)
        filter = fill(" filter (" + r.choice(["where ", ""]) + "{0})", e("bool", 1)) if r.random() < 0.2 else Pair("")
        order = Pair(" order by r")
        if choice == 23:
            return fill("date_trunc('minute', avg({0}){1})", e(r.choice(["date", "moment"]), depth), filter)
        if choice == 24:
            between = fill("({0} - {1})", e("moment", depth), e("moment", depth))
            return r.choice([fill("epoch(median({0}){1})", between, filter), fill("median(lower({0})){1}", e("text", depth), filter)])
        if choice == 18:
            return fill(r.choice(["median({0}){1}", "quantile_cont({0}, 0.25){1}", "quantile_cont({0}, [0.0, 0.5, 0.75]){1}"]),
                        e(r.choice(["date", "moment"]), depth), filter)
        if choice == 19:
            return fill(r.choice(["quantile_cont({0}, [0.25, 0.5, 0.9])", "quantile_disc({0}, [0.1, 0.5, 1.0])"]), e("int", depth))
        if choice == 20:
            name = r.choice(["string_agg(distinct {0}, '|' order by {0} desc){1}", "string_agg(distinct {0}, '|' order by {0}){1}"])
            return fill(name, self.column("text"), filter)
        if choice == 21:
            return fill(r.choice(["max", "min"]) + "({0}, " + r.choice(["1", "2", "5"]) + "){1}", e(r.choice(["int", "text"]), depth), filter)
        if choice == 22:
            # Without ties, as these are resolved otherwise.
            return fill(r.choice(["max_by", "min_by"]) + "({0}, r, 3)", e(r.choice(["int", "text"]), depth)) if self.unique else fill(
                "count({0})", self.span(depth))
        if choice == 0:
            return fill("count(*){0}", filter)
        if choice == 1:
            return fill("count({0}){1}", self.any(depth)[1], filter)
        if choice == 2:
            return fill("count(distinct {0})", self.any(depth)[1])
        if choice in (3, 4):
            return fill("sum({0}){1}", numeric(), filter)
        if choice == 5:
            return fill("avg({0}){1}", numeric(), filter)
        if choice in (6, 7):
            kind = r.choice(["int", "float", "money", "text", "date", "moment"])
            return fill(r.choice(["min", "max"]) + "({0}){1}", e(kind, depth), filter)
        if choice == 8:
            return fill("median({0})", e(r.choice(["int", "money"]), depth), theirs="median(({0})::double)")
        if choice == 9:
            return fill(r.choice(["bool_and", "bool_or"]) + "({0})", e("bool", depth))
        if choice == 10:
            return fill(r.choice(["first", "last"]) + "({0}{1})", self.any(depth)[1], order)
        if choice == 11:
            return fill("string_agg({0}, '|'{1})", e("text", depth), order)
        if choice == 12:
            return fill("array_agg({0}{1})", e(r.choice(["int", "text", "bool", "money"]), depth), order)
        if choice == 13:
            q = r.choice(["0.0", "0.25", "0.5", "0.9", "1.0"])
            return fill("quantile_cont({0}, " + q + ")", numeric(), theirs="quantile_cont(({0})::double, " + q + ")")
        if choice == 14:
            return fill("quantile_disc({0}, " + r.choice(["0.1", "0.5", "0.75"]) + ")", e(r.choice(["int", "text", "money"]), depth))
        if choice == 16:
            return fill("sum({0} * {1}){2}", self.column("money"), r.choice([self.column("money"), self.column("int")]), filter)
        if choice == 15:
            return fill("count_if({0})", e("bool", depth), theirs="coalesce(count_if({0}), 0)")
        return fill(r.choice(["sum", "avg", "count"]) + "(distinct {0})", e(r.choice(["int", "money"]), depth))

    def query(self):
        """A query in both words, and whether the order of rows counts."""
        r = self.random
        source = Pair("input")
        unnests = r.random() < 0.1
        if unnests:
            source = fill("input, unnest({0}) as e", self.list(2) if r.random() < 0.5 else Pair("l"), theirs="input, (select unnest({0}) as e)")
        elif r.random() < 0.25:
            source = self.join()
        where = fill(" where {0}", self.expr("bool", 3)) if r.random() < 0.5 else Pair("")
        if where and r.random() < 0.1:
            name, kind = r.choice([("j", "int"), ("t", "text")])
            asked = r.choice(["", " where v > 2"])
            key = self.column(kind)
            where = Pair(f"{where} and {key} in (select {name} from '{self.folder}/s{name}.jsonl'{asked})",
                         f"{where.theirs} and {key.theirs} in (select {name} from s{name}{asked})")
        if r.random() < 0.5:
            kinds, items = zip(*(self.any(4) for _ in range(r.randrange(1, 4))))
            names = [f"c{number}" for number in range(len(items))]
            if unnests:
                items, names = [*items, Pair("e")], [*names, "e"]
            select = [fill("{0} as " + name, item) for item, name in zip(items, names)]
            order = Pair("")
            if r.random() < 0.3:
                keys = ", ".join(name + r.choice(["", " desc"]) for name in [*names, "r"])
                order = Pair(f" order by {keys}" + r.choice(["", " limit 5", " limit 7 offset 2"]))
            if unnests:
                order = Pair("")
            distinct = "distinct " if not order and r.random() < 0.2 else ""
            lists = (", ".join(select), ", ".join(item.theirs for item in select))
            query = Pair(f"select {distinct}{lists[0]} from {source}{where}{order}",
                         f"select {distinct}{lists[1]} from {source.theirs}{where.theirs}{order.theirs}")
            if r.random() < 0.15 and not order:
                other = fill(" where {0}", self.expr("bool", 2))
                union = r.choice([" union all ", " union "])
                query = Pair(f"{query}{union}select {lists[0]} from {source}{other}",
                             f"{query.theirs}{union}select {lists[1]} from {source.theirs}{other.theirs}")
            if r.random() < 0.15 and (not order or "limit" not in order):
                # The rows of a query are records, of which decimals are numbers.
                first = Pair("decimal(c0)", "c0") if kinds[0] == "money" else Pair("c0")
                around = r.choice(
                    ["select {1} as k, count(*) as n from ({0}) group by k", "with q as ({0}) select count(*) as n, count(c0) as m from q",
                     "select * from (select * from ({0})) as q where c0 is not null"]
                )
                return fill(around, query, first), False
            return query, bool(order)
        keys = [self.any(2)[1] for _ in range(r.randrange(0, 4))]
        aggregates = [self.aggregate(2) for _ in range(r.randrange(1, 4))]
        select = [fill("{0} as " + f"k{number}", key) for number, key in enumerate(keys)]
        select += [fill("{0} as " + f"a{number}", item) for number, item in enumerate(aggregates)]
        group = " group by " + ", ".join(f"k{number}" for number in range(len(keys))) if keys else ""
        having = fill(" having count(*) > " + str(r.randrange(3))) if keys and r.random() < 0.2 else Pair("")
        ours, theirs = ", ".join(select), ", ".join(item.theirs for item in select)
        return (
            Pair(f"select {ours} from {source}{where}{group}{having}",
                 f"select {theirs} from {source.theirs}{where.theirs}{group}{having.theirs}"),
            False,
        )


def plain(value):
    """A value of DuckDB's as JSON has it."""
    if isinstance(value, datetime.datetime):
        text = value.strftime("%Y-%m-%dT%H:%M:%S")
        text = f"{value.year:04}" + text[text.index("-", 1):]
        return text + (f".{value.microsecond:06}".rstrip("0") if value.microsecond else "") + "Z"
    if isinstance(value, datetime.date):
        return f"{value.year:04}-{value.month:02}-{value.day:02}"
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def sort_key(row):
    """An order in which floats that are nearly equal are neighbours."""
    def part(value):
        if value is None:
            return (0, 0, "")
        if isinstance(value, bool):
            return (1, int(value), "")
        if isinstance(value, (int, float, decimal.Decimal)):
            return (2, float(f"{value:.12e}"), "")
        if isinstance(value, list):
            return (3, 0, str([part(item) for item in value]))
        return (3, 0, json.dumps(value, ensure_ascii=False))
    return [part(value) for value in row]


def same(a, b, scale):
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y, scale) for x, y in zip(a, b))
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b or a == b and type(a) is type(b)
    if isinstance(b, decimal.Decimal):
        # As exactly as DuckDB has it.
        return isinstance(a, (int, decimal.Decimal)) and a == b
    if isinstance(a, decimal.Decimal):
        a = float(a)
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12 * scale)
    return a == b


def compare(ours, theirs, ordered):
    """What is different, or None."""
    if len(ours) != len(theirs):
        return f"{len(ours)} rows, DuckDB has {len(theirs)}"
    if not ordered:
        ours, theirs = sorted(ours, key=sort_key), sorted(theirs, key=sort_key)
    greatest = [max((abs(value) for value in column if isinstance(value, float)), default=0.0) for column in zip(*theirs)]
    for a, b in zip(ours, theirs):
        for x, y, scale in zip(a, b, greatest):
            if not same(x, y, scale):
                return f"{a} is {b} in DuckDB"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--foldl", required=True)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    different = asked = refused = 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "input.jsonl"
        for number in range(options.queries):
            if number % 200 == 0:
                rows = "".join(line(record, rng.random() < 0.3) for record in records(rng, rng.choice([0, 3, 40, 150])))
                path.write_text(rows)
                connection.execute(
                    f"create or replace table input as select * from read_json('{path}', format = 'newline_delimited', columns = {SCHEMA})"
                )
                for name, (schema, make) in SIDES.items():
                    side = pathlib.Path(folder) / f"{name}.jsonl"
                    rows = side_records(rng, make, rng.choice([0, 2, 12]))
                    side.write_text("".join(json.dumps(record) + "\n" for record in rows))
                    connection.execute(
                        f"create or replace table {name} as select * from read_json('{side}', format = 'newline_delimited', columns = {schema})"
                    )
            query, ordered = Generator(rng, folder).query()
            try:
                theirs = [[plain(value) for value in row] for row in connection.execute(query.theirs).fetchall()]
            except duckdb.Error as error:
                # Overflows and the like, which are errors there and NULL here.
                refused += 1
                if any(word in str(error) for word in ["Binder", "Parser", "Catalog"]):
                    print(f"not a query of DuckDB: {query.theirs}\n  {error}")
                    different += 1
                continue
            asked += 1
            done = subprocess.run(
                [options.foldl, "-q", query, str(path)], capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                problem = f"exit code {done.returncode}: {done.stderr.strip()}"
            else:
                problem = compare([list(json.loads(line, parse_float=decimal.Decimal).values()) for line in done.stdout.splitlines()], theirs, ordered)
            if problem:
                different += 1
                print(f"query {number}: {query}\n  DuckDB: {query.theirs}\n  {problem}\n", flush=True)
                if different >= 25:
                    sys.exit("too many differences")
    print(f"{asked} random queries, {different} differences; {refused} more were refused by DuckDB (overflow and the like)")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
