//! foldl folds JSON Lines.

pub mod agg;
pub mod error;
pub mod exec;
pub mod expr;
pub mod generate;
pub mod group;
pub mod input;
pub mod memory;
pub mod output;
pub mod plan;
pub mod scan;
pub mod sort;
pub mod sql;
pub mod value;

pub use error::{Error, ErrorKind, Result};
