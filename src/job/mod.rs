//! Batch jobs: many outputs of one pass, checked, all or nothing.

pub mod checking;
mod checkpoint;
pub mod file;
mod increment;
pub mod inputs;
pub mod run;
pub mod secret;
pub mod source;
pub mod store;
pub mod table;
mod takers;
pub mod vars;

#[cfg(test)]
mod file_tests;
