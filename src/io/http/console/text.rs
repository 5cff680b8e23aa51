//! The console's words: Fluent texts in every language it speaks, compiled into the binary.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::http::{HeaderMap, header};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::{LanguageIdentifier, langid};

/// A language of the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::io::http) enum Lang {
    #[default]
    En,
    Ru,
}

impl Lang {
    pub(super) const ALL: [Lang; 2] = [Lang::En, Lang::Ru];

    /// As `lang` of a page and in the cookie.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Ru => "ru",
        }
    }

    /// In itself.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Lang::En => "English",
            Lang::Ru => "Русский",
        }
    }

    pub(super) fn of_code(code: &str) -> Option<Lang> {
        Lang::ALL.into_iter().find(|lang| lang.code() == code)
    }

    /// The first language of `Accept-Language` that we speak, by weight; English when there is none.
    pub(super) fn accepted(headers: &HeaderMap) -> Lang {
        let said = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
        let mut best = (0.0, Lang::default());
        for range in said.flat_map(|line| line.split(',')).take(32) {
            let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
            let weight = weight.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.parse::<f32>().ok()).unwrap_or(0.0);
            let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            if let Some(lang) = Lang::of_code(&primary).filter(|_| weight > best.0) {
                best = (weight, lang);
            }
        }
        best.1
    }

    fn bundle(self) -> &'static FluentBundle<FluentResource> {
        match self {
            Lang::En => &EN,
            Lang::Ru => &RU,
        }
    }

    /// The text of this key; the key itself when there is none, which a test forbids.
    pub(super) fn text(self, key: &str, arguments: &[(&'static str, Argument<'_>)]) -> Cow<'static, str> {
        self.find(key, arguments).unwrap_or_else(|| Cow::Owned(key.to_owned()))
    }

    /// The same; `None` without a text.
    pub(super) fn find(self, key: &str, arguments: &[(&'static str, Argument<'_>)]) -> Option<Cow<'static, str>> {
        let bundle = self.bundle();
        let pattern = bundle.get_message(key)?.value()?;
        let mut given = FluentArgs::with_capacity(arguments.len());
        for (name, value) in arguments {
            given.set(*name, value.to_fluent());
        }
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, Some(&given), &mut errors);
        Some(Cow::Owned(text.into_owned()))
    }
}

/// What stands in a text.
#[derive(Clone, Copy, Debug)]
pub(in crate::io::http) enum Argument<'a> {
    Text(&'a str),
    /// Chooses the plural.
    Count(u64),
}

impl<'a> Argument<'a> {
    fn to_fluent(self) -> FluentValue<'a> {
        match self {
            Argument::Text(text) => FluentValue::from(text),
            Argument::Count(count) => FluentValue::from(count as f64),
        }
    }
}

impl<'a> From<&'a str> for Argument<'a> {
    fn from(text: &'a str) -> Argument<'a> {
        Argument::Text(text)
    }
}

impl<'a> From<&'a String> for Argument<'a> {
    fn from(text: &'a String) -> Argument<'a> {
        Argument::Text(text)
    }
}

impl From<usize> for Argument<'_> {
    fn from(count: usize) -> Self {
        Argument::Count(count as u64)
    }
}

impl From<u64> for Argument<'_> {
    fn from(count: u64) -> Self {
        Argument::Count(count)
    }
}

const EN_TEXTS: &str = include_str!("../../../web/text/en.ftl");
const RU_TEXTS: &str = include_str!("../../../web/text/ru.ftl");

static EN: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| bundle(langid!("en"), EN_TEXTS));
static RU: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| bundle(langid!("ru"), RU_TEXTS));

fn bundle(lang: LanguageIdentifier, texts: &str) -> FluentBundle<FluentResource> {
    // A text that cannot be read is left out; a test finds it.
    let resource = FluentResource::try_new(texts.to_owned()).unwrap_or_else(|(resource, _)| resource);
    let mut bundle = FluentBundle::new_concurrent(vec![lang]);
    bundle.set_use_isolating(false);
    bundle.add_resource_overriding(resource);
    bundle
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    pub(in super::super) fn keys(texts: &str) -> BTreeSet<String> {
        let lines = texts.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
        lines.filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned())).collect()
    }

    #[test]
    fn both_languages_have_the_same_texts_and_all_can_be_read() {
        for texts in [EN_TEXTS, RU_TEXTS] {
            if let Err((_, errors)) = FluentResource::try_new(texts.to_owned()) {
                panic!("{errors:?}");
            }
            let lines = texts.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())).count();
            assert_eq!(lines, keys(texts).len(), "a key stands twice");
        }
        assert_eq!(keys(EN_TEXTS), keys(RU_TEXTS));
        for key in keys(EN_TEXTS) {
            for lang in Lang::ALL {
                assert!(lang.find(&key, &[("n", 5_u64.into())]).is_some_and(|text| !text.is_empty()), "{key}");
            }
        }
    }

    #[test]
    fn every_key_in_the_code_has_a_text() {
        let known = keys(EN_TEXTS);
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/io/http/console");
        let mut folders = vec![folder];
        let mut missing = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let code = std::fs::read_to_string(&path).unwrap();
                for mark in [".t(\"", ".tn(\"", ".ta(\""] {
                    for (at, _) in code.match_indices(mark) {
                        let key = code[at + mark.len()..].split('"').next().unwrap();
                        if !known.contains(key) {
                            missing.push(format!("{}: {key}", path.display()));
                        }
                    }
                }
            }
        }
        assert_eq!(missing, Vec::<String>::new());
    }

    #[test]
    fn plurals_follow_the_language() {
        let say = |lang: Lang, n: u64| {
            let text = n.to_string();
            lang.text("calls-count", &[("n", n.into()), ("shown", (&text).into())]).into_owned()
        };
        assert_eq!([say(Lang::En, 1), say(Lang::En, 2)], ["1 call", "2 calls"]);
        assert_eq!(
            [1, 2, 5, 11, 21, 22].map(|n| say(Lang::Ru, n)),
            ["1 звонок", "2 звонка", "5 звонков", "11 звонков", "21 звонок", "22 звонка"]
        );
    }

    #[test]
    fn the_browsers_languages_choose() {
        let asked = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, axum::http::HeaderValue::from_static(text));
            Lang::accepted(&headers)
        };
        for (text, lang) in [
            ("ru-RU,ru;q=0.9,en;q=0.8", Lang::Ru),
            ("en-GB,ru;q=0.9", Lang::En),
            ("de,ru;q=0.1", Lang::Ru),
            ("de", Lang::En),
            ("ru;q=0,en;q=0.1", Lang::En),
            (";;q=,,", Lang::En),
        ] {
            assert_eq!(asked(text), lang, "{text}");
        }
    }
}
