//! `events`.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::project::Project;

#[test]
fn a_window_is_the_last_lines_of_the_kinds_byte_for_byte() {
    let project = Project::new();
    let lines: Vec<String> = (1..=15)
        .map(|n| project.event(0, "round_end", &json!({"round_num": n, "odd": "é\u{1f980} \\ \" "})))
        .collect();
    project.event(0, "agent_spawn", &json!({"round_num": 16}));
    let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(project.printed(&["events", "--kind", "round_end"]), text(&lines[5..]));
    assert_eq!(project.printed(&["events", "--kind", "x_y,round_end", "--window", "2"]), text(&lines[13..]));
    assert_eq!(project.printed(&["events", "--kind", "x_y"]), "");
}

#[test]
fn a_kind_that_nobody_knows_is_told_unless_the_log_has_it() {
    let project = Project::new();
    let told = project.event(0, "of_tomorrow", &json!({}));
    let said = |args: &[&str]| {
        let output = project.run(&[&["events", "--kind"], args].concat());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let slip = "agent-runner: `agent_exti` is no kind of event known here; did you mean `agent_exit`?\n";
    for more in [&[][..], &["--since", "2020-01-01"]] {
        assert_eq!(said(&[&["agent_exti,agent_exit"], more].concat()), (String::new(), slip.to_owned()));
        assert_eq!(said(&[&["of_tomorrow"], more].concat()), (format!("{told}\n"), String::new()));
    }
}

#[test]
fn a_replay_begins_with_its_time_and_ends_with_the_log() {
    let project = Project::new();
    for n in 0..50 {
        project.event(100 - n, "round_end", &json!({"round_num": n}));
    }
    let last = project.event(0, "round_end", &json!({"round_num": 50}));
    let since: String = last.chars().skip(8).take(24).collect();
    assert_eq!(project.printed(&["events", "--kind", "round_end", "--since", &since]), format!("{last}\n"));
    let all = project.printed(&["events", "--kind", "round_end", "--since", "2020-01-01T00:00:00"]);
    assert_eq!(all.lines().count(), 51);
    assert_eq!(project.printed(&["events", "--kind", "round_end", "--since", "2999-01-01"]), "");
}

#[test]
fn a_tail_goes_on_where_the_replay_stopped_until_interrupted() {
    let project = Project::new();
    let first = project.event(5, "round_end", &json!({"round_num": 1}));
    let mut tail = project.start(&["events", "--kind", "round_end", "--since", "2020-01-01", "--tail"]);
    assert_eq!(tail.line(), first);
    project.event(0, "agent_spawn", &json!({"round_num": 2}));
    // A clock that went back does not hide what is written now.
    let second = project.event(864_000_000, "round_end", &json!({"round_num": 2}));
    assert_eq!(tail.line(), second);
    tail.signal(Signal::SIGINT);
    assert_eq!(tail.ended().code(), Some(0));
}

#[test]
fn wrong_use_is_told_by_its_exit_code() {
    let project = Project::new();
    for (args, code) in [
        (&["events"][..], 2),
        (&["events", "--kind", "a_b", "--window", "0"], 2),
        (&["events", "--kind", "a_b", "--window", "3", "--tail"], 2),
        (&["events", "--kind", "a_b", "--window", "3", "--since", "2026-01-01"], 2),
        (&["events", "--kind", "a_b", "--since", "yesterday"], 2),
    ] {
        assert_eq!(project.run(args).status.code(), Some(code), "{args:?}");
    }
    std::fs::remove_file(project.config()).unwrap();
    assert_eq!(project.run(&["events", "--kind", "a_b"]).status.code(), Some(1));
}
