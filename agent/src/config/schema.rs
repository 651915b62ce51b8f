//! What a table of keys is made of. [`super::keys`] is the table; the parser and docs/configuration.md both read it.

/// One table of `agent-runner.toml`.
#[derive(Debug)]
pub struct Table {
    /// The dotted name; the last part is its key in the table above.
    pub name: &'static str,
    /// What it is about.
    pub doc: &'static str,
    /// How it appears in the file.
    pub presence: Presence,
    /// Its keys, in groups so that two tables can share one.
    pub keys: &'static [&'static [Key]],
    /// Tables below it.
    pub tables: &'static [Table],
    /// Keys of older releases that are refused with a word of their own.
    pub removed: &'static [(&'static str, &'static str)],
}

/// How a table appears in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Once, always.
    Required,
    /// Once; its keys have their defaults when it is left out.
    Optional,
    /// Once or not at all; its required keys are required only when it is there.
    Feature,
    /// As `[[name]]`, any number of times.
    Rows,
    /// Once per phase, under the phase's name.
    PerPhase,
    /// Once; only the keys that are there count, over those of another table.
    Override,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// Another accepted spelling.
    pub alias: Option<Alias>,
    /// What it may be.
    pub kind: Kind,
    /// What it is when it is left out.
    pub default: Default,
    /// What it does.
    pub doc: &'static str,
}

/// Another spelling of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alias {
    /// As good as the name.
    Equal(&'static str),
    /// Accepted with a warning; `migrate` rewrites it.
    Old(&'static str),
}

impl Alias {
    /// Returns the spelling.
    pub fn name(self) -> &'static str {
        match self {
            Alias::Equal(name) | Alias::Old(name) => name,
        }
    }
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `schema_version`: the integer 1.
    Version,
    /// Any string.
    Text,
    /// One of these strings.
    Word(&'static [&'static str]),
    /// A path; `~` and `{project}` are expanded.
    Path,
    /// The name of an IANA time zone.
    Zone,
    /// `true` or `false`.
    Bool,
    /// An integer from the first to the second number, both included.
    Int(i64, i64),
    /// A number.
    Float(Range),
    /// A list of strings.
    Texts,
    /// A list of at least one string.
    SomeTexts,
    /// A list of regular expressions.
    Patterns,
    /// A list of paths, not empty.
    Paths,
    /// A list of windows of the week.
    Windows,
    /// A table of strings.
    TextTable,
}

/// The largest integer accepted where no rule says less: a number of seconds that still fits every sum.
pub const ANY: i64 = 1 << 40;

/// The range of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// 0 to 100, both included.
    Percent,
    /// Above 0, up to 100.
    PositivePercent,
    /// Above 0.
    Positive,
}

/// What a key is when it is left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Default {
    /// It may not be left out.
    Required,
    /// Nothing.
    Unset,
    /// Nothing, and the text says what that means.
    Means(&'static str),
    /// A string.
    Text(&'static str),
    /// A bool.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number.
    Float(f64),
    /// A list of strings.
    Texts(&'static [&'static str]),
}

impl Table {
    /// Returns a table without keys.
    pub const fn new(name: &'static str, presence: Presence, doc: &'static str) -> Table {
        Table { name, doc, presence, keys: &[], tables: &[], removed: &[] }
    }

    /// Returns the last part of the name.
    pub fn key(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// Returns the keys of all groups.
    pub fn all_keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.keys.iter().flat_map(|group| group.iter())
    }

    /// Returns the key of this name or spelling.
    pub fn find(&self, name: &str) -> Option<&'static Key> {
        self.all_keys().find(|key| key.name == name || key.alias.is_some_and(|alias| alias.name() == name))
    }

    /// Returns the table of this name right below.
    pub fn below(&self, name: &str) -> Option<&'static Table> {
        self.tables.iter().find(|table| table.key() == name)
    }

    /// Returns the template of the tables that are named by the operator.
    pub fn named(&self) -> Option<&'static Table> {
        self.tables.iter().find(|table| table.presence == Presence::PerPhase)
    }

    /// Returns every name that may stand in this table.
    pub fn names(&self) -> Vec<&'static str> {
        let tables = self.tables.iter().filter(|table| table.presence != Presence::PerPhase);
        let mut names: Vec<_> = self.all_keys().map(|key| key.name).chain(tables.map(Table::key)).collect();
        names.sort_unstable();
        names
    }

    /// Returns the name of one of its keys, as an operator would write it.
    pub fn dotted(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

impl Key {
    /// Returns a key without another spelling.
    pub const fn new(name: &'static str, kind: Kind, default: Default, doc: &'static str) -> Key {
        Key { name, alias: None, kind, default, doc }
    }

    /// Adds another spelling.
    pub const fn or(mut self, alias: Alias) -> Key {
        self.alias = Some(alias);
        self
    }
}
