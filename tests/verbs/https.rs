//! A webhook over https: taken where this machine trusts the receiver, and only there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use agent_runner_tests::fleet::{Controller, Running};
use agent_runner_tests::packages::{Needed, ensure};
use agent_runner_tests::{skip, wait};
use serde_json::Value;

use super::fleet_view::watched;

const NEEDED: [Needed; 2] =
    [Needed { program: "openssl", package: "openssl" }, Needed { program: "python3", package: "python3" }];

const DEADLINE: Duration = Duration::from_secs(60);

/// Takes POSTs over TLS; prints its port, then each body on a line.
const RECEIVER: &str = r#"
import http.server, ssl, sys
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()
        print(body.decode().replace("\n", " "), flush=True)
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// Makes a certificate for 127.0.0.1 that signs itself; returns it and its key.
fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (cert, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let config = folder.join("openssl.cnf");
    fs::write(
        &config,
        "[req]\ndistinguished_name = dn\nx509_extensions = v3\nprompt = no\n[dn]\nCN = localhost\n\
         [v3]\nsubjectAltName = IP:127.0.0.1\nbasicConstraints = critical, CA:FALSE\n",
    )
    .unwrap();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .arg("-config")
        .arg(&config)
        .arg("-out")
        .arg(&cert)
        .arg("-keyout")
        .arg(&key)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (cert, key)
}

fn monitor(controller: &Controller, roots: &Path) -> Running {
    let mut command = controller.command();
    command.args(["monitor", "--json"]).env("SSL_CERT_FILE", roots);
    Running::start(&mut command).unwrap()
}

#[test]
fn an_https_webhook_is_sent_to_whom_this_machine_trusts_and_to_nobody_else() {
    if skip::or_skip(ensure(&NEEDED)).is_none() {
        return;
    }
    let Some(fleet) = watched() else { return };
    let controller = &fleet.controller;
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path(), "receiver");
    let (other, _) = certificate(folder.path(), "other");
    let receiver =
        Running::start(Command::new("python3").args(["-u", "-c", RECEIVER]).arg(&cert).arg(&key)).unwrap();
    assert!(wait::until(DEADLINE, || receiver.said().contains('\n')), "{}", receiver.complained());
    let port: u16 = receiver.said().lines().next().unwrap().parse().unwrap();
    fleet.add(&format!("\n[[sinks]]\ntype = \"webhook\"\nurl = \"https://127.0.0.1:{port}/hook\"\n"));

    let distrusting = monitor(controller, &other);
    distrusting.wait_for(DEADLINE, |line| line["type"] == "stopped").unwrap();
    distrusting.wait_for_error(DEADLINE, "messages wait on disk").unwrap();
    assert!(distrusting.complained().contains("certificate"), "{}", distrusting.complained());
    assert_eq!(receiver.said().lines().count(), 1, "{}", receiver.said());
    distrusting.interrupt();
    let _ = distrusting.wait(DEADLINE).unwrap();

    // What waited on disk goes out.
    let trusting = monitor(controller, &cert);
    assert!(wait::until(DEADLINE, || receiver.said().lines().count() > 1), "{}", trusting.complained());
    let body: Value = serde_json::from_str(receiver.said().lines().nth(1).unwrap()).unwrap();
    assert_eq!((&body["notice"], &body["detector"]), (&"fired".into(), &"oauth_fail".into()), "{body}");
    trusting.interrupt();
    let _ = trusting.wait(DEADLINE).unwrap();
}
