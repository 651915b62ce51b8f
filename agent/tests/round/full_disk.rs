use std::fs;

use agent_runner::store::layout::Layout;

use super::support::{Project, put};
use crate::skipped::skip;

/// Makes what a round writes impossible to write, for root too: something else has the name.
fn block(layout: &Layout) {
    fs::create_dir_all(layout.events_file(jiff::Timestamp::now())).unwrap();
    fs::create_dir_all(layout.metrics_file(jiff::Timestamp::now())).unwrap();
    for path in [layout.status(), layout.round_context(), layout.round_lock_holder(), layout.orphan_state()] {
        fs::create_dir_all(path).unwrap();
    }
    put(&layout.rounds_dir(), "in the way");
}

#[test]
fn a_round_comes_to_its_end_although_nothing_can_be_written() {
    let project = Project::new("echo $$ > \"$TMPDIR/ran\"; sleep 600 & echo x >> file.txt");
    block(&project.layout());
    let ran = project.run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot write status.json"), "{}", ran.stderr);
    assert!(project.root().join("ran").exists());
    assert_eq!(project.git(&["stash", "list"]).lines().count(), 1);
    assert_eq!(project.alive(), Vec::<String>::new());
}

#[test]
fn a_disk_full_under_the_agent_ends_the_agent_and_not_the_round() {
    // A file system of 1 MiB is root's to make.
    if !nix::unistd::geteuid().is_root() {
        return skip("this run is an ordinary user's");
    }
    let project = Project::new("head -c 8000000 /dev/zero; echo $? > \"$TMPDIR/code\"; exit 1");
    let logs = project.layout().root().to_owned();
    fs::create_dir(&logs).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "none"])
        .arg(&logs)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        return skip("nothing can be mounted here");
    }
    let ran = project.run();
    let first = project.events();
    fs::remove_dir_all(project.layout().rounds_dir()).unwrap();
    put(&project.script(), "true");
    let again = project.run();
    let second = project.events();
    std::process::Command::new("umount").arg("--lazy").arg(&logs).status().unwrap();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(first.iter().any(|event| event.kind == "round_start"));
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(second.iter().any(|event| event.kind == "round_end"));
}
