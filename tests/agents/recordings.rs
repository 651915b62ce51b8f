use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use agent_runner::config::keys::{AUTH_FAIL_PATTERNS, TERMINAL_MARKER};
use agent_runner::provider::Presets;
use agent_runner_tests::mock_provider::{Behavior, CACHED_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS};
use agent_runner_tests::real_agents::case::Case;
use agent_runner_tests::real_agents::cli::Cli;
use agent_runner_tests::real_agents::recording::{LOG_MAX, Outcome, Recording, folder, read};
use agent_runner_tests::real_agents::table::{recorded, renewed};
use regex::RegexSetBuilder;
use serde_json::{Value, json};

/// What nobody has recorded of a CLI that goes through it: an older version is not recorded again.
const UNRECORDED: [(&str, Case); 1] = [("claude-2.1.197", Case::LoggedOut)];

/// CLI, version and case of every recording.
fn recordings() -> BTreeMap<(String, String, Case), Recording> {
    let mut all = BTreeMap::new();
    for name in recorded().unwrap() {
        let (cli, version) = name.split_once('-').unwrap();
        for case in Case::all() {
            let recording = Recording::load(&folder().join(&name), case.name());
            let complete = Cli::named(cli).unwrap().plays(case) && !UNRECORDED.contains(&(&name, case));
            assert_eq!(recording.is_ok(), complete, "{name}: {case} is recorded, or is missing");
            if let Ok(recording) = recording {
                all.insert((cli.to_owned(), version.to_owned(), case), recording);
            }
        }
    }
    all
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["event"].as_str()).collect()
}

#[test]
fn the_presets_of_today_read_from_every_recording_what_was_written_down() {
    let all = recordings();
    assert!(all.len() >= 3 * Case::all().count(), "only {} recordings", all.len());
    for ((cli, version, case), mut recording) in all {
        let found = read(&cli, &recording.log, &recording.outcome).unwrap();
        if std::env::var_os("AGENT_RUNNER_WRITE_DOCS").is_some() && found != recording.outcome.read {
            recording.outcome.read.clone_from(&found);
            recording.save(&folder().join(format!("{cli}-{version}")), case.name()).unwrap();
        }
        assert_eq!(
            found, recording.outcome.read,
            "{cli} {version} {case}: if the change is meant, run this test with AGENT_RUNNER_WRITE_DOCS=1"
        );
    }
}

#[test]
fn every_recording_is_of_a_cli_that_came_as_far_as_its_case() {
    for ((cli, version, case), recording) in recordings() {
        let requests = recording.outcome.requests;
        assert!(requests >= case.least_requests(), "{cli} {version} {case}: {requests} requests");
    }
}

#[test]
fn every_preset_with_recordings_names_their_versions() {
    let presets = Presets::embedded();
    for name in recorded().unwrap() {
        let (cli, version) = name.split_once('-').unwrap();
        let proven = &presets.get(cli).unwrap().preset().unwrap().proven_on;
        assert!(proven.iter().any(|known| known == version), "{name}: {proven:?}");
    }
    for entry in presets.entries() {
        for version in &entry.preset().unwrap().proven_on {
            let recorded = folder().join(format!("{}-{version}", entry.name));
            assert!(recorded.is_dir(), "{} is not recorded", recorded.display());
        }
    }
}

#[test]
fn good_work_is_told_with_its_tokens_counted_once() {
    for ((cli, version, case), recording) in recordings() {
        if case != Case::Provider(Behavior::Work) {
            continue;
        }
        let outcome = recording.outcome;
        let of =
            |events: &[Value]| events.iter().find(|event| event["event"] == "agent_usage_recorded").cloned();
        let usage = of(&outcome.read).unwrap_or_default();
        let requests = usage["output_tokens"].as_i64().unwrap() / OUTPUT_TOKENS;
        let counted = json!([usage["input_tokens"], usage["cached_tokens"], usage["tool_call_count"]]);
        assert_eq!(counted, json!([INPUT_TOKENS * requests, CACHED_TOKENS * requests, 2]), "{cli} {version}");
        assert_eq!((usage["success"].as_bool(), outcome.exit_code), (Some(true), 0), "{cli} {version}");
        assert!(outcome.round_events.iter().all(|kind| kind == "agent_usage_recorded"), "{cli}: {outcome:?}");
    }
}

/// What has to be seen of a case, whatever the CLI, except what a CLI does not tell.
#[test]
fn what_ends_a_night_is_seen_in_the_output_of_every_cli() {
    use Behavior::{
        AccountLimit, Broken, Forbidden, Limited, LimitedUntil, Overloaded, Refused, RefusedLater, Repeat,
    };
    let expected = [
        (Refused, "agent_auth_error_detected"),
        (RefusedLater, "agent_auth_error_detected"),
        (Forbidden, "agent_auth_error_detected"),
        (AccountLimit, "transient_error_detected"),
        (Limited, "transient_error_detected"),
        (LimitedUntil, "transient_error_detected"),
        (Broken, "transient_error_detected"),
        (Overloaded, "transient_error_detected"),
        (Repeat, "anomaly_repetitive_tool"),
    ];
    // Gemini CLI ends such a turn by itself. opencode waits without a word when it is told until when.
    let untold = [("gemini", Repeat), ("opencode", LimitedUntil)];
    for ((cli, version, case), recording) in recordings() {
        for (behavior, kind) in expected {
            if case == Case::Provider(behavior) {
                let read = &recording.outcome.read;
                let told = kinds(read).contains(&kind);
                // A CLI that tells it after all is no exception any more.
                assert_eq!(
                    told,
                    !untold.contains(&(cli.as_str(), behavior)),
                    "{cli} {version} {case}: {read:?}"
                );
            }
        }
    }
}

/// The monitor's patterns find what only plain text tells.
#[test]
fn a_login_that_was_never_configured_is_seen_of_every_cli() {
    let patterns = RegexSetBuilder::new(AUTH_FAIL_PATTERNS).case_insensitive(true).build().unwrap();
    let mut by_pattern = Vec::new();
    for ((cli, version, case), recording) in recordings() {
        if case != Case::LoggedOut {
            continue;
        }
        if !kinds(&recording.outcome.read).contains(&"agent_auth_error_detected") {
            let found = patterns.is_match(&String::from_utf8_lossy(&recording.log));
            assert!(found && recording.outcome.exit_code != 0, "{cli} {version}: {:?}", recording.outcome);
            by_pattern.push(cli);
        }
    }
    assert_eq!(by_pattern, ["pi"]);
}

#[test]
fn a_good_round_is_never_taken_for_trouble_and_a_helper_never_outlives_it() {
    use Behavior::{Blip, Dirty, Helper, Idle, Slow, Work};
    for ((cli, version, case), recording) in recordings() {
        let read = kinds(&recording.outcome.read);
        let good = [Work, Idle, Dirty, Helper, Slow, Blip].map(Case::Provider).contains(&case);
        assert!(!good || read == ["agent_usage_recorded"], "{cli} {version} {case}: {read:?}");
        let unread = "provider_output_unrecognised";
        assert!(!read.contains(&unread), "{cli} {version} {case}");
        if case == Case::Provider(Helper) {
            assert_eq!(recording.outcome.also, ["helper ended"], "{cli} {version}");
        }
        if case == Case::Stopped {
            assert_eq!(recording.outcome.also, ["session continues"], "{cli} {version}");
        }
        if case == Case::Served {
            let mut also = vec!["session continues", "next round good"];
            if Presets::embedded().resume_flag(&cli).is_some() {
                also.push("both rounds of a service in one session");
            }
            assert_eq!(recording.outcome.also, also, "{cli} {version}");
            assert_eq!(read, ["agent_usage_recorded"], "{cli} {version}");
        }
    }
}

/// The text after which a CLI has nothing more to say; none for a CLI whose records do not tell.
fn marker(cli: &str) -> Option<String> {
    let own = Presets::embedded().rules_for(cli).and_then(|rules| rules.terminal_marker.clone());
    Some(own.unwrap_or_else(|| TERMINAL_MARKER.to_owned())).filter(|marker| !marker.is_empty())
}

#[test]
fn a_good_round_ends_with_its_terminal_marker_and_an_unanswered_one_has_none() {
    use Behavior::{Append, Blip, Dirty, Hang, HangLater, Helper, Idle, Slow, Work};
    for ((cli, version, case), recording) in recordings() {
        let good = [Work, Idle, Dirty, Helper, Slow, Blip, Append].contains(&case.behavior());
        let unanswered = [Hang, HangLater].contains(&case.behavior());
        let expected = good && marker(&cli).is_some();
        let text = String::from_utf8_lossy(&recording.log);
        let told = marker(&cli).is_some_and(|marker| text.contains(&marker));
        let noted = recording.outcome.marker;
        // What a CLI still prints when it is told to end depends on the machine's load.
        if case == Case::Stopped {
            continue;
        }
        assert_eq!(noted, told, "{cli} {version} {case}");
        assert!(!(good || unanswered) || told == expected, "{cli} {version} {case}: {told}");
    }
}

/// The lines of a log with every record of another type than this version knows.
fn renamed(log: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(log);
    let line = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(mut fields)) => {
            for key in ["type", "role"] {
                if let Some(name) = fields.get(key).and_then(Value::as_str) {
                    let changed = format!("new.{name}");
                    fields.insert(key.to_owned(), changed.into());
                }
            }
            Value::Object(fields).to_string()
        }
        Ok(_) | Err(_) => line.to_owned(),
    };
    text.lines().map(|text| line(text) + "\n").collect::<String>().into_bytes()
}

#[test]
fn a_version_that_renames_its_records_is_never_supervised_in_silence() {
    let mut tried = BTreeSet::new();
    for ((cli, version, case), recording) in recordings() {
        // A CLI that prints no record at all tells nothing that could be recognised.
        if ![Behavior::Work, Behavior::Broken].map(Case::Provider).contains(&case)
            || !String::from_utf8_lossy(&recording.log).lines().any(|line| line.starts_with('{'))
        {
            continue;
        }
        for (exit_code, exit_cause) in [(1, "error"), (0, "clean")] {
            let exit_cause = exit_cause.to_owned();
            let outcome = Outcome { exit_code, exit_cause, ..recording.outcome.clone() };
            let found = read(&cli, &renamed(&recording.log), &outcome).unwrap();
            assert!(
                kinds(&found).contains(&"provider_output_unrecognised"),
                "{cli} {version} {case}, exit {exit_code}: {found:?}"
            );
        }
        tried.insert(cli);
    }
    let reading = Presets::embedded();
    let recorded = recorded().unwrap();
    for entry in reading.entries().iter().filter(|entry| entry.rules().is_some()) {
        let is_recorded = recorded.iter().any(|name| name.split('-').next() == Some(&entry.name));
        assert_eq!(tried.contains(&entry.name), is_recorded, "{}", entry.name);
    }
}

#[test]
fn a_round_that_the_wall_clock_ends_among_retries_tells_what_the_provider_answered() {
    for ((cli, version, case), recording) in recordings() {
        let Case::Patient(behavior) = case else { continue };
        let refused = behavior == Behavior::Refused;
        let kind = if refused { "agent_auth_error_detected" } else { "transient_error_detected" };
        assert!(kinds(&recording.outcome.read).contains(&kind), "{cli} {version} {case}");
    }
}

/// Claude Code tries again for minutes; the wall clock then ends it before it has printed a result.
#[test]
fn a_round_of_claude_that_ends_among_its_retries_tells_why() {
    let expected = [
        (Behavior::Overloaded, "transient_error_detected"),
        (Behavior::Broken, "transient_error_detected"),
        (Behavior::Limited, "transient_error_detected"),
        (Behavior::Refused, "agent_auth_error_detected"),
    ];
    let of_it = recordings().into_iter().filter(|((cli, ..), _)| cli == "claude");
    let mut tried = 0;
    for ((cli, version, case), recording) in of_it {
        let Some((_, kind)) = expected.iter().find(|(behavior, _)| case == Case::Provider(*behavior)) else {
            continue;
        };
        let text = String::from_utf8(recording.log).unwrap();
        // Some versions do not try again at once.
        let Some((before, _)) = text.rsplit_once("\"api_retry\"") else { continue };
        let begun = before.rfind('\n').map_or(0, |at| at + 1);
        let end = text[begun..].find('\n').map_or(text.len(), |at| begun + at);
        let outcome =
            Outcome { exit_code: 143, exit_cause: "timeout".into(), timed_out: true, ..recording.outcome };
        let found = read(&cli, &text.as_bytes()[..end], &outcome).unwrap();
        assert_eq!(kinds(&found), [*kind], "{version} {case}");
        tried += 1;
    }
    assert!(tried >= expected.len(), "only {tried} recordings");
}

#[test]
fn recordings_are_small_and_name_no_machine() {
    for ((cli, version, case), recording) in recordings() {
        assert!(recording.log.len() < LOG_MAX, "{cli} {version} {case}");
        let text = String::from_utf8_lossy(&recording.log).into_owned();
        for secret in ["/tmp/agent-runner", "/var/cache", "mock-key-of-nobody"] {
            assert!(!text.contains(secret), "{cli} {version} {case} has {secret}");
        }
    }
}

#[test]
fn the_table_of_docs_agents_is_made_from_the_recordings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/agents.md");
    let kept = fs::read_to_string(&path).unwrap();
    let now = renewed(&kept).unwrap();
    if std::env::var_os("AGENT_RUNNER_WRITE_DOCS").is_some() {
        fs::write(&path, &now).unwrap();
    } else {
        assert_eq!(kept, now, "docs/agents.md is stale: run this test with AGENT_RUNNER_WRITE_DOCS=1");
    }
}
