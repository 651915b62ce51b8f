//! `monitor --host`: the same view of another host, over the system's ssh. Detectors stay on that host; the relay hands
//! on, remembers how far it came, and tries again. It never acts there.

pub mod command;
pub mod one_answer;
pub mod run;
pub mod translate;

mod backoff;
