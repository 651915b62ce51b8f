use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use agent_runner_fleet::ssh::IdentityAgent;
use data_encoding::BASE64;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::support::{Options, client, connect, sshd};

const ALGORITHM: &[u8] = b"sk-ssh-ed25519@openssh.com";
/// What such keys are bound to.
const APPLICATION: &[u8] = b"ssh:";
/// Whether somebody touched the key.
const TOUCHED: u8 = 1;
const UNTOUCHED: u8 = 0;

/// An agent of our own that holds one FIDO key and signs as such a key does: over the application, flags, a counter and
/// the message, both hashed.
struct KeyAgent {
    socket: PathBuf,
    signatures: Arc<AtomicU32>,
    blob: Vec<u8>,
    _dir: TempDir,
}

impl KeyAgent {
    fn start(flags: u8) -> Self {
        let seed: [u8; 32] = Sha256::digest(b"a key of no worth").into();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let dir = TempDir::new().unwrap();
        let socket = dir.path().join("agent");
        let mut blob = string(ALGORITHM);
        blob.extend(string(pair.public_key().as_ref()));
        blob.extend(string(APPLICATION));
        let listener = UnixListener::bind(&socket).unwrap();
        let signatures = Arc::new(AtomicU32::new(0));
        let (count, shown) = (Arc::clone(&signatures), blob.clone());
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let key = SignsAs { pair: &pair, blob: &shown, flags, count: &count };
                // A client that goes away is the usual end.
                let _ = stream.and_then(|stream| key.answer_all(stream));
            }
        });
        Self { socket, signatures, blob, _dir: dir }
    }

    fn authorized(&self) -> String {
        format!("sk-ssh-ed25519@openssh.com {} touch me\n", BASE64.encode(&self.blob))
    }
}

struct SignsAs<'a> {
    pair: &'a Ed25519KeyPair,
    blob: &'a [u8],
    flags: u8,
    count: &'a AtomicU32,
}

impl SignsAs<'_> {
    fn answer_all(&self, mut stream: UnixStream) -> io::Result<()> {
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let mut message = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut message)?;
            stream.write_all(&string(&self.answer(&message)))?;
        }
    }

    fn answer(&self, message: &[u8]) -> Vec<u8> {
        match message.split_first() {
            // Which keys there are.
            Some((11, _)) => {
                let mut answer = vec![12, 0, 0, 0, 1];
                answer.extend(string(self.blob));
                answer.extend(string(b"touch me"));
                answer
            }
            // A signature, if it is asked of our key.
            Some((13, request)) => {
                let (key, rest) = take(request);
                let (data, _) = take(rest);
                assert_eq!(key, self.blob);
                let counter = self.count.fetch_add(1, Ordering::SeqCst) + 1;
                let mut signed = Sha256::digest(APPLICATION).to_vec();
                signed.push(self.flags);
                signed.extend(counter.to_be_bytes());
                signed.extend(Sha256::digest(data));
                let mut signature = string(ALGORITHM);
                signature.extend(string(self.pair.sign(&signed).as_ref()));
                signature.push(self.flags);
                signature.extend(counter.to_be_bytes());
                [vec![14], string(&signature)].concat()
            }
            // Extensions are not known here.
            Some(_) | None => vec![5],
        }
    }
}

/// Bytes with their length before them.
fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn take(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_at(4);
    rest.split_at(u32::from_be_bytes(length.try_into().unwrap()) as usize)
}

#[tokio::test]
async fn a_fido_key_of_the_agent_lets_us_in_and_is_asked_once_a_connection() {
    let Some(server) = sshd(&Options::default()) else { return };
    let agent = KeyAgent::start(TOUCHED);
    fs::write(server.path("authorized_keys"), agent.authorized()).unwrap();
    let mut settings = server.settings();
    settings.identities.clear();
    settings.identity_agent = IdentityAgent::Socket(agent.socket.clone());
    for connections in 1..=2 {
        let session = connect(&settings).await;
        let login = session.login().to_string();
        assert!(login.starts_with("agent key SHA256:") && login.ends_with(" touch me"), "{login}");
        assert_eq!(agent.signatures.load(Ordering::SeqCst), connections);
    }
    assert!(server.log().contains("Accepted publickey") && server.log().contains("ED25519-SK"));
}

#[tokio::test]
async fn a_fido_key_that_nobody_touched_is_refused_by_the_host() {
    let Some(server) = sshd(&Options::default()) else { return };
    let agent = KeyAgent::start(UNTOUCHED);
    fs::write(server.path("authorized_keys"), agent.authorized()).unwrap();
    let mut settings = server.settings();
    settings.identities.clear();
    settings.identity_agent = IdentityAgent::Socket(agent.socket.clone());
    let error = client().connect(&settings).await.unwrap_err().to_string();
    assert!(error.contains(" touch me refused"), "{error}");
    assert_eq!(agent.signatures.load(Ordering::SeqCst), 1);
}
