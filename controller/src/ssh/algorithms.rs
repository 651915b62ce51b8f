//! Which algorithms to offer: ours, narrowed by the host's settings. Pure.

use std::borrow::Cow;

use agent_runner_inventory::ssh_config::pattern_matches;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, compression, kex, mac};

use super::error::Unreachable;
use super::settings::AlgorithmFilters;

/// curve25519 first: the post-quantum exchange costs a fleet's client more than all the rest.
const KEX: &[kex::Name] = &[
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::MLKEM768X25519_SHA256,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
];

/// Not negotiable: the server's signature algorithms, and the defence against prefix truncation.
const KEX_EXTENSIONS: &[kex::Name] =
    &[kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];

/// AES-GCM first: half the cost per byte of ChaCha20 where the processor has AES.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];

/// The types of host keys we accept, the cheapest to check first.
pub(super) fn host_key_algorithms(filters: &AlgorithmFilters) -> Result<Vec<Algorithm>, Unreachable> {
    let ours = [
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    ];
    filtered("HostKeyAlgorithms", filters.host_keys.as_deref(), &ours.map(|a| (a.to_string(), a)))
}

/// Returns everything to offer, with the given types of host keys.
///
/// # Errors
/// If a filter leaves nothing.
pub(super) fn preferred(
    filters: &AlgorithmFilters,
    host_keys: Vec<Algorithm>,
) -> Result<Preferred, Unreachable> {
    let mut kex = filtered("KexAlgorithms", filters.kex.as_deref(), &named(KEX))?;
    kex.extend_from_slice(KEX_EXTENSIONS);
    Ok(Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned(host_keys),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Owned(filtered("Ciphers", filters.ciphers.as_deref(), &named(CIPHERS))?),
        mac: Cow::Owned(filtered("MACs", filters.macs.as_deref(), &named(MACS))?),
        compression: Cow::Borrowed(&[compression::NONE]),
    })
}

fn named<N: AsRef<str> + Copy>(names: &[N]) -> Vec<(String, N)> {
    names.iter().map(|n| (n.as_ref().to_owned(), *n)).collect()
}

/// Applies an OpenSSH algorithm list to ours. Names we do not have are passed over; nothing left is an error.
fn filtered<T: Clone>(
    setting: &'static str,
    filter: Option<&str>,
    ours: &[(String, T)],
) -> Result<Vec<T>, Unreachable> {
    let Some(filter) = filter else {
        return Ok(ours.iter().map(|(_, value)| value.clone()).collect());
    };
    let (mode, list) = match filter.as_bytes().first() {
        Some(b'+' | b'-' | b'^') => filter.split_at(1),
        _ => ("", filter),
    };
    let patterns: Vec<&str> = list.split(',').map(str::trim).filter(|p| !p.is_empty()).collect();
    let listed = |name: &str| patterns.iter().any(|p| pattern_matches(name, p));
    let in_listed_order = || {
        let mut indexes: Vec<usize> = Vec::new();
        for pattern in &patterns {
            for (index, (name, _)) in ours.iter().enumerate() {
                if pattern_matches(name, pattern) && !indexes.contains(&index) {
                    indexes.push(index);
                }
            }
        }
        indexes.into_iter().filter_map(|index| ours.get(index)).map(|(_, value)| value.clone())
    };
    let unlisted = || ours.iter().filter(|(name, _)| !listed(name)).map(|(_, value)| value.clone());
    let chosen: Vec<T> = match mode {
        // What `+` could add is already ours.
        "+" => ours.iter().map(|(_, value)| value.clone()).collect(),
        "-" => unlisted().collect(),
        "^" => in_listed_order().chain(unlisted()).collect(),
        _ => in_listed_order().collect(),
    };
    if chosen.is_empty() {
        return Err(Unreachable::Algorithms { setting, value: filter.to_owned() });
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: &str, expected: &[&str]) {
        let ours = ["a1", "a2", "b1"].map(|n| (n.to_owned(), n));
        assert_eq!(filtered("Ciphers", Some(filter), &ours).unwrap(), expected, "{filter}");
    }

    #[test]
    fn lists_replace_add_remove_and_reorder() {
        check("b1,a2", &["b1", "a2"]);
        check("a*", &["a1", "a2"]);
        check("zz,b1", &["b1"]);
        check("+zz", &["a1", "a2", "b1"]);
        check("-a*", &["b1"]);
        check("^b1", &["b1", "a1", "a2"]);
        assert!(filtered("Ciphers", Some("zz"), &[("a".to_owned(), 1)]).is_err());
    }

    #[test]
    fn strict_key_exchange_is_offered_whatever_is_filtered() {
        for kex in [None, Some("curve25519-sha256"), Some("-curve*"), Some("ecdh-sha2-nistp256,diffie*")] {
            let filters = AlgorithmFilters { kex: kex.map(str::to_owned), ..AlgorithmFilters::default() };
            let preferred = preferred(&filters, host_key_algorithms(&filters).unwrap()).unwrap();
            assert!(preferred.kex.contains(&kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT), "{filters:?}");
        }
    }

    #[test]
    fn the_cheap_exchange_and_cipher_come_first() {
        let filters = AlgorithmFilters::default();
        let preferred = preferred(&filters, host_key_algorithms(&filters).unwrap()).unwrap();
        assert_eq!(preferred.kex.first().map(AsRef::as_ref), Some("curve25519-sha256"));
        assert_eq!(preferred.cipher.first().map(AsRef::as_ref), Some("aes256-gcm@openssh.com"));
    }
}
