//! Ansible's INI inventories. Pure.

use super::ansible::{ImportError, Imported, Vars};

/// What the lines below a `[head]` are.
enum Section {
    Hosts(String),
    Vars(String),
    Children(String),
}

/// Reads an inventory.
pub(super) fn read(text: &str) -> Result<Imported, ImportError> {
    let mut imported = Imported::default();
    let mut section = Section::Hosts("ungrouped".to_owned());
    for (number, line) in (1usize..).zip(text.lines()) {
        let at = |error: ImportError| match error {
            ImportError::Shape(message) => ImportError::Line { line: number, message },
            ImportError::Line { .. } => error,
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        // A range stands inside a name; a head is all of its line.
        if let Some(head) = line.strip_prefix('[').and_then(|rest| head(rest)) {
            section = begin(&mut imported, head).map_err(at)?;
            continue;
        }
        match &section {
            Section::Hosts(group) => host(&mut imported, group, line).map_err(at)?,
            Section::Vars(group) => {
                let (name, value) = line
                    .split_once('=')
                    .ok_or_else(|| at(ImportError::Shape(format!("{line:?} is no `name=value`"))))?;
                let value = unquoted(value.trim());
                imported.group_vars(group, Vars::from([(name.trim().to_owned(), value)]));
            }
            Section::Children(parent) => {
                let child = line.split_whitespace().next().unwrap_or_default();
                Imported::checked_group(child).map_err(at)?;
                imported.child(parent, child);
            }
        }
    }
    Ok(imported)
}

fn head(rest: &str) -> Option<&str> {
    let (head, after) = rest.split_once(']')?;
    let after = after.trim();
    (after.is_empty() || after.starts_with(['#', ';'])).then_some(head.trim())
}

fn begin(imported: &mut Imported, head: &str) -> Result<Section, ImportError> {
    let (group, kind) = head.split_once(':').unwrap_or((head, "hosts"));
    Imported::checked_group(group)?;
    if !matches!(group, "all" | "ungrouped") {
        imported.group(group);
    }
    let group = group.to_owned();
    match kind {
        "hosts" => Ok(Section::Hosts(group)),
        "vars" => Ok(Section::Vars(group)),
        "children" => Ok(Section::Children(group)),
        other => Err(ImportError::Shape(format!("[{head}]: {other:?} is none of hosts, vars, children"))),
    }
}

fn host(imported: &mut Imported, group: &str, line: &str) -> Result<(), ImportError> {
    let mut words = words(line)?.into_iter();
    let name = words.next().unwrap_or_default();
    let mut vars = Vars::new();
    for word in words {
        let (key, value) =
            word.split_once('=').ok_or_else(|| ImportError::Shape(format!("{word:?} is no `name=value`")))?;
        vars.insert(key.to_owned(), value.to_owned());
    }
    let (name, port) = port(&name);
    if let Some(port) = port {
        vars.insert("ansible_port".to_owned(), port.to_owned());
    }
    imported.host(group, name, vars)
}

/// Splits `host:2222`; colons of a range and of an IPv6 address are none of a port.
fn port(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((host, port))
            if !port.is_empty()
                && port.bytes().all(|byte| byte.is_ascii_digit())
                && (!host.contains(':') || host.ends_with(']')) =>
        {
            (host, Some(port))
        }
        _ => (name, None),
    }
}

/// Splits a line into words as a shell does: quotes hold blanks, `#` begins a comment.
fn words(line: &str) -> Result<Vec<String>, ImportError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(ImportError::Shape("a quote is not closed".to_owned()));
    }
    words.extend(word);
    Ok(words)
}

fn unquoted(value: &str) -> String {
    let inner = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    inner.unwrap_or(value).to_owned()
}
