use std::fs;

use serde_json::Value;

use super::support::{Project, contains, put};

/// The critic is a shell script; it is asked after every second round.
fn project(agent: &str, critic: &str) -> Project {
    let project = Project::new(agent);
    let script = project.root().join("critic.sh");
    put(&script, critic);
    let table =
        format!("[critic]\ncommand = [\"sh\", \"{}\"]\nevery_n = 2\ntimeout_s = 1\n", script.display());
    project.more(&table)
}

#[test]
fn its_findings_are_written_and_reach_the_next_round_only() {
    let agent = "printf '%s' \"$1\"; date +%N > new.txt; git add new.txt; git commit --quiet -m new";
    let critic = "cat > ../seen.json; echo chatter; echo '{\"severity\": \"warning\", \"detector\": \"scope\", \
                  \"message\": \"too wide\", \"suggested_action\": \"one file\"}'";
    let project = project(agent, critic);
    assert_eq!(project.run().code, 0);
    assert!(!project.has("critic_finding"), "not its turn");
    assert_eq!(project.run().code, 0);
    let finding = project.event("critic_finding");
    assert_eq!(
        (finding.round_num(), finding.str("severity"), finding.str("message")),
        (Some(2), Some("warning"), Some("too wide"))
    );
    let seen: Value =
        serde_json::from_str(&fs::read_to_string(project.root().join("seen.json")).unwrap()).unwrap();
    assert_eq!((&seen["schema_version"], &seen["round_num"]), (&1.into(), &2.into()));
    assert_eq!(seen["recent_rounds"].as_array().unwrap().len(), 2);
    assert!(seen["recent_events"].as_array().unwrap().iter().any(|event| event["event"] == "agent_exit"));
    assert!(seen["diff_stat"].as_str().unwrap().contains("new.txt"), "{seen}");
    assert!(seen["detectors"].is_array());

    assert_eq!(project.run().code, 0);
    assert!(contains(&project.agent_log(), "\"message\": \"too wide\""));
    assert_eq!(project.run().code, 0);
    assert!(!contains(&project.agent_log(), "too wide"));
}

#[test]
fn whatever_it_does_the_round_is_not_changed() {
    for (critic, kind) in [
        ("echo no >&2; exit 3", "exit"),
        ("exec sleep 600", "timeout"),
        ("setsid sleep 600 & yes '{}'", "timeout"),
    ] {
        let project = project("true", critic);
        project.run();
        let ran = project.run();
        assert_eq!(ran.code, 0, "{critic}: {}", ran.stderr);
        assert_eq!(project.event("hook_failed").str("error_type"), Some(kind), "{critic}");
        assert!(!project.has("critic_finding"));
        project.assert_nothing_is_left();
    }
}
