//! A command beside others that hold their channels for ever: on the host's shared connection where that has a channel
//! to spare, else on a connection of its own. sshd grants ten channels a connection, or as few as its MaxSessions says.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use super::client::Client;
use super::error::{Failed, SshError};
use super::exec::{self, Exec, Output};
use super::session::{OpenChannel, Session};
use super::settings::Settings;
use super::stream::{self, Stream};

/// How long a host may take to open a channel, or to refuse it.
const OPENING: Duration = Duration::from_secs(20);

impl Client {
    /// As [`Session::exec`], without ever waiting for a channel that somebody else holds.
    ///
    /// # Errors
    /// As [`Client::session`] and [`Session::exec`].
    pub async fn exec_beside(&self, settings: &Settings, exec: Exec) -> Result<Output, SshError> {
        let shared = self.session(settings).await?;
        let (session, open) = self.free_channel(shared, settings).await?;
        let done = exec::run(&session, std::future::ready(Ok(open)), exec, |_, _| {}).await;
        done.map_err(|cause| SshError::failed(session.host(), cause))
    }

    /// As [`Session::stream`], without ever waiting for a channel that somebody else holds. `shared` is the host's
    /// connection as [`Client::session`] gives it.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Session::stream`]; a host that opens no channel at all is named with the remedy.
    pub async fn stream_beside(
        &self,
        shared: Session,
        settings: &Settings,
        exec: Exec,
    ) -> Result<Stream, SshError> {
        let (session, open) = self.free_channel(shared, settings).await?;
        let started = stream::start(&session, std::future::ready(Ok(open)), exec).await;
        started.map_err(|cause| SshError::failed(session.host(), cause))
    }

    async fn free_channel(
        &self,
        shared: Session,
        settings: &Settings,
    ) -> Result<(Session, OpenChannel), SshError> {
        if let Some(open) = bounded(&shared, shared.spare_channel()).await? {
            return Ok((shared, open));
        }
        let own = self.connect(settings).await?;
        let open = bounded(&own, own.open_channel()).await?;
        Ok((own, open))
    }
}

async fn bounded<T>(
    session: &Session,
    opening: impl Future<Output = Result<T, Failed>>,
) -> Result<T, SshError> {
    let late =
        |_| Err(Failed::Refused { reason: format!("it opened no channel within {} s", OPENING.as_secs()) });
    timeout(OPENING, opening)
        .await
        .unwrap_or_else(late)
        .map_err(|cause| SshError::failed(session.host(), cause))
}
