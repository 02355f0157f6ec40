//! Types that are read from a text and written as one.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Unexpected, Visitor};

/// Reads a type from a text, and, if it may be one, from a number.
pub(crate) struct Text<T, const NUMBERS: bool> {
    /// What is expected.
    pub(crate) what: &'static str,
    pub(crate) of: PhantomData<T>,
}

impl<T: FromStr<Err: fmt::Display>, const NUMBERS: bool> Visitor<'_> for Text<T, NUMBERS> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        match NUMBERS {
            true => self.visit_str(&number.to_string()),
            false => Err(E::invalid_type(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        match NUMBERS {
            true => self.visit_str(&number.to_string()),
            false => Err(E::invalid_type(Unexpected::Unsigned(number), &self)),
        }
    }
}

/// Implements reading by a [`Text`] and writing for types that have `FromStr` and `Display`.
macro_rules! as_text {
    (numbers: $numbers:literal; $($name:ident: $what:literal),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = $crate::quality::Text::<$name, $numbers> { what: $what, of: std::marker::PhantomData };
                if $numbers { deserializer.deserialize_any(text) } else { deserializer.deserialize_str(text) }
            }
        }
    )*};
}

pub(crate) use as_text;
