//! Identifiers as types, so that one cannot stand where another belongs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! id128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            /// Exactly 32 lower-case hexadecimal digits; anything else is not an id of ours.
            fn from_str(text: &str) -> Result<Self, BadId> {
                if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    return Err(BadId);
                }
                u128::from_str_radix(text, 16).map($name).map_err(|_| BadId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A text that is not an identifier of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: 32 lower-case hexadecimal digits are wanted")]
pub struct BadId;

id128!(
    /// One tracked call. The upper 48 bits are the start in milliseconds (as in UUIDv7), so ids sort by time; the rest
    /// is drawn from the seed. Names files and events; never shown to a SIP peer.
    CallId
);
id128!(
    /// One lease of a number to a visitor. 128 random bits: it is also the right to renew and release.
    LeaseId
);
id128!(
    /// One event in the journal.
    EventId
);

/// Which party a leg leads to. Never "inbound/outbound": RTP and SIP both have both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Whoever dialled the tracking number, through the trunk. Left channel.
    Caller,
    /// The company's destination. Right channel.
    Company,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::Caller, Side::Company];

    /// Its name in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Side::Caller => "caller",
            Side::Company => "company",
        }
    }

    pub const fn other(self) -> Side {
        match self {
            Side::Caller => Side::Company,
            Side::Company => Side::Caller,
        }
    }

    /// 0 for the caller, 1 for the company: channel number and array index.
    pub const fn index(self) -> usize {
        match self {
            Side::Caller => 0,
            Side::Company => 1,
        }
    }
}

/// A telephone number in E.164 shape: `+` and 1 to 15 digits, the first not 0 (ITU-T E.164 §6). It need not be one
/// that a numbering plan knows. Cheap to clone. `Debug` masks all but the last two digits; `Display` shows it whole.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct E164(Arc<str>);

impl E164 {
    /// Reads the canonical form only. Other written forms go through [`crate::core::number`].
    pub fn parse(text: &str) -> Option<E164> {
        let digits = text.strip_prefix('+')?;
        let good =
            (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        good.then(|| E164(text.into()))
    }

    /// With the `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the `+`.
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// For logs: `+44*******07`.
    pub fn masked(&self) -> String {
        mask(&self.0)
    }
}

/// Masks a telephone number or SIP user for logs: the first three and the last two characters stay when it is long
/// enough, everything else becomes `*`.
pub fn mask(text: &str) -> String {
    let n = text.chars().count();
    text.chars().enumerate().map(|(i, c)| if n > 6 && (i < 3 || i + 2 >= n) { c } else { '*' }).collect()
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for E164 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for E164 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<E164, D::Error> {
        let text = String::deserialize(deserializer)?;
        E164::parse(&text).ok_or_else(|| serde::de::Error::custom("not an E.164 number: `+` and up to 15 digits"))
    }
}
