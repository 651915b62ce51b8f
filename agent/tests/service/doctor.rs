use super::host::{Host, PROMPT, config};

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
    assert_eq!(keys.len(), 5);
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
