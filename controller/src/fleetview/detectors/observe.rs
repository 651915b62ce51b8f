//! Everything that holds of the fleet now: what the hosts name, and what the controller's own detectors see.

use std::collections::BTreeSet;
use std::time::Duration;

use agent_runner_inventory::Monitor;

use super::DETECTORS;
use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::coverage::is_gone;
use crate::fleetview::life::{Observation, Rules, Seen};
use crate::fleetview::state::Fleet;

/// Looks at the fleet. What has not spoken yet is not known: its alerts stay as an earlier run left them.
pub fn observe(fleet: &Fleet, policy: &Monitor, rules: &Rules) -> Observation {
    let mut seen = Observation { known: known(fleet, policy), ..Observation::default() };
    for (id, state) in &fleet.streams {
        for open in state.alerts.values() {
            let key = Key::new(Subject::Stream(id.clone()), open.alert.detector.as_str());
            let alert = Seen {
                account: fleet.account(&id.host).cloned(),
                severity: open.alert.severity,
                message: open.alert.message.clone(),
                context: open.alert.context.clone(),
                for_s: rules.for_s,
            };
            // A detector may name several things of one project: one alert, as bad as the worst of them.
            let worse = seen.raised.get(&key).is_none_or(|other| other.severity < alert.severity);
            if worse {
                seen.raised.insert(key, alert);
            }
        }
    }
    for detector in DETECTORS {
        seen.raised.extend((detector.look)(fleet, policy));
    }
    seen
}

fn known(fleet: &Fleet, policy: &Monitor) -> BTreeSet<Subject> {
    let mut known = BTreeSet::from([Subject::Fleet]);
    known.extend(fleet.by_account().into_keys().map(Subject::Account));
    for (id, state) in &fleet.streams {
        let age = fleet.now.mono.saturating_sub(state.last_data.mono);
        let settling = !state.spoken && age < Duration::from_secs(policy.stale_after_s);
        if state.spoken {
            known.insert(Subject::Stream(id.clone()));
        }
        if settling {
            known.remove(&Subject::Fleet);
            if let Some(account) = fleet.account(&id.host) {
                known.remove(&Subject::Account(account.clone()));
            }
        } else {
            known.insert(Subject::Host(id.host.clone()));
        }
    }
    // What the inventory does not name any more has no alerts.
    let open = fleet.alerts.open().map(|alert| &alert.key.subject);
    known.extend(open.filter(|subject| is_gone(&fleet.hosts, subject)).cloned());
    known
}
