//! What the README and the runbook tell people to type first, typed as it is written there.

use agent_runner_tests::wait;

use super::by_hand::{bare_host, becomes, says};
use super::deployed::{ROUNDS, fleet_of, next_good_round};

const README: &str = include_str!("../../README.md");
const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// The lines of the first block behind a text, without what they say after a `#`.
fn block(page: &'static str, behind: &str) -> Vec<&'static str> {
    let (_, rest) = page.split_once(behind).unwrap_or_else(|| panic!("no page says {behind:?} any more"));
    let (_, rest) = rest.split_once("```").unwrap();
    let (block, _) = rest.split_once("\n```").unwrap();
    let lines: Vec<&str> =
        block.lines().skip(1).map(|line| line.split("  #").next().unwrap().trim()).collect();
    assert!(lines.len() >= 3, "{behind}: {lines:?}");
    lines
}

#[test]
fn a_device_is_set_up_by_hand_as_the_readme_says_and_looked_at_as_the_runbook_says() {
    let Some(lab) = bare_host() else { return };
    let host = &lab.hosts()[0];
    for line in block(README, "On a device, by hand") {
        says(host, line);
    }
    becomes(host, "active");
    next_good_round(host);
    for line in block(RUNBOOK, "Start with these three:") {
        says(host, line);
    }
    // What it has of other programs looks only.
    let looks = |span: &&str| ["git ", "ps ", "du "].iter().any(|program| span.starts_with(program));
    let looks: Vec<&str> = RUNBOOK.split('`').skip(1).step_by(2).filter(looks).collect();
    assert!(looks.len() >= 5, "{looks:?}");
    for command in looks {
        says(host, &command.replace("<log_dir>", "~/.agent-runner/demo/logs"));
    }
}

#[test]
fn a_fleet_is_set_up_as_the_readme_says() {
    let Some((lab, controller)) = fleet_of(1) else { return };
    // Nobody has been to the hosts yet, and the inventory is still to be written.
    controller.write(".ssh/known_hosts", "").unwrap();
    let mine = controller.home().join("mine.toml");
    std::fs::rename(controller.home().join("fleet.toml"), &mine).unwrap();
    for line in block(README, "On your machine, with hosts that you reach with `ssh`:") {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            // What it puts on PATH is the program under test.
            ["cargo", "install", ..] => {}
            ["agent-runner-fleet", "monitor"] => {
                let monitor = controller.start(&["monitor"]).unwrap();
                monitor.wait_for_text(ROUNDS, &format!("{}/demo round", lab.hosts()[0].name())).unwrap();
                monitor.interrupt();
                assert_eq!(monitor.wait(wait::DEADLINE).unwrap().code(), 0);
            }
            ["agent-runner-fleet", verb, ..] => {
                // There is no terminal on which somebody could say yes.
                let yes = if verb == "trust" { &["--yes"][..] } else { &[] };
                let output = controller.run(&[&words[1..], yes].concat()).unwrap();
                assert_eq!(output.code(), 0, "{line}: {}\n{}", output.stdout, output.stderr);
            }
            _ => panic!("nobody knows how to type {line:?}"),
        }
        if line.ends_with(" init") {
            // "put your hosts and projects into it"
            std::fs::rename(&mine, controller.home().join("fleet.toml")).unwrap();
        }
    }
    assert_eq!(lab.hosts()[0].unit_state().unwrap(), "active");
}
