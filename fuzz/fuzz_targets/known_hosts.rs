//! Any known_hosts file: every entry has its line, and looking names up in it never panics.
#![no_main]

use std::path::Path;

use agent_runner_fleet::ssh::KnownHosts;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut known = KnownHosts::default();
    known.add_file(Path::new("known_hosts"), text);
    let lines = text.lines().count();
    assert!(known.entries().iter().all(|entry| (1..=lines).contains(&entry.line)));
    for name in ["pi1", "[127.0.0.1]:2222", "", "*"] {
        let _ = known.matching(name).count();
    }
});
