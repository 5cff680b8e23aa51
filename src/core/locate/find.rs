//! RFC 3263 §4 as a pure function: from what DNS has said so far, either the hops in order, or what is still to be asked.
//! Whoever drives it fetches what is wanted and calls again, so that the same answers and the same seed always give the
//! same hops.
//!
//! | URI | Asked | Transport and port |
//! |---|---|---|
//! | address | nothing | the URI's; UDP, or TLS for `sips:` |
//! | name and port | A, AAAA | the URI's; UDP, or TLS for `sips:` |
//! | name and transport | SRV of that transport, else A, AAAA | the SRV's port, else the default |
//! | name only | NAPTR and the SRV it leads to; else SRV of each transport we speak; else A, AAAA | from the records |
//!
//! `ws` and `wss` have no SRV name (RFC 7118 §5.5): their hosts are looked up directly. `sips:` keeps what is TLS only.
//! Everything that may be needed of the name itself is asked at once: three waits in a row would use up the caller's
//! patience.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use rsip::Transport;

use super::draw::{by_weight, shuffle};
use super::records::{Answer, Kind, Lookup, Naptr, Srv};
use super::{Hop, Query, Reach, default_port, is_secure};
use crate::limits;

/// What DNS has said so far.
pub type Answers = HashMap<Lookup, Answer>;

/// The hops in order of preference, each once, [`limits::RESOLVED_HOPS`] at most; empty when the name leads nowhere.
///
/// # Errors
/// What has to be asked first. Never anything that `answers` has.
pub fn find(query: &Query, reach: &Reach, answers: &Answers, seed: u64) -> Result<Vec<Hop>, Vec<Lookup>> {
    let mut search =
        Search { query, reach, answers, wanted: Vec::new(), hops: Vec::new(), random: ChaCha8Rng::seed_from_u64(seed) };
    search.run();
    if search.wanted.is_empty() { Ok(search.hops) } else { Err(search.wanted) }
}

struct Search<'a> {
    query: &'a Query,
    reach: &'a Reach,
    answers: &'a Answers,
    wanted: Vec<Lookup>,
    hops: Vec<Hop>,
    random: ChaCha8Rng,
}

/// SRV name and transport of each service, in the order in which we try them when nobody says otherwise.
const SERVICES: [(&str, Transport); 3] =
    [("_sip._udp", Transport::Udp), ("_sip._tcp", Transport::Tcp), ("_sips._tcp", Transport::Tls)];

impl<'a> Search<'a> {
    fn run(&mut self) {
        let query = self.query;
        if let Some(hop) = query.literal() {
            return self.add(hop.transport, hop.remote);
        }
        match (query.transport, query.port) {
            (_, Some(port)) => self.host(self.plain_transport(), &query.host, port),
            (Some(transport), None) => self.one_service(transport),
            (None, None) => self.any_service(),
        }
    }

    /// RFC 3263 §4.2: a transport, no port.
    fn one_service(&mut self, transport: Transport) {
        let service = SERVICES.iter().find(|(_, of)| *of == transport);
        let Some((label, _)) = service else {
            return self.host(transport, &self.query.host, default_port(transport));
        };
        let name = format!("{label}.{}", self.query.host);
        self.ask_host(transport);
        if !self.srv(transport, &name) {
            self.host(transport, &self.query.host, default_port(transport));
        }
    }

    /// RFC 3263 §4.1: neither transport nor port.
    fn any_service(&mut self) {
        let host = &self.query.host;
        // Asked together with NAPTR, not after it: most domains have none, and some servers never answer for them.
        for (label, transport) in SERVICES {
            if self.is_wanted(transport) {
                self.ask(Lookup::new(Kind::Srv, &format!("{label}.{host}")));
            }
        }
        self.ask_host(self.plain_transport());
        let naptr = match self.ask(Lookup::new(Kind::Naptr, host)) {
            Some(Answer::Naptr(records)) => self.suitable(records),
            Some(_) => Vec::new(),
            None => return,
        };
        if !naptr.is_empty() {
            for (transport, replacement) in naptr {
                self.srv(transport, &replacement);
            }
            return;
        }
        let mut found = false;
        for (label, transport) in SERVICES {
            if self.is_wanted(transport) {
                found |= self.srv(transport, &format!("{label}.{host}"));
            }
        }
        if !found {
            let transport = self.plain_transport();
            self.host(transport, host, default_port(transport));
        }
    }

    /// Transport and SRV name of the NAPTR records that are for us, best first (RFC 3263 §4.1: flag `s` only).
    fn suitable(&self, records: &[Naptr]) -> Vec<(Transport, String)> {
        let transport = |service: &str| {
            let transport = match service.to_ascii_uppercase().as_str() {
                "SIP+D2U" => Transport::Udp,
                "SIP+D2T" => Transport::Tcp,
                "SIPS+D2T" => Transport::Tls,
                "SIP+D2W" => Transport::Ws,
                "SIPS+D2W" => Transport::Wss,
                _ => return None,
            };
            self.is_wanted(transport).then_some(transport)
        };
        let mut found: Vec<(u16, u16, Transport, String)> = records
            .iter()
            .filter(|record| record.flags.eq_ignore_ascii_case("s") && !is_root(&record.replacement))
            .filter_map(|record| {
                let transport = transport(&record.service)?;
                Some((record.order, record.preference, transport, record.replacement.to_string()))
            })
            .collect();
        found.sort_by_key(|(order, preference, ..)| (*order, *preference));
        found.truncate(limits::NAPTR_RECORDS);
        found.into_iter().map(|(_, _, transport, replacement)| (transport, replacement)).collect()
    }

    /// Hops of one SRV name. `false` when there are no such records, or DNS did not say: then the host's own addresses
    /// are next. A target of `.` is a record, and says that nobody is there (RFC 2782).
    fn srv(&mut self, transport: Transport, name: &str) -> bool {
        let Some(Answer::Srv(records)) = self.ask(Lookup::new(Kind::Srv, name)) else { return false };
        let mut targets: Vec<Srv> = records.iter().filter(|record| !is_root(&record.target)).cloned().collect();
        by_weight(&mut targets, &mut self.random);
        targets.truncate(limits::SRV_TARGETS);
        for target in targets {
            self.host(transport, &target.target, target.port);
        }
        !records.is_empty()
    }

    /// Hops of one host name.
    fn host(&mut self, transport: Transport, name: &str, port: u16) {
        if let Ok(ip) = name.parse::<IpAddr>() {
            // An address where a name belongs: against RFC 2782, and seen in the field.
            return self.add(transport, SocketAddr::new(ip.to_canonical(), port));
        }
        let reach = self.reach;
        for is_ipv4 in reach.families(transport) {
            let mut addresses: Vec<IpAddr> = if is_localhost(name) {
                vec![if is_ipv4 { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() }]
            } else {
                let kind = if is_ipv4 { Kind::A } else { Kind::Aaaa };
                match self.ask(Lookup::new(kind, name)) {
                    Some(Answer::Addresses(addresses)) => addresses.clone(),
                    _ => Vec::new(),
                }
            };
            // A name that answers with many spreads its load; our cache would freeze the order of one answer.
            shuffle(&mut addresses, &mut self.random);
            addresses.truncate(limits::RESOLVED_ADDRESSES);
            for ip in addresses {
                self.add(transport, SocketAddr::new(ip.to_canonical(), port));
            }
        }
    }

    fn add(&mut self, transport: Transport, remote: SocketAddr) {
        let reachable = self.reach.families(transport).any(|is_ipv4| is_ipv4 == remote.is_ipv4());
        let name = if is_secure(transport) { self.query.name } else { None };
        let hop = Hop { transport, remote, name };
        let is_new = !self.hops.contains(&hop) && self.hops.len() < limits::RESOLVED_HOPS;
        if reachable && is_new && self.is_wanted(transport) && self.reach.allows(remote) {
            self.hops.push(hop);
        }
    }

    /// What the host's own addresses may be needed for, asked beside the rest.
    fn ask_host(&mut self, transport: Transport) {
        let reach = self.reach;
        if !is_localhost(&self.query.host) {
            for is_ipv4 in reach.families(transport) {
                self.ask(Lookup::new(if is_ipv4 { Kind::A } else { Kind::Aaaa }, &self.query.host));
            }
        }
    }

    fn ask(&mut self, lookup: Lookup) -> Option<&'a Answer> {
        let answer = self.answers.get(&lookup);
        if answer.is_none() && !self.wanted.contains(&lookup) && self.wanted.len() < limits::LOOKUPS {
            self.wanted.push(lookup);
        }
        answer
    }

    /// We speak it, and `sips:` allows it.
    fn is_wanted(&self, transport: Transport) -> bool {
        self.reach.speaks(transport) && (!self.query.secure || is_secure(transport))
    }

    /// The transport when no record says one (RFC 3263 §4.1): the URI's, TLS for `sips:`, else UDP, or what we speak.
    fn plain_transport(&self) -> Transport {
        let by_choice = SERVICES.iter().map(|(_, transport)| *transport).find(|transport| self.is_wanted(*transport));
        let default = if self.query.secure { Transport::Tls } else { by_choice.unwrap_or(Transport::Udp) };
        self.query.transport.unwrap_or(default)
    }
}

/// No name at all.
fn is_root(name: &str) -> bool {
    name.is_empty() || name == "."
}

/// RFC 6761 §6.3: DNS is not asked for it.
fn is_localhost(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests;
