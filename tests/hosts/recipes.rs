//! Every command of `docs/recipes`, run in the order of its contents on four hosts; the first is `docs/quickstart.md`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use agent_runner_tests::fleet::Controller;
use agent_runner_tests::lab::{Host, Lab};
use agent_runner_tests::run::run;

use super::deployed::fleet_of;

/// The hosts' names in the recipes.
const NAMES: [&str; 4] = ["pi1", "pi2", "pi3", "pi4"];
const DEADLINE: Duration = Duration::from_secs(180);

/// One fenced block: what follows its opening, and its lines.
struct Block {
    info: String,
    lines: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(info) if !open => {
                blocks.push(Block { info: info.to_owned(), lines: Vec::new() });
                open = true;
            }
            Some(_) => open = false,
            None if open => blocks.last_mut().unwrap().lines.push(line.to_owned()),
            None => {}
        }
    }
    blocks
}

/// The recipes, in the order in which the page lists them.
fn recipes() -> Vec<(String, Vec<Block>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recipes");
    let contents = fs::read_to_string(folder.join("README.md")).unwrap();
    let names: Vec<String> = contents
        .lines()
        .filter_map(|line| Some(line.split_once("](")?.1.split_once(')')?.0.to_owned()))
        .collect();
    // The first is a page of its own, and the contents are no recipe.
    let there = fs::read_dir(&folder).unwrap().count();
    assert_eq!(names.len(), there, "a recipe is missing in the contents");
    names
        .into_iter()
        .map(|name| (name.clone(), blocks(&fs::read_to_string(folder.join(name)).unwrap())))
        .collect()
}

/// A home in which both programs are on PATH and the hosts are reached by the recipes' names.
fn home(lab: &Lab) -> Controller {
    let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
    fs::create_dir_all(controller.home().join("bin")).unwrap();
    for (name, program) in [
        ("agent-runner-fleet", env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")),
        ("agent-runner", env!("CARGO_BIN_EXE_agent-runner-under-test")),
    ] {
        symlink(program, controller.home().join("bin").join(name)).unwrap();
    }
    let mut config = String::new();
    for (name, host) in NAMES.iter().zip(lab.hosts()) {
        config.push_str(&format!(
            "Host {name}\n    HostName {}\n    User {}\n    IdentityFile {}\n    UserKnownHostsFile {}/.ssh/known_hosts\n",
            host.address(),
            host.user(),
            lab.key().display(),
            controller.home().display(),
        ));
    }
    controller.write(".ssh/config", &config).unwrap();
    lab.hosts().iter().for_each(prepare);
    controller
}

/// The agent CLI on PATH and the project's repository, as the first recipe wants them.
fn prepare(host: &Host) {
    host.root("install -m 755 /home/ops/.local/bin/claude /usr/local/bin/claude").unwrap().checked().unwrap();
    host.says("mv demo research").unwrap();
}

#[test]
fn recipes_do_what_they_say() {
    let Some((lab, _)) = fleet_of(NAMES.len()) else { return };
    let controller = home(&lab);
    let mut ran: BTreeMap<String, usize> = BTreeMap::new();
    for (name, blocks) in recipes() {
        for block in blocks {
            let text = format!("{}\n", block.lines.join("\n"));
            if let Some((_, file)) = block.info.split_once("file=") {
                controller.write(file, &text).unwrap();
            } else if let Some((_, file)) = block.info.split_once("edit=") {
                let (from, to) = text.trim_end().split_once('\n').unwrap();
                controller.replace(file, from, to).unwrap();
            } else {
                assert_eq!(block.info, "console", "{name}: an unknown block");
                for line in &block.lines {
                    does(&controller, &name, line);
                    *ran.entry(name.clone()).or_default() += 1;
                }
            }
        }
    }
    assert!(ran.values().all(|commands| *commands >= 3), "{ran:?}");
    for host in lab.hosts() {
        assert_eq!(host.state_of("agent-runner@research.service").unwrap(), "active");
        assert!(host.says("cat .config/agent-runner/research.env").unwrap().contains("the-new-key"));
    }
}

fn does(controller: &Controller, recipe: &str, line: &str) {
    let line = line.strip_prefix("$ ").unwrap_or_else(|| panic!("{recipe}: {line:?} is no command"));
    let (command, comment) = line.split_once("  # ").unwrap_or((line, ""));
    let code = comment.strip_prefix("ends with ").map_or(0, |rest| {
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse().unwrap()
    });
    // ssh and scp look into the passwd entry's home, not into $HOME.
    let config = controller.home().join(".ssh/config");
    let command =
        command.replacen("scp ", &format!("scp -F {} -o StrictHostKeyChecking=yes ", config.display()), 1);
    let path = format!(
        "{}:{}",
        controller.home().join("bin").display(),
        std::env::var_os("PATH").unwrap_or_default().to_string_lossy()
    );
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &command])
        .current_dir(controller.home())
        .env_clear()
        .env("PATH", path)
        .env("HOME", controller.home())
        .env("LANG", "C.UTF-8");
    let output = run(&mut shell, DEADLINE).unwrap();
    assert_eq!(output.code(), code, "{recipe}: {line}\n{}\n{}", output.stdout, output.stderr);
    assert!(!format!("{}{}", output.stdout, output.stderr).contains("the-new-key"), "{recipe}: {line}");
}
