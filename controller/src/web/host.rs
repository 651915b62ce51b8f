//! One host as `/api/v1/hosts/NAME` tells it: rounds and figures over time, alerts open and past. Pure.

use agent_runner::store::time;
use serde_json::{Value, json};

use super::rows::{HostRow, outcome, rows};
use super::view::{SCHEMA, alert};
use crate::fleetview::state::{Fleet, Link, StreamId, StreamState};

/// Past alerts told of a host.
const PAST: usize = 20;

/// Returns everything known of a host; none when it is not watched.
pub fn host(fleet: &Fleet, name: &str) -> Option<Value> {
    let row: HostRow = rows(fleet).remove(name)?;
    let here = |host: Option<&std::sync::Arc<str>>| host.is_some_and(|host| &**host == name);
    let open = fleet.alerts.open().filter(|alert| here(alert.key.subject.host()));
    let past = fleet.alerts.past().rev().filter(|alert| here(alert.key.subject.host())).take(PAST);
    let detail = fleet.on_host(name).map(|(id, state)| stream(fleet, id, state));
    let mut value = serde_json::to_value(&row).ok()?;
    let object = value.as_object_mut()?;
    object.insert("schema".into(), SCHEMA.into());
    object.insert("at".into(), time::stamp(fleet.now.wall).into());
    object.insert("detail".into(), detail.collect());
    object.insert("open".into(), open.map(|one| alert(one, fleet)).collect());
    object.insert("past".into(), past.map(|one| alert(one, fleet)).collect());
    Some(value)
}

fn stream(fleet: &Fleet, id: &StreamId, state: &StreamState) -> Value {
    let (link, reason) = match &state.link {
        Link::Connecting => ("connecting", None),
        Link::Up => ("up", None),
        Link::Down { reason, .. } => ("down", Some(reason)),
    };
    let running = state.state.as_ref().is_some_and(|state| state.running);
    let count = state.rounds.iter().len();
    let rounds = state.rounds.iter().enumerate().map(|(place, round)| {
        let mut value = serde_json::to_value(round).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.insert("outcome".into(), outcome(round, running && place + 1 == count).to_string().into());
        }
        value
    });
    json!({
        "project": id.project,
        "link": link,
        "reason": reason,
        "last_data": time::stamp(state.last_data.wall),
        "age_s": fleet.now.mono.saturating_sub(state.last_data.mono).as_secs(),
        "agent_version": state.hello.as_ref().map(|hello| &hello.version),
        "boot_id": state.hello.as_ref().map(|hello| &hello.boot_id),
        "monitor_active": state.monitor_active(),
        "clock_skew_s": state.skew_s,
        "state": state.state,
        "stopped": state.stopped.as_ref().map(|stopped| json!({
            "detector": stopped.detector, "at": time::stamp(stopped.at), "by": stopped.by,
        })),
        "rounds": rounds.collect::<Vec<_>>(),
        "trend": state.trend.iter().collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::tests::{blind, fire, fleet, say};

    #[test]
    fn a_host_is_told_with_its_streams_and_alerts_and_an_unknown_one_is_not() {
        let mut fleet = fleet(2);
        say(&mut fleet, "pi0002", true);
        fire(&mut fleet, "pi0002", "hung", "no output");
        let told = host(&fleet, "pi0002").unwrap();
        assert_eq!(told["detail"][0]["link"], "up");
        assert_eq!(told["detail"][0]["state"]["round_num"], 3);
        assert_eq!(told["open"][0]["detector"], "hung");
        assert_eq!(told["standing"], "active");
        assert_eq!(host(&fleet, "moon"), None);
    }

    #[test]
    fn what_a_hosts_detectors_cannot_judge_is_told_with_the_reason() {
        let mut fleet = fleet(1);
        say(&mut fleet, "pi0001", true);
        blind(&mut fleet, "pi0001", "round.log: no access");
        let told = host(&fleet, "pi0001").unwrap();
        let expected = json!([{"detector": "oauth_fail", "error": "round.log: no access"}]);
        assert_eq!(told["detail"][0]["state"]["cannot_judge"], expected);
        assert_eq!(told["open"][0]["message"], "oauth_fail cannot judge: round.log: no access");
    }
}
