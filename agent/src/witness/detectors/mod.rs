//! The detectors, one a file, and the one table that lists them in the order they run.
//!
//! A detector is pure and total: what it cannot judge it returns as a [`Blind`], and the others still run.

mod anomaly_repetitive_active;
mod disk_critical;
mod disk_growth;
mod disk_warning;
mod hung;
mod mem_pressure;
mod mem_pressure_gate_inert;
mod mem_signal_unavailable;
mod network_fail;
mod oauth_fail;
mod orphan_chain;
mod rate_limit_active;
mod smoke_fail_rate;
mod supervisor_stale;
mod timeout_rate;

mod detector;
mod table;

#[cfg(test)]
pub(crate) mod fixture;

pub use detector::{Blind, Detector, Found};
pub use table::{DETECTORS, Evaluation, evaluate, evaluate_those};
