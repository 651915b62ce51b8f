//! `[agent]`, and the same table laid over it by a phase.

use super::build::Notes;
use super::section::Section;
use super::types::{Agent, Delivery};
use crate::provider::Presets;

/// Builds an agent and checks the rules that span its keys.
pub(super) fn agent(section: &Section, notes: &mut Notes) -> Agent {
    let agent = Agent {
        command: section.texts("command"),
        prompt_arg_template: section.texts("prompt_arg_template"),
        name: section.text("name"),
        env: section.map("env"),
        prompt_delivery: match section.text("prompt_delivery").as_deref() {
            Some("stdin") => Delivery::Stdin,
            Some(_) | None => Delivery::Argv,
        },
        exec_prefix: section.texts("exec_prefix"),
        terminal_marker: section.text("terminal_marker").unwrap_or_default(),
        sigterm_grace_s: section.number("sigterm_grace_s"),
    };
    // A template that could not be read has its own problem.
    if section.has("prompt_arg_template") {
        check_template(&agent, section, notes);
    }
    if agent.command.first().is_some_and(|program| agent.identity().is_empty() || program.contains('\0')) {
        notes.refuse(section.place("command"), "`agent.command`: the first word must name a program");
    }
    check_resume_flag(&agent, section, notes);
    agent
}

/// Serve mints the session's id: one in the configuration would continue the same session for ever.
fn check_resume_flag(agent: &Agent, section: &Section, notes: &mut Notes) {
    let presets = Presets::embedded();
    let Some(flag) = presets.resume_flag(agent.identity()) else { return };
    let takes =
        |word: &String| word.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
    for (key, words) in [("command", &agent.command), ("prompt_arg_template", &agent.prompt_arg_template)] {
        if words.iter().any(takes) {
            let message = format!(
                "`agent.{key}` may not contain {flag}: the Loop sets it, a new session for each phase"
            );
            notes.refuse(section.place(key), message);
        }
    }
}

fn check_template(agent: &Agent, section: &Section, notes: &mut Notes) {
    let has_prompt = agent.prompt_arg_template.iter().any(|token| token.contains("{prompt}"));
    let message = match (agent.prompt_delivery, has_prompt) {
        (Delivery::Argv, true) | (Delivery::Stdin, false) => return,
        (Delivery::Argv, false) => {
            "`agent.prompt_arg_template` must contain {prompt}, or the agent never sees it"
        }
        (Delivery::Stdin, true) => "`agent.prompt_arg_template` may not contain {prompt} with stdin delivery",
    };
    notes.refuse(section.place("prompt_arg_template"), message);
}
