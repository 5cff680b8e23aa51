//! Toll fraud. Destinations come from the configuration only, so a thief needs a number in it or a caller's text that
//! reaches it: here stand the numbers that are never dialled, and the alarm.

use std::collections::HashMap;

use crate::config::Fraud;
use crate::core::number;
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

/// The number that a destination's URI dials; `None` for a name, an extension, or a number that is not written in its
/// international form.
fn number_of(uri: &str) -> Option<E164> {
    let uri = Uri::parse(uri).ok()?;
    let text = uri.subscriber()?;
    E164::parse(&text).or_else(|| E164::parse(&format!("+{}", text.strip_prefix("00")?)))
}

/// Judges one destination by `[fraud]`.
pub fn cost(rules: &Fraud, uri: &str) -> Cost {
    let Some(number) = number_of(uri) else { return Cost::Usual };
    let longest = |prefixes: &[String]| {
        let fitting = prefixes.iter().filter(|prefix| number.as_str().starts_with(prefix.as_str()));
        fitting.map(String::len).max().unwrap_or(0)
    };
    let (denied, allowed) = (longest(&rules.deny), longest(&rules.allow));
    if denied > allowed || allowed == 0 && number::is_of(&number, &rules.deny_countries) {
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
    use std::time::Duration;

    use super::*;

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
