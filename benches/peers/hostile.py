"""Made records that are meant to hurt: what a learned shape or a fixed buffer would stumble over."""

import random

from shapes import LEVELS, SERVICES, WORDS, compact, log12, text, token


def new_keys(rng, i):
    """Keys that no other record has, around those that are asked for."""
    record = {f"k{token(rng, 32)}": rng.randint(0, 99), "group": rng.choice(LEVELS)}
    for _ in range(rng.randint(2, 8)):
        record[f"{rng.choice(WORDS)}_{token(rng, 40)}"] = rng.choice([1, True, None, 2.5, "text", [1, 2]])
    record["value"] = rng.randint(0, 1000)
    record[f"z{token(rng, 32)}"] = "end"
    return compact(record)


def alternating(rng, i):
    """Twelve keys in 200 orders that take turns."""
    pairs = log12(rng, i)
    order = ORDERS[i % len(ORDERS)]
    return compact(dict(pairs[place] for place in order))


ORDERS = [random.Random(number).sample(range(12), 12) for number in range(200)]


def deep(rng, i):
    """Objects and arrays fifty levels deep, beside the fields that are asked for."""
    value = rng.randint(0, 99)
    for level in range(49):
        value = [level, value] if rng.random() < 0.5 else {rng.choice(WORDS): value}
    return compact({"group": rng.choice(LEVELS), "deep": value, "value": rng.randint(0, 1000)})


def long_keys(rng, i):
    """Keys of 40 to 100 bytes."""
    names = LONG_NAMES
    return compact(
        {
            names[0]: rng.choice(LEVELS),
            names[1]: text(rng, 1, 4),
            names[2]: rng.randint(0, 99),
            names[3]: token(rng),
            names[4]: rng.random() < 0.5,
            names[5]: round(rng.random(), 4),
            names[6]: None,
            names[7]: rng.randint(0, 1000),
            names[8]: rng.choice(SERVICES),
        }
    )


LONG_NAMES = [
    "/".join(["org.example", "telemetry", *WORDS[place * 4 : place * 4 + count], "attribute", str(place)])
    for place, count in enumerate([2, 3, 5, 9, 11, 6, 4, 12, 7])
]


def dupes(rng, i):
    """Keys that stand twice in a record, with the same value where it is asked for."""
    group, value = rng.choice(LEVELS), rng.randint(0, 1000)
    return (
        f'{{"group":"{group}","note":"{text(rng, 1, 5)}","value":{value},"note":"{text(rng, 1, 5)}","id":{i},'
        f'"group":"{group}","id":"{i}","value":{value}}}'
    )


def escaped_keys(rng, i):
    r"""Keys with escapes: caf\u00e9 on one line, café on the next; quotes, backslashes and slashes."""
    cafe = "caf\\u00e9" if i % 2 else "café"
    return (
        f'{{"a\\"b":{rng.randint(0, 9)},"{cafe}":"{rng.choice(LEVELS)}",'
        f'"C:\\\\dir\\\\{rng.randint(0, 9)}":"{token(rng)}","\\u0076alue":{rng.randint(0, 1000)},'
        f'"text\\/plain":"{text(rng, 1, 6)}","tab\\tkey":null}}'
    )


HOSTILE = [new_keys, alternating, deep, long_keys, dupes, escaped_keys]
