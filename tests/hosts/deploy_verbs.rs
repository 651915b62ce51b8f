//! What belongs to a deploy: going back, pushing files alone, units alone, holding hosts still, and who did what.

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::fleet::{Controller, PROMPT};
use agent_runner_tests::lab::Host;
use agent_runner_tests::wait;
use serde_json::Value;

use super::by_hand::hanging;
use super::deployed::{
    ROUNDS, active, deploy_changes, deployed, fleet_of, next_good_round, result_of, statuses, text,
};

fn write_prompt(controller: &Controller, words: &str) {
    controller.write("prompts/main.md", &format!("{PROMPT}{words}\n")).unwrap();
}

fn last_line(host: &Host) -> String {
    host.says("tail -1 demo/prompts/main.md").unwrap()
}

#[test]
fn a_rollback_brings_the_release_before_back_on_every_host_and_again_forward() {
    let Some((lab, controller)) = fleet_of(2) else { return };
    deploy_changes(&controller, 2);
    let refused = controller.run(&["rollback", "--json"]).unwrap();
    assert_eq!((refused.code(), statuses(&refused)), (2, vec!["failed".to_owned(); 2]), "{}", refused.stderr);
    let result = result_of(&refused, &lab.hosts()[0]);
    assert!(text(&result["message"]).contains("no release before"), "{result}");

    write_prompt(&controller, "Release two.");
    controller.write("prompts/extra.md", "Only in release two.\n").unwrap();
    deploy_changes(&controller, 2);
    let planned = controller.run(&["rollback", "--check"]).unwrap();
    assert!(planned.stdout.contains("-Release two."), "{}", planned.stdout);
    assert!(planned.stdout.contains("delete /home/ops/demo/prompts/extra.md"), "{}", planned.stdout);
    assert_eq!(last_line(&lab.hosts()[0]), "Release two.");

    let back = controller.run(&["rollback", "--json"]).unwrap();
    assert_eq!((back.code(), statuses(&back)), (0, vec!["changed".to_owned(); 2]), "{}", back.stderr);
    for host in lab.hosts() {
        assert_ne!(last_line(host), "Release two.");
        assert_eq!(host.says("ls demo/prompts").unwrap(), "main.md");
        next_good_round(host);
    }
    let plan = controller.run(&["plan", "--exit-code"]).unwrap();
    assert_eq!(plan.code(), 32, "{}", plan.stderr);
    assert!(plan.stdout.contains(" (2): ") && plan.stdout.contains("+Release two."), "{}", plan.stdout);

    let forward = controller.run(&["rollback", "demo", "--json"]).unwrap();
    assert_eq!(forward.code(), 0, "{}", forward.stderr);
    assert_eq!(last_line(&lab.hosts()[1]), "Release two.");
    assert_eq!(controller.run(&["plan", "--exit-code"]).unwrap().code(), 0);
}

#[test]
fn a_push_touches_files_only_and_install_and_uninstall_units_only() {
    let Some((lab, controller)) = fleet_of(1) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    let early = controller.run(&["push", "--json"]).unwrap();
    assert_eq!(early.code(), 2, "{}", early.stderr);
    assert!(text(&result_of(&early, host)["hint"]).contains("deploy --limit"), "{}", early.stdout);

    deploy_changes(&controller, 1);
    let units = "ls .config/systemd/user | grep -c '^agent-runner.*service$' || true";
    assert_eq!(host.says(units).unwrap(), "1");
    write_prompt(&controller, "Pushed.");
    controller.replace("fleet.toml", "monitor = false", "monitor = true").unwrap();
    let push = controller.run(&["push", "--json"]).unwrap();
    assert_eq!((push.code(), statuses(&push)), (0, vec!["changed".to_owned()]), "{}", push.stderr);
    let what: Vec<String> = push.json_lines().unwrap()[0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| text(&change["what"]))
        .collect();
    assert_eq!((what, last_line(host).as_str()), (vec!["file".to_owned()], "Pushed."));
    assert_eq!(host.says(units).unwrap(), "1");
    assert_eq!(statuses(&controller.run(&["push", "--json"]).unwrap()), ["ok"]);

    write_prompt(&controller, "Not for install.");
    let install = controller.run(&["install", "--json"]).unwrap();
    assert_eq!((install.code(), statuses(&install)), (0, vec!["changed".to_owned()]), "{}", install.stderr);
    assert_eq!((host.says(units).unwrap().as_str(), last_line(host).as_str()), ("2", "Pushed."));
    assert_eq!(statuses(&controller.run(&["install", "--json"]).unwrap()), ["ok"]);
    write_prompt(&controller, "Pushed.");
    assert_eq!(controller.run(&["plan", "--exit-code"]).unwrap().code(), 0);

    host.set_mode(&[Mode::Hang]).unwrap();
    assert!(wait::until(ROUNDS, || hanging(host) == 1), "{}", host.newest(5));
    let drains = controller.run(&["uninstall", "--json"]).unwrap();
    assert_eq!(drains.code(), 2, "{}", drains.stderr);
    let result = result_of(&drains, host);
    assert!(text(&result["message"]).contains("demo still drains its round"), "{}", drains.stdout);
    assert!(text(&result["hint"]).contains("uninstall again"), "{}", drains.stdout);
    assert_eq!(host.says(units).unwrap(), "1", "the monitor's is gone");
    assert_eq!(controller.run(&["cancel"]).unwrap().code(), 0);
    host.set_mode(&[Mode::Sleep(1)]).unwrap();
    let uninstalled = || controller.run(&["uninstall", "--json"]).unwrap().code() == 0;
    assert!(wait::until(ROUNDS, uninstalled), "{}", host.newest(5));
    assert_eq!((host.says(units).unwrap().as_str(), host.unit_state().unwrap().as_str()), ("0", "inactive"));
    assert_eq!(last_line(host), "Pushed.");
    let again = controller.run(&["install", "--json"]).unwrap();
    assert_eq!(again.code(), 0, "{}\n{}", again.stdout, again.stderr);
    assert_eq!(active(&controller, &lab), [host.name()]);
    next_good_round(host);
}

#[test]
fn a_locked_fleet_takes_no_deploy_and_says_who_holds_it_and_why() {
    let Some((lab, controller)) = deployed(2) else { return };
    let [one, _] = lab.hosts() else { panic!("two hosts") };
    let locked = controller.run(&["lock", "--reason", "exams until noon", "--ttl", "1h"]).unwrap();
    assert_eq!(locked.code(), 0, "{}", locked.stderr);
    let twice = controller.run(&["lock", "--reason", "mine"]).unwrap();
    assert_eq!(twice.code(), 75, "{}", twice.stderr);

    write_prompt(&controller, "Release two.");
    let held = controller.run(&["deploy"]).unwrap();
    assert_eq!(held.code(), 75, "{}", held.stderr);
    let user = controller.run(&["exec", "--", "true"]).unwrap();
    assert_eq!(user.code(), 0, "a lock keeps nobody from looking");
    assert!(held.stderr.contains("holds it since 20") && held.stderr.contains(": exams until noon"));
    assert!(held.stderr.contains(&format!("agent-runner-fleet unlock {}", one.name())), "{}", held.stderr);
    let plan = controller.run(&["plan"]).unwrap();
    assert!(plan.code() == 0 && plan.stderr.contains("exams until noon"), "{}", plan.stderr);
    for verb in [&["push"][..], &["rollback"]] {
        assert_ne!(controller.run(verb).unwrap().code(), 0, "{verb:?}");
    }
    assert_ne!(last_line(one), "Release two.");

    let unlocked = controller.run(&["unlock", one.name()]).unwrap();
    assert_eq!(unlocked.code(), 0, "{}", unlocked.stderr);
    let half = controller.run(&["deploy", "--json"]).unwrap();
    assert_eq!((half.code(), statuses(&half)), (2, vec!["changed".to_owned(), "failed".to_owned()]));
    assert_eq!(controller.run(&["unlock"]).unwrap().code(), 0);
    let rest = controller.run(&["deploy", "--json"]).unwrap();
    assert_eq!((rest.code(), statuses(&rest)), (0, vec!["ok".to_owned(), "changed".to_owned()]));

    who_did_what_is_told(&controller, one);
}

fn who_did_what_is_told(controller: &Controller, one: &Host) {
    let audit = controller.run(&["audit", one.name(), "--json"]).unwrap();
    assert_eq!(audit.code(), 0, "{}", audit.stderr);
    let lines = audit.json_lines().unwrap();
    let results: Vec<String> = lines
        .iter()
        .filter(|line| line["kind"] == "host")
        .map(|line| text(&line["entry"]["result"]))
        .collect();
    assert_eq!(results, ["switched", "confirmed", "locked", "unlocked", "switched", "confirmed"]);
    let runs: Vec<String> = lines
        .iter()
        .filter(|line| line["kind"] == "run")
        .map(|line| format!("{} {}", text(&line["run"]["verb"]), line["run"]["exit"]))
        .collect();
    assert_eq!(&runs[..4], ["deploy 0", "lock 0", "lock 75", "deploy 75"], "{runs:?}");
    assert!(lines.iter().any(|line| line["entry"]["detail"] == "exams until noon"), "{}", audit.stdout);
    // Which key it was, on the host and here.
    let keys = |line: &Value| match line["kind"] == "host" {
        true => text(&line["entry"]["key"]),
        false => text(&line["run"]["ended"][one.name()]["key"]),
    };
    let deploys = ["switched", "confirmed", "locked", "unlocked"];
    let of_host = lines.iter().filter(|line| deploys.contains(&text(&line["entry"]["result"]).as_str()));
    let of_run = lines.iter().filter(|line| line["run"]["verb"] == "deploy" && line["run"]["exit"] == 0);
    let keys: Vec<String> = of_host.chain(of_run).map(keys).collect();
    assert!(keys.len() >= 7 && keys.iter().all(|key| key.starts_with("SHA256:")), "{keys:?}");
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    let locks = controller.run(&["audit", one.name(), "--kind", "locked,unlock"]).unwrap();
    assert_eq!(locks.stdout.lines().count(), 3, "{}", locks.stdout);
    assert!(locks.stdout.contains(&format!(" by {}  locked: exams until noon", keys[0])), "{}", locks.stdout);
    let recent = controller.run(&["audit", "--local", "--since", "2099-01-01T00:00:00Z"]).unwrap();
    assert_eq!((recent.code(), recent.stdout.as_str()), (0, ""));
}

#[test]
fn a_run_that_was_stopped_is_resumed_with_what_it_left_in_its_order() {
    let Some((lab, controller)) = fleet_of(3) else { return };
    let [first, broken, last] = lab.hosts() else { panic!("three hosts") };
    controller.replace("fleet.toml", "max_fail = \"100%\"", "max_fail = 0").unwrap();
    broken.says("mv .ssh/authorized_keys .ssh/none").unwrap();
    let stopped = controller.run(&["deploy", "--json", "--canary", "1"]).unwrap();
    // The other two are one batch.
    assert_eq!(stopped.code(), 4, "{}\n{}", stopped.stdout, stopped.stderr);
    let slow = controller.run(&["deploy", "nothing"]).unwrap();
    assert_eq!(slow.code(), 5, "{}", slow.stderr);
    assert_eq!(text(&result_of(&stopped, last)["result"]), "changed");

    let unknown = controller.run(&["deploy", "--resume", "nobody"]).unwrap();
    assert_eq!(unknown.code(), 5, "{}", unknown.stderr);
    let before = first.says("stat -c %z .local/state/agent-runner/audit.jsonl").unwrap();
    broken.root("mv /home/ops/.ssh/none /home/ops/.ssh/authorized_keys").unwrap().checked().unwrap();
    let resumed = controller.run(&["deploy", "--resume", "last", "--json"]).unwrap();
    assert_eq!((resumed.code(), statuses(&resumed)), (0, vec!["changed".to_owned()]), "{}", resumed.stderr);
    assert_eq!(text(&result_of(&resumed, broken)["result"]), "changed");
    assert_eq!(first.says("stat -c %z .local/state/agent-runner/audit.jsonl").unwrap(), before);
    let nothing = controller.run(&["deploy", "--resume", "last"]).unwrap();
    assert_eq!(nothing.code(), 5, "{}", nothing.stderr);
    assert!(nothing.stderr.contains("left no selected host"), "{}", nothing.stderr);
}

#[test]
fn a_doctor_names_each_lack_of_each_host_with_its_remedy_and_writes_nothing() {
    let Some((lab, controller)) = fleet_of(3) else { return };
    let [well, linked, blocked] = lab.hosts() else { panic!("three hosts") };
    linked.says("mv demo real && ln -s real demo").unwrap();
    blocked.says("rm -rf .config && touch .config && rm -rf demo").unwrap();
    blocked.root("chmod -x /usr/bin/git").unwrap().checked().unwrap();
    let before = well.says("find . | sort | sha256sum").unwrap();
    let doctor = controller.run(&["doctor"]).unwrap();
    assert_eq!(doctor.code(), 2, "{}", doctor.stderr);
    for (host, what, remedy) in [
        (linked, "demo: /home/ops/demo is a link", "name the folder it leads to as work_dir"),
        (blocked, "/home/ops/.config is a file where a folder is needed", "mv /home/ops/.config"),
        (blocked, "git is not installed", "apt-get install git"),
        (blocked, "demo: /home/ops/demo does not exist", "`repo`"),
    ] {
        let line = format!("blocks  {}: {what}", host.name());
        let at = doctor.stdout.lines().position(|said| said == line);
        let at = at.unwrap_or_else(|| panic!("{line} is not in {}", doctor.stdout));
        assert!(doctor.stdout.lines().nth(at + 1).unwrap().contains(remedy), "{}", doctor.stdout);
    }
    assert!(doctor.stderr.contains("3 hosts: ok 1"), "{}", doctor.stderr);
    assert_eq!(well.says("find . | sort | sha256sum").unwrap(), before);
    let json = controller.run(&["doctor", "--json", well.name()]).unwrap();
    assert_eq!((json.code(), &json.json_lines().unwrap()[0]["findings"]), (0, &serde_json::json!([])));
}
