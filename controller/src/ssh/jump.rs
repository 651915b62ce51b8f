//! The way to a host: straight over TCP, or through a jump host.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::error::Unreachable;
use super::session::Session;
use super::settings::{AddressFamily, Settings};
use super::wire::Transport;

/// The pause between two attempts, as ssh makes it.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// Connects over TCP, as often as the settings say.
pub(super) async fn tcp(settings: &Settings) -> Result<Box<dyn Transport>, Unreachable> {
    for _ in 1..settings.connection_attempts {
        match tcp_once(settings).await {
            Ok(stream) => return Ok(stream),
            Err(cause) => {
                tracing::debug!(host = settings.name, %cause, "trying again");
                sleep(BETWEEN_ATTEMPTS).await;
            }
        }
    }
    tcp_once(settings).await
}

/// Tries each address of the host within the deadline.
async fn tcp_once(settings: &Settings) -> Result<Box<dyn Transport>, Unreachable> {
    let deadline = Instant::now() + settings.connect_timeout;
    let addresses = resolve(settings, deadline).await?;
    let from = match &settings.bind_address {
        Some(name) => look_up((name, 0), settings, deadline).await?,
        None => Vec::new(),
    };
    let mut failure = Unreachable::NoAddress { address: settings.address.clone() };
    let count = addresses.len();
    for (index, address) in addresses.into_iter().enumerate() {
        // An address that does not answer must leave time for the others.
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(count - index).unwrap_or(1).max(1);
        match timeout(share, connect(settings, &from, address)).await {
            Ok(Ok(stream)) => {
                // From the first byte on: a lone login loses 0.12 s to delayed acknowledgements otherwise.
                stream.set_nodelay(true).map_err(|source| connect_error(settings, source))?;
                return Ok(Box::new(stream));
            }
            Ok(Err(source)) => failure = connect_error(settings, source),
            Err(_) => failure = timed_out(settings, "TCP"),
        }
    }
    Err(failure)
}

/// Connects to one address, from one of ours where any is wanted.
async fn connect(settings: &Settings, from: &[SocketAddr], to: SocketAddr) -> io::Result<TcpStream> {
    let Some(wanted) = &settings.bind_address else { return TcpStream::connect(to).await };
    let failed = |why: String| io::Error::other(format!("cannot start from BindAddress {wanted}: {why}"));
    let Some(from) = from.iter().find(|from| from.is_ipv4() == to.is_ipv4()) else {
        return Err(failed(format!("it has no address of the kind of {}", to.ip())));
    };
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(*from).map_err(|error| failed(error.to_string()))?;
    socket.connect(to).await
}

/// Opens a channel from a jump host to the host.
pub(super) async fn through(jump: &Session, settings: &Settings) -> Result<Box<dyn Transport>, Unreachable> {
    match timeout(settings.connect_timeout, jump.direct_tcpip(&settings.address, settings.port)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(reason)) => Err(Unreachable::JumpRefused {
            jump: jump.host().to_owned(),
            endpoint: settings.endpoint(),
            reason,
        }),
        Err(_) => Err(timed_out(settings, "TCP from the jump host")),
    }
}

pub(super) fn timed_out(settings: &Settings, stage: &'static str) -> Unreachable {
    Unreachable::Timeout { endpoint: settings.endpoint(), after: settings.connect_timeout, stage }
}

async fn resolve(settings: &Settings, deadline: Instant) -> Result<Vec<SocketAddr>, Unreachable> {
    let found = look_up((&settings.address, settings.port), settings, deadline).await?;
    let addresses: Vec<SocketAddr> =
        found.into_iter().filter(|a| is_permitted(settings.address_family, a)).collect();
    if addresses.is_empty() {
        return Err(Unreachable::NoAddress { address: settings.address.clone() });
    }
    Ok(addresses)
}

async fn look_up(
    (name, port): (&str, u16),
    settings: &Settings,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, Unreachable> {
    let found = timeout_at(deadline, tokio::net::lookup_host((name, port))).await;
    let found = found.map_err(|_| timed_out(settings, "name resolution"))?;
    let found = found.map_err(|source| Unreachable::Resolve { address: name.to_owned(), source })?;
    Ok(found.collect())
}

fn is_permitted(family: AddressFamily, address: &SocketAddr) -> bool {
    match family {
        AddressFamily::Any => true,
        AddressFamily::V4 => address.is_ipv4(),
        AddressFamily::V6 => address.is_ipv6(),
    }
}

fn connect_error(settings: &Settings, source: io::Error) -> Unreachable {
    let endpoint = settings.endpoint();
    if source.kind() == io::ErrorKind::ConnectionRefused {
        return Unreachable::Refused { endpoint };
    }
    if source.kind() == io::ErrorKind::ConnectionReset {
        return Unreachable::Closed { endpoint, stage: "while connecting", said: String::new() };
    }
    Unreachable::Connect { endpoint, source }
}
