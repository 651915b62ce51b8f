//! The dashboard under test: a fleet that is invented and a server that is real, a browser that is real, and requests
//! as anybody can write them.

mod browser;
mod http;
mod invented;

pub use browser::{Browser, Look};
pub use http::{Answer, Ask, ask};
pub use invented::Invented;
