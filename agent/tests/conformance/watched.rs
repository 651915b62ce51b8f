//! What our detectors find in the logs of the Python program: in the fixture, and in lines made of its own fields.

use std::fs;

use agent_runner::store::{atomic, time};
use agent_runner::witness::detectors::DETECTORS;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::inherited::Inherited;

/// The fields of every kind of event it writes.
const KINDS: &str = include_str!("../../../tests/fixtures/python-0.3.14/kinds.txt");

/// What `monitor --once` says holds, beside what this machine's own disk raises.
fn told(project: &Inherited) -> Vec<Value> {
    let done = project.run(&["--json", "monitor", "--once"]);
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    let text = String::from_utf8(done.stdout).unwrap();
    let alerts = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    alerts.filter(|alert| !["disk_warning", "disk_critical"].contains(&detector(alert))).collect()
}

fn detector(alert: &Value) -> &str {
    alert["detector"].as_str().unwrap()
}

fn names(alerts: &[Value]) -> Vec<&str> {
    alerts.iter().map(detector).collect()
}

#[test]
fn the_fixture_raises_what_was_so_and_nothing_else() {
    let just_left = Inherited::left_ago(2);
    let alerts = told(&just_left);
    assert_eq!(names(&alerts), ["rate_limit_active"], "{alerts:?}");
    let limit = just_left.said("peek.json")["service"]["rate_limit"].clone();
    let until = Timestamp::from_second(limit["throttled_until_epoch"].as_i64().unwrap() + just_left.moved_s);
    assert_eq!(alerts[0]["context"]["agent"], limit["agent"]);
    assert_eq!(alerts[0]["context"]["throttled_until_iso"], time::stamp(until.unwrap()));
    assert_eq!(alerts[0]["context"]["classification"], limit["limit_type"]);
    let peeked = just_left.json(&["peek"]);
    let peeked: Vec<Value> = peeked["alerts"].as_array().unwrap().clone();
    let of_limits = |alerts: &[Value]| -> Vec<Value> {
        let limits = alerts.iter().filter(|alert| detector(alert) == "rate_limit_active");
        limits.map(|alert| alert["context"].clone()).collect()
    };
    assert_eq!(of_limits(&peeked), of_limits(&alerts), "peek says the same");

    // A day later the limit is past, the round that was killed never ended, and nobody goes on.
    let forgotten = Inherited::left_ago(86_400);
    let alerts = told(&forgotten);
    assert_eq!(names(&alerts), ["hung", "supervisor_stale"], "{alerts:?}");
    assert_eq!(alerts[0]["context"]["round_num"], 8);
    assert_eq!(alerts[0]["context"]["threshold_s"], 900.0, "the phase's 600 s and a half");
}

/// A log of the Python program, line by line, written by itself one second after the other up to now.
struct Log {
    project: Inherited,
    events: String,
    samples: String,
    sample: Map<String, Value>,
    at: Timestamp,
}

impl Log {
    fn begun_ago(seconds: i64) -> Log {
        let project = Inherited::left_ago(0);
        let sample = serde_json::from_str(project.samples().last().unwrap()).unwrap();
        let layout = project.layout();
        for file in layout.events_files().into_iter().chain(layout.metrics_files()) {
            fs::remove_file(file).unwrap();
        }
        let at = Timestamp::now() - SignedDuration::from_secs(seconds);
        Log { project, events: String::new(), samples: String::new(), sample, at }
    }

    /// An event with the fields it always has, in their order.
    fn event(mut self, kind: &str, values: &[Value]) -> Log {
        let spec = KINDS.lines().find(|line| line.split(' ').next() == Some(kind)).unwrap();
        let fields: Vec<&str> = spec.split(' ').skip(2).filter(|field| !field.ends_with('~')).collect();
        assert_eq!(fields.len(), values.len(), "{spec}");
        self.events.push_str(&format!("{{\"ts\": \"{}\", \"event\": \"{kind}\"", time::stamp(self.at)));
        for (field, value) in fields.iter().zip(values) {
            self.events.push_str(&format!(", \"{}\": {value}", field.split(':').next().unwrap()));
        }
        self.events.push_str("}\n");
        self.after(1)
    }

    /// A whole round whose agent ended like this.
    fn round(self, round_num: i64, exit: &[Value], said: &str) -> Log {
        let stamp = self.at.strftime("%Y%m%dT%H%M%S").to_string();
        let log = self.project.layout().rounds_dir().join(format!("R{round_num}-{stamp}.log"));
        atomic::replace(&log, said.as_bytes()).unwrap();
        let begun = self.event("round_start", &[json!(round_num), Value::Null, json!("0"), json!(false)]);
        let values = [&[json!(round_num)], exit].concat();
        begun.event("agent_exit", &values).event("round_end", &[json!(round_num)])
    }

    /// A sample of the host as the fixture's, but for these.
    fn sample(mut self, differs: &Value) -> Log {
        let mut line = self.sample.clone();
        for (name, value) in differs.as_object().unwrap() {
            assert!(line.contains_key(name), "{name}");
            line.insert(name.clone(), value.clone());
        }
        line.insert("ts".into(), time::stamp(self.at).into());
        self.samples.push_str(&format!("{}\n", Value::Object(line)));
        self.after(1)
    }

    fn after(mut self, seconds: i64) -> Log {
        self.at += SignedDuration::from_secs(seconds);
        self
    }

    /// The alert of this detector, which must be among those that hold.
    fn raises(self, name: &str) -> Value {
        let layout = self.project.layout();
        atomic::replace(&layout.events_file(self.at), self.events.as_bytes()).unwrap();
        atomic::replace(&layout.metrics_file(self.at), self.samples.as_bytes()).unwrap();
        let done = self.project.run(&["--json", "monitor", "--once"]);
        let text = String::from_utf8(done.stdout).unwrap();
        let mut found = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let alert = found.find(|alert| detector(alert) == name);
        assert!(alert.is_some(), "{name}: {text}");
        alert.unwrap()
    }
}

/// `exit_code`, `duration_s`, `timed_out`, `exit_cause`, as it writes them.
fn exit(code: i64, duration_s: f64, cause: &str) -> [Value; 4] {
    [json!(code), json!(duration_s), json!(cause == "timeout"), json!(cause)]
}

#[test]
fn every_detector_finds_its_trouble_in_lines_as_it_writes_them() {
    let good = exit(0, 300.0, "clean");
    let failed = exit(1, 2.5, "error");
    let rounds = |log: Log, first: i64, exit: &[Value], said: &str| {
        (first..first + 3).fold(log, |log, n| log.round(n, exit, said))
    };
    let ten = |bad: &[Value], said: &str| {
        let log = rounds(Log::begun_ago(60), 1, bad, said);
        (4..=10).fold(log, |log, n| log.round(n, &good, "fine\n"))
    };
    let throttle = json!(Timestamp::now().as_second() + 900);
    let calm = json!({"swap_sout": 0});
    let provoked: Vec<(&str, Log)> = vec![
        ("timeout_rate", ten(&exit(-15, 900.0, "timeout"), "")),
        ("hung", Log::begun_ago(1400).event("round_start", &[json!(7), Value::Null, json!("0"), json!(false)])),
        (
            "orphan_chain",
            (1..=3).fold(Log::begun_ago(60), |log, n| {
                let log = log.event("orphan_stashed", &[json!(n), json!("0123"), json!("clean_exit_with_dirty_tree")]);
                log.event("round_end", &[json!(n)])
            }),
        ),
        ("disk_warning", Log::begun_ago(9).sample(&json!({"disk_used_pct": 91.0}))),
        ("disk_critical", Log::begun_ago(9).sample(&json!({"disk_used_pct": 99.9}))),
        (
            "disk_growth",
            Log::begun_ago(1500).sample(&json!({"disk_used_pct": 3.0})).after(1400).sample(&calm),
        ),
        ("mem_pressure", Log::begun_ago(9).sample(&json!({"psi_some_avg10": 90.0, "psi_full_avg10": 80.0}))),
        (
            "mem_signal_unavailable",
            Log::begun_ago(9).sample(
                &json!({"mem_free_mb": null, "swap_sout": null, "psi_some_avg10": null, "psi_full_avg10": null}),
            ),
        ),
        (
            "mem_pressure_gate_inert",
            Log::begun_ago(9).sample(&json!({"psi_some_avg10": 90.0, "psi_full_avg10": 80.0})),
        ),
        (
            "smoke_fail_rate",
            Log::begun_ago(9).event("smoke_check_failed", &[json!("agent_cli_in_path: claude is not there")]),
        ),
        ("oauth_fail", rounds(Log::begun_ago(60), 1, &failed, "API Error: 401 Unauthorized\n")),
        ("network_fail", ten(&failed, "Error: connect ECONNREFUSED 127.0.0.1:443\n")),
        (
            "rate_limit_active",
            Log::begun_ago(9).event(
                "transient_error_detected",
                &[json!("rate_limit_account"), json!("claude"), throttle, json!(3), json!("limit"), json!("")],
            ),
        ),
        (
            "anomaly_repetitive_active",
            Log::begun_ago(9)
                .event("anomaly_repetitive_tool", &[json!(3), json!("Read"), json!("/a"), json!(18), json!(30)]),
        ),
        ("supervisor_stale", Log::begun_ago(86_400).event("round_end", &[json!(1)])),
    ];
    let names: Vec<&str> = provoked.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, DETECTORS.iter().map(|detector| detector.name).collect::<Vec<_>>());
    for (name, log) in provoked {
        assert!(!log.raises(name)["message"].as_str().unwrap().is_empty());
    }
    // A login that it reported itself, in rounds of any length.
    let reported = (1..=3).fold(Log::begun_ago(60), |log, n| {
        let log = log.event("agent_auth_error_detected", &[json!(n), json!("claude"), json!("401")]);
        log.round(n, &good, "fine\n")
    });
    assert_eq!(reported.raises("oauth_fail")["context"]["in_a_row"], 3);
}
