//! The dashboard under test: a fleet that is invented and a server that is real, and requests as anybody can write them.

mod http;
mod invented;

pub use http::{Answer, Ask, ask};
pub use invented::{Invented, Service};
