//! Servers that do what OpenSSH does not, to see that we do not mind. Tests only.

use std::sync::Arc;
use std::time::Duration;

use russh::keys::key::safe_rng;
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{Auth, Config, Handler, Msg, Session as ServerSession};
use russh::{Channel, ChannelId};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::client::{Client, ClientOptions};
use super::exec::{Exec, ExitStatus, Output};
use super::session::Session;
use super::settings::{IdentityAgent, Settings};

/// Lets everybody in and answers each command by name.
struct Odd;

impl Handler for Odd {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: russh::server::ChannelOpenHandle,
        _session: &mut ServerSession,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut ServerSession,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(command);
        if command.contains("refuse") {
            return session.channel_failure(id);
        }
        session.channel_success(id)?;
        session.data(id, &b"one "[..])?;
        if command.contains("early-status") {
            session.exit_status_request(id, 5)?;
            session.eof(id)?;
            session.extended_data(id, 1, &b"late"[..])?;
        }
        session.close(id)
    }
}

async fn session(dir: &tempfile::TempDir) -> Session {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
    let known = dir.path().join("known_hosts");
    std::fs::OpenOptions::new().create(true).append(true).open(&known).unwrap();
    let config = Arc::new(Config { keys: vec![key], ..Config::default() });
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = russh::server::run_stream(config, stream, Odd).await.unwrap().await;
    });
    let mut settings = Settings::new("127.0.0.1", "me");
    settings.port = port;
    settings.identity_agent = IdentityAgent::None;
    settings.user_known_hosts = vec![known];
    let client = Client::new(ClientOptions { accept_new: true, ..ClientOptions::default() });
    client.connect(&settings).await.unwrap()
}

async fn run(command: &str) -> Result<Output, String> {
    let dir = tempfile::TempDir::new().unwrap();
    let session = session(&dir).await;
    let run = session.exec(Exec::command(command));
    timeout(Duration::from_secs(60), run).await.unwrap().map_err(|e| e.to_string())
}

#[tokio::test]
async fn a_command_that_ends_without_a_status_is_an_error_of_its_own() {
    assert_eq!(run("no-status").await.unwrap_err(), "127.0.0.1: the command ended without an exit status");
}

#[tokio::test]
async fn data_after_the_status_is_not_lost() {
    let output = run("early-status").await.unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"one "[..], &b"late"[..]));
    assert_eq!(output.status, ExitStatus::Code(5));
}

#[tokio::test]
async fn a_refused_command_says_so() {
    let error = run("refuse").await.unwrap_err();
    assert!(error.contains("the host refused to run a command"), "{error}");
}
