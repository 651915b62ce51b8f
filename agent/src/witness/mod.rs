//! The Witness: detectors over what the log and the host say, alerts with a beginning and an end, auto-stop.

pub mod alert;
pub(crate) mod alert_line;
pub mod stream;

pub mod samples;
pub mod snapshot;
pub mod throttles;

pub mod detectors;
pub mod thresholds;

pub mod episode;
pub mod rehearsal;

pub mod evidence;
pub mod reader;

pub mod monitor;
pub mod wake;

pub mod relay;

pub mod narrate;
pub mod state;
pub mod streaming;
pub mod tail;
