//! Projects of the system, of a login and without systemd; with sudo and without.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use agent_runner_tests::fleet::{Controller, PROMPT, lab_fleet};
use agent_runner_tests::lab::{Host, HostOptions, Lab, Sudo};
use agent_runner_tests::run::run;
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::wait;

use super::deployed::{ROUNDS, deploy_changes, next_good_round, statuses};

fn fleet_with(sudo: Sudo) -> Option<(Lab, Controller)> {
    let lab = or_skip(Lab::up_with(&[HostOptions { sudo, ..HostOptions::default() }]))?;
    let controller = lab_fleet(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test"), &lab).unwrap();
    Some((lab, controller))
}

fn scope(controller: &Controller, scope: &str) {
    controller.replace("fleet.toml", "scope = \"user\"", &format!("scope = {scope:?}")).unwrap();
}

fn root_says(host: &Host, command: &str) -> String {
    host.root(command).unwrap().checked().unwrap()
}

fn changes_nothing(controller: &Controller) {
    let again = controller.run(&["deploy", "--json"]).unwrap();
    assert_eq!((again.code(), statuses(&again)), (0, vec!["ok".to_owned()]), "{}", again.stdout);
}

#[test]
fn a_project_of_the_system_runs_as_the_login_goes_back_and_is_uninstalled() {
    let Some((lab, controller)) = fleet_with(Sudo::Passwordless) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    scope(&controller, "system");
    let refused = controller.run(&["deploy"]).unwrap();
    assert_eq!(refused.code(), 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("--become"), "{}", refused.stderr);
    controller.replace("fleet.toml", "[groups.lab]\n", "[groups.lab]\nbecome = true\n").unwrap();
    deploy_changes(&controller, 1);
    let unit = "agent-runner@demo.service";
    assert_eq!(host.state_of_system(unit).unwrap(), "active");
    assert_eq!(root_says(host, &format!("systemctl show --property User --value {unit}")), "ops");
    assert_eq!(host.says("stat -c %U demo/agent-runner.toml demo/prompts/main.md").unwrap(), "ops\nops");
    assert!(
        root_says(host, "readlink -f /usr/local/bin/agent-runner")
            .starts_with("/usr/local/lib/agent-runner/")
    );
    // What was uploaded for root is nobody's any more.
    assert_eq!(host.says("find .local/share/agent-runner 2>/dev/null || true").unwrap(), "");
    next_good_round(host);
    changes_nothing(&controller);

    controller.write("prompts/main.md", &format!("{PROMPT}Release two.\n")).unwrap();
    deploy_changes(&controller, 1);
    let back = controller.run(&["rollback", "--json"]).unwrap();
    assert_eq!(back.code(), 0, "{}\n{}", back.stdout, back.stderr);
    assert_ne!(host.says("tail -1 demo/prompts/main.md").unwrap(), "Release two.");
    let locked = controller.run(&["lock", "--reason", "quiet"]).unwrap();
    assert_eq!(locked.code(), 0, "{}", locked.stderr);
    assert_eq!(controller.run(&["deploy"]).unwrap().code(), 75);
    assert_eq!(controller.run(&["unlock"]).unwrap().code(), 0);

    let status = controller.run(&["status", "--json"]).unwrap();
    assert_eq!(status.json_lines().unwrap()[0]["service"]["active"], true, "{}", status.stdout);
    // A round that takes its time keeps its unit.
    let gone = || controller.run(&["uninstall"]).unwrap().code() == 0;
    assert!(wait::until(ROUNDS, gone), "{}", controller.run(&["uninstall"]).unwrap().stderr);
    assert_ne!(host.root(&format!("systemctl is-active {unit}")).unwrap().code(), 0, "{}", host.newest(5));
    assert_eq!(root_says(host, "ls /etc/systemd/system | grep -c agent-runner || true"), "0");
}

#[test]
fn a_tracked_prompt_that_root_places_during_a_round_outlives_the_rounds_stash() {
    let Some((lab, controller)) = fleet_with(Sudo::Passwordless) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    scope(&controller, "system");
    controller.replace("fleet.toml", "[groups.lab]\n", "[groups.lab]\nbecome = true\n").unwrap();
    let script = "#!/bin/sh\necho $$ >>/home/ops/pids\nwhile [ ! -e /home/ops/end ]; do sleep 0.1; done\n\
                  echo dirt >>dirt\nsleep 0.2\n";
    host.put("/home/ops/.local/bin/claude", script.as_bytes(), 0o755).unwrap();
    host.says(
        "mkdir demo/prompts && echo old >demo/prompts/main.md && cd demo && git add . && git commit -qm old",
    )
    .unwrap();
    deploy_changes(&controller, 1);
    let rounds = || host.says("cat pids 2>/dev/null | wc -l").map_or(0, |lines| lines.parse().unwrap());
    assert!(wait::until(ROUNDS, || rounds() == 1), "{}", host.newest(5));
    controller.write("prompts/main.md", &format!("{PROMPT}Release two.\n")).unwrap();
    for line in [&["deploy", "--check", "--diff"][..], &["deploy", "--diff"]] {
        let output = controller.run(line).unwrap();
        assert_eq!((output.code(), rounds()), (0, 1), "{}", output.stderr);
        assert!(output.stdout.contains("\n    +Release two.\n"), "{line:?}: {}", output.stdout);
    }
    assert_eq!(host.says("find demo/.git ! -user ops -o -name '*.scratch*'").unwrap(), "");
    host.says("touch end").unwrap();
    assert!(wait::until(ROUNDS, || rounds() > 1), "{}", host.newest(5));
    assert!(host.says("git -C demo stash list").unwrap().contains("ORPHAN R1"), "{}", host.newest(5));
    // Every round leaves dirt and is stashed; what is tracked is away for a moment each time.
    let prompt = || host.says("tail -1 demo/prompts/main.md").unwrap();
    assert!(wait::until(ROUNDS, || prompt() == "Release two."), "{}", prompt());
}

#[test]
fn a_sudo_that_asks_gets_the_password_once_and_a_wrong_one_is_told() {
    let Some((lab, controller)) = fleet_with(Sudo::ByPassword) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    root_says(host, "echo \"ops:s3 'cret\" | chpasswd");
    scope(&controller, "system");
    let asked = controller.home().join("asked");
    let with_password = |password: &str, arguments: &[&str]| {
        controller
            .write(
                "askpass",
                &format!("#!/bin/sh\necho asked >>{}\ncat <<'E'\n{password}\nE\n", asked.display()),
            )
            .unwrap();
        let program = controller.home().join("askpass");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = controller.command();
        command.args(arguments).env("SSH_ASKPASS", program).env("SSH_ASKPASS_REQUIRE", "force");
        run(&mut command, Duration::from_secs(180)).unwrap()
    };
    for verb in ["plan", "deploy"] {
        let unasked = controller.run(&[verb, "-b"]).unwrap();
        assert_eq!(unasked.code(), 2, "{}", unasked.stderr);
        let said = "failed: sudo wants a password there\n    hint: give it once with --ask-become-pass";
        assert!(unasked.stderr.contains(said), "{}", unasked.stderr);
        let wrong = with_password("wrong", &[verb, "-b", "-K"]);
        assert_eq!(wrong.code(), 2, "{}", wrong.stderr);
        assert!(wrong.stderr.contains("failed: sudo did not accept the password"), "{}", wrong.stderr);
    }
    let wrong = with_password("wrong", &["exec", "-b", "-K", "--", "id -u"]);
    assert_eq!(wrong.code(), 2, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("hint: sudo did not accept the password"), "{}", wrong.stderr);

    let root = with_password("s3 'cret", &["exec", "-b", "-K", "--", "id -u; wc -c"]);
    assert_eq!(root.code(), 0, "{}", root.stderr);
    // And nothing of the password is left on the command's own stdin.
    assert!(root.stdout.contains("  0\n  0\n"), "{}", root.stdout);
    fs::remove_file(&asked).unwrap();
    let deployed = with_password("s3 'cret", &["deploy", "-b", "-K", "--json"]);
    assert_eq!(deployed.code(), 0, "{}\n{}", deployed.stdout, deployed.stderr);
    assert_eq!(fs::read_to_string(&asked).unwrap(), "asked\n", "once a run");
    assert_eq!(host.state_of_system("agent-runner@demo.service").unwrap(), "active");
    next_good_round(host);
    // No log of the host has it.
    let told = "journalctl --no-pager; cat /var/log/auth.log 2>/dev/null || true";
    assert!(!root_says(host, told).contains("s3 'cret"));
}

#[test]
fn lingering_is_switched_on_where_sudo_allows_it_and_else_its_command_is_named() {
    for (sudo, lingers) in [(Sudo::Passwordless, "yes"), (Sudo::Refused, "no")] {
        let Some((lab, controller)) = fleet_with(sudo) else { return };
        let [host] = lab.hosts() else { panic!("one host") };
        root_says(host, "loginctl disable-linger ops");
        let output = controller.run(&["deploy"]).unwrap();
        assert_eq!(output.code(), 0, "{}", output.stderr);
        let linger = "test -e /var/lib/systemd/linger/ops && echo yes || echo no";
        assert_eq!(root_says(host, linger), lingers, "{}", output.stderr);
        let command = "sudo loginctl enable-linger ops";
        assert_eq!(output.stderr.contains(command), lingers == "no", "{}", output.stderr);
    }
}

#[test]
fn without_systemd_or_sudo_a_project_runs_detached() {
    let Some((lab, controller)) = fleet_with(Sudo::Refused) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    scope(&controller, "detached");
    deploy_changes(&controller, 1);
    next_good_round(host);
    assert_eq!(host.says("ls .config/systemd/user 2>/dev/null | wc -l").unwrap(), "0");
    changes_nothing(&controller);
    let stop = controller.run(&["kill"]).unwrap();
    assert_eq!(stop.code(), 0, "{}", stop.stderr);
}

#[test]
fn projects_of_the_system_and_of_the_login_are_not_mixed_on_one_host() {
    let Some((_lab, controller)) = fleet_with(Sudo::Refused) else { return };
    let fleet = std::fs::read_to_string(controller.home().join("fleet.toml")).unwrap();
    let more = "\n[projects.other]\non = \"lab\"\nwork_dir = \"~/other\"\nconfig = \"agent-runner.toml\"\n\
                service = { scope = \"system\" }\n";
    controller.write("fleet.toml", &format!("{fleet}{more}")).unwrap();
    let mixed = controller.run(&["plan"]).unwrap();
    assert_eq!(mixed.code(), 5, "{}", mixed.stderr);
    assert!(mixed.stderr.contains("other run under the system, demo under the login"), "{}", mixed.stderr);
    assert_eq!(controller.run(&["plan", "demo"]).unwrap().code(), 0);
}
