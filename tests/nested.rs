//! A query over a query gives what it gives over a file with the rows of that: what is spared the query within does not
//! show.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use common::{folder, run, write};
use proptest::prelude::*;
use proptest::sample::select;

const INPUT: &str = r#"{"a":1,"b":"x","c":[1,{"a":2}],"u":{"b":7}}
{"b":2.50,"a":1,"value":3,"d":true}
{ "a" : 2, "d": false, "c" : null, "x y":1 }
5
[1, 2]
{}
{"value":{"a":9},"c":"é\n","a":12345678901234567890}
{"a":"1","a":3,"b":"x","d":true}
{"u":[{"b":1}],"b":null,"c":4}
{"a":2,"b":2,"c":[],"d":true,"n":5}
{"a":null,"b":"z","c":7,"u":null}
"broken
"#;
const JOINED: &str = r#"{"a":1,"s":10,"c":"joined"}
{"a":2,"s":20,"b":{"q":1}}
{"a":2,"s":21}
{"a":null,"s":30,"value":1}
"#;
const FIELDS: &[&str] = &["a", "b", "c", "d", "u", "value", "u.b", "c[1].a", "n", "s", "\"x y\"", "nowhere"];
const LISTS: &[&str] = &[
    "*",
    "*, a + 1 as n",
    "*, b as n",
    "* exclude (a)",
    "* exclude (b, value)",
    "* replace (a + 1 as a)",
    "a, b, c",
    "a as b, b as a",
    "x.*, x.b as n",
    "distinct a, b",
    "a, c, a + 1 as n, u",
    "a, count(*) as n, max(c) as c",
];
const JOINS: &[(&str, &str)] = &[
    ("*", "join 'joined.jsonl' s using (a)"),
    ("*, s.c as n", "left join 'joined.jsonl' s on x.a = s.a"),
    ("x.*, s.*", "left join 'joined.jsonl' s on x.a = s.a"),
    ("s.*, x.*", "left join 'joined.jsonl' s on x.a = s.a"),
    ("s.*, s.b as n", "join 'joined.jsonl' s on x.a = s.a"),
    ("x.*, s.s + 1 as s", "join 'joined.jsonl' s on x.a = s.a"),
    ("*", "semi join 'joined.jsonl' s using (a)"),
    ("*", "anti join 'joined.jsonl' s using (a)"),
    ("*", ", unnest(x.c) as n"),
];
const FILTERS: &[&str] =
    &["", "", "where x.a > 1", "where x.d", "where exists(x.b)", "where x.nowhere is null", "where x.c is not null"];
const ENDS: &[&str] = &["", "", "", "order by x.b desc, x.a", "limit 4", "limit 3 offset 1"];

/// A query over `FROM`, whose source is called `x`.
fn within() -> impl Strategy<Value = String> {
    let plain = (select(LISTS), Just(""));
    let joined = select(JOINS);
    (prop_oneof![2 => plain, 1 => joined], select(FILTERS), select(ENDS)).prop_map(|((list, join), filter, end)| {
        let (group, end) = match list {
            list if list.contains("count(") => ("group by a", ""),
            list if list.starts_with("distinct") => ("", end.split("order").next().unwrap()),
            _ => ("", end),
        };
        format!("select {list} from FROM x {join} {filter} {group} {end}")
    })
}

fn outer() -> impl Strategy<Value = String> {
    let field = || select(FIELDS);
    let filters = select(vec!["", "", "where a > 1", "where c is not null", "where d"]);
    let made = prop_oneof![
        (field(), field()).prop_map(|(a, b)| format!("{a} as p, {b} as q from FROM y FILTER")),
        (field(), field()).prop_map(|(a, b)| format!("coalesce({a}, {b}) as p, typeof({a}) as q from FROM y FILTER")),
        field().prop_map(|a| format!("exists({a}) as p, {a} is null as q from FROM y FILTER")),
        (field(), field()).prop_map(|(a, b)| format!(
            "{a} as g, count(*) as n, first({b}) as f, sum(a) as s from FROM y FILTER group by 1"
        )),
        Just("count(*) as n from FROM y FILTER".to_owned()),
        Just("*, a as z from FROM y FILTER".to_owned()),
        Just("y.b, t.s as t from FROM y left join 'joined.jsonl' t on y.a = t.a".to_owned()),
        Just("a, s, t.s as t from FROM y join 'joined.jsonl' t using (a)".to_owned()),
        Just("keys(this) as k from FROM y FILTER".to_owned()),
        field().prop_map(|a| format!("{a}, a from FROM y FILTER order by b, {a}, a limit 5")),
    ];
    (made, filters).prop_map(|(made, filter)| format!("select {}", made.replace("FILTER", filter)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_within_is_as_good_as_its_rows(queries in prop::collection::vec(within(), 1..4), outer in outer()) {
        let folder = folder();
        let path = folder.path();
        write(path, "input.jsonl", INPUT);
        write(path, "joined.jsonl", JOINED);
        let mut nested = "input".to_owned();
        let mut file = "input.jsonl".to_owned();
        for (number, query) in queries.iter().enumerate() {
            nested = format!("({})", query.replace("FROM", &nested));
            let rows = run(path, &["-q", "--max-errors", "100%", &query.replace("FROM", "input"), &file]);
            prop_assert_eq!(rows.code, 0, "{}: {}", query, rows.stderr);
            file = format!("rows{number}.jsonl");
            write(path, &file, &rows.stdout);
        }
        let expected = run(path, &["-q", "--max-errors", "100%", &outer.replace("FROM", "input"), &file]);
        let query = outer.replace("FROM", &nested);
        let found = run(path, &["-q", "--max-errors", "100%", "--block-size", "64", &query, "input.jsonl"]);
        // That a column is not one of the query within is known only to a query over it.
        if found.code == 3 {
            return Ok(());
        }
        prop_assert_eq!(found.code, expected.code, "{}: {}", query, found.stderr);
        prop_assert_eq!(String::from_utf8(found.stdout).unwrap(), String::from_utf8(expected.stdout).unwrap(), "{}", query);
    }
}
