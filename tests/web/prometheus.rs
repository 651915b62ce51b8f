//! What Prometheus itself makes of `/metrics`.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

use agent_runner_tests::dashboard::{Ask, Invented, ask};
use agent_runner_tests::fleet::Running;
use agent_runner_tests::packages::{Needed, ensure};
use agent_runner_tests::{skip, wait};
use serde_json::Value;

const NEEDED: [Needed; 2] = [
    Needed { program: "promtool", package: "prometheus" },
    Needed { program: "prometheus", package: "prometheus" },
];

#[test]
fn promtool_finds_nothing_to_say_about_the_metrics() {
    if skip::or_skip(ensure(&NEEDED)).is_none() {
        return;
    }
    let fleet = Invented::lively(40).unwrap();
    let metrics = || ask(fleet.address(), Ask { path: "/metrics", ..Ask::default() }).unwrap().body;
    assert!(wait::until(wait::DEADLINE, || metrics().contains("detector=\"oauth_fail\"")), "{}", metrics());
    let text = tempfile::NamedTempFile::new().unwrap();
    fs::write(text.path(), metrics()).unwrap();
    let stdin = Stdio::from(fs::File::open(text.path()).unwrap());
    let output =
        Command::new("promtool").args(["check", "metrics", "--extended"]).stdin(stdin).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn a_real_prometheus_reads_the_fleet_and_the_example_rules_are_good() {
    if skip::or_skip(ensure(&NEEDED)).is_none() {
        return;
    }
    let fleet = Invented::lively(40).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/grafana/alerts.yml");
    let page = include_str!("../../docs/dashboard.md").split_once("```yaml\n").unwrap().1;
    let example = dir.path().join("example.yml");
    fs::write(&example, page.split("```").next().unwrap()).unwrap();
    let checked = Command::new("promtool").args(["check", "config"]).arg(&example).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{rules}']\nscrape_configs:\n\
         - job_name: fleet\n  static_configs: [{{targets: ['{}']}}]\n",
        fleet.address()
    );
    fs::write(dir.path().join("prometheus.yml"), config).unwrap();
    let address = free();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"));
    let prometheus = Running::start(&mut command).unwrap();
    let query =
        |path: &str| ask(address, Ask { path, ..Ask::default() }).ok().and_then(|answer| answer.json().ok());
    let value = |expression: &str| {
        let answer = query(&format!("/api/v1/query?query={expression}"))?;
        Some(answer["data"]["result"][0]["value"][1].as_str()?.to_owned())
    };
    let up = "sum(agent_runner_stream_up)";
    assert!(
        wait::until(wait::DEADLINE, || value(up).as_deref() == Some("38")),
        "{:?}\n{}",
        value(up),
        prometheus.complained()
    );
    assert_eq!(value("count(agent_runner_service_auto_stopped==1)").as_deref(), Some("1"));
    let rules = query("/api/v1/rules").unwrap();
    assert!(rules["data"]["groups"][0]["rules"].as_array().unwrap().len() > 3, "{rules}");

    let metrics = ask(fleet.address(), Ask { path: "/metrics", ..Ask::default() }).unwrap().body;
    let dashboard: Value = serde_json::from_str(include_str!("../../docs/grafana/fleet.json")).unwrap();
    for target in
        dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap())
    {
        let expression = target["expr"].as_str().unwrap().replace("$instance", ".*").replace("$host", ".*");
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = query(&format!("/api/v1/query?query={encoded}")).unwrap();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        for word in expression
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            // The invented fleet has no sinks.
            .filter(|word| word.starts_with("agent_runner_") && !word.starts_with("agent_runner_sink_"))
        {
            assert!(metrics.contains(&format!("\n{word}")), "{word} is no metric");
        }
    }
}

#[test]
fn the_example_rule_about_bad_rounds_counts_those_that_ended_badly_only() {
    if skip::or_skip(ensure(&NEEDED)).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let story = dir.path().join("story.yml");
    let rounds = |host: &str, outcome: &str, values: &str| {
        format!(
            "      - {{series: 'agent_runner_rounds_total{{host=\"{host}\",project=\"p\",outcome=\"{outcome}\"}}', values: '{values}'}}\n"
        )
    };
    let text = format!(
        "rule_files: ['{}']\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n{}{}{}    \
         alert_rule_test:\n      - eval_time: 4h\n        alertname: FleetRoundsFail\n        exp_alerts:\n          \
         - exp_labels: {{host: fails, project: p, severity: warning}}\n            \
         exp_annotations: {{summary: 'More than half of the rounds of fails/p end badly'}}\n",
        concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/grafana/alerts.yml"),
        rounds("lingers", "grace_kill", "0+1x300"),
        rounds("lingers", "clean", "0x300"),
        rounds("fails", "error", "0+1x300"),
    );
    fs::write(&story, text).unwrap();
    let output = Command::new("promtool").args(["test", "rules"]).arg(&story).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

/// An address that was free a moment ago: Prometheus cannot be told to choose one.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
