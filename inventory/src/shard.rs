//! A share of the hosts for one of several controllers: by name alone, so that hosts that come and go move no other.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::name::HostName;

/// `K/N`: the K-th of N shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    number: NonZeroU32,
    /// Of how many.
    of: NonZeroU32,
}

/// Why a text is no shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one of so many, as in \"2/5\"")]
pub struct ShardError;

impl Shard {
    /// Whether a host is in it. Each host is in exactly one of the N, on every machine and in every release.
    pub fn holds(self, host: &HostName) -> bool {
        hash(host.as_str()) % u64::from(self.of.get()) == u64::from(self.number.get()) - 1
    }
}

/// FNV-1a of 64 bits: it stays what it is, unlike the standard library's.
fn hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (number, of) = text.split_once('/').ok_or(ShardError)?;
        let number: NonZeroU32 = number.parse().map_err(|_| ShardError)?;
        let of: NonZeroU32 = of.parse().map_err(|_| ShardError)?;
        if number > of { Err(ShardError) } else { Ok(Self { number, of }) }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_is_in_exactly_one_of_them_and_they_are_about_alike() {
        let shards: Vec<Shard> = (1..=5).map(|number| format!("{number}/5").parse().unwrap()).collect();
        let mut counts = [0; 5];
        for number in 0..10_000 {
            let host = HostName::new(&format!("pi{number:05}.lan")).unwrap();
            let held: Vec<usize> = (0..5).filter(|at| shards[*at].holds(&host)).collect();
            assert_eq!(held.len(), 1, "{host}");
            counts[held[0]] += 1;
        }
        assert!(counts.iter().all(|count| (1800..2200).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_host_stays_where_it_is_in_every_release() {
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["", "2", "0/5", "6/5", "1/0", "a/b", "-1/5", "1/5/9"] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError), "{text}");
        }
        assert_eq!("2/5".parse::<Shard>().unwrap().to_string(), "2/5");
    }
}
