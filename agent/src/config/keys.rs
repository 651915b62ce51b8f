//! Every key of `agent-runner.toml`: what it may be, what it is by default, what it does.

use super::host_health::HOST_HEALTH;
use super::schema::{ANY, Alias, Default as D, Key, Kind as K, Presence, Table};

/// The only `schema_version` there is.
pub const SCHEMA_VERSION: i64 = 1;

/// What `monitor.auth_fail_patterns` is when it is left out; matched without regard to case.
pub const AUTH_FAIL_PATTERNS: &[&str] = &[
    r"\boauth\b",
    r"\bunauthorized\b",
    r"\b401\b",
    r"\bapi[ _]?key\b",
    r"\bauth(entication)?\b.{0,20}\b(failed|error|expired)\b",
    r"\bsession\b.{0,40}\bexpired\b",
];

/// What `agent.terminal_marker` is when it is left out.
pub const TERMINAL_MARKER: &str = r#""type":"result""#;

const AGENT_KEYS: &[Key] = &[
    Key::new(
        "command",
        K::SomeTexts,
        D::Required,
        "The agent CLI and its arguments. The base name of the first word is the agent's identity everywhere.",
    ),
    Key::new(
        "prompt_arg_template",
        K::Texts,
        D::Required,
        "Arguments after the command. With argv delivery one of them contains `{prompt}`; with stdin delivery none may.",
    ),
    Key::new("name", K::Text, D::Unset, "A cosmetic name."),
    Key::new(
        "env",
        K::TextTable,
        D::Means("`{}`"),
        "Variables for the agent, winning over the supervisor's own environment. Values are turned into strings.",
    ),
    Key::new(
        "prompt_delivery",
        K::Word(&["argv", "stdin"]),
        D::Text("argv"),
        "How the prompt reaches the agent.",
    ),
    Key::new(
        "terminal_marker",
        K::Text,
        D::Text(TERMINAL_MARKER),
        "Text in the agent's output that means it has printed its result; an empty string switches the scan off.",
    ),
    Key::new(
        "sigterm_grace_s",
        K::Int(1, 12),
        D::Int(10),
        "Seconds between the first signal and KILL, for an agent whose preset names a cooperative stop; every other agent gets 5.",
    ),
];

const EXEC_PREFIX: &[Key] = &[Key::new(
    "exec_prefix",
    K::Texts,
    D::Texts(&[]),
    "Goes before the command, for a wrapper such as `nice`; `{work_dir}` is replaced.",
)];

const BUDGET: Key =
    Key::new("round_timeout_s", K::Int(1, ANY), D::Unset, "This phase's own wall clock in seconds.")
        .or(Alias::Equal("round_budget_s"));

const SCHEDULE_KEYS: &[Key] = &[
    Key::new("timezone", K::Zone, D::Means("the host's zone"), "An IANA name such as `Europe/Vienna`."),
    Key::new(
        "run_windows",
        K::Windows,
        D::Texts(&[]),
        "Rounds start only inside these windows, `[DAYS ]HH:MM-HH:MM`; empty is always.",
    ),
    Key::new("pause_windows", K::Windows, D::Texts(&[]), "Rounds never start inside these windows."),
];

const PHASE: Table = Table {
    keys: &[&[BUDGET]],
    tables: &[
        Table {
            keys: &[&[BUDGET]],
            removed: &[DROPPED_HOOKS],
            ..Table::new(
                "phases.<name>.runtime",
                Presence::Override,
                "The same key in the newer place; only one of the two may be set.",
            )
        },
        Table {
            keys: &[&[Key::new(
                "files",
                K::Texts,
                D::Unset,
                "This phase's own prompt files; an empty list is no prompt.",
            )]],
            ..Table::new("phases.<name>.prompt", Presence::Override, "The phase's own prompt.")
        },
        Table {
            keys: &[AGENT_KEYS],
            removed: &[("exec_prefix", "belongs to the base table [agent] only")],
            ..Table::new(
                "phases.<name>.agent",
                Presence::Override,
                "Any key of `[agent]` but `exec_prefix`, laid over the base key by key (`env` is replaced, not merged), then checked as a whole.",
            )
        },
        Table {
            keys: &[SCHEDULE_KEYS],
            ..Table::new(
                "phases.<name>.schedule",
                Presence::Override,
                "Replaces `[schedule]` for this phase; only the time zone is inherited.",
            )
        },
    ],
    removed: &[DROPPED_HOOKS],
    ..Table::new(
        "phases.<name>",
        Presence::PerPhase,
        "What differs from the base in one phase; the name must be in `phases.list`.",
    )
};

const DROPPED_HOOKS: (&str, &str) =
    ("disable_pre_round_hooks", "is gone: there are no pre-round hooks; `agent-runner migrate` drops it");

/// The whole file.
pub static ROOT: Table = Table {
    keys: &[&[Key::new(
        "schema_version",
        K::Version,
        D::Required,
        "The version of this file's form, 1. An older file without it is accepted with a warning while every key in it is known.",
    )]],
    tables: &[
        Table {
            keys: &[AGENT_KEYS, EXEC_PREFIX],
            ..Table::new("agent", Presence::Required, "How to start the agent CLI.")
        },
        Table {
            keys: &[&[
                Key::new(
                    "work_dir",
                    K::Path,
                    D::Required,
                    "The git work tree the agent works in; relative to the folder of this file.",
                ),
                Key::new(
                    "log_dir",
                    K::Path,
                    D::Required,
                    "Logs, events and state; best outside the work tree.",
                ),
                Key::new(
                    "round_timeout_s",
                    K::Int(1, ANY),
                    D::Int(1800),
                    "Wall clock of one round in seconds.",
                )
                .or(Alias::Equal("round_budget_s")),
                Key::new("restart_delay_s", K::Int(1, ANY), D::Int(3), "Seconds between rounds."),
                Key::new(
                    "round_log_retention",
                    K::Int(0, ANY),
                    D::Int(0),
                    "Round logs kept per family; 0 keeps all.",
                ),
                Key::new(
                    "narrative_file",
                    K::Path,
                    D::Means("`<log_dir>/narrative.md`"),
                    "What the monitor's HTTP page shows as narrative.",
                ),
                Key::new(
                    "transient_error_action",
                    K::Word(&["back_off", "skip", "stop"]),
                    D::Text("back_off"),
                    "What the Loop does about a provider's error that heals by itself: sleep until its reset, run anyway, or end.",
                ),
                Key::new("max_rounds", K::Int(1, ANY), D::Unset, "The Loop ends after this many rounds."),
                Key::new("stop_file", K::Path, D::Unset, "The Loop ends when this file exists."),
                Key::new(
                    "substrate_fingerprint_paths",
                    K::Texts,
                    D::Texts(&[]),
                    "Globs below work_dir whose content is fingerprinted around every round.",
                ),
                Key::new(
                    "fresh_eyes_every_n",
                    K::Int(1, ANY),
                    D::Unset,
                    "Every n-th round is told to look with fresh eyes.",
                ),
                Key::new("dry_run", K::Bool, D::Bool(false), "Goal checks are named, not run."),
                Key::new(
                    "max_grace_after_result_s",
                    K::Int(0, ANY),
                    D::Int(0),
                    "Seconds an agent may stay after its terminal marker; 0 switches the grace off.",
                ),
                Key::new(
                    "grace_kill_ignore_patterns",
                    K::Patterns,
                    D::Texts(&[]),
                    "Command lines of children that do not extend the grace.",
                ),
            ]],
            removed: &[
                ("round_timeout_per_phase", "is gone: set `round_timeout_s` in each [phases.<name>]"),
                (
                    "rate_limit_action",
                    "is now called `transient_error_action`; `agent-runner migrate` renames it",
                ),
                DROPPED_HOOKS,
            ],
            ..Table::new("runtime", Presence::Required, "Folders, ceilings and what ends the Loop.")
        },
        Table {
            keys: &[&[
                Key::new(
                    "file",
                    K::Path,
                    D::Unset,
                    "The prompt, at most 16 MiB. Exactly one of `file` and `files` is set.",
                ),
                Key::new(
                    "files",
                    K::Paths,
                    D::Unset,
                    "The prompt in pieces. The first must exist; later ones are skipped with a warning.",
                ),
                Key::new(
                    "inject_context",
                    K::Bool,
                    D::Bool(true),
                    "Whether the round's context goes to the agent at all.",
                ),
                Key::new(
                    "context_injection_mode",
                    K::Word(&["prepend", "file", "none"]),
                    D::Text("prepend"),
                    "Where the context goes: a fenced block before the prompt, or only `round-context.json`.",
                ),
                Key::new("concat_separator", K::Text, D::Text("\n\n"), "What joins the pieces."),
                Key::new(
                    "strip_yaml_frontmatter",
                    K::Bool,
                    D::Bool(true),
                    "Whether the first file loses its YAML front matter.",
                ),
            ]],
            ..Table::new("prompt", Presence::Optional, "Where the prompt comes from.")
        },
        Table {
            keys: &[&[
                Key::new(
                    "dirty_action",
                    K::Word(&["stash", "ignore", "auto_commit"]),
                    D::Text("stash"),
                    "What happens to work the agent left uncommitted.",
                )
                .or(Alias::Old("orphan_action")),
                Key::new(
                    "stash_idempotency_s",
                    K::Int(1, ANY),
                    D::Int(5),
                    "Seconds within which a stash of the same round is reused.",
                ),
            ]],
            ..Table::new("vcs", Presence::Optional, "What happens to a dirty work tree after a round.")
        },
        Table {
            keys: &[&[
                Key::new(
                    "auth_fail_patterns",
                    K::Patterns,
                    D::Texts(AUTH_FAIL_PATTERNS),
                    "What a refused login looks like in a short round's log, without regard to case. Replaces the list.",
                ),
                Key::new(
                    "auth_fail_hint",
                    K::Text,
                    D::Text(""),
                    "What the operator should do about a refused login.",
                ),
                Key::new(
                    "auto_stop_on",
                    K::Texts,
                    D::Texts(&["oauth_fail", "disk_critical"]),
                    "Detectors that may stop the service; no name may start with `goal`.",
                ),
                Key::new(
                    "remote_failure_tolerance_s",
                    K::Int(0, 3600),
                    D::Int(90),
                    "Seconds a relayed link may be down before `monitor --host` gives up; 0 never retries.",
                ),
                Key::new(
                    "anomaly_repetitive_window",
                    K::Int(0, ANY),
                    D::Int(0),
                    "Tool calls looked at together; 0 is off.",
                ),
                Key::new(
                    "anomaly_repetitive_threshold",
                    K::Int(0, ANY),
                    D::Int(0),
                    "Equal tool calls within the window that are an anomaly, at most the window; 0 is off.",
                ),
                Key::new(
                    "round_progress_interval_s",
                    K::Int(0, ANY),
                    D::Int(0),
                    "Seconds between `round_progress` events; 0 is off.",
                ),
                Key::new(
                    "supervisor_stale_threshold_s",
                    K::Int(0, ANY),
                    D::Means("1.5 budgets"),
                    "Seconds without events that mean a dead supervisor; 0 is off.",
                ),
            ]],
            tables: &[HOST_HEALTH],
            ..Table::new("monitor", Presence::Optional, "The Witness and its thresholds.")
        },
        Table {
            keys: &[&[
                Key::new(
                    "list",
                    K::Texts,
                    D::Texts(&[]),
                    "The rotation: round n runs phase (n-1) modulo its length. A name may appear more than once.",
                ),
                Key::new(
                    "phase_policy",
                    K::Word(&["wait", "skip"]),
                    D::Text("wait"),
                    "What happens when the phase whose turn it is may not run now: wait for it, or step over it.",
                ),
            ]],
            tables: &[PHASE],
            ..Table::new("phases", Presence::Optional, "A rotation of phases.")
        },
        Table {
            keys: &[&[Key::new(
                "disable",
                K::Texts,
                D::Texts(&[]),
                "Presets whose output rules are not applied, by name.",
            )]],
            removed: &[
                ("sandbox", "is gone: there are no plugins to sandbox"),
                ("pin", "is gone: there are no plugins to pin"),
                ("spawn_override_allow", "is gone: no plugin can change how the agent is started"),
            ],
            ..Table::new("plugins", Presence::Optional, "Reading of the agents' output.")
        },
        Table {
            keys: &[SCHEDULE_KEYS],
            ..Table::new("schedule", Presence::Optional, "When rounds may start.")
        },
        Table {
            keys: &[&[Key::new(
                "ledger",
                K::Path,
                D::Required,
                "The file the checks' results are written to. It must be among the prompt files of every phase, not as the first, and lie under log_dir or outside work_dir.",
            )]],
            tables: &[Table {
                keys: &[&[
                    Key::new("name", K::Text, D::Required, "Its name in events."),
                    Key::new("cmd", K::SomeTexts, D::Required, "The command."),
                    Key::new("cwd", K::Path, D::Means("work_dir"), "Where it runs."),
                    Key::new("timeout_s", K::Int(1, 30), D::Int(10), "Seconds it may take."),
                ]],
                ..Table::new("goal.checks", Presence::Rows, "One check; its exit code 0 means satisfied.")
            }],
            ..Table::new("goal", Presence::Feature, "Goal checks after every round; advisory.")
        },
        Table {
            keys: &[&[
                Key::new(
                    "events_months",
                    K::Int(1, 1200),
                    D::Means("keep all"),
                    "Months of event files kept.",
                ),
                Key::new(
                    "metrics_months",
                    K::Int(1, 1200),
                    D::Means("keep all"),
                    "Months of metrics files kept.",
                ),
            ]],
            ..Table::new(
                "retention",
                Presence::Optional,
                "How long logs are kept, next to `runtime.round_log_retention`.",
            )
        },
        Table {
            keys: &[&[
                Key::new(
                    "command",
                    K::SomeTexts,
                    D::Required,
                    "Gets the snapshot as JSON on stdin and prints findings as JSON lines.",
                ),
                Key::new("every_n", K::Int(1, ANY), D::Int(5), "Runs after every n-th round."),
                Key::new("timeout_s", K::Int(1, 3600), D::Int(120), "Seconds it may take."),
            ]],
            ..Table::new(
                "critic",
                Presence::Feature,
                "A program that reviews what the rounds did; advisory, it can never stop or fail a round.",
            )
        },
    ],
    ..Table::new("", Presence::Required, "")
};
