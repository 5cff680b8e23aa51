//! Numbering plans: written and dialled forms → E.164.
//!
//! Trunks write the same number in many ways: `+442079460007`, `442079460007`, `00442079460007`, `02079460007`,
//! `tel:+44-20-7946-0007`. What is dialled has one meaning in the trunk's country, but a trunk may also send
//! international digits without `+`, so [`candidates`] gives the readings in order of preference and the router takes
//! the first that is one of our numbers. Only a number of ours is ever served, so a wrong reading finds nobody.
//!
//! With `+` the digits are taken as they are, whether or not a numbering plan knows them. Everything that is not
//! ASCII digits with visual separators of RFC 3966 is refused: letters, full-width digits, pauses, `*`, `#`, `%`.

use std::borrow::Cow;

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};
use smallvec::SmallVec;

use crate::config::NumberFormat;
use crate::ids::E164;
use crate::limits;

/// Readings of one text, best first.
pub type Candidates = SmallVec<[E164; 4]>;

/// The best reading of a dialled number; see [`candidates`].
pub fn normalise(text: &str, country: Option<&str>, prefix: &str) -> Option<E164> {
    candidates(text, country, prefix).into_iter().next()
}

/// The readings of a dialled number: the user part of a SIP URI (escapes undone) or a `tel:` URI. `country` is the
/// ISO 3166 region of the trunk, whose plan national forms belong to; `prefix` the digits that the trunk puts before
/// the number.
pub fn candidates(text: &str, country: Option<&str>, prefix: &str) -> Candidates {
    let mut found = Candidates::new();
    let Some(dialled) = Dialled::read(text) else { return found };
    if let Some(rest) = dialled.digits.strip_prefix(prefix).filter(|_| !prefix.is_empty()) {
        let (is_global, rest) = match rest.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (dialled.is_global, rest),
        };
        read(&Dialled { is_global, digits: rest.to_owned(), context: dialled.context.clone() }, country, &mut found);
    }
    read(&dialled, country, &mut found);
    found
}

/// The number of a caller, from `P-Asserted-Identity`, `Remote-Party-ID` or `From`. Stricter than [`candidates`],
/// for nothing checks the result: digits without `+` must be possible in `country`, begin with `00`, or be valid as
/// an international number.
pub fn caller(text: &str, country: Option<&str>) -> Option<E164> {
    let dialled = Dialled::read(text)?;
    if dialled.is_global {
        return global(&dialled.digits);
    }
    if let Some(context) = &dialled.context {
        return in_context(&dialled.digits, context);
    }
    let national = country.and_then(|country| national(&dialled.digits, country));
    let international = || dialled.digits.strip_prefix("00").and_then(global);
    let bare = || global(&dialled.digits).filter(is_valid);
    national.or_else(international).or_else(bare)
}

/// The number for people, in the international form of its country (`+44 20 7946 0007`); as it is when no numbering
/// plan knows it.
pub fn display(number: &E164) -> String {
    match PHONE_NUMBER_UTIL.parse(number.as_str(), None) {
        Ok(parsed) if parsed.is_valid() => parsed.format_as(PhoneNumberFormat::International).into_owned(),
        _ => number.as_str().to_owned(),
    }
}

/// The region of a number in ISO 3166 (`GB`), as its numbering plan tells it; `None` when no plan knows the number.
pub fn region(number: &E164) -> Option<String> {
    let parsed = PHONE_NUMBER_UTIL.parse(number.as_str(), None).ok()?;
    parsed.get_region_code().map(|region| format!("{region:?}"))
}

/// A number as a trunk wants it written. What is no E.164 number stays as it is.
pub fn written<'n>(number: &'n str, format: NumberFormat, country: Option<&str>) -> Cow<'n, str> {
    let Some(digits) = number.strip_prefix('+').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())) else {
        return Cow::Borrowed(number);
    };
    match format {
        NumberFormat::E164 => Cow::Borrowed(number),
        NumberFormat::Plain => Cow::Borrowed(digits),
        NumberFormat::International => Cow::Owned(format!("00{digits}")),
        NumberFormat::National => {
            let national = country.and_then(|country| in_country(number, country));
            Cow::Owned(national.unwrap_or_else(|| format!("00{digits}")))
        }
    }
}

/// As it is dialled within its own country, with the trunk prefix; `None` when that is another country, or when what
/// the plan writes would be read as another number.
fn in_country(number: &str, country: &str) -> Option<String> {
    let parsed = PHONE_NUMBER_UTIL.parse(number, None).ok()?;
    let written: String = parsed.format_as(PhoneNumberFormat::National).chars().filter(char::is_ascii_digit).collect();
    (national(&written, country)?.as_str() == number).then_some(written)
}

/// A number text taken apart: separators gone, parameters understood.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dialled {
    /// Began with `+`.
    is_global: bool,
    digits: String,
    /// `phone-context=+44`: digits only.
    context: Option<String>,
}

impl Dialled {
    fn read(text: &str) -> Option<Dialled> {
        if text.len() > limits::NUMBER_TEXT {
            return None;
        }
        let text = text.trim();
        let text = match text.get(..4) {
            Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => &text[4..],
            _ => text,
        };
        let mut parts = text.split(';');
        let (is_global, digits) = digits(parts.next()?)?;
        let mut context = None;
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if name.eq_ignore_ascii_case("phone-context") {
                // A domain as context says nothing that we could read; the digits stand alone then.
                context = match digits_of_context(value) {
                    Some(digits) => Some(digits),
                    None if value.starts_with('+') => return None,
                    None => None,
                };
            } else if name.eq_ignore_ascii_case("postd") {
                // Digits to be dialled after the answer: not a number of ours, and nothing we would pass on.
                return None;
            }
        }
        Some(Dialled { is_global, digits, context })
    }
}

/// Digits without separators (RFC 3966 §3: `-`, `.`, `(`, `)`, and the space that people write).
fn digits(text: &str) -> Option<(bool, String)> {
    let (is_global, rest) = match text.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut digits = String::with_capacity(rest.len());
    for c in rest.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '-' | '.' | '(' | ')' | ' ' => {}
            // `+` again: only behind a trunk's prefix, which the caller of this looks at.
            '+' if !is_global && !digits.is_empty() && !digits.contains('+') => digits.push(c),
            _ => return None,
        }
    }
    (!digits.is_empty()).then_some((is_global, digits))
}

fn digits_of_context(value: &str) -> Option<String> {
    let (is_global, digits) = digits(value)?;
    (is_global && digits.len() <= 4).then_some(digits)
}

fn read(dialled: &Dialled, country: Option<&str>, found: &mut Candidates) {
    let digits = dialled.digits.as_str();
    if dialled.is_global {
        add(found, global(digits));
        return;
    }
    if let Some(context) = &dialled.context {
        add(found, in_context(digits, context));
        return;
    }
    add(found, country.and_then(|country| national(digits, country)));
    add(found, digits.strip_prefix("00").and_then(global));
    add(found, global(digits));
}

fn add(found: &mut Candidates, number: Option<E164>) {
    if let Some(number) = number
        && !found.contains(&number)
    {
        found.push(number);
    }
}

/// International digits, taken as they are.
fn global(digits: &str) -> Option<E164> {
    let mut text = String::with_capacity(digits.len() + 1);
    text.push('+');
    text.push_str(digits);
    E164::parse(&text)
}

/// As dialled in `country`: its trunk prefix and its international prefix are understood. `None` when the length is
/// impossible there, so that short codes (`112`) do not become numbers.
fn national(digits: &str, country: &str) -> Option<E164> {
    let region: Region = country.parse().ok()?;
    parse(digits, Some(region))
}

/// RFC 3966 §5.1.5: a local number in the context of a country code or a longer global prefix. A trunk prefix that
/// does not belong there is dropped when the plan knows it.
fn in_context(digits: &str, context: &str) -> Option<E164> {
    let code = context.parse().ok()?;
    let region = PHONE_NUMBER_UTIL.get_region_for_country_code(code);
    let planned = region.and_then(|region| parse(digits, Some(region)));
    planned.or_else(|| global(&format!("{context}{digits}")))
}

fn parse(digits: &str, region: Option<Region>) -> Option<E164> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let parsed = PHONE_NUMBER_UTIL.parse(digits, region).ok()?;
    let length = parsed.is_possible_with_reason().ok()?;
    if length == NumberLengthType::IsPossibleLocalOnly {
        return None;
    }
    E164::parse(&parsed.format_as(PhoneNumberFormat::E164))
}

/// Whether a number belongs to one of these ISO 3166 regions.
pub fn is_of(number: &E164, countries: &[String]) -> bool {
    if countries.is_empty() {
        return false;
    }
    let parsed = PHONE_NUMBER_UTIL.parse(number.as_str(), None).ok();
    let region = parsed.and_then(|parsed| parsed.get_region_code());
    region.is_some_and(|region| countries.iter().any(|country| country.parse() == Ok(region)))
}

fn is_valid(number: &E164) -> bool {
    PHONE_NUMBER_UTIL.parse(number.as_str(), None).is_ok_and(|parsed| parsed.is_valid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, country: Option<&str>, prefix: &str) -> Vec<String> {
        candidates(text, country, prefix).iter().map(E164::to_string).collect()
    }

    #[test]
    fn dialled_forms() {
        let table: &[(&str, Option<&str>, &str, &[&str])] = &[
            // E.164, whether or not a plan knows it.
            ("+442079460007", None, "", &["+442079460007"]),
            ("+9990000012", Some("GB"), "", &["+9990000012"]),
            ("+44 (20) 7946-0007", None, "", &["+442079460007"]),
            // National, international prefix, bare international.
            ("02079460007", Some("GB"), "", &["+442079460007"]),
            ("00442079460007", Some("GB"), "", &["+442079460007"]),
            ("00442079460007", None, "", &["+442079460007"]),
            ("442079460007", None, "", &["+442079460007"]),
            ("442079460007", Some("GB"), "", &["+442079460007"]),
            ("9990000012", None, "", &["+9990000012"]),
            ("84951234567", Some("RU"), "", &["+74951234567", "+84951234567"]),
            ("011442079460007", Some("US"), "", &["+442079460007"]),
            ("2025550123", Some("US"), "", &["+12025550123", "+2025550123"]),
            // A trunk's prefix, dropped when it is there; the whole is a later reading.
            ("77442079460007", None, "77", &["+442079460007", "+77442079460007"]),
            ("77+442079460007", None, "77", &["+442079460007"]),
            ("+442079460007", None, "77", &["+442079460007"]),
            // tel: and parameters.
            ("tel:+44-20-7946-0007", None, "", &["+442079460007"]),
            ("TEL:+442079460007;npdi;rn=+441", None, "", &["+442079460007"]),
            ("+442079460007;npdi", None, "", &["+442079460007"]),
            ("2079460007;phone-context=+44", None, "", &["+442079460007"]),
            ("02079460007;phone-context=+44", Some("US"), "", &["+442079460007"]),
            ("02079460007;phone-context=example.com", Some("GB"), "", &["+442079460007"]),
            // Not numbers.
            ("", Some("GB"), "", &[]),
            ("+", Some("GB"), "", &[]),
            ("anonymous", Some("GB"), "", &[]),
            ("+44２０79460007", Some("GB"), "", &[]),
            ("+44%2079460007", Some("GB"), "", &[]),
            ("+442079460007,,1", Some("GB"), "", &[]),
            ("+442079460007;postd=1", Some("GB"), "", &[]),
            ("*21*442079460007#", Some("GB"), "", &[]),
            ("+4420++79460007", Some("GB"), "", &[]),
            ("2079460007;phone-context=+44x", Some("GB"), "", &[]),
            ("+0442079460007", None, "", &[]),
        ];
        for (text, country, prefix, expected) in table {
            let expected: Vec<String> = expected.iter().map(|number| (*number).to_owned()).collect();
            assert_eq!(read(text, *country, prefix), expected, "{text} in {country:?} behind {prefix:?}");
        }
    }

    #[test]
    fn numbers_are_written_as_the_trunk_wants_them() {
        use NumberFormat::{E164 as Global, International, National, Plain};
        let gb = Some("GB");
        for (number, format, country, expected) in [
            ("+442079460007", Global, gb, "+442079460007"),
            ("+442079460007", Plain, gb, "442079460007"),
            ("+442079460007", International, gb, "00442079460007"),
            ("+442079460007", National, gb, "02079460007"),
            ("+12025550123", National, gb, "0012025550123"),
            ("+12025550123", National, Some("US"), "2025550123"),
            ("+74951234567", National, Some("RU"), "84951234567"),
            ("+442079460007", National, None, "00442079460007"),
            ("+9990000012", National, gb, "009990000012"),
            ("alice", National, gb, "alice"),
            ("+44x", Plain, gb, "+44x"),
            ("112", International, gb, "112"),
        ] {
            assert_eq!(written(number, format, country), expected, "{number} {format:?} {country:?}");
        }
    }

    proptest! {
        /// What is written nationally is read back as the same number.
        #[test]
        fn national_forms_read_back(digits in "[1-9][0-9]{3,14}", country in prop::sample::select(vec!["GB", "RU", "US", "DE"])) {
            let number = format!("+{digits}");
            let national = written(&number, NumberFormat::National, Some(country));
            let back = candidates(&national, Some(country), "");
            prop_assert!(back.iter().any(|read| read.as_str() == number) || national.starts_with("00"), "{national}");
        }
    }

    #[test]
    fn two_hundred_digits_are_no_number() {
        for text in ["1".repeat(200), format!("+{}", "1".repeat(16)), format!("00{}", "9".repeat(80))] {
            assert_eq!(read(&text, Some("GB"), ""), Vec::<String>::new());
            assert_eq!(caller(&text, Some("GB")), None);
        }
    }

    #[test]
    fn callers() {
        let table: &[(&str, Option<&str>, Option<&str>)] = &[
            ("+79161234567", None, Some("+79161234567")),
            ("+9990000012", None, Some("+9990000012")),
            ("02079460007", Some("GB"), Some("+442079460007")),
            ("89161234567", Some("RU"), Some("+79161234567")),
            ("0079161234567", None, Some("+79161234567")),
            ("79161234567", None, Some("+79161234567")),
            // Too short to be anybody's, and not to be made somebody's.
            ("911", Some("US"), None),
            ("112", None, None),
            ("1234567", Some("US"), None),
            ("anonymous", Some("GB"), None),
            ("", None, None),
            ("+", None, None),
            ("Restricted", None, None),
        ];
        for (text, country, expected) in table {
            let expected = expected.map(str::to_owned);
            assert_eq!(caller(text, *country).map(|number| number.to_string()), expected, "{text} in {country:?}");
        }
    }

    #[test]
    fn shown_to_people() {
        let show = |text| display(&E164::parse(text).unwrap());
        assert_eq!(show("+442079460007"), "+44 20 7946 0007");
        assert_eq!(show("+9990000012"), "+9990000012");
    }

    proptest! {
        /// No text panics, and a canonical number is always its own first reading.
        #[test]
        fn any_text(text in "\\PC{0,40}", country in prop::option::of("[A-Z]{2}"), prefix in "[0-9]{0,3}") {
            let _ = candidates(&text, country.as_deref(), &prefix);
            let _ = caller(&text, country.as_deref());
        }

        #[test]
        fn digit_texts(text in "(tel:)?[+]?[0-9 ().-]{0,24}(;phone-context=[+]?[0-9]{0,5})?",
                       country in prop::sample::select(vec!["GB", "RU", "US", "DE", "IT", "AR", "BR", "XX"])) {
            for number in candidates(&text, Some(country), "") {
                prop_assert!(E164::parse(number.as_str()).is_some());
            }
        }

        #[test]
        fn canonical_is_itself(digits in "[1-9][0-9]{5,14}") {
            let number = format!("+{digits}");
            prop_assert_eq!(read(&number, Some("GB"), ""), vec![number.clone()]);
            prop_assert!(read(&digits, Some("GB"), "").contains(&number));
        }
    }
}
