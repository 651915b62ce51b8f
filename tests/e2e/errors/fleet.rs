//! What is wrong in the inventory, in a selection, in a project, in a question: found before any host is touched.

use agent_runner_tests::fleet::{CONFIG, Controller, PROMPT};

use super::{Entry, Places};

const PROGRAM: &str = env!("CARGO_BIN_EXE_agent-runner-fleet-under-test");

const FLEET: &str = r#"[fleet]
name = "attic"

[groups.pis]
hosts = ["pi[1-3]"]
user = "pi"

[projects.research]
on = "pis"
work_dir = "~/research"
config = "agent-runner.toml"
prompts = "prompts"
"#;

type Case = (&'static str, fn(&Controller), &'static [&'static str]);

const CASES: &[Case] = &[
    ("No inventory", |it| remove(it, "fleet.toml"), &["ping"]),
    ("An inventory that is no TOML", |it| inventory(it, "\"pi\"", "\"pi"), &["ping"]),
    ("A key of the inventory that does not exist", |it| inventory(it, "work_dir", "wrok_dir"), &["hosts"]),
    ("A value of the inventory of the wrong kind", |it| inventory(it, "\"pi\"", "7"), &["hosts"]),
    ("A range without its end", |it| inventory(it, "pi[1-3]", "pi[1-"), &["hosts"]),
    ("A range that runs backwards", |it| inventory(it, "pi[1-3]", "pi[3-1]"), &["hosts"]),
    ("A group that does not exist", |it| inventory(it, "pi[1-3]", "@rakc"), &["hosts"]),
    (
        "Groups that hold one another",
        |it| {
            inventory(
                it,
                "[projects.",
                "[groups.a]\nhosts = [\"@b\"]\n[groups.b]\nhosts = [\"@a\"]\n\n[projects.",
            )
        },
        &["hosts"],
    ),
    ("A project on nothing that exists", |it| inventory(it, "\"pis\"", "\"rack\""), &["plan"]),
    ("A port that is none", |it| inventory(it, "user = \"pi\"", "port = 99999"), &["hosts"]),
    ("A host that does not exist", |_| {}, &["ping", "pi4"]),
    ("A pattern that matches nothing", |_| {}, &["ping", "web*"]),
    ("A selection that does not end", |_| {}, &["ping", "pis & (pi1"]),
    ("A selection that is empty", |_| {}, &["ping", "pi1 & !pi1"]),
    ("Everything excluded", |_| {}, &["ping", "--exclude", "pis"]),
    ("The failed ones of a run that never was", |_| {}, &["ping", "--limit", "@failed"]),
    ("A project that does not exist", |_| {}, &["deploy", "reserach"]),
    ("A configuration with a typo", |it| config(it, "log_dir", "logdir"), &["deploy"]),
    ("A variable that does not exist", |it| config(it, "claude", "{{ host.vars.cli }}"), &["plan"]),
    ("A configuration that is not there", |it| remove(it, "agent-runner.toml"), &["plan"]),
    ("Prompts that are not there", |it| inventory(it, "\"prompts\"", "\"nosuch\""), &["plan"]),
    ("No command to run", |_| {}, &["exec", "pis"]),
    ("A script that is not there", |_| {}, &["exec", "pis", "--script", "nosuch.sh"]),
    ("An amount of time that is none", |_| {}, &["silence", "host=pi1", "--for", "soon"]),
    ("A matcher that is none", |_| {}, &["silence", "pi1", "--for", "1h"]),
    ("A selection where a matcher is meant", |_| {}, &["silence", "detector=hung", "--limit", "pi1"]),
    ("A silence that does not exist", |_| {}, &["silence", "--expire", "7"]),
    ("A fleet begun twice", |_| {}, &["init"]),
    ("Another tool's inventory that is not there", |_| {}, &["init", "--from-ansible", "hosts.ini"]),
    ("A run to go on with that never was", |_| {}, &["deploy", "--resume", "1-1"]),
    ("A dashboard at no address", |_| {}, &["monitor", "--serve", "here"]),
    ("A terminal that can draw nothing", |_| {}, &["watch"]),
    ("A verb that does not exist", |_| {}, &["depoly"]),
    ("An option that does not exist", |_| {}, &["deploy", "--forse"]),
];

fn inventory(controller: &Controller, from: &str, to: &str) {
    controller.replace("fleet.toml", from, to).unwrap();
}

fn config(controller: &Controller, from: &str, to: &str) {
    controller.replace("agent-runner.toml", from, to).unwrap();
}

fn remove(controller: &Controller, name: &str) {
    std::fs::remove_file(controller.home().join(name)).unwrap();
}

pub(super) fn entries() -> (Places, Vec<Entry>) {
    let mut places = Vec::new();
    let entries = CASES.iter().map(|(title, breaks, arguments)| {
        let controller = Controller::new(PROGRAM).unwrap();
        controller.write("fleet.toml", FLEET).unwrap();
        controller.write("agent-runner.toml", CONFIG).unwrap();
        controller.write("prompts/main.md", PROMPT).unwrap();
        breaks(&controller);
        let output = controller.run(arguments).unwrap();
        places.push((controller.home().display().to_string(), "/home/ann"));
        Entry { title, command: command_line(arguments), output }
    });
    let entries = entries.collect();
    (Places(places), entries)
}

/// Returns what a person would type: words with anything special in quotes.
pub(super) fn command_line(arguments: &[&str]) -> String {
    let word = |word: &&str| match word.contains([' ', '*', '!', '&', '(', '\'']) {
        true => format!("'{word}'"),
        false => (*word).to_owned(),
    };
    let words: Vec<String> = arguments.iter().map(word).collect();
    format!("agent-runner-fleet {}", words.join(" "))
}
