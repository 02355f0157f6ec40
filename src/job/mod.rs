//! Batch jobs.

pub mod file;
pub mod secret;
pub mod source;
pub mod table;
pub mod vars;

#[cfg(test)]
mod file_tests;
