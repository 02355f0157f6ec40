//! The rows of a query as a type of one's own:
//!
//! ```text
//! cargo run --example query -- fixtures/orders.jsonl
//! ```

use foldl::{Query, Result};
use serde::Deserialize;

#[derive(Deserialize)]
struct Status {
    status: Option<String>,
    orders: u64,
    mean_price: Option<f64>,
}

fn main() -> Result<()> {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        files.push("fixtures/orders.jsonl".to_owned());
    }
    let query = Query::parse(
        "select status, count(*) as orders, avg(price) as mean_price group by status order by orders desc",
    )?;
    let mut rows = query.files(&files).run()?;
    for row in rows.by_ref() {
        let Status { status, orders, mean_price } = row?.deserialize()?;
        let status = status.as_deref().unwrap_or("none");
        println!("{status:<10} {orders:>8} {:>10.2}", mean_price.unwrap_or_default());
    }
    if let Some(summary) = rows.summary() {
        eprintln!("{} records, {} lines rejected", summary.records_in, summary.rejected);
        for fault in &summary.faults {
            eprintln!("{} was not {} in {} records", fault.label, fault.expected, fault.count);
        }
    }
    Ok(())
}
