//! Records with some keys replaced or added: `select *, x as a`.

use bumpalo::Bump;
use memchr::memmem::Finder;

use crate::value::{json, text};

/// Writes records with some keys replaced, added or left out.
pub struct Extender<'c> {
    /// The keys that get new values: in place where the record has them, at its end otherwise.
    names: Vec<&'c str>,
    /// How many of them, the first ones, are left out where the record does not have them.
    replacements: usize,
    /// The keys that are left out.
    excluded: &'c [String],
    /// Finds each of all these as it stands in a record, unless it is written with escapes there.
    finders: Vec<Finder<'static>>,
}

impl<'c> Extender<'c> {
    /// For keys that get new values, of which the first few only replace what is there, and keys that are left out.
    pub fn new(names: Vec<&'c str>, replacements: usize, excluded: &'c [String]) -> Extender<'c> {
        let finder = |name: &str| {
            let mut quoted = Vec::new();
            text::write_string(name.as_bytes(), &mut quoted);
            Finder::new(&quoted).into_owned()
        };
        let finders = names.iter().copied().chain(excluded.iter().map(String::as_str)).map(finder).collect();
        Extender { names, replacements, excluded, finders }
    }

    /// Writes records as they stand as one, save for some keys; of a key that several records have the first one's stays. A
    /// record that is no object becomes the key `value`. `write` writes the new value of the key of a number.
    pub fn write<'a>(
        &self,
        records: &[&'a [u8]],
        arena: &'a Bump,
        out: &mut Vec<u8>,
        mut write: impl FnMut(usize, &mut Vec<u8>),
    ) {
        let &[record] = records else { return self.write_by_key(records, arena, out, write) };
        let Some(body) = self.body_without_changes(record) else {
            return self.write_by_key(records, arena, out, write);
        };
        out.push(b'{');
        out.extend_from_slice(body);
        for (number, name) in self.names.iter().enumerate().skip(self.replacements) {
            out.push(b',');
            text::write_string(name.as_bytes(), out);
            out.push(b':');
            write(number, out);
        }
        out.push(b'}');
    }

    /// What is within the braces of a record with keys, of which none is replaced or left out for sure.
    fn body_without_changes<'a>(&self, record: &'a [u8]) -> Option<&'a [u8]> {
        let body = record.trim_ascii().strip_prefix(b"{")?.strip_suffix(b"}")?.trim_ascii();
        let is_sure = !body.is_empty()
            && memchr::memchr(b'\\', body).is_none()
            && self.finders.iter().all(|finder| finder.find(body).is_none());
        is_sure.then_some(body)
    }

    /// The same as [`write`](Extender::write), key by key.
    fn write_by_key<'a>(
        &self,
        records: &[&'a [u8]],
        arena: &'a Bump,
        out: &mut Vec<u8>,
        mut write: impl FnMut(usize, &mut Vec<u8>),
    ) {
        let Extender { names, excluded, .. } = self;
        let mut done = vec![false; names.len()];
        let mut separator = b'{';
        let mut start = |out: &mut Vec<u8>| out.push(std::mem::replace(&mut separator, b','));
        let mut seen: Vec<&[u8]> = Vec::new();
        for (number, record) in records.iter().enumerate() {
            let record = record.trim_ascii();
            let before = seen.len();
            for (body, escaped, value) in json::entries(record) {
                let key = json::key_text(body, escaped, arena);
                let item = names.iter().position(|name| name.as_bytes() == key);
                // Of a key that is there twice only the new value stays.
                let is_done = item.is_some_and(|item| done[item]) || seen[..before].contains(&key);
                if is_done || item.is_none() && excluded.iter().any(|name| name.as_bytes() == key) {
                    continue;
                }
                if number + 1 < records.len() {
                    seen.push(key);
                }
                start(out);
                out.push(b'"');
                out.extend_from_slice(body);
                out.extend_from_slice(b"\":");
                match item {
                    Some(item) => {
                        write(item, out);
                        done[item] = true;
                    }
                    None => out.extend_from_slice(value),
                }
            }
            let has_value = || names.contains(&"value") || excluded.iter().any(|name| name == "value");
            if !record.is_empty()
                && record.first() != Some(&b'{')
                && !has_value()
                && !seen[..before].contains(&&b"value"[..])
            {
                if number + 1 < records.len() {
                    seen.push(b"value");
                }
                start(out);
                out.extend_from_slice(b"\"value\":");
                out.extend_from_slice(record);
            }
        }
        for (number, name) in names.iter().enumerate().skip(self.replacements).filter(|(number, _)| !done[*number]) {
            start(out);
            text::write_string(name.as_bytes(), out);
            out.push(b':');
            write(number, out);
        }
        if separator == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value as Json};

    use super::*;

    fn written(extender: &Extender, record: &str, by_key: bool) -> Vec<(String, Json)> {
        let (arena, mut out) = (Bump::new(), Vec::new());
        let write = |number: usize, out: &mut Vec<u8>| out.extend_from_slice(format!("[{number}]").as_bytes());
        match by_key {
            true => extender.write_by_key(&[record.as_bytes()], &arena, &mut out, write),
            false => extender.write(&[record.as_bytes()], &arena, &mut out, write),
        }
        let map: Map<String, Json> = serde_json::from_slice(&out).expect("a record");
        map.into_iter().collect()
    }

    proptest! {
        #[test]
        fn records_without_changed_keys_are_as_they_are_by_key(
            keys in prop::collection::btree_map("[ab\"\\\\é]{0,2}", "[ab,:\"\\\\ ]{0,4}", 0..4),
            names in prop::collection::btree_set("[ab\"é]{1,2}", 1..4),
            excluded in prop::collection::vec("[abé]{1,2}", 0..2),
            replacements in 0_usize..2,
            is_spaced in any::<bool>(),
        ) {
            let map: Map<String, Json> = keys.into_iter().map(|(key, value)| (key, Json::from(value))).collect();
            let record = if is_spaced {
                serde_json::to_string_pretty(&map).unwrap().replace('\n', " ")
            } else {
                serde_json::to_string(&map).unwrap()
            };
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let extender = Extender::new(names, replacements, &excluded);
            prop_assert_eq!(written(&extender, &record, false), written(&extender, &record, true));
        }
    }

    #[test]
    fn keys_that_are_written_with_escapes_are_found() {
        let extender = Extender::new(vec!["a"], 0, &[]);
        assert_eq!(written(&extender, r#"{"\u0061":1,"b":2}"#, false).len(), 2);
        assert_eq!(written(&extender, "{}", false).len(), 1);
        assert_eq!(written(&extender, " { } ", false).len(), 1);
        assert_eq!(written(&extender, "17", false).len(), 2);
    }
}
