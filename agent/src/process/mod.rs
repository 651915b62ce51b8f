//! Processes, groups and signals: the only module that starts, watches and ends them. Knows nothing of rounds.

pub mod identity;
pub mod program;
pub mod stat;
pub mod tree;

pub mod signals;
pub mod terminal;
pub mod wait;

pub mod pidfd;

pub mod gone;

pub mod child;
pub mod exit_status;
pub mod feed;
pub mod inherited;

pub mod orphans;
pub mod stop;

pub mod capture;
pub mod isolate;
pub mod piped;
