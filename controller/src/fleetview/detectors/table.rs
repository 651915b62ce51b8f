//! The table of detectors: docs, tests and `alerts --list` read it.

use agent_runner::witness::alert::Severity;

use super::{account, blind, brake, clock, config, hosts, nuisance, sink, stalled, stop_failed, version};
use crate::fleetview::alert::Key;
use crate::fleetview::life::Seen;
use crate::fleetview::state::Fleet;
use agent_runner_inventory::Monitor;

/// One detector.
#[derive(Debug, Clone, Copy)]
pub struct Detector {
    /// The names of its alerts.
    pub names: &'static [&'static str],
    /// The worst of their severities.
    pub severity: Severity,
    /// When it fires, for a person.
    pub fires: &'static str,
    /// Looks at the fleet.
    pub look: fn(&Fleet, &Monitor) -> Vec<(Key, Seen)>,
}

/// All of them.
pub const DETECTORS: &[Detector] = &[
    Detector {
        names: &[hosts::STALE, hosts::UNREACHABLE],
        severity: Severity::Critical,
        fires: "no data for monitor.stale_after_s: host_unreachable when no connection comes about, else host_stale",
        look: hosts::look,
    },
    Detector {
        names: &[nuisance::INVALID, nuisance::FLOOD],
        severity: Severity::Warning,
        fires: "within ten minutes a host sent lines that are no lines of a stream, or more than are read",
        look: nuisance::look,
    },
    Detector {
        names: &[clock::NAME],
        severity: Severity::Warning,
        fires: "a host's clock is more than a minute off the controller's, for a minute",
        look: clock::look,
    },
    Detector {
        names: &[version::NAME],
        severity: Severity::Warning,
        fires: "hosts run different versions of the agent for ten minutes",
        look: version::look,
    },
    Detector {
        names: &[config::NAME],
        severity: Severity::Warning,
        fires: "a host's agent-runner.toml is not what the inventory says, for ten minutes",
        look: config::look,
    },
    Detector {
        names: &[blind::NAME],
        severity: Severity::Warning,
        fires: "detectors of a host cannot judge: that no alert of theirs fires says nothing",
        look: blind::look,
    },
    Detector {
        names: &[account::AUTH],
        severity: Severity::Critical,
        fires: "the login fails on two or more hosts of one account: one incident",
        look: account::auth,
    },
    Detector {
        names: &[account::RATE_LIMIT],
        severity: Severity::Warning,
        fires: "the provider throttles an account: one incident, with the latest reset",
        look: account::rate_limit,
    },
    Detector {
        names: &[stalled::NAME],
        severity: Severity::Critical,
        fires: "rounds are in progress, and none ended anywhere for three times the longest wall clock",
        look: stalled::look,
    },
    Detector {
        names: &[brake::NAME],
        severity: Severity::Critical,
        fires: "a stop is held back because the controller has stopped services on monitor.brake of the hosts within ten minutes",
        look: brake::look,
    },
    Detector {
        names: &[stop_failed::NAME],
        severity: Severity::Critical,
        fires: "the controller's stop of a service has failed for half a minute; it is tried again at least every ten minutes",
        look: stop_failed::look,
    },
    Detector {
        names: &[sink::NAME],
        severity: Severity::Warning,
        fires: "a sink takes no messages for two minutes: they wait on disk, or are refused for good and dropped",
        look: sink::look,
    },
];
