//! Aggregates: the accumulators and their exact arithmetic.
