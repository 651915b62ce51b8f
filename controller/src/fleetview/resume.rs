//! The order in which stopped services come back, and when the first of an account has shown that its login works. Pure.
//!
//! Hosts that share a login come back one after another: if it still fails, one host finds out, not all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent_runner::event::ended_well;
use agent_runner::witness::alert::AutoAction;
use agent_runner::witness::stream::StreamLine;
use serde_json::Value;

use super::detectors::HOST_AUTH;
use super::state::StreamId;

/// The pause between two services of one chain.
pub const STAGGER: Duration = Duration::from_secs(10);
/// How long the first of an account may take for a round that ends well.
pub const PROOF: Duration = Duration::from_secs(15 * 60);
/// Rounds in a row that end badly, for whatever reason, and show that this host is not well.
const BAD_ROUNDS: usize = 3;

/// Chains are worked on side by side, the streams of a chain one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// A chain per account; hosts without one make a chain of their own.
    pub chains: Vec<Chain>,
}

/// Services that come back one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The login they share; none where none is known.
    pub account: Option<Arc<str>>,
    /// Them, in order.
    pub streams: Vec<StreamId>,
    /// Whether the first has to show that the login works before the others follow.
    pub proof: bool,
}

/// Returns the order in which streams come back, each given with the detector it was stopped for.
pub fn plan<'a>(
    stopped: impl Iterator<Item = (StreamId, &'a str)>,
    account: impl Fn(&str) -> Option<Arc<str>>,
) -> Plan {
    let mut chains: BTreeMap<Option<Arc<str>>, Vec<(bool, StreamId)>> = BTreeMap::new();
    for (stream, detector) in stopped {
        // Those whose login failed come first: they are the ones who can show that it works again.
        chains.entry(account(&stream.host)).or_default().push((detector != HOST_AUTH, stream));
    }
    let chain = |(account, mut streams): (Option<Arc<str>>, Vec<(bool, StreamId)>)| {
        streams.sort();
        let login_failed = streams.first().is_some_and(|(other, _)| !other);
        Chain {
            proof: account.is_some() && login_failed && streams.len() > 1,
            streams: streams.into_iter().map(|(_, stream)| stream).collect(),
            account,
        }
    };
    Plan { chains: chains.into_iter().map(chain).collect() }
}

/// What the rounds of a service that was just started have shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A round ended well.
    Works,
    /// It is not to be expected that one will, and why.
    Fails(String),
}

/// What is known of a service since it was started again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proof {
    active: bool,
    /// How the agent of the round that is ending ended.
    cause: Option<String>,
    bad: usize,
}

impl Proof {
    /// Takes a line of its stream, which began behind everything that was logged before the start.
    pub fn take(&mut self, line: &StreamLine) -> Option<Verdict> {
        match line {
            StreamLine::Event { event, .. } => self.event(event),
            StreamLine::State(state) => {
                let ended = self.active && !state.active;
                self.active |= state.active;
                ended.then(|| Verdict::Fails("its service is not active any more".to_owned()))
            }
            // What fires without asking for a stop is the failure it was stopped for.
            StreamLine::Alert { alert, .. }
                if self.active
                    && alert.detector == HOST_AUTH
                    && alert.auto_action == AutoAction::StopService =>
            {
                Some(Verdict::Fails(format!("its login fails again: {}", alert.message)))
            }
            StreamLine::Alert { .. }
            | StreamLine::Hello(_)
            | StreamLine::Resolved { .. }
            | StreamLine::Heartbeat { .. } => None,
        }
    }

    fn event(&mut self, event: &Value) -> Option<Verdict> {
        let text = |key| event.get(key).and_then(Value::as_str);
        match text("event")? {
            "agent_auth_error_detected" => Some(Verdict::Fails("its login fails again".to_owned())),
            "monitor_auto_stop_triggered" => {
                let detector = text("detector").unwrap_or_default();
                Some(Verdict::Fails(format!("it was stopped again for {detector}")))
            }
            "agent_exit" => {
                self.cause = text("exit_cause").map(str::to_owned);
                None
            }
            // Only now is everything said about the round: that it could not log in comes behind its exit.
            "round_end" => match self.cause.take()?.as_str() {
                cause if ended_well(cause) => Some(Verdict::Works),
                cause => {
                    self.bad += 1;
                    let enough = self.bad >= BAD_ROUNDS;
                    enough.then(|| {
                        Verdict::Fails(format!("{BAD_ROUNDS} rounds in a row ended badly ({cause})"))
                    })
                }
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use agent_runner::store::follow::Cursor;
    use serde_json::json;

    use super::*;
    use crate::fleetview::fixture::id;

    #[test]
    fn hosts_of_one_account_come_back_one_after_another_and_accounts_side_by_side() {
        let account = |host: &str| match host.split_at(1).0 {
            "a" => Some("team-a".into()),
            "b" => Some("team-b".into()),
            "c" => Some("team-c".into()),
            _ => None,
        };
        let stopped = [
            ("b1", HOST_AUTH),
            ("a2", HOST_AUTH),
            ("x", HOST_AUTH),
            ("a1", "disk_critical"),
            ("y", HOST_AUTH),
            ("a3", HOST_AUTH),
            ("c2", "disk_critical"),
            ("c1", "disk_critical"),
        ];
        let plan = plan(stopped.map(|(host, detector)| (id(host), detector)).into_iter(), account);
        let said: Vec<(Option<&str>, Vec<&str>, bool)> = plan
            .chains
            .iter()
            .map(|chain| {
                let hosts = chain.streams.iter().map(|stream| &*stream.host).collect();
                (chain.account.as_deref(), hosts, chain.proof)
            })
            .collect();
        let expected = [
            (None, vec!["x", "y"], false),
            (Some("team-a"), vec!["a2", "a3", "a1"], true),
            (Some("team-b"), vec!["b1"], false),
            (Some("team-c"), vec!["c1", "c2"], false),
        ];
        assert_eq!(said, expected, "only a login that failed for several has to be shown to work");
    }

    fn line(word: &str) -> StreamLine {
        let (kind, rest) = word.split_once(' ').unwrap_or((word, ""));
        let event = |event: Value| StreamLine::Event { cursor: Cursor::at("e", 1), event };
        let parsed = |value: Value| serde_json::from_value(value).unwrap();
        match kind {
            "exit" => event(json!({"event": "agent_exit", "round_num": 1, "exit_cause": rest})),
            "end" => event(json!({"event": "round_end", "round_num": 1})),
            "refused" => event(json!({"event": "agent_auth_error_detected", "round_num": 1})),
            "stopped" => event(json!({"event": "monitor_auto_stop_triggered", "detector": rest})),
            "active" | "idle" => {
                parsed(json!({"type": "state", "active": kind == "active", "running": false}))
            }
            "alert" => {
                let (detector, action) = rest.split_once(' ').unwrap();
                parsed(json!({"type": "alert", "identity": detector, "alert": {"severity": "critical",
                    "detector": detector, "message": "m", "context": {}, "ts": "", "auto_action": action}}))
            }
            _ => parsed(json!({"type": "heartbeat", "at": ""})),
        }
    }

    #[test]
    fn a_login_works_once_a_round_has_ended_well_and_fails_on_its_first_evidence() {
        let works = || Some(Verdict::Works);
        let fails = |why: &str| Some(Verdict::Fails(why.to_owned()));
        for (lines, verdict) in [
            ("idle, active, beat, exit clean, end", works()),
            ("exit clean, end", works()),
            ("active, exit grace_kill, end", works()),
            // Nothing is known before the round has ended whole.
            ("idle, active, exit clean", None),
            ("active, end", None),
            // A clean exit may still be one that could not log in.
            ("active, exit clean, refused, end", fails("its login fails again")),
            ("active, refused", fails("its login fails again")),
            // The alert of before is still told; what asks for a stop is new.
            ("alert oauth_fail stop_service, idle, active, alert oauth_fail none", None),
            ("idle, active, alert oauth_fail stop_service", fails("its login fails again: m")),
            ("active, alert hung stop_service", None),
            ("active, stopped oauth_fail", fails("it was stopped again for oauth_fail")),
            ("idle, idle", None),
            ("idle, active, idle", fails("its service is not active any more")),
            // One bad round is none that could not log in; three in a row are enough.
            ("active, exit error, end, exit timeout, end", None),
            ("active, exit error, end, exit error, end, exit clean, end", works()),
            (
                "active, exit error, end, exit error, end, exit error, end",
                fails("3 rounds in a row ended badly (error)"),
            ),
        ] {
            let mut proof = Proof::default();
            let got = lines.split(", ").find_map(|word| proof.take(&line(word)));
            assert_eq!(got, verdict, "{lines}");
        }
    }
}
