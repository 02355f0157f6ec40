//! The scanner: one pass over a block that validates every byte and extracts the paths that a query needs.

mod batch;
mod path;

pub use batch::{Batch, Cell, Kind, Reason, Reject, Span};
pub use path::{Path, Step};
