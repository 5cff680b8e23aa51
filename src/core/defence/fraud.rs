//! Toll fraud. Destinations come from the configuration only, so a thief needs a number in it or a caller's text that
//! reaches it: here stand the numbers that are never dialled, and the alarm.

use std::collections::HashMap;

use crate::config::Fraud;
use crate::core::admission::Reject;
use crate::core::directory::Directory;
use crate::core::event::FraudData;
use crate::core::number;
use crate::core::route::Target;
use crate::ids::E164;
use crate::limits;
use crate::time::Mono;
use crate::wire::sip::Uri;

/// What may be done with a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    Usual,
    /// Begins with one of the costly prefixes.
    Costly,
    Denied,
}

/// The number that a destination's URI dials, in its one form; `None` for a name, an extension, or a number that is not
/// written in its international form. Whatever a switch would pass over when it dials is passed over here: visual
/// separators, digits of another width, and all that comes behind a pause.
fn number_of(uri: &str) -> Option<E164> {
    let uri = Uri::parse(uri).ok()?;
    let text = uri.subscriber()?;
    let mut dialled = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match narrow(c) {
            c @ ('0'..='9') => dialled.push(c),
            '+' if dialled.is_empty() => dialled.push('+'),
            ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}' => {}
            ',' | ';' | 'p' | 'P' | 'w' | 'W' | '#' | '*' => break,
            _ => return None,
        }
    }
    let digits = dialled.strip_prefix('+').or_else(|| dialled.strip_prefix("00"))?;
    // More digits than any number has are dialled as far as a number goes.
    E164::parse(&format!("+{}", digits.get(..digits.len().min(15))?))
}

/// The ASCII digit or sign that a full-width character stands for.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    }
}

/// Whether a call may be sent to this target, whoever named it: the configuration, a decision or a redirection. Never to
/// a number of `[fraud]` that is denied; and never to a number of ours, from where it would come back, unless the
/// company's own phones take tracking numbers (`{number}`). Notes what the target costs.
pub fn may_be_called(rules: &Fraud, directory: &Directory, target: &mut Target) -> bool {
    let Some(number) = number_of(&target.uri) else { return true };
    let cost = cost_of(rules, &number);
    target.is_costly = cost == Cost::Costly;
    let comes_back = || !target.destination.uri.contains("{number}") && directory.owner_of(&number).is_some();
    cost != Cost::Denied && !comes_back()
}

/// Judges one destination by `[fraud]`.
pub fn cost(rules: &Fraud, uri: &str) -> Cost {
    number_of(uri).map_or(Cost::Usual, |number| cost_of(rules, &number))
}

fn cost_of(rules: &Fraud, number: &E164) -> Cost {
    let longest = |prefixes: &[String]| {
        let fitting = prefixes.iter().filter(|prefix| number.as_str().starts_with(prefix.as_str()));
        fitting.map(String::len).max().unwrap_or(0)
    };
    let (denied, allowed) = (longest(&rules.deny), longest(&rules.allow));
    if denied > allowed || allowed == 0 && number::is_of(number, &rules.deny_countries) {
        return Cost::Denied;
    }
    if longest(&rules.costly) > 0 { Cost::Costly } else { Cost::Usual }
}

/// Alarms go out once a window, by company and kind.
#[derive(Debug, Default)]
pub struct Alarms {
    told: HashMap<(String, &'static str), Alarm>,
}

#[derive(Clone, Copy, Debug)]
struct Alarm {
    since: Mono,
    refused: u64,
}

impl Alarms {
    /// A refusal that looks like somebody's theft. Gives the alarm, when one is due.
    pub fn suspect(
        &mut self,
        now: Mono,
        company: &str,
        trunk: &str,
        number: &E164,
        reject: Reject,
    ) -> Option<FraudData> {
        if !reject.is_fraud() {
            return None;
        }
        let refused = self.due(now, company, reject.code)?;
        Some(FraudData {
            kind: reject.code.to_owned(),
            company: Some(company.to_owned()),
            trunk: trunk.to_owned(),
            number: number.as_str().to_owned(),
            refused,
        })
    }

    /// One more refusal of this kind. Gives how many there were since the last alarm, when another is due.
    pub fn due(&mut self, now: Mono, who: &str, kind: &'static str) -> Option<u64> {
        let key = (who.to_owned(), kind);
        if let Some(alarm) = self.told.get_mut(&key) {
            alarm.refused += 1;
            if now.since(alarm.since) < limits::FRAUD_WINDOW {
                return None;
            }
            alarm.since = now;
            return Some(std::mem::take(&mut alarm.refused));
        }
        if self.told.len() >= limits::FRAUD_TOLD {
            self.told.retain(|_, alarm| now.since(alarm.since) < limits::FRAUD_WINDOW);
            if self.told.len() >= limits::FRAUD_TOLD {
                return None;
            }
        }
        self.told.insert(key, Alarm { since: now, refused: 0 });
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::config::{Config, Destination};
    use crate::core::locate::Names;
    use crate::core::route::targets;

    #[test]
    fn the_longer_prefix_wins() {
        let rules = Fraud {
            deny: vec!["+881".into(), "+44709".into()],
            deny_countries: vec!["LV".into()],
            allow: vec!["+8816".into(), "+37120".into()],
            costly: vec!["+4487".into(), "+8816".into()],
        };
        for (uri, expected) in [
            ("sip:+442079460500@198.51.100.1", Cost::Usual),
            ("sip:sales@198.51.100.1", Cost::Usual),
            ("sip:881@198.51.100.1", Cost::Usual),
            ("sip:+88112345678@198.51.100.1", Cost::Denied),
            ("sip:0088112345678@198.51.100.1", Cost::Denied),
            ("sip:%2B88112345678@198.51.100.1", Cost::Denied),
            ("sip:+88112345678;phone-context=x@198.51.100.1", Cost::Denied),
            ("sip:+88161234567@198.51.100.1", Cost::Costly),
            ("sip:+447091234567@198.51.100.1", Cost::Denied),
            ("sip:+448712345678@198.51.100.1", Cost::Costly),
            ("sip:+37167123456@198.51.100.1", Cost::Denied),
            ("sip:+37120123456@198.51.100.1", Cost::Usual),
        ] {
            assert_eq!(cost(&rules, uri), expected, "{uri}");
        }
        for prefix in ["+870", "+878", "+881", "+882", "+883", "+979"] {
            assert_eq!(cost(&Fraud::default(), &format!("sip:{prefix}12345678@x")), Cost::Denied, "{prefix}");
        }
    }

    /// A company's destination as a target of a call from `+447700900123` to `+442079460500`.
    fn target(uri: &str) -> (Directory, Option<Target>) {
        let text = "[[company]]\nname = \"acme\"\nforward_to = [\"sip:1@192.0.2.1\"]\n[[pool]]\nname = \"p\"\n\
            company = \"acme\"\nkind = \"static\"\nnumbers = [\"+442079460500\", \"+442079460501\"]\nchannel = { a = \"b\" }\n";
        let config = Config::parse(text, "", std::path::Path::new("")).expect("good");
        let number = E164::parse("+442079460500").expect("a number");
        let list = [Arc::new(Destination::plain(uri))];
        let found = targets(&list, &number, Some("+442079460501"), &Names::default()).pop();
        (Directory::new(&config), found)
    }

    fn may(rules: &Fraud, uri: &str) -> bool {
        let (directory, target) = target(uri);
        target.is_some_and(|mut target| may_be_called(rules, &directory, &mut target))
    }

    /// D13: a call is not sent to a number of ours, from where it would come back; at load the configuration's checks
    /// refuse what stands there already.
    #[test]
    fn a_number_of_ours_is_no_destination() {
        for (uri, expected) in [
            ("sip:desk@192.0.2.1", true),
            ("sip:+442079460999@192.0.2.1", true),
            ("sip:+442079460500@192.0.2.1", false),
            ("sip:00442079460501@192.0.2.1", false),
            ("sip:%2B44-20-7946-0501@192.0.2.1", false),
            // A caller that pretends to be one of our numbers.
            ("sip:{caller}@192.0.2.1", false),
            // Phones that take tracking numbers are asked for by this word.
            ("sip:{number}@192.0.2.1", true),
        ] {
            assert_eq!(may(&Fraud::default(), uri), expected, "{uri}");
        }
    }

    proptest! {
        /// D09: however a denied number is written into a destination, it is not called: separators, escapes, wide
        /// digits, an exit code, what is to be dialled behind a pause, too many digits.
        #[test]
        fn no_dress_hides_a_denied_number(
            prefix in prop::sample::select(vec!["870", "878", "881", "882", "883", "979"]),
            rest in "[0-9]{4,30}",
            exit in prop::sample::select(vec!["+", "00", "%2B", "%2b", "\u{ff0b}", "%EF%BC%8B", "%30%30"]),
            dress in prop::collection::vec(0_u8..7, 1..8),
            tail in prop::sample::select(vec!["", ",,22", ";postd=22", ";phone-context=+44", "p1", "w1", "%2C1", "*1", "%23"]),
            params in prop::sample::select(vec!["", ";transport=tcp", ";user=phone"]),
        ) {
            let mut user = exit.to_owned();
            for (digit, how) in format!("{prefix}{rest}").chars().zip(dress.iter().cycle()) {
                let ascii = u32::from(digit);
                match how {
                    0 => user += &format!("%{ascii:02x}"),
                    1 => user.extend(char::from_u32(ascii + 0xfee0)),
                    2 => user.extend(['-', digit]),
                    3 => user.extend([digit, '.']),
                    4 => user += &format!("({digit})"),
                    5 => user += &format!("%20{digit}"),
                    _ => user.push(digit),
                }
            }
            let uri = format!("sip:{user}{tail}@192.0.2.1{params}");
            prop_assert!(!may(&Fraud::default(), &uri), "{uri}");
        }

        /// An honest number is called, and any text is judged without a fault.
        #[test]
        fn honest_numbers_are_called(rest in "[1-9][0-9]{8}", any in "\\PC{0,40}") {
            let uri = format!("sip:+4416{rest}@192.0.2.1");
            prop_assert!(may(&Fraud::default(), &uri));
            let _ = cost(&Fraud::default(), &format!("sip:{any}@192.0.2.1"));
        }
    }

    #[test]
    fn an_alarm_is_raised_once_a_window() {
        let mut alarms = Alarms::default();
        let at = |seconds: u64| Mono(1) + Duration::from_secs(seconds);
        let window = limits::FRAUD_WINDOW.as_secs();
        assert_eq!(alarms.due(at(0), "acme", "minutes_spent"), Some(1));
        assert_eq!(alarms.due(at(1), "acme", "minutes_spent"), None);
        assert_eq!(alarms.due(at(1), "acme", "destination_denied"), Some(1), "another kind");
        assert_eq!(alarms.due(at(1), "other", "minutes_spent"), Some(1), "another company");
        assert_eq!(alarms.due(at(window), "acme", "minutes_spent"), Some(2));
        assert_eq!(alarms.due(at(window + 1), "acme", "minutes_spent"), None);
    }
}
