//! Spilling: what does not fit into memory goes to disk as sorted [`Run`]s, which are merged when they are read again.
//!
//! All runs of a [`Space`] lie in one file that has no name, so that nothing of them is left behind however the process
//! ends, and nobody else can open them.

mod ahead;
mod kept;
mod merge;
mod run;
mod space;

pub use ahead::Entries;
pub use kept::KeptFile;
pub use merge::{Merge, are_too_many, make_fewer};
pub use run::{KeptRun, Run, RunReader, RunWriter};
pub use space::{Space, Spilled};
