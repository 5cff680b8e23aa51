//! How likely a visit is to call, in points. Not a model that was learnt: a table that anybody can read and argue with, for
//! sites that want to spend few numbers before they have calls to learn from.

use serde::Serialize;

use super::Facts;
use crate::core::lease::Device;
use crate::core::source::is_paid;

/// Points, with what they are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Score {
    /// 0 to 100.
    pub points: u32,
    /// Reason and points.
    pub parts: Vec<(&'static str, u32)>,
}

/// Of this visit; `returning`: the visitor was here before.
pub fn score(facts: &Facts<'_>, returning: bool) -> Score {
    let medium = facts.source.medium.as_str();
    let origin = match medium {
        paid if is_paid(paid) => ("paid visit", 50),
        "organic" => ("from a search engine", 30),
        "email" => ("from a letter", 20),
        "referral" => ("from another site", 20),
        "none" => ("came directly", 15),
        "social" => ("from a social network", 5),
        _ => ("from a link of a campaign", 20),
    };
    // A phone in the hand is dialled with.
    let device = match facts.device {
        Device::Mobile => Some(("on a phone", 20)),
        Device::Tablet => Some(("on a tablet", 5)),
        Device::Desktop | Device::Unknown => None,
    };
    let searched = facts.session.utm.get("term").is_some_and(|term| !term.trim().is_empty());
    let parts: Vec<_> = std::iter::once(origin)
        .chain(device)
        .chain(searched.then_some(("searched for something", 10)))
        .chain(returning.then_some(("was here before", 20)))
        .collect();
    Score { points: parts.iter().map(|(_, points)| points).sum::<u32>().min(100), parts }
}
