//! Aggregates: the accumulators and their exact arithmetic.

pub mod median;
pub mod moments;
pub mod sum;

mod exact;
mod round;
mod superacc;

#[cfg(test)]
mod oracle;
