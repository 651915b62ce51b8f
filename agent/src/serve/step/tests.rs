//! The order of an iteration, and what each way through a round leads to.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::example::*;
use super::step;
use crate::config::types::TransientErrorAction;
use crate::error::Exit;
use crate::event::Event;
use crate::serve::action::Action;
use crate::serve::breakers::GiveUp;
use crate::serve::floor::Tick;
use crate::serve::input::{Facts, Input, MemoryTick, Request, Scan, Started};
use crate::serve::policy::{Policy, Rounds, Turns};
use crate::serve::sessions::Eyes;
use crate::serve::state::{
    Carried, Delaying, EndingRound, Judging, Loop, Now, RoundPlan, Rung, State, Waiting, Wish,
};

/// Decides with these facts and returns where it leads and the kinds it emits.
fn decide(policy: &Policy, facts: Facts) -> (State, Vec<&'static str>) {
    let (after, actions) = step(policy, in_state(State::Deciding), Input::Facts(Box::new(facts)), now());
    (after.state, kinds(&actions))
}

fn kinds(actions: &[Action]) -> Vec<&'static str> {
    let kind = |action: &Action| if let Action::Emit(event) = action { Some(event.kind()) } else { None };
    actions.iter().filter_map(kind).collect()
}

fn started(state: &State) -> &RoundPlan {
    if let State::Starting(plan) = state { plan } else { panic!("no round starts: {state:?}") }
}

#[test]
fn an_iteration_looks_in_the_fixed_order() {
    let mut policy = Policy { max_rounds: Some(0), ..policy() };
    policy.base.calendar = calendar(&["01:00-02:00"]);
    let mut facts = Facts {
        agent_done: Some("done".into()),
        stop_file: Some("enough".into()),
        throttles: throttles("agent-base", 600),
        sample: critical(),
        ..facts()
    };
    let stop = Policy { action: TransientErrorAction::Stop, ..policy.clone() };
    let wanting = Loop { wish: Wish::Stop, ..in_state(State::Deciding) };
    let (after, actions) = step(&stop, wanting, Input::Facts(Box::new(facts.clone())), now());
    assert_eq!((after.state, actions.len()), (State::Ended(Exit::Ok), 0));
    assert_eq!(decide(&stop, facts.clone()), (State::Ended(Exit::Ok), vec!["agent_self_terminated"]));
    facts.agent_done = None;
    assert_eq!(decide(&stop, facts.clone()), (State::Ended(Exit::Ok), vec!["agent_self_terminated"]));
    assert_eq!(decide(&policy, facts.clone()), (State::Ended(Exit::Ok), vec!["stop_file_detected"]));
    facts.stop_file = None;
    assert!(matches!(decide(&policy, facts.clone()), (State::BackingOff(_), told) if told.is_empty()));
    facts.throttles = throttles("agent-base", -1);
    assert_eq!(decide(&policy, facts.clone()), (State::Ended(Exit::Ok), vec!["max_rounds_reached"]));
    policy.max_rounds = Some(1);
    assert!(
        matches!(decide(&policy, facts.clone()), (State::Deferred(_), told) if told == ["round_deferred"])
    );
    facts.sample = calm();
    assert!(
        matches!(decide(&policy, facts.clone()), (State::Paused(_), told) if told == ["schedule_paused"])
    );
    policy.base.calendar = calendar(&[]);
    assert_eq!(started(&decide(&policy, facts).0).round_num, 8);
}

#[test]
fn skipping_the_throttle_and_ignoring_the_schedule_run_anyway() {
    let mut policy = Policy { action: TransientErrorAction::Skip, ..policy() };
    let throttled = Facts { throttles: throttles("agent-base", 600), ..facts() };
    assert_eq!(started(&decide(&policy, throttled.clone()).0).phase, None);
    policy.turns = Turns::ChildAnytime;
    policy.base.calendar = calendar(&["01:00-02:00"]);
    started(&decide(&policy, throttled.clone()).0);
    policy.action = TransientErrorAction::BackOff;
    assert!(matches!(decide(&policy, throttled).0, State::BackingOff(_)));
}

#[test]
fn a_rotation_with_skip_steps_over_the_shut_and_the_throttled() {
    let open = ["11:00-13:00"];
    let mut policy = Policy { turns: Turns::Skip, ..policy() };
    policy.phases =
        vec![phase(Some("a"), &["01:00-02:00"]), phase(Some("b"), &open), phase(Some("c"), &open)];
    // Round 7 is the first phase's turn.
    let facts = Facts { next_round: 7, ..facts() };
    let (state, told) = decide(&policy, facts.clone());
    assert_eq!(started(&state).phase.as_deref(), Some("b"));
    assert_eq!(started(&state).agent.as_deref(), Some("agent-b"));
    assert_eq!(told, ["schedule_phase_skipped"]);
    let throttled = Facts { throttles: throttles("agent-b", 600), ..facts.clone() };
    assert_eq!(started(&decide(&policy, throttled).0).phase.as_deref(), Some("c"));
    let over = Facts { throttles: throttles("agent-b", -1), ..facts.clone() };
    assert_eq!(decide(&policy, over).1, ["transient_error_recovered", "schedule_phase_skipped"]);
    policy.turns = Turns::Wait;
    assert_eq!(decide(&policy, facts).1, ["schedule_paused"]);
    let next = Facts { next_round: 8, ..super::example::facts() };
    let (state, told) = decide(&policy, next);
    assert_eq!((started(&state).phase.as_deref(), told.len()), (Some("b"), 0));
}

#[test]
fn with_every_phase_throttled_the_loop_waits_or_ends() {
    let mut policy = Policy { turns: Turns::Skip, ..policy() };
    policy.phases = vec![phase(Some("a"), &[])];
    let facts = Facts { throttles: throttles("agent-a", 12), ..facts() };
    let (State::Paused(waiting), told) = decide(&policy, facts.clone()) else { panic!() };
    assert_eq!((waiting.recheck, told), (now().mono + secs(12), vec!["schedule_paused"]));
    policy.action = TransientErrorAction::Stop;
    assert_eq!(decide(&policy, facts), (State::Ended(Exit::Ok), vec!["agent_self_terminated"]));
}

#[test]
fn fresh_eyes_and_sessions_are_told_before_the_round_starts() {
    let mut policy = Policy { fresh_eyes_every_n: Some(4), ..policy() };
    policy.base.resume_flag = Some("--session-id".into());
    let mut current = in_state(State::Deciding);
    let mut seen = Vec::new();
    for round_num in 6..=9 {
        let facts = Facts { next_round: round_num, fresh_id: format!("id-{round_num}"), ..facts() };
        let (after, actions) = step(&policy, current, Input::Facts(Box::new(facts)), now());
        let plan = started(&after.state);
        seen.push((plan.session.clone().unwrap().id, plan.eyes, kinds(&actions)));
        assert!(matches!(actions.first(), Some(Action::SubstrateBefore(number)) if *number == round_num));
        assert!(matches!(actions.last(), Some(Action::StartRound(_))));
        current = Loop { state: State::Deciding, ..after };
    }
    let expected = [
        ("id-6".to_owned(), Eyes::Used, vec![]),
        ("id-6".to_owned(), Eyes::Used, vec!["session_resumed"]),
        ("id-8".to_owned(), Eyes::Fresh, vec!["fresh_eyes_round_triggered"]),
        ("id-8".to_owned(), Eyes::Used, vec!["session_resumed"]),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_stop_in_a_round_drains_it_and_its_verdict_still_counts() {
    let (after, actions) =
        step(&policy(), in_state(State::Running(running())), Input::Request(Request::Stop), now());
    assert_eq!((&after.state, actions.len()), (&State::Running(running()), 0));
    let (after, _) = step(&policy(), after, Input::RoundExited(78), now());
    let (after, actions) = step(&policy(), after, Input::Scanned(Box::default()), now());
    assert_eq!(after.state, State::Ended(Exit::Config));
    assert!(matches!(actions[..], [Action::ReportGiveUp { why: GiveUp::ConfigBroken, .. }]));
}

#[test]
fn a_cancel_reaches_the_round_once_also_when_it_is_just_starting() {
    let mut current = in_state(State::Starting(plan()));
    let mut passed_on = 0;
    for input in [
        Input::Request(Request::Cancel),
        Input::RoundStarted(Started { pid: 1, reading: None }),
        Input::Request(Request::Cancel),
        Input::Request(Request::Cancel),
    ] {
        let (after, actions) = step(&policy(), current, input, now());
        passed_on += actions.iter().filter(|action| **action == Action::CancelRound).count();
        current = after;
    }
    assert_eq!((passed_on, current.wish), (1, Wish::Cancel));
}

#[test]
fn a_wedged_round_is_asked_then_killed_then_given_up() {
    let mut current = in_state(State::Running(running()));
    let mut seen = Vec::new();
    for at in [3000, 3014, 3015, 3025] {
        let now = Now { mono: secs(at), ..now() };
        let (after, actions) = step(&policy(), current, Input::Timer, now);
        seen.push(actions);
        current = after;
    }
    assert!(matches!(
        &seen[0][..],
        [Action::Emit(Event::RoundSupervisorWedged { timeout_s: 2000, .. }), Action::AskRoundToEnd]
    ));
    assert!(seen[1].is_empty());
    assert_eq!(seen[2], [Action::KillRound]);
    assert_eq!(seen[3][0], Action::AbandonRound);
    assert!(matches!(current.state, State::Judging(Judging { exit_code: 137, .. })));
}

#[test]
fn critical_memory_ends_the_round_and_five_in_a_row_the_loop() {
    let tick = Input::MemoryTick(Box::new(MemoryTick {
        tick: Tick { sample: critical(), used: None },
        ..MemoryTick::default()
    }));
    let (after, actions) = step(&policy(), in_state(State::Running(running())), tick, now());
    assert!(matches!(after.state, State::EndingRound(EndingRound { rung: Rung::Asked, .. })));
    assert_eq!(kinds(&actions), ["round_mem_critical_sample", "round_mem_terminated"]);
    let mut current = after;
    for round in 1..=5 {
        let scan = Scan { mem_terminated: true, ..Scan::default() };
        let (after, _) = step(&policy(), current, Input::RoundExited(130), now());
        let (after, _) = step(&policy(), after, Input::Scanned(Box::new(scan)), now());
        assert_eq!(after.carried.rounds_completed, round);
        assert_eq!(matches!(after.state, State::Ended(Exit::MemLoop)), round == 5);
        current = Loop { state: State::Running(running()), ..after };
    }
}

#[test]
fn once_ends_after_one_round_and_a_hand_over_waits_for_the_end_of_the_round() {
    let judging =
        State::Judging(Judging { plan: plan(), exit_code: 0, duration: secs(90), accounting: None });
    let once = Policy { rounds: Rounds::Once, ..policy() };
    let scanned = || Input::Scanned(Box::default());
    let (after, _) = step(&once, in_state(judging.clone()), scanned(), now());
    assert_eq!(after.state, State::Ended(Exit::Ok));
    let wanting = Loop { wish: Wish::HandOver, ..in_state(judging) };
    let (after, actions) = step(&policy(), wanting, scanned(), now());
    assert_eq!((&after.state, actions), (&State::HandingOver(secs(3)), vec![Action::HandOver(secs(3))]));
    assert_eq!(after.carried, Carried { rounds_completed: 1, ..Carried::default() });
    let (after, _) = step(&policy(), after, Input::HandOverFailed, now());
    assert_eq!((after.wish, after.deadline()), (Wish::GoOn, Some(secs(1003))));
}

#[test]
fn a_clock_that_is_set_ends_no_wait_early_and_stretches_none() {
    let at = |hours: i64, mono: u64| Now {
        wall: now().wall + SignedDuration::from_hours(hours),
        mono: secs(mono),
    };
    let throttled = Facts { throttles: throttles("agent-base", 600), ..facts() };
    for hours in [-24, 24] {
        let delay = Delaying { until: secs(1003), recheck: secs(1003) };
        let delaying = |mono: u64| {
            let current = in_state(State::Delaying(delay));
            step(&policy(), current, Input::Timer, at(hours, mono)).0.state
        };
        assert!(matches!(delaying(1002), State::Delaying(still) if still.until == delay.until), "{hours}");
        assert_eq!(delaying(1003), State::Deciding, "{hours}");

        let waiting = in_state(State::Deferred(Waiting { since: secs(900), recheck: secs(930) }));
        let calm = Input::Facts(Box::new(Facts { sample: calm(), ..facts() }));
        let (_, actions) = step(&policy(), waiting, calm, at(hours, 1000));
        let told = actions.iter().find_map(|action| {
            let Action::Emit(Event::RoundResumed { deferred_for_s }) = action else { return None };
            Some(*deferred_for_s)
        });
        assert_eq!(told, Some(100), "{hours}");

        // A reset time is the calendar's: it is looked at again within 30 s, whatever the clock said before.
        let (State::BackingOff(off), _) = decide(&policy(), throttled.clone()) else { panic!() };
        assert!(off.recheck <= now().mono + secs(30));
        let (after, actions) =
            step(&policy(), in_state(State::BackingOff(off)), Input::StopFile(None), at(hours, 1030));
        match hours {
            24 => assert_eq!(
                (after.state, kinds(&actions)),
                (State::Deciding, vec!["transient_error_recovered"])
            ),
            _ => assert!(matches!(after.state, State::BackingOff(off) if off.recheck <= secs(1060))),
        }
    }
}

#[test]
fn an_interrupted_back_off_tells_no_recovery() {
    let (_, off) = states().swap_remove(2);
    let (after, actions) = step(&policy(), in_state(off.clone()), Input::Request(Request::Stop), now());
    assert_eq!((after.state, actions.len()), (State::Ended(Exit::Ok), 0));
    let (_, actions) = step(&policy(), in_state(off), Input::StopFile(None), now());
    assert_eq!(kinds(&actions), ["transient_error_recovered"]);
}

proptest! {
    #[test]
    fn no_sequence_of_inputs_gets_lost(
        first in 0..states().len(), rest in prop::collection::vec((0..inputs().len(), 0u64..40), 1..60),
    ) {
        let (_, state) = states().swap_remove(first);
        let mut current = in_state(state);
        let mut mono = secs(1000);
        for (index, seconds) in rest {
            mono += secs(seconds);
            let (_, input) = inputs().swap_remove(index);
            let was_ended = matches!(current.state, State::Ended(_));
            let (after, actions) = step(&policy(), current, input, Now { mono, ..now() });
            // Nothing happens after the end, and what waits for no answer has a deadline.
            prop_assert!(!was_ended || actions.is_empty());
            let answered = actions.iter().any(|action| !matches!(action, Action::Emit(_)));
            let waits_for_answer = matches!(
                after.state,
                State::Deciding | State::Starting(_) | State::Judging(_) | State::HandingOver(_)
            );
            if let Some(deadline) = after.deadline() {
                prop_assert!(deadline <= mono + secs(2000));
            } else {
                prop_assert!(waits_for_answer || matches!(after.state, State::Ended(_)), "{answered}");
            }
            current = after;
        }
    }
}
