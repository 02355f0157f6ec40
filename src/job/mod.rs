//! Batch jobs: many outputs of one pass, all or nothing.

pub mod store;
