//! `peek` and `watch`: one look at a project, as JSON for programs and as a page for a tired person.

pub mod answer;
pub mod brake;
pub mod defenses;
pub mod fit;
pub mod select;

mod history;
mod look;

pub mod view;

pub use history::{ended, recent};
pub use look::{Asked, PeekError, RoundAsked, look};
