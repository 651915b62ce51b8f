//! `[phases]` and `[schedule]`: the rotation, and what each phase changes.

use std::collections::BTreeMap;

use super::agent;
use super::build::{self, Notes};
use super::load::Outside;
use super::paths::Site;
use super::section::Section;
use super::source::{Problem, nearest};
use super::types::{PhaseOverride, PhasePolicy, Phases, Schedule};
use super::window::Window;

/// What a phase is laid over.
pub(super) struct Base<'a> {
    pub(super) agent: &'a Section,
    pub(super) schedule: &'a Schedule,
    pub(super) site: &'a Site<'a>,
    pub(super) outside: &'a Outside<'a>,
}

/// Builds `[phases]` and every table below it.
pub(super) fn phases(section: &Section, base: &Base<'_>, notes: &mut Notes) -> Phases {
    let list = section.texts("list");
    if list.iter().any(String::is_empty) {
        notes.refuse(section.place("list"), "`phases.list`: a phase must have a name");
    }
    let mut overrides = BTreeMap::new();
    for (name, own) in &section.tables {
        if !list.contains(name) {
            let near = nearest(name, list.iter().map(String::as_str));
            let note = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("the phase `{name}` is not in `phases.list`");
            notes.problems.push(Problem::new(own.span.clone(), message).noted(note));
        }
        overrides.insert(name.clone(), phase(own, base, notes));
    }
    let policy = match section.text("phase_policy").as_deref() {
        Some("skip") => PhasePolicy::Skip,
        Some(_) | None => PhasePolicy::Wait,
    };
    Phases { list, policy, overrides }
}

/// Builds a schedule.
pub(super) fn schedule(section: &Section, outside: &Outside<'_>, notes: &mut Notes) -> Schedule {
    let timezone = section.text("timezone");
    if let Some(zone) = &timezone {
        let formed = zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-/".contains(&byte));
        if zone.is_empty() || !formed || !(outside.zone_exists)(zone) {
            let message = format!("`{}`: there is no time zone \"{zone}\"", section.table.dotted("timezone"));
            notes.refuse(section.place("timezone"), message);
        }
    }
    let windows = |key| section.texts(key).iter().filter_map(|text| Window::parse(text).ok()).collect();
    Schedule { timezone, run_windows: windows("run_windows"), pause_windows: windows("pause_windows") }
}

fn phase(section: &Section, base: &Base<'_>, notes: &mut Notes) -> PhaseOverride {
    let runtime = section.section("runtime");
    if section.has("round_timeout_s") && runtime.has("round_timeout_s") {
        let message = "the phase's budget is set twice, flat and in its `runtime` table; keep one of them";
        notes.refuse(runtime.place("round_timeout_s"), message);
    }
    let prompt = section.section("prompt");
    PhaseOverride {
        round_budget_s: section.int("round_timeout_s").or_else(|| runtime.int("round_timeout_s")),
        prompt_files: prompt.has("files").then(|| build::absolute_all(&prompt, "files", base.site, notes)),
        agent: section.given("agent").map(|own| agent::agent(&own.over(base.agent), notes)),
        schedule: section.given("schedule").map(|own| {
            let mut schedule = schedule(own, base.outside, notes);
            if schedule.timezone.is_none() {
                schedule.timezone.clone_from(&base.schedule.timezone);
            }
            schedule
        }),
    }
}
