use agent_runner_tests::sshd::SshdOptions;

use super::loopback::loopback;

#[test]
fn each_setting_its_source_and_the_way_in_are_shown() {
    let options = SshdOptions { config_lines: vec!["MaxSessions 3".to_owned()], ..SshdOptions::default() };
    let Some(fleet) = loopback(2, options) else { return };
    let config = format!("{}    ForwardAgent yes\n    Compression yes\n", fleet.sshd.ssh_config("pi*"));
    fleet.controller.write(".ssh/config", &config).unwrap();
    let output = fleet.controller.run(&["ssh-check", "pi1"]).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    let key = fleet.sshd.client_key().display().to_string();
    let way = format!("way:      {}@{}", fleet.sshd.user(), fleet.sshd.addr());
    for expected in [
        format!("  {key}  ("),
        ".ssh/config:5)  honoured".to_owned(),
        ".ssh/config:8)  not applicable".to_owned(),
        ".ssh/config:9)  not followed: uploads are compressed where that helps".to_owned(),
        way,
        "host key: known: ssh-ed25519 SHA256:".to_owned(),
        format!("login:    key {key}"),
        "agreed:   curve25519-sha256".to_owned(),
    ] {
        assert!(output.stdout.contains(&expected), "{expected}\n{}", output.stdout);
    }
    assert!(!output.stdout.contains("BatchMode"), "{}", output.stdout);
    let lines = fleet.controller.run(&["ssh-check", "--json"]).unwrap().json_lines().unwrap();
    assert_eq!(lines.len(), 2);
    let row = |keyword: &str| {
        let rows = lines[1]["settings"].as_array().unwrap();
        rows.iter().find(|row| row["keyword"] == keyword).unwrap().clone()
    };
    assert_eq!(row("BatchMode")["is_default"], true);
    assert_eq!(row("Compression")["fate"], "not_followed");
    assert_eq!(lines[1]["connection"]["way"][0], format!("{}@{}", fleet.sshd.user(), fleet.sshd.addr()));
}

#[test]
fn what_files_cannot_settle_is_asked_of_ssh_and_remembered() {
    let Some(fleet) = loopback(2, SshdOptions::default()) else { return };
    let config = format!("Match exec \"true\"\n    ServerAliveInterval 7\n{}", fleet.sshd.ssh_config("pi*"));
    fleet.controller.write(".ssh/config", &config).unwrap();
    let output = fleet.controller.run(&["ssh-check", "pi2"]).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    assert!(output.stdout.contains("7  (ssh -G)  asked of ssh"), "{}", output.stdout);
    let kept = fleet.controller.home().join(".cache/agent-runner-fleet/ssh-g");
    assert_eq!(std::fs::read_dir(kept).unwrap().count(), 1);
}

#[test]
fn a_host_that_refuses_says_what_was_offered_and_keeps_its_settings() {
    let options =
        SshdOptions { config_lines: vec!["AuthorizedKeysFile none".to_owned()], ..SshdOptions::default() };
    let Some(mut fleet) = loopback(1, options) else { return };
    let output = fleet.controller.run(&["ssh-check"]).unwrap();
    assert_eq!(output.code(), 4);
    assert!(output.stdout.contains("host key: known\nlogin:    refused\n"), "{}", output.stdout);
    assert!(output.stderr.contains("was not let in: key "), "{}", output.stderr);
    fleet.sshd.change_host_keys().unwrap();
    let output = fleet.controller.run(&["ssh-check"]).unwrap();
    assert!(output.stdout.contains("host key: not the recorded one\nlogin:    none\n"), "{}", output.stdout);
}

#[test]
fn revoked_keys_of_the_configuration_are_refused() {
    let Some(fleet) = loopback(1, SshdOptions::default()) else { return };
    let key = fleet.sshd.host_key(agent_runner_tests::sshd::keys::KeyKind::Ed25519).unwrap();
    fleet.controller.write("revoked", &format!("# taken back\n{key}\n")).unwrap();
    let revoked = fleet.controller.home().join("revoked");
    let config = format!("{}    RevokedHostKeys {}\n", fleet.sshd.ssh_config("pi*"), revoked.display());
    fleet.controller.write(".ssh/config", &config).unwrap();
    let output = fleet.controller.run(&["ssh-check"]).unwrap();
    assert_eq!(output.code(), 4);
    assert!(output.stderr.contains(&format!("is revoked by {}:2", revoked.display())), "{}", output.stderr);
    fleet.controller.write("revoked", "").unwrap();
    assert_eq!(fleet.controller.run(&["ping"]).unwrap().code(), 0);
}
