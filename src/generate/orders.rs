//! Orders of a shop: flat records of seven fields, the standard input of this project's benchmarks.

use super::clock::Clock;
use super::line::Line;
use super::products;
use super::random::{Random, Skew, mix};
use super::users;

/// The users who order: the first this many that the users' generator makes.
pub const USERS: u32 = 100_000;
/// The products that are ordered: the first this many that the products' generator makes.
pub const PRODUCTS: u32 = 1_000;

/// 2025-01-01, as days since 1970-01-01.
const FIRST_DAY: u32 = 20_089;
/// Rows are up to six hours early or late.
const DISORDER: u32 = 6 * 3_600_000;

/// Makes orders.
#[derive(Debug)]
pub struct Orders {
    stream: u64,
    users: Skew,
    products: Skew,
    /// The list price of each product, in hundredths.
    prices: Vec<u32>,
    clock: Clock,
}

impl Orders {
    /// Orders of one seed, drawn from one stream.
    pub fn new(seed: u64, stream: u64) -> Orders {
        Orders {
            stream,
            users: Skew::new(USERS, 16),
            products: Skew::new(PRODUCTS, 8),
            prices: (0..u64::from(PRODUCTS)).map(|product| products::list_price(seed, product)).collect(),
            clock: Clock::new(FIRST_DAY, 365, DISORDER),
        }
    }

    /// Writes one order and a line feed.
    #[inline]
    pub fn write(&self, row: u64, out: &mut Vec<u8>) {
        let random = &mut Random::of(self.stream, row);
        let user = self.users.pick(random);
        let product = self.products.pick(random);
        let price = paid(self.prices[product as usize], random);
        let moment = self.clock.moment(row, random);
        out.reserve(256);
        let line = &mut Line(out);
        // A bijection of the row number: no two orders share an id.
        line.raw(r#"{"orderId":"ord-"#).hex(mix(row.wrapping_add(self.stream)));
        users::write_id(u64::from(user), line.raw(r#"","userId":""#));
        products::write_id(u64::from(product), line.raw(r#"","productId":""#));
        line.raw(r#"","quantity":"#).int(u64::from(quantity(random)));
        line.raw(r#","price":"#).hundredths(price);
        line.raw(r#","status":""#).raw(status(random));
        line.raw(r#"","orderDate":""#).bytes(self.clock.date(moment)).raw("T");
        line.clock(moment.second_of_day()).thousandths(moment.millisecond()).raw("Z\"}\n");
    }
}

/// What is paid for a product of a list price: most often the price itself, sometimes less or a little more.
#[inline]
fn paid(list_price: u32, random: &mut Random) -> u32 {
    let percent = match random.below(8) {
        0..=4 => return list_price,
        5 => 90,
        6 => 75,
        _ => 95 + random.below(11),
    };
    (list_price * percent + 50) / 100
}

#[inline]
fn quantity(random: &mut Random) -> u32 {
    match random.below(64) {
        0..=31 => 1,
        32..=47 => 2,
        48..=56 => 3,
        n => 4 + (n - 57),
    }
}

#[inline]
fn status(random: &mut Random) -> &'static str {
    match random.below(100) {
        0..=69 => "completed",
        70..=79 => "shipped",
        80..=87 => "pending",
        88..=94 => "cancelled",
        _ => "refunded",
    }
}
