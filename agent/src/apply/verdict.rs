//! Whether a switched service has arrived: facts gathered, then judged by a pure function.

use jiff::Timestamp;

use super::facts::{self, running_sha256};
use super::manifest::Healthy;
use super::pending::{Pending, PendingService};
use super::report::{Action, ServiceState};
use crate::event::ended_well;
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
    /// How the newest round of the new release ended; `None` when no round is asked for.
    pub(super) round: Option<FirstRound>,
}

/// How far the new release has come with a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstRound {
    /// None has ended.
    Awaited,
    /// One ended well.
    Well,
    /// The newest one ended with this code.
    Badly(i64),
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
    // What systemd restarts is gone for a moment; it may also have come since the status was asked for.
    let restarts = service.action == Some(Action::Restart)
        && show.as_ref().is_some_and(|show| show.has_job || show.state.is_some_and(UnitState::is_live));
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
        start_when_gone: service.start_when_gone || restarts,
        round: match pending.healthy {
            Healthy::Active => None,
            Healthy::Round => Some(first_round(&project.layout, took_over(&project.layout, running, since))),
        },
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
        (_, Serve::Same | Serve::New) if right_binary => match seen.round {
            None | Some(FirstRound::Well) => Verdict::Up,
            Some(FirstRound::Awaited) => {
                Verdict::Draining("the first round of the new release has to end".to_owned())
            }
            Some(FirstRound::Badly(code)) => {
                Verdict::Dead(format!("the first round of the new release ended with exit code {code}"))
            }
        },
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

/// Returns since when the running Loop is the new one: its hand-over, else its start.
fn took_over(layout: &Layout, running: Option<Identity>, since: Option<Timestamp>) -> Option<Timestamp> {
    if let Some(record) = event_since(layout, since, &["serve_handed_over"]) {
        return time::parse(&record.ts);
    }
    let started = running.and_then(|loop_| loop_.create_time)?;
    // A start time is known to a clock tick only.
    Timestamp::from_nanosecond(((started - 0.1) * 1e9) as i128).ok().max(since)
}

/// Returns how the newest round that started since then ended.
fn first_round(layout: &Layout, since: Option<Timestamp>) -> FirstRound {
    let Some(since) = since else { return FirstRound::Awaited };
    let recent: Vec<Record> = backward::records(layout.events_files())
        .take(LOOK_BACK)
        .take_while(|record| time::parse(&record.ts).is_none_or(|at| at >= since))
        .collect();
    let started = |number: Option<i64>| {
        recent.iter().any(|record| record.kind == "round_start" && record.round_num() == number)
    };
    let ended = recent.iter().find(|record| record.kind == "agent_exit" && started(record.round_num()));
    let Some(ended) = ended else { return FirstRound::Awaited };
    match ended.int("exit_code") {
        _ if ended.str("exit_cause").is_some_and(ended_well) => FirstRound::Well,
        Some(0) => FirstRound::Well,
        code => FirstRound::Badly(code.unwrap_or(-1)),
    }
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
            round: None,
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
    fn a_round_of_the_new_release_decides_where_one_is_asked_for() {
        let with = |round| kind(&judge(&Seen { round: Some(round), ..up(None) }));
        assert_eq!(with(FirstRound::Awaited), "draining");
        assert_eq!(with(FirstRound::Well), "up");
        assert_eq!(with(FirstRound::Badly(1)), "dead");
    }

    #[test]
    fn only_a_round_that_began_under_the_new_loop_counts() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let file = layout.events_file(Timestamp::now());
        let line =
            |second: u32, rest: &str| format!("{{\"ts\": \"2026-01-01T00:00:{second:02}.000Z\", {rest}}}\n");
        let start = |second, number: i64| {
            line(second, &format!("\"event\": \"round_start\", \"round_num\": {number}"))
        };
        let exit = |second, number: i64, code: i64| {
            line(
                second,
                &format!("\"event\": \"agent_exit\", \"round_num\": {number}, \"exit_code\": {code}"),
            )
        };
        let log = |text: String| crate::store::event_log::append_line(&file, text.as_bytes()).unwrap();
        let since = time::parse("2026-01-01T00:00:10Z");
        let look = || first_round(&layout, since);
        log(start(5, 1) + &exit(12, 1, 0));
        assert_eq!(look(), FirstRound::Awaited);
        log(start(13, 2));
        assert_eq!(look(), FirstRound::Awaited);
        log(exit(14, 2, 3));
        assert_eq!(look(), FirstRound::Badly(3));
        log(start(15, 3) + &exit(16, 3, 0));
        assert_eq!(look(), FirstRound::Well);
        // It stayed after its result and was ended for that.
        let killed = "\"event\": \"agent_exit\", \"round_num\": 4, \"exit_code\": -9";
        log(start(17, 4) + &line(18, &format!("{killed}, \"exit_cause\": \"timeout\"")));
        assert_eq!(look(), FirstRound::Badly(-9));
        log(start(19, 4) + &line(20, &format!("{killed}, \"exit_cause\": \"grace_kill\"")));
        assert_eq!(look(), FirstRound::Well);
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
