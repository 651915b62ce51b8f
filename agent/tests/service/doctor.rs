use super::host::{Host, PROMPT, config, program};

fn findings(host: &Host, args: &[&str]) -> (Option<i32>, serde_json::Value) {
    let output = host.agent(args);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}")))
}

#[test]
fn a_project_that_is_ready_passes_every_check() {
    let host = Host::new();
    host.write("research/agent-runner.toml", &config("true", ""));
    host.write("research/prompts/main.md", PROMPT);
    let (code, found) = findings(&host, &["doctor", "--rounds", "2"]);
    assert_eq!(code, Some(0), "{found}");
    assert_eq!(found["checks"].as_array().unwrap().len(), 9);
    assert_eq!(found["plan"][1]["round"], 2);
    assert_eq!(found["plan"][0]["paused"], false);
    assert_eq!(found["sigterm_grace"]["agent"], "sh");
    let keys: Vec<_> = found.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys.len(), 6);
    assert_eq!(found["provider"]["read"], false);
}

#[test]
fn only_an_absolute_config_home_holds_presets() {
    let host = Host::new();
    host.write("research/agent-runner.toml", &config("true", ""));
    let preset = "[provider]\nagent = \"sh\"\ncooperative_signal = \"SIGINT\"\n";
    host.write("research/conf/agent-runner/presets/mine.toml", preset);
    let absolute = host.work_dir().join("conf");
    for (config_home, counts) in [("conf".as_ref(), false), (absolute.as_path(), true)] {
        let mut doctor = host.command(program());
        let config = host.work_dir().join("agent-runner.toml");
        doctor.current_dir(host.work_dir()).env("XDG_CONFIG_HOME", config_home);
        let output = doctor.arg("--json").arg("--config").arg(config).arg("doctor").output().unwrap();
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["sigterm_grace"]["cooperative"], counts, "{config_home:?}: {found}");
    }
}

#[test]
fn output_that_no_rule_understands_is_shown_until_it_is_understood_again() {
    let host = Host::new();
    host.write("research/agent-runner.toml", &config("true", "").replace("/bin/sh", "claude"));
    host.write("research/prompts/main.md", PROMPT);
    let (_, found) = findings(&host, &["doctor"]);
    assert_eq!(
        (&found["provider"]["agent"], &found["provider"]["read"]),
        (&"claude".into(), &true.into()),
        "{found}"
    );
    assert!(found["provider"]["unrecognised"].is_null(), "{found}");
    let tell = |month: &str, line: &str| {
        host.write(&format!(".agent-runner/research/logs/events-{month}.jsonl"), &format!("{line}\n"));
    };
    tell(
        "2026-01",
        r#"{"ts": "2026-01-01T00:00:00.000Z", "event": "provider_output_unrecognised", "round_num": 7, "agent": "claude", "json_lines": 1, "raw": "{}"}"#,
    );
    let (_, found) = findings(&host, &["doctor"]);
    assert_eq!(found["provider"]["unrecognised"]["round_num"], 7, "{found}");
    let mut plain = host.command(program());
    let page =
        plain.arg("--config").arg(host.work_dir().join("agent-runner.toml")).arg("doctor").output().unwrap();
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.contains("[WARN] no rule understands it since round 7"), "{page}");
    tell(
        "2026-02",
        r#"{"ts": "2026-02-01T00:00:00.000Z", "event": "agent_usage_recorded", "round_num": 8, "agent": "claude"}"#,
    );
    let (_, found) = findings(&host, &["doctor"]);
    assert!(found["provider"]["unrecognised"].is_null(), "{found}");
}

#[test]
fn a_report_about_an_agent_without_usage_ends_with_a_log_that_its_rules_read() {
    let host = Host::new();
    host.write("research/agent-runner.toml", &config("true", "").replace("/bin/sh", "kimi"));
    host.write("research/prompts/main.md", PROMPT);
    host.write(
        ".agent-runner/research/logs/events-2026-01.jsonl",
        "{\"ts\": \"2026-01-01T00:00:00.000Z\", \"event\": \"provider_output_unrecognised\", \"round_num\": 7, \
         \"agent\": \"kimi\", \"json_lines\": 1, \"raw\": \"{}\"}\n",
    );
    let log = |round: i64, role: &str| {
        let name = format!(".agent-runner/research/logs/rounds/R{round}-20260101T00000{round}.log");
        host.write(&name, &format!("{{\"role\":\"{role}\",\"content\":\"done\"}}\n"));
        findings(&host, &["doctor"]).1["provider"]["unrecognised"].clone()
    };
    assert!(log(6, "assistant").is_object());
    assert!(log(7, "helper").is_object());
    assert!(log(8, "helper").is_object());
    assert!(log(9, "assistant").is_null());
}

#[test]
fn failing_checks_and_a_closed_schedule_are_shown_and_end_with_1() {
    let host = Host::new();
    let text = format!(
        "{}\n[schedule]\ntimezone = \"UTC\"\npause_windows = [\"00:00-24:00\"]\n",
        config("true", "")
    );
    host.write("research/agent-runner.toml", &text);
    let (code, found) = findings(&host, &["doctor"]);
    assert_eq!(code, Some(1), "{found}");
    let failed: Vec<_> = found["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["ok"] == false)
        .map(|check| check["name"].clone())
        .collect();
    assert_eq!(failed, ["prompt_file_exists", "prompt_smoke_passes"]);
    assert_eq!(found["plan"][0]["paused"], true);
    assert_eq!(found["plan"][0]["resume_timezone"], "UTC");
}

#[test]
fn a_missing_configuration_ends_with_78() {
    let host = Host::new();
    assert_eq!(host.agent(&["doctor"]).status.code(), Some(78));
}
