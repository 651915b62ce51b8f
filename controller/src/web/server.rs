//! The listening socket, and the bounds on everything that comes through it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::guard::Guard;
use super::routes::{Site, router};
use crate::watcher::hub::{Hub, News};

/// Connections at once; more wait in the system's queue.
const CONNECTIONS: usize = 256;
/// How long the head of a request may take, and an idle connection may stay.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// The longest head of a request, in bytes.
const HEAD: usize = 16 * 1024;
/// How long what was sent may stay untaken before the connection counts as dead, in milliseconds.
const UNTAKEN_MS: u32 = 30_000;
/// The pause after the system refused a connection.
const REFUSED: Duration = Duration::from_millis(200);

/// How the dashboard is served.
#[derive(Debug)]
pub struct Options {
    /// Host names it answers to, besides addresses and `localhost`.
    pub names: Vec<String>,
    /// What acting needs, and reading too where others can ask.
    pub token: SecretString,
    /// Who acts, for the history.
    pub by: String,
}

/// Takes an address.
///
/// # Errors
/// When it is taken already or not ours.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves the fleet for as long as it is polled; dropped, it closes every connection. What is told from this call on is
/// counted and remembered, also before the first poll.
///
/// # Errors
/// When the listener has no address.
pub fn serve(
    listener: TcpListener,
    hub: Hub,
    options: Options,
) -> impl Future<Output = io::Result<()>> + Send + 'static {
    let told = hub.told();
    answer(listener, hub, options, told)
}

async fn answer(listener: TcpListener, hub: Hub, options: Options, told: News) -> io::Result<()> {
    let guard = Guard::new(listener.local_addr()?, options.token.expose_secret(), options.names);
    let site = Arc::new(Site::new(hub, guard, options.by));
    let mut tasks = JoinSet::new();
    tasks.spawn(site.board.clone().run(told));
    let router = router(site);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, or the peer was gone already: neither ends the dashboard.
                tracing::warn!(%error, "the dashboard cannot take a connection");
                tokio::time::sleep(REFUSED).await;
                continue;
            }
        };
        give_up_on_the_dead(&stream);
        let service = TowerToHyperService::new(router.clone());
        tasks.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(HEAD)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the dashboard broke");
            }
            drop(place);
        });
        while tasks.try_join_next().is_some() {}
    }
}

/// A page whose machine is gone, or which reads nothing, must not keep its place for ever.
fn give_up_on_the_dead(stream: &TcpStream) {
    let set = nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::TcpUserTimeout, &UNTAKEN_MS);
    if let Err(error) = set.map_err(io::Error::from).and(stream.set_nodelay(true)) {
        tracing::debug!(%error, "a connection's options cannot be set");
    }
}
