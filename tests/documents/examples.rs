//! Examples of files and messages: each is read by what reads it in earnest. A block comes here by its mark, which names
//! the test.

use std::path::Path;

use agent_runner::config::types::Config;
use agent_runner::event::KINDS;
use agent_runner::provider::preset::PresetFile;
use agent_runner_fleet::output::recap::{HostResult, Status};
use agent_runner_fleet::output::result_line::ResultLine;
use agent_runner_fleet::web::wish::Wish;
use agent_runner_inventory::Inventory;
use serde_json::{Map, Value};

use super::marks::marked;
use super::page::{Page, pages, spans};

/// Pages about `fleet.toml`, or the part of a page that is.
const ABOUT_THE_FLEET: [(&str, &str); 9] = [
    ("docs/fleet.md", ""),
    ("docs/inventory.md", ""),
    ("docs/scaling.md", ""),
    ("docs/dashboard.md", ""),
    ("docs/quickstart.md", ""),
    ("docs/recipes/change-a-prompt.md", ""),
    ("docs/recipes/upgrade-the-agent.md", ""),
    ("docs/recipes/rotate-a-credential.md", ""),
    ("docs/runbook.md", "\n## Fleet alerts\n"),
];

/// Where a setting of `fleet.toml` may stand.
const PLACES: [&str; 7] = [
    "[rollout]\n@",
    "[monitor]\n@",
    "[defaults]\n@",
    "[groups.g]\nhosts = [\"h\"]\n@",
    "[projects.p]\non = \"all\"\nwork_dir = \"~/p\"\nconfig = \"c\"\n@",
    "[projects.p]\non = \"all\"\nwork_dir = \"~/p\"\nconfig = \"c\"\nservice = { @ }",
    "[[sinks]]\ntype = \"webhook\"\nurl = \"https://example.org/\"\n@",
];

fn inventory(text: &str) -> Result<Inventory, String> {
    let head = if text.contains("[fleet]") { "" } else { "[fleet]\nname = \"example\"\n[hosts.h]\n" };
    Inventory::parse(&format!("{head}{text}"), Path::new("fleet.toml")).map_err(|error| error.to_string())
}

#[test]
fn examples_of_an_inventory_load() {
    for (at, text) in marked("examples_of_an_inventory_load") {
        assert_eq!(inventory(&text).err(), None, "{at}");
    }
}

#[test]
fn examples_of_a_configuration_load_without_a_warning() {
    for (at, text) in marked("examples_of_a_configuration_load_without_a_warning") {
        let loaded = Config::parse(&text, Path::new("/work/agent-runner.toml"), Some(Path::new("/home/ann")));
        let warnings = loaded.map(|loaded| loaded.warnings).map_err(|error| format!("{error:?}"));
        assert_eq!(warnings, Ok(Vec::new()), "{at}");
    }
}

#[test]
fn examples_of_a_condition_are_read_by_a_preset() {
    for (at, text) in marked("examples_of_a_condition_are_read_by_a_preset") {
        let file = format!("[provider]\nagent = \"example\"\n[[provider.error]]\n{text}");
        assert!(PresetFile::parse(&file).is_ok(), "{at}: {:?}", PresetFile::parse(&file));
        let broken = file.replace("when", "whenever");
        assert!(PresetFile::parse(&broken).is_err(), "{at} would be read whatever it says");
    }
}

#[test]
fn examples_of_an_event_have_the_fields_of_its_kind_in_their_order() {
    for (at, text) in marked("examples_of_an_event_have_the_fields_of_its_kind_in_their_order") {
        for line in text.lines() {
            let event: Map<String, Value> = serde_json::from_str(line).unwrap();
            let kind = KINDS.iter().find(|kind| event["event"] == kind.name);
            let fields = kind.unwrap_or_else(|| unreachable!("{at}: {}", event["event"])).fields;
            // The map sorts its keys; the line does not.
            let place = |name: &str| line.find(&format!("\"{name}\": ")).unwrap_or(usize::MAX);
            let names = ["ts", "event"].into_iter().chain(fields.iter().map(|(name, _)| *name));
            let places: Vec<usize> = names.map(place).collect();
            assert!(places.is_sorted() && !places.contains(&usize::MAX), "{at}: {line}");
            assert_eq!(places.len(), event.len(), "{at}: {line}");
        }
    }
}

#[test]
fn examples_of_a_result_are_written_as_every_verb_writes_them() {
    for (at, text) in marked("examples_of_a_result_are_written_as_every_verb_writes_them") {
        let line: Map<String, Value> = serde_json::from_str(&text).unwrap();
        let of = |key: &str| line[key].as_str().unwrap().to_owned();
        let result = HostResult::new(of("host"), Status::Unreachable, of("message")).hinted(of("hint"));
        assert_eq!(serde_json::to_string(&ResultLine::of(&result)).unwrap(), text.trim_end(), "{at}");
    }
}

#[test]
fn examples_of_an_action_are_taken_by_the_dashboard() {
    for (at, text) in marked("examples_of_an_action_are_taken_by_the_dashboard") {
        for line in text.lines() {
            assert_eq!(Wish::parse(line.as_bytes()).err(), None, "{at}: {line}");
        }
    }
}

/// The part of a page that is about `fleet.toml`.
fn about_the_fleet() -> Vec<Page> {
    let about = |mut page: Page| {
        let (_, begins) = ABOUT_THE_FLEET.iter().find(|(name, _)| *name == page.name)?;
        page.text = page.text.split_once(begins).map(|(_, rest)| rest.to_owned()).unwrap();
        Some(page)
    };
    let found: Vec<Page> = pages().into_iter().filter_map(about).collect();
    assert_eq!(found.len(), ABOUT_THE_FLEET.len());
    found
}

/// Whether a span (`rollout.drain`, `max_fail = 0`) is nothing that `fleet.toml` takes.
fn is_wrong(span: &str) -> bool {
    let is_name =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if let Some((name, _)) = span.split_once(" = ") {
        let fits = |place: &str| inventory(&place.replace('@', span)).is_ok();
        return is_name(name) && !PLACES.into_iter().any(fits);
    }
    match span.split_once('.') {
        Some((table @ ("rollout" | "monitor" | "defaults"), key)) if is_name(key) => {
            let error = inventory(&format!("[{table}]\n{key} = \"\"\n")).err();
            error.is_some_and(|error| error.contains("unknown key"))
        }
        _ => false,
    }
}

#[test]
fn pages_about_the_fleet_name_its_settings_as_the_inventory_does() {
    let mut looked_at = 0;
    for page in about_the_fleet() {
        for (line, span) in spans(&page.text) {
            looked_at += 1;
            assert!(!is_wrong(&span), "{}, line {line} of what is about the fleet: `{span}`", page.name);
        }
    }
    assert!(looked_at > 300, "only {looked_at} spans");
    for right in [
        "monitor.for_s",
        "rollout.drain",
        "max_fail = 0",
        "scope = \"system\"",
        "become = true",
        "fleet.toml",
        "README",
    ] {
        assert!(!is_wrong(right), "{right}");
    }
    for wrong in ["monitor.for", "rollout.drian", "max_fial = 0", "scope = \"sytem\"", "max_fail = \"many\""]
    {
        assert!(is_wrong(wrong), "{wrong}");
    }
}
