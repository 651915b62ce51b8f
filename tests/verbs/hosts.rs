use agent_runner_tests::fleet::Controller;

const FLEET: &str = r#"[fleet]
name = "attic"
[defaults]
user = "pi"
[groups.pis]
hosts = ["pi[1-3]"]
become = true
[groups.edge]
hosts = ["gate", "@pis"]
port = 2222
[hosts.pi2]
address = "10.0.0.2"
vars = { shard = 7 }
[hosts.alone]
"#;

fn controller() -> Controller {
    let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
    controller.write("fleet.toml", FLEET).unwrap();
    controller
        .write(".ssh/config", "Host pi*\n  User conf\n  ServerAliveInterval 7\n  Compression yes\n")
        .unwrap();
    controller
}

#[test]
fn one_host_shows_each_setting_and_who_says_so() {
    let controller = controller();
    let output = controller.run(&["hosts", "pi2"]).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    let lines: Vec<String> =
        output.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let home = controller.home().display();
    for expected in [
        "HostName 10.0.0.2 (hosts.\"pi2\" (fleet.toml:12))".to_owned(),
        "User pi (defaults (fleet.toml:4))".to_owned(),
        "Port 2222 (group edge (fleet.toml:10))".to_owned(),
        format!("IdentityFile {home}/.ssh/id_ed25519 (default)"),
        format!("ServerAliveInterval 7 ({home}/.ssh/config:3)"),
        format!(
            "Compression yes ({home}/.ssh/config:4) not followed: uploads are compressed where that helps, the connection is not"
        ),
        "become true (group pis (fleet.toml:7))".to_owned(),
        "vars.shard 7 (hosts.\"pi2\" (fleet.toml:13))".to_owned(),
        "groups: pis, edge".to_owned(),
        "projects: none".to_owned(),
    ] {
        assert!(lines.contains(&expected), "{expected}\n{}", output.stdout);
    }
    assert!(!output.stdout.contains("BatchMode"), "{}", output.stdout);
    let all = controller.run(&["hosts", "pi2", "--all"]).unwrap();
    assert!(all.stdout.contains("BatchMode"), "{}", all.stdout);
    let line = &controller.run(&["hosts", "pi2", "--json"]).unwrap().json_lines().unwrap()[0];
    let row = line["settings"].as_array().unwrap().iter().find(|row| row["keyword"] == "Port").unwrap();
    assert_eq!((&row["value"], &row["source"]), (&"2222".into(), &"group edge (fleet.toml:10)".into()));
}

#[test]
fn the_graph_shows_each_host_once_below_the_group_that_names_it() {
    let output = controller().run(&["hosts", "--graph"]).unwrap();
    assert_eq!(
        output.stdout, "attic\n  @edge (4)\n    @pis (3)\n      pi[1-3] (3)\n    gate\n  alone\n",
        "{}",
        output.stderr
    );
    let output = controller().run(&["hosts", "--graph", "pi1,alone"]).unwrap();
    assert_eq!(output.stdout, "attic\n  @edge (1)\n    @pis (1)\n      pi1\n  alone\n");
}

#[test]
fn a_wrong_selection_is_shown_with_a_mark_under_the_letter() {
    let output = controller().run(&["hosts", "pis & pi$1"]).unwrap();
    assert_eq!(output.code(), 5);
    let expected = "error: '$' is in no host's name and means nothing here\n  pis & pi$1\n          ^";
    assert!(output.stderr.contains(expected), "{}", output.stderr);
}
