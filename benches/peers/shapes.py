"""The made records of the suite: one function for each shape, from a random source and a number to a line of JSON.

A shape is what a parser sees: how many keys, in which order, how they are spaced, what the values are made of. Each
function is deterministic, and its values are of realistic kinds and lengths.
"""

import json

compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
ascii_compact = json.JSONEncoder(separators=(",", ":")).encode

WORDS = (
    "the of and to in is for that with as on at by from this be are was or an it not which have were their has more "
    "request response server client timeout error connection retry cache user session token payment order shipped "
    "database index query table record stream buffer memory thread process kernel network packet route gateway "
    "failed completed started stopped accepted rejected pending unknown invalid expired created updated deleted"
).split()
REGIONS = [
    "eu-west-1",
    "eu-central-1",
    "us-east-1",
    "us-west-2",
    "ap-south-1",
    "ap-northeast-1",
    "sa-east-1",
    "af-south-1",
]
LEVELS = ["debug", "info", "info", "info", "info", "warn", "error"]
METHODS = ["GET", "GET", "GET", "GET", "POST", "POST", "PUT", "DELETE"]
SERVICES = ["checkout", "catalog", "search", "identity", "billing", "shipping", "mail", "reports", "gateway"]
HANZI = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生"
    "到作地于出就分对成会可主发年动同工也能下过子说产种"
    "面而方后多定行学法所民得经"
)
CITIES = "北京 上海 广州 深圳 成都 杭州 武汉 西安 重庆 南京 天津 苏州".split()
CATEGORIES = ["电子产品", "图书", "服装", "家居用品", "食品", "运动户外"]


def text(rng, fewest, most):
    """So many words."""
    return " ".join(rng.choices(WORDS, k=rng.randint(fewest, most)))


def token(rng, bits=64):
    """A hexadecimal identifier."""
    return f"{rng.getrandbits(bits):0{bits // 4}x}"


def moment(i):
    """A time that grows with the number of the record."""
    seconds = i * 7 % 31_536_000
    day, clock = divmod(seconds, 86_400)
    month, day = divmod(day, 28)
    return (
        f"2025-{month % 12 + 1:02}-{day + 1:02}T{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}.{i % 1000:03}Z"
    )


def wide60(rng, i):
    """Sixty fields of mixed types, as a wide event of a web service; queries use three of them."""
    record = {
        "timestamp": moment(i),
        "trace_id": token(rng, 128),
        "span_id": token(rng),
        "parent_id": None,
        "service": rng.choice(SERVICES),
        "version": f"{rng.randint(1, 4)}.{rng.randint(0, 30)}.{rng.randint(0, 9)}",
        "host": f"ip-10-{rng.randint(0, 31)}-{rng.randint(0, 255)}",
        "pid": rng.randint(100, 65_000),
        "thread": rng.randint(1, 64),
        "level": rng.choice(LEVELS),
        "message": text(rng, 4, 20),
        "method": rng.choice(METHODS),
        "path": "/" + "/".join(rng.choices(WORDS, k=rng.randint(1, 4))),
        "query": None,
        "status_code": rng.choice([200, 200, 200, 200, 201, 204, 301, 404, 500, 503]),
        "latency_ms": round(rng.expovariate(1 / 40), 3),
        "bytes_in": rng.randint(0, 4000),
        "bytes_out": rng.randint(100, 200_000),
        "user_id": rng.randint(1, 1_000_000),
        "session": token(rng),
        "ip": ".".join(str(rng.randint(1, 254)) for _ in range(4)),
        "port": rng.randint(1024, 65_535),
        "tls": rng.random() < 0.9,
        "cipher": "TLS_AES_128_GCM_SHA256",
        "agent": f"Mozilla/5.0 (X11; Linux x86_64) {token(rng, 32)}",
        "referer": "",
        "country": rng.choice(["DE", "FR", "US", "IN", "BR", "JP", "ZA"]),
        "city": rng.choice(["Berlin", "Zürich", "São Paulo", "Pune"]),
        "lat": round(rng.uniform(-90, 90), 6),
        "lon": round(rng.uniform(-180, 180), 6),
        "asn": rng.randint(1, 400_000),
        "cached": rng.random() < 0.3,
        "cache_age": rng.randint(0, 3600),
        "shard": rng.randint(0, 15),
        "retries": 0,
        "queue_ms": round(rng.expovariate(1 / 3), 3),
        "db_ms": round(rng.expovariate(1 / 9), 3),
        "db_calls": rng.randint(0, 12),
        "rpc_ms": round(rng.expovariate(1 / 9), 3),
        "rpc_calls": rng.randint(0, 6),
        "cpu_ms": round(rng.expovariate(1 / 5), 3),
        "heap": rng.randint(10**7, 10**9),
        "gc": rng.random() < 0.02,
        "feature_a": True,
        "feature_b": rng.random() < 0.5,
        "feature_c": False,
        "experiment": rng.choice(["control", "blue", "green"]),
        "tenant": f"t-{rng.randint(1, 900):04}",
        "plan": rng.choice(["free", "team", "enterprise"]),
        "locale": rng.choice(["de-DE", "en-US", "pt-BR", "ja-JP"]),
        "region": rng.choice(REGIONS),
        "zone": rng.choice("abc"),
        "cluster": f"c{rng.randint(1, 20)}",
        "pod": token(rng, 40),
        "image": f"sha256:{token(rng, 96)}",
        "build": rng.randint(10_000, 99_999),
        "commit": token(rng, 80),
        "sampled": rng.random() < 0.1,
        "rate": 0.1,
        "error": None if rng.random() < 0.9 else text(rng, 3, 9),
    }
    assert len(record) == 60
    return compact(record)


def log12(rng, i):
    """A log record of twelve fields, as a list of pairs."""
    return [
        ("time", moment(i)),
        ("level", rng.choice(LEVELS)),
        ("service", rng.choice(SERVICES)),
        ("host", f"web-{rng.randint(1, 99):02}"),
        ("method", rng.choice(METHODS)),
        ("path", "/" + "/".join(rng.choices(WORDS, k=rng.randint(1, 3)))),
        ("status", rng.choice([200, 200, 200, 201, 304, 404, 500])),
        ("bytes", rng.randint(0, 100_000)),
        ("seconds", round(rng.expovariate(20), 4)),
        ("user", f"u-{rng.randint(1, 50_000):06}"),
        ("secure", rng.random() < 0.9),
        ("message", text(rng, 2, 12)),
    ]


def hash_order(rng, i):
    """Twelve keys in another order on every line, as writers with randomly seeded hash maps give them."""
    pairs = log12(rng, i)
    rng.shuffle(pairs)
    return compact(dict(pairs))


def spaced(rng, i):
    """A space after each colon and comma, as Python's json.dumps writes it."""
    return json.dumps(
        {
            "id": i,
            "prompt": text(rng, 5, 40),
            "label": rng.choice(["positive", "negative", "neutral", "mixed"]),
            "score": rng.random(),
            "tokens": rng.randint(3, 900),
            "split": rng.choice(["train", "train", "train", "test"]),
            "source": {"name": rng.choice(SERVICES), "line": rng.randint(1, 10_000)},
            "tags": rng.choices(WORDS, k=rng.randint(0, 5)),
            "reviewed": rng.random() < 0.2,
            "weight": round(rng.random(), 2),
        }
    )


def escaped(rng, i):
    r"""Long text with an escape every few characters: \n \t \" \\ and \u00e9."""
    breaks = ["\n", "\t", '"', '": "', "\\", "C:\\Users\\", "é", "ü", "\r\n", "€", " ", " ", " "]
    body = "".join(part for _ in range(rng.randint(10, 120)) for part in (rng.choice(WORDS), rng.choice(breaks)))
    return ascii_compact(
        {
            "id": i,
            "lang": rng.choice(["de", "fr", "es", "pt", "pl"]),
            "title": f'"{text(rng, 2, 6)}"',
            "text": body,
            "stars": rng.randint(1, 5),
            "file": "C:\\data\\" + "\\".join(rng.choices(WORDS, k=3)),
        }
    )


def chinese(rng, i):
    """Text values in Chinese, as raw UTF-8."""

    def hanzi(fewest, most):
        return "".join(rng.choices(HANZI, k=rng.randint(fewest, most)))

    return compact(
        {
            "编号": i,
            "city": rng.choice(CITIES),
            "category": rng.choice(CATEGORIES),
            "title": hanzi(6, 24),
            "review": hanzi(20, 160) + "。" + hanzi(5, 60) + "!",
            "name": hanzi(2, 3),
            "amount": rng.randint(100, 99_999) / 100,
            "address": rng.choice(CITIES) + "市" + hanzi(2, 4) + "路" + str(rng.randint(1, 999)) + "号",
            "time": moment(i),
        }
    )


def numbers(rng, i):
    """Twenty numbers: integers, negative ones, decimals of up to 17 digits, exponents."""
    record = {
        "sensor": rng.randint(1, 40),
        "seq": i,
        "t": 1_735_689_600_000 + i * 250,
        "dx": rng.randint(-500, 500),
        "dy": rng.randint(-500, 500),
        "count": rng.getrandbits(31),
        "total": rng.getrandbits(53),
        "temp": rng.randint(-400, 450) / 10,
        "price": rng.randint(1, 10**6) / 100,
        "lat": round(rng.uniform(-90, 90), 6),
        "lon": round(rng.uniform(-180, 180), 6),
        "p": rng.random(),
        "q": rng.random(),
        "gauss": rng.gauss(0, 1),
        "mean": rng.uniform(1, 1000),
        "small": rng.random() * 10 ** -rng.randint(5, 30),
        "big": rng.random() * 10 ** rng.randint(17, 40),
        "mass": 0,
        "zero": 0,
        "ratio": rng.randint(0, 8) / 8,
    }
    # As other writers have them: 1.5E+3, 9.12e-4.
    mantissa = f"{rng.randint(1, 99)}.{rng.randint(0, 999)}"
    exponent = f"{rng.choice('eE')}{rng.choice(['', '+', '-'])}{rng.randint(0, 12)}"
    return compact(record).replace('"mass":0', f'"mass":{mantissa}{exponent}')


def nested(rng, i):
    """Arrays and objects within each other, of varying lengths."""
    items = [
        {
            "sku": f"sku-{rng.randint(1, 9999):04}",
            "qty": rng.randint(1, 9),
            "price": rng.randint(100, 50_000) / 100,
            "tags": rng.choices(WORDS, k=rng.randint(0, 4)),
        }
        for _ in range(rng.randint(0, 8))
    ]
    return compact(
        {
            "id": i,
            "customer": {
                "id": rng.randint(1, 99_999),
                "name": text(rng, 2, 3),
                "address": {
                    "city": rng.choice(CITIES),
                    "zip": f"{rng.randint(0, 99_999):05}",
                    "geo": [round(rng.uniform(-90, 90), 4), round(rng.uniform(-180, 180), 4)],
                },
                "phones": [token(rng, 32) for _ in range(rng.randint(0, 3))],
            },
            "items": items,
            "matrix": [[rng.randint(0, 99) for _ in range(rng.randint(0, 6))] for _ in range(rng.randint(0, 5))],
            "meta": {}
            if rng.random() < 0.3
            else {"source": {"kind": rng.choice(SERVICES), "path": [text(rng, 1, 2), [], {}]}},
            "region": rng.choice(REGIONS),
            "total": round(sum(item["qty"] * item["price"] for item in items), 2),
            "paid": rng.random() < 0.8,
        }
    )


# The keys of twenty kinds of record, three to nine words each.
KINDS = [WORDS[kind * 3 : kind * 3 + 3 + kind % 7] for kind in range(20)]


def mixed20(rng, i):
    """Twenty kinds of record with keys of their own, mixed at random; every second kind has `ms`."""
    number = min(int(rng.expovariate(1 / 5)), 19)
    record = {"type": f"{KINDS[number][0]}.{number}", "time": moment(i)}
    for place, key in enumerate(KINDS[number]):
        value = (number + place) % 5
        record[f"{key}_{number}"] = (
            text(rng, 1, 8)
            if value == 0
            else rng.randint(0, 10**6)
            if value == 1
            else round(rng.random() * 100, 2)
            if value == 2
            else rng.random() < 0.5
            if value == 3
            else {"id": token(rng), "n": rng.randint(0, 9)}
        )
    if number % 2 == 0:
        record["ms"] = rng.randint(1, 5000)
    return compact(record)


def tiny(rng, i):
    """Records of about twenty bytes."""
    return f'{{"k":"{rng.choice(REGIONS)[:2]}{rng.randint(0, 9)}","v":{rng.randint(0, 999)}}}'


def large50k(rng, i):
    """Records of about 50 kB: big texts and big arrays between the small fields."""
    return compact(
        {
            "id": token(rng, 128),
            "kind": rng.choice(["page", "pdf", "mail", "image"]),
            "title": text(rng, 3, 12),
            "body": "\n".join(text(rng, 20, 90) for _ in range(rng.randint(20, 110))),
            "vector": [round(rng.uniform(-1, 1), 7) for _ in range(768)],
            "links": [
                {"to": "https://example.org/" + token(rng), "text": text(rng, 1, 6)} for _ in range(rng.randint(0, 150))
            ],
            "raw": text(rng, 500, 2000),
            "size": rng.randint(1000, 10**7),
            "ok": rng.random() < 0.9,
        }
    )


SHAPES = [wide60, hash_order, spaced, escaped, chinese, numbers, nested, mixed20, tiny, large50k]
