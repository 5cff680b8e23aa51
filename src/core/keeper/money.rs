//! Amounts of money without binary fractions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount in ten-thousandths of a currency's unit: prices of numbers have up to four decimals. The currency stands
/// beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(pub u64);

const UNIT: u64 = 10_000;

/// A text that is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an amount; write it like \"1.20\"")]
pub struct BadMoney;

impl Money {
    /// So many times the amount; the largest there is when it does not fit.
    #[must_use]
    pub fn times(self, count: usize) -> Money {
        Money(self.0.saturating_mul(count as u64))
    }

    #[must_use]
    pub fn plus(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }

    /// How many of `price` the amount pays for; no bound when they cost nothing.
    pub fn pays_for(self, price: Money) -> usize {
        self.0.checked_div(price.0).map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX))
    }
}

impl FromStr for Money {
    type Err = BadMoney;

    /// Digits, and up to four decimals behind a point.
    fn from_str(text: &str) -> Result<Money, BadMoney> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > 4 {
            return Err(BadMoney);
        }
        let whole: u64 = whole.parse().map_err(|_| BadMoney)?;
        let decimals: u64 = format!("{decimals:0<4}").parse().map_err(|_| BadMoney)?;
        let all = whole.checked_mul(UNIT).and_then(|all| all.checked_add(decimals));
        all.map(Money).ok_or(BadMoney)
    }
}

impl fmt::Display for Money {
    /// At least two decimals, and no zeros behind them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:04}", self.0 % UNIT);
        let (shown, rest) = decimals.split_at(2);
        write!(f, "{}.{shown}{}", self.0 / UNIT, rest.trim_end_matches('0'))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written() {
        for (text, shown) in [("1.2", "1.20"), ("0", "0.00"), ("12", "12.00"), ("0.0085", "0.0085"), ("1.250", "1.25")]
        {
            assert_eq!(text.parse::<Money>().map(|money| money.to_string()).as_deref(), Ok(shown), "{text}");
        }
        for text in ["", ".5", "1.", "-1", "1,20", "1.23456", "99999999999999999999", "1e3", " 1"] {
            assert_eq!(text.parse::<Money>(), Err(BadMoney), "{text}");
        }
    }

    #[test]
    fn sums() {
        let price: Money = "1.20".parse().expect("an amount");
        assert_eq!(price.times(3).plus(Money(1)).to_string(), "3.6001");
        assert_eq!(Money(UNIT * 5).pays_for(price), 4);
        assert_eq!(Money(0).pays_for(Money(0)), usize::MAX);
        assert_eq!(Money(u64::MAX).times(2), Money(u64::MAX));
    }
}
