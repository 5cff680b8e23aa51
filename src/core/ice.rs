//! The lite end of ICE (RFC 8445 §2.5) on one leg: who proves to know the password that stands in our description, from an
//! address, is that address's owner. Media goes to the pair that the other end nominates, and comes from there only; the
//! candidates that a description names make us send nothing.

use std::net::SocketAddr;

use crate::core::media::DtlsMedia;
use crate::core::relay::Refusal;
use crate::limits::{ICE_CONSENT, ICE_PAIRS};
use crate::time::Mono;
use crate::wire::stun::{Answer, Key, Request};

/// One leg's checks.
#[derive(Debug)]
pub struct Lite {
    users: Users,
    /// After a restart, until the first check under the new names: those before it (RFC 8445 §2.4).
    before: Option<Box<Users>>,
    pairs: [Option<Pair>; ICE_PAIRS],
    nominated: Option<SocketAddr>,
}

/// Names of both ends, and our password.
#[derive(Debug)]
struct Users {
    ours: Box<str>,
    theirs: Box<str>,
    key: Key,
}

/// An address of theirs that a check has come from.
#[derive(Clone, Copy, Debug)]
struct Pair {
    source: SocketAddr,
    /// The last proved check.
    at: Mono,
}

impl Users {
    fn new(media: &DtlsMedia) -> Users {
        Users { ours: media.ours.ufrag.clone(), theirs: media.theirs.ufrag.clone(), key: Key::new(&media.ours.pwd) }
    }

    fn sent(&self, request: &Request<'_>) -> bool {
        request.users() == Some((self.ours.as_bytes(), self.theirs.as_bytes())) && request.is_proved(&self.key)
    }
}

impl Lite {
    pub fn new(media: &DtlsMedia) -> Lite {
        Lite { users: Users::new(media), before: None, pairs: [None; ICE_PAIRS], nominated: None }
    }

    /// What was agreed on last. With other names the checks begin anew; what is proved stays so until they have
    /// (RFC 8445 §9).
    pub fn renew(&mut self, media: &DtlsMedia) {
        if *self.users.ours != *media.ours.ufrag || *self.users.theirs != *media.theirs.ufrag {
            self.before = Some(Box::new(std::mem::replace(&mut self.users, Users::new(media))));
        }
    }

    /// A check from this source. Who does not know our password gets no answer.
    pub fn on_check(&mut self, now: Mono, source: SocketAddr, request: &Request<'_>) -> Result<Answer, Refusal> {
        let is_ours = self.users.sent(request);
        let is_earlier = !is_ours && self.before.as_ref().is_some_and(|before| before.sent(request));
        let users = match &self.before {
            Some(before) if is_earlier => before,
            _ if is_ours => &self.users,
            _ => return Err(Refusal::IceAuth),
        };
        if !request.is_understood() {
            return Answer::unknown(request, &users.key).ok_or(Refusal::NotRtp);
        }
        if request.controlled {
            // One end must decide, and the lite one never does.
            return Answer::role_conflict(request, &users.key).ok_or(Refusal::NotRtp);
        }
        let answer = Answer::success(request, source, &users.key).ok_or(Refusal::NotRtp)?;
        if is_ours {
            self.before = None;
        }
        self.prove(now, source);
        if request.use_candidate {
            self.nominated = Some(source);
        }
        Ok(answer)
    }

    /// Whether a check from this address has been proved, and not too long ago.
    pub fn is_proved(&self, source: SocketAddr) -> bool {
        self.pairs.iter().flatten().any(|pair| pair.source == source)
    }

    /// Where media goes, and comes from: the nominated pair; before there is one, the one that was proved last.
    pub fn selected(&self) -> Option<SocketAddr> {
        let latest = || self.pairs.iter().flatten().max_by_key(|pair| pair.at).map(|pair| pair.source);
        self.nominated.or_else(latest)
    }

    /// When [`Lite::handle_timeout`] has something to forget.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.pairs.iter().flatten().map(|pair| pair.at + ICE_CONSENT).min()
    }

    /// Who has not asked for so long does not want our media any more (RFC 7675 §5.1).
    pub fn handle_timeout(&mut self, now: Mono) {
        for place in &mut self.pairs {
            if place.is_some_and(|pair| pair.at + ICE_CONSENT <= now) {
                *place = None;
            }
        }
        self.nominated = self.nominated.filter(|source| self.is_proved(*source));
    }

    fn prove(&mut self, now: Mono, source: SocketAddr) {
        let known = self.pairs.iter().position(|pair| pair.is_some_and(|pair| pair.source == source));
        // A newcomer takes a free place, else the place of who has asked last the longest ago; never that of the nominated.
        let is_nominated = |place: &usize| {
            self.pairs.get(*place).copied().flatten().is_some_and(|pair| Some(pair.source) == self.nominated)
        };
        let others = (0..ICE_PAIRS).filter(|place| !is_nominated(place));
        let place =
            known.or_else(|| others.min_by_key(|place| self.pairs.get(*place).copied().flatten().map(|p| p.at)));
        if let Some(place) = place.and_then(|place| self.pairs.get_mut(place)) {
            *place = Some(Pair { source, at: now });
        }
    }
}

#[cfg(test)]
mod tests;
