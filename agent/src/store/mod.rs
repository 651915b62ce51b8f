//! The log dir: the only module that knows its layout, its formats and its locks.

pub mod time;

pub mod agent_logs;
pub mod layout;

pub mod atomic;
pub mod file_error;
pub mod json;
pub mod lock;
pub mod presence;
pub mod regular;
pub mod state;

pub mod backward;
pub mod bisect;
pub mod event_log;
pub mod follow;
pub mod record;

pub mod metrics;
pub mod orphan_state;
pub mod round_context;
pub mod status;

pub mod holder;
pub mod pid_file;

pub mod retention;
pub mod round_number;

pub mod doorbell;
