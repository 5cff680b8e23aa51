//! `[company.tracking]`: what a company may use and what it pays for it.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Mul};

/// What a company may use, and its prices.
#[derive(Clone, Debug)]
pub struct Tracking {
    /// Everything that it may use; default: all there is.
    pub features: Vec<Feature>,
    /// Numbers of all its pools; 0: no limit.
    pub numbers_max: usize,
    /// In front of amounts, `EUR`; default none.
    pub currency: Option<String>,
    pub plan: Plan,
    /// For one lease, with `plan = "display"`.
    pub display_price: Money,
    /// For one number a month: of every pool, or beyond `numbers_included`.
    pub number_price: Money,
    /// A month's fee, with `plan = "flat"`.
    pub fee: Money,
    /// Numbers that the fee includes.
    pub numbers_included: usize,
    pub overage: Overage,
    /// Displays may cost so much a day (UTC), a month; beyond it visitors see static numbers. None: no limit.
    pub day_cap: Option<Money>,
    pub month_cap: Option<Money>,
}

impl Default for Tracking {
    fn default() -> Tracking {
        Tracking {
            features: Feature::ALL.iter().map(|(_, feature)| *feature).collect(),
            numbers_max: 0,
            currency: None,
            plan: Plan::Display,
            display_price: Money(0),
            number_price: Money(0),
            fee: Money(0),
            numbers_included: 0,
            overage: Overage::Charge,
            day_cap: None,
            month_cap: None,
        }
    }
}

impl Tracking {
    pub fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// What one lease costs.
    pub fn price_of_display(&self) -> Money {
        if self.plan == Plan::Display { self.display_price } else { Money(0) }
    }

    /// Nothing of it was configured.
    pub fn is_default(&self) -> bool {
        format!("{self:?}") == format!("{:?}", Tracking::default())
    }
}

/// What can be withheld from a company.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Numbers for single visitors.
    Dynamic,
    /// Numbers for campaigns: `binding = "params"`.
    Params,
    /// Conditions and presets of pools.
    Conditions,
    /// Spending numbers on some visits only.
    Selective,
}

impl Feature {
    pub const ALL: [(&'static str, Feature); 4] = [
        ("dynamic", Feature::Dynamic),
        ("params", Feature::Params),
        ("conditions", Feature::Conditions),
        ("selective", Feature::Selective),
    ];

    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        Feature::ALL.iter().find(|(_, feature)| *feature == self).map_or("", |(name, _)| name)
    }
}

/// What is paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plan {
    /// Every lease.
    #[default]
    Display,
    /// A month, with numbers included.
    Flat,
}

impl Plan {
    pub const ALL: [(&'static str, Plan); 2] = [("display", Plan::Display), ("flat", Plan::Flat)];

    /// As the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Plan::Display => "display",
            Plan::Flat => "flat",
        }
    }
}

/// What comes of numbers beyond those that the fee includes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overage {
    /// `number_price` each.
    #[default]
    Charge,
    /// The configuration is refused.
    Refuse,
}

impl Overage {
    pub const ALL: [(&'static str, Overage); 2] = [("charge", Overage::Charge), ("refuse", Overage::Refuse)];

    /// As the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Overage::Charge => "charge",
            Overage::Refuse => "refuse",
        }
    }
}

/// An amount in millionths of the currency's unit: sums of tiny prices stay exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(pub u64);

impl Money {
    const UNIT: u64 = 1_000_000;

    /// `12`, `0.02`, `3690.50`; at most six decimals and twelve digits before them.
    pub fn parse(text: &str) -> Option<Money> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || !is_digits(decimals) || whole.len() > 12 || decimals.len() > 6 {
            return None;
        }
        let millionths: u64 = format!("{decimals:0<6}").parse().ok()?;
        Some(Money(whole.parse::<u64>().ok()? * Money::UNIT + millionths))
    }
}

impl fmt::Display for Money {
    /// With two decimals at least, and as many as it takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.0 % Money::UNIT);
        let short = decimals.trim_end_matches('0');
        write!(f, "{}.{short:0<2}", self.0 / Money::UNIT)
    }
}

impl serde::Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

impl Mul<u64> for Money {
    type Output = Money;
    fn mul(self, times: u64) -> Money {
        Money(self.0.saturating_mul(times))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        amounts.fold(Money(0), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written() {
        for (text, written) in
            [("0.02", "0.02"), ("12", "12.00"), ("3690.5", "3690.50"), ("0.000001", "0.000001"), ("0", "0.00")]
        {
            assert_eq!(Money::parse(text).map(|money| money.to_string()).as_deref(), Some(written));
        }
        for text in ["", ".5", "5.", "-1", "1,5", "1e3", "0.0000001", "1234567890123", "1.2.3"] {
            assert_eq!(Money::parse(text), None, "{text}");
        }
        assert_eq!((Money::parse("0.02").unwrap() * 1_500).to_string(), "30.00");
        assert_eq!((Money(u64::MAX) + Money(1)) * 2, Money(u64::MAX));
    }
}
