//! The server's side of Digest: challenges without any state, and whose answer is right (RFC 3261 §22.4, RFC 7616,
//! RFC 8760).
//!
//! A nonce says when and to which address we gave it, under a seal that only we can make, so nothing is kept for those
//! who only ask. What is kept is the last count of each nonce that a right password has used. A wrong user costs and hears
//! the same as a wrong password.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use foldhash::fast::FixedState;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::digest::{Algorithm, Hash, Qop, Signed};
use crate::config::{Config, Secret, Trunk};
use crate::core::admission::bucket::{Bucket, Rate};
use crate::core::defence::sources::subscriber;
use crate::limits;
use crate::time::Mono;
use crate::wire::sip::auth::{AuthValue, AuthWriter};
use crate::wire::sip::{Message, Uri};

/// Bytes of a nonce: when it was given, and the seal.
const TIME: usize = 8;
const SEAL: usize = 16;

/// Who may log in, of one configuration.
#[derive(Debug)]
pub struct Users {
    pub realm: String,
    /// In the order in which they are offered.
    pub algorithms: Vec<Hash>,
    by_name: HashMap<String, (Arc<Trunk>, Secret)>,
}

impl Users {
    /// `None` when nobody logs in.
    pub fn of(config: &Config) -> Option<Users> {
        let first = config.trunks.iter().find_map(|trunk| trunk.login.as_ref())?;
        let logins = config.trunks.iter().filter_map(|trunk| Some((trunk, trunk.login.as_ref()?)));
        let users = logins.flat_map(|(trunk, login)| login.users.iter().map(move |user| (trunk, user)));
        let by_name = users.map(|(trunk, one)| (one.user.clone(), (Arc::clone(trunk), one.secret.clone())));
        Some(Users { realm: first.realm.clone(), algorithms: first.algorithms.clone(), by_name: by_name.collect() })
    }
}

/// What a request shows of its sender.
#[derive(Clone, Debug)]
pub enum Shown {
    /// No credentials for us, or none that can be read in one way.
    Nothing,
    /// A nonce that is none of ours, too old, or whose count was used.
    Stale,
    /// No such user, another password, or credentials for another request.
    Wrong,
    /// A user of this trunk.
    User(Arc<Trunk>),
}

/// See the module.
#[derive(Debug)]
pub struct Logins {
    key: Hmac<Sha256>,
    /// No two nonces are the same.
    last: u64,
    /// Time and seal of a nonce, and its highest count.
    used: BTreeMap<(u64, [u8; SEAL]), u32>,
    /// How often each source may try; a place may belong to several.
    rates: Box<[Bucket]>,
    hasher: FixedState,
}

impl Logins {
    /// The seed decides the seals.
    pub fn new(seed: &[u8; 32]) -> Logins {
        // HMAC takes a key of any length.
        let keyed = |part: &[u8]| <Hmac<Sha256> as Mac>::new_from_slice(part).ok();
        let key = keyed(seed).unwrap_or_else(|| Hmac::new(&Default::default())).chain_update(b"leaseline login");
        let key = key.finalize().into_bytes();
        Logins {
            key: Hmac::new_from_slice(&key).unwrap_or_else(|_| Hmac::new(&Default::default())),
            last: 0,
            used: BTreeMap::new(),
            rates: Box::default(),
            hasher: FixedState::with_seed(u64::from_le_bytes(*key.first_chunk().unwrap_or(&[0; 8]))),
        }
    }

    /// Whether one more message of this source is read.
    pub fn may_try(&mut self, now: Mono, source: IpAddr) -> bool {
        if self.rates.is_empty() {
            self.rates = vec![Bucket::default(); limits::LOGIN_RATES].into_boxed_slice();
        }
        let mut hasher = self.hasher.build_hasher();
        match subscriber(source) {
            IpAddr::V4(address) => hasher.write_u32(address.to_bits()),
            IpAddr::V6(address) => hasher.write_u128(address.to_bits()),
        }
        let place = usize::try_from(hasher.finish() % limits::LOGIN_RATES as u64).unwrap_or(0);
        let rate = Rate::per_second(limits::LOGINS_PER_SECOND);
        self.rates.get_mut(place).is_some_and(|bucket| bucket.draw(now, rate).is_ok())
    }

    /// A nonce for this source.
    pub fn nonce(&mut self, now: Mono, realm: &str, source: IpAddr) -> String {
        self.last = now.0.max(self.last + 1);
        let mut nonce = [0; TIME + SEAL];
        let (time, seal) = nonce.split_at_mut(TIME);
        time.copy_from_slice(&self.last.to_be_bytes());
        seal.copy_from_slice(&self.seal(self.last, realm, source));
        STANDARD.encode(nonce)
    }

    /// Judges the credentials of a request.
    pub fn judge(&mut self, now: Mono, users: &Users, source: IpAddr, request: &Message) -> Shown {
        let mut ours = request.headers("Authorization").filter_map(|line| {
            let values = AuthValue::read(line)?;
            values.into_iter().find(|value| {
                value.scheme.eq_ignore_ascii_case("Digest") && value.param("realm") == Some(users.realm.as_str())
            })
        });
        let (Some(shown), None) = (ours.next(), ours.next()) else { return Shown::Nothing };
        let Some(claim) = Claim::read(&shown, users) else { return Shown::Nothing };
        let Some(nonce) = self.opened(now, &users.realm, source, claim.nonce) else { return Shown::Stale };
        // An unknown user is computed too, with a secret that nobody has.
        let known = users.by_name.get(claim.user);
        let secret = known.map_or("", |(_, secret)| &*secret.0);
        let algorithm = Algorithm { hash: claim.hash, session: false };
        let key = algorithm.key(claim.user, &users.realm, secret, claim.nonce, claim.cnonce);
        let signed = Signed {
            method: request.method_token(),
            uri: claim.uri,
            body: b"",
            nonce: claim.nonce,
            nc: claim.nc.unwrap_or_default(),
            cnonce: claim.cnonce,
            qop: if claim.nc.is_some() { Qop::Auth } else { Qop::None },
        };
        let expected = algorithm.response(&key, &signed);
        let given = claim.response.to_ascii_lowercase();
        let is_right = bool::from(expected.as_bytes().ct_eq(given.as_bytes()));
        let Some((trunk, _)) = known.filter(|_| is_right && is_same(claim.uri, request.request_uri())) else {
            return Shown::Wrong;
        };
        if self.count(now, nonce, claim.count) { Shown::User(Arc::clone(trunk)) } else { Shown::Stale }
    }

    /// Nonces whose count is kept.
    pub fn count_used(&self) -> usize {
        self.used.len()
    }

    /// When and with which seal this nonce was given, when it is ours, for this source, and young.
    fn opened(&self, now: Mono, realm: &str, source: IpAddr, nonce: &str) -> Option<(u64, [u8; SEAL])> {
        let mut bytes = [0; TIME + SEAL + 3];
        let length = STANDARD.decode_slice(nonce, &mut bytes).ok().filter(|length| *length == TIME + SEAL)?;
        let (time, seal) = bytes.get(..length)?.split_at_checked(TIME)?;
        let (time, seal): (u64, [u8; SEAL]) = (u64::from_be_bytes(time.try_into().ok()?), seal.try_into().ok()?);
        let is_ours = bool::from(self.seal(time, realm, source).ct_eq(&seal));
        (is_ours && now.since(Mono(time)) < limits::LOGIN_NONCE).then_some((time, seal))
    }

    fn seal(&self, time: u64, realm: &str, source: IpAddr) -> [u8; SEAL] {
        let IpAddr::V6(source) = (match source.to_canonical() {
            IpAddr::V4(source) => IpAddr::V6(source.to_ipv6_mapped()),
            source @ IpAddr::V6(_) => source,
        }) else {
            return [0; SEAL];
        };
        let mac = self.key.clone().chain_update(time.to_be_bytes()).chain_update(source.octets());
        let mac = mac.chain_update(realm).finalize().into_bytes();
        *mac.first_chunk().unwrap_or(&[0; SEAL])
    }

    /// Uses a count; `false` when it was used, or cannot be remembered.
    fn count(&mut self, now: Mono, nonce: (u64, [u8; SEAL]), count: u32) -> bool {
        while let Some(oldest) = self.used.first_entry()
            && now.since(Mono(oldest.key().0)) >= limits::LOGIN_NONCE
        {
            oldest.remove();
        }
        if self.used.len() >= limits::LOGIN_NONCES && !self.used.contains_key(&nonce) {
            return false;
        }
        let last = self.used.entry(nonce).or_default();
        let is_new = count > *last;
        *last = count.max(*last);
        is_new
    }
}

/// One challenge.
pub fn challenge(users: &Users, hash: Hash, nonce: &str, stale: bool) -> Option<String> {
    let algorithm = Algorithm { hash, session: false };
    let writer = AuthWriter::new("Digest").quoted("realm", &users.realm).quoted("nonce", nonce);
    let writer = if stale { writer.plain("stale", "true") } else { writer };
    writer.plain("algorithm", algorithm.name()).quoted("qop", "auth").finish()
}

/// Credentials as they were written.
struct Claim<'a> {
    user: &'a str,
    nonce: &'a str,
    uri: &'a str,
    response: &'a str,
    hash: Hash,
    /// `None` without quality of protection (RFC 2069).
    nc: Option<&'a str>,
    cnonce: &'a str,
    count: u32,
}

impl<'a> Claim<'a> {
    /// `None` when something is missing, or is what we have not offered.
    fn read(shown: &'a AuthValue<'_>, users: &Users) -> Option<Claim<'a>> {
        let algorithm = Algorithm::parse(shown.param("algorithm").unwrap_or("MD5"))?;
        if algorithm.session || !users.algorithms.contains(&algorithm.hash) {
            return None;
        }
        let (nc, cnonce) = match shown.param("qop") {
            None => (None, ""),
            Some(qop) if qop.eq_ignore_ascii_case("auth") => (Some(shown.param("nc")?), shown.param("cnonce")?),
            Some(_) => return None,
        };
        let is_count = |nc: &str| nc.len() == 8 && nc.bytes().all(|byte| byte.is_ascii_hexdigit());
        let count = match nc {
            Some(nc) if is_count(nc) => u32::from_str_radix(nc, 16).ok()?,
            Some(_) => return None,
            // Without a count a nonce is good for once.
            None => u32::MAX,
        };
        Some(Claim {
            user: shown.param("username")?,
            nonce: shown.param("nonce")?,
            uri: shown.param("uri")?,
            response: shown.param("response")?,
            hash: algorithm.hash,
            nc,
            cnonce,
            count,
        })
    }
}

/// Whether credentials for `signed` are for this Request-URI. Peers differ in port and parameters, and some sign the
/// host alone; who is called, where that is signed, and where must be the same. A copy of credentials for another number
/// is caught by its `nc` all the same.
fn is_same(signed: &str, requested: &str) -> bool {
    let (Ok(signed), Ok(requested)) = (Uri::parse(signed), Uri::parse(requested)) else { return false };
    signed.scheme.eq_ignore_ascii_case(requested.scheme)
        && signed.host.eq_ignore_ascii_case(requested.host)
        && (signed.user.is_none() || signed.user == requested.user)
        && signed.opaque == requested.opaque
}

#[cfg(test)]
mod tests;
