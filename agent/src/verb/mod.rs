//! What verbs are made of: the options and the world they all get, and how they load and name what they work on. Here
//! the environment may be read.

mod context;

pub(crate) mod observed;
pub(crate) mod project;
pub(crate) mod relayed;
pub(crate) mod world;

pub use context::{ConfigGiven, Ctx};
