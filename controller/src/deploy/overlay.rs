//! Overlays: one TOML text merged over another, key by key, comments kept. Pure.

use toml_edit::{DocumentMut, Item, TableLike};

/// Returns `base` with every key of `overlay` set: tables are merged, everything else is replaced.
///
/// # Errors
/// Where and why one of the texts is no TOML.
pub fn merge(base: &str, overlay: &str) -> Result<String, String> {
    let mut merged: DocumentMut = base.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let overlay: DocumentMut = overlay.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    lay(merged.as_table_mut(), overlay.as_table());
    Ok(merged.to_string())
}

fn lay(base: &mut dyn TableLike, overlay: &dyn TableLike) {
    for (key, item) in overlay.iter() {
        match (base.get_mut(key).and_then(Item::as_table_like_mut), item.as_table_like()) {
            (Some(below), Some(above)) => lay(below, above),
            (Some(_) | None, _) => {
                base.insert(key, item.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_merge_and_values_replace() {
        let base = "# kept\n[agent]\ncommand = [\"a\"]\n[runtime]\nround_budget_s = 10 # old\n";
        let merged =
            merge(base, "[runtime]\nround_budget_s = 20\nmax_rounds = 3\n[vcs]\ndirty_action = \"ignore\"\n")
                .unwrap();
        assert!(merged.starts_with("# kept\n[agent]\ncommand = [\"a\"]\n"), "{merged}");
        let value: toml::Table = toml::from_str(&merged).unwrap();
        assert_eq!(value["runtime"]["round_budget_s"].as_integer(), Some(20));
        assert_eq!(value["runtime"]["max_rounds"].as_integer(), Some(3));
        assert_eq!(value["vcs"]["dirty_action"].as_str(), Some("ignore"));
        assert!(merge("a = 1", "b = ").unwrap_err().contains("line 1"));
    }
}
