use super::support::{Project, contains};

#[test]
fn a_flood_of_200_mb_ends_and_is_kept() {
    // A full gigabyte where there is time for it.
    let megabytes = std::env::var_os("AGENT_RUNNER_TESTS_FLOOD_MB")
        .map_or(200, |text| text.to_str().unwrap().parse().unwrap());
    let bytes: u64 = megabytes * 1_000_000;
    let script = format!("head -c {bytes} /dev/zero | tr '\\0' 'x'; echo; echo '{{\"type\":\"result\"}}'");
    let project = Project::new(&script).runtime("max_grace_after_result_s = 60");
    assert_eq!(project.run().code, 0);
    let log = std::fs::read_dir(project.layout().rounds_dir()).unwrap().next().unwrap().unwrap();
    assert!(log.metadata().unwrap().len() > bytes);
    assert!(project.has("round_end"));
    project.assert_nothing_is_left();
}

#[test]
fn nuls_and_broken_utf8_disturb_nobody() {
    let project = Project::new(
        "printf 'a\\000\\377\\376{\\n'; printf 'x: connection\\000 reset\\377 econnrefused\\n'; exit 1",
    );
    assert_eq!(project.run().code, 1);
    assert!(contains(&project.agent_log(), "econnrefused"));
    assert_eq!(project.event("agent_network_blip").str("matched"), Some("econnrefused"));
}

#[test]
fn a_deleted_log_is_still_read_through_its_descriptor() {
    let project = Project::new("echo 'connection refused'; rm -f \"$AGENT_RUNNER_LOG_DIR\"/rounds/*; exit 1");
    assert_eq!(project.run().code, 1);
    assert_eq!(project.event("agent_network_blip").str("matched"), Some("connection refused"));
    assert!(project.has("round_end"));
}

#[test]
fn an_agent_that_truncates_its_log_leaves_no_hole() {
    let project = Project::new("echo first; : > \"$(ls \"$AGENT_RUNNER_LOG_DIR\"/rounds/*)\"; echo second");
    project.run();
    assert_eq!(project.agent_log(), b"second\n");
}

#[test]
fn a_stdout_that_is_held_open_does_not_hold_the_round() {
    let project = Project::new("(setsid sleep 600 &) ; exit 0");
    assert_eq!(project.run().code, 0);
    project.assert_nothing_is_left();
}
