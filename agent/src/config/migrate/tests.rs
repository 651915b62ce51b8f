//! Migrations as tables of texts, and what holds for any of them.

use proptest::prelude::*;

use super::*;

const BASE: &str = "[agent]\ncommand = [\"x\"]\nprompt_arg_template = [\"{prompt}\"]\n\
    [runtime]\nwork_dir = \".\"\nlog_dir = \"logs\"\n[prompt]\nfile = \"p\"\n";

fn run(text: &str) -> Migration {
    migrate(text, Path::new("/p/agent-runner.toml"), Some(Path::new("/home/pi"))).unwrap()
}

/// Checks what the lines behind the stamped base become.
fn becomes(lines: &str, expected: &str) {
    let text = format!("schema_version = 1\n{BASE}{lines}");
    let migration = run(&text);
    assert_eq!(migration.text, format!("schema_version = 1\n{BASE}{expected}"), "{lines}");
    assert_eq!(migration.manual, Vec::<String>::new(), "{lines}");
    assert_eq!(migration.applied.is_empty(), lines == expected, "{:?}", migration.applied);
    assert_eq!(run(&migration.text).applied, Vec::<String>::new());
}

fn stays(lines: &str, said: &str) {
    let text = format!("schema_version = 1\n{BASE}{lines}");
    let migration = run(&text);
    assert_eq!(migration.text, text);
    assert!(migration.manual.iter().any(|line| line.contains(said)), "{said:?} in {:?}", migration.manual);
}

#[test]
fn old_keys_become_new_ones_in_place_with_their_comments() {
    becomes(
        "[vcs] # tree\n# before\norphan_action = \"ignore\" # behind\nstash_idempotency_s = 9\n",
        "[vcs] # tree\n# before\ndirty_action = \"ignore\" # behind\nstash_idempotency_s = 9\n",
    );
    let text = format!("schema_version = 1\n{BASE}")
        .replace("log_dir = \"logs\"\n", "rate_limit_action = 'skip'\nlog_dir = \"logs\"\n");
    let migration = run(&text);
    assert_eq!(migration.text, text.replace("rate_limit_action", "transient_error_action"));
    assert_eq!(migration.applied, ["runtime.rate_limit_action -> runtime.transient_error_action"]);
}

#[test]
fn either_spelling_of_the_budget_is_left_alone() {
    for key in ["round_timeout_s", "round_budget_s"] {
        let text =
            format!("schema_version = 1\n{BASE}").replace("[runtime]\n", &format!("[runtime]\n{key} = 9\n"));
        assert_eq!(run(&text).text, text);
    }
}

#[test]
fn flat_thresholds_move_into_their_tables() {
    becomes(
        "[monitor.host_health]\n# full\ndisk_warning_pct = 80 # percent\nmem_free_low_mb = 8\n",
        "[monitor.host_health]\n\n[monitor.host_health.memory]\nfree_low_mb = 8\n\n[monitor.host_health.disk]\n# full\nwarning_pct = 80 # percent\n",
    );
    becomes(
        "[monitor.host_health]\ndisk_warning_pct = 80\n\n[monitor.host_health.disk]\ncritical_pct = 99\n",
        "[monitor.host_health]\n\n[monitor.host_health.disk]\ncritical_pct = 99\nwarning_pct = 80\n",
    );
    becomes(
        "[monitor]\nhost_health = { psi_some_avg10_warning = 7.5 }\n",
        "[monitor]\nhost_health = { pressure = { some_avg10_warning = 7.5 } }\n",
    );
    becomes(
        "[monitor]\nhost_health.disk_warning_pct = 80\nhost_health.disk.critical_pct = 99\n",
        "[monitor]\nhost_health.disk.critical_pct = 99\nhost_health.disk.warning_pct = 80\n",
    );
    stays(
        "[monitor.host_health]\ndisk_warning_pct = 80\n[monitor.host_health.disk]\nwarning_pct = 99\n",
        "both are set: remove the old one",
    );
}

#[test]
fn bare_strings_become_lists() {
    becomes("[phases]\nlist = \"a\" # one\n", "[phases]\nlist = [\"a\"] # one\n");
    becomes(
        "[phases]\nlist = [\"a\"]\n[phases.a.agent]\ncommand = \"y\"\n[phases.a.prompt]\nfiles = \"a b\"\n",
        "[phases]\nlist = [\"a\"]\n[phases.a.agent]\ncommand = [\"y\"]\n[phases.a.prompt]\nfiles = [\"a b\"]\n",
    );
    let text = format!("schema_version = 1\n{BASE}").replace("[\"x\"]", "\"x --yes\"");
    let migration = run(&text);
    assert_eq!((migration.text.as_str(), migration.manual.len()), (text.as_str(), 1));
    assert!(migration.manual[0].contains("split the string"), "{:?}", migration.manual);
}

#[test]
fn dropped_keys_go_and_nothing_else() {
    becomes(
        "[phases]\nlist = [\"a\"]\n[phases.a]\ndisable_pre_round_hooks = true\nround_timeout_s = 3\n",
        "[phases]\nlist = [\"a\"]\n[phases.a]\nround_timeout_s = 3\n",
    );
}

#[test]
fn the_version_is_stamped_and_never_lowered() {
    let header = format!("# my project\n\n{BASE}");
    assert_eq!(run(&header).text, format!("schema_version = 1\n{header}"));
    for unusable in ["0", "true", "\"1\"", "1.0"] {
        let text = format!("# x\nschema_version = {unusable} # v\n{BASE}");
        assert_eq!(run(&text).text, format!("# x\nschema_version = 1 # v\n{BASE}"));
    }
    let newer = format!("schema_version = 7\n{BASE}");
    let migration = run(&newer);
    assert_eq!(migration.text, newer);
    assert!(migration.manual[0].contains("newer"), "{:?}", migration.manual);
}

#[test]
fn what_only_a_person_can_decide_is_told() {
    stays("[vcs]\norphan_action = \"stash\"\ndirty_action = \"ignore\"\n", "both are set: remove one");
    stays(
        "[vcs]\ndirty_acton = \"ignore\"\n",
        "unknown key `dirty_acton` in [vcs] (did you mean `dirty_action`?)",
    );
    stays("[plugins]\nsandbox = true\n", "there are no plugins to sandbox");
    stays("[plugins]\ndisable = [\"kimi_error_detector\"]\n", "now called \"kimi\"");
    stays("[monitor]\nanomaly_repetitive_window = 2\nanomaly_repetitive_threshold = 3\n", "line 12: ");
    stays("[goal]\nledger = 3\n", "`goal.ledger` must be a string");
    stays("[phases]\nlist = [\"a\"]\n[phases.a.agent]\ncomand = 1\n", "did you mean `command`?");
    let flat =
        format!("schema_version = 1\n{BASE}[phases]\nlist = [\"a\"]\n[phases.a]\nround_budget_s = 3\n");
    let migration = run(&flat);
    assert_eq!((migration.manual.len(), migration.notes.len()), (0, 1));
}

#[test]
fn what_is_no_toml_is_refused() {
    migrate("[agent", Path::new("/p/agent-runner.toml"), None).unwrap_err();
}

/// Lines of older releases, by the table they stand in.
const OLD: [(&str, &[&str]); 6] = [
    ("agent", &["# the agent", "name = \"n\" # cosmetic"]),
    ("runtime", &["rate_limit_action = \"skip\"", "disable_pre_round_hooks = true", "round_timeout_s = 60"]),
    ("vcs", &["orphan_action = \"stash\" # keep", "stash_idempotency_s = 3"]),
    ("monitor", &["auto_stop_on = \"oauth_fail\"", "# watch"]),
    (
        "monitor.host_health",
        &[
            "mem_avail_min_mb = 100",
            "swap_sout_noise_floor_mb = 7",
            "disk_critical_pct = 99 # almost",
            "psi_full_avg10_critical = 70.0",
            "in_round_mem_terminate = false",
        ],
    ),
    ("plugins", &["disable = \"pi\""]),
];

fn old_file() -> impl Strategy<Value = String> {
    let picks = prop::collection::vec(any::<bool>(), 16);
    let bare = any::<(bool, bool, bool)>();
    (picks, bare, prop::sample::select(vec!["", "schema_version = 0\n", "schema_version = 1\n", "# mine\n"]))
        .prop_map(|(picks, (command, phases, header), version)| {
            let mut picks = picks.into_iter();
            let mut text = version.to_owned();
            for (table, lines) in OLD {
                text.push_str(&format!("[{table}]\n"));
                text.push_str(match table {
                    "agent" if command => "command = 'x'\nprompt_arg_template = '{prompt}'\n",
                    "agent" => "command = [\"x\"]\nprompt_arg_template = [\"{prompt}\"]\n",
                    "runtime" => "work_dir = \".\"\nlog_dir = \"logs\"\n",
                    _ => "",
                });
                for line in lines.iter().filter(|_| picks.next().unwrap_or(false)) {
                    text.push_str(&format!("{line}\n"));
                }
            }
            text.push_str("[prompt]\nfile = \"p\"\n");
            if phases {
                text.push_str("[phases]\nlist = 'a'\n[phases.a.runtime]\ndisable_pre_round_hooks = false\n");
            }
            if header {
                text.push_str("\n[monitor.host_health.disk]\nwarning_pct = 50 # half\n");
            }
            text
        })
}

proptest! {
    #[test]
    fn migrating_is_a_fixpoint_and_its_result_loads(text in old_file()) {
        let once = run(&text);
        prop_assert_eq!(&once.manual, &Vec::<String>::new(), "{}", once.text);
        let loaded = Config::parse(&once.text, Path::new("/p/agent-runner.toml"), None);
        prop_assert!(loaded.is_ok(), "{}", once.text);
        let twice = run(&once.text);
        prop_assert_eq!(&twice.text, &once.text);
        prop_assert!(twice.applied.is_empty(), "{:?}", twice.applied);
        for comment in text.lines().filter_map(|line| line.split_once('#')).map(|(_, comment)| comment) {
            prop_assert!(once.text.contains(comment), "{comment} in\n{}", once.text);
        }
    }
}
