//! Links that carry a visitor from one site of a company to another, where no cookie reaches.
//!
//! An answer to a page brings a token; the page puts it behind the link that is followed, and the page it leads to sends
//! it back. A token names the visitor and the site, is signed (HMAC-SHA256, a key of this process), can be used once and
//! for two minutes. A link that was copied, kept or guessed is nothing: its visitor is a new one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::core::lease::is_visitor_id;
use crate::limits;

const NONCE: usize = 8;
const TAG: usize = 16;

/// Makes tokens and takes them back.
#[derive(Debug)]
pub(super) struct Links {
    /// Without one, no link carries anybody: nobody could tell a good one.
    key: Option<[u8; 32]>,
    /// Tokens are dated from here, so that no clock set anew matters.
    began: Instant,
    /// Tokens that were used, and until when they could be.
    used: Mutex<HashMap<[u8; TAG], Duration>>,
}

impl Links {
    /// With a key from the operating system's generator.
    pub(super) fn start() -> Links {
        let mut key = [0; 32];
        let filled = getrandom::fill(&mut key);
        if let Err(error) = &filled {
            tracing::error!(%error, "no randomness from the system: links between sites carry no visitor");
        }
        Links::new(filled.ok().map(|()| key), Instant::now())
    }

    fn new(key: Option<[u8; 32]>, began: Instant) -> Links {
        Links { key, began, used: Mutex::default() }
    }

    /// A token for this visitor of this site; each is another one.
    pub(super) fn token(&self, site: &str, visitor: &str, now: Instant) -> Option<String> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).ok()?;
        let at = u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        let mut bytes = Vec::with_capacity(8 + NONCE + TAG + visitor.len());
        bytes.extend_from_slice(&at.to_be_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(visitor.as_bytes());
        let tag = self.tag(site, &bytes)?;
        bytes.extend_from_slice(&tag);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The visitor of a token that is good, and was not used before.
    pub(super) fn follow(&self, site: &str, token: &str, now: Instant) -> Option<String> {
        if token.len() > 2 * (8 + NONCE + TAG + limits::VISITOR_ID) {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (said, tag) = bytes.split_last_chunk::<TAG>()?;
        if !bool::from(subtle::ConstantTimeEq::ct_eq(&self.tag(site, said)?[..], &tag[..])) {
            return None;
        }
        let (at, rest) = said.split_first_chunk::<8>()?;
        let visitor = std::str::from_utf8(rest.get(NONCE..)?).ok().filter(|id| is_visitor_id(id))?;
        let now = now.saturating_duration_since(self.began);
        let ends = Duration::from_millis(u64::from_be_bytes(*at)).checked_add(limits::LINK_TIME)?;
        (now <= ends && self.first_use(*tag, ends, now)).then(|| visitor.to_owned())
    }

    fn first_use(&self, tag: [u8; TAG], ends: Duration, now: Duration) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= limits::LINKS_FOLLOWED {
            used.retain(|_, ends| *ends >= now);
        }
        // Without room to remember it, it could be used again.
        used.len() < limits::LINKS_FOLLOWED && used.insert(tag, ends).is_none()
    }

    fn tag(&self, site: &str, said: &[u8]) -> Option<[u8; TAG]> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.key?).expect("HMAC takes keys of any length");
        mac.update(b"leaseline link 1\0");
        mac.update(&(site.len() as u64).to_be_bytes());
        mac.update(site.as_bytes());
        mac.update(said);
        let whole = mac.finalize().into_bytes();
        whole.first_chunk::<TAG>().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_followed_once_within_two_minutes_on_its_own_site() {
        let began = Instant::now();
        let links = Links::new(Some([7; 32]), began);
        let token = || links.token("shop", "v-1", began + Duration::from_secs(5)).unwrap();
        let at = |seconds| began + Duration::from_secs(seconds);
        let one = token();
        assert_eq!(links.follow("other", &one, at(6)), None, "another site");
        assert_eq!(links.follow("shop", &one, at(6)).as_deref(), Some("v-1"));
        assert_eq!(links.follow("shop", &one, at(7)), None, "again");
        assert_eq!(links.follow("shop", &token(), at(125)).as_deref(), Some("v-1"));
        assert_eq!(links.follow("shop", &token(), at(126)), None, "too late");
        assert_eq!(Links::new(Some([8; 32]), began).follow("shop", &token(), at(6)), None, "another process");
        let keyless = Links::new(None, began);
        assert_eq!((keyless.token("shop", "v-1", began), keyless.follow("shop", &token(), at(6))), (None, None));
    }

    #[test]
    fn what_is_no_token_is_nothing() {
        let began = Instant::now();
        let links = Links::new(Some([7; 32]), began);
        let good = links.token("shop", "v-1", began).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            let bad = String::from_utf8(bad).unwrap();
            assert_eq!(links.follow("shop", &bad, began), None, "{at}");
            assert_eq!(links.follow("shop", &good[..at], began), None, "{at}");
        }
        for bad in ["", "A", "=", "ы", &"A".repeat(100_000)] {
            assert_eq!(links.follow("shop", bad, began), None);
        }
        let odd = links.token("shop", "a b", began).unwrap();
        assert_eq!(links.follow("shop", &odd, began), None, "not even when we signed it");
    }
}
