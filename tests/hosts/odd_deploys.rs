//! Hosts that are not like others get a release, run rounds and are watched like others.

use agent_runner_tests::fleet::lab_fleet;
use agent_runner_tests::lab::{HostOptions, Lab};
use agent_runner_tests::skip::or_skip;

use super::deployed::{deploy_changes, next_good_round};

#[test]
fn odd_hosts_are_deployed_to_and_watched_like_others() {
    let options = [
        HostOptions { login_shell: "/usr/bin/fish".into(), umask: Some(0o77), ..HostOptions::default() },
        HostOptions { login_shell: "/bin/tcsh".into(), ..HostOptions::default() },
        HostOptions::default(),
    ];
    let Some(lab) = or_skip(Lab::up_with(&options)) else { return };
    let controller = lab_fleet(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test"), &lab).unwrap();
    let [fish, tcsh, inner] = lab.hosts() else { unreachable!("three were asked for") };
    let bare = "rm -f /usr/lib/openssh/sftp-server /bin/gzip /usr/bin/gzip";
    tcsh.root(bare).unwrap().checked().unwrap();
    let only = format!(
        "echo 'AllowUsers ops@{}' > /etc/ssh/sshd_config.d/10-from.conf && systemctl restart ssh",
        fish.address()
    );
    inner.root(&only).unwrap().checked().unwrap();
    let config = std::fs::read_to_string(controller.home().join(".ssh/config")).unwrap();
    let jump = format!("Host {}\n    ProxyJump {}\n{config}", inner.name(), fish.name());
    controller.write(".ssh/config", &jump).unwrap();

    deploy_changes(&controller, 3);
    // The host itself tells: the test's own way to it is shut.
    for host in [fish, tcsh] {
        next_good_round(host);
    }
    let watched = controller.run(&["monitor", "--json", "--for", "20"]).unwrap();
    assert_eq!(watched.code(), 0, "{}", watched.stderr);
    let lines = watched.json_lines().unwrap();
    for host in [fish, tcsh, inner] {
        let ended = |line: &&serde_json::Value| {
            line["host"] == host.name() && line["type"] == "event" && line["event"]["event"] == "agent_exit"
        };
        let exit = lines.iter().find(ended).unwrap_or_else(|| panic!("{}: {}", host.name(), watched.stdout));
        assert_eq!(exit["event"]["exit_code"], 0, "{exit}");
    }
    let again = controller.run(&["deploy", "--json"]).unwrap();
    let results: Vec<_> = again.json_lines().unwrap().iter().map(|line| line["result"].clone()).collect();
    assert_eq!(results, ["ok", "ok", "ok"], "{}", again.stdout);
}
