//! What a plan shows and a deploy then does: two projects, a clone, overlays, templates, secrets, and what goes again.

use agent_runner_tests::fleet::{Controller, PROMPT, lab_fleet};
use agent_runner_tests::lab::{Host, HostOptions, Lab};
use agent_runner_tests::run::Output;
use agent_runner_tests::skip::or_skip;

use super::deployed::{deploy_changes, statuses};

const SECRETS: [&str; 2] = ["hunter2-in-env", "hunter2-in-vars"];

fn fleet() -> Option<(Lab, Controller)> {
    let loud = HostOptions { sshd_lines: vec!["LogLevel VERBOSE".to_owned()], ..HostOptions::default() };
    let lab = or_skip(Lab::up_with(&[loud.clone(), loud]))?;
    let controller = lab_fleet(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test"), &lab).unwrap();
    let vars = format!(
        "[groups.lab]\naccount = \"team\"\nvars = {{ token = {{ value = {:?}, secret = true }} }}\n",
        SECRETS[1]
    );
    controller.replace("fleet.toml", "[groups.lab]\n", &vars).unwrap();
    let second = "[projects.second]\non = \"lab\"\nwork_dir = \"~/second\"\nconfig = \"agent-runner.toml\"\n\
                  overlays = [\"second.toml\"]\nprompts = \"second\"\nenv_file = \"second.env\"\n\
                  repo = { url = \"/home/ops/origin.git\" }\nservice = { scope = \"user\", monitor = false }\n\n[rollout]\n";
    controller.replace("fleet.toml", "[rollout]\n", second).unwrap();
    controller.write("second.toml", "[runtime]\nround_budget_s = 55\n").unwrap();
    controller.write("second.env", &format!("TOKEN={}\n", SECRETS[0])).unwrap();
    controller.write("second/main.md", &format!("{PROMPT}On {{{{ host.name }}}}.\n")).unwrap();
    controller.write("second/secret.md", "Say {{ host.vars.token }} to nobody.\n").unwrap();
    for host in lab.hosts() {
        host.says("git clone --quiet --bare demo origin.git").unwrap();
    }
    Some((lab, controller))
}

fn tells_no_secret(output: &Output) {
    for secret in SECRETS {
        assert!(!output.stdout.contains(secret), "{}", output.stdout);
        assert!(!output.stderr.contains(secret), "{}", output.stderr);
    }
}

fn plan(controller: &Controller, code: i32) -> String {
    let plan = controller.run(&["plan", "--exit-code"]).unwrap();
    tells_no_secret(&plan);
    assert_eq!(plan.code(), code, "{}\n{}", plan.stdout, plan.stderr);
    plan.stdout
}

#[test]
fn a_plan_shows_what_a_deploy_then_does_and_no_secret() {
    let Some((lab, controller)) = fleet() else { return };
    let [host, _] = lab.hosts() else { panic!("two hosts") };
    let fresh = plan(&controller, 32);
    assert!(fresh.contains("second: create ~/second/prompts/secret.md"), "{fresh}");
    assert_eq!(host.says("ls -A .local/state/agent-runner 2>/dev/null | wc -l").unwrap(), "0");
    let deploy = controller.run(&["deploy"]).unwrap();
    tells_no_secret(&deploy);
    assert_eq!(deploy.code(), 0, "{}", deploy.stderr);
    let warning = "warning: second.env goes to several hosts of account team: ";
    assert!(deploy.stderr.contains(warning), "{}", deploy.stderr);
    assert_eq!(host.says("tail -1 second/prompts/main.md").unwrap(), format!("On {}.", host.name()));
    assert!(host.says("cat second/agent-runner.toml").unwrap().contains("round_budget_s = 55"));
    assert!(host.says("cat second/prompts/secret.md").unwrap().contains(SECRETS[1]));
    let modes = host.says("stat -c %a .config/agent-runner/second.env second/prompts/secret.md").unwrap();
    assert_eq!(modes, "600\n600");

    controller.write("second.env", &format!("TOKEN={}-newer\n", SECRETS[0])).unwrap();
    std::fs::remove_file(controller.home().join("second/secret.md")).unwrap();
    let changed = plan(&controller, 32);
    assert!(changed.contains("(secret, sha256 "), "{changed}");
    assert!(changed.contains("second: delete /home/ops/second/prompts/secret.md"), "{changed}");
    assert!(changed.contains(" (2): "), "both hosts are shown as one: {changed}");
    deploy_changes(&controller, 2);
    assert_eq!(host.says("ls second/prompts").unwrap(), "main.md");

    controller.replace("fleet.toml", "env_file = \"second.env\"\n", "").unwrap();
    assert!(plan(&controller, 32).contains("delete /home/ops/.config/agent-runner/second.env"));
    deploy_changes(&controller, 2);
    assert_eq!(host.says("ls .config/agent-runner").unwrap(), "");
    for command in [&["audit"][..], &["audit", "--json"], &["hosts", host.name()], &["hosts", "--json"]] {
        let output = controller.run(command).unwrap();
        assert_eq!(output.code(), 0, "{}", output.stderr);
        tells_no_secret(&output);
    }
    costs_one_login_and_one_command(&controller, host);
}

/// A deploy that changes nothing: one connection, one command on it.
fn costs_one_login_and_one_command(controller: &Controller, host: &Host) {
    let count = |what: &str| -> u32 {
        let said = host.root(&format!("journalctl --identifier sshd | grep -c '{what}'")).unwrap();
        said.stdout.trim().parse().unwrap()
    };
    let seen = || (count("Accepted publickey"), count("Starting session: "));
    let before = seen();
    let again = controller.run(&["deploy", "--json"]).unwrap();
    assert_eq!(statuses(&again), ["ok", "ok"], "{}", again.stdout);
    let after = seen();
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
}
