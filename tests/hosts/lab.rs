//! The hosts of the harness: what they are, what happens to them, and that nothing of them stays.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use agent_runner_tests::fake_agent::{self, Mode};
use agent_runner_tests::lab::{Host, HostOptions, Lab, Sudo, runs};
use agent_runner_tests::run::{checked, run};
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::wait;

const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id";

fn says(host: &Host, command: &str) -> String {
    host.ssh(command).unwrap().checked().unwrap()
}

fn answers(host: &Host) -> bool {
    let address = SocketAddr::from((host.address(), 22));
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// Whatever on this machine carries the name of a run.
fn traces(id: &str) -> Vec<String> {
    let folders = ["/run/netns", "/sys/class/net", "/run/agent-runner-lab", "/run/systemd/nspawn/propagate"];
    let groups = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
    let groups = groups.map(|top| format!("{top}/agent-runner-lab"));
    let entries =
        folders.map(str::to_owned).into_iter().chain(groups).flat_map(fs::read_dir).flatten().flatten();
    let mut found: Vec<String> = entries.map(|entry| entry.path().display().to_string()).collect();
    found.extend(fs::read_to_string("/proc/self/mounts").unwrap().lines().map(str::to_owned));
    let commands = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cmdline"));
    found.extend(commands.flat_map(fs::read_to_string));
    found.retain(|name| name.contains(id));
    found
}

#[test]
fn four_hosts_are_four_machines_with_a_user_manager_each() {
    let Some(lab) = or_skip(Lab::up(4)) else { return };
    let mut identities = Vec::new();
    for host in lab.hosts() {
        assert_eq!(says(host, "hostname"), host.name());
        assert_eq!(says(host, "systemctl --user is-system-running"), "running");
        assert_eq!(host.root("id -u").unwrap().checked().unwrap(), "0");
        identities.push(says(host, "cat /etc/machine-id /proc/sys/kernel/random/boot_id"));
    }
    identities.sort();
    identities.dedup();
    assert_eq!(identities.len(), 4);
}

#[test]
fn stopping_a_service_on_one_host_leaves_the_same_service_on_another_alone() {
    let Some(lab) = or_skip(Lab::up(2)) else { return };
    let [one, other] = lab.hosts() else { panic!("two hosts") };
    for host in [one, other] {
        says(host, "systemd-run --user --unit=work sleep 1000");
    }
    says(one, "systemctl --user stop work");
    assert_eq!(one.ssh("systemctl --user is-active work").unwrap().stdout.trim(), "inactive");
    assert_eq!(says(other, "systemctl --user is-active work"), "active");
}

#[test]
fn a_cut_cable_silences_a_host_until_it_is_plugged_in_again() {
    let Some(lab) = or_skip(Lab::up(1)) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    let boot_id = says(host, BOOT_ID);
    host.cut_cable().unwrap();
    assert!(!answers(host));
    assert!(host.is_on());
    assert_eq!(host.root(BOOT_ID).unwrap().checked().unwrap(), boot_id);
    host.plug_cable().unwrap();
    assert!(wait::until(wait::DEADLINE, || answers(host)));
    assert_eq!(says(host, BOOT_ID), boot_id);
}

#[test]
fn a_reboot_keeps_the_disk_and_brings_the_user_manager_back_by_itself() {
    let Some(lab) = or_skip(Lab::up(1)) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    let boot_id = says(host, BOOT_ID);
    says(host, "echo kept > kept");
    host.reboot().unwrap();
    assert_ne!(host.user_command(BOOT_ID).unwrap().checked().unwrap(), boot_id);
    assert_eq!(host.root("loginctl list-sessions --no-legend").unwrap().checked().unwrap(), "");
    assert_eq!(says(host, "cat kept; systemctl --user is-system-running"), "kept\nrunning");
}

#[test]
fn a_pulled_plug_ends_a_host_at_once_and_it_boots_again_from_its_disk() {
    let Some(lab) = or_skip(Lab::up(1)) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    says(host, "echo kept > kept");
    host.pull_plug().unwrap();
    assert!(!host.is_on() && !answers(host));
    assert!(host.root("true").is_err());
    host.boot().unwrap();
    assert_eq!(says(host, "cat kept"), "kept");
}

#[test]
fn sshd_can_be_stopped_and_its_key_changed() {
    let Some(lab) = or_skip(Lab::up(1)) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    host.stop_sshd().unwrap();
    let refused = host.ssh("true").unwrap();
    assert!(refused.stderr.contains("Connection refused"), "{}", refused.stderr);
    host.start_sshd().unwrap();
    assert_eq!(host.ssh("true").unwrap().code(), 0);
    let known = fs::read_to_string(lab.known_hosts()).unwrap();
    assert!(!known.contains(&host.change_host_key().unwrap()));
    let changed = host.ssh("true").unwrap();
    assert!(changed.stderr.contains("REMOTE HOST IDENTIFICATION HAS CHANGED"), "{}", changed.stderr);
}

#[test]
fn a_small_disk_can_be_filled() {
    let Some(lab) = or_skip(Lab::up(1)) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    assert!(host.fill_disk("/home/ops").is_err(), "only a small disk may be filled");
    host.mount_small_disk("/home/ops/work", 4).unwrap();
    says(host, "echo fits > work/file");
    host.fill_disk("/home/ops/work").unwrap();
    let output = host.ssh("echo more > work/another").unwrap();
    assert!(output.stderr.contains("No space left on device"), "{}", output.stderr);
}

#[test]
fn hosts_differ_as_their_options_say() {
    let options = [
        HostOptions { login_shell: "/usr/bin/fish".into(), umask: Some(0o77), ..HostOptions::default() },
        HostOptions {
            login_shell: "/bin/tcsh".into(),
            sshd_lines: vec!["MaxSessions 1".to_owned()],
            sudo: Sudo::Passwordless,
            ..HostOptions::default()
        },
    ];
    let Some(lab) = or_skip(Lab::up_with(&options)) else { return };
    let [fish, tcsh] = lab.hosts() else { panic!("two hosts") };
    assert_eq!(says(fish, "echo $FISH_VERSION | string sub -l 2; sh -c umask"), "3.\n0077");
    assert_eq!(says(fish, "systemd-run --user --quiet --wait --pipe sh -c umask"), "0077");
    assert!(says(tcsh, "echo $tcsh").starts_with("6."));
    assert_eq!(says(tcsh, "sudo -n id -u"), "0");
    assert_eq!(tcsh.root("sshd -T | grep maxsessions").unwrap().checked().unwrap(), "maxsessions 1");
    assert_ne!(fish.ssh("sudo -n id -u").unwrap().code(), 0);
}

#[test]
fn a_client_with_a_throw_away_home_reaches_the_hosts_by_name() {
    let Some(lab) = or_skip(Lab::up(1)) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    let home = tempfile::tempdir().unwrap();
    let config = lab.write_ssh_config(home.path()).unwrap();
    host.put("/home/ops/bin/tool", b"#!/bin/sh\nid -un\n", 0o755).unwrap();
    let arguments = ["-F", config.to_str().unwrap(), "-o", "BatchMode=yes", host.name(), "bin/tool"];
    assert_eq!(checked("ssh", &arguments, wait::DEADLINE).unwrap(), "ops");
}

#[test]
fn the_scripted_agent_works_on_a_host() {
    let Some(lab) = or_skip(Lab::up(1)) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    host.put("/home/ops/.local/bin/claude", fake_agent::SCRIPT.as_bytes(), 0o755).unwrap();
    says(host, "git init --quiet work");
    says(host, "cd work && ~/.local/bin/claude -p < /dev/null");
    assert_eq!(says(host, "git -C work log --format=%s"), "work: step 1");
    says(host, &fake_agent::mode_command("/home/ops/work", &[Mode::Auth, Mode::Work]));
    let failed = host.ssh("cd work && ~/.local/bin/claude -p < /dev/null").unwrap();
    assert_eq!(failed.code(), 1);
    assert!(failed.stdout.contains("\"api_error_status\":401"), "{}", failed.stdout);
    says(host, "cd work && ~/.local/bin/claude -p < /dev/null");
    assert_eq!(says(host, "git -C work rev-list --count HEAD"), "2");
}

#[test]
fn nothing_stays_of_a_run_that_ends() {
    let Some(lab) = or_skip(Lab::up(2)) else { return };
    let id = lab.id().to_owned();
    // What refuses SIGTERM, and what left its session.
    says(
        &lab.hosts()[0],
        "trap '' TERM; setsid sh -c \"trap '' TERM; sleep 1000; sleep 1000\" >/dev/null 2>&1 &",
    );
    lab.hosts()[1].mount_small_disk("/home/ops/work", 1).unwrap();
    assert!(!traces(&id).is_empty());
    lab.down().unwrap();
    assert_eq!(traces(&id), Vec::<String>::new());
}

#[test]
fn nothing_stays_of_a_run_whose_owner_is_killed() {
    use std::io::{BufRead as _, BufReader};
    // Says whether hosts can be had here, and builds what the other process needs.
    let Some(lab) = or_skip(Lab::up(0)) else { return };
    drop(lab);
    let mut owner = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["up", "1"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    let host = lines.into_iter().find(|line| line.starts_with("lab-")).unwrap();
    let id = host.split('-').nth(1).unwrap().to_owned();
    assert!(runs().unwrap().iter().any(|run| run.id() == id && run.has_owner()));
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(wait::until(wait::DEADLINE, || traces(&id).is_empty()), "{:?}", traces(&id));
}

#[test]
fn lab_without_a_verb_explains_itself() {
    let output = run(&mut Command::new(env!("CARGO_BIN_EXE_lab")), wait::DEADLINE).unwrap();
    assert_eq!(output.code(), 2);
    assert!(output.stdout.starts_with("usage: lab up NUMBER"));
}
