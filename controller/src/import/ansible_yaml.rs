//! Ansible's YAML inventories. Pure.

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};

use super::ansible::{ImportError, Imported, Vars};

/// The deepest nesting of groups.
const MAX_DEPTH: usize = 64;

/// Reads an inventory.
pub(super) fn read(text: &str) -> Result<Imported, ImportError> {
    let documents = Yaml::load_from_str(text).map_err(|error| ImportError::Shape(error.to_string()))?;
    let mut imported = Imported::default();
    for document in &documents {
        for (name, body) in mapping(document, "the inventory")? {
            group(&mut imported, (&name, body), MAX_DEPTH)?;
        }
    }
    Ok(imported)
}

fn group(imported: &mut Imported, (name, body): (&str, &Yaml<'_>), depth: usize) -> Result<(), ImportError> {
    Imported::checked_group(name)?;
    let depth = depth.checked_sub(1).ok_or_else(|| shape(name, "groups are nested too deeply"))?;
    if !matches!(name, "all" | "ungrouped") {
        imported.group(name);
    }
    for (key, value) in mapping(body, name)? {
        match key.as_str() {
            "hosts" => {
                for (host, own) in mapping(value, &format!("{name}.hosts"))? {
                    imported.host(name, &host, vars(own, &host)?)?;
                }
            }
            "vars" => imported.group_vars(name, vars(value, &format!("{name}.vars"))?),
            "children" => {
                for (child, body) in mapping(value, &format!("{name}.children"))? {
                    imported.child(name, &child);
                    group(imported, (&child, body), depth)?;
                }
            }
            other => return Err(shape(name, &format!("{other:?} is none of hosts, vars, children"))),
        }
    }
    Ok(())
}

/// The entries of a mapping; nothing at all is an empty one.
fn mapping<'y, 'i>(node: &'y Yaml<'i>, of: &str) -> Result<Vec<(String, &'y Yaml<'i>)>, ImportError> {
    let Yaml::Mapping(entries) = node else {
        return if node.is_null() { Ok(Vec::new()) } else { Err(shape(of, "a mapping is wanted here")) };
    };
    let entries = entries.iter().map(|(key, value)| {
        let key = scalar(key).ok_or_else(|| shape(of, "a key is no plain text"))?;
        Ok((key, value))
    });
    entries.collect()
}

/// Variables; those that are no plain values are kept as a mark, so that leaving them out is said.
fn vars(node: &Yaml<'_>, of: &str) -> Result<Vars, ImportError> {
    let entries = mapping(node, of)?;
    Ok(entries.into_iter().map(|(key, value)| (key, scalar(value).unwrap_or_default())).collect())
}

fn scalar(node: &Yaml<'_>) -> Option<String> {
    let Yaml::Value(scalar) = node else { return None };
    Some(match scalar {
        Scalar::Null => return None,
        Scalar::Boolean(flag) => flag.to_string(),
        Scalar::Integer(number) => number.to_string(),
        Scalar::FloatingPoint(number) => number.to_string(),
        Scalar::String(text) => text.to_string(),
    })
}

fn shape(of: &str, message: &str) -> ImportError {
    ImportError::Shape(format!("{of}: {message}"))
}
