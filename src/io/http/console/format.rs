//! Figures, times and durations as a person of one language writes them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::text::Lang;
use crate::time::Wall;

/// A narrow space that does not break.
const THIN: char = '\u{202f}';

impl Lang {
    /// A whole figure with its thousands apart: `12,345` and `12 345`.
    pub(super) fn figure(self, figure: u64) -> String {
        let digits = figure.to_string();
        let mut out = String::with_capacity(digits.len() + digits.len() / 3);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                out.push(if self == Lang::En { ',' } else { THIN });
            }
            out.push(digit);
        }
        out
    }

    /// With so many places after the point.
    pub(super) fn decimal(self, figure: f64, places: usize) -> String {
        if !figure.is_finite() {
            return "–".to_owned();
        }
        let text = format!("{:.places$}", figure.abs());
        let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
        let mut out = String::new();
        if figure < 0.0 && text.bytes().any(|b| matches!(b, b'1'..=b'9')) {
            out.push('−');
        }
        out.push_str(&self.figure(whole.parse().unwrap_or(u64::MAX)));
        if !rest.is_empty() {
            out.push(if self == Lang::En { '.' } else { ',' });
            out.push_str(rest);
        }
        out
    }

    /// A share between 0 and 1: `98 %`, `0.4 %`.
    pub(super) fn share(self, share: f64) -> String {
        let percent = share * 100.0;
        let places = usize::from(percent.abs() > 0.0 && percent.abs() < 1.0);
        format!("{}{THIN}%", self.decimal(percent, places))
    }

    /// A share of something, or a dash when there is nothing to have a share of.
    pub(super) fn share_of(self, part: u64, whole: u64) -> String {
        if whole == 0 { "–".to_owned() } else { self.share(part as f64 / whole as f64) }
    }

    /// `4.2 s`, `48 s`, `3:05`, `1:02:03`.
    pub(super) fn duration(self, ms: u64) -> String {
        let seconds = if self == Lang::En { "s" } else { "с" };
        if ms < 10_000 {
            return format!("{}{THIN}{seconds}", self.decimal(ms as f64 / 1_000.0, 1));
        }
        let s = (ms + 500) / 1_000;
        match (s / 3_600, s / 60 % 60, s % 60) {
            (0, 0, s) => format!("{s}{THIN}{seconds}"),
            (0, m, s) => format!("{m}:{s:02}"),
            (h, m, s) => format!("{h}:{m:02}:{s:02}"),
        }
    }

    /// How long ago or how long still, roughly: `3 min`, `2 h`, `5 d`.
    pub(super) fn span(self, span: Duration) -> String {
        let s = span.as_secs();
        let units = if self == Lang::En { ["s", "min", "h", "d"] } else { ["с", "мин", "ч", "д"] };
        let [second, minute, hour, day] = units;
        let (figure, unit) = match s {
            0..60 => (s, second),
            60..3_600 => (s / 60, minute),
            3_600..86_400 => (s / 3_600, hour),
            _ => (s / 86_400, day),
        };
        format!("{}{THIN}{unit}", self.figure(figure))
    }

    const fn months(self) -> [&'static str; 12] {
        match self {
            Lang::En => ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
            Lang::Ru => ["янв", "фев", "мар", "апр", "мая", "июн", "июл", "авг", "сен", "окт", "ноя", "дек"],
        }
    }

    /// Monday first.
    pub(super) const fn weekdays(self) -> [&'static str; 7] {
        match self {
            Lang::En => ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
            Lang::Ru => ["пн", "вт", "ср", "чт", "пт", "сб", "вс"],
        }
    }

    /// `22 Nov`; of another year than `now` with the year.
    pub(super) fn day(self, date: jiff::civil::Date, now: jiff::civil::Date) -> String {
        let month = usize::try_from(date.month() - 1).ok().and_then(|at| self.months().get(at).copied());
        let short = format!("{} {}", date.day(), month.unwrap_or_default());
        if date.year() == now.year() { short } else { format!("{short} {}", date.year()) }
    }

    /// `22 Nov, 14:05:09`.
    pub(super) fn moment(self, at: Wall, now: Wall, zone: &TimeZone) -> String {
        let day = self.day(local(at, zone).date(), local(now, zone).date());
        format!("{day}, {}", clock(at, zone))
    }
}

/// `14:05:09`.
pub(super) fn clock(at: Wall, zone: &TimeZone) -> String {
    let at = local(at, zone);
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

/// On the clock of the wall there.
pub(super) fn local(at: Wall, zone: &TimeZone) -> jiff::civil::DateTime {
    let at = Timestamp::from_microsecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
    zone.to_datetime(at)
}

/// The middle digits of a phone number behind dots: `+7916•••••67`. Of short and strange ones everything is behind them.
pub(super) fn masked(number: &str) -> String {
    let all: Vec<char> = number.chars().collect();
    let is_number = number.bytes().filter(u8::is_ascii_digit).count() >= 8;
    let shown = |i: usize| is_number && (i < 5 || i + 2 >= all.len());
    all.iter().enumerate().map(|(i, c)| if shown(i) { *c } else { '•' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_durations() {
        assert_eq!([0, 999, 1_000, 12_345_678].map(|n| Lang::En.figure(n)), ["0", "999", "1,000", "12,345,678"]);
        assert_eq!(Lang::Ru.figure(12_345), "12\u{202f}345");
        assert_eq!((Lang::En.decimal(-0.04, 1), Lang::En.decimal(-1234.56, 1)), ("0.0".into(), "−1,234.6".into()));
        assert_eq!(Lang::Ru.decimal(2.5, 1), "2,5");
        assert_eq!(Lang::En.decimal(f64::NAN, 1), "–");
        assert_eq!(
            [0.0, 0.004, 0.98, 1.0].map(|s| Lang::En.share(s).replace('\u{202f}', " ")),
            ["0 %", "0.4 %", "98 %", "100 %"]
        );
        assert_eq!(Lang::En.share_of(1, 0), "–");
        let durations = [0, 4_240, 48_000, 185_000, 3_723_000].map(|ms| Lang::En.duration(ms).replace('\u{202f}', " "));
        assert_eq!(durations, ["0.0 s", "4.2 s", "48 s", "3:05", "1:02:03"]);
    }

    #[test]
    fn days_and_moments() {
        let at = |text: &str| Wall::parse_rfc3339(text).unwrap();
        let now = at("2026-11-22T20:00:00Z");
        let zone = TimeZone::get("Europe/Moscow").unwrap();
        assert_eq!(Lang::En.moment(at("2026-11-21T22:05:09Z"), now, &zone), "22 Nov, 01:05:09");
        assert_eq!(Lang::Ru.moment(at("2025-05-01T10:00:00Z"), now, &zone), "1 мая 2025, 13:00:00");
    }

    #[test]
    fn masks() {
        assert_eq!(masked("+442079460123"), "+4420••••••23");
        assert_eq!(masked("anonymous"), "•••••••••");
        assert_eq!(masked("12345"), "•••••");
        assert_eq!(masked(""), "");
    }
}
