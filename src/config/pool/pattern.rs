//! Patterns of conditions. `!` in front means "not": one of the others must fit, and none of these.

use super::super::company::Glob;
use crate::core::source::folded;

/// Texts with `*` and `?`, compared in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    any: Vec<Glob>,
    none: Vec<Glob>,
}

impl Patterns {
    pub fn is_empty(&self) -> bool {
        self.any.is_empty() && self.none.is_empty()
    }

    /// One more, as written.
    pub fn push(&mut self, text: &str) {
        match text.strip_prefix('!') {
            Some(text) => self.none.push(Glob::new(&folded(text))),
            None => self.any.push(Glob::new(&folded(text))),
        }
    }

    /// Whether a value fits that is folded already; a visit without the value fits only where all patterns say "not".
    pub fn fit(&self, value: Option<&str>) -> bool {
        self.fit_by(value, Glob::fits)
    }

    /// The same for the name of a host: a pattern without wildcards is also the hosts below it.
    pub fn fit_host(&self, host: Option<&str>) -> bool {
        self.fit_by(host, |glob, host| {
            let below = host.strip_suffix(glob.as_str()).is_some_and(|before| before.ends_with('.'));
            below || glob.fits(host)
        })
    }

    /// As written.
    pub fn texts(&self) -> impl Iterator<Item = String> + '_ {
        let none = self.none.iter().map(|glob| format!("!{}", glob.as_str()));
        self.any.iter().map(|glob| glob.as_str().to_owned()).chain(none)
    }

    fn fit_by(&self, value: Option<&str>, fits: impl Fn(&Glob, &str) -> bool) -> bool {
        match value {
            None => self.any.is_empty(),
            Some(value) => {
                let wanted = self.any.is_empty() || self.any.iter().any(|glob| fits(glob, value));
                wanted && !self.none.iter().any(|glob| fits(glob, value))
            }
        }
    }
}

/// Codes with parts behind hyphens, of which a longer one lies within a shorter: regions and languages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    any: Vec<String>,
    none: Vec<String>,
}

impl Places {
    pub fn is_empty(&self) -> bool {
        self.any.is_empty() && self.none.is_empty()
    }

    /// One more, as written.
    pub fn push(&mut self, text: &str) {
        match text.strip_prefix('!') {
            Some(text) => self.none.push(text.to_owned()),
            None => self.any.push(text.to_owned()),
        }
    }

    /// Whether a value fits; one that is not known fits only where all entries say "not".
    pub fn fit(&self, value: Option<&str>) -> bool {
        let Some(value) = value else { return self.any.is_empty() };
        let wanted = self.any.is_empty() || self.any.iter().any(|place| lies_in(value, place));
        wanted && !self.none.iter().any(|place| lies_in(value, place))
    }

    /// As written.
    pub fn texts(&self) -> impl Iterator<Item = String> + '_ {
        self.any.iter().cloned().chain(self.none.iter().map(|place| format!("!{place}")))
    }
}

fn lies_in(value: &str, place: &str) -> bool {
    let start = value.get(..place.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(place))
        && matches!(value.as_bytes().get(place.len()), None | Some(b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_want_and_refuse() {
        let patterns = |texts: &[&str]| {
            let mut patterns = Patterns::default();
            texts.iter().for_each(|text| patterns.push(text));
            patterns
        };
        for (texts, value, fits) in [
            (&["Yandex*"][..], Some("yandex.direct"), true),
            (&["Кухни*"], Some("кухни 2026"), true),
            (&["yandex"], Some("google"), false),
            (&["yandex", "google"], Some("google"), true),
            (&["yandex"], None, false),
            (&["*"], None, false),
            (&["!brand*"], None, true),
            (&["!brand*"], Some("brand msk"), false),
            (&["!brand*"], Some("kitchens"), true),
            (&["a*", "!ab*"], Some("abc"), false),
            (&["a*", "!ab*"], Some("acc"), true),
        ] {
            assert_eq!(patterns(texts).fit(value), fits, "{texts:?} {value:?}");
        }
        assert!(patterns(&["vk.com"]).fit_host(Some("m.vk.com")));
        assert!(!patterns(&["vk.com"]).fit_host(Some("notvk.com")));
        assert_eq!(patterns(&["b", "!a"]).texts().collect::<Vec<_>>(), ["b", "!a"]);
    }

    #[test]
    fn places_lie_within_each_other() {
        let places = |texts: &[&str]| {
            let mut places = Places::default();
            texts.iter().for_each(|text| places.push(text));
            places
        };
        for (texts, value, fits) in [
            (&["RU"][..], Some("RU-MOW"), true),
            (&["RU-MOW"], Some("RU"), false),
            (&["RU"], Some("RUX"), false),
            (&["en"], Some("en-GB"), true),
            (&["EN"], Some("en"), true),
            (&["!RU-MOW"], Some("RU-SPE"), true),
            (&["RU", "!RU-MOW"], Some("RU-MOW"), false),
            (&["RU"], None, false),
            (&["!RU"], None, true),
        ] {
            assert_eq!(places(texts).fit(value), fits, "{texts:?} {value:?}");
        }
    }
}
