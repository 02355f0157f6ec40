//! Outputs: formats, and where the bytes go.

mod chart;
mod compression;
mod extended;
mod format;
mod partition;
mod rejects;
mod sink;
mod table;
mod target;
mod terminal;

pub use chart::MIN_WIDTH as MIN_CHART_WIDTH;
pub(crate) use chart::check_columns;
pub use compression::Compression;
pub(crate) use compression::frame;
pub use extended::Extender;
pub use format::{Column, Format, RowFormat, Rows};
pub use partition::{is_partition, next_in_partition, partition_path, push_in_partition};
pub use rejects::{Extra, write_reject, write_reject_with};
pub use sink::{Look, Sink};
pub use table::is_unprintable;
pub use target::{Target, rejects_error, remove_temporary_files, write_error};
pub use terminal::{grouped, printable};
