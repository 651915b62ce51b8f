//! How many files this process may hold open, and how many hosts that is enough for.

use std::num::NonZeroUsize;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files held whatever the number of hosts: output, history, runtime, a dashboard's clients.
const OWN: u64 = 64;

/// Files held per host: its connection, the agent's while it logs in, and a file being uploaded.
const PER_HOST: u64 = 3;

/// Raises the limit as far as it goes and returns what it then is.
///
/// # Errors
/// If it cannot even be read. A limit that cannot be raised is no error: it is returned as it is.
pub fn raise() -> std::io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return Ok(hard);
    }
    Ok(soft)
}

/// Returns how many hosts may be worked on at once: `wanted`, or fewer where `limit` files are not enough.
pub fn forks_within(limit: u64, wanted: NonZeroUsize) -> NonZeroUsize {
    let enough_for = limit.saturating_sub(OWN) / PER_HOST;
    let enough_for = usize::try_from(enough_for).unwrap_or(usize::MAX);
    NonZeroUsize::new(wanted.get().min(enough_for)).unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_shrink_to_what_the_limit_allows() {
        for (limit, wanted, forks) in [
            (1024, 64, 64),
            (1024, 1000, 320),
            (256, 64, 64),
            (128, 64, 21),
            (64, 64, 1),
            (0, 64, 1),
            (u64::MAX, 4000, 4000),
        ] {
            assert_eq!(
                forks_within(limit, NonZeroUsize::new(wanted).unwrap()).get(),
                forks,
                "{limit} {wanted}"
            );
        }
    }

    #[test]
    fn the_limit_is_at_least_what_it_was() {
        let before = getrlimit(Resource::RLIMIT_NOFILE).unwrap().0;
        assert!(raise().unwrap() >= before);
    }
}
