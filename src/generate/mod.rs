//! Invented records of four kinds, for trying things out, for tests and for benchmarks.
//!
//! A row depends on the seed, its kind and its number, and on nothing else: the first lines of a long file are the
//! lines of a short one, and rows can be made in any order and by any number of threads. The rows of one seed belong
//! together: orders name users and products that the other two kinds make, at the products' prices.
//!
//! What a seed gives is part of the interface: a change of it is a new major version.

mod clock;
mod events;
#[cfg(test)]
mod fixtures;
mod line;
mod orders;
mod products;
mod random;
#[cfg(test)]
mod tests;
mod users;
mod words;

use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::str::FromStr;
use std::sync::mpsc;

use crate::error::{Error, ErrorKind, Result};

use self::events::Events;
use self::orders::Orders;
use self::products::Products;
use self::random::mix;
use self::users::Users;

/// The kinds of records that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Flat orders of a shop, seven fields, about 164 bytes: `orderId`, `userId`, `productId`, `quantity`, `price`,
    /// `status`, `orderDate`. They name the first 100,000 users and the first 1,000 products, some far more often
    /// than others, and cover the days of 2025 roughly in order.
    Orders,
    /// Users of a shop, with names in many scripts, a nullable age and an array of tags.
    Users,
    /// Products of a shop, with a nested object whose keys depend on the category, and a nullable rating.
    Products,
    /// Nested events of an invented social network, twelve kinds mixed, 300 to 900 bytes.
    Events,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 4] = [Kind::Orders, Kind::Users, Kind::Products, Kind::Events];

    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Orders => "orders",
            Kind::Users => "users",
            Kind::Products => "products",
            Kind::Events => "events",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("there is no kind of records called {name:?}"))
                .hint("the kinds are orders, users, products and events")
        })
    }
}

/// Makes the records of one kind and seed.
///
/// ```
/// use foldl::generate::{Generator, Kind};
///
/// let mut lines = Vec::new();
/// Generator::new(Kind::Orders, 1_000, 42).write_rows(998..1_000, &mut lines);
/// let text = String::from_utf8(lines).unwrap();
/// assert_eq!(text.lines().count(), 2);
/// assert!(text.starts_with(r#"{"orderId":"ord-"#));
/// ```
#[derive(Debug)]
pub struct Generator {
    rows: u64,
    maker: Maker,
}

#[derive(Debug)]
enum Maker {
    Orders(Box<Orders>),
    Users(Users),
    Products(Products),
    Events(Box<Events>),
}

/// The rows that a thread makes at a time: a few hundred kilobytes, which stay in the cache until they are written.
const CHUNK: u64 = 2_048;

impl Generator {
    /// A generator for the rows `0..rows` of a kind and a seed.
    pub fn new(kind: Kind, rows: u64, seed: u64) -> Generator {
        let stream = mix(mix(seed) ^ (kind as u64 + 1));
        let maker = match kind {
            Kind::Orders => Maker::Orders(Box::new(Orders::new(seed, stream))),
            Kind::Users => Maker::Users(Users::new(stream)),
            Kind::Products => Maker::Products(Products::new(seed, stream)),
            Kind::Events => Maker::Events(Box::new(Events::new(stream))),
        };
        Generator { rows, maker }
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends the lines of a range of rows to `out`, each ended by a line feed. Rows beyond the last are left out.
    pub fn write_rows(&self, range: Range<u64>, out: &mut Vec<u8>) {
        let range = range.start..range.end.min(self.rows);
        match &self.maker {
            Maker::Orders(orders) => range.for_each(|row| orders.write(row, out)),
            Maker::Users(users) => range.for_each(|row| users.write(row, out)),
            Maker::Products(products) => range.for_each(|row| products.write(row, out)),
            Maker::Events(events) => range.for_each(|row| events.write(row, out)),
        }
    }

    /// Writes all rows in order, made by `threads` threads (0 counts as 1), and flushes. Each thread holds a few
    /// megabytes at most, however many rows there are.
    ///
    /// # Errors
    /// [`ErrorKind::ClosedPipe`] when the reader of `out` went away, [`ErrorKind::Output`] when writing failed
    /// otherwise. Some of the rows may have been written.
    pub fn write_to(&self, out: &mut impl Write, threads: usize) -> Result<()> {
        let chunks = self.rows.div_ceil(CHUNK);
        let threads = threads.max(1).min(usize::try_from(chunks).unwrap_or(usize::MAX));
        if threads <= 1 {
            let mut buffer = Vec::new();
            for chunk in 0..chunks {
                self.fill(chunk, &mut buffer);
                out.write_all(&buffer).map_err(output_error)?;
            }
            return out.flush().map_err(output_error);
        }
        // Each thread makes every `threads`-th chunk and hands it over through a channel of its own, so that taking
        // from the channels in turn gives the chunks in order. A thread has two buffers, which come back to it through
        // a second channel: it waits when both are on their way.
        std::thread::scope(|scope| {
            let channels: Vec<_> = (0..threads as u64)
                .map(|first| {
                    let (full_sender, full) = mpsc::channel();
                    let (empty, empty_receiver) = mpsc::channel::<Vec<u8>>();
                    for _ in 0..2 {
                        // Cannot fail: the receiver is here.
                        empty.send(Vec::new()).ok();
                    }
                    scope.spawn(move || {
                        for chunk in (first..chunks).step_by(threads) {
                            // Either channel is closed when the writer has failed.
                            let Ok(mut buffer) = empty_receiver.recv() else { return };
                            self.fill(chunk, &mut buffer);
                            if full_sender.send(buffer).is_err() {
                                return;
                            }
                        }
                    });
                    (full, empty)
                })
                .collect();
            for chunk in 0..chunks {
                let (full, empty) = &channels[(chunk % threads as u64) as usize];
                let buffer = full.recv().map_err(|gone| {
                    Error::new(ErrorKind::Internal, "a generating thread ended early").caused_by(gone)
                })?;
                out.write_all(&buffer).map_err(output_error)?;
                // The thread needs no buffer any more when it has made its last chunk.
                empty.send(buffer).ok();
            }
            out.flush().map_err(output_error)
        })
    }

    /// Replaces what is in `buffer` by the rows of one chunk.
    fn fill(&self, chunk: u64, buffer: &mut Vec<u8>) {
        buffer.clear();
        let start = chunk * CHUNK;
        self.write_rows(start..start.saturating_add(CHUNK), buffer);
    }
}

fn output_error(error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Error::new(ErrorKind::ClosedPipe, "the output was closed").caused_by(error),
        _ => Error::new(ErrorKind::Output, "cannot write the rows").caused_by(error),
    }
}
