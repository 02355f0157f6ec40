//! Daily sales from a file of orders, with closures and an accumulator:
//!
//! ```text
//! cargo run --release --example daily_sales -- fixtures/orders.jsonl
//! ```

use foldl::{Accumulator, ExactSum, Pipeline, Record, Result, Total};

/// What is known of one day.
#[derive(Default)]
struct Sales {
    orders: u64,
    revenue: ExactSum,
}

impl Accumulator for Sales {
    fn add(&mut self, order: &Record<'_>) {
        self.orders += 1;
        if let (Some(quantity), Some(price)) = (order.f64("quantity"), order.f64("price")) {
            self.revenue.add_float(quantity * price);
        }
    }

    fn merge(&mut self, other: Sales) {
        self.orders += other.orders;
        self.revenue.merge(&other.revenue);
    }

    fn size(&self) -> usize {
        size_of::<Sales>() + self.revenue.heap_size()
    }
}

fn main() -> Result<()> {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        files.push("fixtures/orders.jsonl".to_owned());
    }
    let (daily, summary) = Pipeline::files(&files)
        .filter(|order| order.str("status") == Some("completed"))
        .key(|order| order.date("orderDate"))
        .fold::<Sales>()?;
    for (date, sales) in daily {
        let date = date.map_or("no date".to_owned(), |date| date.to_string());
        let revenue = match sales.revenue.total() {
            Total::Int(revenue) => revenue as f64,
            Total::Float(revenue) => revenue,
            Total::Decimal(revenue) => revenue.to_float(),
            Total::Overflow => f64::INFINITY,
        };
        println!("{date} {:>6} {revenue:>14.2}", sales.orders);
    }
    eprintln!(
        "{} of {} records used, {} lines rejected, in {:.3} s",
        summary.used,
        summary.records_in,
        summary.rejected,
        summary.wall.as_secs_f64()
    );
    Ok(())
}
