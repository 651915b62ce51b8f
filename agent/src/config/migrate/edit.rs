//! Edits of a parsed TOML document that keep its comments, its order and its layout.

use toml_edit::{Array, Item, Key, Table, TableLike, Value};

/// What a pass did and found.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) applied: Vec<String>,
    pub(super) manual: Vec<String>,
    pub(super) notes: Vec<String>,
    /// Whether the version has to be added as the first line.
    pub(super) stamp: bool,
}

/// Returns the table at a path.
pub(super) fn at<'a>(root: &'a mut Table, path: &[&str]) -> Option<&'a mut dyn TableLike> {
    let mut table: &mut dyn TableLike = root;
    for key in path {
        table = table.get_mut(key)?.as_table_like_mut()?;
    }
    Some(table)
}

/// Gives a key another name, in its place and with its comments.
pub(super) fn rename(root: &mut Table, path: &[&str], names: (&str, &str), outcome: &mut Outcome) {
    let (old, new) = names;
    let Some(table) = at(root, path).filter(|table| table.contains_key(old)) else { return };
    let (was, is) = (dotted(path, old), dotted(path, new));
    if table.contains_key(new) {
        outcome.manual.push(format!("`{was}` is the old spelling of `{is}`, and both are set: remove one"));
        return;
    }
    let items: Vec<(Key, Item)> =
        table.iter().filter_map(|(name, item)| Some((table.key(name)?.clone(), item.clone()))).collect();
    table.clear();
    for (key, item) in items {
        let key = if key.get() == old { renamed(&key, new) } else { key };
        table.entry_format(&key).or_insert(item);
    }
    outcome.applied.push(format!("{was} -> {is}"));
}

/// Removes a key.
pub(super) fn remove(root: &mut Table, path: &[&str], key: &str, outcome: &mut Outcome) {
    if at(root, path).is_some_and(|table| table.remove(key).is_some()) {
        outcome.applied.push(format!("{} dropped", dotted(path, key)));
    }
}

/// Moves a key into a table below its own, which is made when it is not there.
pub(super) fn push_down(root: &mut Table, path: &[&str], names: (&str, &str, &str), outcome: &mut Outcome) {
    let (old, below, new) = names;
    let Some(table) = at(root, path) else { return };
    let Some((key, item)) = table.get_key_value(old).map(|(key, item)| (key.clone(), item.clone())) else {
        return;
    };
    let (was, is) = (dotted(path, old), dotted(path, &format!("{below}.{new}")));
    let (inline, is_dotted) =
        (item_is_inline(root, path), at(root, path).is_some_and(|table| table.is_dotted()));
    let Some(table) = at(root, path) else { return };
    if !table.contains_key(below) {
        let mut made = Table::new();
        made.set_dotted(is_dotted);
        let made = if inline {
            Item::Value(Value::InlineTable(made.into_inline_table()))
        } else {
            Item::Table(made)
        };
        table.insert(below, made);
    }
    // What is no table is told by the parser.
    let Some(target) = table.get_mut(below).and_then(Item::as_table_like_mut) else { return };
    if target.contains_key(new) {
        outcome
            .manual
            .push(format!("`{was}` is the old spelling of `{is}`, and both are set: remove the old one"));
        return;
    }
    target.entry_format(&renamed(&key, new)).or_insert(item);
    table.remove(old);
    outcome.applied.push(format!("{was} -> {is}"));
}

/// Which bare strings become a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrap {
    /// Every one.
    Any,
    /// One word: several could be one argument or several.
    Word,
}

/// Puts a bare string into a list.
pub(super) fn wrap(root: &mut Table, path: &[&str], key: (&str, Wrap), outcome: &mut Outcome) {
    let (key, which) = key;
    let Some(value) = at(root, path).and_then(|table| table.get_mut(key)).and_then(Item::as_value_mut) else {
        return;
    };
    let Some(text) = value.as_str() else { return };
    let name = dotted(path, key);
    if which == Wrap::Word && (text.is_empty() || text.contains(char::is_whitespace)) {
        outcome
            .manual
            .push(format!("`{name}` must be a list: split the string into a program and its arguments"));
        return;
    }
    let mut list = Value::Array(Array::from_iter([text.to_owned()]));
    *list.decor_mut() = value.decor().clone();
    *value = list;
    outcome.applied.push(format!("{name} is a list"));
}

/// Returns the name of a key as an operator would write it.
pub(super) fn dotted(path: &[&str], key: &str) -> String {
    path.iter().copied().chain([key]).collect::<Vec<_>>().join(".")
}

fn renamed(key: &Key, new: &str) -> Key {
    Key::new(new).with_leaf_decor(key.leaf_decor().clone()).with_dotted_decor(key.dotted_decor().clone())
}

fn item_is_inline(root: &Table, path: &[&str]) -> bool {
    let mut item: Option<&Item> = None;
    for key in path {
        item = match item {
            None => root.get(key),
            Some(item) => item.get(key),
        };
    }
    item.is_some_and(Item::is_inline_table)
}
