//! The network of a run: a bridge with an address of its own /24, and a cable from it into each host.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context as _;

use super::layout::RunId;
use crate::run::checked;

const DEADLINE: Duration = Duration::from_secs(30);

/// A /24 that nothing on this machine knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subnet {
    network: u32,
}

impl Subnet {
    /// The address with this last part.
    pub(super) fn address(self, last: u8) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network | u32::from(last))
    }

    /// The first candidate that no route or address of `ip -4 route show table all` touches.
    fn choose(routes: &str) -> Option<Self> {
        let used: Vec<(u32, u32)> = routes.split_whitespace().filter_map(parse_prefix).collect();
        // Private ranges that are rarely in use, and the one kept for benchmarks (RFC 2544).
        let candidates = [(10, 213), (172, 30), (198, 18)]
            .into_iter()
            .flat_map(|(a, b)| (0..=255).map(move |c| Ipv4Addr::new(a, b, c, 0).to_bits()));
        let is_free =
            |network: &u32| !used.iter().any(|(net, mask)| overlap((*network, 0xffff_ff00), (*net, *mask)));
        candidates.into_iter().find(is_free).map(|network| Self { network })
    }
}

/// Makes the bridge of a run, in a subnet that is not in use. Only one caller at a time: the lock of runs.
pub(super) fn make_bridge(run: &RunId) -> anyhow::Result<Subnet> {
    let routes = ip(&["-4", "route", "show", "table", "all"])?;
    let subnet = Subnet::choose(&routes).context("no private /24 is free on this machine")?;
    let bridge = run.bridge();
    ip(&["link", "add", &bridge, "type", "bridge"])?;
    ip(&["addr", "add", &format!("{}/24", subnet.address(1)), "dev", &bridge])?;
    ip(&["link", "set", &bridge, "up"])?;
    Ok(subnet)
}

/// Makes a host's namespace and plugs its cable into the bridge.
pub(super) fn connect(bridge: &str, host: &str, address: Ipv4Addr) -> anyhow::Result<()> {
    ip(&["netns", "add", host])?;
    ip(&["link", "add", host, "type", "veth", "peer", "name", "host0", "netns", host])?;
    ip(&["-n", host, "addr", "add", &format!("{address}/24"), "dev", "host0"])?;
    ip(&["-n", host, "link", "set", "host0", "up"])?;
    ip(&["-n", host, "link", "set", "lo", "up"])?;
    ip(&["link", "set", host, "master", bridge, "up"])?;
    Ok(())
}

/// Removes a host's namespace, with its cable and every connection in it: to others it is silent.
pub(super) fn disconnect(host: &str) -> anyhow::Result<()> {
    ip(&["link", "del", host])?;
    ip(&["netns", "del", host])?;
    Ok(())
}

/// Sets the bridge's end of a host's cable `up` or `down`.
pub(super) fn set_cable(host: &str, state: &str) -> anyhow::Result<()> {
    ip(&["link", "set", host, state])?;
    Ok(())
}

fn ip(arguments: &[&str]) -> anyhow::Result<String> {
    checked("ip", arguments, DEADLINE)
}

/// `10.0.0.0/8` or a bare address; the default route is none.
fn parse_prefix(word: &str) -> Option<(u32, u32)> {
    let (address, length) = word.split_once('/').unwrap_or((word, "32"));
    let address: Ipv4Addr = address.parse().ok()?;
    let length: u32 = length.parse().ok().filter(|length| (1..=32).contains(length))?;
    let mask = u32::MAX << (32 - length);
    Some((address.to_bits() & mask, mask))
}

fn overlap((a, a_mask): (u32, u32), (b, b_mask): (u32, u32)) -> bool {
    let shorter = a_mask & b_mask;
    a & shorter == b & shorter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(routes: &str, expected: [u8; 4]) {
        assert_eq!(Subnet::choose(routes).unwrap().address(0), Ipv4Addr::from(expected), "{routes}");
    }

    #[test]
    fn a_subnet_in_use_is_never_chosen() {
        check("default via 192.0.2.1 dev eth0\n192.0.2.0/24 dev eth0 src 192.0.2.2", [10, 213, 0, 0]);
        check("10.213.0.0/24 dev lab-a1b2c3\nlocal 10.213.1.7 dev x", [10, 213, 2, 0]);
        check("10.0.0.0/8 dev tun0", [172, 30, 0, 0]);
        check("10.0.0.0/8 dev tun0\n172.16.0.0/12 dev docker0", [198, 18, 0, 0]);
    }

    #[test]
    fn a_machine_without_a_free_subnet_gets_none() {
        assert_eq!(Subnet::choose("10.0.0.0/8 x 172.16.0.0/12 x 198.18.0.0/15"), None);
    }
}
