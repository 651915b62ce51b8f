//! Any text: an inventory or problems with their places, never a panic; what loads answers for each of its hosts.
#![no_main]

use std::path::Path;

use agent_runner_inventory::Inventory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Inventory::parse(text, Path::new("fleet.toml")) {
        Ok(inventory) => {
            for name in inventory.hosts().iter().take(64) {
                let host = inventory.host(name.as_str()).expect("a host that is listed is there");
                let _ = host.shown();
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
