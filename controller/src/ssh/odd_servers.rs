//! Servers that do what OpenSSH does not, to see that we do not mind. Tests only.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::keys::key::safe_rng;
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{Auth, Config, Handler, Msg, Response, Session as ServerSession};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::client::{Client, ClientOptions, Prompt, Prompter};
use super::error::SshError;
use super::exec::{Exec, ExitStatus, Output};
use super::session::Session;
use super::settings::{IdentityAgent, Settings};

/// Answers each command by name.
struct Odd {
    login: Login,
}

/// Who is let in.
#[derive(Clone, Copy)]
enum Login {
    Anybody,
    ByPassword,
    ByAnswers,
}

impl Handler for Odd {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Self::Error> {
        Ok(match self.login {
            Login::Anybody => Auth::Accept,
            Login::ByPassword => only(MethodKind::Password),
            Login::ByAnswers => only(MethodKind::KeyboardInteractive),
        })
    }

    async fn auth_password(&mut self, _user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(if password == "pass word" { Auth::Accept } else { only(MethodKind::Password) })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(response) = response else {
            let prompts = vec![(Cow::from("Password: "), false)];
            return Ok(Auth::Partial { name: "".into(), instructions: "".into(), prompts: prompts.into() });
        };
        let answers: Vec<Vec<u8>> = response.map(|answer| answer.to_vec()).collect();
        Ok(if answers == [b"pass word"] { Auth::Accept } else { only(MethodKind::KeyboardInteractive) })
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

fn only(method: MethodKind) -> Auth {
    let mut methods = MethodSet::empty();
    methods.push(method);
    Auth::Reject { proceed_with_methods: Some(methods), partial_success: false }
}

async fn connect(login: Login, password: Option<&'static str>) -> Result<Session, SshError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
    let dir = tempfile::TempDir::new().unwrap();
    let known = dir.path().join("known_hosts");
    std::fs::OpenOptions::new().create(true).append(true).open(&known).unwrap();
    let config = Arc::new(Config {
        keys: vec![key],
        auth_rejection_time: Duration::from_millis(1),
        ..Config::default()
    });
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = russh::server::run_stream(config, stream, Odd { login }).await.unwrap().await;
    });
    let mut settings = Settings::new("127.0.0.1", "me");
    settings.port = port;
    settings.identity_agent = IdentityAgent::None;
    settings.user_known_hosts = vec![known];
    let prompter: Option<Prompter> = password.map(|password| -> Prompter {
        Arc::new(move |prompt| {
            assert_eq!(prompt, Prompt::Password { user: "me".to_owned() });
            Some(password.into())
        })
    });
    let options =
        ClientOptions { accept_new: true, ask_password: true, prompter, ..ClientOptions::default() };
    Client::new(options).connect(&settings).await
}

async fn run(command: &str) -> Result<Output, String> {
    let session = connect(Login::Anybody, None).await.unwrap();
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

#[tokio::test]
async fn a_password_is_given_where_nothing_else_is_wanted() {
    for login in [Login::ByPassword, Login::ByAnswers] {
        connect(login, Some("pass word")).await.unwrap();
        let error = connect(login, Some("wrong")).await.unwrap_err().to_string();
        assert!(error.contains("refused; the host accepts"), "{error}");
        assert!(!error.contains("wrong"), "a password is never shown: {error}");
        let error = connect(login, None).await.unwrap_err().to_string();
        assert!(error.contains("nothing to offer"), "{error}");
    }
}

#[tokio::test]
async fn a_host_that_holds_us_off_is_not_asked_again_and_says_what_helps() {
    for (said, tries, hint) in
        [("Not allowed at this time", 1, "PerSourcePenalties"), ("Exceeded MaxStartups", 4, "MaxStartups")]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = Settings::new("127.0.0.1", "me");
        settings.port = listener.local_addr().unwrap().port();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                stream.write_all(format!("{said}\r\n").as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                // What is left unread would become a reset, which may overtake the words.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }
        });
        let error = Client::new(ClientOptions::default()).connect(&settings).await.unwrap_err();
        assert!(error.to_string().contains(&format!("saying `{said}`")), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
        assert_eq!(seen.load(Ordering::SeqCst), tries, "{said}");
    }
}
