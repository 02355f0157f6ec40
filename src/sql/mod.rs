//! The query language: SQL with every clause optional, from text to a [`Plan`](crate::plan::Plan).
//!
//! `parse` gives sqlparser's tree of the text, the missing SELECT added; `bind` resolves names in it and makes the
//! plan, `from` its sources; `expr` does so for expressions, `call` for calls in them, `literal` for constants; `place`
//! turns sqlparser's places into ranges of bytes of the text. `reference` lists all functions.

mod bind;
mod call;
mod expr;
mod from;
mod literal;
mod parse;
mod place;
mod reference;

pub use bind::plan;
pub use place::nearest;
pub use reference::{Entry, Topic, help, list, page, reference, sample};
