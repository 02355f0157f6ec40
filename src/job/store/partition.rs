//! The directories of partitions: `country=DE/category=books`.

use std::fmt::Write;

use super::spec::OutputSpec;
use crate::error::{Error, ErrorKind, Result};

/// The directory of rows without a value.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// The longest name that file systems take, in bytes.
const MAX_NAME: usize = 255;

/// Appends to `path` the directory of a row, relative to the destination: `column=value` for each column, with `/`
/// between them. Values are texts, `None` for NULL.
///
/// Bytes of names and values outside `[A-Za-z0-9_-]` are written as `%` and two hexadecimal digits, as URLs have it, so
/// that no value leads anywhere else. NULL is `__HIVE_DEFAULT_PARTITION__`. So is the empty text, for which there is no
/// directory in the layout of Hive: Spark cannot read `column=`.
///
/// ```
/// let mut path = String::new();
/// let columns = ["country".to_owned(), "when".to_owned()];
/// foldl::job::store::partition_path(&columns, [Some("../DE".as_bytes()), None], &mut path)?;
/// assert_eq!(path, "country=%2E%2E%2FDE/when=__HIVE_DEFAULT_PARTITION__");
/// # Ok::<(), foldl::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Output`] if a directory's name would be longer than 255 bytes, which no file system takes;
/// [`ErrorKind::Internal`] if there are not as many values as columns.
pub fn partition_path<'v>(
    columns: &[String],
    values: impl IntoIterator<Item = Option<&'v [u8]>>,
    path: &mut String,
) -> Result<()> {
    let mut values = values.into_iter();
    for (number, column) in columns.iter().enumerate() {
        let Some(value) = values.next() else {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("there is no value for the partition column {column}"),
            ));
        };
        if number > 0 {
            path.push('/');
        }
        let start = path.len();
        encode(column.as_bytes(), path);
        path.push('=');
        match value {
            None | Some(b"") => path.push_str(NULL),
            // A text that looks like NULL.
            Some(value) if value == NULL.as_bytes() => {
                path.push_str("%5F");
                path.push_str(&NULL[1..]);
            }
            Some(value) => encode(value, path),
        }
        if path.len() - start > MAX_NAME {
            let message = format!("a value of the partition column {column} is too long for the name of a directory");
            return Err(Error::new(ErrorKind::Output, message)
                .hint(format!("partition by something shorter, as substr({column}, 1, 32)")));
        }
    }
    Ok(())
}

fn encode(bytes: &[u8], into: &mut String) {
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => into.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(into, "%{byte:02X}")),
        }
    }
}

/// Whether a text is what [`partition_path`] makes for these columns.
pub(super) fn is_partition(path: &str, columns: &[String]) -> bool {
    let parts: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
    parts.len() == columns.len()
        && parts.iter().zip(columns).all(|(part, column)| {
            let mut start = String::new();
            encode(column.as_bytes(), &mut start);
            start.push('=');
            part.len() <= MAX_NAME && part.strip_prefix(start.as_str()).is_some_and(is_encoded)
        })
}

fn is_encoded(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-%".contains(&byte))
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(columns: &[&str], values: &[Option<&[u8]>]) -> Result<String> {
        let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
        let mut path = String::new();
        partition_path(&columns, values.iter().copied(), &mut path)?;
        assert!(is_partition(&path, &columns), "{path}");
        Ok(path)
    }

    #[test]
    fn values_are_encoded() {
        assert_eq!(path(&["a"], &[Some(b"DE-x_9")]).unwrap(), "a=DE-x_9");
        assert_eq!(path(&["a b"], &[Some("é/\0.".as_bytes())]).unwrap(), "a%20b=%C3%A9%2F%00%2E");
        assert_eq!(path(&["a"], &[None]).unwrap(), "a=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(path(&["a"], &[Some(b"")]).unwrap(), "a=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(path(&["a"], &[Some(NULL.as_bytes())]).unwrap(), "a=%5F_HIVE_DEFAULT_PARTITION__");
        assert_eq!(path(&["a", "b"], &[Some(b"=%"), Some(b"1")]).unwrap(), "a=%3D%25/b=1");
        assert_eq!(path(&[], &[]).unwrap(), "");
    }

    #[test]
    fn too_long_values_name_the_column() {
        assert!(path(&["a"], &[Some(&[b'x'; 253])]).is_ok());
        let error = path(&["b", "a"], &[None, Some(&[b'x'; 254])]).unwrap_err();
        assert!(error.message().contains("column a "), "{error}");
        assert!(path(&["a"], &[Some(&[b'/'; 85])]).is_err());
    }

    #[test]
    fn other_paths_are_none_of_partitions() {
        let columns = ["a".to_owned(), "b".to_owned()];
        for wrong in ["", "a=1", "a=1/b=2/c=3", "a=/b=1", "a=../b=1", "/a=1/b=2", "a=1/b=2/", "b=1/a=2", "a=1/b=é"] {
            assert!(!is_partition(wrong, &columns), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn different_values_have_different_directories(
            a in proptest::collection::vec(any::<u8>(), 1..20),
            b in proptest::collection::vec(any::<u8>(), 1..20),
        ) {
            let of = |value: &[u8]| path(&["c"], &[Some(value)]).unwrap();
            prop_assert_eq!(of(&a) == of(&b), a == b);
            prop_assert!(of(&a) != path(&["c"], &[None]).unwrap());
            prop_assert!(!of(&a)[2..].contains(['/', '.', '=']));
        }
    }
}
