//! Redirections: a destination answers 300, 301 or 302 and names others (RFC 3261 §8.1.3.4).
//!
//! They are followed only where the configuration says so, and only to hosts that the company's calls go to anyway: its
//! destinations, the trunks that these go out through, and whoever sent the redirection. The contacts are tried by their
//! `q`, before the destinations that come after; of several that ring together the best contact takes the place of the
//! one that sent the call on, at once. A place that the call has been to, or is about to go to, is not tried again, so
//! that two phones which send calls to each other make no loop; and all is counted.

use std::sync::Arc;

use super::super::{Call, Ctx, State, places};
use crate::config::Destination;
use crate::core::defence::fraud;
use crate::core::locate::Query;
use crate::core::route::Target;
use crate::limits;
use crate::wire::sip::{Message, NameAddr, Uri};

impl Call {
    /// A final 3xx of a destination. `true`: it is followed, and the hunt goes on with its contacts.
    pub(super) fn follow(&mut self, target: usize, response: &Message, ctx: &mut Ctx<'_>) -> bool {
        let contacts = self.contacts(target, response, ctx);
        let State::Hunting(hunt) = &mut self.state else { return false };
        let attempt = hunt.attempts.iter().position(|attempt| attempt.target == target);
        let (Some(attempt), false) = (attempt, contacts.is_empty()) else { return false };
        let attempt = hunt.attempts.remove(attempt);
        self.company = hunt.only_leg();
        let plan = &mut self.facts.plan;
        let first = hunt.next;
        plan.targets.splice(first..first, contacts);
        // Of those that ring together one more has had its turn.
        let joins = plan.parallel > 1 && target < plan.parallel;
        if joins {
            plan.parallel += 1;
            hunt.next += 1;
        }
        self.give_back(places::key(target), false, ctx);
        self.note_tried(&attempt, response.status(), ctx.now);
        if joins {
            self.try_target(first, ctx);
        }
        self.hunt_on(ctx);
        true
    }

    /// Where a redirection leads, best first: what may be called and was not yet.
    fn contacts(&self, target: usize, response: &Message, ctx: &Ctx<'_>) -> Vec<Target> {
        let targets = &self.facts.plan.targets;
        let Some(from) = targets.get(target).filter(|from| from.destination.follows()) else { return Vec::new() };
        let followed = targets.iter().filter(|target| target.redirects > 0).count();
        let left = limits::REDIRECTS.saturating_sub(followed).min(limits::REDIRECT_CONTACTS);
        if !(300..=302).contains(&response.status()) || from.redirects >= limits::REDIRECT_DEPTH || left == 0 {
            return Vec::new();
        }
        let peer = match &self.state {
            State::Hunting(hunt) => hunt.attempts.iter().find(|attempt| attempt.target == target),
            _ => None,
        };
        let peer = peer.and_then(|attempt| attempt.hop).map(|hop| hop.remote.ip().to_string());
        let read = response.list("Contact").take(limits::REDIRECT_CONTACTS * 4);
        let mut contacts: Vec<NameAddr<'_>> = read.filter_map(|value| NameAddr::parse(value).ok()).collect();
        // Stable: those of one preference stay as they were written.
        contacts.sort_by_key(|contact| std::cmp::Reverse(preference(contact)));
        let mut found: Vec<Target> = Vec::new();
        for contact in contacts {
            let Some(target) = self.contact(&contact.uri, from, peer.as_deref(), ctx) else { continue };
            let is_known = targets.iter().chain(&found).any(|known| is_same(&known.uri, &target.uri));
            if !is_known && found.len() < left {
                found.push(target);
            }
        }
        found
    }

    /// A contact as a target; `None` when it must not be called.
    fn contact(&self, uri: &Uri<'_>, from: &Target, peer: Option<&str>, ctx: &Ctx<'_>) -> Option<Target> {
        // `maddr` would lead elsewhere than the host that is looked at.
        if !uri.is_sip() || uri.text.len() > limits::SIP_TOKEN || uri.param("maddr").is_some() {
            return None;
        }
        let company = &self.facts.company;
        let configured = || company.every_destination();
        let itself = configured().find(|one| Uri::parse(&one.uri).is_ok_and(|other| uri.is_same_place(&other)));
        let at_host = || {
            configured()
                .find(|one| is_host(&one.uri, uri.host) || one.proxy().is_some_and(|proxy| is_host(proxy, uri.host)))
        };
        let at_host = || at_host().or_else(|| (peer? == uri.host).then_some(&from.destination));
        let destination = match itself {
            Some(destination) => Arc::clone(destination),
            None => Arc::new(like(at_host()?, from, request_uri(uri))),
        };
        let names = ctx.settings.names();
        let query = Query::of(&Uri::parse(destination.proxy().unwrap_or(&destination.uri)).ok()?, names).ok()?;
        let mut target = Target {
            uri: destination.uri.clone(),
            query,
            trunk: destination.trunk.clone(),
            destination,
            is_costly: false,
            redirects: from.redirects + 1,
        };
        let (rules, directory) = (&ctx.settings.config.fraud, &ctx.settings.directory);
        fraud::may_be_called(rules, directory, &mut target).then_some(target)
    }
}

/// Another user at the host of a configured destination: through its trunk, with the patience for who sent the call on.
fn like(configured: &Destination, from: &Target, uri: String) -> Destination {
    Destination {
        label: Arc::from(uri.as_str()),
        uri,
        trunk_name: configured.trunk_name.clone(),
        trunk: configured.trunk.clone(),
        ring_timeout: from.destination.ring_timeout,
        redirects: from.destination.redirects,
        ..Destination::plain("")
    }
}

/// The URI as a Request-URI: without headers, and without `method` (RFC 3261 §19.1.1).
pub(in crate::core::call) fn request_uri(uri: &Uri<'_>) -> String {
    let text = uri.text.split('?').next().unwrap_or(uri.text);
    let mut parts = text.split(';');
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_method = part.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case("method"));
        // Parameters of the user part stand before the `@` and stay.
        if !is_method || part.contains('@') {
            bare.push(';');
            bare.push_str(part);
        }
    }
    bare
}

/// Thousandths; 1 when it is not written (RFC 3261 §20.10). What cannot be read comes last.
fn preference(contact: &NameAddr<'_>) -> u16 {
    let Some(text) = contact.param("q") else { return 1_000 };
    let mut digits = text.trim().chars();
    let whole = match digits.next() {
        Some('0') => 0,
        Some('1') => return 1_000,
        _ => return 0,
    };
    match digits.next() {
        Some('.') => digits
            .chain("000".chars())
            .take(3)
            .fold(whole, |sum, c| sum * 10 + c.to_digit(10).and_then(|digit| u16::try_from(digit).ok()).unwrap_or(0)),
        _ => 0,
    }
}

fn is_host(uri: &str, host: &str) -> bool {
    // No placeholder may stand in the host.
    Uri::parse(&uri.replace(['{', '}'], "")).is_ok_and(|uri| uri.host.eq_ignore_ascii_case(host))
}

fn is_same(one: &str, other: &str) -> bool {
    match (Uri::parse(one), Uri::parse(other)) {
        (Ok(one), Ok(other)) => one.is_same_place(&other),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences() {
        for (text, expected) in [
            ("<sip:a@b>", 1_000),
            ("<sip:a@b>;q=1", 1_000),
            ("<sip:a@b>;q=1.0", 1_000),
            ("<sip:a@b>;q=0.5", 500),
            ("<sip:a@b>;q=0.25", 250),
            ("<sip:a@b>;Q=0.123", 123),
            ("<sip:a@b>;q=0", 0),
            ("<sip:a@b>;q=0.", 0),
            ("<sip:a@b>;q=9", 0),
            ("<sip:a@b>;q=-1", 0),
            ("<sip:a@b>;q=x", 0),
            ("sip:a@b;q=0.7", 700),
        ] {
            let contact = NameAddr::parse(text).expect(text);
            assert_eq!(preference(&contact), expected, "{text}");
        }
    }

    #[test]
    fn request_uris() {
        for (text, expected) in [
            ("sip:a@b", "sip:a@b"),
            ("sip:a;x=1@b;transport=tcp?Route=%3Csip:c%3E", "sip:a;x=1@b;transport=tcp"),
            ("sip:a@b;method=REGISTER;lr", "sip:a@b;lr"),
        ] {
            assert_eq!(request_uri(&Uri::parse(text).expect(text)), expected);
        }
    }
}
