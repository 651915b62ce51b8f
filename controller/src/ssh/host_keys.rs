//! Whether a host is who it was: the verdict over what is recorded, and which keys to ask it for. Pure.

use std::path::PathBuf;

use agent_runner_inventory::ssh_config::pattern_matches;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};

use super::known_hosts::{Entry, KnownHosts, Marker};

/// The names under which a host's key may be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName {
    /// `host`, `[host]:port`, or the alias.
    pub recorded: String,
    /// `host` alone where `recorded` carries a port: a key found there counts, its absence says nothing.
    pub without_port: Option<String>,
    /// What a certificate must name.
    pub principal: String,
}

impl HostName {
    /// Returns the names for an address and port, or for an alias, which carries no port.
    pub fn new(address: &str, port: u16, alias: Option<&str>) -> Self {
        if let Some(alias) = alias {
            let alias = alias.to_ascii_lowercase();
            return Self { recorded: alias.clone(), without_port: None, principal: alias };
        }
        let address = address.to_ascii_lowercase();
        if port == 22 {
            Self { recorded: address.clone(), without_port: None, principal: address }
        } else {
            Self {
                recorded: format!("[{address}]:{port}"),
                without_port: Some(address.clone()),
                principal: address,
            }
        }
    }
}

/// What the records say about an offered key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is recorded.
    Known,
    /// Nothing is recorded for the host.
    Unknown,
    /// Something else is recorded for the host, of whatever type.
    Mismatch {
        /// What, each with its type and place.
        recorded: String,
        /// The place of the first.
        at: (PathBuf, usize),
    },
    /// The key is marked as never acceptable.
    Revoked {
        /// The place of the mark.
        at: (PathBuf, usize),
    },
}

/// Returns what `known` says about `key` being offered by `host`.
///
/// Any recorded key without a match is a mismatch, also of another type: calling that unknown
/// would let an impostor in by offering a type nobody recorded.
pub fn verdict(known: &KnownHosts, host: &HostName, key: &PublicKey) -> Verdict {
    let same = |entry: &&Entry| entry.key.key_data() == key.key_data();
    let names = std::iter::once(&host.recorded).chain(&host.without_port);
    let mut revoked = names.flat_map(|name| known.matching(name)).filter(|e| e.marker == Marker::Revoked);
    if let Some(entry) = revoked.find(same) {
        return Verdict::Revoked { at: (entry.file.clone(), entry.line) };
    }
    let recorded: Vec<&Entry> = host_keys(known, &host.recorded).collect();
    if recorded.iter().any(&same) {
        return Verdict::Known;
    }
    if let Some(first) = recorded.first() {
        return Verdict::Mismatch { recorded: describe(&recorded), at: (first.file.clone(), first.line) };
    }
    let beside = host.without_port.iter().flat_map(|name| host_keys(known, name));
    if beside.into_iter().any(|entry| same(&entry)) { Verdict::Known } else { Verdict::Unknown }
}

/// Returns what to ask a host for, out of `permitted`, in order: the recorded types only where
/// something is recorded, so that an honest host with several keys shows the one we know.
pub(super) fn wanted_algorithms(
    known: &KnownHosts,
    host: &HostName,
    permitted: &[Algorithm],
) -> Vec<Algorithm> {
    let recorded: Vec<&Entry> = host_keys(known, &host.recorded).collect();
    if !recorded.is_empty() {
        return permitted
            .iter()
            .filter(|wanted| recorded.iter().any(|e| is_of_type(&e.key, wanted)))
            .cloned()
            .collect();
    }
    let beside: Vec<&Entry> = host.without_port.iter().flat_map(|name| host_keys(known, name)).collect();
    let (mut first, rest): (Vec<_>, Vec<_>) =
        permitted.iter().cloned().partition(|wanted| beside.iter().any(|e| is_of_type(&e.key, wanted)));
    first.extend(rest);
    first
}

/// Returns a description of the keys recorded for `host`, and the place of the first.
pub(super) fn recorded_keys(known: &KnownHosts, host: &HostName) -> Option<(String, (PathBuf, usize))> {
    let recorded: Vec<&Entry> = host_keys(known, &host.recorded).collect();
    let first = recorded.first()?;
    Some((describe(&recorded), (first.file.clone(), first.line)))
}

/// Whether any authority may vouch for `host`, so that a certificate is worth asking for.
pub(super) fn has_authority(known: &KnownHosts, host: &HostName) -> bool {
    authorities(known, host).next().is_some()
}

/// Returns why a certificate does not prove that its holder is `host`, or nothing if it does.
pub(super) fn certificate_flaw(
    known: &KnownHosts,
    host: &HostName,
    certificate: &Certificate,
    now_unix: u64,
) -> Option<String> {
    let names = || std::iter::once(&host.recorded).chain(&host.without_port);
    let revoked = names().flat_map(|name| known.matching(name)).any(|entry| {
        entry.marker == Marker::Revoked
            && (entry.key.key_data() == certificate.public_key()
                || entry.key.key_data() == certificate.signature_key())
    });
    if revoked {
        return Some("its key or its authority is revoked".to_owned());
    }
    if certificate.cert_type() != CertType::Host {
        return Some("it is not a host certificate".to_owned());
    }
    let fingerprints: Vec<_> = authorities(known, host).map(|e| e.key.fingerprint(HashAlg::Sha256)).collect();
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    if !fingerprints.contains(&authority) {
        return Some(format!("its authority {authority} is not recorded"));
    }
    if certificate.validate_at(now_unix, &fingerprints).is_err() {
        return Some("its signature or its time of validity is wrong".to_owned());
    }
    if !certificate.critical_options().is_empty() {
        return Some("it carries critical options, which no host certificate has".to_owned());
    }
    let principals = certificate.valid_principals();
    if !principals.iter().any(|p| pattern_matches(&host.principal, &p.to_ascii_lowercase())) {
        return Some(format!(
            "it is for {}",
            if principals.is_empty() { "nobody".to_owned() } else { principals.join(", ") }
        ));
    }
    None
}

fn host_keys<'a>(known: &'a KnownHosts, name: &'a str) -> impl Iterator<Item = &'a Entry> {
    known.matching(name).filter(|entry| entry.marker == Marker::HostKey)
}

fn authorities<'a>(known: &'a KnownHosts, host: &'a HostName) -> impl Iterator<Item = &'a Entry> {
    let names = std::iter::once(&host.recorded).chain(&host.without_port);
    names.flat_map(|name| known.matching(name)).filter(|entry| entry.marker == Marker::CertAuthority)
}

/// An RSA key is one type, whatever hash signs with it.
fn is_of_type(key: &PublicKey, wanted: &Algorithm) -> bool {
    if matches!(wanted, Algorithm::Rsa { .. }) {
        key.algorithm().is_rsa()
    } else {
        key.algorithm() == *wanted
    }
}

fn describe(entries: &[&Entry]) -> String {
    let one = |e: &&Entry| {
        format!(
            "{} {} ({}:{})",
            e.key.algorithm(),
            e.key.fingerprint(HashAlg::Sha256),
            e.file.display(),
            e.line
        )
    };
    entries.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use russh::keys::key::safe_rng;
    use russh::keys::{EcdsaCurve, PrivateKey};

    use super::*;

    fn ed25519() -> PublicKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap().public_key().clone()
    }

    fn ecdsa() -> PublicKey {
        let algorithm = Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 };
        PrivateKey::random(&mut safe_rng(), algorithm).unwrap().public_key().clone()
    }

    fn known(lines: &[(&str, &PublicKey)]) -> KnownHosts {
        let text: String =
            lines.iter().map(|(names, key)| format!("{names} {}\n", key.to_openssh().unwrap())).collect();
        let mut known = KnownHosts::default();
        known.add_file(Path::new("f"), &text);
        assert!(known.unreadable_lines().is_empty(), "{text}");
        known
    }

    #[derive(Debug, PartialEq)]
    enum Kind {
        Known,
        Unknown,
        Mismatch,
        Revoked,
    }

    fn check(lines: &[(&str, &PublicKey)], port: u16, offered: &PublicKey) -> Kind {
        match verdict(&known(lines), &HostName::new("Pi.lan", port, None), offered) {
            Verdict::Known => Kind::Known,
            Verdict::Unknown => Kind::Unknown,
            Verdict::Mismatch { .. } => Kind::Mismatch,
            Verdict::Revoked { .. } => Kind::Revoked,
        }
    }

    #[test]
    fn the_verdict_follows_the_records() {
        let (a, b, c) = (ed25519(), ed25519(), ecdsa());
        assert_eq!(check(&[], 22, &a), Kind::Unknown);
        assert_eq!(check(&[("pi.lan", &a)], 22, &a), Kind::Known);
        assert_eq!(check(&[("pi.lan", &a)], 22, &b), Kind::Mismatch);
        assert_eq!(check(&[("pi.lan", &c)], 22, &a), Kind::Mismatch, "another type is no stranger");
        assert_eq!(check(&[("pi.lan", &c), ("pi.lan", &a)], 22, &a), Kind::Known);
        assert_eq!(check(&[("po.lan", &b)], 22, &a), Kind::Unknown);
        assert_eq!(check(&[("pi.lan", &a), ("@revoked *", &a)], 22, &a), Kind::Revoked);
        assert_eq!(check(&[("@revoked pi.lan", &a)], 22, &b), Kind::Unknown);
        assert_eq!(check(&[("@cert-authority *", &b)], 22, &a), Kind::Unknown);
    }

    #[test]
    fn a_port_has_its_own_record_and_may_borrow_the_plain_one() {
        let (a, b) = (ed25519(), ed25519());
        assert_eq!(check(&[("[pi.lan]:2222", &a)], 2222, &a), Kind::Known);
        assert_eq!(check(&[("[pi.lan]:2222", &a)], 2222, &b), Kind::Mismatch);
        assert_eq!(check(&[("pi.lan", &a)], 2222, &a), Kind::Known);
        assert_eq!(check(&[("pi.lan", &a)], 2222, &b), Kind::Unknown);
        assert_eq!(check(&[("[pi.lan]:2222", &b), ("pi.lan", &a)], 2222, &a), Kind::Mismatch);
        assert_eq!(check(&[("[pi.lan]:2222", &a)], 22, &b), Kind::Unknown);
        assert_eq!(check(&[("@revoked pi.lan", &a), ("[pi.lan]:2222", &a)], 2222, &a), Kind::Revoked);
    }

    #[test]
    fn an_alias_replaces_address_and_port() {
        let name = HostName::new("10.0.0.1", 2222, Some("Web"));
        assert_eq!((name.recorded.as_str(), name.without_port), ("web", None));
    }

    #[test]
    fn only_recorded_types_are_asked_for() {
        let permitted = [
            Algorithm::Ed25519,
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
            Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        ];
        let c = ecdsa();
        let wanted = |lines: &[(&str, &PublicKey)], port| {
            wanted_algorithms(&known(lines), &HostName::new("pi.lan", port, None), &permitted)
        };
        assert_eq!(wanted(&[("pi.lan", &c)], 22), [permitted[1].clone()]);
        assert_eq!(wanted(&[], 22), permitted);
        let borrowed = wanted(&[("pi.lan", &c)], 2222);
        assert_eq!(borrowed.first(), Some(&permitted[1]));
        assert_eq!(borrowed.len(), 3, "a borrowed record orders, it does not restrict");
    }
}
