//! foldl folds JSON Lines.

pub mod agg;
pub mod error;
pub mod generate;
pub mod input;
pub mod memory;
pub mod scan;
pub mod value;

pub use error::{Error, ErrorKind, Result};
