//! Where a telephone number is from, and where an address of the network is: ISO 3166-2 (`RU-MOW`) where something tells
//! it, else the country (ISO 3166-1, `RU`), else nothing. Evidence for who is calling, never proof: numbers move with
//! their people, and addresses are somebody's guess.
//!
//! The country of a number is its numbering plan's. For Russia, where area and operator codes (ABC and DEF) are given out
//! in ranges that no plan tells apart, the regulator's own files say more; the operator supplies them.

mod address;
mod russia;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::core::number;
use crate::ids::E164;
use crate::limits;

pub use address::AddressRegions;
use russia::{Named, SUBJECTS, named};

/// Regions of telephone numbers. Immutable; without files it knows countries.
#[derive(Clone, Default)]
pub struct Regions {
    /// Sorted, disjoint.
    ranges: Vec<Range>,
    /// As [`SUBJECTS`]; empty without files.
    codes: Vec<Arc<str>>,
    skipped: Skipped,
}

/// Numbers of ten digits, both ends inclusive, of one entry of [`SUBJECTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    from: u64,
    to: u64,
    subject: u16,
}

/// What files had that was not used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Lines that are no range of numbers.
    pub lines: usize,
    /// Ranges of regions whose name is not known: their numbers have a country only.
    pub unknown: usize,
    /// Ranges that lie over another region's.
    pub overlaps: usize,
    /// The first of each, with its place.
    first: [Option<String>; 3],
}

impl Regions {
    /// Where a number in E.164 is from; `None`: no numbering plan knows it.
    pub fn of(&self, number: &str) -> Option<Arc<str>> {
        self.subject(number).or_else(|| {
            let country = number::region(&E164::parse(number)?)?;
            // Numbers of no country (satellites) have codes of three digits.
            (country.len() == 2).then(|| country.into())
        })
    }

    /// Ranges that are told apart, after neighbours of one region were joined.
    pub fn ranges(&self) -> usize {
        self.ranges.len()
    }

    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn subject(&self, number: &str) -> Option<Arc<str>> {
        let digits = number.strip_prefix("+7").filter(|digits| digits.len() == 10)?;
        let number: u64 = digits.parse().ok()?;
        let before = self.ranges.partition_point(|range| range.from <= number).checked_sub(1)?;
        let range = self.ranges.get(before).filter(|range| number <= range.to)?;
        self.codes.get(usize::from(range.subject)).cloned()
    }
}

impl fmt::Debug for Regions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Regions").field("ranges", &self.ranges.len()).field("skipped", &self.skipped).finish()
    }
}

impl Skipped {
    /// Everything was used.
    pub fn is_none(&self) -> bool {
        *self == Skipped::default()
    }

    fn count(&mut self, what: usize, place: impl FnOnce() -> String) {
        let counts = [&mut self.lines, &mut self.unknown, &mut self.overlaps];
        if let Some((count, first)) = counts.into_iter().zip(&mut self.first).nth(what) {
            *count += 1;
            first.get_or_insert_with(place);
        }
    }
}

/// Places in [`Skipped`].
const LINE: usize = 0;
const UNKNOWN: usize = 1;
const OVERLAP: usize = 2;

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = [
            (self.lines, "lines are no range of numbers"),
            (self.unknown, "ranges have a region that is not known, their numbers have a country only"),
            (self.overlaps, "ranges lie over another region's and were left out"),
        ];
        let used = what.iter().zip(&self.first).filter(|((count, _), _)| *count > 0);
        for (i, ((count, what), first)) in used.enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{count} {what} (the first: {})", first.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFile {
    #[error(
        "has no range of numbers; wanted is the regulator's CSV: АВС/ DEF;От;До;Емкость;Оператор;Регион, one range a line"
    )]
    NoRange,
    #[error("has too many ranges; {} are read altogether", limits::REGION_RANGES)]
    TooMany,
}

/// Files being read into [`Regions`].
#[derive(Debug, Default)]
pub struct Reading {
    /// With the line each stood in.
    ranges: Vec<(Range, u32, u16)>,
    files: Vec<String>,
    /// Names repeat thousands of times.
    known: HashMap<String, Named, foldhash::fast::RandomState>,
    skipped: Skipped,
}

impl Reading {
    /// One file of the regulator: UTF-8, with or without byte order mark, or windows-1251. `name` is for messages.
    ///
    /// # Errors
    /// It has no range of numbers at all, or too many.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), BadFile> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => encoding_rs::WINDOWS_1251.decode_without_bom_handling(bytes).0,
        };
        let file = u16::try_from(self.files.len()).map_err(|_| BadFile::TooMany)?;
        self.files.push(name.to_owned());
        let mut is_numbering = false;
        for (line, number) in text.lines().zip(1_u32..) {
            if line.trim().is_empty() {
                continue;
            }
            let Some((from, to, region)) = range(line) else {
                // The first line names the columns.
                if number > 1 {
                    self.skipped.count(LINE, || format!("{name}:{number}"));
                }
                continue;
            };
            is_numbering = true;
            match self.named(&region) {
                Named::Subject(subject) => self.ranges.push((Range { from, to, subject }, number, file)),
                Named::Country => {}
                Named::Unknown => {
                    let shown: String = region.chars().take(limits::REGION_NAME).collect();
                    self.skipped.count(UNKNOWN, || format!("{name}:{number}: `{}`", shown.escape_debug()));
                }
            }
            if self.ranges.len() > limits::REGION_RANGES {
                return Err(BadFile::TooMany);
            }
        }
        if is_numbering { Ok(()) } else { Err(BadFile::NoRange) }
    }

    /// All of them together: sorted, neighbours joined. Of two that overlap the one that begins first stays.
    pub fn finish(self) -> Regions {
        let Reading { mut ranges, files, mut skipped, .. } = self;
        ranges.sort_unstable();
        let mut joined: Vec<Range> = Vec::new();
        for (range, line, file) in ranges {
            match joined.last_mut() {
                Some(last) if range.subject == last.subject && range.from <= last.to.saturating_add(1) => {
                    last.to = last.to.max(range.to);
                }
                Some(last) if range.from <= last.to => {
                    let name = files.get(usize::from(file)).map_or("", String::as_str);
                    skipped.count(OVERLAP, || format!("{name}:{line}"));
                }
                _ => joined.push(range),
            }
        }
        joined.shrink_to_fit();
        let codes =
            if joined.is_empty() { Vec::new() } else { SUBJECTS.iter().map(|(code, _)| (*code).into()).collect() };
        Regions { ranges: joined, codes, skipped }
    }

    fn named(&mut self, region: &str) -> Named {
        if let Some(named) = self.known.get(region) {
            return *named;
        }
        let answer = named(region);
        if self.known.len() < limits::REGION_NAMES {
            self.known.insert(region.to_owned(), answer);
        }
        answer
    }
}

/// First and last number, and the name of the region, of one line.
fn range(line: &str) -> Option<(u64, u64, String)> {
    let mut fields = Fields(Some(line));
    let code = fields.next().filter(|code| code.len() == 3)?;
    let (from, to) = (fields.next()?, fields.next()?);
    let number = |rest: &str| {
        let good = (1..=7).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_digit());
        let rest: u64 = rest.parse().ok().filter(|_| good)?;
        Some(decimal(&code)? * 10_000_000 + rest)
    };
    let (from, to) = (number(&from)?, number(&to)?);
    // Behind the size of the range and the operator.
    let region = fields.nth(2)?;
    (from <= to).then_some((from, to, region))
}

fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Fields between semicolons; quotes around a field may hold semicolons, and quotes as two.
struct Fields<'l>(Option<&'l str>);

impl Iterator for Fields<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let line = self.0.take()?;
        let (mut quoted, mut field) = (false, String::new());
        let mut chars = line.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                    chars.next();
                    field.push('"');
                }
                '"' => quoted = !quoted,
                ';' if !quoted => {
                    self.0 = line.get(at + 1..);
                    break;
                }
                _ => field.push(c),
            }
        }
        Some(field.trim().to_owned())
    }
}
