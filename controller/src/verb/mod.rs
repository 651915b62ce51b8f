//! What verbs are made of: the options and the world they all get, the hosts they are for, and what several of them have
//! in common. Here the environment may be read.

pub mod agent_verb;
pub mod context;
pub mod on_hosts;
pub mod order;
pub mod watching;

pub(crate) mod deed;
pub(crate) mod questions;
pub(crate) mod script;

mod prompt;
mod terminal;

pub use context::{Ctx, Global};
pub use on_hosts::Patterns;
