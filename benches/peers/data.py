"""Makes the inputs of the suite in target/bench (target/bench/small for SCALE=small).

    python3 benches/peers/data.py [NAME...]

A file appears under its name only when it is complete, and what is there already is kept. Everything is deterministic:
the same files on every machine.

Settings, from the environment:
    FOLDL  the binary that generates orders and events (target/release/foldl)
    DATA   a folder with the real files zeek.jsonl.gz, winlog_empire.jsonl.gz, nginxplus.jsonl.gz and gsm8k.jsonl.gz;
           without it the queries about them are left out
    SCALE  full (5 million orders, 400 MB for each other file) or small (a twentieth)
"""

import gzip
import itertools
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import hostile
import shapes

ROOT = Path(__file__).resolve().parents[2]
SCALES = {"full": 1.0, "small": 0.05}
ROWS = 5_000_000
SIZE = 400_000_000
HOSTILE_SIZE = 200_000_000
# So many bytes of different lines are made; the rest repeats them, as making more takes long and parses no differently.
UNIQUE = 40_000_000
# An event has 467 bytes on average.
EVENTS = 860_000

REAL = ["zeek", "winlog_empire", "nginxplus", "gsm8k"]
MADE = {function.__name__: (function, SIZE) for function in shapes.SHAPES}
MADE |= {function.__name__: (function, HOSTILE_SIZE) for function in hostile.HOSTILE}
# What is joined to the orders, in full: every user and product that an order names.
BESIDE = {"users": 100_000, "products": 1_000}
NAMES = ["orders", "events", *BESIDE, *REAL, *MADE]


def scale():
    """The name of the scale, from the environment."""
    name = os.environ.get("SCALE", "full")
    if name not in SCALES:
        sys.exit(f"SCALE is {name}; it can be {' or '.join(SCALES)}")
    return name


def path(name):
    """Where a file is, or will be."""
    folder = ROOT / "target/bench"
    return (folder if scale() == "full" else folder / scale()) / f"{name}.jsonl"


def foldl():
    """The binary that generates."""
    return os.environ.get("FOLDL", str(ROOT / "target/release/foldl"))


def generate(kind, rows, output):
    """Invented records of foldl itself."""
    subprocess.run([foldl(), "generate", kind, "--rows", str(rows), "--seed", "1"], stdout=output, check=True)


def repeat(block, size, output):
    """Whole lines, over and over, until there are about so many bytes."""
    for _ in range(max(1, round(size / len(block)))):
        output.write(block)


def made(function, unique):
    """Lines of one shape, so many bytes of them."""
    rng = random.Random(function.__name__)
    lines, length = [], 0
    while length < unique:
        line = function(rng, len(lines)).encode()
        lines.append(line)
        length += len(line) + 1
    return b"\n".join(lines) + b"\n"


def write(name, output):
    """Writes a file to an open one; false if it cannot be made."""
    factor = SCALES[scale()]
    if name == "orders":
        generate("orders", round(ROWS * factor), output)
    elif name == "orders_2gb":
        generate("orders", round(2.5 * ROWS * factor), output)
    elif name == "events":
        generate("events", round(EVENTS * factor), output)
    elif name in BESIDE:
        generate(name, BESIDE[name], output)
    elif name in REAL:
        folder = os.environ.get("DATA")
        source = Path(folder) / f"{name}.jsonl.gz" if folder else None
        if source is None or not source.exists():
            print(f"{name}: left out: {source or 'DATA is not set'}", file=sys.stderr)
            return False
        block = gzip.decompress(source.read_bytes())
        if not block.endswith(b"\n"):
            block += b"\n"
        repeat(block, SIZE * factor, output)
    else:
        function, size = MADE[name]
        repeat(made(function, UNIQUE * factor), size * factor, output)
    return True


def make(name):
    """Makes a file unless it is there; None if it cannot be made."""
    return derive(path(name), lambda output: write(name, output))


def derive(target, write):
    """Makes a file by a function that writes to an open one and says whether it could; keeps one that is there."""
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    part = target.with_name(target.name + ".part")
    with open(part, "wb") as output:
        complete = write(output)
    if not complete:
        part.unlink()
        return None
    part.rename(target)
    print(f"{target.name}: {target.stat().st_size / 1e6:.0f} MB in {time.monotonic() - start:.1f} s", file=sys.stderr)
    return target


def first_lines(name, count):
    """The first so many lines of a file, as a file of its own."""

    def write_lines(output):
        with open(make(name), "rb") as lines:
            output.writelines(itertools.islice(lines, count))
        return True

    return derive(path(f"{name}-{count}"), write_lines)


def compressed(name, program, suffix):
    """A file as gzip, zstd and the like write it, or None without the program."""
    if shutil.which(program) is None:
        return None

    def write_compressed(output):
        return subprocess.run([program, "-c", make(name)], stdout=output).returncode == 0

    return derive(path(name).with_suffix(f".jsonl.{suffix}"), write_compressed)


def main():
    names = sys.argv[1:] or NAMES
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.exit(f"no such file: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    for name in names:
        make(name)


if __name__ == "__main__":
    main()
