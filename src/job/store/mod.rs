//! How outputs of jobs reach the disk: all of a run, or nothing.
//!
//! A run stages its files where readers do not look, and then commits them. A commit is decided by one [`Record`] that
//! appears in the state directory under its name, and what the record says is done afterwards, after a crash at the
//! next [`Store::open`]. So whenever and however a process ends, the outputs are the old ones, or become the new ones.
//!
//! [`Store::open`] locks a state directory, [`Store::begin`] the destinations of a run, [`Transaction::output`] gives
//! each [`Output`], which takes rows; [`Transaction::commit`] makes all of them visible.
//!
//! # What readers see
//! A destination has data files, `part-<sequence>-<number>.<extension>`, in directories of partitions if there are any,
//! and `_SUCCESS`, a JSON object: `rows` and `files` that the last commit wrote, its `sequence`, its `run`. `_SUCCESS`
//! is absent while a commit is applied, and another one afterwards. Who reads it before and after the data, and finds
//! the same, has read data of one state. Names that begin with `_` or `.` are no data, as Spark and Hive have it.

mod apply;
mod commit;
mod destination;
pub(crate) mod disk;
pub mod failpoint;
mod files;
mod lock;
mod loose;
mod output;
mod partition;
mod record;
mod rows;
mod runs;
mod sealed;
mod spec;
mod staging;
mod state;

pub use crate::output::Compression;
pub use commit::{Transaction, after_commit};
pub use disk::write_atomically;
pub use lock::Wait;
pub use loose::{FileMode, FilePosition, LooseFile};
pub use output::{Output, Position};
pub use record::{FileRecord, LooseRecord, OutputRecord, Record};
pub use sealed::Seal;
pub use spec::{Mode, OutputSpec, RowFormat, Split};
pub use state::Store;

#[cfg(test)]
mod tests;
