//! An ssh-agent that holds one FIDO key, without a token: it signs as such a key does.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use data_encoding::BASE64;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const ALGORITHM: &[u8] = b"sk-ssh-ed25519@openssh.com";
/// What such keys are bound to.
const APPLICATION: &[u8] = b"ssh:";
/// The longest request.
const MAX_REQUEST: usize = 1 << 18;

/// Whether somebody touches the key when it is to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Somebody does, as most servers demand.
    Given,
    /// Nobody does, and the signature says so.
    Missing,
}

/// A running agent of this kind. It ends with the process.
#[derive(Debug)]
pub struct KeyAgent {
    socket: PathBuf,
    signatures: Arc<AtomicU32>,
    blob: Vec<u8>,
    _dir: TempDir,
}

impl KeyAgent {
    /// Starts it.
    ///
    /// # Errors
    /// Where there is no temporary folder.
    pub fn start(touch: Touch) -> anyhow::Result<Self> {
        let seed: [u8; 32] = Sha256::digest(b"a key of no worth").into();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok().context("no key from a seed")?;
        let dir = TempDir::new()?;
        let socket = dir.path().join("agent");
        let blob = [string(ALGORITHM), string(pair.public_key().as_ref()), string(APPLICATION)].concat();
        let listener = UnixListener::bind(&socket)?;
        let signatures = Arc::new(AtomicU32::new(0));
        let flags = match touch {
            Touch::Given => 1,
            Touch::Missing => 0,
        };
        let signer = Signer { pair, blob: blob.clone(), flags, count: Arc::clone(&signatures) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that goes away is the usual end.
                let _ = stream.and_then(|stream| signer.answer_all(stream));
            }
        });
        Ok(Self { socket, signatures, blob, _dir: dir })
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The line of `authorized_keys` that lets its key in.
    #[must_use]
    pub fn authorized(&self) -> String {
        format!("sk-ssh-ed25519@openssh.com {} touch me\n", BASE64.encode(&self.blob))
    }

    /// How often it has signed.
    #[must_use]
    pub fn signatures(&self) -> u32 {
        self.signatures.load(Ordering::SeqCst)
    }
}

/// Signs as a FIDO key does: over the application, flags, a counter and the message, application and message hashed.
struct Signer {
    pair: Ed25519KeyPair,
    blob: Vec<u8>,
    flags: u8,
    count: Arc<AtomicU32>,
}

impl Signer {
    fn answer_all(&self, mut stream: UnixStream) -> io::Result<()> {
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            let mut message = vec![0; length.min(MAX_REQUEST)];
            stream.read_exact(&mut message)?;
            stream.write_all(&string(&self.answer(&message)))?;
        }
    }

    fn answer(&self, message: &[u8]) -> Vec<u8> {
        let failure = vec![5];
        match message.split_first() {
            // Which keys there are.
            Some((11, _)) => [vec![12, 0, 0, 0, 1], string(&self.blob), string(b"touch me")].concat(),
            // A signature, if it is asked of our key.
            Some((13, request)) => match take(request).and_then(|(key, rest)| Some((key, take(rest)?.0))) {
                Some((key, data)) if key == self.blob => [vec![14], string(&self.sign(data))].concat(),
                Some(_) | None => failure,
            },
            // Extensions are not known here.
            Some(_) | None => failure,
        }
    }

    fn sign(&self, data: &[u8]) -> Vec<u8> {
        let counter = (self.count.fetch_add(1, Ordering::SeqCst) + 1).to_be_bytes();
        let end = [&[self.flags][..], &counter].concat();
        let signed = [&Sha256::digest(APPLICATION)[..], &end, &Sha256::digest(data)[..]].concat();
        [string(ALGORITHM), string(self.pair.sign(&signed).as_ref()), end].concat()
    }
}

/// Bytes with their length before them.
fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

/// The first string of some bytes, and what follows it.
fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(4)?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    rest.split_at_checked(usize::try_from(length).ok()?)
}
