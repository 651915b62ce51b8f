//! Variables that nobody shall see: `{ value = "..", secret = true }`.

use std::collections::BTreeMap;

use serde::{Serialize as _, Serializer};

use crate::source::Sourced;

/// What is shown instead.
const HIDDEN: &str = "(secret)";

/// Returns the value itself, where a variable is marked `secret = true`.
pub fn secret(variable: &toml::Value) -> Option<&toml::Value> {
    let table = variable.as_table().filter(|table| table.len() == 2)?;
    let is_secret = table.get("secret").and_then(toml::Value::as_bool).unwrap_or_default();
    table.get("value").filter(|_| is_secret)
}

/// A variable as people may see it.
pub(crate) fn shown(variable: &toml::Value) -> toml::Value {
    match secret(variable) {
        Some(_) => toml::Value::String(HIDDEN.to_owned()),
        None => variable.clone(),
    }
}

/// Serializes variables as people may see them.
pub(crate) fn serialize<S: Serializer>(
    variables: &BTreeMap<String, Sourced<toml::Value>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let shown = |set: &Sourced<toml::Value>| Sourced { value: shown(&set.value), source: set.source.clone() };
    let all: BTreeMap<&String, Sourced<toml::Value>> =
        variables.iter().map(|(name, set)| (name, shown(set))).collect();
    all.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use crate::Inventory;

    #[test]
    fn a_secret_variable_is_shown_nowhere() {
        let text = "[fleet]\nname = \"attic\"\n[hosts.pi]\nvars = { open = { value = 1 }, token = { value = \"hunter2\", \
                    secret = true } }\n";
        let inventory = Inventory::parse(text, "fleet.toml".as_ref()).unwrap();
        let host = inventory.host("pi").unwrap();
        let whole = toml::to_string(&host).unwrap();
        let rows: String = host.shown().iter().map(|row| format!("{} {}\n", row.key, row.value)).collect();
        for said in [whole, rows] {
            assert!(!said.contains("hunter2") && said.contains("(secret)"), "{said}");
        }
        let token = host.vars.get("token").unwrap();
        assert_eq!(super::secret(&token.value).and_then(toml::Value::as_str), Some("hunter2"));
        assert_eq!(super::secret(&host.vars.get("open").unwrap().value), None);
    }
}
