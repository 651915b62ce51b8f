//! Whether a switched service has arrived: facts gathered, then judged by a pure function.

use jiff::Timestamp;

use super::facts::{self, running_sha256};
use super::pending::{Pending, PendingService};
use super::report::{Action, ServiceState};
use crate::process::identity::Identity;
use crate::service::mode::UnitState;
use crate::service::{self, Account};
use crate::store::layout::Layout;
use crate::store::record::Record;
use crate::store::{backward, holder, time};

/// How many events back a hand-over or a deliberate end is looked for.
const LOOK_BACK: usize = 5000;

/// Kinds of event with which a Loop says why it gives up.
const GAVE_UP: &[&str] =
    &["config_broken", "crash_loop", "mem_loop", "mem_loop_persistent", "stalled_no_progress"];

/// What became of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It runs what it shall.
    Up,
    /// It ended on purpose after the switch: its rounds are done, somebody stopped it.
    Ended(String),
    /// It is on its way.
    Starting(String),
    /// Its round has to end first.
    Draining(String),
    /// It does not run and will not.
    Dead(String),
}

/// What a verdict follows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) action: Option<Action>,
    /// Whether a process runs, or is about to.
    pub(super) active: bool,
    /// Why systemd holds it for failed.
    pub(super) failed: Option<String>,
    /// Why the Loop gave up since the switch, in its own words.
    pub(super) gave_up: Option<String>,
    /// Whether serve.pid names a running Loop, and whether that is the one from before the switch.
    pub(super) serve: Serve,
    /// Whether it executes the wanted binary; `None` when none is wanted.
    pub(super) right_binary: Option<bool>,
    /// Whether the Loop has handed over since the switch.
    pub(super) handed_over: bool,
    pub(super) round_num: Option<i64>,
    /// A deliberate end since the switch.
    pub(super) ended: Option<String>,
    /// Whether somebody will start it when the old one is gone.
    pub(super) start_when_gone: bool,
}

/// Who serve.pid names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serve {
    /// Nobody who runs.
    Nobody,
    /// The Loop from before the switch; a hand-over keeps the process.
    Same,
    /// A Loop that was started since.
    New,
}

/// Looks at one service and judges it.
pub(super) fn look(
    pending: &Pending,
    service: &PendingService,
    account: &Account,
) -> (Verdict, ServiceState) {
    let project = service.project(account);
    let running = service::running(&project);
    let status = service::status(&project);
    let show =
        facts::manager(service.scope, account).and_then(|manager| manager.show(&project.serve_unit()).ok());
    let failed = show.as_ref().and_then(|show| match show.state {
        Some(UnitState::Failed) => Some(format!("systemd says failed ({})", show.result)),
        Some(UnitState::Activating) if show.sub_state == "auto-restart" => {
            Some(format!("it ended and is being restarted ({})", show.result))
        }
        Some(_) | None => None,
    });
    let sha256 = running.and_then(running_sha256);
    let since = time::parse(&pending.switched_at);
    let seen = Seen {
        action: service.action,
        active: status.active,
        failed,
        gave_up: event_since(&project.layout, since, GAVE_UP)
            .and_then(|record| Some(record.str("reason")?.trim().to_owned())),
        serve: match (running, service.was) {
            (None, _) => Serve::Nobody,
            (Some(now), Some(was)) if same(now, was) => Serve::Same,
            (Some(_), _) => Serve::New,
        },
        right_binary: pending.wanted_sha256.as_ref().map(|wanted| sha256.as_ref() == Some(wanted)),
        handed_over: event_since(&project.layout, since, &["serve_handed_over"]).is_some(),
        round_num: round_num(&project),
        ended: event_since(
            &project.layout,
            since,
            &["max_rounds_reached", "stop_file_detected", "agent_self_terminated"],
        )
        .map(|record| record.kind),
        start_when_gone: service.start_when_gone,
    };
    let state = ServiceState {
        project: project.name.clone(),
        active: status.active,
        sha256,
        round_num: seen.round_num,
    };
    (judge(&seen), state)
}

/// Judges.
pub(super) fn judge(seen: &Seen) -> Verdict {
    let draining = || match seen.round_num {
        Some(round) => Verdict::Draining(format!("round {round} has to end first")),
        None => Verdict::Starting("the Loop is between two rounds".to_owned()),
    };
    let dead = |what: &str| match &seen.gave_up {
        Some(reason) => Verdict::Dead(format!("{what}: {reason}")),
        None => Verdict::Dead(what.to_owned()),
    };
    if let Some(reason) = &seen.failed {
        return dead(reason);
    }
    if !seen.active {
        return match &seen.ended {
            Some(kind) => Verdict::Ended(format!("the Loop ended on purpose ({kind})")),
            None if seen.start_when_gone => Verdict::Starting("the old Loop is gone".to_owned()),
            None => dead("it does not run"),
        };
    }
    let right_binary = seen.right_binary.unwrap_or(true);
    match (seen.action, seen.serve) {
        (_, Serve::Nobody) => Verdict::Starting("serve.pid does not name it yet".to_owned()),
        (Some(Action::Restart), Serve::Same) => draining(),
        (Some(Action::HandOver), Serve::Same) if !(right_binary && seen.handed_over) => draining(),
        (_, Serve::Same | Serve::New) if right_binary => Verdict::Up,
        (_, Serve::Same | Serve::New) => {
            Verdict::Dead("it executes another binary than the wanted one".to_owned())
        }
    }
}

/// Returns the round in progress.
pub(super) fn round_num(project: &service::Project) -> Option<i64> {
    let holder = holder::read(&project.layout).usable()?;
    holder.round_num.filter(|_| holder.round().is_alive())
}

/// Returns the newest of some kinds of event, when it is not older than `since`.
fn event_since(layout: &Layout, since: Option<Timestamp>, kinds: &[&str]) -> Option<Record> {
    let since = since?;
    backward::records(layout.events_files())
        .take(LOOK_BACK)
        .take_while(|record| time::parse(&record.ts).is_none_or(|at| at >= since))
        .find(|record| kinds.contains(&record.kind.as_str()))
}

fn same(one: Identity, other: Identity) -> bool {
    one.pid == other.pid
        && match (one.create_time, other.create_time) {
            (Some(a), Some(b)) => (a - b).abs() < 1.0,
            (None, _) | (_, None) => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(action: Option<Action>) -> Seen {
        Seen {
            action,
            active: true,
            failed: None,
            gave_up: None,
            serve: Serve::New,
            right_binary: Some(true),
            handed_over: false,
            round_num: None,
            ended: None,
            start_when_gone: false,
        }
    }

    fn kind(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Up => "up",
            Verdict::Ended(_) => "ended",
            Verdict::Starting(_) => "starting",
            Verdict::Draining(_) => "draining",
            Verdict::Dead(_) => "dead",
        }
    }

    #[test]
    fn a_service_is_up_when_it_runs_what_it_shall() {
        use Action::{HandOver, Restart, Start};
        let check = |seen: Seen, expected: &str| assert_eq!(kind(&judge(&seen)), expected, "{seen:?}");
        for action in [None, Some(Start), Some(Restart), Some(HandOver)] {
            check(up(action), "up");
            check(Seen { right_binary: None, ..up(action) }, "up");
            check(Seen { failed: Some("x".into()), ..up(action) }, "dead");
            check(Seen { active: false, serve: Serve::Nobody, ..up(action) }, "dead");
            check(Seen { active: false, ended: Some("max_rounds_reached".into()), ..up(action) }, "ended");
            check(Seen { serve: Serve::Nobody, ..up(action) }, "starting");
            check(Seen { right_binary: Some(false), ..up(action) }, "dead");
        }
        check(Seen { serve: Serve::Same, ..up(None) }, "up");
        check(Seen { active: false, start_when_gone: true, ..up(Some(Restart)) }, "starting");
    }

    #[test]
    fn the_loops_own_reason_is_named() {
        let gave_up = Some("the prompt is missing".to_owned());
        let seen = Seen { failed: Some("systemd says failed".into()), gave_up, ..up(None) };
        assert_eq!(judge(&seen), Verdict::Dead("systemd says failed: the prompt is missing".into()));
    }

    #[test]
    fn a_round_in_progress_is_waited_for() {
        use Action::{HandOver, Restart};
        for action in [Restart, HandOver] {
            let old = Seen { serve: Serve::Same, right_binary: Some(false), ..up(Some(action)) };
            assert_eq!(kind(&judge(&Seen { round_num: Some(7), ..old.clone() })), "draining");
            assert_eq!(kind(&judge(&old)), "starting");
        }
        let same_binary = Seen { serve: Serve::Same, round_num: Some(7), ..up(Some(HandOver)) };
        assert_eq!(kind(&judge(&same_binary)), "draining");
        assert_eq!(kind(&judge(&Seen { handed_over: true, ..same_binary })), "up");
    }
}
