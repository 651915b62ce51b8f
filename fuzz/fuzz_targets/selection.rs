//! Any pattern: hosts of the inventory in its order, or an error that shows the place; folded names select themselves.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use agent_runner_inventory::{Inventory, Selection, fold_pattern};
use libfuzzer_sys::fuzz_target;

static FLEET: LazyLock<Inventory> = LazyLock::new(|| {
    let text = "[fleet]\nname = \"f\"\n[groups.pis]\nhosts = [\"pi[01-20].lan\", \"n[1-300/7]\"]\n\
                [groups.cloud]\nhosts = [\"10.0.3.[1-9]\", \"@pis\"]\n";
    Inventory::parse(text, Path::new("fleet.toml")).expect("it is well-formed")
});

fuzz_target!(|pattern: &str| {
    // Files of this machine are none of a fuzzer's business.
    if pattern.contains("@file") {
        return;
    }
    match FLEET.select(&Selection::limit([pattern])) {
        Ok(chosen) => {
            assert!(!chosen.is_empty());
            let again = FLEET.select(&Selection::limit([fold_pattern(&chosen)])).expect("folded names select");
            assert_eq!(again, chosen);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
