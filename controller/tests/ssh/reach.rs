use std::net::TcpListener;
use std::time::Duration;

use agent_runner_fleet::ssh::{Exec, Settings};
use tokio::time::timeout;

use super::support::{Options, PATIENCE, client, connect, free_port, greeting, sshd, wait_until};

fn local(port: u16) -> Settings {
    let mut settings = Settings::new("127.0.0.1", "nobody");
    settings.port = port;
    settings.connect_timeout = Duration::from_millis(300);
    settings
}

#[tokio::test]
async fn a_closed_port_is_refused_at_once() {
    let error = client().connect(&local(free_port())).await.unwrap_err();
    assert!(error.unreachable());
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_name_without_address_is_named() {
    let mut settings = local(22);
    settings.address = "no-such-host.invalid".to_owned();
    settings.connect_timeout = PATIENCE;
    let error = client().connect(&settings).await.unwrap_err();
    assert!(error.to_string().contains("cannot resolve no-such-host.invalid"), "{error}");
}

#[tokio::test]
async fn a_host_that_accepts_and_never_speaks_ends_at_its_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = local(listener.local_addr().unwrap().port());
    let error = timeout(PATIENCE, client().connect(&settings)).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("it does not speak SSH"), "{error}");
}

#[tokio::test]
async fn a_host_that_greets_and_then_hangs_ends_at_its_deadline_and_is_hung_up_on() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = local(listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-hang\r\n").await.unwrap();
        let mut all = Vec::new();
        // Ends only when the client lets go of the connection.
        let _ = stream.read_to_end(&mut all).await;
        all
    });
    let error = timeout(PATIENCE, client().connect(&settings)).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("key exchange"), "{error}");
    let sent = timeout(PATIENCE, server).await.unwrap().unwrap();
    assert!(sent.starts_with(b"SSH-2.0-agent_runner_fleet_"));
}

#[tokio::test]
async fn silent_hosts_do_not_hold_up_the_others() {
    let Some(server) = sshd(&Options::default()) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut silent = local(listener.local_addr().unwrap().port());
    silent.connect_timeout = Duration::from_secs(600);
    let client = client();
    // More than may start at once, to one silent place each.
    let waiting: Vec<_> = (0..64)
        .map(|index| {
            let mut settings = silent.clone();
            settings.address = format!("127.0.0.{}", 1 + index % 8);
            settings.name = format!("silent{index}");
            let client = client.clone();
            tokio::spawn(async move { client.connect(&settings).await.map(drop) })
        })
        .collect();
    let session = timeout(PATIENCE, client.connect(&server.settings())).await.unwrap().unwrap();
    assert!(session.exec(Exec::argv(&["true"])).await.unwrap().success());
    for task in waiting {
        task.abort();
    }
}

#[tokio::test]
async fn what_is_no_ssh_server_is_quoted() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = local(listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
        }
    });
    let error = timeout(PATIENCE, client().connect(&settings)).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("220 mail.example ESMTP"), "{error}");
}

#[tokio::test]
async fn a_server_that_drops_simultaneous_starts_gets_them_one_by_one() {
    let Some(server) = sshd(&Options { config: "MaxStartups 2:50:4", ..Options::default() }) else { return };
    let settings = server.settings();
    let client = client();
    let connections = (0..30).map(|_| {
        let (client, settings) = (client.clone(), settings.clone());
        async move { client.connect(&settings).await }
    });
    let sessions = timeout(PATIENCE * 3, futures::future::join_all(connections)).await.unwrap();
    for session in &sessions {
        assert!(session.is_ok(), "{:?}", session.as_ref().err());
    }
}

#[tokio::test]
async fn one_host_is_connected_to_once_per_run() {
    let Some(server) = sshd(&Options::default()) else { return };
    let settings = server.settings();
    let client = client();
    let (a, b) = tokio::join!(client.session(&settings), client.session(&settings));
    let (a, _b) = (a.unwrap(), b.unwrap());
    assert_eq!(server.log().matches("Accepted publickey").count(), 1, "{}", server.log());
    a.close().await;
    wait_until("the close", || a.is_closed()).await;
    let again = client.session(&settings).await.unwrap();
    assert!(again.exec(Exec::argv(&["true"])).await.unwrap().success());
}

#[tokio::test]
async fn a_host_behind_another_is_reached_through_it_and_the_way_is_shared() {
    let Some(bastion) = sshd(&Options::default()) else { return };
    let Some(middle) = sshd(&Options::default()) else { return };
    let Some(target) = sshd(&Options::default()) else { return };
    let mut through = target.settings();
    let (mut first, mut second) = (bastion.settings(), middle.settings());
    first.name = "bastion".to_owned();
    second.name = "middle".to_owned();
    through.jumps = vec![first, second];
    let client = client();
    let (a, b) = tokio::join!(client.connect(&through), client.connect(&through));
    for session in [a.unwrap(), b.unwrap()] {
        assert!(session.exec(Exec::argv(&["true"])).await.unwrap().success());
    }
    for server in [&bastion, &middle] {
        assert_eq!(server.log().matches("Accepted publickey").count(), 1, "{}", server.log());
    }
}

#[tokio::test]
async fn a_broken_jump_host_is_named_with_its_own_cause() {
    let Some(target) = sshd(&Options::default()) else { return };
    let Some(bastion) = sshd(&Options::default()) else { return };
    let mut settings = target.settings();
    let mut dead = local(free_port());
    dead.name = "bastion".to_owned();
    settings.jumps = vec![dead];
    let error = client().connect(&settings).await.unwrap_err();
    assert!(error.to_string().contains("jump host bastion failed"), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("refused"), "{source}");
    let mut settings = bastion.settings();
    settings.jumps = vec![bastion.settings()];
    settings.port = free_port();
    let error = client().connect(&settings).await.unwrap_err();
    assert!(error.to_string().contains("jump host pi cannot reach 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn a_proxy_command_carries_the_connection() {
    let Some(server) = sshd(&Options::default()) else { return };
    assert!(greeting(server.port).starts_with("SSH-2.0-"));
    let mut settings = server.settings();
    settings.proxy_command =
        Some(format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{}; cat <&3 & cat >&3'", server.port));
    let session = connect(&settings).await;
    assert!(session.exec(Exec::argv(&["true"])).await.unwrap().success());
    settings.proxy_command = Some("true".to_owned());
    let error = client().connect(&settings).await.unwrap_err();
    assert!(error.to_string().contains("closed the connection"), "{error}");
}
