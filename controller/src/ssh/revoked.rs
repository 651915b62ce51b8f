//! `RevokedHostKeys`: a file of keys that are never accepted, whatever is recorded about a host.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use russh::keys::{HashAlg, PublicKey};

use super::error::Unreachable;

/// The largest such file, in bytes.
const MAX_BYTES: u64 = 16 << 20;
/// What OpenSSH's binary revocation lists begin with.
const KRL_MAGIC: &[u8] = b"SSHKRL\n\0";

/// Returns the refusal if one of `keys` is in the file. A file that cannot be read refuses all, as OpenSSH does.
pub(super) fn check(file: &Path, name: &str, keys: &[PublicKey]) -> Result<(), Unreachable> {
    let bytes = read(file).map_err(|source| Unreachable::HostKeyFile {
        path: file.to_owned(),
        action: "read",
        source,
    })?;
    let text = String::from_utf8_lossy(&bytes);
    for (number, line) in (1usize..).zip(text.lines()) {
        let Ok(revoked) = PublicKey::from_openssh(line.trim()) else { continue };
        if let Some(key) = keys.iter().find(|key| key.key_data() == revoked.key_data()) {
            return Err(Unreachable::HostKeyRevoked {
                name: name.to_owned(),
                file: PathBuf::from(file),
                line: number,
                fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            });
        }
    }
    Ok(())
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
    }
    if bytes.starts_with(KRL_MAGIC) {
        return Err(io::Error::other(
            "it is a binary revocation list (KRL); only lists of public keys are read",
        ));
    }
    Ok(bytes)
}
