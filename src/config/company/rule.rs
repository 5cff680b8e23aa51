//! `[[company.rule]]`: calls that go elsewhere, by who calls, whom, when and because of what.

use std::sync::Arc;

use super::Then;
use crate::config::Sound;

/// The first rule of a company that fits a call says where it goes.
#[derive(Clone, Debug)]
pub struct Rule {
    pub name: Arc<str>,
    pub when: When,
    pub then: Then,
    /// Whether these calls are recorded; none: as pool, company and `[recording]` say.
    pub recording: Option<bool>,
    /// Instead of the company's.
    pub announcement: Option<Arc<Sound>>,
    pub whisper: Option<Arc<Sound>>,
}

impl Rule {
    /// It says where calls go; else only something about them, and the next that fits says where.
    pub fn leads(&self) -> bool {
        !matches!(self.then, Then::Usual) || self.when.known == Some(true)
    }
}

/// What a call must be. A list that is empty asks for nothing; of one that is not, one entry must fit.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// Of the attribution.
    pub source: Vec<Glob>,
    pub medium: Vec<Glob>,
    pub campaign: Vec<Glob>,
    pub pool: Vec<Glob>,
    /// The number that was dialled, in E.164.
    pub number: Vec<Glob>,
    /// The caller, as in events.
    pub caller: Vec<Glob>,
    /// Region of the caller's number, in ISO 3166 (`GB`).
    pub region: Vec<String>,
    /// Whether this caller spoke to a destination of this company before.
    pub known: Option<bool>,
    pub hours: During,
}

/// Which hours a rule is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum During {
    /// While the company is open; always, when it has no schedule.
    #[default]
    Open,
    Closed,
    Any,
}

impl During {
    pub const ALL: [(&'static str, During); 3] =
        [("open", During::Open), ("closed", During::Closed), ("any", During::Any)];

    pub const fn as_str(self) -> &'static str {
        match self {
            During::Open => "open",
            During::Closed => "closed",
            During::Any => "any",
        }
    }
}

/// A pattern: `*` is any text, `?` any character. Letters of ASCII fit in either case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    pub fn new(pattern: &str) -> Glob {
        Glob(pattern.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes time in proportion to both lengths' product at most: a pattern of stars is no trap.
    pub fn fits(&self, text: &str) -> bool {
        let pattern: &[u8] = self.0.as_bytes();
        let text = text.as_bytes();
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while let Some(byte) = text.get(t) {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, t));
                    p += 1;
                }
                // A character of several bytes is one `?`.
                Some(b'?') => {
                    p += 1;
                    t += 1;
                    while text.get(t).is_some_and(|next| next & 0xc0 == 0x80) {
                        t += 1;
                    }
                }
                Some(wanted) if wanted.eq_ignore_ascii_case(byte) => {
                    p += 1;
                    t += 1;
                }
                _ => match star {
                    Some((at, from)) => {
                        p = at + 1;
                        t = from + 1;
                        star = Some((at, from + 1));
                    }
                    None => return false,
                },
            }
        }
        pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("kitchen*", "Kitchens 2026", true),
            ("kitchen*", "my kitchen", false),
            ("*kitchen*", "my kitchen", true),
            ("+4420*", "+442079460000", true),
            ("+4420*", "+4479", false),
            ("a?c", "abc", true),
            ("a?c", "aäc", true),
            ("a?c", "ac", false),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxbxx", false),
            ("кухни*", "кухни 2026", true),
        ] {
            assert_eq!(Glob::new(pattern).fits(text), fits, "{pattern} {text}");
        }
        let hostile = Glob::new(&"*a".repeat(100));
        assert!(!hostile.fits(&"b".repeat(10_000)));
    }
}
