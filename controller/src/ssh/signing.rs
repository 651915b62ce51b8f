//! Signatures by whatever holds the key: a file, a locked file, the agent.

use std::path::PathBuf;
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey};
use russh::{AgentAuthError, Signer};

use super::agent::Agent;
use super::client::Shared;

/// What holds the private half.
#[derive(Debug, Clone)]
pub(super) enum SignedBy {
    Key(Arc<PrivateKey>),
    Locked(PathBuf),
    Agent,
}

/// Signs what the host asks to be signed. It is only called once the host has accepted the public
/// half, so a passphrase is asked for only where it lets us in.
pub(super) struct Signing<'a> {
    pub(super) shared: &'a Shared,
    pub(super) agent: Option<&'a mut Agent>,
    pub(super) by: SignedBy,
    /// Whether a person may be asked for a passphrase.
    pub(super) may_ask: bool,
}

/// Why there is no signature.
pub(super) enum SignError {
    /// The connection is gone.
    Send,
    /// The holder does not sign, and says this.
    Cannot(String),
}

impl From<russh::SendError> for SignError {
    fn from(_: russh::SendError) -> Self {
        Self::Send
    }
}

impl Signer for Signing<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let key = match &self.by {
            SignedBy::Key(key) => Arc::clone(key),
            SignedBy::Locked(_) if !self.may_ask => {
                return Err(SignError::Cannot("encrypted, and BatchMode asks nobody".to_owned()));
            }
            SignedBy::Locked(path) => self.shared.unlock(path).await.map_err(SignError::Cannot)?,
            SignedBy::Agent => {
                let Some(agent) = self.agent.as_deref_mut() else {
                    return Err(SignError::Cannot("the agent is gone".to_owned()));
                };
                return agent.client.auth_sign(identity, hash, data).await.map_err(|error| match error {
                    AgentAuthError::Send(_) => SignError::Send,
                    AgentAuthError::Key(e) => SignError::Cannot(format!("the agent does not sign: {e}")),
                });
            }
        };
        sign(&key, hash, data).map_err(|e| SignError::Cannot(format!("cannot sign: {e}")))
    }
}

/// Returns `data` followed by its signature, framed as the protocol wants it.
fn sign(key: &PrivateKey, hash: Option<HashAlg>, mut data: Vec<u8>) -> russh::keys::ssh_key::Result<Vec<u8>> {
    use russh::keys::ssh_encoding::Encode as _;
    let signature = if let KeypairData::Rsa(rsa) = key.key_data() {
        (rsa, hash).try_sign(&data)?
    } else {
        key.key_data().try_sign(&data)?
    };
    let mut encoded = Vec::new();
    signature.encode(&mut encoded)?;
    encoded.encode(&mut data)?;
    Ok(data)
}
