//! The catalogue of what protects a project: what it is worth here, which scar it answers, which test guards it. Pure.

use serde::Serialize;

use super::brake::Brake;
use crate::config::types::{Config, DirtyAction};
use crate::event::KINDS;
use crate::service::Mode;

/// How much of a defense there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// All of it.
    Active,
    /// Less than there could be: the host or the configuration lacks something.
    Degraded,
    /// Nothing.
    Off,
}

impl Strength {
    /// Returns the word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Strength::Active => "active",
            Strength::Degraded => "degraded",
            Strength::Off => "off",
        }
    }
}

/// One defense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Defense {
    /// Its name.
    pub name: &'static str,
    /// What it is set to.
    pub value: String,
    /// What happened before there was this.
    pub codifies: &'static str,
    /// The test that would fail without it: file and function.
    pub guarded_by: &'static str,
    /// How much of it there is here.
    pub current_state: Strength,
    /// What a degraded one lacks, and how to get it.
    #[serde(skip)]
    pub lacks: Vec<&'static str>,
}

/// What the catalogue needs to know of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// How the service runs.
    pub mode: Mode,
    /// Whether the account's services outlive its logout.
    pub lingers: Lingers,
    /// Whether the kernel tells stall times of memory.
    pub psi: Psi,
    /// Whether the soft brake can be pulled.
    pub brake: Brake,
}

/// Whether the account's services outlive its logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lingers {
    /// They do.
    Yes,
    /// They end with it.
    No,
}

/// Whether the kernel tells stall times of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Psi {
    /// It does.
    Told,
    /// It does not, or nobody has looked yet.
    Untold,
}

/// Returns the catalogue of a project.
pub fn catalogue(config: &Config, facts: Facts) -> Vec<Defense> {
    let stashes = match config.vcs.dirty_action {
        DirtyAction::Stash => Strength::Active,
        DirtyAction::Ignore | DirtyAction::AutoCommit => Strength::Off,
    };
    let pressure = &config.monitor.host_health.pressure;
    let stall_times = match facts.psi {
        Psi::Told => None,
        Psi::Untold => Some("this kernel tells no memory stall times (PSI)"),
    };
    let memory_lacks: Vec<&str> = stall_times.into_iter().chain(brakeless(facts.brake)).collect();
    let memory = match (pressure.in_round_terminate, memory_lacks.is_empty()) {
        (false, _) => Strength::Off,
        (true, true) => Strength::Active,
        (true, false) => Strength::Degraded,
    };
    let unattended = match (facts.mode, facts.lingers) {
        (Mode::SystemdUser, Lingers::Yes) | (Mode::SystemdSystem, _) => None,
        (Mode::SystemdUser, Lingers::No) => {
            Some("the service ends at logout; `sudo loginctl enable-linger` keeps it")
        }
        (Mode::PidFile | Mode::None, _) => {
            Some("nothing starts it again after a crash or a boot; `agent-runner install` does")
        }
    };
    let restarts = if unattended.is_none() { Strength::Active } else { Strength::Degraded };
    let env: Vec<&str> = config.agent.env.keys().map(String::as_str).collect();
    let injected = if env.is_empty() { Strength::Off } else { Strength::Active };
    let always = Strength::Active;
    let rows: [(&'static str, String, Strength); 17] = [
        ("round_timeout_s", config.runtime.round_budget_s.to_string(), always),
        ("process_group_isolation", "a session and group of its own for every agent".into(), always),
        (
            "sigterm_reaper",
            format!(
                "serve leaves only after the round; KillSignal=SIGTERM, KillMode=mixed, TimeoutStopSec={}",
                config.stop_timeout_s()
            ),
            restarts,
        ),
        ("orphan_stash_idempotency_s", config.vcs.stash_idempotency_s.to_string(), stashes),
        ("sha_locked_stash", "no stash@{N} index references".into(), stashes),
        ("set_diff_classification", "lines compared as sets, no +/- diff parsing".into(), always),
        ("critical_envs_injection", env.join(", "), injected),
        (
            "startup_smoke_check",
            "9 checks (config_loaded, log_dir_writable, work_dir_is_git_repo, prompt_file_exists, prompt_smoke_passes, \
             phase_window_overlap, agent_cli_in_path, stdin_container_interactive, control_plane_outside_container)"
                .into(),
            always,
        ),
        ("flock_concurrency", "agent-runner.lock".into(), always),
        ("atomic_state_writes", "tmp + fsync + rename".into(), always),
        ("event_kind_registry", format!("{} kinds, each a type", KINDS.len()), always),
        ("crash_loop_breaker", "5 short crashes, escalating delay".into(), always),
        ("mem_loop_breaker", "5 -> 71; 3rd within 2 h -> 70".into(), memory),
        ("stalled_no_progress_breaker", "5 fast exit-0 rounds without usage -> 75".into(), always),
        ("bulk_round_log_prune_guard", "deletes nothing if it would delete more than it keeps".into(), always),
        ("descendant_reaper", "the round adopts and ends every process its agent leaves behind".into(), always),
        ("pre_round_snapshot", "refs/agent-runner/before/R<N>, the last 20".into(), always),
    ];
    let lacks = |name: &str| match name {
        "sigterm_reaper" => unattended.into_iter().collect(),
        "mem_loop_breaker" if memory == Strength::Degraded => memory_lacks.clone(),
        _ => Vec::new(),
    };
    let rows = rows.into_iter().zip(STORIES);
    rows.map(|((name, value, current_state), (codifies, guarded_by))| Defense {
        name,
        value,
        codifies,
        guarded_by,
        current_state,
        lacks: lacks(name),
    })
    .collect()
}

/// Returns what a soft brake lacks that is wanted and cannot be pulled.
fn brakeless(brake: Brake) -> Option<&'static str> {
    match brake {
        Brake::Off | Brake::Armed => None,
        Brake::Undelegated => Some(
            "the soft brake cannot be pulled: the Loop's control group is not its own to steer; that of a unit of the \
             account is",
        ),
        Brake::NoGroup => Some("the soft brake cannot be pulled: this host does not run cgroup v2 alone"),
    }
}

/// What each codifies and which test guards it, in the catalogue's order.
const STORIES: [(&str, &str); 17] = [
    (
        "a 60-minute polling loop that its own scheduler never ended",
        "agent/tests/round/stubborn.rs::what_left_the_session_goes_with_a_timed_out_agent",
    ),
    (
        "descendants surviving the agent",
        "agent/src/process/capture.rs::children_start_with_default_signals_and_an_own_session",
    ),
    (
        "two agents racing after a SIGTERM in mid-round (R725)",
        "agent/tests/loop/signals.rs::a_term_lets_the_round_finish_and_starts_no_other",
    ),
    (
        "three phantom stashes in one second (R820)",
        "agent/tests/round/tree.rs::a_fresh_stash_of_this_round_is_reused_and_one_of_round_ten_is_not",
    ),
    (
        "dropping a stash by its index while others stash",
        "agent/tests/round/tree.rs::work_left_behind_is_stashed_and_named_by_its_commit",
    ),
    (
        "a diff that only moved lines, misread (R2110)",
        "agent/tests/round/tree.rs::moved_lines_are_told_from_changed_ones",
    ),
    (
        "a CLI that updated itself in the middle of a run",
        "agent/tests/round/life.rs::the_agents_environment_is_ours_then_what_it_is_told_then_the_operators",
    ),
    (
        "front matter passed as an option: 4 h, 123 empty rounds (R721)",
        "agent/tests/round/battery.rs::a_prompt_like_an_option_is_permanent",
    ),
    (
        "two supervisors on one state",
        "agent/tests/round/signals.rs::a_second_round_is_refused_and_told_who_holds_the_lock",
    ),
    (
        "half-written state after a crash",
        "agent/src/store/atomic.rs::replaces_with_the_mode_and_leaves_no_temporary_file",
    ),
    (
        "typing errors in event names",
        "agent/src/event.rs::kinds_are_unique_lower_snake_case_with_an_underscore",
    ),
    (
        "about 100 empty rounds at a fixed delay (run 6)",
        "agent/tests/loop/ends.rs::five_short_crashes_in_a_row_give_up_with_the_reason",
    ),
    (
        "memory kills in mid-round without an end",
        "agent/src/serve/breakers.rs::memory_gives_up_restartably_and_the_third_episode_for_good",
    ),
    (
        "CLIs that exit 0 when their provider fails",
        "agent/tests/loop/ends.rs::five_fast_rounds_without_use_give_up_when_the_agent_is_known_to_report_it",
    ),
    (
        "12 193 of 12 293 transcripts nearly lost",
        "agent/src/store/retention.rs::more_than_is_kept_is_never_deleted",
    ),
    (
        "children that left the session and lived on",
        "agent/tests/round/stubborn.rs::children_that_fork_on_are_chased_to_the_last",
    ),
    (
        "the operator's own edits stashed away with the orphan",
        "agent/tests/round/tree.rs::what_was_dirty_before_is_recorded_without_touching_tree_or_index",
    ),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(more: &str) -> Config {
        let text = format!(
            "schema_version = 1\n[agent]\ncommand = [\"x\"]\nprompt_arg_template = [\"{{prompt}}\"]\n[runtime]\nwork_dir = \".\"\nlog_dir = \"/l\"\n[prompt]\nfile = \"p.md\"\n{more}"
        );
        Config::parse(&text, Path::new("/p/agent-runner.toml"), None).unwrap().config
    }

    fn state(config: &Config, facts: Facts, name: &str) -> Strength {
        catalogue(config, facts).iter().find(|defense| defense.name == name).unwrap().current_state
    }

    const GOOD: Facts =
        Facts { mode: Mode::SystemdUser, lingers: Lingers::Yes, psi: Psi::Told, brake: Brake::Off };

    #[test]
    fn every_guard_is_a_test_that_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for defense in catalogue(&config(""), GOOD) {
            let (file, test) = defense.guarded_by.split_once("::").unwrap();
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            assert!(text.contains(&format!("fn {test}()")), "{}", defense.guarded_by);
        }
    }

    #[test]
    fn the_catalogue_has_every_name_in_its_order() {
        let names: Vec<&str> = catalogue(&config(""), GOOD).iter().map(|defense| defense.name).collect();
        let expected = "round_timeout_s process_group_isolation sigterm_reaper orphan_stash_idempotency_s sha_locked_stash \
            set_diff_classification critical_envs_injection startup_smoke_check flock_concurrency atomic_state_writes \
            event_kind_registry crash_loop_breaker mem_loop_breaker stalled_no_progress_breaker \
            bulk_round_log_prune_guard descendant_reaper pre_round_snapshot";
        assert_eq!(names.join(" "), expected);
    }

    #[test]
    fn states_tell_what_is_missing() {
        let plain = config("");
        assert_eq!(state(&plain, GOOD, "critical_envs_injection"), Strength::Off);
        assert_eq!(
            state(&config("[agent.env]\nA = \"1\"\n"), GOOD, "critical_envs_injection"),
            Strength::Active
        );
        assert_eq!(state(&plain, GOOD, "sigterm_reaper"), Strength::Active);
        let leaves = Facts { lingers: Lingers::No, ..GOOD };
        assert_eq!(state(&plain, leaves, "sigterm_reaper"), Strength::Degraded);
        let blind = Facts { psi: Psi::Untold, ..GOOD };
        assert_eq!(state(&plain, blind, "mem_loop_breaker"), Strength::Degraded);
        let armed = Facts { brake: Brake::Armed, ..GOOD };
        assert_eq!(state(&plain, armed, "mem_loop_breaker"), Strength::Active);
        let ignoring = config("[vcs]\ndirty_action = \"ignore\"\n");
        assert_eq!(state(&ignoring, GOOD, "sha_locked_stash"), Strength::Off);
    }

    #[test]
    fn a_brake_that_is_wanted_and_cannot_be_pulled_degrades_and_says_why() {
        let plain = config("");
        let lacks = |facts| {
            let rows = catalogue(&plain, facts);
            let memory = rows.into_iter().find(|defense| defense.name == "mem_loop_breaker").unwrap();
            (memory.current_state, memory.lacks.len(), memory.lacks.concat())
        };
        for (brake, why) in [(Brake::Undelegated, "not its own to steer"), (Brake::NoGroup, "cgroup v2")] {
            let (state, count, said) = lacks(Facts { brake, ..GOOD });
            assert_eq!((state, count), (Strength::Degraded, 1), "{brake:?}");
            assert!(said.contains(why), "{said}");
            let both = lacks(Facts { brake, psi: Psi::Untold, ..GOOD });
            assert!(both.1 == 2 && both.2.contains("PSI"), "{both:?}");
        }
        assert_eq!(lacks(GOOD), (Strength::Active, 0, String::new()));
    }
}
