//! What an operator gets wrong is said before any host is touched, with the place and the remedy.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use agent_runner_tests::fleet::CONFIG;

use crate::bench::Bench;

fn bench() -> Option<Bench> {
    Bench::new("box", "demo")
}

impl Bench {
    /// Insists on the exit code and that each text is in the message.
    fn fails(&self, arguments: &[&str], code: i32, said: &[&str]) {
        let output = self.controller.run(arguments).unwrap();
        assert_eq!(output.code(), code, "{}\n{}", output.command, output.stderr);
        for text in said {
            assert!(output.stderr.contains(text), "{text:?} is not in: {}", output.stderr);
        }
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    }

    /// Insists that nobody has even knocked.
    fn untouched(&self) {
        let log = self.sshd.log();
        assert!(!log.contains("Connection from"), "{log}");
    }

    /// Insists that nobody was let in.
    fn locked(&self) {
        let log = self.sshd.log();
        assert!(!log.contains("Accepted"), "{log}");
    }
}

#[test]
fn the_bench_itself_is_in_order() {
    let Some(bench) = bench() else { return };
    let output = bench.controller.run(&["ping", "--json"]).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    assert_eq!(output.json_lines().unwrap()[0]["result"], "ok");
}

#[test]
fn names_that_match_nothing_and_empty_selections_are_usage_errors() {
    let Some(bench) = bench() else { return };
    bench.fails(&["ping", "bix"], 5, &["bix", "box"]);
    bench.fails(&["ping", "web*"], 5, &["web*"]);
    bench.fails(&["ping", "box & !box"], 5, &["box & !box"]);
    bench.fails(&["ping", "--exclude", "box"], 5, &["no host"]);
    bench.fails(&["deploy", "nosuch"], 5, &["\"nosuch\"", "demo"]);
    bench.fails(&["deploy", "--limit", "@nosuch"], 5, &["nosuch"]);
    bench.fails(&["frobnicate"], 5, &["frobnicate"]);
    bench.untouched();
}

#[test]
fn a_missing_or_broken_inventory_is_named_with_file_and_line() {
    let Some(bench) = bench() else { return };
    bench.fails(&["ping", "--inventory", "none.toml"], 1, &["none.toml"]);
    bench.inventory("work_dir", "wrok_dir");
    bench.fails(&["deploy"], 1, &["fleet.toml:14:1", "wrok_dir", "work_dir"]);
    bench.inventory("wrok_dir = \"~/demo\"", "work_dir = \"~/demo");
    bench.fails(&["deploy"], 1, &["fleet.toml:14", "work_dir = \"~/demo"]);
    bench.untouched();
}

#[test]
fn a_broken_project_is_found_before_any_host_is_touched() {
    let Some(bench) = bench() else { return };
    let controller = &bench.controller;
    controller.replace("agent-runner.toml", "work_dir", "wrok_dir").unwrap();
    bench.fails(&["deploy"], 1, &["demo", "box", "agent-runner.toml:9", "wrok_dir", "work_dir"]);
    controller.write("agent-runner.toml", &CONFIG.replace("\"stdin\"", "\"stdin")).unwrap();
    bench.fails(&["deploy"], 1, &["agent-runner.toml:6"]);
    controller.write("agent-runner.toml", &CONFIG.replace("claude", "{{ host.vars.nosuch }}")).unwrap();
    bench.fails(&["deploy"], 1, &["agent-runner.toml: line 4: ", "host.vars.nosuch", "project demo on box"]);
    fs::remove_file(controller.home().join("agent-runner.toml")).unwrap();
    bench.fails(&["plan"], 1, &["cannot read", "agent-runner.toml"]);
    controller.write("agent-runner.toml", CONFIG).unwrap();
    bench.inventory("~/demo", "~/elsewhere");
    bench.fails(&["deploy"], 1, &["~/elsewhere", "/demo"]);
    bench.untouched();
    assert!(fs::read_dir(bench.sshd.home()).unwrap().next().is_none(), "the host's home is as it was");
}

#[test]
fn a_key_that_others_can_read_is_not_used_and_the_remedy_named() {
    let Some(bench) = bench() else { return };
    let key = bench.sshd.client_key();
    fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
    let path = key.display().to_string();
    let remedy = format!("hint: chmod 600 {path}");
    bench.fails(&["ping"], 4, &["box: unreachable: ", &path, "mode 0644", &remedy]);
    bench.fails(&["deploy"], 4, &["box: unreachable: ", "mode 0644", &remedy]);
    bench.locked();
}

#[test]
fn a_key_that_cannot_be_read_or_is_missing_or_none_is_named() {
    let Some(bench) = bench() else { return };
    // A folder cannot be read as a file by anybody, root included.
    let folder = bench.controller.home().join("folder");
    fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
    let folder = folder.display().to_string();
    bench.with_key(&folder);
    bench.fails(&["ping"], 4, &["box: unreachable: ", &folder, "cannot be read", "hint: "]);
    bench.inventory(&folder, "~/.ssh/nosuch");
    bench.fails(&["ping"], 4, &["/.ssh/nosuch: no such file", "hint: ssh-keygen"]);
    bench.controller.write("no-key", "not a key\n").unwrap();
    let none = bench.controller.home().join("no-key");
    fs::set_permissions(&none, fs::Permissions::from_mode(0o600)).unwrap();
    bench.inventory("~/.ssh/nosuch", none.to_str().unwrap());
    bench.fails(&["ping"], 4, &["/no-key: holds no private key"]);
    bench.locked();
}

#[test]
fn a_key_the_host_refuses_is_named_with_what_the_host_accepts() {
    let Some(bench) = bench() else { return };
    bench.with_strange_key();
    let said = ["box: unreachable: ", "stranger refused", "the host accepts publickey", "authorized_keys"];
    bench.fails(&["ping"], 4, &said);
    bench.locked();
}

#[test]
fn a_host_key_that_changed_is_refused_and_an_unknown_one_needs_trust() {
    let Some(mut bench) = bench() else { return };
    bench.sshd.change_host_keys().unwrap();
    bench.fails(&["ping"], 4, &["does not match the recorded one", "hint: "]);
    fs::write(bench.sshd.known_hosts(), "").unwrap();
    bench.fails(&["ping"], 4, &["is not known", "hint: agent-runner-fleet trust box"]);
    bench.locked();
}
