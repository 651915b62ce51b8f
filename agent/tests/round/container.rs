use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::support::{Project, put};

/// A stand-in for docker: writes the id it is asked for, runs for ever, and notes what it is told to stop.
const DOCKER: &str = "#!/bin/sh\n\
    if [ \"$1\" = stop ]; then echo \"$@\" >> \"$TMPDIR/stopped\"; exit 0; fi\n\
    while [ $# -gt 0 ]; do case $1 in --cidfile) echo 0123456789abcdef > \"$2\"; shift;; esac; shift; done\n\
    if [ -e \"$TMPDIR/quick\" ]; then exit 0; fi\nexec sleep 600\n";

fn project() -> Project {
    let agent = "prompt_arg_template = [\"{prompt}\"]\nexec_prefix = [\"docker\", \"run\", \"image\"]";
    let project = Project::new("true").agent(agent).runtime("round_budget_s = 1");
    let bin = project.root().join("bin");
    fs::create_dir(&bin).unwrap();
    put(&bin.join("docker"), DOCKER);
    fs::set_permissions(bin.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    project.env("PATH", &path)
}

#[test]
fn a_container_whose_client_was_ended_is_stopped_and_told_once() {
    let project = project();
    let ran = project.run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let risks: Vec<_> =
        project.events().into_iter().filter(|event| event.kind == "round_container_orphan_risk").collect();
    assert_eq!(risks.len(), 1);
    assert_eq!((risks[0].str("runtime"), risks[0].bool("stop_ok")), (Some("docker"), Some(true)));
    assert_eq!(risks[0].str("container_id"), Some("0123456789abcdef"));
    let stopped = fs::read_to_string(project.root().join("stopped")).unwrap();
    assert_eq!(stopped, "stop -t 5 -- 0123456789abcdef\n");
    let left = fs::read_dir(project.root()).unwrap().flatten();
    assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().contains("cid-")));
    project.assert_nothing_is_left();
}

#[test]
fn a_container_that_ends_by_itself_is_no_risk() {
    let project = project();
    put(&project.root().join("quick"), "");
    assert_eq!(project.run().code, 0);
    assert!(!project.has("round_container_orphan_risk"));
    assert!(!project.root().join("stopped").exists());
}
