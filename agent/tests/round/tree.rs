use std::fs;

use agent_runner::store::orphan_state;

use super::support::{Project, put};

fn orphans(project: &Project) -> Option<orphan_state::OrphanState> {
    orphan_state::read(&project.layout()).usable()
}

#[test]
fn work_left_behind_is_stashed_and_named_by_its_commit() {
    let project = Project::new("echo four >> file.txt; echo new > 'a ü.txt'; mkdir d; echo x > d/y");
    assert_eq!(project.run().code, 0);
    let dirty = project.event("dirty_detected");
    let files = dirty.get("files").unwrap().as_array().unwrap().len();
    assert_eq!(files, 3, "{dirty:?}");
    let stashed = project.event("orphan_stashed");
    let sha = project.git(&["rev-parse", "refs/stash"]);
    assert_eq!(
        (stashed.str("ref"), stashed.str("reason")),
        (Some(sha.as_str()), Some("clean_exit_with_dirty_tree"))
    );
    let state = orphans(&project).unwrap();
    assert_eq!(state.newest.stashed_ref, Some(sha.clone()));
    assert!(state.newest.stash_message.unwrap().starts_with("ORPHAN R1 ts=20"));
    assert_eq!(project.git(&["status", "--porcelain"]), "");

    put(&project.script(), "exit 1");
    project.run();
    let context: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(project.layout().round_context()).unwrap()).unwrap();
    assert_eq!(context["orphan_stash"]["ref"], serde_json::json!(sha));
    assert_eq!(context["previous"]["had_dirty_tree"], serde_json::json!(true));
    assert_eq!(orphans(&project), None, "the first clean tree clears it");
}

#[test]
fn two_orphans_in_a_row_keep_both() {
    let project = Project::new("date +%N >> file.txt");
    project.run();
    let first = project.git(&["rev-parse", "refs/stash"]);
    project.run();
    let state = orphans(&project).unwrap();
    assert_eq!(state.newest.round_num, 2);
    assert_eq!(state.earlier[0].stashed_ref, Some(first));
}

#[test]
fn a_failed_round_keeps_its_tree() {
    let project = Project::new("echo four >> file.txt; exit 1");
    project.run();
    assert!(project.has("dirty_detected") && !project.has("orphan_stashed"));
    assert_eq!(project.git(&["status", "--porcelain"]), " M file.txt");
    assert_eq!(project.git(&["for-each-ref", "refs/agent-runner"]), "");
    put(&project.script(), "true");
    project.run();
    let stashed = project.event("orphan_stashed");
    assert_eq!(stashed.str("before_ref"), Some("refs/agent-runner/before/R2"));
}

#[test]
fn what_was_dirty_before_is_recorded_without_touching_tree_or_index() {
    let project = Project::new("git status --porcelain; git diff --cached; echo agent > file.txt");
    put(&project.work_dir().join("staged.txt"), "staged\n");
    project.git(&["add", "staged.txt"]);
    put(&project.work_dir().join("file.txt"), "operator\n");
    put(&project.work_dir().join("untracked.txt"), "mine\n");
    project.run();
    let log = String::from_utf8(project.agent_log()).unwrap();
    assert!(log.starts_with(" M file.txt\nA  staged.txt\n?? untracked.txt\n"), "{log}");
    let reference = "refs/agent-runner/before/R1";
    for (path, content) in [("file.txt", "operator"), ("untracked.txt", "mine"), ("staged.txt", "staged")] {
        assert_eq!(project.git(&["show", &format!("{reference}:{path}")]), content);
    }
    assert_eq!(project.event("orphan_stashed").str("before_ref"), Some(reference));
    assert!(!project.layout().before_index().exists());
}

#[test]
fn the_operators_own_edits_to_prompt_and_configuration_are_put_back() {
    let project = Project::new("echo agent >> file.txt; echo agent >> prompt.md");
    let edited = format!("Edited by hand.\n{}", "y".repeat(600));
    put(&project.work_dir().join("prompt.md"), &edited);
    project.run();
    assert!(project.has("orphan_stashed"));
    assert_eq!(fs::read_to_string(project.work_dir().join("prompt.md")).unwrap(), edited);
    assert_eq!(fs::read_to_string(project.work_dir().join("file.txt")).unwrap(), "one\ntwo\nthree\n");
    assert_eq!(project.git(&["diff", "--cached", "--name-only"]), "");
}

#[test]
fn an_edit_that_the_agent_committed_is_not_put_back() {
    let project =
        Project::new("echo more >> prompt.md; git add -A; git commit -qm prompt; echo x >> file.txt");
    put(&project.work_dir().join("prompt.md"), &format!("Edited by hand.\n{}", "y".repeat(600)));
    project.run();
    assert!(project.has("orphan_stashed"));
    assert_eq!(project.git(&["status", "--porcelain"]), "");
}

#[test]
fn only_the_last_twenty_references_are_kept() {
    let project = Project::new("exit 1").more("[vcs]\ndirty_action = \"ignore\"\n");
    put(&project.work_dir().join("mine.txt"), "x");
    project.run();
    let sha = project.git(&["rev-parse", "refs/agent-runner/before/R1"]);
    for number in 2..=24 {
        project.git(&["update-ref", &format!("refs/agent-runner/before/R{number}"), &sha]);
    }
    put(&project.layout().status(), "{\"round_num\": 24}");
    project.run();
    let refs = project.git(&["for-each-ref", "--format=%(refname)", "refs/agent-runner"]);
    assert_eq!(refs.lines().count(), 20);
    assert!(refs.contains("/R25") && !refs.contains("/R5\n") && refs.contains("/R6\n"), "{refs}");
}

#[test]
fn a_fresh_stash_of_this_round_is_reused_and_one_of_round_ten_is_not() {
    let project = Project::new("echo a > a; git stash push -qu -m \"ORPHAN R$N ts=x\"; echo b > b");
    let mut project = project.env("N", "10");
    project.run();
    assert!(project.has("orphan_stashed"), "R10 is not R1");
    assert_eq!(project.git(&["stash", "list"]).lines().count(), 2);
    project.set_env("N", "2");
    project.run();
    let skip = project.event("orphan_idempotent_skip");
    let sha = project.git(&["rev-parse", "refs/stash"]);
    assert_eq!(skip.str("ref"), Some(sha.as_str()));
    assert_eq!(orphans(&project).unwrap().newest.stashed_ref, Some(sha));
    assert_eq!(project.git(&["status", "--porcelain"]), "?? b");
}

#[test]
fn auto_commit_commits_with_the_rounds_name() {
    let project =
        Project::new("echo four >> file.txt; echo n > n").more("[vcs]\ndirty_action = \"auto_commit\"\n");
    project.git(&["config", "commit.gpgsign", "true"]);
    project.run();
    let committed = project.event("dirty_auto_committed");
    assert_eq!(committed.str("ref"), Some(project.git(&["rev-parse", "HEAD"]).as_str()));
    assert_eq!(project.git(&["log", "-1", "--format=%s"]), "agent-runner auto-commit: R1");
    assert_eq!(project.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_refusing_hook_leaves_the_tree_dirty() {
    let project = Project::new("echo four >> file.txt").more("[vcs]\ndirty_action = \"auto_commit\"\n");
    let hook = project.work_dir().join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    put(&hook, "#!/bin/sh\necho token=abcdefghijklmnopqrstuvwxyz >&2\nexit 1\n");
    std::os::unix::fs::PermissionsExt::set_mode(&mut fs::metadata(&hook).unwrap().permissions(), 0o755);
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(project.run().code, 0);
    assert!(project.event("dirty_commit_failed").str("reason").unwrap().contains("git commit failed"));
    assert!(!project.has("orphan_stashed"));
    assert_eq!(project.git(&["status", "--porcelain"]), "M  file.txt");
}

#[test]
fn ignore_tells_and_leaves() {
    let project = Project::new("echo four >> file.txt").more("[vcs]\ndirty_action = \"ignore\"\n");
    project.run();
    assert_eq!(project.kinds(), ["round_start", "agent_spawn", "agent_exit", "dirty_detected", "round_end"]);
}

#[test]
fn our_own_logs_inside_the_tree_are_neither_dirty_nor_stashed_nor_committed() {
    for action in ["stash", "auto_commit"] {
        let project = Project::new("test -e \"$TMPDIR/w\" && echo four >> file.txt; exit 0");
        let inside = project.work_dir().join("own logs");
        std::os::unix::fs::symlink(&inside, project.root().join("logs")).unwrap();
        fs::create_dir(&inside).unwrap();
        let project = project.more(&format!("[vcs]\ndirty_action = \"{action}\"\n"));
        project.run();
        assert_eq!(project.kinds(), ["round_start", "agent_spawn", "agent_exit", "round_end"]);
        put(&project.root().join("w"), "");
        project.run();
        let dirty = project.event("dirty_detected");
        assert_eq!(dirty.get("files").unwrap().to_string(), "[\"file.txt\"]");
        assert!(project.has("orphan_stashed") || project.has("dirty_auto_committed"));
        assert_eq!(project.git(&["status", "--porcelain"]), "?? \"own logs/\"");
    }
}

#[test]
fn moved_lines_are_told_from_changed_ones() {
    let project = Project::new("printf 'three\\none\\ntwo\\n' > file.txt; echo x >> prompt.md");
    project.run();
    let dirty = project.event("dirty_detected");
    assert_eq!(dirty.get("rearranged").unwrap().to_string(), "[\"file.txt\"]");
}

#[test]
fn an_agent_that_removes_the_repository_ends_its_round_and_no_other_repository_is_touched() {
    let project = Project::new("rm -rf .git; echo x > left");
    let outer = project.root().to_owned();
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git").current_dir(&outer).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    git(&["init", "--quiet"]);
    assert_eq!(project.run().code, 0);
    assert!(project.has("round_end") && !project.has("dirty_detected"));
    assert_eq!(git(&["stash", "list"]), "");
    project.assert_nothing_is_left();
    let next = project.run();
    assert_eq!(next.code, 0, "{}", next.stderr);
}

#[test]
fn a_hanging_git_is_ended_and_its_lock_removed() {
    let project = Project::new("echo four >> file.txt; touch \"$TMPDIR/hang\"");
    let bin = project.root().join("bin");
    fs::create_dir(&bin).unwrap();
    let real = "/usr/bin/git";
    let fake = format!(
        "#!/bin/sh\ncase \" $* \" in *' status '*) if [ -e \"$TMPDIR/hang\" ]; then touch '{}/.git/index.lock'; sleep 600; fi;; esac\nexec {real} \"$@\"\n",
        project.work_dir().display()
    );
    put(&bin.join("git"), &fake);
    fs::set_permissions(bin.join("git"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let project = project.env("PATH", &path);
    assert_eq!(project.run().code, 0);
    assert!(project.event("dirty_check_failed").str("reason").unwrap().contains("10 s"));
    assert!(project.has("stale_index_lock_cleared") && project.has("round_end"));
    assert!(!project.work_dir().join(".git/index.lock").exists());
    project.assert_nothing_is_left();
}
