//! A configuration for one captured call: a trunk at the caller's address, a company whose destinations are the
//! captured ones, and the dialled number in a static pool.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::{Table, Value};

use super::captured::{Call, Party};
use crate::config::{Config, DialledIn, Trunk};
use crate::core::b2bua::Settings;
use crate::core::{number, route};
use crate::ids::E164;
use crate::wire::pcap::Carrier;
use crate::wire::sip::Message;

/// What our machine is given for one call.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) settings: Arc<Settings>,
    /// What was dialled is no number: this one stands for it.
    pub(super) stands_for: Option<&'static str>,
    us: [SocketAddr; 2],
}

/// For calls to a name: a number reserved for fiction.
const FICTION: &str = "+442079460500";
/// Nothing in a capture that is meant to be believed.
const US6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0xffff, 0, 0, 0, 1));

impl Setting {
    /// # Errors
    /// A sentence; the captured addresses are such that no configuration could name them.
    pub(super) fn new(call: &Call, invite: &Message) -> Result<Setting, String> {
        let ip = our_address(call);
        let us = [SocketAddr::new(ip, 5060), SocketAddr::new(US6, 5060)];
        let (dialled_in, number, stands_for) = dialled(invite);
        let table = configuration(call, us, dialled_in, &number);
        let mut config =
            Config::parse(&table.to_string(), "replay", Path::new("")).map_err(|problems| problems.to_string())?;
        for company in &mut config.companies {
            let company = Arc::make_mut(company);
            // Exactly as captured; the text form has milliseconds.
            company.ring_timeout = call.ring_timeout.unwrap_or(PATIENT);
        }
        let listeners = config.sip.listen.clone();
        Ok(Setting { settings: Arc::new(Settings::new(Arc::new(config), listeners)), stands_for, us })
    }

    /// Our address of the same IP version.
    pub(super) fn us(&self, peer: SocketAddr) -> SocketAddr {
        let [v4, v6] = self.us;
        if peer.is_ipv4() { v4 } else { v6 }
    }
}

/// In a capture in which no destination was given up, none is.
const PATIENT: Duration = Duration::from_secs(600);

/// An address that nobody in the capture has: media of ours must not be taken for theirs. On loopback when they are,
/// because loopback peers are believed only there.
fn our_address(call: &Call) -> IpAddr {
    let theirs: Vec<IpAddr> = std::iter::once(&call.caller)
        .chain(&call.attempts)
        .map(|party| party.address.ip())
        .chain(call.lines.iter().map(|line| line.source.ip()))
        .map(|ip| ip.to_canonical())
        .collect();
    let net = if theirs.iter().any(IpAddr::is_loopback) { [127, 255, 255] } else { [203, 0, 113] };
    let [a, b, c] = net;
    let candidates = (1..=254).rev().map(|last| IpAddr::V4(Ipv4Addr::new(a, b, c, last)));
    candidates.into_iter().find(|ip| !theirs.contains(ip)).unwrap_or(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 254)))
}

/// Where the number stands, the number, and whether a made-up one stands for what was dialled.
fn dialled(invite: &Message) -> (&'static str, E164, Option<&'static str>) {
    let places = [
        ("request-uri", DialledIn::RequestUri),
        ("to", DialledIn::To),
        ("p-called-party-id", DialledIn::PCalledPartyId),
        ("diversion", DialledIn::Diversion),
    ];
    let found = places.into_iter().find_map(|(name, dialled_in)| {
        let text = route::dialled(&any_trunk(dialled_in), invite)?;
        Some((name, number::normalise(&text, None, "")?))
    });
    match found {
        Some((name, number)) => (name, number, None),
        None => ("request-uri", fiction(), Some(FICTION)),
    }
}

fn fiction() -> E164 {
    E164::parse(FICTION).expect("a constant in E.164 shape")
}

fn any_trunk(dialled_in: DialledIn) -> Trunk {
    Trunk { dialled_in, ..Trunk::bare("") }
}

fn configuration(call: &Call, us: [SocketAddr; 2], dialled_in: &str, number: &E164) -> Table {
    let text = |text: &str| Value::String(text.to_owned());
    let list = |items: Vec<String>| Value::Array(items.into_iter().map(Value::String).collect());
    let table = |pairs: Vec<(&str, Value)>| -> Table {
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    };
    let one = |pairs: Vec<(&str, Value)>| Value::Array(vec![Value::Table(table(pairs))]);
    let listen = us.iter().flat_map(|us| ["udp", "tcp"].map(|carrier| format!("{carrier}://{us}")));
    let [caller_nat, company_nat] = call.nat;
    table(vec![
        ("node", Value::Table(table(vec![("id", text("replay"))]))),
        ("sip", Value::Table(table(vec![("listen", list(listen.collect()))]))),
        (
            "media",
            Value::Table(table(vec![
                ("address", text(&us[0].ip().to_string())),
                ("address6", text(&us[1].ip().to_string())),
                ("ports", text("20000-20007")),
            ])),
        ),
        (
            "trunk",
            one(vec![
                ("name", text("caller")),
                ("match", list(vec![call.caller.address.ip().to_string()])),
                ("dialled_in", text(dialled_in)),
                ("nat", Value::Boolean(caller_nat)),
            ]),
        ),
        (
            "company",
            one(vec![
                ("name", text("company")),
                ("forward_to", list(call.attempts.iter().map(|party| destination(party, number)).collect())),
                ("nat", Value::Boolean(company_nat)),
            ]),
        ),
        (
            "pool",
            one(vec![
                ("name", text("captured")),
                ("company", text("company")),
                ("kind", text("static")),
                ("numbers", list(vec![number.as_str().to_owned()])),
                ("channel", Value::Table(table(vec![("source", text("capture"))]))),
            ]),
        ),
    ])
}

/// The captured Request-URI's user where a configuration may name it.
fn destination(party: &Party, number: &E164) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-_.".contains(&b);
    let good = !party.user.is_empty() && party.user.len() <= 64 && party.user.bytes().all(plain);
    let user = match number::candidates(&party.user, None, "").contains(number) {
        // A configuration that wrote the tracking number itself would be refused as a loop.
        true => "{number}",
        false if good => &party.user,
        false => "company",
    };
    let transport = match party.carrier {
        Carrier::Udp => "",
        Carrier::Tcp => ";transport=tcp",
    };
    format!("sip:{user}@{}{transport}", party.address)
}
