//! `monitor --mode http`: the project as a page in a browser of the same machine. Reads only, loopback only.

pub mod server;

mod board;
mod client;
mod page;
mod request;
mod response;

pub use page::escaped;
