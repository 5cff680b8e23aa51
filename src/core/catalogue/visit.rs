//! Which visits get a number at all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{Facts, fit, score};
use crate::config::{Track, Visits};
use crate::limits;
use crate::time::{Mono, Wall};

/// Who is asking for a number, beside what the page says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visit<'a> {
    /// None: not known, as when a program asks.
    pub address: Option<IpAddr>,
    /// `bot`: a crawler that says so; `prefetch`: the browser only fetches ahead.
    pub nobody: Option<&'static str>,
    /// What the browser shows as proof that it is staff's.
    pub staff: Option<&'a str>,
    /// The visitor was here before.
    pub returning: bool,
}

/// What a visit gets. The codes are stable: they stand in answers and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// A number of its own.
    Number,
    /// The static number of its source, or what comes after it.
    Static(&'static str),
    /// The real number.
    Excluded(&'static str),
}

impl Judgement {
    /// Why it is no number of its own.
    pub const fn code(self) -> Option<&'static str> {
        match self {
            Judgement::Number => None,
            Judgement::Static(code) | Judgement::Excluded(code) => Some(code),
        }
    }
}

impl Visit<'_> {
    /// By the site's rules. What depends on others (an address that takes too many, a cap that is spent) comes later.
    pub fn judge(&self, visits: &Visits, facts: &Facts<'_>) -> Judgement {
        let address = self.address.map(|address| address.to_canonical());
        if address.is_some_and(|address| visits.exclude.iter().any(|net| net.contains(&address))) {
            return Judgement::Excluded("excluded_address");
        }
        let staff = visits.staff_secret.as_ref().map(|secret| Staff::new(&secret.0));
        if staff.zip(self.staff).is_some_and(|(staff, proof)| staff.knows(proof, facts.at)) {
            return Judgement::Excluded("excluded_staff");
        }
        if let Some(code) = self.nobody.filter(|_| visits.bots) {
            return Judgement::Excluded(code);
        }
        let fits = || visits.worth.iter().any(|conditions| fit::fits(conditions, facts));
        let is_worth = match visits.track {
            Track::All => true,
            Track::Rule => fits(),
            Track::Score => fits() || score(facts, self.returning).points >= visits.score_min,
        };
        if is_worth { Judgement::Number } else { Judgement::Static("not_worth_a_number") }
    }
}

/// Whether a browser's name is that of a crawler.
pub fn is_crawler(user_agent: &str) -> bool {
    // The list is made once.
    static LIST: std::sync::OnceLock<isbot::Bots> = std::sync::OnceLock::new();
    let text: String = user_agent.chars().take(limits::USER_AGENT).collect();
    LIST.get_or_init(isbot::Bots::default).is_bot(&text)
}

/// Proofs that a browser is staff's: an end of validity and its signature.
pub struct Staff<'a>(&'a str);

impl std::fmt::Debug for Staff<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Staff(…)")
    }
}

impl<'a> Staff<'a> {
    pub fn new(secret: &'a str) -> Staff<'a> {
        Staff(secret)
    }

    /// A proof that is good until then: `<seconds since 1970>.<HMAC-SHA256>`.
    pub fn proof(&self, until: Wall) -> String {
        let seconds = until.0.div_euclid(1_000_000);
        let signature: String = self.mac(seconds).finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
        format!("{seconds}.{signature}")
    }

    /// Whether it is one of ours and still good.
    pub fn knows(&self, proof: &str, at: Wall) -> bool {
        let Some((seconds, signature)) = proof.split_once('.') else { return false };
        let Ok(until) = seconds.parse::<i64>() else { return false };
        let bytes: Option<Vec<u8>> = (signature.len() == 64 && signature.is_ascii())
            .then(|| (0..64).step_by(2).map(|i| u8::from_str_radix(signature.get(i..i + 2)?, 16).ok()).collect())
            .flatten();
        // Compared in constant time.
        until > at.0.div_euclid(1_000_000) && bytes.is_some_and(|bytes| self.mac(until).verify_slice(&bytes).is_ok())
    }

    fn mac(&self, seconds: i64) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(self.0.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(b"leaseline staff 1\0");
        mac.update(seconds.to_string().as_bytes());
        mac
    }
}

/// New leases of addresses, counted by the hour that began with the first. Bounded: of addresses beyond the table's room
/// all together have one count.
#[derive(Debug, Default)]
pub struct AddressQuota {
    counts: HashMap<IpAddr, (Mono, u32)>,
}

impl AddressQuota {
    const WINDOW: Duration = Duration::from_secs(3_600);

    /// Whether the address may have one more; `most` 0: always.
    pub fn may(&self, address: IpAddr, most: u32, now: Mono) -> bool {
        let count = self.counts.get(&customer(address)).filter(|(since, _)| now.since(*since) < AddressQuota::WINDOW);
        most == 0 || count.is_none_or(|(_, count)| *count < most)
    }

    /// It had one more.
    pub fn count(&mut self, address: IpAddr, now: Mono) {
        let mut key = customer(address);
        if self.counts.len() >= limits::QUOTA_ADDRESSES && !self.counts.contains_key(&key) {
            self.counts.retain(|_, (since, _)| now.since(*since) < AddressQuota::WINDOW);
            if self.counts.len() >= limits::QUOTA_ADDRESSES {
                key = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        let entry = self.counts.entry(key).or_insert((now, 0));
        if now.since(entry.0) >= AddressQuota::WINDOW {
            *entry = (now, 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }
}

/// An IPv6 customer has a /64 at least.
fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}
