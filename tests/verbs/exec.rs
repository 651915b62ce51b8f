use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use agent_runner_tests::fleet::Running;
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::sshd::SshdOptions;
use agent_runner_tests::tmux::Tmux;
use agent_runner_tests::wait;
use nix::sys::signal::Signal;

use super::loopback::loopback;

/// Each session knows by its number which host it stands for: the server is one and the same.
const COUNT: &str = "n=$(mkdir \"$HOME/n\" 2>/dev/null && echo first || echo later)";

#[test]
fn identical_output_is_folded_and_the_code_says_who_failed() {
    let Some(fleet) = loopback(4, SshdOptions::default()) else { return };
    let output = fleet.controller.run(&["exec", "--", "echo same"]).unwrap();
    assert_eq!((output.code(), output.stdout.as_str()), (0, "pi[1-4] (4)\n  same\n"), "{}", output.stderr);
    let command = format!("{COUNT}; echo $n; [ $n = later ]");
    let output = fleet.controller.run(&["exec", "--forks", "1", "--diff", "--", &command]).unwrap();
    assert_eq!(output.code(), 2);
    let expected = "pi[2-4] (3)\n  later\npi1  [exit code 1]\n--- pi[2-4] (3)\n+++ pi1\n@@ -1 +1 @@\n-  later\n+  first\n";
    assert_eq!(output.stdout, expected);
    let again = fleet.controller.run(&["exec", "-l", "@failed", "--", "echo again"]).unwrap();
    assert_eq!((again.code(), again.stdout.as_str()), (0, "pi1\n  again\n"), "{}", again.stderr);
    let nobody = fleet.controller.run(&["exec", "-l", "@failed", "--", "echo again"]).unwrap();
    assert_eq!(nobody.code(), 5, "nobody failed in the last run: {}", nobody.stderr);
}

#[test]
fn what_a_host_prints_does_not_control_the_terminal_and_a_pipe_gets_every_byte() {
    let Some(fleet) = loopback(1, SshdOptions::default()) else { return };
    let Some(tmux) = or_skip(Tmux::open(fleet.controller.home(), (100, 30))) else { return };
    fleet.controller.write("say.sh", "printf '\\033]2;owned\\007\\033[2J\\033[31mred\\033[0m\\n'\n").unwrap();
    let piped = fleet.controller.run(&["exec", "--script", "say.sh"]).unwrap();
    assert_eq!(
        piped.stdout, "pi1\n  \u{1b}]2;owned\u{7}\u{1b}[2J\u{1b}[31mred\u{1b}[0m\n",
        "{}",
        piped.stderr
    );
    let program = env!("CARGO_BIN_EXE_agent-runner-fleet-under-test");
    tmux.enter(&format!("echo begin; {program} exec --script say.sh; echo d'one'"));
    let screen = tmux.wait_for("\ndone").unwrap();
    assert!(screen.contains("begin") && screen.contains("\n  red"), "the screen was cleared: {screen}");
    assert_ne!(tmux.says("#{pane_title}"), "owned");
}

#[test]
fn live_lines_carry_their_host_and_their_stream() {
    let Some(fleet) = loopback(2, SshdOptions::default()) else { return };
    let output =
        fleet.controller.run(&["exec", "--live", "--", "echo out; echo err >&2; printf rest"]).unwrap();
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&output.stdout), ["pi1: out", "pi1: rest", "pi2: out", "pi2: rest"]);
    assert!(
        output.stderr.contains("pi1: err\n") && output.stderr.contains("pi2: err\n"),
        "{}",
        output.stderr
    );
}

#[test]
fn output_goes_whole_into_a_folder_of_files() {
    let Some(fleet) = loopback(2, SshdOptions::default()) else { return };
    let command = "yes 0123456789 | head -c 3000000; echo err >&2";
    let output = fleet.controller.run(&["exec", "--output-dir", "said/today", "--", command]).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    assert!(output.stdout.contains("cut here"), "{}", output.stdout.len());
    let folder = fleet.controller.home().join("said/today");
    assert_eq!(fs::metadata(folder.join("pi2.out")).unwrap().len(), 3_000_000);
    assert_eq!(fs::read_to_string(folder.join("pi1.err")).unwrap(), "err\n");
}

#[test]
fn a_script_runs_there_with_its_arguments() {
    let Some(fleet) = loopback(1, SshdOptions::default()) else { return };
    fleet.controller.write("job.sh", "#!/bin/sh\nprintf '%s,' \"$@\"\nexit 9\n").unwrap();
    let arguments = ["exec", "--rc", "max", "--script", "job.sh", "--", "a b", "$(id)", "-l"];
    let output = fleet.controller.run(&arguments).unwrap();
    assert_eq!((output.code(), output.stdout.as_str()), (9, "pi1  [exit code 9]\n  a b,$(id),-l,\n"));
    fleet.controller.write("job.awk", "#!/usr/bin/awk -f\nBEGIN { print 1 }\n").unwrap();
    let output = fleet.controller.run(&["exec", "--script", "job.awk"]).unwrap();
    assert_eq!(output.code(), 5);
    assert!(
        output.stderr.contains("/usr/bin/awk -f, and that reads no script from stdin"),
        "{}",
        output.stderr
    );
}

#[test]
fn what_a_command_printed_before_its_time_was_up_is_shown() {
    let Some(fleet) = loopback(1, SshdOptions::default()) else { return };
    let output = fleet.controller.run(&["exec", "--timeout", "5", "--", "echo before; sleep 600"]).unwrap();
    assert_eq!(output.code(), 2);
    assert!(
        output.stderr.contains("no result within") && output.stderr.contains("    before\n"),
        "{}",
        output.stderr
    );
}

#[test]
fn json_lines_say_how_each_host_ended() {
    let Some(mut fleet) = loopback(2, SshdOptions::default()) else { return };
    let lines =
        fleet.controller.run(&["exec", "--json", "--", "echo out; exit 3"]).unwrap().json_lines().unwrap();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert_eq!(
            (&line["code"], &line["stdout"], &line["result"]),
            (&3.into(), &"out\n".into(), &"failed".into())
        );
    }
    fleet.sshd.stop();
    let lines = fleet.controller.run(&["exec", "--json", "--", "true"]).unwrap().json_lines().unwrap();
    let unreachable = |line: &serde_json::Value| line["result"] == "unreachable" && line["code"].is_null();
    assert!(lines.len() == 2 && lines.iter().all(unreachable), "{lines:?}");
}

#[test]
fn a_command_of_nothing_is_a_wrong_command_line() {
    let Some(fleet) = loopback(1, SshdOptions::default()) else { return };
    fleet.controller.write("empty.sh", "\n \n").unwrap();
    for (arguments, said) in [
        (&["exec", "--", ""][..], "the command is empty"),
        (&["exec", "--", " ", "\n"], "the command is empty"),
        (&["exec", "--script", "empty.sh"], "it is empty"),
        (&["exec", "--script", "-"], "it is empty"),
        (&["exec", "--"], "required"),
    ] {
        let output = fleet.controller.run(arguments).unwrap();
        assert_eq!(output.code(), 5, "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(said), "{arguments:?}: {}", output.stderr);
    }
    assert!(!fleet.sshd.log().contains("Connection from"), "nobody was asked");
}

#[test]
fn the_highest_code_is_255_where_a_host_gave_none() {
    let Some(fleet) = loopback(1, SshdOptions::default()) else { return };
    // Connections are made there, and nobody ever says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    fleet.add(&format!("[hosts.off]\naddress = \"127.0.0.1\"\nport = {port}\nconnect_timeout = 600\n"));
    let cut = ["exec", "off", "pi1", "--rc", "max", "--timeout", "5", "--", "true"];
    let cut = fleet.controller.run(&cut).unwrap();
    assert_eq!(cut.code(), 255, "cut short on the way there: {}", cut.stderr);
    fs::create_dir_all(fleet.controller.home().join("said/pi1.out")).unwrap();
    let unkept = ["exec", "pi1", "--rc", "max", "--output-dir", "said", "--", "true"];
    let unkept = fleet.controller.run(&unkept).unwrap();
    assert_eq!(unkept.code(), 255, "{}", unkept.stderr);
    assert!(unkept.stderr.contains("its output cannot be kept"), "{}", unkept.stderr);
    assert_eq!(fleet.controller.run(&["exec", "pi1", "--rc", "max", "--", "exit 7"]).unwrap().code(), 7);
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let Some(fleet) = loopback(1, SshdOptions::default()) else { return };
    for (arguments, said) in [
        (&["exec", "--json", "--live", "--", "true"][..], "--json and --live exclude each other"),
        (&["--json", "exec", "--diff", "--", "true"], "--json and --diff exclude each other"),
        (&["ping", "--connect-timeout", "0"], "0 is not in 1..=3600"),
        (&["ping", "-f", "0"], "0 is not in 1.."),
        (&["logs", "--forks", "0"], "0 is not in 1.."),
    ] {
        let output = fleet.controller.run(arguments).unwrap();
        assert_eq!(output.code(), 5, "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(said), "{arguments:?}: {}", output.stderr);
    }
}

#[test]
fn sudo_is_asked_without_and_with_a_password() {
    // A sudo that always wants the password, as the server's user has none of his own.
    let sudo = "#!/bin/sh\nif [ \"$1\" = -n ]; then echo 'sudo: a password is required' >&2; exit 1; fi\n\
                read -r p; [ \"$p\" = 's3 cret' ] || exit 1\nwhile [ \"$1\" != -- ]; do shift; done; shift\n\
                AS_ROOT=yes exec \"$@\"\n";
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path();
    fs::write(bin.join("sudo"), sudo).unwrap();
    fs::set_permissions(bin.join("sudo"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("export PATH={}:/usr/bin:/bin", bin.display());
    let options = SshdOptions { session_lines: vec![path], ..SshdOptions::default() };
    let Some(wanting) = loopback(2, options) else { return };
    let refused = wanting.controller.run(&["exec", "-b", "--", "echo $AS_ROOT"]).unwrap();
    assert_eq!(refused.code(), 2);
    assert!(
        refused.stderr.contains("hint: sudo wants a password there: give it once with --ask-become-pass"),
        "{}",
        refused.stderr
    );
    let (ask, asked) = (wanting.controller.home().join("ask"), wanting.controller.home().join("asked"));
    let text = format!("#!/bin/sh\necho \"$1\" >> {}\necho 's3 cret'\n", asked.display());
    wanting.controller.write("ask", &text).unwrap();
    fs::set_permissions(&ask, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = wanting.controller.command();
    command.env("SSH_ASKPASS", &ask).env("SSH_ASKPASS_REQUIRE", "force");
    command.args(["exec", "-b", "-K", "--", "echo $AS_ROOT; cat"]).stdin(Stdio::null());
    let output = agent_runner_tests::run::run(&mut command, wait::DEADLINE).unwrap();
    assert_eq!((output.code(), output.stdout.as_str()), (0, "pi[1-2] (2)\n  yes\n"), "{}", output.stderr);
    assert_eq!(fs::read_to_string(asked).unwrap(), "password for sudo on the hosts: \n", "asked once");
    let ping = wanting.controller.run(&["ping", "-b"]).unwrap();
    assert_eq!(ping.code(), 2, "ping goes the whole way, too: {}", ping.stderr);
    assert!(ping.stderr.contains("hint: sudo wants a password there"), "{}", ping.stderr);
    let nobody = wanting.controller.run(&["exec", "-K", "--", "true"]).unwrap();
    assert_eq!(nobody.code(), 5);
    assert!(nobody.stderr.contains("hint: add --become"), "{}", nobody.stderr);
}

#[test]
fn the_first_ctrl_c_starts_no_more_hosts_and_lets_the_running_end() {
    let Some(fleet) = loopback(6, SshdOptions::default()) else { return };
    let go = fleet.sshd.home().join("go");
    let command = "touch started.$$; while [ ! -e go ]; do sleep 0.1; done; echo done";
    let run = fleet.controller.start(&["exec", "--forks", "2", "--", command]).unwrap();
    let started = || fs::read_dir(fleet.sshd.home()).unwrap().count();
    assert!(wait::until(wait::DEADLINE, || started() == 2), "two are at work");
    run.signal(Signal::SIGINT);
    run.wait_for_error(wait::DEADLINE, "starting no more hosts; still at work: pi1").unwrap();
    fs::write(go, "").unwrap();
    let output = run.wait(wait::DEADLINE).unwrap();
    assert_eq!((output.code(), output.stdout.as_str()), (130, "pi[1-2] (2)\n  done\n"), "{}", output.stderr);
    assert!(output.stderr.contains("not started: pi[3-6] (4)"), "{}", output.stderr);
}

#[test]
fn a_second_ctrl_c_ends_it_at_once_with_what_there_is() {
    let Some(fleet) = loopback(2, SshdOptions::default()) else { return };
    let run = fleet.controller.start(&["exec", "--", "touch started.$$; exec sleep 600"]).unwrap();
    let started = || fs::read_dir(fleet.sshd.home()).unwrap().count();
    assert!(wait::until(wait::DEADLINE, || started() == 2), "both are at work");
    run.signal(Signal::SIGINT);
    run.wait_for_error(wait::DEADLINE, "starting no more hosts").unwrap();
    let output = run.abort(wait::DEADLINE).unwrap();
    assert_eq!(output.code(), 130);
    assert!(output.stderr.contains("pi2: failed: interrupted"), "{}", output.stderr);
}

#[test]
fn few_open_files_and_hosts_that_are_off_cost_no_other_host_its_turn() {
    let options = SshdOptions { config_lines: vec!["MaxStartups 200".to_owned()], ..SshdOptions::default() };
    let Some(fleet) = loopback(1, options) else { return };
    // The kernel takes the connections, and nobody ever says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let inventory = format!(
        "[fleet]\nname = \"loop\"\n[groups.off]\nhosts = [\"off[1-18]\"]\naddress = \"127.0.0.1\"\nport = {port}\n\
         connect_timeout = 600\n[groups.on]\nhosts = [\"pi[1-42]\"]\n"
    );
    fleet.controller.write("fleet.toml", &inventory).unwrap();
    let program = fleet.controller.command();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "ulimit -n 128; exec \"$0\" \"$@\""]).arg(program.get_program());
    shell.args(["exec", "-f", "60", "--timeout", "900", "--json", "--", "true"]);
    shell.current_dir(fleet.controller.home());
    shell.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let run = Running::start(&mut shell).unwrap();
    let of = |result: &str| run.lines().iter().filter(|line| line["result"] == result).count();
    // All that are on have had their turn while each that is off is still waited for.
    assert!(wait::until(wait::DEADLINE, || of("ok") == 42), "{} of 42\n{}", of("ok"), run.complained());
    assert_eq!(run.lines().len(), 42, "{}", run.said());
    run.signal(Signal::SIGINT);
    run.wait_for_error(wait::DEADLINE, "starting no more hosts").unwrap();
    let output = run.abort(wait::DEADLINE).unwrap();
    assert_eq!(output.code(), 130, "{}", output.stderr);
    assert!(output.stderr.contains("21") && output.stderr.contains("open files"), "{}", output.stderr);
}

#[test]
fn shards_share_the_hosts_out_and_an_empty_one_is_an_error() {
    let Some(fleet) = loopback(9, SshdOptions::default()) else { return };
    let mut all = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let output = fleet.controller.run(&["ping", "--list-hosts", "--shard", shard]).unwrap();
        assert_eq!(output.code(), 0, "{}", output.stderr);
        all.extend(output.stdout.lines().map(str::to_owned));
    }
    all.sort();
    assert_eq!(all, (1..=9).map(|number| format!("pi{number}")).collect::<Vec<_>>());
    let nobody = fleet.controller.run(&["ping", "pi1", "--shard", "1/100"]).unwrap();
    assert_eq!(nobody.code(), 5, "{}", nobody.stderr);
    assert!(nobody.stderr.contains("none of the selected hosts is in the shard 1/100"), "{}", nobody.stderr);
}
