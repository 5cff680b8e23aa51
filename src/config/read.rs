//! Reading keys with their places. A [`Reader`] collects problems instead of stopping at the first; a [`Section`]
//! remembers which keys were asked for, so that what nobody asked for is an unknown key.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Problems};
use crate::limits;

/// Where a value stands: key path and bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) key: String,
    pub(super) span: Range<usize>,
}

/// What a key held. `Bad` was reported already, so nobody reports it again.
#[derive(Debug)]
pub(super) enum Found<T> {
    Absent,
    Bad,
    Is(T, Place),
}

impl<T> Found<T> {
    pub(super) fn or(self, default: T) -> T {
        self.optional().unwrap_or(default)
    }

    pub(super) fn optional(self) -> Option<T> {
        match self {
            Found::Is(value, _) => Some(value),
            Found::Absent | Found::Bad => None,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Found::Absent)
    }
}

/// One file being read.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    text: &'t str,
    file: String,
    /// Relative paths start here.
    base: PathBuf,
    problems: Vec<Problem>,
    /// Every key that was ever asked for, without array indexes.
    pub(super) known: BTreeSet<String>,
    /// Secrets that are texts of an example, not yet replaced.
    pub(super) placeholders: Vec<Place>,
}

/// One table of the file. Without a table every key is absent.
#[derive(Debug)]
pub(super) struct Section<'d, 't> {
    place: Place,
    table: Option<&'d DeTable<'t>>,
    asked: Vec<&'static str>,
}

/// An entry of a list that may hold texts and tables.
#[derive(Debug)]
pub(super) enum Item<'d, 't> {
    Text(&'d str, Place),
    Table(Section<'d, 't>),
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, file: &str, base: &Path) -> Reader<'t> {
        let (file, base) = (file.to_owned(), base.to_owned());
        Reader { text, file, base, problems: Vec::new(), known: BTreeSet::new(), placeholders: Vec::new() }
    }

    /// Reports something wrong at a place.
    pub(super) fn problem(&mut self, place: &Place, message: impl Into<String>) {
        self.problem_at(place.span.start, place.key.clone(), message.into());
    }

    pub(super) fn problem_at(&mut self, byte: usize, key: String, message: String) {
        if self.problems.len() >= limits::CONFIG_PROBLEMS {
            return;
        }
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        let message = without_passwords(&message);
        self.problems.push(Problem { file: self.file.clone(), line, column, key, message });
    }

    /// All problems in the order of the file, or none.
    pub(super) fn finish(mut self) -> Result<(), Problems> {
        self.problems.sort();
        self.problems.dedup();
        if self.problems.is_empty() { Ok(()) } else { Err(Problems { problems: self.problems }) }
    }

    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    pub(super) fn relative(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// A table within a table, `[name]`; absent tables give a section in which everything is absent.
    pub(super) fn section<'d>(&mut self, root: &mut Section<'d, 't>, name: &'static str) -> Section<'d, 't> {
        match self.raw(root, name) {
            Some((value, place)) => self.as_section(value, place),
            None => Section::new(Place { key: root.path(name), span: 0..0 }, None),
        }
    }

    /// The tables of `[[name]]`.
    pub(super) fn sections<'d>(&mut self, root: &mut Section<'d, 't>, name: &'static str) -> Vec<Section<'d, 't>> {
        let Some((value, place)) = self.raw(root, name) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            self.problem(&place, format!("must be a list of tables: write `[[{name}]]` (two brackets)"));
            return Vec::new();
        };
        let item = |(i, item): (usize, &'d Spanned<DeValue<'t>>)| {
            self.as_section(item.get_ref(), Place { key: format!("{}[{i}]", place.key), span: item.span() })
        };
        array.iter().enumerate().map(item).collect()
    }

    fn as_section<'d>(&mut self, value: &'d DeValue<'t>, place: Place) -> Section<'d, 't> {
        let table = value.as_table();
        if table.is_none() {
            self.problem(&place, format!("must be a table, not {}", kind(value)));
        }
        Section::new(place, table)
    }

    /// Reports every key that was never asked for.
    pub(super) fn end(&mut self, section: Section<'_, 't>) {
        let Some(table) = section.table else { return };
        for (key, _) in table {
            let name: &str = key.get_ref();
            if !section.asked.contains(&name) {
                let hint = closest(name, &section.asked);
                let message = match hint {
                    Some(hint) => format!("unknown key; did you mean `{hint}`?"),
                    None => format!("unknown key; known here: {}", section.asked.join(", ")),
                };
                self.problem_at(key.span().start, section.path(name), message);
            }
        }
    }

    fn raw<'d>(&mut self, section: &mut Section<'d, 't>, key: &'static str) -> Option<(&'d DeValue<'t>, Place)> {
        if !section.asked.contains(&key) {
            section.asked.push(key);
        }
        self.known.insert(without_indexes(&section.path(key)));
        let (found, value) = section.table?.get_key_value(key)?;
        // The place is the key's: a value of several lines has its problem where the eye looks first.
        Some((value.get_ref(), Place { key: section.path(key), span: found.span() }))
    }

    /// The value of a key through `read`.
    pub(super) fn get<T>(
        &mut self,
        section: &mut Section<'_, 't>,
        key: &'static str,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, String>,
    ) -> Found<T> {
        let Some((value, place)) = self.raw(section, key) else { return Found::Absent };
        match read(value) {
            Ok(value) => Found::Is(value, place),
            Err(message) => {
                self.problem(&place, message);
                Found::Bad
            }
        }
    }

    /// A text through `read`.
    pub(super) fn text<T>(
        &mut self,
        section: &mut Section<'_, 't>,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Found<T> {
        self.get(section, key, |value| read(as_text(value)?))
    }

    /// A whole number within bounds.
    pub(super) fn integer(
        &mut self,
        section: &mut Section<'_, 't>,
        key: &'static str,
        range: Range<u64>,
    ) -> Found<u64> {
        self.get(section, key, |value| {
            let whole = value.as_integer().ok_or_else(|| format!("must be a whole number, not {}", kind(value)))?;
            let digits = whole.as_str().replace('_', "");
            u64::from_str_radix(&digits, whole.radix())
                .ok()
                .filter(|n| range.contains(n))
                .ok_or_else(|| format!("must be from {} to {}", range.start, range.end - 1))
        })
    }

    pub(super) fn boolean(&mut self, section: &mut Section<'_, 't>, key: &'static str) -> Found<bool> {
        self.get(section, key, |value| {
            value.as_bool().ok_or_else(|| format!("must be true or false, not {}", kind(value)))
        })
    }

    /// A list of texts, each through `read` with its own place. Bad items are reported and left out.
    pub(super) fn list<T>(
        &mut self,
        section: &mut Section<'_, 't>,
        key: &'static str,
        mut read: impl FnMut(&str) -> Result<T, String>,
    ) -> Found<Vec<(T, Place)>> {
        let Some((value, place)) = self.raw(section, key) else { return Found::Absent };
        let Some(array) = value.as_array() else {
            self.problem(&place, format!("must be a list like [\"…\"], not {}", kind(value)));
            return Found::Bad;
        };
        if array.len() > limits::CONFIG_LIST {
            self.problem(&place, format!("has {} items; at most {} are read", array.len(), limits::CONFIG_LIST));
            return Found::Bad;
        }
        let mut items = Vec::with_capacity(array.len());
        for (i, item) in array.iter().enumerate() {
            let at = Place { key: format!("{}[{i}]", place.key), span: item.span() };
            match as_text(item.get_ref()).and_then(&mut read) {
                Ok(value) => items.push((value, at)),
                Err(message) => self.problem(&at, message),
            }
        }
        if items.len() < array.len() { Found::Bad } else { Found::Is(items, place) }
    }

    /// The items of a list whose entries are texts or tables.
    pub(super) fn items<'d>(&mut self, section: &mut Section<'d, 't>, key: &'static str) -> Found<Vec<Item<'d, 't>>> {
        let Some((value, place)) = self.raw(section, key) else { return Found::Absent };
        let Some(array) = value.as_array().filter(|array| array.len() <= limits::CONFIG_LIST) else {
            self.problem(&place, format!("must be a list like [\"…\"], not {}", kind(value)));
            return Found::Bad;
        };
        let mut items = Vec::with_capacity(array.len());
        for (i, item) in array.iter().enumerate() {
            let at = Place { key: format!("{}[{i}]", place.key), span: item.span() };
            match item.get_ref() {
                DeValue::String(text) => items.push(Item::Text(text, at)),
                DeValue::Table(table) => items.push(Item::Table(Section::new(at, Some(table)))),
                other => self.problem(&at, format!("must be a text in quotes or a table, not {}", kind(other))),
            }
        }
        if items.len() < array.len() { Found::Bad } else { Found::Is(items, place) }
    }

    /// A table of texts.
    pub(super) fn map(
        &mut self,
        section: &mut Section<'_, 't>,
        key: &'static str,
        mut check: impl FnMut(&str, &str) -> Result<(), String>,
    ) -> Found<std::collections::BTreeMap<String, String>> {
        let Some((value, place)) = self.raw(section, key) else { return Found::Absent };
        let Some(table) = value.as_table() else {
            self.problem(&place, format!("must be a table like {{ name = \"…\" }}, not {}", kind(value)));
            return Found::Bad;
        };
        let mut map = std::collections::BTreeMap::new();
        let mut good = true;
        for (name, item) in table {
            let checked = as_text(item.get_ref()).and_then(|text| check(name.get_ref(), text).map(|()| text));
            match checked {
                Ok(text) => drop(map.insert(name.get_ref().to_string(), text.to_owned())),
                Err(message) => {
                    self.problem_at(name.span().start, format!("{}.{}", place.key, name.get_ref()), message);
                    good = false;
                }
            }
        }
        if good { Found::Is(map, place) } else { Found::Bad }
    }

    /// A secret: in place, or in a file of its own under `key_file`. Both at once is a mistake.
    pub(super) fn secret(
        &mut self,
        section: &mut Section<'_, 't>,
        key: &'static str,
        key_file: &'static str,
    ) -> Found<Arc<str>> {
        let inline: Found<Arc<str>> = self.text(section, key, |text| secret_text(text).map(Arc::from));
        let base = self.base.clone();
        let filed = self.text(section, key_file, |path| read_secret(&base.join(path)).map(Arc::from));
        let found = match (inline, filed) {
            (Found::Absent, filed) => filed,
            (inline, Found::Absent) => inline,
            (_, Found::Is(_, place)) => {
                self.problem(&place, format!("`{key}` and `{key_file}` are both given; keep one of them"));
                Found::Bad
            }
            (inline, Found::Bad) => inline,
        };
        if let Found::Is(text, place) = &found
            && PLACEHOLDERS.contains(&text.trim())
        {
            self.placeholders.push(place.clone());
        }
        found
    }

    /// A key that must be there. `hint` says what to write.
    pub(super) fn required<T>(
        &mut self,
        section: &Section<'_, 't>,
        key: &str,
        found: Found<T>,
        hint: &str,
    ) -> Option<T> {
        if found.is_absent() && section.table.is_some() {
            self.problem_at(section.place.span.start, section.path(key), format!("is missing; write {hint}"));
        }
        found.optional()
    }
}

impl<'d, 't> Section<'d, 't> {
    pub(super) fn root(table: &'d DeTable<'t>) -> Section<'d, 't> {
        Section::new(Place::default(), Some(table))
    }

    fn new(place: Place, table: Option<&'d DeTable<'t>>) -> Section<'d, 't> {
        Section { place, table, asked: Vec::new() }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Path of a key of this section.
    fn path(&self, key: &str) -> String {
        if self.place.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place.key) }
    }
}

fn as_text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| format!("must be a text in quotes, not {}", kind(value)))
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Messages repeat what is wrong; the password of `scheme://user:password@host` or `sip:user:password@host` does not stand in
/// them, for they end up in logs.
fn without_passwords(message: &str) -> String {
    let masked = |word: &str| -> Option<String> {
        let (user, host) = word.rsplit_once('@')?;
        let scheme = user.find("://").map(|at| at + 3);
        let scheme = scheme.or_else(|| ["sip:", "sips:"].iter().find(|s| user.starts_with(**s)).map(|s| s.len()));
        let (scheme, user) = user.split_at(scheme.unwrap_or(0));
        user.split_once(':').map(|(user, _)| format!("{scheme}{user}:…@{host}"))
    };
    let words = message.split_inclusive(|c: char| c.is_whitespace() || c == '`');
    words.map(|word| masked(word).unwrap_or_else(|| word.to_owned())).collect()
}

/// What stands for a secret in our examples, and in what `leaseline check` prints.
pub(super) const PLACEHOLDERS: [&str; 9] = [
    "a long random text",
    "another long random text",
    "the allocator's token",
    "the capture server's",
    "what the provider gave",
    "name of the key",
    "the key itself",
    "Bearer …",
    "…",
];

/// A secret goes into HTTP headers and HMACs: one line, not empty.
fn secret_text(text: &str) -> Result<&str, String> {
    if text.is_empty() {
        return Err("is empty; give it a value or take the key out".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("has a control character; a secret is one line".to_owned());
    }
    Ok(text)
}

fn read_secret(path: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let shown = path.display();
    let file = std::fs::File::open(path).map_err(|e| format!("cannot open {shown}: {e}"))?;
    let mut text = String::new();
    let limit = limits::CONFIG_SECRET as u64;
    let read = file.take(limit + 1).read_to_string(&mut text).map_err(|e| format!("cannot read {shown}: {e}"))?;
    if read as u64 > limit {
        return Err(format!("{shown} has more than {limit} bytes; that is no secret"));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    secret_text(line).map(str::to_owned).map_err(|message| format!("{shown} {message}"))
}

/// `trunk[0].match` → `trunk.match`.
fn without_indexes(path: &str) -> String {
    let mut inside = false;
    let keep = |c: &char| {
        inside = (inside || *c == '[') && *c != ']';
        !inside && *c != ']'
    };
    path.chars().filter(keep).collect()
}

/// The known key that a typing error most likely meant.
fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let best = known.iter().map(|key| (distance(name, key), *key)).min()?;
    (best.0 <= 1 + best.1.len() / 4).then_some(best.1)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cb, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let best = (diagonal + usize::from(ca != *cb)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("lisen", "listen"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(closest("foward_to", &["name", "forward_to"]), Some("forward_to"));
        assert_eq!(closest("zebra", &["name", "forward_to"]), None);
    }

    #[test]
    fn indexes_are_dropped() {
        assert_eq!(without_indexes("trunk[12].match[0]"), "trunk.match");
    }
}
