use agent_runner_tests::fleet::Controller;
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::sshd::{Sshd, SshdOptions};

#[test]
fn a_host_of_the_inventory_is_a_jump_with_settings_of_its_own() {
    let Some(gate) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let Some(inner) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
    let fleet = format!(
        "[fleet]\nname = \"jumps\"\n\n{}\n{}proxy_jump = \"gate\"\n",
        gate.inventory_host("gate"),
        inner.inventory_host("inner")
    );
    controller.write("fleet.toml", &fleet).unwrap();
    let output = controller.run(&["exec", "inner", "--", "echo", "$SSH_CONNECTION"]).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    let port = inner.port().to_string();
    assert!(output.stdout.trim_end().ends_with(&port), "{}", output.stdout);
    let way = format!("{0}@127.0.0.1:{1} -> {0}@127.0.0.1:{port}", gate.user(), gate.port());
    let checked = controller.run(&["ssh-check", "inner"]).unwrap();
    assert!(checked.stdout.contains(&way), "{way} is not in {}", checked.stdout);
    // Each server let in its own key, which the other does not know.
    assert!(gate.log().contains("Accepted publickey"), "{}", gate.log());
    assert!(inner.log().contains("Accepted publickey"), "{}", inner.log());
}

#[test]
fn a_jump_that_is_off_is_named() {
    let Some(mut gate) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let Some(inner) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
    let hosts =
        format!("{}\n{}proxy_jump = \"gate\"\n", gate.inventory_host("gate"), inner.inventory_host("inner"));
    controller.write("fleet.toml", &format!("[fleet]\nname = \"jumps\"\n\n{hosts}")).unwrap();
    gate.stop();
    let output = controller.run(&["ping", "inner"]).unwrap();
    assert_eq!(output.code(), 4);
    assert!(output.stderr.contains("gate") && output.stderr.contains("refused"), "{}", output.stderr);
    assert!(!inner.log().contains("Connection from"), "{}", inner.log());
}
