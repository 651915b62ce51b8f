use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use agent_runner_tests::sshd::SshdOptions;
use agent_runner_tests::wait;
use nix::sys::signal::Signal;

use super::loopback::{Loopback, SHELF, loopback};

/// A server with a project whose agent answers `peek` as the contract says, and a journal of three lines.
fn logging(count: usize) -> Option<(Loopback, PathBuf)> {
    logging_on(SshdOptions::default(), count)
}

fn logging_on(mut options: SshdOptions, count: usize) -> Option<(Loopback, PathBuf)> {
    let bin = tempfile::tempdir().unwrap().keep();
    options.session_lines.push(format!("PATH={}:$PATH", bin.display()));
    let fleet = loopback(count, options)?;
    fleet.add(SHELF);
    let rounds = fleet.sshd.home().join("logs/rounds");
    fs::create_dir_all(&rounds).unwrap();
    let latest = rounds.join("R2-20260102T030405.log");
    fs::write(rounds.join("R1-20260102T020000.log"), "an older round\n").unwrap();
    fs::write(&latest, "began\n2026-01-02T03:04:30Z halfway\nand on\n").unwrap();
    let agent = format!(
        "#!/bin/sh\ncase \"$*\" in *'--json peek --round latest'*) echo '{{\"log_path\":\"{}\"}}' ;; \
         *) echo \"unknown round\" >&2; exit 1 ;; esac\n",
        latest.display()
    );
    let journal = "#!/bin/sh\ncase \"$*\" in *'_SYSTEMD_USER_UNIT=agent-runner@shelf.service'*) ;; *) exit 1 ;; esac\n\
                   echo '1767323050.5 pi agent-runner[7]: round 2 begins'\n\
                   echo '1767323100.000001 pi agent-runner[7]: round 2 ok'\n\
                   case \"$*\" in *' -f '*) exec sleep 600 ;; esac\n";
    fleet.install(&agent);
    fs::write(bin.join("journalctl"), journal).unwrap();
    fs::set_permissions(bin.join("journalctl"), fs::Permissions::from_mode(0o755)).unwrap();
    Some((fleet, bin))
}

#[test]
fn rounds_and_journals_of_many_hosts_are_one_log_by_time() {
    let Some((fleet, bin)) = logging(2) else { return };
    let output = fleet.controller.run(&["logs"]).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    let lines: Vec<&str> = output.stdout.lines().collect();
    let of = |host: &str| -> Vec<String> {
        let name = format!(" {host}/shelf");
        lines.iter().filter(|line| line.contains(&name)).map(|line| line.replace(&name, "")).collect()
    };
    let expected = [
        "2026-01-02T03:04:05Z: began",
        "2026-01-02T03:04:10Z journal: agent-runner[7]: round 2 begins",
        "2026-01-02T03:04:30Z: halfway",
        "2026-01-02T03:04:30Z: and on",
        "2026-01-02T03:05:00Z journal: agent-runner[7]: round 2 ok",
    ];
    let expected: Vec<String> =
        expected.iter().map(|line| line.replace("Z: halfway", "Z: 2026-01-02T03:04:30Z halfway")).collect();
    assert_eq!(of("pi1"), expected);
    assert_eq!(of("pi2"), expected);
    let times: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let output = fleet.controller.run(&["logs", "pi1", "--json", "--source", "round", "-n", "1"]).unwrap();
    let line = &output.json_lines().unwrap()[0];
    assert_eq!(
        (&line["line"], &line["source"], &line["host"]),
        (&"and on".into(), &"round".into(), &"pi1".into())
    );
    let output = fleet.controller.run(&["logs", "--round", "7"]).unwrap();
    assert_eq!(output.code(), 2);
    assert!(output.stderr.contains("unknown round"), "{}", output.stderr);
    fs::remove_dir_all(bin).unwrap();
}

#[test]
fn following_goes_on_into_the_next_round_until_ctrl_c() {
    let Some((fleet, bin)) = logging(2) else { return };
    let run = fleet.controller.start(&["logs", "-f", "--forks", "1"]).unwrap();
    for expected in
        ["pi1/shelf: and on", "pi2/shelf: and on", "pi2/shelf journal: agent-runner[7]: round 2 ok"]
    {
        run.wait_for_text(wait::DEADLINE, expected).unwrap();
    }
    let next = fleet.sshd.home().join("logs/rounds/R3-20260102T040000.log");
    fs::write(next, "the third begins\n").unwrap();
    for expected in ["pi1/shelf: the third begins", "pi2/shelf: the third begins"] {
        run.wait_for_text(wait::DEADLINE, expected).unwrap();
    }
    run.signal(Signal::SIGINT);
    assert_eq!(run.wait(wait::DEADLINE).unwrap().code(), 130);
    let mark =
        format!("AGENT_RUNNER_TEST_SESSION={}", fleet.sshd.dir().file_name().unwrap().to_str().unwrap());
    let over = || agent_runner_tests::process::with_environment(&mark).is_empty();
    assert!(wait::until(wait::DEADLINE, over), "nothing is left running on the hosts");
    fs::remove_dir_all(bin).unwrap();
}

#[test]
fn one_channel_a_connection_is_enough_to_follow_rounds_and_journals() {
    let options = SshdOptions { config_lines: vec!["MaxSessions 1".to_owned()], ..SshdOptions::default() };
    let Some((fleet, bin)) = logging_on(options, 1) else { return };
    fleet.add("[projects.attic]\non = \"all\"\nwork_dir = \"~/other/shelf\"\nconfig = \"c.toml\"\n");
    let run = fleet.controller.start(&["logs", "-f"]).unwrap();
    for project in ["shelf", "attic"] {
        for expected in [": and on", " journal: agent-runner[7]: round 2 ok"] {
            run.wait_for_text(wait::DEADLINE, &format!("pi1/{project}{expected}")).unwrap();
        }
    }
    run.signal(Signal::SIGINT);
    assert_eq!(run.wait(wait::DEADLINE).unwrap().code(), 130);
    fs::remove_dir_all(bin).unwrap();
}

#[test]
fn a_journal_that_may_not_be_read_costs_no_rounds_and_is_not_the_agents_fault() {
    let Some((fleet, bin)) = logging(1) else { return };
    let words = "No journal files were opened due to insufficient permissions.";
    fs::write(bin.join("journalctl"), format!("#!/bin/sh\necho '{words}' >&2\nexit 1\n")).unwrap();
    let all = fleet.controller.run(&["logs"]).unwrap();
    assert_eq!((all.code(), all.stdout.lines().count()), (0, 3), "{}{}", all.stdout, all.stderr);
    let said = format!("pi1: shelf: journalctl ended with exit code 1, saying `{words}`");
    assert!(all.stderr.contains(&format!("warning: {said}; ")), "{}", all.stderr);
    assert!(all.stderr.contains("add that login to the group systemd-journal, or use -b"), "{}", all.stderr);
    let journal = fleet.controller.run(&["logs", "--source", "journal"]).unwrap();
    assert_eq!(journal.code(), 2);
    assert!(journal.stderr.contains("shelf: journalctl ended with exit code 1"), "{}", journal.stderr);
    assert!(!journal.stderr.contains("the agent"), "{}", journal.stderr);
    fs::remove_dir_all(bin).unwrap();
}
