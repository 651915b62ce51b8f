use std::fs;
use std::os::unix::fs::PermissionsExt;

use agent_runner::event::{KINDS, Writer};
use agent_runner::serve::history::History;
use agent_runner::store::record::Record;
use jiff::Timestamp;
use serde_json::Value;

use super::inherited::Inherited;

/// The last round of the Python program, killed under way: only its `round-8.log` tells of it.
const LAST: i64 = 8;

fn keys(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

/// Asserts that every key of theirs is a key of ours, which may have more.
fn has_keys(ours: &Value, theirs: &Value, what: &str) {
    let missing: Vec<_> = keys(theirs).into_iter().filter(|key| !keys(ours).contains(key)).collect();
    assert!(missing.is_empty(), "{what}: {missing:?}");
}

/// The names of a line's fields, in their order.
fn fields(line: &str) -> (String, Vec<String>) {
    let record = Record::parse(line.as_bytes()).unwrap();
    (record.kind, record.fields.into_iter().map(|(name, _)| name).collect())
}

/// Asserts that every later line has the fields of an earlier line of its kind, and returns how many there were to
/// compare.
fn same_fields(lines: &[String], theirs: usize) -> usize {
    let known: Vec<_> = lines[..theirs].iter().map(|line| fields(line)).collect();
    let mut compared = 0;
    for line in &lines[theirs..] {
        let (kind, ours) = fields(line);
        let of_kind: Vec<_> = known.iter().filter(|(name, _)| *name == kind).map(|(_, keys)| keys).collect();
        // Ours may add fields at the end.
        let begins = |keys: &&Vec<String>| ours.starts_with(keys);
        assert!(of_kind.is_empty() || of_kind.iter().any(begins), "{kind}: {ours:?}, not {of_kind:?}");
        compared += usize::from(!of_kind.is_empty());
    }
    compared
}

#[test]
fn the_next_round_has_the_next_number_and_phase_and_knows_the_orphan() {
    let project = Inherited::left_ago(3600);
    let orphan = project.said("peek.json")["orphan"]["stashed_ref"].as_str().unwrap().to_owned();
    project.act("work");
    let done = project.run(&["serve", "--once"]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let events = project.events();
    let start = events.iter().rev().find(|event| event.kind == "round_start").unwrap();
    assert_eq!((start.round_num(), start.str("phase")), (Some(LAST + 1), Some("build")));
    let context: Value =
        serde_json::from_slice(&fs::read(project.layout().round_context()).unwrap()).unwrap();
    assert_eq!(context["orphan_stash"]["ref"], orphan.as_str());
    assert_eq!(context["previous"]["exit_code"], 0);
    assert_eq!(context["previous"]["had_dirty_tree"], true);
    // The stash is in the repository, and a round that ends with a clean tree has nothing more to claim.
    assert_eq!(project.git(&["cat-file", "-t", &orphan]), "commit");
    assert!(!project.layout().orphan_state().exists());
    let status: Value = serde_json::from_slice(&fs::read(project.layout().status()).unwrap()).unwrap();
    assert_eq!(status["round_num"], LAST + 1);
    // What the dead Loop and its round left is gone: pid file, holder.
    assert!(!project.layout().serve_pid().exists() && !project.layout().round_lock_holder().exists());
}

#[test]
fn the_throttle_it_recorded_is_waited_for() {
    let project = Inherited::left_ago(2);
    project.configure("\"back_off\"", "\"stop\"");
    let before = project.lines().len();
    let done = project.run(&["serve"]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let events = project.events();
    let ended = events.last().unwrap();
    assert_eq!((ended.kind.as_str(), ended.str("reason")), ("agent_self_terminated", Some("rate_limit")));
    assert!(events[before..].iter().all(|event| event.kind != "round_start"));
}

#[test]
fn status_says_what_it_said_and_the_throttle_ends_when_it_said() {
    let project = Inherited::left_ago(2);
    assert_eq!(project.json(&["status"]), project.said("status.json"));
    let mut history = History::default();
    project.lines().iter().for_each(|line| history.apply_line(line.as_bytes()));
    let until = project.said("peek.json")["service"]["rate_limit"]["throttled_until_epoch"].as_i64().unwrap();
    let active = history.throttles.active(None, Timestamp::now()).unwrap();
    assert_eq!(active.effective_reset(Timestamp::now()), until + project.moved_s);
}

#[test]
fn peek_says_what_it_said() {
    let project = Inherited::left_ago(2);
    for (name, arguments) in [
        ("peek.json", &["peek"][..]),
        ("peek-round.json", &["peek", "--round", "latest", "--log", "--events", "12"]),
    ] {
        let (theirs, ours) = (project.said(name), project.json(arguments));
        has_keys(&ours, &theirs, name);
        for part in
            ["schema_version", "project", "status", "orphan", "recent_hook_failures", "schedule", "brake"]
        {
            assert_eq!(ours[part], theirs[part], "{name} {part}");
        }
        for part in ["system", "service", "plugins"] {
            has_keys(&ours[part], &theirs[part], part);
        }
        has_keys(&ours["defenses"][0], &theirs["defenses"][0], "defenses");
        let mut limit = theirs["service"]["rate_limit"].clone();
        limit["throttled_until_epoch"] =
            (limit["throttled_until_epoch"].as_i64().unwrap() + project.moved_s).into();
        assert_eq!(ours["service"]["rate_limit"], limit, "{name}");
        for list in ["recent_events", "recent_blips"] {
            let without_time = |value: &Value| {
                let list = value[list].as_array().unwrap().clone();
                list.into_iter()
                    .map(|mut event| {
                        for moved in ["ts", "reset_at_epoch"] {
                            event.as_object_mut().unwrap().remove(moved);
                        }
                        event
                    })
                    .collect::<Vec<_>>()
            };
            assert_eq!(without_time(&ours), without_time(&theirs), "{name} {list}");
        }
    }
    let (theirs, ours) =
        (project.said("peek-round.json"), project.json(&["peek", "--round", "latest", "--log"]));
    has_keys(&ours["current_round"], &theirs["current_round"], "current_round");
    for part in ["round_num", "phase", "exit_code", "timed_out", "log_path", "log_tail"] {
        assert_eq!(ours["current_round"][part], theirs["current_round"][part], "{part}");
    }
}

#[test]
fn its_events_are_told_unchanged() {
    let project = Inherited::left_ago(3600);
    let lines = project.lines();
    let since = project.events()[0].time().unwrap();
    let done =
        project.run(&["events", "--kind", "agent_exit,agent_network_blip", "--since", &since.to_string()]);
    let wanted: String = lines
        .iter()
        .filter(|line| {
            line.contains("\"event\": \"agent_exit\"") || line.contains("\"event\": \"agent_network_blip\"")
        })
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(String::from_utf8(done.stdout).unwrap(), wanted);
    assert_eq!(wanted.lines().count(), 8);
}

#[test]
fn an_agent_that_reported_use_to_it_is_expected_to_go_on() {
    let project = Inherited::left_ago(3600);
    project.act("nothing");
    let done = project.run(&["serve"]);
    assert_eq!(done.status.code(), Some(75), "{}", String::from_utf8_lossy(&done.stderr));
    let told = project.events().into_iter().rev().find(|event| event.kind == "stalled_no_progress").unwrap();
    assert_eq!(told.int("consecutive"), Some(5));
}

#[test]
fn its_memory_episodes_count() {
    // A loop ended for memory is nothing that can be had on demand: two lines as it writes them.
    let now: jiff::Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
    let mut history = History::default();
    for at in ["2026-05-01T10:30:00.000Z", "2026-05-01T11:30:00.000Z"] {
        let line = format!(
            "{{\"ts\": \"{at}\", \"event\": \"mem_loop\", \"consecutive\": 5, \"exit_code\": 137, \"reason\": \"\"}}\n"
        );
        history.apply_line(line.as_bytes());
    }
    assert_eq!(history.recent_mem_loops(now), 2);
}

#[test]
fn our_events_have_the_fields_of_its_events() {
    let project = Inherited::left_ago(3600);
    let theirs = project.lines().len();
    // The throttle of an overloaded round would have to be waited for, so it comes last.
    for act in ["work", "network", "dirty", "overloaded"] {
        project.act(act);
        project.run(&["serve", "--once"]);
    }
    assert!(same_fields(&project.lines(), theirs) > 25);
    let samples = project.samples();
    assert_eq!(same_fields(&samples, samples.len() - 8), 8);
}

#[test]
fn our_files_are_its_files_with_its_modes() {
    let project = Inherited::left_ago(3600);
    // Numbers and stamps are not what a name means.
    let seen = || {
        let mut seen = std::collections::BTreeMap::new();
        for dir in [project.layout().root().to_owned(), project.layout().rounds_dir()] {
            for entry in
                fs::read_dir(dir).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != ".notify")
            {
                let name = entry.file_name().into_string().unwrap().replace(|c: char| c.is_ascii_digit(), "");
                let mode = entry.path().symlink_metadata().unwrap().permissions().mode() & 0o777;
                seen.insert(name, mode);
            }
        }
        seen
    };
    let theirs = seen();
    for act in ["work", "dirty"] {
        project.act(act);
        assert_eq!(project.run(&["serve", "--once"]).status.code(), Some(0));
    }
    for (name, mode) in seen() {
        assert!(theirs.contains_key(&name), "{name}");
        // What is replaced is the owner's alone, whatever the umask; a checkout does not keep modes to compare with.
        if ["status.json", "round-context.json", "orphan-state.json"].contains(&name.as_str()) {
            assert_eq!(mode, 0o600, "{name}");
        }
    }
}

#[test]
fn every_kind_it_has_is_ours_with_its_fields_in_their_order() {
    let text = include_str!("../../../tests/fixtures/python-0.3.14/kinds.txt");
    for line in text.lines() {
        let mut words = line.split(' ');
        let (name, writer) = (words.next().unwrap(), words.next().unwrap());
        let kind = KINDS.iter().find(|kind| kind.name == name).unwrap_or_else(|| panic!("{name} is missing"));
        let writers = match kind.writer {
            Writer::Round => "R",
            Writer::Serve => "S",
            Writer::RoundAndServe => "R,S",
            Writer::Monitor => "M",
            Writer::Upgrade => "U",
            Writer::Relay => "C",
            Writer::Any => "any",
        };
        assert_eq!(writers, writer, "{name}");
        let theirs: Vec<&str> = words.collect();
        for (index, field) in theirs.iter().enumerate() {
            let (name, spec) = field.split_once(':').unwrap();
            let (ours, of_type) = kind.fields[index];
            assert_eq!(ours.trim_start_matches("r#"), name, "{line}");
            assert_eq!(of_type.starts_with("Absent"), spec.contains('~'), "{line}: {name}");
            assert_eq!(of_type.contains("Option<"), spec.contains('?'), "{line}: {name}");
            let wanted: &[&str] = match &spec[..1] {
                "i" => &["i64"],
                "f" => &["f64"],
                "s" => &["String"],
                "b" => &["bool"],
                "l" => &["Vec<"],
                _ => &["Map<String", "Value"],
            };
            assert!(wanted.iter().any(|part| of_type.replace(' ', "").contains(part)), "{line}: {of_type}");
        }
        // Fields of ours come last and may be absent.
        for (name, of_type) in &kind.fields[theirs.len()..] {
            assert!(of_type.starts_with("Absent"), "{line}: {name}");
        }
    }
    assert_eq!(text.lines().count(), 71);
}
