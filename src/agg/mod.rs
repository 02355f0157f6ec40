//! Aggregates: the accumulators and their exact arithmetic.
//!
//! An [`Accumulator`] is the state of one aggregate for one group. [`GroupAccumulators`] are the states of one
//! aggregate for all groups of a table, updated a batch at a time. [`AggregateFunction`] is the entry of the table of
//! aggregates that makes them.

mod accumulator;
mod bools;
mod chunks;
mod count;
mod counts;
mod distinct;
mod encoded;
mod exact;
mod extreme;
mod functions;
mod listed;
mod mean;
mod median;
mod moment_sketch;
mod moments;
mod numbers;
mod numeric;
mod partial;
mod position;
mod round;
mod several;
mod shared;
mod sketch;
mod sum;
mod sums;
mod superacc;

#[cfg(test)]
mod oracle;

pub use accumulator::{Accumulator, GroupAccumulators, Member, Outcome, Update};
pub use chunks::CHUNK as STATES_CHUNK;
pub use functions::{AggregateFunction, Parameter, SAMPLE, Wanted, aggregate, aggregates};
pub use median::Quantiles;
pub use moments::Moments;
pub use numbers::Numbers;
pub use partial::{ItemFold, ItemSink, Partial};
pub use position::Position;
pub use sum::{ExactSum, Total};
