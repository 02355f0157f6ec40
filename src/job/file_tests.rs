//! Job files: one that has all there is, and many that are wrong.

use std::path::Path;

use super::file::{JobFile, Overrides, QueryOf};
use super::store::Mode;
use super::table::{Checkpoint, OnChanged};
use crate::error::{Error, ErrorKind, Place};
use crate::quality::Severity;
use crate::value::Date;

const DAILY: &str = r#"name = "daily-sales"
[vars]
date = "yesterday"                       # today, yesterday, or a literal
[run]
state = ".foldl/daily-sales"
checkpoint = "30s"                       # or "4GiB" of input
incremental = false
[sources.orders]
files = ["raw/orders/{{ date }}/*.jsonl.gz"]
max_errors = "1%"
rejects = "rejects/orders-{{ date }}.jsonl"
schema = { orderId = "string not null", quantity = "int", "user.city" = "string" }
[sources.users]
files = ["lake/users/*.jsonl"]
[sources.products]
files = ["lake/products/*.csv"]
[views]
enriched = """select o.*, u.segment, u.country, p.category, p.brand, quantity * price as amount
              from orders o left join users u using (userId) left join products p using (productId) where status = 'completed'"""
[[checks]]
on = "orders"
not_null = { column = "userId", max_rate = 0.01 }
[[checks]]
on = "orders"
unique = ["orderId"]
severity = "warn"                        # default "fail"
[[outputs]]
name = "fact_orders"
query = "select * from enriched"
path = "warehouse/fact_orders"
partition_by = ["country"]
mode = "append"
[[outputs]]
name = "daily_summary"
query = "select count(*) as total_orders, sum(amount) as total_revenue, avg(amount) as avg_order_value, count(distinct userId) as unique_customers from enriched"
path = "warehouse/daily_summary/date={{ date }}"
"#;

/// What every file below has, so that it can be wrong in one thing.
const REST: &str = "[sources.orders]\nfiles = [\"o.jsonl\"]\n[[outputs]]\nname = \"o\"\nquery = \"select * from orders\"\npath = \"out\"\n";

fn parse(text: &str) -> crate::Result<JobFile> {
    JobFile::parse(
        text,
        Path::new("jobs/daily.toml"),
        &Overrides { today: Date::new(2026, 2, 2), ..Overrides::default() },
    )
}

fn with(vars: &[(&str, &str)]) -> Overrides {
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Overrides { vars, today: Date::new(2026, 2, 2) }
}

/// The line of an error, from 1, and what would be underlined.
fn marked(error: &Error) -> (usize, String) {
    match error.place() {
        Some(Place::JobFile { text, start, end, .. }) => {
            let line_end = text[*start..].find('\n').map_or(text.len(), |newline| start + newline);
            (text[..*start].matches('\n').count() + 1, text[*start..(*end).min(line_end)].to_owned())
        }
        other => panic!("{error}: {other:?}"),
    }
}

#[test]
fn a_job_is_read() {
    let job = parse(DAILY).unwrap();
    assert_eq!(job.name(), "daily-sales");
    assert_eq!(job.state(), Path::new("jobs/.foldl/daily-sales"));
    let tables = job.tables();
    assert!(matches!(tables.run.checkpoint, Some(Checkpoint::Every(age)) if age.0.as_secs() == 30));
    assert_eq!((tables.run.incremental, tables.run.on_changed), (false, OnChanged::Error));
    assert_eq!(job.files("orders"), ["jobs/raw/orders/2026-02-01/*.jsonl.gz"]);
    let orders = &tables.sources["orders"];
    assert_eq!(orders.rejects.as_deref(), Some("rejects/orders-2026-02-01.jsonl"));
    let schema: Vec<String> = orders.schema.iter().map(|(column, is)| format!("{column}: {is}")).collect();
    assert_eq!(schema, ["orderId: string not null", "quantity: int", "user.city: string"]);
    assert!(tables.views["enriched"].ends_with("where status = 'completed'"));
    assert_eq!(tables.checks[0].name(), "orders.not_null(userId)");
    assert_eq!(tables.checks[1].severity(), Severity::Warn);
    assert_eq!((tables.outputs[0].mode, tables.outputs[1].mode), (Mode::Append, Mode::Overwrite));
    assert_eq!(tables.outputs[1].path, "warehouse/daily_summary/date=2026-02-01");
    assert_eq!(job.vars()["date"], "2026-02-01");
}

#[test]
fn all_kinds_of_checks_and_all_settings_are_read() {
    let text = r#"
        [run]
        checkpoint = "4GiB"
        incremental = true
        on_changed = "rebuild"
        timezone = "Europe/Berlin"
        memory_limit = "512MiB"
        threads = 4
        temp_dir = "tmp"
        temp_limit = 1000000
        max_line = "1MiB"
        max_depth = 64
        strict = true
        [sources.a]
        files = ["a.csv", "/abs/*.csv"]
        format = "csv"
        header = false
        on_error = "fail"
        max_errors = 10
        [sources.b]
        files = ["b.jsonl"]
        [views]
        v = "select * from a"
        [[checks]]
        on = "a"
        row_count = { min = 1, max = 10 }
        [[checks]]
        on = "v"
        name = "dates"
        range = { column = "d", min = 2025-01-01, max = "2025-12-31" }
        quarantine = "bad.jsonl"
        [[checks]]
        on = "a"
        accepted = { column = "s", values = ["x", 1, true, 1.5] }
        [[checks]]
        on = "a"
        forbidden = { column = "s", values = [""] }
        [[checks]]
        on = "a"
        matches = { column = "s", pattern = '^ord-\d+$' }
        [[checks]]
        on = "a"
        length = { column = "s", max = 10 }
        [[checks]]
        on = "a"
        type = { column = "s", is = "string" }
        [[checks]]
        on = "a"
        expect = "price >= 0"
        [[checks]]
        on = "a"
        metric = { expr = "avg(price)", min = 10, max = 20.5, max_change = "20%" }
        [[checks]]
        on = "a"
        fresh = { column = "d", max_age = "36h" }
        [[checks]]
        on = "a"
        relationship = { column = "u", source = "b", key = "id" }
        [[checks]]
        on = "a"
        monotonic = { column = "d" }
        [[checks]]
        on = "a"
        schema = { on_change = "warn" }
        [[outputs]]
        name = "o"
        query = "select * from v"
        path = "out"
        mode = "overwrite_partitions"
        partition_by = ["s", "d"]
        format = "csv"
        compression = "zst"
        max_file_size = "128MiB"
    "#;
    let job = parse(text).unwrap();
    assert_eq!(job.name(), "daily");
    assert_eq!(job.state(), Path::new("jobs/.foldl/daily"));
    assert_eq!(job.files("a"), ["jobs/a.csv", "/abs/*.csv"]);
    let names: Vec<String> = job.tables().checks.iter().map(|check| check.kind.to_string()).collect();
    assert_eq!(names[1], "range(d)");
    assert_eq!(names.len(), 13);
    assert_eq!(job.tables().checks[12].severity(), Severity::Warn);
    assert_eq!(job.tables().outputs[0].max_file_size.unwrap().0.get(), 128 << 20);
    assert!(matches!(job.tables().run.checkpoint, Some(Checkpoint::Bytes(4294967296))));
}

/// Files that are wrong: what stands before [`REST`], the message, what is underlined, the hint.
const WRONG: &[(&str, &str, &str, &str)] = &[
    ("nam = \"x\"\n", "the key `nam` is not known here", "nam", "did you mean `name`?"),
    ("name = 1\n", "invalid type: integer `1`, expected a string", "1", ""),
    ("name = \"x\"\nname = \"y\"\n", "duplicate key", "name", ""),
    ("name = \"x\n", "invalid basic string", "\n", ""),
    (
        "[run]\ncheckpiont = \"30s\"\n",
        "the key `checkpiont` is not known here",
        "checkpiont",
        "did you mean `checkpoint`?",
    ),
    (
        "[run]\ncheckpoint = \"soon\"\n",
        "`soon` is neither a length of time such as 30s nor a size such as 4GiB",
        "\"soon\"",
        "",
    ),
    ("[run]\ncheckpoint = \"30\"\n", "`30` is neither a length of time", "\"30\"", ""),
    ("[run]\ncheckpoint = true\n", "invalid type: boolean `true`, expected a length of time", "true", ""),
    ("[run]\non_changed = \"rebuid\"\n", "`rebuid` is not known here", "\"rebuid\"", "did you mean `rebuild`?"),
    (
        "[run]\ntimezone = \"Europe/Berln\"\n",
        "`Europe/Berln` is no time zone",
        "\"Europe/Berln\"",
        "did you mean Europe/Berlin?",
    ),
    ("[run]\nmemory_limit = \"1MiB\"\n", "the smallest memory limit is 32MiB", "\"1MiB\"", ""),
    ("[run]\nthreads = 0\n", "invalid value: integer `0`", "0", ""),
    ("[run]\nincremental = \"yes\"\n", "invalid type: string \"yes\", expected a boolean", "\"yes\"", ""),
    ("[sources.x]\nfiles = []\n", "a source has at least one file", "[]", ""),
    ("[sources.x]\nfile = [\"a\"]\n", "the key `file` is not known here", "file", "did you mean `files`?"),
    ("[sources.x]\nfiles = \"a\"\n", "invalid type: string \"a\", expected an array", "\"a\"", ""),
    ("[sources.x]\nheader = true\n", "`files` is missing", "[sources.x]", ""),
    (
        "[sources.\"a-b\"]\nfiles = [\"a\"]\n",
        "`a-b` is no name for a table",
        "[sources.\"a-b\"]",
        "letters, digits and _",
    ),
    (
        "[sources.x]\nfiles = [\"a\"]\nmax_errors = \"x%\"\n",
        "`x%` is neither a whole number nor a percentage such as 0.5%",
        "\"x%\"",
        "",
    ),
    ("[sources.x]\nfiles = [\"a\"]\nmax_errors = -1\n", "`-1` is neither a whole number", "-1", ""),
    (
        "[sources.x]\nfiles = [\"a\"]\nformat = \"parquet\"\n",
        "`parquet` is not known here",
        "\"parquet\"",
        "what is known: jsonl, csv, tsv, json",
    ),
    (
        "[sources.x]\nfiles = [\"a\"]\nschema = { a = \"strng\" }\n",
        "`strng` is no type; did you mean string?",
        "\"strng\"",
        "",
    ),
    (
        "[sources.x]\nfiles = [\"a\"]\nschema = { a = \"int null\" }\n",
        "`int null` is no type such as",
        "\"int null\"",
        "",
    ),
    (
        "[sources.x]\nfiles = [\"{{ dat }}/a\"]\n[vars]\ndate = \"today\"\n",
        "there is no variable `dat`",
        "{{",
        "did you mean date?",
    ),
    ("[sources.x]\nfiles = [\"{{ region }}/a\"]\n", "there is no variable `region`", "{{", "--var region=…"),
    ("[sources.x]\nfiles = [\"é\\n{{ date\"]\n", "`{{` has no `}}` behind it", "{{", ""),
    ("[sources.x]\nfiles = [\"{{ a b }}\"]\n", "`a b` is no name of a variable", "{{ a b }}", ""),
    ("[vars]\na = [1]\n", "a variable is a text, a number, a date, true or false, or { env = \"NAME\" }", "[1]", ""),
    ("[vars]\na = \"{{ b }}\"\nb = \"{{ a }}\"\n", "the variable `a` is made of itself", "\"{{ b }}\"", ""),
    ("[vars]\n\"a b\" = 1\n", "`a b` is no name of a variable", "\"a b\"", ""),
    (
        "[vars]\na = { env = \"FOLDL_TEST_NOT_THERE\" }\n",
        "the environment has no FOLDL_TEST_NOT_THERE",
        "{ env = \"FOLDL_TEST_NOT_THERE\" }",
        "",
    ),
    ("[vars]\na = { file = \"/not/there\" }\n", "cannot read /not/there: ", "{ file = \"/not/there\" }", ""),
    ("[views]\norders = \"select 1\"\n", "a source and a view are both named `orders`", "\"select 1\"", ""),
    ("[[checks]]\nunique = [\"a\"]\n", "`on` is missing", "[[checks]]", ""),
    (
        "[[checks]]\non = \"ordrs\"\nunique = [\"a\"]\n",
        "there is no source or view `ordrs`",
        "\"ordrs\"",
        "did you mean `orders`?",
    ),
    ("[[checks]]\non = \"orders\"\n", "the check asks nothing", "[[checks]]", ""),
    (
        "[[checks]]\non = \"orders\"\nunique = [\"a\"]\nexpect = \"a > 1\"\n",
        "a check asks one thing, and this one has ",
        "[[checks]]",
        "",
    ),
    (
        "[[checks]]\non = \"orders\"\nuniqe = [\"a\"]\n",
        "the key `uniqe` is not known here",
        "uniqe",
        "did you mean `unique`?",
    ),
    (
        "[[checks]]\non = \"orders\"\nunique = [\"a\"]\nseverity = \"error\"\n",
        "`error` is not known here",
        "\"error\"",
        "what is known: fail, warn",
    ),
    (
        "[[checks]]\non = \"orders\"\nnot_null = { colunm = \"a\" }\n",
        "the key `colunm` is not known here",
        "colunm",
        "did you mean `column`?",
    ),
    ("[[checks]]\non = \"orders\"\nnot_null = { column = \"a..b\" }\n", "`a..b` is no column", "\"a..b\"", ""),
    (
        "[[checks]]\non = \"orders\"\nmatches = { column = \"a\", pattern = \"(\" }\n",
        "`(` is no regular expression: ",
        "\"(\"",
        "",
    ),
    (
        "[[checks]]\non = \"orders\"\nfresh = { column = \"a\", max_age = 36 }\n",
        "invalid type: integer `36`, expected a length of time",
        "36",
        "",
    ),
    (
        "[[checks]]\non = \"orders\"\nrelationship = { column = \"a\", source = \"users\" }\n",
        "there is no source or view `users`",
        "\"users\"",
        "there are orders",
    ),
    ("[[checks]]\non = \"orders\"\nexpect = \"price >= cuont(x)\"\n", "there is no function cuont", "cuont", ""),
    ("[[checks]]\non = \"orders\"\nmetric = { expr = \"avg(price\", min = 1 }\n", "", "", ""),
    (
        "[[checks]]\non = \"orders\"\nunique = [\"a\"]\n[[checks]]\non = \"orders\"\nunique = [\"a\"]\n",
        "two checks are named `orders.unique(a)`",
        "[[checks]]",
        "another `name`",
    ),
    (
        "[[checks]]\non = \"orders\"\nunique = [\"a\"]\nquarantine = \"out/x\"\n",
        "this is within the directory of an output",
        "\"out/x\"",
        "",
    ),
    ("[[outputs]]\nname = \"p\"\nquery = \"\"\n", "`path` is missing", "[[outputs]]", ""),
    ("[[outputs]]\nname = \"o\"\nquery = \"\"\npath = \"p\"\n", "two outputs are named `o`", "\"o\"", ""),
    (
        "[[outputs]]\nname = \"p\"\nquery = \"\"\npath = \"./x/../out\"\n",
        "this is where the output `p` is written, too",
        "\"out\"",
        "",
    ),
    (
        "[[outputs]]\nname = \"p\"\nquery = \"\"\npath = \"out/sub\"\n",
        "this is where the output `p` is written, too",
        "\"out\"",
        "",
    ),
    (
        "[[outputs]]\nname = \"p\"\nquery = \"\"\npath = \"p\"\nmode = \"replace\"\n",
        "`replace` is not known here",
        "\"replace\"",
        "what is known: overwrite, append",
    ),
    (
        "[[outputs]]\nname = \"p\"\nquery = \"\"\npath = \"p\"\nmode = \"overwrite_partitions\"\n",
        "overwrite_partitions takes a `partition_by`",
        "\"overwrite_partitions\"",
        "",
    ),
    (
        "[[outputs]]\nname = \"p\"\nquery = \"\"\npath = \"p\"\nfiles = 2\nmax_file_size = \"1MiB\"\n",
        "an output has `files` or `max_file_size`, not both",
        "\"1MiB\"",
        "",
    ),
    (
        "[[outputs]]\nname = \"p\"\nquery = \"\"\npath = \"p\"\npartition_by = [\"a\", \"a\"]\n",
        "`a` is no column, or is here twice",
        "[\"a\", \"a\"]",
        "",
    ),
    ("[outputs]\nname = \"p\"\n", "", "", ""),
];

#[test]
fn mistakes_are_told_with_their_place() {
    parse(REST).unwrap();
    let mut wrong = Vec::new();
    for (text, message, under, hint) in WRONG {
        let Err(error) = parse(&format!("{text}{REST}")) else {
            wrong.push(format!("no error: {text}"));
            continue;
        };
        let (line, marked) = marked(&error);
        let advice = error.advice().unwrap_or_default();
        let is_right = error.kind() == ErrorKind::Query
            && error.message().contains(message)
            && (under.is_empty() || marked == under.trim_end_matches('\n'))
            && advice.contains(hint)
            && error.to_string().starts_with(&format!("jobs/daily.toml:{line}: "));
        if !is_right {
            wrong.push(format!("{text}{error}: `{marked}`: {advice}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        parse("name = \"x\"\n").unwrap_err().message(),
        "the job does nothing: it has neither [[outputs]] nor [[checks]]"
    );
}

#[test]
fn variables_are_replaced() {
    let text = format!(
        "[vars]\ndate = \"yesterday\"\nday = 2025-02-03\nn = 7\nbase = \"lake/{{{{ date }}}}\"\n[views]\n\
         v = \"\"\"select {{{{ n }}}} as n, '{{{{ \"{{{{\" }}}}' as b, '{{{{today}}}}' as t, '{{{{ base }}}}' as p\"\"\"\n{REST}"
    );
    let view = |overrides: &Overrides| {
        JobFile::parse(&text, Path::new("j.toml"), overrides).map(|job| job.tables().views["v"].clone())
    };
    assert_eq!(view(&with(&[])).unwrap(), "select 7 as n, '{{' as b, '2026-02-02' as t, 'lake/2026-02-01' as p");
    let given = with(&[("n", "8"), ("date", "2025-01-01")]);
    assert_eq!(view(&given).unwrap(), "select 8 as n, '{{' as b, '2026-02-02' as t, 'lake/2025-01-01' as p");
    assert!(view(&with(&[("date", "today")])).unwrap().ends_with("'lake/2026-02-02' as p"));
    let error = view(&with(&[("dat", "x")])).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Usage, "the job has no variable `dat`"));
    assert_eq!(error.advice(), Some("did you mean date?"));
    // What is used needs no entry in [vars].
    let text = "[sources.orders]\nfiles = [\"{{ region }}.jsonl\"]\n[[checks]]\non = \"orders\"\nunique = [\"a\"]\n";
    let job = JobFile::parse(text, Path::new("j.toml"), &with(&[("region", "eu")])).unwrap();
    assert_eq!(job.files("orders"), ["eu.jsonl"]);
}

#[test]
fn secrets_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "hunter2\n").unwrap();
    let text = format!(
        "[vars]\nkey = {{ file = \"key\" }}\n[sources.s]\nfiles = [\"data/{{{{ key }}}}/a.jsonl\", {{ file = \"key\" }}]\n{REST}"
    );
    let path = folder.path().join("job.toml");
    let job = JobFile::parse(&text, &path, &Overrides::default()).unwrap();
    assert_eq!(job.tables().sources["s"].files, ["data/hunter2/a.jsonl", "hunter2"]);
    assert_eq!(
        job.canonical()["sources"]["s"]["files"],
        serde_json::json!(["data/{{ file key }}/a.jsonl", "{{ file key }}"])
    );
    assert!(!format!("{job:?}").contains("hunter2") && !job.canonical().to_string().contains("hunter2"));
    assert_eq!(job.redact("cannot open data/hunter2/a.jsonl"), "cannot open data/{{ file key }}/a.jsonl");
    assert!(!job.vars().contains_key("key"));
    let before = job.hash();
    std::fs::write(folder.path().join("key"), "other").unwrap();
    assert_eq!(JobFile::parse(&text, &path, &Overrides::default()).unwrap().hash(), before);
    for wrong in
        ["[vars]\nkey = { file = \"key\" }\nb = \"x{{ key }}\"\n", "[run]\nmemory_limit = { file = \"key\" }\n"]
    {
        std::fs::write(folder.path().join("key"), "64MiB").unwrap();
        let error = JobFile::parse(&format!("{wrong}{REST}"), &path, &Overrides::default()).unwrap_err();
        assert!(error.message().contains("secret") && !format!("{error:?}").contains("64MiB"), "{error:?}");
    }
}

#[test]
fn messages_do_not_tell_secrets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "hunter2").unwrap();
    let path = folder.path().join("job.toml");
    for wrong in [
        "[[checks]]\non = { file = \"key\" }\nunique = [\"a\"]\n",
        "[sources.x]\nfiles = [\"a\"]\nmax_errors = { file = \"key\" }\n",
    ] {
        let error = JobFile::parse(&format!("{wrong}{REST}"), &path, &Overrides::default()).unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn errors_of_queries_are_placed_in_the_file() {
    let text = format!(
        "[vars]\nx = \"some longer text\"\n[views]\nplain = 'select a, cuont(*)'\n\
         long = \"\"\"\nselect '{{{{ x }}}}' as x,\n  \\u0061, cuont(*)\"\"\"\n{}",
        REST.replace("select * from orders", "select '{{ x }}' as \\\"x y\\\", cuont(*)")
    );
    let job = JobFile::parse(&text, Path::new("j.toml"), &with(&[("x", "é")])).unwrap();
    for (of, query, line) in [
        (QueryOf::View("plain"), &job.tables().views["plain"], 4),
        (QueryOf::View("long"), &job.tables().views["long"], 7),
        (QueryOf::Output(0), &job.tables().outputs[0].query, 12),
    ] {
        let error = crate::sql::plan(query).map(drop).unwrap_err();
        let message = error.message().to_owned();
        let error = job.place_error(of, error);
        assert_eq!((error.message(), marked(&error)), (message.as_str(), (line, "cuont".to_owned())), "{query}");
        assert!(error.advice().is_some());
    }
    // An error that is in no query is at the query as a whole.
    let error = job.place_error(QueryOf::View("plain"), Error::new(ErrorKind::Query, "a cycle"));
    assert_eq!(marked(&error), (4, "'select a, cuont(*)'".to_owned()));
}

#[test]
fn the_key_of_a_job_is_what_matters() {
    let hash = |text: &str| parse(text).unwrap().hash();
    let plain = hash(REST);
    // Part of what is on disk: it changes only with the version in it.
    assert_eq!(plain, hash(REST));
    for same in [
        format!("# a comment\n{REST}"),
        format!("[run]\nthreads = 3\nmemory_limit = \"64MiB\"\nstate = \"s\"\ncheckpoint = \"30s\"\n{REST}"),
        format!("[vars]\nx = 1\n{REST}"),
        format!("{REST}mode = \"overwrite\"\nformat = 'jsonl'\n"),
        format!("[vars]\nf = \"o\"\n{}", REST.replace("o.jsonl", "{{ f }}.jsonl")),
        "name = \"daily\"\n[[outputs]]\npath = \"out\"\nquery = \"select * from orders\"\nname = \"o\"\n[sources.orders]\nfiles = [\"o.jsonl\"]\n".to_owned(),
    ] {
        assert_eq!(hash(&same), plain, "{same}");
    }
    for other in [
        format!("name = \"x\"\n{REST}"),
        format!("[run]\nincremental = true\n{REST}"),
        format!("{REST}mode = \"append\"\n"),
        REST.replace("o.jsonl", "p.jsonl"),
        REST.replace("select *", "select a"),
        format!("[[checks]]\non = \"orders\"\nunique = [\"a\"]\n{REST}"),
        format!("[sources.x]\nfiles = [\"a\"]\nmax_errors = 1\n{REST}"),
    ] {
        assert_ne!(hash(&other), plain, "{other}");
    }
}
