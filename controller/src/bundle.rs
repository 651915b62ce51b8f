//! The agents inside the controller: one per machine, compressed, with what identifies each.

use std::io::{self, Read};

use agent_runner::apply::manifest::AgentRelease;
use flate2::read::GzDecoder;
use serde::Serialize;

struct Embedded {
    target: &'static str,
    sha256: &'static str,
    size: u64,
    gzip: &'static [u8],
}

static AGENTS: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/bundle.rs"));

/// One agent that can be deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Agent {
    /// The target triple it was built for.
    pub target: &'static str,
    /// The machine it runs on, as `uname -m` says.
    pub machine: &'static str,
    /// Its release.
    pub version: &'static str,
    /// SHA-256 of the binary, 64 hex digits.
    pub sha256: &'static str,
    /// The binary's size in bytes.
    pub size: u64,
    /// The binary, compressed with gzip.
    #[serde(skip)]
    pub gzip: &'static [u8],
}

impl Agent {
    /// Returns what the manifest says of it.
    pub fn release(&self) -> AgentRelease {
        AgentRelease {
            machine: self.machine.to_owned(),
            version: self.version.to_owned(),
            sha256: self.sha256.to_owned(),
        }
    }

    /// Returns the binary itself.
    ///
    /// # Errors
    /// Never for what this build embedded; a damaged controller otherwise.
    pub fn binary(&self) -> io::Result<Vec<u8>> {
        let mut binary = Vec::with_capacity(usize::try_from(self.size).unwrap_or_default());
        GzDecoder::new(self.gzip).read_to_end(&mut binary)?;
        Ok(binary)
    }
}

/// Returns the agents that this controller carries.
pub fn agents() -> Vec<Agent> {
    AGENTS
        .iter()
        .map(|embedded| Agent {
            target: embedded.target,
            machine: embedded.target.split('-').next().unwrap_or(embedded.target),
            version: env!("CARGO_PKG_VERSION"),
            sha256: embedded.sha256,
            size: embedded.size,
            gzip: embedded.gzip,
        })
        .collect()
}

/// Returns the agent for a machine, as `uname -m` names it there.
pub fn agent_for(machine: &str) -> Option<Agent> {
    agents().into_iter().find(|agent| agent.machine == canonical(machine))
}

/// Returns the one name of a machine that has several.
pub fn canonical(machine: &str) -> &str {
    match machine {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_agent_of_this_machine_is_inside_and_whole() {
        let agent = agent_for(std::env::consts::ARCH).unwrap();
        let binary = agent.binary().unwrap();
        assert_eq!(binary.len() as u64, agent.size);
        let hex: String = Sha256::digest(&binary).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, agent.sha256);
        assert!(agent_for("mips").is_none());
    }
}
