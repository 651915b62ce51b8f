//! The user's SSH agent: which keys it holds, and signatures by them.

use std::path::Path;
use std::time::Duration;

use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// A connection to an agent, and the keys it holds.
pub(super) struct Agent {
    pub(super) client: AgentClient<UnixStream>,
    pub(super) identities: Vec<AgentIdentity>,
}

/// An agent that does not even list its keys in this time is taken for dead.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects to the agent at `socket` and asks for its keys.
///
/// The connection is bound to the SSH session first: keys restricted to some destinations are not shown otherwise.
pub(super) async fn open(socket: &Path, binding: Option<&AgentSessionBinding>) -> Result<Agent, String> {
    let opening = async {
        let mut client = AgentClient::connect_uds(socket).await.map_err(|e| e.to_string())?;
        if let Some(binding) = binding
            && let Err(error) = client.bind_session(binding, false).await
        {
            // Agents other than OpenSSH's may not know the extension; then no key is restricted either.
            tracing::debug!(%error, "the agent does not bind sessions");
        }
        let identities = client.request_identities().await.map_err(|e| e.to_string())?;
        Ok(Agent { client, identities })
    };
    match timeout(LIST_TIMEOUT, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(format!("no answer within {LIST_TIMEOUT:?}")),
    }
}
