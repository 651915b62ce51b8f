//! How many connections may be starting at once, and when to try again.
//!
//! sshd drops connections it cannot authenticate fast enough (`MaxStartups`), at random, and
//! punishes sources that insist. So starts are counted apart from hosts being worked on.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections may be starting at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In key exchange or authentication, over all hosts.
    pub starts: usize,
    /// Connecting to one address, or in key exchange through one jump host.
    pub starts_per_address: usize,
    /// Channels on one connection; sshd allows ten by default.
    pub channels: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // With 60 at once one sshd dropped 19, with 8 at a time none.
        Self { starts: 32, starts_per_address: 8, channels: 8 }
    }
}

/// Hands out the right to start.
#[derive(Debug)]
pub(super) struct Limiter {
    starts: Arc<Semaphore>,
    per_address: usize,
    addresses: Mutex<HashMap<String, Arc<Address>>>,
}

/// The starts of one address.
#[derive(Debug)]
pub(super) struct Address {
    permits: Arc<Semaphore>,
    width: Mutex<usize>,
}

/// The right to start; dropping it lets the next one start.
#[derive(Debug)]
pub(super) struct Permit {
    _permit: OwnedSemaphorePermit,
}

impl Limiter {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            starts: Arc::new(Semaphore::new(limits.starts.max(1))),
            per_address: limits.starts_per_address.max(1),
            addresses: Mutex::new(HashMap::new()),
        }
    }

    /// Returns the starts of one address or jump host.
    pub(super) fn address(&self, key: &str) -> Arc<Address> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let width = self.per_address;
        Arc::clone(addresses.entry(key.to_owned()).or_insert_with(|| {
            Arc::new(Address { permits: Arc::new(Semaphore::new(width)), width: Mutex::new(width) })
        }))
    }

    /// Waits for the right to do a key exchange.
    pub(super) async fn start(&self) -> Permit {
        acquire(&self.starts).await
    }
}

impl Address {
    /// Waits for the right to start at this address.
    pub(super) async fn start(&self) -> Permit {
        acquire(&self.permits).await
    }

    /// Halves the starts at this address: it has dropped one.
    pub(super) fn narrow(&self) {
        let mut width = self.width.lock().unwrap_or_else(PoisonError::into_inner);
        let narrower = (*width / 2).max(1);
        // Permits that are out count as well: they are not handed on when they come back.
        let mut surplus = *width - narrower;
        surplus -= self.permits.forget_permits(surplus);
        if surplus > 0 {
            let permits = Arc::clone(&self.permits);
            tokio::spawn(async move {
                for _ in 0..surplus {
                    if let Ok(permit) = permits.acquire().await {
                        permit.forget();
                    }
                }
            });
        }
        *width = narrower;
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> Permit {
    let permit = Arc::clone(semaphore).acquire_owned().await;
    Permit { _permit: permit.expect("the semaphore is never closed") }
}

/// Attempts after the first.
pub(super) const RETRIES: u32 = 3;

/// Returns how long to wait before retry `retry` (from 0), or `None` if there is none.
///
/// 0.5 s, 1 s, 2 s, each up to doubled by `jitter` (0 to 1), so that hosts dropped together do not return together.
pub(super) fn backoff(retry: u32, jitter: f64) -> Option<Duration> {
    let base = Duration::from_millis(500).checked_mul(1 << retry.min(RETRIES))?;
    (retry < RETRIES).then(|| base.mul_f64(1.0 + jitter.clamp(0.0, 1.0)))
}

/// Returns a random number from 0 to 1, good enough to spread retries.
pub(super) fn jitter() -> f64 {
    let random = RandomState::new().hash_one(0_u8);
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<_> = (0..5).map(|retry| backoff(retry, 0.0).map(|d| d.as_millis())).collect();
        assert_eq!(waits, [Some(500), Some(1000), Some(2000), None, None]);
        assert_eq!(backoff(0, 1.0), Some(Duration::from_secs(1)));
        assert!((0.0..=1.0).contains(&jitter()));
    }

    #[tokio::test]
    async fn a_drop_narrows_the_address_down_to_one_start_at_a_time() {
        let limiter = Limiter::new(Limits { starts: 32, starts_per_address: 8, channels: 8 });
        let address = limiter.address("10.0.0.1:22");
        let held = futures::future::join_all((0..6).map(|_| address.start())).await;
        for _ in 0..5 {
            address.narrow();
        }
        drop(held);
        let one = address.start().await;
        tokio::task::yield_now().await;
        assert_eq!(address.permits.available_permits(), 0);
        assert!(Arc::ptr_eq(&address, &limiter.address("10.0.0.1:22")));
        drop(one);
        let _next = address.start().await;
    }
}
