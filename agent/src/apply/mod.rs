//! Desired state in, report out: how a controller brings a host to a manifest.

pub mod manifest;
pub mod report;
