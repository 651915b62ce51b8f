use std::time::Duration;

use agent_runner_fleet::ssh::{Exec, ExitStatus, Output, Source};
use tokio::time::timeout;

use super::support::{Options, PATIENCE, connect, sessions, sshd, wait_until};

#[tokio::test]
async fn output_and_exit_code_come_back() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    let output = session.exec(Exec::command("cat; echo err >&2; exit 7").stdin("in")).await.unwrap();
    let expected = Output {
        status: ExitStatus::Code(7),
        stdout: b"in".to_vec(),
        stderr: b"err\n".to_vec(),
        truncated: false,
    };
    assert_eq!(output, expected);
    assert!(!output.success());
}

#[tokio::test]
async fn arguments_arrive_as_they_are() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    let hostile = "a'b\"c\\d!e $(id) `id` $HOME\n-*é";
    let output = session.exec(Exec::argv(&["printf", "%s|", hostile, ""])).await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{hostile}||"));
}

#[tokio::test]
async fn a_long_script_travels_on_stdin_and_its_commands_cannot_eat_it() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    let script = format!("x='{}'\ncat\necho ${{#x}}\nexit 3", "y".repeat(300_000));
    let output = session.exec(Exec::script(&script)).await.unwrap();
    assert_eq!((output.stdout.as_slice(), output.status), (&b"300000\n"[..], ExitStatus::Code(3)));
}

#[tokio::test]
async fn a_command_killed_by_a_signal_says_so() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    // sshd reports a signal only of the login shell itself.
    let output = session.exec(Exec::command("kill -KILL $$")).await;
    match output {
        Ok(output) => {
            assert!(matches!(output.status, ExitStatus::Signal(_) | ExitStatus::Code(137)), "{output:?}")
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn output_beyond_the_bound_is_dropped_and_said_so() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    let exec = Exec::command("head -c 3000000 /dev/zero; exit 5").output_limit(1000);
    let output = session.exec(exec).await.unwrap();
    assert_eq!((output.stdout.len(), output.truncated, output.status), (1000, true, ExitStatus::Code(5)));
}

#[tokio::test]
async fn a_command_that_hangs_ends_at_its_deadline_and_the_session_goes_on() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    let exec = Exec::command("echo begun; exec sleep 600").deadline(Some(Duration::from_secs(2)));
    let error = timeout(PATIENCE, session.exec(exec)).await.unwrap().unwrap_err();
    assert!(!error.unreachable());
    assert!(error.to_string().contains("no result within 2.0 s"), "{error}");
    assert!(session.exec(Exec::argv(&["true"])).await.unwrap().success());
    // SSH cannot end it; the end of the test's server does.
    let folder = server.dir.path().to_owned();
    assert!(!sessions(&folder).is_empty());
    drop((session, server));
    wait_until("the end of what it left", || sessions(&folder).is_empty()).await;
}

#[tokio::test]
async fn a_connection_lost_while_a_command_runs_is_told_from_a_missing_status() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    // The parent of the shell is the sshd of this connection.
    let lost =
        session.exec(Exec::command("echo begun; kill -9 $(ps -o ppid= -p $PPID) $PPID; sleep 5")).await;
    let error = lost.unwrap_err();
    assert!(!error.unreachable());
    assert!(error.to_string().contains("connection lost while the command ran"), "{error}");
    wait_until("the end of the session", || session.is_closed()).await;
}

#[tokio::test]
async fn lines_are_streamed_with_their_source() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    let mut stream =
        session.stream(Exec::command("echo one; echo two >&2; printf three; exit 4")).await.unwrap();
    let mut lines = Vec::new();
    while let Some(line) = stream.next().await {
        lines.push((line.source, String::from_utf8(line.bytes).unwrap()));
    }
    lines.sort_by_key(|(_, text)| text.clone());
    let expected = [(Source::Stdout, "one"), (Source::Stdout, "three"), (Source::Stderr, "two")];
    assert_eq!(lines, expected.map(|(source, text)| (source, text.to_owned())));
    assert_eq!(stream.finish().await.unwrap(), ExitStatus::Code(4));
}

#[tokio::test]
async fn a_stream_nobody_reads_stalls_no_other_command() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    let stream = session.stream(Exec::command("yes").deadline(None)).await.unwrap();
    wait_until("dropping lines", || stream.dropped() > 1000).await;
    for _ in 0..3 {
        let output = timeout(PATIENCE, session.exec(Exec::argv(&["echo", "ok"]))).await.unwrap().unwrap();
        assert_eq!(output.stdout, b"ok\n");
    }
    drop(stream);
    assert!(session.exec(Exec::argv(&["true"])).await.unwrap().success());
}

#[tokio::test]
async fn a_stream_can_be_stopped_and_the_rest_still_read() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    let mut stream = session.stream(Exec::command("echo one; exec sleep 600").deadline(None)).await.unwrap();
    assert_eq!(stream.next().await.unwrap().bytes, b"one");
    stream.stop();
    assert_eq!(timeout(PATIENCE, stream.next()).await.unwrap(), None);
    assert!(stream.finish().await.is_err());
}

#[tokio::test]
async fn a_server_with_one_session_per_connection_gets_one_at_a_time() {
    let Some(server) = sshd(&Options { config: "MaxSessions 1", ..Options::default() }) else { return };
    let session = connect(&server.settings()).await;
    let runs = (0..6).map(|i| session.exec(Exec::command(format!("echo {i}"))));
    let outputs = timeout(PATIENCE, futures::future::join_all(runs)).await.unwrap();
    for (i, output) in outputs.into_iter().enumerate() {
        assert_eq!(output.unwrap().stdout, format!("{i}\n").into_bytes());
    }
}

#[tokio::test]
async fn eleven_commands_at_once_share_the_channels_a_server_grants() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    let runs = (0..11).map(|_| session.exec(Exec::command("cat").stdin("x")));
    for output in timeout(PATIENCE, futures::future::join_all(runs)).await.unwrap() {
        assert_eq!(output.unwrap().stdout, b"x");
    }
}
