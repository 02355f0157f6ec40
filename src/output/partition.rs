//! Partitions: the directory that a row belongs into, `country=DE/category=books`.

use std::fmt::Write;

use super::format::Rows;
use crate::error::{Error, ErrorKind, Result};

/// The directory of rows without a value.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// The longest name that file systems take, in bytes.
const MAX_NAME: usize = 255;
/// What stands before the rows of a partition: the lengths of its name and of them.
const HEAD: usize = 16;

/// Appends to `path` the directory of a row, relative to the destination: `column=value` for each column, with `/` between
/// them. Values are texts, `None` for NULL.
///
/// Bytes of names and values outside `[A-Za-z0-9_-]` are written as `%` and two hexadecimal digits, as URLs have it, so that
/// no value leads anywhere else. NULL is `__HIVE_DEFAULT_PARTITION__`. So is the empty text, for which there is no directory in
/// the layout of Hive: Spark cannot read `column=`.
///
/// ```
/// let mut path = String::new();
/// let columns = ["country".to_owned(), "when".to_owned()];
/// foldl::output::partition_path(&columns, [Some("../DE".as_bytes()), None], &mut path)?;
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
pub fn is_partition(path: &str, columns: &[String]) -> bool {
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

/// Appends rows of a partition, of which there is at least one, for [`next_in_partition`] to read: as a whole, though each of
/// them counts.
pub fn push_in_partition<'r>(rows: &mut Rows, partition: &str, of: impl Iterator<Item = &'r [u8]>) {
    let start = rows.bytes.len();
    rows.bytes.extend_from_slice(&[0; HEAD]);
    rows.bytes.extend_from_slice(partition.as_bytes());
    let first = rows.bytes.len();
    of.for_each(|row| rows.push(row));
    let lens = [partition.len(), rows.bytes.len() - first].map(|len| (len as u64).to_le_bytes());
    rows.bytes[start..start + HEAD].copy_from_slice(lens.as_flattened());
}

/// Takes the next rows with their partition off the bytes of whole rows; `None` if there are none.
pub fn next_in_partition<'r>(bytes: &mut &'r [u8]) -> Option<(&'r str, &'r [u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let len = |at: usize| usize::try_from(u64::from_le_bytes(*head[at..].first_chunk()?)).ok();
    let (partition, rest) = rest.split_at_checked(len(0)?)?;
    let (rows, rest) = rest.split_at_checked(len(HEAD / 2)?)?;
    *bytes = rest;
    Some((std::str::from_utf8(partition).ok()?, rows))
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

    #[test]
    fn rows_come_back_with_their_partitions() {
        let mut rows = Rows::default();
        for (partition, of) in [("a=1", &["{}\n", "{\"b\":2}\n"][..]), ("", &["x,\"y\nz\"\n"]), ("a=2/b=3", &[""])] {
            push_in_partition(&mut rows, partition, of.iter().map(|row| row.as_bytes()));
        }
        assert_eq!(rows.len(), 4);
        let mut bytes = rows.range(0..4);
        let mut found = Vec::new();
        while let Some((partition, rows)) = next_in_partition(&mut bytes) {
            found.push((partition, std::str::from_utf8(rows).unwrap()));
        }
        assert_eq!(found, [("a=1", "{}\n{\"b\":2}\n"), ("", "x,\"y\nz\"\n"), ("a=2/b=3", "")]);
        assert!(bytes.is_empty());
        assert_eq!(next_in_partition(&mut &rows.bytes[..30]).map(|(partition, _)| partition), Some("a=1"));
        assert_eq!(next_in_partition(&mut &rows.bytes[..29]), None);
    }
}
