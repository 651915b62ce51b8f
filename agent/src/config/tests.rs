//! The rules of the configuration, as tables: what a text becomes, and what is said about a wrong one.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::types::{Config, ContextMode, Delivery, DirtyAction, PhasePolicy, TransientErrorAction};
use super::{ConfigError, Loaded};

const BASE: &str = r#"schema_version = 1

[agent]
command = ["/usr/bin/mini", "--yes"]
prompt_arg_template = ["-p", "{prompt}"]

[runtime]
work_dir = "tree"
log_dir = "~/.agent-runner/{project}/logs"

[prompt]
file = "prompts/main.md"
"#;

fn parse(text: &str) -> Result<Loaded, ConfigError> {
    Config::parse(text, Path::new("/srv/p/agent-runner.toml"), Some(Path::new("/home/pi")))
}

/// Returns the base with one line put behind a table's header, the header added when it is not there.
fn with(table: &str, line: &str) -> String {
    let header = format!("[{table}]\n");
    if BASE.contains(&header) {
        return BASE.replace(&header, &format!("{header}{line}\n"));
    }
    format!("{BASE}\n{header}{line}\n")
}

fn accepts(table: &str, line: &str) -> Config {
    parse(&with(table, line)).unwrap_or_else(|error| panic!("[{table}] {line}:\n{error}")).config
}

fn refuses(table: &str, line: &str, said: &str) {
    let error = parse(&with(table, line)).map(|loaded| loaded.warnings).expect_err(line).to_string();
    assert!(error.contains(said), "[{table}] {line}: wanted {said:?} in\n{error}");
}

fn refuses_text(text: &str, said: &str) {
    let error = parse(text).map(|loaded| loaded.warnings).expect_err(text).to_string();
    assert!(error.contains(said), "wanted {said:?} in\n{error}");
}

#[test]
fn the_smallest_file_gets_every_default() {
    let Loaded { config, warnings } = parse(BASE).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.agent.identity(), "mini");
    assert_eq!(config.agent.terminal_marker, r#""type":"result""#);
    assert_eq!((config.agent.prompt_delivery, config.agent.sigterm_grace_s), (Delivery::Argv, 10));
    let runtime = &config.runtime;
    assert_eq!(runtime.work_dir, Path::new("/srv/p/tree"));
    assert_eq!(runtime.log_dir, Path::new("/home/pi/.agent-runner/tree/logs"));
    assert_eq!(runtime.narrative_file, Some(PathBuf::from("/home/pi/.agent-runner/tree/logs/narrative.md")));
    assert_eq!((runtime.round_budget_s, runtime.restart_delay_s, runtime.round_log_retention), (1800, 3, 0));
    assert_eq!(runtime.transient_error_action, TransientErrorAction::BackOff);
    assert_eq!((runtime.max_rounds, runtime.fresh_eyes_every_n), (None, None));
    assert_eq!(config.prompt.files, [PathBuf::from("/srv/p/tree/prompts/main.md")]);
    assert_eq!(config.prompt.context_injection_mode, ContextMode::Prepend);
    assert!(config.prompt.inject_context && config.prompt.strip_yaml_frontmatter);
    assert_eq!(config.prompt.concat_separator, "\n\n");
    assert_eq!((config.vcs.dirty_action, config.vcs.stash_idempotency_s), (DirtyAction::Stash, 5));
    assert_eq!(config.monitor.auto_stop_on, ["oauth_fail", "disk_critical"]);
    assert_eq!(config.monitor.remote_failure_tolerance_s, 90);
    assert_eq!(config.monitor.supervisor_stale_threshold_s, None);
    let health = &config.monitor.host_health;
    assert_eq!(
        (health.disk.warning_pct, health.disk.critical_pct, health.disk.growth_window_s),
        (90.0, 95.0, 1800)
    );
    assert_eq!((health.memory.avail_min_mb, health.memory.free_low_mb), (200, 16));
    assert_eq!(
        (health.pressure.full_avg10_critical, health.pressure.critical_consecutive_samples),
        (60.0, 3)
    );
    assert!(health.pressure.in_round_terminate && !health.pressure.in_round_nudge);
    assert!(!health.brake.memory_high && health.brake.warning_consecutive_samples == 3);
    assert_eq!((config.goal, config.critic, config.phases.list.len()), (None, None, 0));
}

#[test]
fn both_spellings_of_the_budget_are_one_key() {
    assert_eq!(accepts("runtime", "round_timeout_s = 60").runtime.round_budget_s, 60);
    assert_eq!(accepts("runtime", "round_budget_s = 60").runtime.round_budget_s, 60);
    refuses("runtime", "round_budget_s = 60\nround_timeout_s = 60", "are the same key");
    let loaded = parse(&with("vcs", "orphan_action = \"ignore\"")).unwrap();
    assert_eq!(loaded.config.vcs.dirty_action, DirtyAction::Ignore);
    assert!(loaded.warnings[0].contains("old spelling of `vcs.dirty_action`"), "{:?}", loaded.warnings);
    refuses("vcs", "orphan_action = \"ignore\"\ndirty_action = \"stash\"", "are the same key");
}

#[test]
fn a_bool_is_never_a_number_and_an_integer_is_one() {
    refuses("runtime", "restart_delay_s = true", "must be an integer, not a bool");
    refuses("runtime", "restart_delay_s = \"3\"", "must be an integer, not a string");
    refuses("runtime", "restart_delay_s = 3.0", "must be an integer, not a number with a fraction");
    refuses("monitor.host_health.disk", "warning_pct = true", "must be a number, not a bool");
    assert_eq!(
        accepts("monitor.host_health.disk", "warning_pct = 80").monitor.host_health.disk.warning_pct,
        80.0
    );
    refuses("prompt", "inject_context = 1", "must be true or false, not an integer");
}

#[test]
fn numbers_out_of_range_are_refused_and_never_clamped() {
    for (table, line) in [
        ("agent", "sigterm_grace_s = 13"),
        ("agent", "sigterm_grace_s = 0"),
        ("runtime", "round_timeout_s = 0"),
        ("runtime", "max_rounds = 0"),
        ("runtime", "round_log_retention = -1"),
        ("runtime", "restart_delay_s = 9223372036854775807"),
        ("monitor", "remote_failure_tolerance_s = 3601"),
        ("monitor.host_health.disk", "warning_pct = 100.1"),
        ("monitor.host_health.disk", "warning_pct = nan"),
        ("monitor.host_health.disk", "disk_growth_pct_per_hr_warning = inf"),
        ("monitor.host_health.pressure", "full_avg10_critical = 0"),
        ("monitor.host_health.brake", "memory_high_step_pct = 51"),
    ] {
        refuses(table, line, " must be ");
    }
    assert_eq!(accepts("agent", "sigterm_grace_s = 12").agent.sigterm_grace_s, 12);
    assert_eq!(accepts("runtime", "round_timeout_s = 0x10").runtime.round_budget_s, 16);
}

#[test]
fn unknown_keys_and_tables_are_errors_that_name_the_nearest() {
    refuses("agent", "comand = 1", "did you mean `command`?");
    refuses_text(&format!("{BASE}\n[runtme]\nx = 1\n"), "unknown key `runtme` at the top level");
    refuses_text(&format!("{BASE}\n[runtme]\nx = 1\n"), "did you mean `runtime`?");
    refuses("vcs", "zzz = 1", "known here: dirty_action, stash_idempotency_s");
    refuses(
        "runtime",
        "rate_limit_action = \"skip\"",
        "`runtime.rate_limit_action` is now called `transient_error_action`",
    );
    refuses("runtime", "round_timeout_per_phase = 3", "set `round_timeout_s` in each");
    refuses("monitor.host_health", "disk_warning_pct = 3", "moved into a table");
    refuses_text(
        &format!("monitor = 3\n{BASE}"),
        "`monitor` must be a table, as in [monitor], not an integer",
    );
}

#[test]
fn an_error_shows_its_place_and_several_come_together() {
    let text = with("agent", "comand = [\"x\"]\nsigterm_grace_s = 99");
    let error = parse(&text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/srv/p/agent-runner.toml:4:1: unknown key `comand` in [agent]\n\
         \x20 |\n\
         4 | comand = [\"x\"]\n\
         \x20 | ^^^^^^ did you mean `command`?\n\
         /srv/p/agent-runner.toml:5:19: `agent.sigterm_grace_s` must be 1 to 12, not 99\n\
         \x20 |\n\
         5 | sigterm_grace_s = 99\n\
         \x20 |                   ^^"
    );
    assert!(error.hint().unwrap().contains("migrate"));
    refuses_text("schema_version = 1\n[agent\n", "/srv/p/agent-runner.toml:2:");
}

#[test]
fn the_schema_version_is_looked_at_first() {
    let replaced = |version: &str| BASE.replace("schema_version = 1", version) + "[nonsense]\n";
    refuses_text(&replaced("schema_version = 0"), "older than 1; run `agent-runner migrate`");
    refuses_text(&replaced("schema_version = 7"), "schema_version 7 is newer than 1");
    refuses_text(&replaced("schema_version = true"), "must be the integer 1");
    refuses_text(&replaced("schema_version = \"1\""), "must be the integer 1");
    let error = parse(&replaced("schema_version = 7")).unwrap_err().to_string();
    assert!(!error.contains("nonsense"), "{error}");
}

#[test]
fn an_older_file_is_accepted_with_one_warning_while_every_key_is_known() {
    let old = BASE.replace("schema_version = 1", "") + "[vcs]\norphan_action = \"stash\"\n";
    let loaded = parse(&old).unwrap();
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].contains("migrate"));
    let unknown = BASE.replace("schema_version = 1", "") + "[vcs]\nx = 1\n";
    refuses_text(&unknown, "`schema_version = 1` is missing; `agent-runner migrate` adds it");
}

#[test]
fn the_table_of_the_first_release_for_a_reviewer_is_pointed_to_its_successor() {
    let loaded = parse(&format!("{BASE}\n[llm]\nmodel = \"x\"\n")).unwrap();
    assert!(loaded.warnings[0].contains("[critic]"));
    let config = accepts("critic", "command = [\"review\"]");
    let critic = config.critic.unwrap();
    assert_eq!((critic.every_n, critic.timeout_s), (5, 120));
    assert_eq!(accepts("critic", "command = [\"review\"]").stop_timeout_s(), 2020 + 130);
    refuses("critic", "every_n = 3", "`critic.command` is missing");
}

#[test]
fn lists_refuse_a_bare_string_and_turn_scalars_into_text() {
    refuses("runtime", "substrate_fingerprint_paths = \"src\"", "must be a list of strings, not a string");
    refuses("phases", "list = [[1]]", "must be a list of strings, and this is a list");
    assert_eq!(accepts("phases", "list = [1, true, \"b\", 1.5]").phases.list, ["1", "True", "b", "1.5"]);
    let env = accepts("agent", "env = { A = 1, B = true, C = \"x\" }").agent.env;
    let pairs: Vec<_> = env.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(pairs, ["A=1", "B=True", "C=x"]);
    refuses("agent", "env = { \"A=B\" = 1 }", "cannot be an environment variable");
}

#[test]
fn the_prompt_reaches_the_agent_exactly_one_way() {
    refuses("prompt", "files = [\"a\"]", "are both set");
    refuses("prompt", "files = []", "must not be empty");
    refuses_text(&BASE.replace("file = ", "concat_separator = "), "set `file` or `files`");
    refuses_text(&BASE.replace("\"{prompt}\"", "\"x\""), "must contain {prompt}");
    refuses("agent", "prompt_delivery = \"stdin\"", "may not contain {prompt}");
    refuses("agent", "prompt_delivery = \"stdn\"", "did you mean \"stdin\"?");
    refuses_text(&BASE.replace("[\"/usr/bin/mini\", \"--yes\"]", "[]"), "must not be empty");
}

#[test]
fn paths_that_could_inject_directives_are_refused() {
    refuses_text(&BASE.replace("\"tree\"", "\"tree\\nUser=root\""), "must be printable");
    let error = Config::parse(BASE, Path::new("/srv/a\nb/agent-runner.toml"), None).unwrap_err();
    assert!(error.to_string().contains("must be printable"), "{error}");
    let error = Config::parse(BASE, Path::new("/srv/agent-runner.toml"), None).unwrap_err();
    assert!(error.to_string().contains("no home folder"), "{error}");
}

#[test]
fn patterns_windows_and_zones_are_checked_at_their_place() {
    refuses("runtime", "grace_kill_ignore_patterns = [\"ok\", \"(\"]", "is no usable pattern");
    refuses("monitor", "auth_fail_patterns = [\"(?=x)\"]", "is no usable pattern");
    refuses("schedule", "run_windows = [\"Sat-Mon 09:00-10:00\"]", "\"Sat-Mon 09:00-10:00\" is no window");
    refuses("schedule", "timezone = \"../etc/passwd\"", "there is no time zone");
    let schedule =
        accepts("schedule", "timezone = \"Europe/Vienna\"\nrun_windows = [\"22:00-06:00\"]").schedule;
    assert_eq!(schedule.run_windows[0].start_min, 1320);
}

#[test]
fn the_monitor_s_rules_span_keys() {
    refuses("monitor", "auto_stop_on = [\"goal_assessment\"]", "is advisory");
    let line = "anomaly_repetitive_window = 5\nanomaly_repetitive_threshold = 6";
    refuses("monitor", line, "can never be reached");
    accepts("monitor", "anomaly_repetitive_window = 0\nanomaly_repetitive_threshold = 6");
}

const PHASES: &str = r#"
[phases]
list = ["build", "review"]
phase_policy = "skip"

[phases.build]
round_budget_s = 900

[phases.build.prompt]
files = ["prompts/build.md"]

[phases.review.agent]
command = ["pi", "-p"]
env = { B = "2" }

[phases.review.schedule]
run_windows = ["Mon-Fri 09:00-17:00"]

[schedule]
timezone = "Europe/Vienna"
pause_windows = ["12:00-13:00"]
"#;

#[test]
fn a_phase_is_laid_over_the_base() {
    let text = with("agent", "env = { A = \"1\" }") + PHASES;
    let config = parse(&text).unwrap().config;
    assert_eq!(config.phases.policy, PhasePolicy::Skip);
    let build = config.profile(Some("build"));
    assert_eq!((build.round_budget_s, build.agent.identity()), (900, "mini"));
    assert_eq!(build.prompt_files, [PathBuf::from("/srv/p/tree/prompts/build.md")]);
    let review = config.profile(Some("review"));
    assert_eq!((review.round_budget_s, review.agent.identity()), (1800, "pi"));
    assert_eq!(review.agent.prompt_arg_template, ["-p", "{prompt}"]);
    assert_eq!(review.agent.env.keys().collect::<Vec<_>>(), ["B"]);
    assert_eq!(review.schedule.timezone.as_deref(), Some("Europe/Vienna"));
    assert!(review.schedule.pause_windows.is_empty());
    assert_eq!(config.rotation(1), Some("build"));
    assert_eq!(config.rotation(4), Some("review"));
}

#[test]
fn a_phase_that_cannot_work_is_refused() {
    let refuses = |more: &str, said: &str| refuses_text(&format!("{BASE}{PHASES}{more}"), said);
    refuses("[phases.biuld]\nround_budget_s = 1\n", "the phase `biuld` is not in `phases.list`");
    refuses("[phases.build.runtime]\nround_budget_s = 1\n", "set twice");
    refuses("[phases.build.agent]\nexec_prefix = [\"nice\"]\n", "belongs to the base table");
    refuses("[phases.build.agent]\nprompt_arg_template = [\"x\"]\n", "must contain {prompt}");
    refuses("[phases.build.agent]\ncomand = [\"x\"]\n", "did you mean `command`?");
    refuses_text(&format!("{BASE}[phases]\nlist = []\nbuild = 3\n"), "unknown key `build` in [phases]");
}

#[test]
fn what_the_base_brings_into_a_phase_is_wrong_at_the_phase() {
    let text = format!("{BASE}[phases]\nlist = [\"a\"]\n[phases.a.agent]\nprompt_delivery = \"stdin\"\n");
    refuses_text(&text, "15 | [phases.a.agent]");
}

const GOAL: &str = r#"
[goal]
ledger = "~/.agent-runner/{project}/logs/ledger.md"

[[goal.checks]]
name = "tests"
cmd = ["make", "test"]
"#;

#[test]
fn the_ledger_reaches_every_phase_and_survives_the_stash() {
    let listed = BASE.replace(
        "file = \"prompts/main.md\"",
        "files = [\"prompts/main.md\", \"~/.agent-runner/tree/logs/ledger.md\"]",
    );
    let goal = parse(&format!("{listed}{GOAL}")).unwrap().config.goal.unwrap();
    assert_eq!((goal.checks[0].timeout_s, goal.checks[0].cwd.as_path()), (10, Path::new("/srv/p/tree")));
    refuses_text(&format!("{BASE}{GOAL}"), "must be among the prompt files of [prompt], after the first");
    let phased = format!("{listed}{GOAL}{PHASES}");
    refuses_text(&phased, "must be among the prompt files of phase `build`");
    let inside = listed.replace("~/.agent-runner/tree/logs/ledger.md", "ledger.md")
        + &GOAL.replace("~/.agent-runner/{project}/logs/ledger.md", "ledger.md");
    refuses_text(&inside, "must lie under log_dir or outside work_dir");
    refuses_text(&format!("goal = 3\n{listed}"), "`goal` must be a table");
    let slow = format!("{listed}{GOAL}timeout_s = 30\n");
    assert!(parse(&slow).unwrap().warnings[0].contains("36 s"));
    refuses_text(&format!("{listed}{GOAL}timeout_s = 31\n"), "must be 1 to 30");
}

#[test]
fn ceilings_follow_the_budgets() {
    let config = parse(BASE).unwrap().config;
    assert_eq!(config.stop_timeout_s(), 2020);
    assert_eq!(config.outer_ceiling_s(None), 1995);
    let text = format!("{BASE}{PHASES}[phases.review]\nround_budget_s = 3600\n");
    let config = parse(&text).unwrap().config;
    assert_eq!(config.outer_ceiling_s(Some("build")), 900 + 195);
    assert_eq!(config.outer_ceiling_s(None), 3600 + 195);
    assert_eq!(config.stop_timeout_s(), 3600 + 220);
}

#[test]
fn a_file_is_loaded_from_disk_and_a_missing_one_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().canonicalize().unwrap();
    std::fs::create_dir(real.join("real")).unwrap();
    std::os::unix::fs::symlink(real.join("real"), real.join("tree")).unwrap();
    let path = real.join("agent-runner.toml");
    assert!(Config::load(&path, None).unwrap_err().missing());
    let text = BASE.replace("~/.agent-runner/{project}", "..");
    crate::store::atomic::replace(&path, text.as_bytes()).unwrap();
    let config = Config::load(&path, None).unwrap().config;
    assert_eq!(config.runtime.work_dir, real.join("real"));
    assert_eq!(config.path, path);
    let zoned = format!("{text}[schedule]\ntimezone = \"Mars/Olympus\"\n");
    crate::store::atomic::replace(&path, zoned.as_bytes()).unwrap();
    assert!(Config::load(&path, None).unwrap_err().to_string().contains("no time zone"));
}

#[test]
fn a_session_flag_belongs_to_the_loop() {
    let pi = BASE.replace("\"/usr/bin/mini\", \"--yes\"", "\"pi\", \"--session-id=x\"");
    refuses_text(&pi, "`agent.command` may not contain --session-id");
    let template = BASE.replace("\"-p\"", "\"--session-id\", \"x\"");
    parse(&template).unwrap();
    let phase = format!("{template}[phases]\nlist = [\"a\"]\n[phases.a.agent]\ncommand = [\"pi\"]\n");
    refuses_text(&phase, "`agent.prompt_arg_template` may not contain --session-id");
}

#[test]
fn an_unknown_preset_is_only_warned_about() {
    let loaded = parse(&with("plugins", "disable = [\"claude\", \"clod\"]")).unwrap();
    assert_eq!(loaded.config.disabled_plugins, ["claude", "clod"]);
    assert!(loaded.warnings[0].contains("`clod`") && loaded.warnings.len() == 1);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(
        at in 0usize..400, length in 0usize..40, noise in "[\\[\\]={}\"',.a-z0-9 \n#-]{0,20}"
    ) {
        let text: Vec<char> = format!("{BASE}{PHASES}{GOAL}").chars().collect();
        let (at, end) = (at.min(text.len()), (at + length).min(text.len()));
        let text: String = text[..at].iter().chain(&noise.chars().collect::<Vec<_>>()).chain(&text[end..]).collect();
        if let Err(error) = parse(&text) {
            prop_assert!(error.to_string().starts_with("/srv/p/agent-runner.toml:"), "{error}");
        }
    }
}
