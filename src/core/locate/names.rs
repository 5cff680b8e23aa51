//! The host names of the configuration by number, so that a [`crate::core::agent::Flow`] stays small and is copied. A name
//! keeps its number when the configuration is read again: connections that are open carry it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::core::agent::NameId;
use crate::limits;

use super::host_key;

/// Names and their numbers. Only grows, by what a configuration names.
#[derive(Clone, Debug, Default)]
pub struct Names {
    texts: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, NameId>,
}

impl Names {
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Names {
        let mut table = Names::default();
        table.extend(names);
        table
    }

    /// Takes in what is not there yet. What does not fit any more has no number, and TLS to it is not tried.
    pub fn extend<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            let name: Arc<str> = host_key(name).into();
            let next = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
            if self.texts.len() < limits::NAMES && !self.ids.contains_key(&name) {
                self.texts.push(Arc::clone(&name));
                self.ids.insert(name, NameId(next));
            }
        }
    }

    /// Number of a name that is written as in [`super::Query::host`].
    pub fn id(&self, name: &str) -> Option<NameId> {
        self.ids.get(name).copied()
    }

    /// The text of a number: lower case, without a dot at the end; an address without brackets.
    pub fn text(&self, id: NameId) -> Option<&Arc<str>> {
        self.texts.get(usize::try_from(id.0).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay() {
        let mut names = Names::of(["b.example", "A.example."]);
        let a = names.id("a.example").expect("a number");
        names.extend(["c.example", "a.example"]);
        assert_eq!(names.id("a.example"), Some(a));
        assert_eq!(names.text(a).map(|text| &**text), Some("a.example"));
        assert_eq!(names.id("d.example"), None);
        assert_eq!(names.text(NameId(3)), None);
    }
}
