use std::fs;
use std::time::Duration;

use agent_runner_fleet::ssh::server::{Server, ServerOptions, generate_key};
use agent_runner_fleet::ssh::{Exec, ExitStatus, IdentityAgent, IdentityFile, Payload, Settings, Upload};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::time::timeout;

use super::support::{PATIENCE, client, connect, wait_until};

struct Host {
    server: Server,
    settings: Settings,
    home: TempDir,
}

async fn host() -> Host {
    let home = TempDir::new().unwrap();
    let key = home.path().join("key");
    let options = ServerOptions {
        authorized_key: generate_key(&key).unwrap(),
        home: home.path().to_owned(),
        environment: vec![("LANG".to_owned(), "C".to_owned())],
    };
    let server = Server::start(options).await.unwrap();
    let known = home.path().join("known_hosts");
    fs::write(&known, server.known_hosts_line()).unwrap();
    let mut settings = Settings::new("127.0.0.1", "anybody");
    settings.port = server.address().port();
    settings.identities = vec![IdentityFile::configured(key)];
    settings.identity_agent = IdentityAgent::None;
    settings.user_known_hosts = vec![known];
    settings.connect_timeout = PATIENCE;
    Host { server, settings, home }
}

#[tokio::test]
async fn commands_run_for_real_with_a_cleared_environment() {
    let host = host().await;
    let session = connect(&host.settings).await;
    let output = session
        .exec(Exec::command("pwd; echo $HOME; env | cut -d= -f1 | sort; cat; exit 9").stdin("in"))
        .await;
    let output = output.unwrap();
    let home = host.home.path().display();
    let expected = format!("{home}\n{home}\nAGENT_RUNNER_THROWAWAY_HOST\nHOME\nLANG\nPATH\nPWD\nin");
    let printed = String::from_utf8(output.stdout).unwrap();
    let printed: Vec<_> = printed.lines().filter(|l| *l != "_" && *l != "SHLVL" && *l != "OLDPWD").collect();
    assert_eq!(printed.join("\n"), expected);
    assert_eq!(output.status, ExitStatus::Code(9));
    let killed = session.exec(Exec::command("kill -TERM $PPID; kill -TERM $$")).await.unwrap();
    assert_eq!(killed.status, ExitStatus::Signal("TERM".to_owned()));
    host.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn files_are_taken_and_large_output_flows() {
    let host = host().await;
    let session = connect(&host.settings).await;
    let bytes = vec![7; 3 << 20];
    let sum: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    session.upload(Upload::new(Payload::Bytes(bytes.into()), "below/file", sum)).await.unwrap();
    let output = session.exec(Exec::command("cat below/file").output_limit(8 << 20)).await.unwrap();
    assert_eq!(output.stdout.len(), 3 << 20);
    host.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn another_key_is_refused() {
    let host = host().await;
    let mut settings = host.settings.clone();
    let other = host.home.path().join("other");
    generate_key(&other).unwrap();
    settings.identities = vec![IdentityFile::configured(other)];
    let error = client().connect(&settings).await.unwrap_err();
    assert!(error.to_string().contains("other refused; the host accepts publickey"), "{error}");
    host.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn shutting_down_ends_what_runs_and_what_has_detached_itself() {
    let host = host().await;
    let session = connect(&host.settings).await;
    let detached = "setsid sh -c 'echo $$ >pid; exec sleep 600' </dev/null >/dev/null 2>&1 &";
    assert!(session.exec(Exec::command(detached)).await.unwrap().success());
    let pid_file = host.home.path().join("pid");
    wait_until("the detached process", || fs::read_to_string(&pid_file).is_ok_and(|t| t.ends_with('\n')))
        .await;
    let pid = fs::read_to_string(&pid_file).unwrap();
    let running = tokio::spawn({
        let session = session.clone();
        async move { session.exec(Exec::command("exec sleep 600").deadline(None)).await }
    });
    wait_until("the second process", || session.is_closed() || !running.is_finished()).await;
    timeout(PATIENCE, host.server.shutdown()).await.unwrap().unwrap();
    let gone = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        stat.is_err() || stat.unwrap().contains(") Z ")
    };
    wait_until("the end of the detached process", gone).await;
    assert!(timeout(PATIENCE, running).await.unwrap().unwrap().is_err());
    let mut settings = host.settings.clone();
    settings.connect_timeout = Duration::from_secs(5);
    assert!(client().connect(&settings).await.unwrap_err().to_string().contains("refused"));
}
