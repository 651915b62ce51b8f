//! TOML with positions: the text, typed access to it, and the problems found on the way.

mod item;
mod report;
mod table;

pub(crate) use item::Item;
pub(crate) use report::Report;
pub(crate) use table::{Table, parse};
