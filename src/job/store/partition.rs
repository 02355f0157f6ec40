//! The error of too many partitions.

use super::spec::OutputSpec;
use crate::error::{Error, ErrorKind};

/// The error of too many partitions, with the column that makes them.
pub(super) fn too_many<'p>(spec: &OutputSpec, partitions: impl Iterator<Item = &'p str>) -> Error {
    let mut values: Vec<Vec<&str>> = vec![Vec::new(); spec.partition_by.len()];
    for path in partitions {
        for (values, value) in values.iter_mut().zip(path.split('/')) {
            values.push(value);
        }
    }
    let distinct = values.iter_mut().map(|values| {
        values.sort_unstable();
        values.dedup();
        values.len()
    });
    let most = distinct.enumerate().max_by_key(|&(_, distinct)| distinct);
    let (column, distinct) = match most {
        Some((number, distinct)) => (spec.partition_by[number].as_str(), distinct),
        None => ("", 0),
    };
    let max = spec.max_partitions;
    let message = format!(
        "output {} has more than {max} partitions: the column {column} alone has {distinct} different values in them",
        spec.name
    );
    Error::new(ErrorKind::Output, message).hint(format!(
        "leave {column} out of partition_by, or partition by something coarser, as its first letters or the day"
    ))
}
