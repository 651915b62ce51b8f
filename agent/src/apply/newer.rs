//! Two controllers may want different agents on one host: the newer one stays.

use std::cmp::Ordering;
use std::fs;

use super::facts::{World, scope_of};
use super::manifest::Manifest;

/// Returns the manifest as it counts here: one that brings an older agent than the one in use brings none, and a note
/// says so.
pub(super) fn settled(world: &World, manifest: &Manifest) -> (Manifest, Option<String>) {
    let current = fs::read_link(world.places(scope_of(manifest)).current()).ok();
    let installed = current.as_deref().and_then(|path| path.file_name()?.to_str()).and_then(version);
    let wanted = manifest.agents.iter().find(|agent| agent.machine == std::env::consts::ARCH);
    match (installed, wanted) {
        (Some(installed), Some(wanted))
            if !manifest.downgrade && compare(installed, &wanted.version) == Ordering::Greater =>
        {
            let note = format!(
                "the agent stays {installed}, which is newer than the {} this controller carries",
                wanted.version
            );
            (Manifest { agents: Vec::new(), ..manifest.clone() }, Some(note))
        }
        (Some(_) | None, _) => (manifest.clone(), None),
    }
}

/// Returns the version that a version folder's name begins with.
#[must_use]
pub fn version(folder: &str) -> Option<&str> {
    folder.rsplit_once('-').map(|(version, _)| version)
}

/// Compares two versions: numbers between dots, one with a suffix before the same without.
#[must_use]
pub fn compare(one: &str, other: &str) -> Ordering {
    let parts = |text: &str| {
        let (numbers, suffix) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
        let numbers: Vec<u64> = numbers.split('.').map(|part| part.parse().unwrap_or_default()).collect();
        (numbers, suffix.is_none(), suffix.unwrap_or_default().to_owned())
    };
    parts(one).cmp(&parts(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        for (older, newer) in
            [("0.9.0", "0.10.0"), ("1.0.0-rc.1", "1.0.0"), ("1.0.0-rc.1", "1.0.0-rc.2"), ("0.9", "0.9.1")]
        {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(compare(newer, older), Ordering::Greater, "{older} {newer}");
        }
        assert_eq!(compare("1.2.3", "1.2.3"), Ordering::Equal);
        assert_eq!(version("1.0.0-rc.1-0123456789ab"), Some("1.0.0-rc.1"));
    }
}
