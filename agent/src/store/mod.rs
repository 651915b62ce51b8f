//! The log dir: the only module that knows its layout, its formats and its locks.

pub mod time;

pub mod layout;

pub mod atomic;
pub mod json;
pub mod lock;

pub mod backward;
pub mod event_log;
pub mod follow;
pub mod record;

pub mod doorbell;
