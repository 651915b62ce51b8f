use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agent_runner_fleet::ssh::{
    Client, ClientOptions, IdentityAgent, IdentityFile, Prompt, Settings, SshError,
};

use super::support::{Agent, Options, Sshd, client, connect, keygen, sshd};

fn allow(server: &Sshd, name: &str) {
    fs::copy(server.path(&format!("{name}.pub")), server.path("authorized_keys")).unwrap();
}

async fn refusal(client: &Client, settings: &Settings) -> SshError {
    let error = client.connect(settings).await.expect_err("the host should not have let us in");
    assert!(error.unreachable());
    error
}

#[tokio::test]
async fn each_type_of_key_file_lets_us_in() {
    let Some(server) = sshd(&Options::default()) else { return };
    let mut settings = server.settings();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        keygen(&server.path(kind), kind, "");
        allow(&server, kind);
        settings.identities = vec![IdentityFile::configured(server.path(kind))];
        connect(&settings).await;
    }
}

#[tokio::test]
async fn a_key_of_the_agent_lets_us_in() {
    let Some(server) = sshd(&Options::default()) else { return };
    let mut settings = server.settings();
    settings.identities.clear();
    for kind in ["ed25519", "rsa"] {
        keygen(&server.path(kind), kind, "");
        allow(&server, kind);
        let agent = Agent::start(&[&server.path(kind)]);
        settings.identity_agent = IdentityAgent::Socket(agent.socket.clone());
        connect(&settings).await;
        settings.identity_agent = IdentityAgent::Default;
        let options = ClientOptions { agent_socket: Some(agent.socket.clone()), ..ClientOptions::default() };
        Client::new(options).connect(&settings).await.unwrap();
    }
}

#[tokio::test]
async fn the_configured_key_comes_before_the_others_of_the_agent() {
    let Some(server) = sshd(&Options { config: "MaxAuthTries 2", ..Options::default() }) else { return };
    let mut settings = server.settings();
    let keys: Vec<_> = (0..6).map(|i| server.path(&format!("k{i}"))).collect();
    for key in &keys {
        keygen(key, "ed25519", "");
    }
    let paths: Vec<_> = keys.iter().map(|k| k.as_path()).collect();
    let agent = Agent::start(&paths);
    settings.identity_agent = IdentityAgent::Socket(agent.socket.clone());
    allow(&server, "k5");
    settings.identities.clear();
    let error = refusal(&client(), &settings).await.to_string();
    assert!(error.contains("the host closed the connection after"), "{error}");
    settings.identities = vec![IdentityFile::configured(&keys[5])];
    connect(&settings).await;
    settings.identities = vec![IdentityFile::configured(&keys[0])];
    settings.identities_only = true;
    let error = refusal(&client(), &settings).await.to_string();
    assert_eq!(error.matches("refused").count(), 1, "{error}");
}

#[tokio::test]
async fn the_agent_that_is_named_signs_for_the_public_halves_that_are_named_and_for_no_other_key() {
    let Some(server) = sshd(&Options { config: "MaxAuthTries 3", ..Options::default() }) else { return };
    let keys: Vec<_> = (0..6).map(|i| server.path(&format!("k{i}"))).collect();
    for key in &keys {
        keygen(key, "ed25519", "");
    }
    let paths: Vec<_> = keys.iter().map(|key| key.as_path()).collect();
    let (named, usual) = (Agent::start(&paths), Agent::start(&[]));
    allow(&server, "k4");
    for key in &keys {
        fs::remove_file(key).unwrap();
    }
    let mut settings = server.settings();
    settings.identities = [&keys[3], &keys[4]].map(IdentityFile::configured).to_vec();
    settings.identities_only = true;
    let options = ClientOptions { agent_socket: Some(usual.socket.clone()), ..ClientOptions::default() };
    let client = Client::new(options);
    settings.identity_agent = IdentityAgent::Default;
    let error = refusal(&client, &settings).await.to_string();
    assert!(error.contains("k3: no such file") && error.contains("k4: no such file"), "{error}");
    settings.identity_agent = IdentityAgent::Socket(named.socket.clone());
    let session = client.connect(&settings).await.unwrap();
    let login = session.login().to_string();
    assert!(login.starts_with("agent key ") && login.contains("/k4; before it: "), "{login}");
    assert_eq!(login.matches("refused").count(), 1, "the others of the agent stay unmentioned: {login}");
    assert!(login.contains("/k3 refused"), "{login}");
}

#[tokio::test]
async fn an_encrypted_key_asks_once_per_run_and_only_if_it_helps() {
    let Some(server) = sshd(&Options::default()) else { return };
    let mut settings = server.settings();
    keygen(&server.path("locked"), "ed25519", "open sesame");
    keygen(&server.path("useless"), "ed25519", "never asked for");
    allow(&server, "locked");
    settings.identities = vec![
        IdentityFile::configured(server.path("useless")),
        IdentityFile::configured(server.path("locked")),
    ];
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, expected) = (Arc::clone(&asked), server.path("locked"));
    let prompter = move |prompt| {
        count.fetch_add(1, Ordering::SeqCst);
        assert_eq!(prompt, Prompt::Passphrase { key: expected.clone(), attempt: 0 });
        Some("open sesame".into())
    };
    let client =
        Client::new(ClientOptions { prompter: Some(Arc::new(prompter)), ..ClientOptions::default() });
    let (a, b, c) =
        tokio::join!(client.connect(&settings), client.connect(&settings), client.connect(&settings));
    a.unwrap();
    b.unwrap();
    c.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_encrypted_key_without_anybody_to_ask_is_named() {
    let Some(server) = sshd(&Options::default()) else { return };
    let mut settings = server.settings();
    keygen(&server.path("locked"), "ed25519", "open sesame");
    allow(&server, "locked");
    settings.identities = vec![IdentityFile::configured(server.path("locked"))];
    let error = refusal(&client(), &settings).await.to_string();
    assert!(error.contains("locked: encrypted, and there is nobody to ask"), "{error}");
}

#[tokio::test]
async fn a_key_that_others_can_read_is_not_used() {
    let Some(server) = sshd(&Options::default()) else { return };
    let settings = server.settings();
    fs::set_permissions(server.path("user"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let error = refusal(&client(), &settings).await;
    assert!(error.to_string().contains("others can read it (mode 0644)"), "{error}");
    assert_eq!(error.hint().unwrap(), format!("chmod 600 {}", server.path("user").display()));
}

#[tokio::test]
async fn a_wrong_key_is_refused_with_an_account_of_what_was_offered() {
    let Some(server) = sshd(&Options::default()) else { return };
    let mut settings = server.settings();
    keygen(&server.path("wrong"), "ed25519", "");
    settings.identities = vec![
        IdentityFile::configured(server.path("wrong")),
        IdentityFile::configured(server.path("missing")),
        IdentityFile::default_name(server.path("id_default")),
        IdentityFile::configured(server.path("known_hosts")),
    ];
    fs::set_permissions(server.path("known_hosts"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    let error = refusal(&client(), &settings).await.to_string();
    assert!(error.contains("wrong refused"), "{error}");
    assert!(error.contains("missing: no such file"), "{error}");
    assert!(error.contains("known_hosts: holds no private key"), "{error}");
    assert!(error.contains("the host accepts publickey"), "{error}");
    assert!(!error.contains("id_default"), "{error}");
}

#[tokio::test]
async fn a_user_certificate_lets_us_in_from_a_file_and_from_the_agent() {
    let ca = tempfile::TempDir::new().unwrap();
    let ca_key = ca.path().join("ca");
    keygen(&ca_key, "ed25519", "");
    let config = format!("TrustedUserCAKeys {}.pub", ca_key.display());
    let Some(server) = sshd(&Options { config: &config, ..Options::default() }) else { return };
    fs::write(server.path("authorized_keys"), "").unwrap();
    let mut settings = server.settings();
    for kind in ["ed25519", "rsa"] {
        let key = server.path(kind);
        keygen(&key, kind, "");
        let user = settings.user.clone();
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-I", "me", "-n", &user, "-s"])
            .arg(&ca_key)
            .arg(&key)
            .status();
        assert!(signed.unwrap().success());
        settings.identities = vec![IdentityFile::configured(&key)];
        settings.identity_agent = IdentityAgent::None;
        connect(&settings).await;
        let agent = Agent::start(&[&key]);
        settings.identities.clear();
        settings.identity_agent = IdentityAgent::Socket(agent.socket.clone());
        connect(&settings).await;
    }
}
