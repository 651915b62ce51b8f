use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use agent_runner::provider::Presets;
use agent_runner_tests::mock_provider::{Behavior, CACHED_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS};
use agent_runner_tests::real_agents::case::Case;
use agent_runner_tests::real_agents::recording::{LOG_MAX, Recording, folder, read};
use agent_runner_tests::real_agents::table::{recorded, renewed};
use serde_json::{Value, json};

/// CLI, version and case of every recording.
fn recordings() -> BTreeMap<(String, String, Case), Recording> {
    let mut all = BTreeMap::new();
    for name in recorded().unwrap() {
        let (cli, version) = name.split_once('-').unwrap();
        for case in Case::all() {
            let recording = Recording::load(&folder().join(&name), case.name());
            let complete = ["claude", "codex", "gemini"].contains(&cli);
            assert!(recording.is_ok() || !complete, "{name}: {case} is missing");
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
    use Behavior::{AccountLimit, Broken, Forbidden, Limited, Overloaded, Refused, RefusedLater, Repeat};
    let expected = [
        (Refused, "agent_auth_error_detected"),
        (RefusedLater, "agent_auth_error_detected"),
        (Forbidden, "agent_auth_error_detected"),
        (AccountLimit, "transient_error_detected"),
        (Limited, "transient_error_detected"),
        (Broken, "transient_error_detected"),
        (Overloaded, "transient_error_detected"),
        (Repeat, "anomaly_repetitive_tool"),
    ];
    // Gemini CLI ends such a turn by itself.
    let untold = [("gemini", Repeat)];
    for ((cli, version, case), recording) in recordings() {
        for (behavior, kind) in expected {
            if case == Case::Provider(behavior) && !untold.contains(&(cli.as_str(), behavior)) {
                let read = &recording.outcome.read;
                assert!(kinds(read).contains(&kind), "{cli} {version} {case}: {read:?}");
            }
        }
    }
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
            assert_eq!(recording.outcome.also, ["session continues", "next round good"], "{cli} {version}");
            assert_eq!(read, ["agent_usage_recorded"], "{cli} {version}");
        }
    }
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
