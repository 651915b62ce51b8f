use std::fs;

use agent_runner_fleet::ssh::{Client, ClientOptions, Exec, Settings, SshError, Verdict};

use super::support::{Options, Sshd, client, connect, keygen, sshd};

async fn refusal(settings: &Settings) -> SshError {
    let error = client().connect(settings).await.expect_err("the host key should have been refused");
    assert!(error.unreachable());
    error
}

fn other_key(server: &Sshd, kind: &str) -> String {
    keygen(&server.path("other"), kind, "");
    fs::read_to_string(server.path("other.pub")).unwrap()
}

#[tokio::test]
async fn a_recorded_host_is_let_through() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    let negotiated = session.negotiated();
    assert_eq!(negotiated.kex, "curve25519-sha256");
    assert_eq!(negotiated.cipher, "aes256-gcm@openssh.com");
    assert_eq!(negotiated.host_key, "ssh-ed25519");
    assert!(negotiated.server.starts_with("SSH-2.0-OpenSSH"), "{negotiated:?}");
    assert!(session.exec(Exec::argv(&["true"])).await.unwrap().success());
}

#[tokio::test]
async fn an_unknown_host_is_refused_with_the_way_to_trust_it() {
    let Some(server) = sshd(&Options::default()) else { return };
    let error = refusal(&server.stranger()).await;
    assert!(error.to_string().contains("is not known (ssh-ed25519 SHA256:"), "{error}");
    assert_eq!(error.hint().unwrap(), "agent-runner-fleet trust pi");
    assert!(!server.path("known_hosts").exists(), "a refusal records nothing");
}

#[tokio::test]
async fn an_unknown_host_is_recorded_when_that_is_wanted() {
    let Some(server) = sshd(&Options::default()) else { return };
    let accepting = Client::new(ClientOptions { accept_new: true, ..ClientOptions::default() });
    accepting.connect(&server.stranger()).await.unwrap();
    connect(&server.stranger()).await;
    let known = fs::read_to_string(server.path("known_hosts")).unwrap();
    assert_eq!(known.lines().count(), 1);
    assert!(known.starts_with(&format!("[127.0.0.1]:{} ssh-ed25519 ", server.port)), "{known}");
}

#[tokio::test]
async fn another_key_than_the_recorded_one_is_a_mismatch() {
    let Some(server) = sshd(&Options::default()) else { return };
    server.record(&other_key(&server, "ed25519"));
    let error = refusal(&server.stranger()).await;
    assert!(error.to_string().contains("does not match the recorded one"), "{error}");
    assert!(error.to_string().contains("known_hosts:1"), "{error}");
}

#[tokio::test]
async fn another_type_than_the_recorded_one_is_a_mismatch_even_when_new_hosts_are_welcome() {
    let Some(server) = sshd(&Options::default()) else { return };
    server.record(&other_key(&server, "ecdsa"));
    let accepting = Client::new(ClientOptions { accept_new: true, ..ClientOptions::default() });
    let error = accepting.connect(&server.stranger()).await.unwrap_err();
    assert!(error.to_string().contains("offered only ssh-ed25519, recorded ecdsa-sha2-nistp256"), "{error}");
}

#[tokio::test]
async fn a_host_with_several_keys_shows_the_recorded_one() {
    let options = Options { host_key_types: &["ed25519", "ecdsa", "rsa"], ..Options::default() };
    let Some(server) = sshd(&options) else { return };
    for kind in ["rsa", "ecdsa"] {
        let _ = fs::remove_file(server.path("known_hosts"));
        server.record(&fs::read_to_string(server.path(&format!("host_{kind}.pub"))).unwrap());
        let session = connect(&server.stranger()).await;
        assert!(session.negotiated().host_key.contains(kind), "{:?}", session.negotiated());
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_although_it_is_recorded() {
    let Some(server) = sshd(&Options::default()) else { return };
    let settings = server.settings();
    server.append_known(&format!(
        "@revoked * {}",
        fs::read_to_string(server.path("host_ed25519.pub")).unwrap()
    ));
    let error = refusal(&settings).await;
    assert!(error.to_string().contains("is revoked by"), "{error}");
}

#[tokio::test]
async fn names_hashed_by_ssh_keygen_are_found() {
    let Some(server) = sshd(&Options::default()) else { return };
    let settings = server.settings();
    let hashed =
        std::process::Command::new("ssh-keygen").arg("-H").arg("-f").arg(server.path("known_hosts")).output();
    assert!(hashed.unwrap().status.success());
    assert!(fs::read_to_string(server.path("known_hosts")).unwrap().starts_with("|1|"));
    connect(&settings).await;
}

#[tokio::test]
async fn a_certificate_of_a_recorded_authority_is_enough() {
    let Some(server) = sshd(&Options {
        // The files are made below; sshd reads them for each connection anew only after a restart, so
        // the certificate comes from a server of its own.
        ..Options::default()
    }) else {
        return;
    };
    let ca = server.path("ca");
    keygen(&ca, "ed25519", "");
    let sign = |principals: &str| {
        let signed = std::process::Command::new("ssh-keygen")
            .args(["-q", "-h", "-I", "host", "-n", principals, "-s"])
            .arg(&ca)
            .arg(server.path("host_ed25519.pub"))
            .status();
        assert!(signed.unwrap().success());
    };
    for (principals, good) in [("127.0.0.1,other", true), ("other", false)] {
        sign(principals);
        let config =
            format!("HostKey {0}\nHostCertificate {0}-cert.pub", server.path("host_ed25519").display());
        let Some(certified) = sshd(&Options { config: &config, ..Options::default() }) else { return };
        let settings = certified.stranger();
        certified.append_known(&format!(
            "@cert-authority * {}",
            fs::read_to_string(server.path("ca.pub")).unwrap().trim()
        ));
        if good {
            connect(&settings).await;
        } else {
            let error = refusal(&settings).await;
            assert!(
                error.to_string().contains("host certificate of 127.0.0.1 refused: it is for other"),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn an_unreadable_file_is_an_error_not_an_empty_one() {
    let Some(server) = sshd(&Options::default()) else { return };
    let mut settings = server.settings();
    settings.global_known_hosts.push(server.dir.path().to_owned());
    let error = refusal(&settings).await;
    assert!(error.to_string().contains("cannot read"), "{error}");
}

#[tokio::test]
async fn a_host_can_be_asked_for_its_keys_and_then_trusted() {
    let options = Options { host_key_types: &["ed25519", "rsa"], ..Options::default() };
    let Some(server) = sshd(&options) else { return };
    let settings = server.stranger();
    let client = client();
    let offered = client.scan(&settings).await.unwrap();
    let types: Vec<_> = offered.iter().map(|key| key.algorithm.as_str()).collect();
    assert_eq!(types, ["ssh-ed25519", "ssh-rsa"]);
    assert!(
        offered.iter().all(|key| key.verdict == Verdict::Unknown && key.fingerprint.starts_with("SHA256:"))
    );
    assert!(offered[0].randomart.contains("+"), "{}", offered[0].randomart);
    assert_eq!(client.trust(&settings, &offered).await.unwrap(), [Verdict::Known, Verdict::Known]);
    let offered = client.scan(&settings).await.unwrap();
    assert!(offered.iter().all(|key| key.verdict == Verdict::Known), "{offered:?}");
    client.connect(&settings).await.unwrap();
}
