#!/usr/bin/env python3
"""Runs random jobs, and expects of each output what its query gives alone.

    tests/jobs/random_jobs.py --foldl target/debug/foldl [--jobs 100] [--seed 1] [--keep FOLDER]

A job has random sources (several files, compressed or not, CSV, mixed types, bad lines), views over views, one to eight
outputs, checks, limits and checkpoints; some jobs are killed and run again. Then

- the query of each output, with its views as WITH and its sources as files, is asked alone: the same bytes, in the same
  order; of outputs in partitions the same rows in each, without the columns that the directories name;
- each check is asked by `foldl check` over the same records, and the rejected lines of the main source by `--rejects`;
- where the records have the types that DuckDB wants, it is asked, too, in the words of tests/duckdb/random_queries.py.

The same seed gives the same jobs. DuckDB is needed; without the programs zstd or lz4 these compressions are left out.
"""

import argparse
import csv
import decimal
import gzip
import io
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

import duckdb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "duckdb"))
from random_queries import COLUMNS, SCHEMA, SIDES, Generator, Pair, compare, fill, line, plain, records, side_records

NULL = "__HIVE_DEFAULT_PARTITION__"
# What a grouped view has, under the names and of the types that sources have, so that anything can be asked of it.
GROUPED = Pair(
    "select j, t, sum(i) as i, min(f) as f, max(g) as g, min(s) as s, bool_and(b) as b, min(d::date) as d, "
    "max(m::timestamp) as m, {'a': max(o.a), 's': min(o.s)} as o, [count(*), 2] as l, min(p) as p, max(q) as q, "
    "count(*) as r from input",
    "select j, t, sum(i)::bigint as i, min(f) as f, max(g) as g, min(s) as s, bool_and(b) as b, min(d) as d, "
    "max(m) as m, {'a': max(o.a), 's': min(o.s)} as o, [count(*), 2] as l, min(p) as p, max(q) as q, "
    "count(*) as r from input",
)


class Readable:
    """A source or view: its name, the types of its columns, whether `r` tells its rows apart, and what it is made of."""

    def __init__(self, name, columns, unique, query=None, of=None):
        self.name, self.columns, self.unique, self.query, self.of = name, columns, unique, query, of

    def views(self):
        """The views that it needs, the first one first."""
        return [] if self.query is None else [*self.of.views(), self]


def tools():
    """The compressions that files can be written and read in here."""
    return ["none", "gz", *(ending for program, ending in (("zstd", "zst"), ("lz4", "lz4")) if shutil.which(program))]


def compress(content, ending):
    if ending == "gz":
        # Two members.
        half = len(content) // 2
        return gzip.compress(content[:half]) + gzip.compress(content[half:])
    program = {"zst": ["zstd", "-q", "-c"], "lz4": ["lz4", "-q", "-c"]}[ending]
    return subprocess.run(program, input=content, capture_output=True, check=True).stdout


def decompress(path):
    content = path.read_bytes()
    program = {".zst": ["zstd", "-dqc"], ".lz4": ["lz4", "-dqc"]}.get(path.suffix)
    if path.suffix == ".gz":
        return gzip.decompress(content)
    return subprocess.run(program, input=content, capture_output=True, check=True).stdout if program else content


def spoil(rng, text):
    """A line that is no longer what DuckDB takes, or no record at all."""
    kind = rng.randrange(9)
    if kind == 0:
        return text[: rng.randrange(len(text))]
    if kind == 1:
        return text.replace('"i"', '"\\u0069"').replace('"t": "x"', '"t": "\\u0078"')
    if kind == 2:
        return text[:-1] + ', "j": "4"}'
    if kind == 3:
        return ""
    if kind == 4:
        return text + "\r"
    if kind == 5:
        return text.replace('"b": true', '"b": [true, {"deep": [[["\\n\\"", 1e3]]]}]')
    if kind == 6:
        return text[:-1] + ', "odd \\"key\\"": {"x y": 1.10}, "i": 12345678901234567890123}'
    if kind == 7:
        return text.replace('"g": ', '"g": "2.5", "g_": ')
    return text.replace('"s": "', '"s": 1.50, "s_": "')


class Job:
    """A random job in a folder."""

    def __init__(self, rng, folder, foldl, compressions):
        self.rng, self.folder, self.foldl, self.compressions = rng, folder, foldl, compressions
        # Whether DuckDB can read the records, too.
        self.clean = rng.random() < 0.6
        self.large = rng.random() < 0.3
        self.named_sides = rng.random() < 0.3
        self.readables, self.lines = [], {}
        for number in range(rng.choice([1, 1, 2])):
            self.make_source(f"s{number}")
        self.make_sides()
        self.views = []
        for number in range(rng.choice([0, 1, 2, 3, 4])):
            self.make_view(f"v{number}")
        self.outputs = [self.make_output(number) for number in range(rng.randrange(1, 9))]
        self.checks = [self.make_check() for _ in range(rng.choice([0, 0, 1, 2, 4]))]
        self.must_fail = rng.random() < 0.08 and bool(self.lines["s0"])
        self.checkpoint = rng.choice(["60KiB", "300KiB", "1MiB", "1s"]) if rng.random() < 0.5 else None
        self.rejects = rng.random() < 0.5
        self.write()

    def make_source(self, name):
        rng = self.rng
        count = rng.choice([0, 3, 40, 150])
        lines = [line(record, rng.random() < 0.3)[:-1] for record in records(rng, count)]
        if self.large:
            # With numbers of their own, which stand at the end.
            copies = rng.randrange(2000, 7000) // max(count, 1) if count else 0
            lines = [f"{text[: text.rindex(':')]}: {copy * count + at}}}" for copy in range(copies) for at, text in enumerate(lines)]
            rng.shuffle(lines)
        unique = True
        if lines and rng.random() < 0.4:
            lines += rng.sample(lines, len(lines) // 4)
            unique = False
        if not self.clean:
            lines = [spoil(rng, text) if rng.random() < 0.1 else text for text in lines]
        self.lines[name] = lines
        files = rng.choice([1, 1, 2, 4])
        for number in range(files):
            part = "\n".join(lines[number::files])
            content = (part + rng.choice(["\n", ""]) if part else "").encode()
            if not self.clean and number == 0 and content:
                content += b'\n{"i": 5, "s": "\xff\xfe"}\n'
            ending = rng.choice(self.compressions)
            suffix = "" if ending == "none" else f".{ending}"
            (self.folder / f"{name}-{number}.jsonl{suffix}").write_bytes(content if ending == "none" else compress(content, ending))
        if not self.clean and rng.random() < 0.4:
            rows = [json.dumps(record["i"] if "i" in record else 1) for record in records(rng, 20)]
            text = "i,j,s,t,d,p\n" + "".join(f'{row},{rng.randrange(5)},"a ""b"", {row}",x,2025-02-0{rng.randrange(1, 9)},1.10\n' for row in rows)
            (self.folder / f"{name}-x.csv").write_text(text.replace("null", "") + "one,row,that,is,much,too,long\n")
        self.readables.append(Readable(name, dict(COLUMNS), unique))

    def make_sides(self):
        self.sides = {}
        for name, (schema, make) in SIDES.items():
            rows = side_records(self.rng, make, self.rng.choice([0, 2, 12]))
            (self.folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in rows))
            self.sides[name] = schema

    def generator(self, readable):
        generator = Generator(self.rng, self.folder)
        generator.columns, generator.unique = dict(readable.columns), readable.unique
        if "v" in readable.columns:
            # Of a second side DuckDB would not know which `v` is meant.
            generator.join = lambda: Pair("input")
        return generator

    def of(self, readable, pair):
        """A query over `input` as one over a source or view, by name."""
        ours = re.sub(r"\binput\b", readable.name, pair)
        if not self.named_sides:
            for name in SIDES:
                ours = ours.replace(f"'{self.folder}/{name}.jsonl' {name}", name).replace(f"'{self.folder}/{name}.jsonl'", name)
        return Pair(ours, re.sub(r"\binput\b", readable.name, pair.theirs))

    def make_view(self, name):
        rng = self.rng
        of = rng.choice(self.readables)
        generator = self.generator(of)
        columns, unique = dict(of.columns), of.unique
        where = fill(" where {0}", generator.expr("bool", 2)) if rng.random() < 0.6 else Pair("")
        kind = rng.randrange(4)
        if kind == 0:
            query = fill("select * from input{0}", where)
        elif kind == 1:
            kinds = [rng.choice(["int", "float", "text", "bool", "date", "moment"]) for _ in range(rng.randrange(1, 3))]
            items = [fill("{0} as " + f"{name}x{at}", generator.expr(kind, 3)) for at, kind in enumerate(kinds)]
            query = fill("select *, {0}{1} from input{2}", items[0], fill(", {0}", items[1]) if len(items) > 1 else Pair(""), where)
            columns |= {f"{name}x{at}": kind for at, kind in enumerate(kinds)}
        elif kind == 2 and "v" not in columns:
            source = generator.join()
            side = re.search(r"join (?:'[^']*' )?(\w+)", source.theirs).group(1)
            both = " semi " not in source and " anti " not in source
            # Of names that both have, DuckDB wants to know whose they are.
            where = Pair("") if both else where
            columns |= {"v": "int", f"{name}w": "text"} if both else {}
            unique = generator.unique
            query = fill("select " + (f"input.*, {side}.v as v, {side}.w as {name}w" if both else "*") + " from {0}{1}", source, where)
        else:
            group = " group by j, t"
            query = Pair(f"{GROUPED}{where}{group}", f"{GROUPED.theirs}{where.theirs}{group}")
            columns, unique = dict(COLUMNS), False
        view = Readable(name, columns, unique, self.of(of, query), of)
        self.readables.append(view)
        self.views.append(view)

    def make_output(self, number):
        rng = self.rng
        readable = rng.choice(self.readables)
        generator = self.generator(readable)
        where = fill(" where {0}", generator.expr("bool", 3)) if rng.random() < 0.5 else Pair("")
        names = rng.sample(["i", "j", "s", "t", "b", "d", "m", "r"], rng.randrange(1, 6))
        picked = Pair(", ".join(name if name not in "dm" else f"{name}::{'date' if name == 'd' else 'timestamp'} as {name}" for name in names), ", ".join(names))
        limit = rng.choice([" limit 3", " limit 50", " limit 10 offset 7", " limit 0"])
        # Whether DuckDB can say the same.
        asks, ordered = True, False
        kind = rng.randrange(10)
        if kind < 4:
            query, ordered = generator.query()
            names = None
        elif kind == 4:
            query, asks, names = fill("select * from input{0}", where), False, None
        elif kind == 5:
            keys = rng.sample(names, rng.randrange(1, len(names) + 1))
            order = ", ".join(key + rng.choice(["", " desc", " nulls first"]) for key in keys)
            query = fill("select {0} from input{1} order by " + order + limit, picked, where)
            asks = False
        elif kind == 6:
            query = fill("select distinct {0} from input{1}", picked, where)
        elif kind == 7:
            items = ["count(distinct i) as n", "count(distinct s) as m", "count(*) as c", "sum(j) as a"]
            query = fill("select t, b, " + ", ".join(rng.sample(items, rng.randrange(1, 4))) + " from input{0} group by t, b", where)
            names = ["t", "b"]
        elif kind == 8:
            query, asks = fill("select {0} from input{1}" + limit, picked, where), False
        else:
            query = fill("select {0} from input{1}", picked, where)
        if kind < 4 and not self.large and re.match(r"select (?!c0 as k).* as c0, .* as c1\b", query):
            names = ["c0", "c1"]
        output = {
            "readable": readable,
            "query": self.of(readable, query),
            "ordered": ordered,
            "asks": asks,
            "format": "csv" if "select *" not in query and rng.random() < 0.25 else "jsonl",
            "compression": rng.choice(self.compressions),
            "partition_by": [],
            "split": rng.choice(["", "", "files = 3", 'max_file_size = "2KiB"', 'max_file_size = "50KiB"']),
            "mode": rng.choice(["overwrite", "append", "create"]),
        }
        if names and rng.random() < 0.5 and len(names) > 1:
            by = [name for name in names if name in ("j", "t", "b", "d", "i", "c0")][: rng.choice([1, 2])]
            if by and len(by) < len(names) and not (self.large and "i" in by):
                output["partition_by"] = by
                output["mode"] = rng.choice(["overwrite", "append", "overwrite_partitions", "create"])
        return output

    def make_check(self):
        """A check in the words of a job, and as flags."""
        rng = self.rng
        readable = rng.choice(self.readables)
        expect = self.generator(readable).expr("bool", 2)
        kind, flags = rng.choice([
            ("row_count = { min = 10, max = 100 }", ["--rows", "10..100"]),
            ('not_null = { column = "s", max_rate = 0.1 }', ["--not-null", "s:10%"]),
            ('unique = ["r"]', ["--unique", "r"]),
            ('unique = ["i", "t"]', ["--unique", "i,t"]),
            ('range = { column = "j", min = -3, max = 3 }', ["--range", "j:-3..3"]),
            ('accepted = { column = "t", values = ["x", "y"] }', ["--accepted", "t:x,y"]),
            ('forbidden = { column = "t", values = ["z"] }', ["--forbidden", "t:z"]),
            ('matches = { column = "s", pattern = "^[a-z]" }', ["--matches", "s:^[a-z]"]),
            ('length = { column = "s", min = 1, max = 3 }', ["--length", "s:1..3"]),
            ('type = { column = "i", is = "int" }', ["--type", "i:int"]),
            ('type = { column = "g", is = "number" }', ["--type", "g:number"]),
            (f"expect = {json.dumps(expect, ensure_ascii=False)}", ["--expect", str(expect)]),
            ('metric = { expr = "sum(j)", min = -5, max = 500 }', ["--metric", "sum(j):-5..500"]),
            ('monotonic = { column = "r" }', ["--monotonic", "r"]),
            ('relationship = { column = "j", source = "sj" }', ["--relationship", f"j:{self.folder}/sj.jsonl:j"]),
        ])
        return {"readable": readable, "toml": kind, "flags": flags}

    def write(self):
        rng = self.rng
        quote = lambda text: json.dumps(str(text), ensure_ascii=False)
        out = ["[run]", f"threads = {rng.choice([1, 2, 3])}", f"memory_limit = {quote(rng.choice(['48MiB', '64MiB', '256MiB', '1GiB']))}"]
        if self.checkpoint:
            out.append(f"checkpoint = {quote(self.checkpoint)}")
        for name in self.lines:
            out += [f"[sources.{name}]", f"files = [{quote(f'{name}-*')}]"]
            if self.rejects and name == "s0":
                out.append('rejects = "rejects.jsonl"')
        for name in self.sides:
            out += [f"[sources.{name}]", f'files = ["{name}.jsonl"]']
        out.append("[views]")
        out += [f"{view.name} = {quote(view.query)}" for view in self.views]
        for number, check in enumerate(self.checks):
            out += ["[[checks]]", f'name = "check {number}"', f'on = "{check["readable"].name}"', check["toml"], 'severity = "warn"']
            if not self.must_fail:
                out.append(f'quarantine = "quarantine-{number}.jsonl"')
        if self.must_fail:
            out += ["[[checks]]", 'on = "s0"', "row_count = { max = 0 }"]
        for number, output in enumerate(self.outputs):
            out += ["[[outputs]]", f'name = "o{number}"', f"query = {quote(output['query'])}", f'path = "out/o{number}"', output["split"]]
            out += [f"{key} = {quote(output[key])}" for key in ("mode", "format", "compression")]
            out.append(f"partition_by = {json.dumps(output['partition_by'])}")
        (self.folder / "job.toml").write_text("\n".join(out) + "\n")

    # What the job gives, and what is expected.

    def alone(self, query, readable):
        """A query with its views as WITH, and files in place of sources."""
        query = with_views([(view.name, view.query) for view in readable.views()], query)
        for name in [*self.lines, *self.sides]:
            files = f"{name}-*" if name in self.lines else f"{name}.jsonl"
            query = re.sub(rf"\b(from|join) {name}\b", rf"\1 '{self.folder}/{files}' {name}", query)
        return query

    def ask(self, *arguments):
        done = subprocess.run([self.foldl, "-q", "-m", "4GiB", *arguments], capture_output=True, check=False, cwd=self.folder)
        if done.returncode:
            raise Different(f"alone: exit code {done.returncode}: {done.stderr.decode()[-500:]}")
        return done.stdout

    def run(self, killed):
        """Runs the job, first to be killed if that is wanted: the exit code, what it told, and whether memory was short."""
        command = [self.foldl, "run", "job.toml"]
        if killed:
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=self.folder)
            # When it has a checkpoint, unless it has none before it ends; or at any time.
            checkpoints = self.folder / ".foldl/job/checkpoints"
            until = time.monotonic() + self.rng.choice([0.1, 10, 10])
            while process.poll() is None and time.monotonic() < until and not list(checkpoints.glob("*.checkpoint")):
                time.sleep(0.001)
            process.kill()
            process.wait()
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
        # Many readers of compressed files at a time may need more.
        is_short = done.returncode == 6
        if is_short:
            done = subprocess.run([*command, "-m", "4GiB"], capture_output=True, text=True, check=False, cwd=self.folder)
        return done.returncode, done.stderr, is_short

    def verify_output(self, number):
        output = self.outputs[number]
        folder = self.folder / "out" / f"o{number}"
        query = self.alone(output["query"], output["readable"])
        expected = self.ask("--format", output["format"], query)
        header, expected = split_header(expected, output["format"])
        found = {}
        for path in sorted(folder.rglob("part-*")):
            start, content = split_header(decompress(path), output["format"])
            partition = str(path.parent.relative_to(folder))
            if output["format"] == "csv" and not output["partition_by"] and start != header:
                raise Different(f"a header {start}, expected {header}")
            found.setdefault(partition, []).append(content)
        success = json.loads((folder / "_SUCCESS").read_text())
        # Files by their number take turns with chunks of rows; those by their size follow each other.
        in_order = output["split"] != "files = 3" or all(len(parts) == 1 for parts in found.values())
        if not output["partition_by"]:
            content = b"".join(found.get(".", []))
            same = content == expected if in_order else sorted(content.splitlines()) == sorted(expected.splitlines())
            if not same:
                raise Different(first_difference(content, expected))
            rows = count_rows(expected, output["format"])
        else:
            rows = self.verify_partitions(output, query, header, expected, found, in_order)
        if success["rows"] != rows or success["files"] != sum(len(parts) for parts in found.values()):
            raise Different(f"_SUCCESS {success}, and there are {rows} rows")

    def verify_partitions(self, output, query, header, expected, found, in_order):
        by = output["partition_by"]
        values = [dict(fields(text)) for text in self.ask(query).splitlines()]
        if output["format"] == "csv":
            names = next(csv.reader(io.StringIO(header.decode())))
            rows = [list(zip(names, row)) for row in csv.reader(io.StringIO(expected.decode()))]
        else:
            rows = [fields(text) for text in expected.splitlines()]
        if len(rows) != len(values):
            raise Different(f"{len(rows)} rows as csv, {len(values)} as jsonl")
        wanted = {}
        for row, value in zip(rows, values):
            partition = tuple(partition_value(value.get(name, "null")) for name in by)
            wanted.setdefault(partition, []).append([(name, text) for name, text in row if name not in by])
        got = {}
        for partition, parts in found.items():
            names = tuple(urllib.parse.unquote(part.split("=", 1)[1]) for part in partition.split("/"))
            content = b"".join(parts)
            if output["format"] == "csv":
                columns = [name for name, _ in rows[0] if name not in by]
                part_rows = [list(zip(columns, row)) for row in csv.reader(io.StringIO(content.decode()))]
            else:
                part_rows = [fields(text) for text in content.splitlines()]
            got[names] = part_rows
        if not in_order:
            got = {key: sorted(rows) for key, rows in got.items()}
            wanted = {key: sorted(rows) for key, rows in wanted.items()}
        if got != wanted:
            for key in sorted(set(got) | set(wanted)):
                if got.get(key) != wanted.get(key):
                    raise Different(f"partition {key}: {str(got.get(key))[:300]} is not {str(wanted.get(key))[:300]}")
        return len(rows)

    def verify_checks(self):
        report = {result["name"]: result for result in json.loads((self.folder / ".foldl/job/report.json").read_text())["results"]}
        for number, check in enumerate(self.checks):
            readable = check["readable"]
            if readable.query is None:
                files = [f"{self.folder}/{readable.name}-*"]
            else:
                files = [f"{self.folder}/check.jsonl"]
                self.ask("-o", files[0], self.alone(f"select * from {readable.name}", readable))
            command = [self.foldl, "check", "-q", "--warn", "all", "--report", "-", *files, *check["flags"]]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
            if done.returncode:
                raise Different(f"check {check['flags']}: exit code {done.returncode}: {done.stderr[-500:]}")
            alone = json.loads(done.stdout)["results"][0]
            found = report[f"check {number}"]
            for key in ("passed", "observed", "records", "failing", "message"):
                if found[key] != alone[key]:
                    raise Different(f"check {check['toml']} on {readable.name}: {key} is {found[key]}, alone {alone[key]}")
            kept = (self.folder / f"quarantine-{number}.jsonl").read_bytes().count(b"\n")
            if kept != (found["failing"] or 0):
                raise Different(f"check {check['toml']}: {found['failing']} records fail, and {kept} are in quarantine")

    def verify_rejects(self):
        self.ask("--rejects", "rejects-alone.jsonl", f"select count(*) from '{self.folder}/s0-*'")

        def lines(name):
            # A source that is read several times has them several times; files are named as they were given.
            rows = [json.loads(text) for text in (self.folder / name).read_text().splitlines()]
            return {json.dumps({**row, "file": os.path.basename(row["file"])}) for row in rows}

        found, expected = lines("rejects.jsonl"), lines("rejects-alone.jsonl")
        if not found <= expected or found != expected and any(output["readable"].views()[:1] == [] and output["readable"].name == "s0" for output in self.outputs if "limit" not in output["query"]):
            raise Different(f"rejects: {sorted(found ^ expected)[:3]}")

    def duckdb(self):
        """A connection in which the sources are tables."""
        connection = duckdb.connect()
        connection.execute("set timezone = 'UTC'")
        for name, lines in self.lines.items():
            path = self.folder / f"{name}.duckdb.jsonl"
            path.write_text("".join(text + "\n" for text in lines))
            connection.execute(f"create table {name} as select * from read_json('{path}', format = 'newline_delimited', columns = {SCHEMA})")
        for name, schema in self.sides.items():
            connection.execute(
                f"create table {name} as select * from read_json('{self.folder}/{name}.jsonl', format = 'newline_delimited', columns = {schema})"
            )
        return connection

    def verify_with_duckdb(self, connection, output):
        """Whether DuckDB, if it could answer, gave the same."""
        query = with_views([(view.name, view.query.theirs) for view in output["readable"].views()], output["query"].theirs)
        try:
            theirs = [[plain(value) for value in row] for row in connection.execute(query).fetchall()]
        except duckdb.Error as error:
            # Overflows and the like, which are errors there and NULL here.
            if any(word in str(error) for word in ["Binder", "Parser", "Catalog"]):
                raise Different(f"not a query of DuckDB: {query}\n  {error}") from None
            return False
        ours = self.ask(self.alone(output["query"], output["readable"])).splitlines()
        problem = compare([list(json.loads(text, parse_float=decimal.Decimal).values()) for text in ours], theirs, output["ordered"])
        if problem:
            raise Different(f"{problem}\n  DuckDB: {query}")
        return True


class Different(Exception):
    pass


def with_views(views, query):
    """A query that may have a WITH of its own, after views."""
    if not views:
        return query
    tables = ", ".join(f"{name} as ({text})" for name, text in views)
    return f"with {tables}, {query[5:]}" if query.startswith("with ") else f"with {tables} {query}"


def fields(text):
    """The keys of an object and its values, as they stand there."""
    text = text.decode()
    decoder = json.JSONDecoder()
    found, at = [], 1
    while True:
        at = re.compile(r"[\s,]*").match(text, at).end()
        if text[at] == "}":
            return found
        key, at = decoder.raw_decode(text, at)
        at = re.compile(r"\s*:\s*").match(text, at).end()
        start = at
        _, at = decoder.raw_decode(text, at)
        found.append((key, text[start:at]))


def partition_value(text):
    """What the directory of a value says, before it is encoded."""
    value = json.loads(text, parse_float=decimal.Decimal)
    if value is None or value == "":
        return NULL
    if isinstance(value, decimal.Decimal):
        # Equal numbers are one partition, however they are spelt.
        return format(value.normalize(), "f")
    return value if isinstance(value, str) else text


def split_header(content, format):
    if format == "csv" and content:
        header, rest = content.split(b"\n", 1)
        return header, rest
    return b"", content


def count_rows(content, format):
    return len(list(csv.reader(io.StringIO(content.decode())))) if format == "csv" else content.count(b"\n")


def first_difference(found, expected):
    found, expected = found.splitlines(), expected.splitlines()
    at = next((at for at, pair in enumerate(zip(found, expected)) if pair[0] != pair[1]), min(len(found), len(expected)))
    return f"{len(found)} lines, expected {len(expected)}; line {at + 1} is {found[at:at + 1]}, expected {expected[at:at + 1]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--foldl", required=True)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of one job")
    parser.add_argument("--keep", help="a folder for the jobs that failed")
    options = parser.parse_args()
    foldl = os.path.abspath(options.foldl)
    compressions = tools()
    for program in ("zstd", "lz4"):
        if not shutil.which(program):
            print(f"{program} is not installed: no job reads or writes its files")
    counts = dict.fromkeys(["jobs", "outputs", "checks", "failing jobs", "killed", "resumed", "short of memory", "asked of DuckDB", "refused by DuckDB"], 0)
    failures = 0
    for number in range(options.jobs) if options.only is None else [options.only]:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            rng = random.Random(f"{options.seed}/{number}")
            job = Job(rng, folder, foldl, compressions)
            counts["jobs"] += 1
            problems = []

            def attempt(what, verify, *arguments):
                try:
                    return verify(*arguments)
                except Different as error:
                    problems.append(f"{what}: {error}")

            killed = job.large and job.checkpoint is not None and not job.must_fail and rng.random() < 0.6
            counts["killed"] += killed
            code, told, is_short = job.run(killed)
            counts["short of memory"] += is_short
            counts["resumed"] += "resumed" in told
            if job.must_fail:
                counts["failing jobs"] += 1
                left = [path for path in folder.glob("out/*/*") if path.name != "_foldl"]
                if code != 1 or left:
                    problems.append(f"a check failed, the exit code is {code}, and there is {left}: {told[-500:]}")
            elif code:
                problems.append(f"exit code {code}: {told[-1000:]}")
            else:
                connection = job.duckdb() if job.clean else None
                for at, output in enumerate(job.outputs):
                    counts["outputs"] += 1
                    attempt(f"output o{at}: {output['query']}", job.verify_output, at)
                    if connection and output["asks"]:
                        asked = attempt(f"output o{at}: {output['query']}", job.verify_with_duckdb, connection, output)
                        counts["asked of DuckDB" if asked else "refused by DuckDB"] += 1
                if job.checks:
                    counts["checks"] += len(job.checks)
                    attempt("checks", job.verify_checks)
                if job.rejects:
                    attempt("rejects", job.verify_rejects)
            if problems:
                failures += 1
                print(f"job {number} of seed {options.seed}" + "".join(f"\n  {problem}" for problem in problems) + "\n", flush=True)
                if options.keep:
                    shutil.copytree(folder, pathlib.Path(options.keep) / f"{options.seed}-{number}", dirs_exist_ok=True)
                if failures >= 25:
                    sys.exit("too many jobs that failed")
    print("random jobs: " + ", ".join(f"{count} {what}" for what, count in counts.items()) + f": {failures} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
