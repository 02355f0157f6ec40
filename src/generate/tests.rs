use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn lines(kind: Kind, range: Range<u64>, seed: u64) -> Vec<u8> {
    let mut out = Vec::new();
    Generator::new(kind, u64::MAX, seed).write_rows(range, &mut out);
    out
}

fn records(kind: Kind, rows: u64, seed: u64) -> Vec<Value> {
    let text = lines(kind, 0..rows, seed);
    assert_eq!(text.last(), Some(&b'\n'));
    let records: Vec<Value> =
        text[..text.len() - 1].split(|&b| b == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect();
    assert_eq!(records.len() as u64, rows);
    records
}

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record[key].as_str().unwrap()
}

/// FNV-1a, as simple as a hash can be that notices any change.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// Users rely on a seed giving the same data in every version: do not update these to make the test pass.
#[test]
fn rows_are_pinned() {
    let hashes = Kind::ALL.map(|kind| hash(&lines(kind, 0..5_000, 42)));
    assert_eq!(
        hashes.map(|hash| format!("{hash:016x}")),
        ["9a5702d87b106540", "2f669d79ae16cd01", "e4ad16ddb377e27e", "2e7171abd1fc42b2"]
    );
}

#[test]
fn kinds_are_read_as_they_are_printed() {
    for kind in Kind::ALL {
        assert_eq!(kind.to_string().parse::<Kind>().unwrap(), kind);
    }
    assert_eq!("order".parse::<Kind>().unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn seeds_and_kinds_differ() {
    for kind in Kind::ALL {
        assert_ne!(lines(kind, 0..1, 1), lines(kind, 0..1, 2));
    }
}

#[test]
fn the_largest_row_number_is_no_special_case() {
    for kind in Kind::ALL {
        let line = lines(kind, u64::MAX - 1..u64::MAX, 0);
        serde_json::from_slice::<Value>(&line).unwrap();
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same_bytes(
        kind in prop::sample::select(Kind::ALL.to_vec()), seed: u64, start in 0u64..100_000, a in 0u64..50, b in 0u64..50,
    ) {
        let mut split = lines(kind, start..start + a, seed);
        split.extend(lines(kind, start + a..start + a + b, seed));
        prop_assert_eq!(split, lines(kind, start..start + a + b, seed));
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    for kind in Kind::ALL {
        for rows in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 7] {
            let expected = lines(kind, 0..rows, 7);
            for threads in [0, 1, 2, 3, 8, 100] {
                let mut out = Vec::new();
                Generator::new(kind, rows, 7).write_to(&mut out, threads).unwrap();
                assert!(out == expected, "{kind}: {rows} rows by {threads} threads differ");
            }
        }
    }
}

/// Fails with an error of a kind after some bytes.
struct Failing(usize, io::ErrorKind);

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(self.1.into());
        }
        let n = bytes.len().min(self.0);
        self.0 -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.0 == 0 { Err(self.1.into()) } else { Ok(()) }
    }
}

#[test]
fn a_failed_write_ends_all_threads() {
    let generator = Generator::new(Kind::Orders, 1_000_000_000, 1);
    for threads in [1, 2, 5] {
        for bytes in [0, 1, 1_000_000] {
            let closed = generator.write_to(&mut Failing(bytes, io::ErrorKind::BrokenPipe), threads).unwrap_err();
            assert_eq!(closed.kind(), ErrorKind::ClosedPipe);
            let full = generator.write_to(&mut Failing(bytes, io::ErrorKind::StorageFull), threads).unwrap_err();
            assert_eq!(full.kind(), ErrorKind::Output);
        }
    }
}

#[test]
fn a_failed_flush_is_an_error() {
    let bytes = lines(Kind::Users, 0..3, 1).len();
    let error = Generator::new(Kind::Users, 3, 1).write_to(&mut Failing(bytes, io::ErrorKind::Other), 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Output);
}

#[test]
fn orders_refer_to_users_and_products() {
    let product_records = records(Kind::Products, u64::from(orders::PRODUCTS), 3);
    let prices: HashMap<&str, f64> = product_records
        .iter()
        .map(|product| (text(product, "productId"), product["price"].as_f64().unwrap()))
        .collect();
    assert_eq!(prices.len(), orders::PRODUCTS as usize);
    let user_records = records(Kind::Users, u64::from(orders::USERS), 3);
    let users: HashSet<&str> = user_records.iter().map(|user| text(user, "userId")).collect();
    assert_eq!(users.len(), orders::USERS as usize);

    let orders = records(Kind::Orders, 50_000, 3);
    let mut ids = HashSet::new();
    for order in &orders {
        assert!(ids.insert(text(order, "orderId")));
        assert!(users.contains(text(order, "userId")));
        let ratio = order["price"].as_f64().unwrap() / prices[text(order, "productId")];
        assert!((0.74..1.06).contains(&ratio), "{order}");
    }
}

#[test]
fn orders_are_as_promised() {
    let rows = 50_000;
    let bytes = lines(Kind::Orders, 0..rows, 42).len() as f64 / rows as f64;
    assert!((160.0..170.0).contains(&bytes), "{bytes} bytes a line");

    let orders = records(Kind::Orders, rows, 42);
    let share = |test: &dyn Fn(&Value) -> bool| orders.iter().filter(|order| test(order)).count() as f64 / rows as f64;
    let counts = |key: &str| {
        let mut counts = HashMap::new();
        orders.iter().for_each(|order| *counts.entry(order[key].to_string()).or_insert(0) += 1);
        counts
    };
    for order in &orders {
        let keys: Vec<&String> = order.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 7, "{order}");
        assert!((1..=10).contains(&order["quantity"].as_i64().unwrap()));
        assert!((0.75..1_400.0).contains(&order["price"].as_f64().unwrap()), "{order}");
        let date = text(order, "orderDate");
        assert!(date.starts_with("2025-") && date.len() == 24, "{date}");
        date.parse::<jiff::Timestamp>().unwrap();
    }
    assert!((0.69..0.71).contains(&share(&|order| order["status"] == "completed")));
    assert_eq!(counts("status").len(), 5);
    assert!(share(&|order| order["quantity"].as_i64() <= Some(3)) > 0.85);
    assert!((0.05..0.3).contains(&share(&|order| order["price"].is_u64())));
    assert!(counts("userId").len() > 15_000);
    assert!(counts("userId").into_values().max() > Some(150));
    assert_eq!(counts("productId").len(), 1_000);
    assert!(counts("productId").into_values().max() > Some(800));

    let days: HashSet<&str> = orders.iter().map(|order| &text(order, "orderDate")[..10]).collect();
    assert_eq!(days.len(), 365);
    let ascending = orders.windows(2).filter(|pair| text(&pair[0], "orderDate") <= text(&pair[1], "orderDate")).count();
    assert!((rows / 2..rows * 9 / 10).contains(&(ascending as u64)), "{ascending}");
}

#[test]
fn users_are_as_promised() {
    let users = records(Kind::Users, 20_000, 42);
    let keys = ["userId", "name", "email", "segment", "country", "signupDate", "age", "tags"];
    for user in &users {
        assert_eq!(user.as_object().unwrap().len(), keys.len());
        assert!(keys.iter().all(|key| user.get(key).is_some()), "{user}");
        assert!(text(user, "email").ends_with("@example.com") || text(user, "email").ends_with("@example.org"));
        assert!(text(user, "email").is_ascii());
        assert_eq!(text(user, "country").len(), 2);
        assert!(("2019-01-01".."2025-01-01").contains(&text(user, "signupDate")));
        assert!(user["age"].is_null() || (18..=86).contains(&user["age"].as_i64().unwrap()));
        assert!(user["tags"].as_array().unwrap().len() < 5);
    }
    let emails: HashSet<&str> = users.iter().map(|user| text(user, "email")).collect();
    assert_eq!(emails.len(), users.len());
    assert!(users.iter().filter(|user| user["age"].is_null()).count() > 2_000);
    assert!(users.iter().filter(|user| !text(user, "name").is_ascii()).count() > 10_000);
}

#[test]
fn products_are_as_promised() {
    let products = records(Kind::Products, 5_000, 42);
    let keys = ["productId", "name", "category", "brand", "price", "stock", "attributes", "rating"];
    for product in &products {
        assert!(keys.iter().all(|key| product.get(key).is_some()), "{product}");
        assert!((1.0..=1_311.0).contains(&product["price"].as_f64().unwrap()), "{product}");
        assert!(product["rating"].is_null() || (2.5..=5.0).contains(&product["rating"].as_f64().unwrap()));
        assert!(product["attributes"].is_object());
    }
    assert!(products.iter().filter(|product| product["rating"].is_null()).count() > 500);
    assert!(products.iter().any(|product| product["attributes"]["dimensions"].is_object()));
}

#[test]
fn events_are_as_promised() {
    let mut kinds: HashMap<String, u32> = HashMap::new();
    let mut actors = HashSet::new();
    let mut hours = HashSet::new();
    let mut languages = HashSet::new();
    for seed in 0..5 {
        for event in records(Kind::Events, 10_000, seed) {
            let commit = &event["commit"];
            let kind = format!("{} {} {}", event["kind"], commit["operation"], commit["collection"]);
            *kinds.entry(kind).or_default() += 1;
            actors.insert(text(&event, "did").to_string());
            let time = jiff::Timestamp::from_microsecond(event["time_us"].as_i64().unwrap()).unwrap().to_string();
            assert!(time.starts_with("2025-01-"), "{time}");
            hours.insert(time[11..13].to_string());
            let record = &commit["record"];
            for language in record["langs"].as_array().into_iter().flatten() {
                languages.insert(language.as_str().unwrap().to_string());
            }
            for facet in record["facets"].as_array().into_iter().flatten() {
                let at = |key: &str| facet["index"][key].as_u64().unwrap() as usize;
                let slice = &text(record, "text")[at("byteStart")..at("byteEnd")];
                assert_eq!(slice, format!("#{}", text(facet, "tag")));
            }
        }
        for line in lines(Kind::Events, 0..10_000, seed).split_inclusive(|&b| b == b'\n') {
            assert!((300..=900).contains(&line.len()), "{}: {}", line.len(), String::from_utf8_lossy(line));
        }
    }
    assert_eq!(kinds.len(), 12, "{kinds:?}");
    assert!(kinds.values().all(|&n| n > 300), "{kinds:?}");
    assert!(actors.len() > 10_000 && hours.len() == 24 && languages.len() == 10);
}
