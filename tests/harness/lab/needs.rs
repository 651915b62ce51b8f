//! What a machine must have to boot hosts.

use std::fs;
use std::path::Path;

use crate::packages::{self, Needed};
use crate::skip::Unavailable;

const NEEDED: [Needed; 5] = [
    Needed { program: "systemd-nspawn", package: "systemd-container" },
    Needed { program: "debootstrap", package: "debootstrap" },
    Needed { program: "ssh", package: "openssh-client" },
    Needed { program: "ip", package: "iproute2" },
    Needed { program: "nsenter", package: "util-linux" },
];

/// CAP_NET_ADMIN, CAP_SYS_CHROOT, CAP_SYS_ADMIN, CAP_MKNOD, from `linux/capability.h`.
const CAPABILITIES: u64 = 1 << 12 | 1 << 18 | 1 << 21 | 1 << 27;

/// Says why hosts cannot be booted here, installing what is missing where that is possible.
pub(super) fn check() -> Result<(), Unavailable> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Unavailable::missing("booting hosts needs root (mounts, namespaces)"));
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if effective_capabilities(&status) & CAPABILITIES != CAPABILITIES {
        return Err(Unavailable::missing(
            "root here may not mount or make namespaces (an unprivileged container)",
        ));
    }
    let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !filesystems.lines().any(|line| line.ends_with("\toverlay"))
        && !Path::new("/sys/module/overlay").exists()
    {
        return Err(Unavailable::missing("the kernel has no overlay filesystem"));
    }
    packages::ensure(&NEEDED)
}

fn effective_capabilities(status: &str) -> u64 {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    hex.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status_of_a_process() {
        assert_eq!(
            effective_capabilities("CapPrm:\t0\nCapEff:\t00000000a80425fb\n") & CAPABILITIES,
            1 << 18 | 1 << 27
        );
        assert_eq!(effective_capabilities(""), 0);
    }
}
