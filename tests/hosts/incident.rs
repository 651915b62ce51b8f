//! The login of one account breaks on three hosts: one incident, three stops within the brake, and the way back.

use std::time::Duration;

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::fleet::Running;
use agent_runner_tests::lab::Host;
use agent_runner_tests::wait;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::deployed::{
    ROUNDS, active, dead_connections_are_noticed_soon, deploy_changes, ended_well, fleet_of, is,
    next_good_round, text,
};

/// Four hosts of one login and two of another.
fn accounts(hosts: &[Host]) -> String {
    let names = |hosts: &[Host]| {
        let names: Vec<String> = hosts.iter().map(|host| format!("{:?}", host.name())).collect();
        names.join(", ")
    };
    format!(
        "[groups.a]\nhosts = [{}]\naccount = \"team-a\"\n\n[groups.b]\nhosts = [{}]\naccount = \"team-b\"\n\n[projects.demo]",
        names(&hosts[..4]),
        names(&hosts[4..])
    )
}

fn of<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

fn incidents(monitor: &Running, kind: &str) -> usize {
    let lines = monitor.lines();
    of(&lines, kind).iter().filter(|line| line["alert"]["detector"] == "account_auth").count()
}

#[test]
fn a_login_that_breaks_on_three_hosts_is_one_incident_and_resume_brings_them_back_one_by_one() {
    let Some((lab, controller)) = fleet_of(6) else { return };
    controller.replace("fleet.toml", "[projects.demo]", &accounts(lab.hosts())).unwrap();
    deploy_changes(&controller, 6);
    dead_connections_are_noticed_soon(&controller);
    let (victims, others) = lab.hosts().split_at(3);
    let monitor = controller.start(&["monitor", "--json"]).unwrap();
    for host in lab.hosts() {
        let works = |line: &Value| line["host"] == host.name() && ended_well(&line["event"]);
        monitor.wait_for(ROUNDS, works).unwrap();
    }
    for host in victims {
        host.set_mode(&[Mode::Auth]).unwrap();
    }
    // Meanwhile something else happens, as it does.
    others[1].cut_cable().unwrap();
    others[2].reboot().unwrap();
    for host in victims {
        let stopped = |line: &Value| line["type"] == "stopped" && line["host"] == host.name();
        monitor.wait_for(ROUNDS * 2, stopped).unwrap();
    }
    others[1].plug_cable().unwrap();
    assert!(wait::until(ROUNDS, || incidents(&monitor, "alert") == 1), "{:?}", monitor.lines());
    let lines = monitor.lines();
    assert_eq!(of(&lines, "brake_engaged").len(), 0, "three of six is what the brake allows");
    assert_eq!(of(&lines, "stopped").len(), 3);
    let hosts = |hosts: &[Host]| -> Vec<String> { hosts.iter().map(|host| host.name().to_owned()).collect() };
    assert!(wait::until(ROUNDS, || active(&controller, &lab) == hosts(others)));

    let open = controller.run(&["alerts", "--json"]).unwrap().json_lines().unwrap();
    let incident = open.iter().filter(|alert| alert["detector"] == "account_auth").collect::<Vec<_>>();
    assert_eq!(incident.len(), 1, "{open:?}");
    assert_eq!(incident[0]["account"], "team-a");

    for host in victims {
        host.set_mode(&[Mode::Sleep(1)]).unwrap();
    }
    let seen: Vec<usize> = victims.iter().map(|host| host.events().unwrap().len()).collect();
    let back = controller.run(&["resume", "--yes", "--stagger", "3s", "--json"]).unwrap();
    assert_eq!(back.code(), 0, "{}\n{}", back.stdout, back.stderr);
    let resumed: Vec<String> = back.json_lines().unwrap().iter().map(|line| text(&line["host"])).collect();
    assert_eq!(resumed, hosts(victims), "one after another");
    for host in lab.hosts() {
        next_good_round(host);
    }
    // On the hosts' own word: the second starts behind a good round of the first, the third behind the second.
    let first = |host: usize, wanted: &dyn Fn(&Value) -> bool| -> String {
        let events = victims[host].events().unwrap();
        let found = events.iter().skip(seen[host]).find(|event| wanted(event));
        text(&found.unwrap_or_else(|| panic!("{}: {events:?}", victims[host].name()))["ts"])
    };
    let starts = [0, 1, 2].map(|host| first(host, &|event| is(event, "round_start")));
    let proof = first(0, &ended_well);
    assert!(starts[0] < proof && proof < starts[1] && starts[1] < starts[2], "{proof}: {starts:?}");
    assert!(wait::until(ROUNDS, || incidents(&monitor, "resolved") == 1), "{:?}", monitor.lines());
    let lines = monitor.lines();
    let told: Vec<_> =
        lines.iter().filter(|line| line["type"] != "event" && line["type"] != "state").collect();
    assert_eq!(incidents(&monitor, "alert"), 1, "it was one incident from beginning to end: {told:#?}");
    let stops = controller.run(&["history", "--kind", "stop", "--json"]).unwrap().json_lines().unwrap();
    assert_eq!(stops.len(), 3, "{stops:?}");
    let none = controller.run(&["resume", "--yes"]).unwrap();
    assert!(none.stderr.contains("no selected host was stopped"), "{}", none.stderr);
    monitor.signal(Signal::SIGINT);
    assert_eq!(monitor.wait(Duration::from_secs(30)).unwrap().code(), 0);
}
