//! Every state with every input: what docs/supervision.md lists happens, and everything else changes nothing.

use super::example::{in_state, inputs, now, policy, states};
use super::step;
use crate::serve::action::Action;
use crate::serve::state::{State, Wish};

const DOCUMENT: &str = include_str!("../../../../docs/supervision.md");

#[test]
fn every_state_takes_every_input_as_the_document_says() {
    let (_, rest) = DOCUMENT.split_once("<!-- states -->\n").unwrap();
    let (table, _) = rest.split_once("<!-- end of states -->").unwrap();
    let found = table_of_all();
    assert!(found == table, "docs/supervision.md is stale; its table should be:\n{found}");
}

fn table_of_all() -> String {
    let mut lines = String::from("| state | input | next state | actions |\n|---|---|---|---|\n");
    for (state_name, state) in states() {
        for (input_name, input) in inputs() {
            let before = in_state(state.clone());
            let (after, actions) = step(&policy(), before.clone(), input, now());
            if after == before && actions.is_empty() {
                continue;
            }
            let actions: Vec<_> = actions.iter().map(name_of).collect();
            let next = if after.state == before.state { "same".to_owned() } else { describe(&after.state) };
            let wish =
                if after.wish == Wish::GoOn { String::new() } else { format!(", wants {:?}", after.wish) };
            let cells = [state_name, input_name, &format!("{next}{wish}"), &actions.join(", ")].join(" | ");
            lines.push_str(&format!("| {cells} |\n"));
        }
    }
    lines
}

fn describe(state: &State) -> String {
    match state {
        State::Deciding => "deciding".into(),
        State::BackingOff(_) => "backing off".into(),
        State::Deferred(_) => "deferred".into(),
        State::Paused(_) => "paused".into(),
        State::Starting(_) => "starting".into(),
        State::Running(_) => "running".into(),
        State::EndingRound(ending) => format!("ending, {:?}", ending.rung).to_lowercase(),
        State::Judging(judging) => format!("judging {}", judging.exit_code),
        State::Delaying(_) => "delaying".into(),
        State::HandingOver(_) => "handing over".into(),
        State::Ended(exit) => format!("ended {}", exit.code()),
    }
}

fn name_of(action: &Action) -> String {
    match action {
        Action::Emit(event) => event.kind().into(),
        Action::Gather => "gather facts".into(),
        Action::LookForStopFile => "look for the stop file".into(),
        Action::SubstrateBefore(_) => "substrate before".into(),
        Action::StartRound(_) => "start the round".into(),
        Action::SampleMemory => "look at memory".into(),
        Action::CancelRound => "USR1 to the round".into(),
        Action::NudgeRound => "TERM to the round, no wait".into(),
        Action::AskRoundToEnd => "TERM to the round".into(),
        Action::KillRound => "KILL round and strays".into(),
        Action::AbandonRound => "let go of the child".into(),
        Action::WriteMemoryHigh(token) => format!("memory.high={token}"),
        Action::FinishRound(_) => "end leftovers, point the link".into(),
        Action::SubstrateAfter(_) => "substrate after".into(),
        Action::ScanLog(_) => "scan the log".into(),
        Action::ReportOomKill { .. } => "report the kernel's kill".into(),
        Action::ReportGiveUp { .. } => "report giving up".into(),
        Action::HandOver(_) => "exec".into(),
    }
}
