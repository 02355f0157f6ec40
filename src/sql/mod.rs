//! The query language: SQL with every clause optional, from text to a [`Plan`](crate::plan::Plan).
//!
//! `parse` gives sqlparser's tree of the text, the missing SELECT added, or `advice` where there is none; `query` makes the
//! plans of queries and of those within them, `bind` that of one SELECT, `groups` what GROUP BY and aggregates make of it,
//! `from` its sources; `expr` does so for expressions, `call` for calls in them, `aggregate` for those of aggregates,
//! `literal` for constants, `check` for what is known to be wrong, `foreign` and `letters` for what other systems have; `place` turns
//! sqlparser's places into ranges of bytes of the text. `reference` lists all functions.

mod advice;
mod aggregate;
mod bind;
mod call;
mod check;
mod expr;
mod foreign;
mod from;
mod groups;
mod letters;
mod literal;
mod parse;
mod place;
mod query;
mod reference;
mod types;

pub use parse::check_expression;
pub use place::nearest;
pub use query::{Catalog, plan};
pub use reference::{Entry, Topic, help, list, page, reference, sample};
