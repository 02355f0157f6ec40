//! Arrays taken apart: the elements of an array that is known to be valid, and in elements that are objects the values of
//! some keys.
//!
//! The structure of an array is where its brackets, commas and colons are that are not in strings. A window of 64 bytes
//! gives them as bits, and only these bytes are looked at one by one.

use std::ops::Range;

use super::count::{window, within_pairs};
use super::simd::{Kernel, Simd, StructureMasks, Task, Text};
use super::string::{decode, escapes};
use super::walk::{peek, space};
use super::{Cell, Kind, Short};

/// What is found in elements of arrays.
#[derive(Debug, Default)]
pub(crate) struct Elements {
    /// The keys whose values are wanted, each once, in their decoded form.
    keys: Vec<Box<[u8]>>,
    /// The elements.
    pub(crate) elements: Vec<Cell>,
    /// For each key its values: a cell for each element, missing if that is no object or has no such key. Of a key that
    /// stands twice the last value counts.
    pub(crate) columns: Vec<Vec<Cell>>,
    /// The key of the first field of an object, of the second, and so on, as they were written the last time, and whose
    /// column that is. Objects of one array tend to have the same keys in the same order.
    fields: Vec<(Short, Option<usize>)>,
    /// A key in its decoded form.
    decoded: Vec<u8>,
}

/// The fields that are kept in mind.
const MOST_FIELDS: usize = 64;

impl Elements {
    /// No elements yet, of which the values of these keys are wanted.
    pub(crate) fn new<'k>(keys: impl Iterator<Item = &'k str>) -> Elements {
        let keys: Vec<Box<[u8]>> = keys.map(|key| key.as_bytes().into()).collect();
        Elements { columns: vec![Vec::new(); keys.len()], keys, ..Elements::default() }
    }

    /// Adds elements of an array that was found in a valid record of a block, until there are `most`. What is left of the
    /// array then goes on from the comma behind them, and is to be added as the array was.
    #[must_use = "the array may have more elements"]
    pub(crate) fn add(&mut self, block: &[u8], array: Cell, most: usize) -> Option<Cell> {
        self.add_with(Simd::detect(), block, array, most)
    }

    /// Forgets the elements.
    pub(crate) fn clear(&mut self) {
        self.elements.clear();
        self.columns.iter_mut().for_each(Vec::clear);
    }

    /// Adds an element of which all is missing.
    pub(crate) fn add_missing(&mut self) {
        self.add_element(Cell::MISSING);
    }

    fn add_with(&mut self, simd: Simd, block: &[u8], array: Cell, most: usize) -> Option<Cell> {
        simd.run(TakeApart { block, array, most, found: self })
    }

    /// The column of the key at a range of the block, which is that of the object's field of that number.
    #[inline(always)]
    fn column_of(&mut self, block: &[u8], key: Range<usize>, field: usize) -> Option<usize> {
        match self.fields.get(field) {
            Some((known, column)) if known.is_at(block, key.clone()) => *column,
            _ => self.find_column(block, key, field),
        }
    }

    #[inline(never)]
    fn find_column(&mut self, block: &[u8], key: Range<usize>, field: usize) -> Option<usize> {
        let column = self.column_of_key(&block[key.clone()]);
        if let Some(short) = Short::within(block, key) {
            if field == self.fields.len() && field < MOST_FIELDS {
                self.fields.push((short, column));
            } else if let Some(known) = self.fields.get_mut(field) {
                *known = (short, column);
            }
        }
        column
    }

    /// The column of a key as it is written.
    fn column_of_key(&mut self, key: &[u8]) -> Option<usize> {
        if memchr::memchr(b'\\', key).is_some() {
            self.decoded.clear();
            let is_text = decode(key, &mut self.decoded);
            let decoded = &self.decoded;
            return self.keys.iter().position(|wanted| is_text && **wanted == **decoded);
        }
        self.keys.iter().position(|wanted| **wanted == *key)
    }

    /// Adds an element without any values of keys, or with those that were added for it.
    #[inline(always)]
    fn add_element(&mut self, element: Cell) {
        for column in &mut self.columns {
            if column.len() == self.elements.len() {
                column.push(Cell::MISSING);
            }
        }
        self.elements.push(element);
    }

    /// Adds the value of a key in the element that is added next.
    #[inline(always)]
    fn add_value(&mut self, column: usize, value: Cell) {
        let column = &mut self.columns[column];
        column.truncate(self.elements.len());
        column.push(value);
    }
}

/// See [`Elements::add`].
struct TakeApart<'a> {
    block: &'a [u8],
    array: Cell,
    most: usize,
    found: &'a mut Elements,
}

impl Task for TakeApart<'_> {
    type Output = Option<Cell>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Option<Cell> {
        let TakeApart { block, array, most, found } = self;
        let range = array.range();
        let text = Text::new(block);
        // The rest of an array begins with a comma, which stands for its bracket.
        let is_rest = peek(block, range.start) == b',';
        let mut depth = usize::from(is_rest);
        // What lies directly in the array, and directly in an element that is an object, begins behind these.
        let (mut item, mut field) = (range.start + 1, 0);
        let (mut in_object, mut number) = (false, 0);
        // The column of the current field, and where its value begins.
        let mut value = None;
        // 1 if the first byte of the window is escaped, all bits if it is in a string.
        let (mut carry, mut in_string) = (0, 0);
        let mut has_escapes = false;
        let mut base = range.start + usize::from(is_rest);
        while base < range.end {
            let last;
            let bytes = match text.ahead(base) {
                Some(ahead) => ahead.near().window(),
                None => {
                    last = window(block, base);
                    &last
                }
            };
            let masks = kernel.string_masks(bytes);
            let mut quotes = masks.quotes;
            if masks.backslashes | carry != 0 {
                let escaped;
                (escaped, carry) = escapes(masks.backslashes, carry);
                quotes &= !escaped;
                has_escapes = true;
            }
            let strings = within_pairs(quotes) ^ in_string;
            in_string = 0u64.wrapping_sub(strings >> 63);
            let StructureMasks { opening, closing, commas, colons } = kernel.structure_masks(bytes);
            let mut left = (opening | closing | commas | colons) & !strings;
            if let Some(behind) = u64::MAX.checked_shl((range.end - base).try_into().unwrap_or(u32::MAX)) {
                left &= !behind;
            }
            while left != 0 {
                let place = left.trailing_zeros();
                let bit = left & left.wrapping_neg();
                left ^= bit;
                let at = base + place as usize;
                if bit & opening != 0 {
                    depth += 1;
                    match depth {
                        1 => item = at + 1,
                        2 => {
                            in_object = peek(block, at) == b'{';
                            (number, field) = (0, at + 1);
                        }
                        _ => {}
                    }
                } else if depth == 2 && in_object {
                    if bit & colons != 0 {
                        let start = space(block, field) + 1;
                        let mut end = at;
                        while end > start && peek(block, end - 1) != b'"' {
                            end -= 1;
                        }
                        let key = start..(end - 1).max(start);
                        value = found.column_of(block, key, number).map(|column| (column, at + 1));
                        number += 1;
                    } else {
                        if let Some((column, start)) = value.take()
                            && let Some(cell) = cell(kernel, block, start, at, has_escapes)
                        {
                            found.add_value(column, cell);
                        }
                        field = at + 1;
                        depth -= usize::from(bit & closing != 0);
                    }
                } else {
                    if depth == 1 {
                        if let Some(cell) = cell(kernel, block, item, at, has_escapes) {
                            found.add_element(cell);
                        }
                        item = at + 1;
                        if found.elements.len() >= most && bit & commas != 0 {
                            return Some(Cell::new(Kind::Array, at as u32, (range.end - at) as u32));
                        }
                    }
                    depth -= usize::from(bit & closing != 0);
                }
            }
            base += 64;
        }
        None
    }
}

/// The cell of the valid value that is in a range of the block, with nothing but white space around it; [`None`] if there is
/// no value.
#[inline(always)]
fn cell<K: Kernel>(kernel: K, block: &[u8], start: usize, mut end: usize, may_have_escapes: bool) -> Option<Cell> {
    let start = space(block, start);
    while end > start && matches!(peek(block, end - 1), b' ' | b'\t' | b'\r') {
        end -= 1;
    }
    let text = block.get(start..end).filter(|text| !text.is_empty())?;
    let cell = |kind, quotes: usize| Cell::new(kind, (start + quotes) as u32, (text.len() - 2 * quotes) as u32);
    Some(match text[0] {
        b'{' => cell(Kind::Object, 0),
        b'[' => cell(Kind::Array, 0),
        b'"' if may_have_escapes && memchr::memchr(b'\\', text).is_some() => cell(Kind::Escaped, 1),
        b'"' => cell(Kind::Text, 1),
        b't' => cell(Kind::True, 0),
        b'f' => cell(Kind::False, 0),
        b'n' => cell(Kind::Null, 0),
        _ => cell(if is_float(kernel, block, start, text) { Kind::Float } else { Kind::Int }, 0),
    })
}

/// Whether a valid number, which begins at `start` in the block, has anything but digits behind its first character.
#[inline(always)]
fn is_float<K: Kernel>(kernel: K, block: &[u8], start: usize, number: &[u8]) -> bool {
    let half = block.get(start..).and_then(|rest| rest.first_chunk());
    match (half, 1_u32.checked_shl(number.len() as u32)) {
        (Some(half), Some(behind)) => kernel.number_masks(half).ends & (behind - 1) > 1,
        _ => number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::{json, text};

    const KEYS: [&str; 3] = ["a", "qty", "b\"\\"];

    /// The same, a value at a time.
    fn naive(block: &[u8], array: Cell) -> Elements {
        let mut found = Elements::new(KEYS.into_iter());
        for element in json::elements(array.bytes(block)) {
            for (key, column) in KEYS.iter().zip(&mut found.columns) {
                let is_key = |body: &[u8]| text::unescapes_to(body, key.as_bytes());
                let value = json::entries(element).filter(|&(body, _, _)| is_key(body)).last();
                column.push(value.map_or(Cell::MISSING, |(_, _, value)| Cell::of_text(block, value)));
            }
            found.elements.push(Cell::of_text(block, element));
        }
        found
    }

    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "-?[0-9]{1,3}(\\.5)?(e1|E2)?"
                .prop_filter("no leading zero", |text| { !text.trim_start_matches('-').starts_with('0') }),
            Just("true".to_owned()),
            Just("false".to_owned()),
            Just("null".to_owned()),
            r#""([a-z,\[\]{}:é ]|\\\\|\\"|\\u00e9|[a-z]{40}){0,4}""#,
        ];
        let key = r#"a|qty|b\\"\\\\|\\u0061|q\\u0074y|[a-c:,]{1,3}|\\ud800|long{60}|"#;
        leaf.prop_recursive(4, 40, 5, move |inner| {
            let space = "( |\t|\r){0,2}";
            let array = (prop::collection::vec(inner.clone(), 0..5), space)
                .prop_map(|(values, space)| format!("[{space}{}{space}]", values.join(&format!("{space},{space}"))));
            let object = (prop::collection::vec((key, inner), 0..5), space).prop_map(|(entries, space)| {
                let entries: Vec<String> =
                    entries.iter().map(|(key, value)| format!("\"{key}\"{space}:{space}{value}{space}")).collect();
                format!("{{{space}{}}}", entries.join(&format!(",{space}")))
            });
            prop_oneof![array, object]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn arrays_are_taken_apart(
            values in prop::collection::vec(value(), 0..6),
            space in "[ \t]{0,2}",
            behind in "[\\]\\[\"{}:,a]{0,70}",
            most in 1_usize..5,
        ) {
            let array = format!("[{space}{}{space}]", values.join(&format!("{space},")));
            prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&array).is_ok(), "{}", array);
            let block = format!("{{\"x\":{array}{behind}");
            let cell = Cell::new(Kind::Array, 5, array.len() as u32);
            let expected = naive(block.as_bytes(), cell);
            for simd in Simd::all() {
                let mut found = Elements::new(KEYS.into_iter());
                prop_assert_eq!(found.add_with(simd, block.as_bytes(), cell, usize::MAX), None);
                prop_assert_eq!(&found.elements, &expected.elements, "{}", array);
                prop_assert_eq!(&found.columns, &expected.columns, "{}", array);
                // The same in pieces.
                let (mut rest, mut at) = (Some(cell), 0);
                while let Some(left) = rest {
                    found.clear();
                    rest = found.add_with(simd, block.as_bytes(), left, most);
                    let piece = at..at + found.elements.len();
                    prop_assert!(piece.len() == most || rest.is_none());
                    prop_assert_eq!(&found.elements[..], &expected.elements[piece.clone()]);
                    for (found, expected) in found.columns.iter().zip(&expected.columns) {
                        prop_assert_eq!(&found[..], &expected[piece.clone()]);
                    }
                    at = piece.end;
                }
                prop_assert_eq!(at, expected.elements.len());
            }
        }
    }
}
