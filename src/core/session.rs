//! Sessions of people who signed in. A session is known by the hash of a random text that only the browser's cookie has;
//! it ends when it was idle for long, when it is old, or when somebody ends it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use crate::time::Mono;

/// Hash of what the cookie holds.
pub type SessionKey = [u8; 32];

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A user. Sessions of an older generation are void: the password was changed, or all were ended.
    User { name: Arc<str>, generation: u64 },
    /// The holder of a token of the configuration, known by the token's hash: void when the token changes.
    Token { name: Arc<str>, token: [u8; 32] },
}

impl Holder {
    pub fn name(&self) -> &Arc<str> {
        match self {
            Holder::User { name, .. } | Holder::Token { name, .. } => name,
        }
    }
}

#[derive(Clone, Debug)]
struct Session {
    holder: Holder,
    address: IpAddr,
    began: Mono,
    seen: Mono,
    /// Secret of a second factor that was shown and is not confirmed yet.
    offer: Option<String>,
}

/// A session, as its holder may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub key: SessionKey,
    pub holder: Holder,
    /// From where it was begun.
    pub address: IpAddr,
    pub began: Mono,
    /// When it was last used.
    pub seen: Mono,
}

/// All sessions there are.
#[derive(Debug, Default)]
pub struct Sessions {
    all: HashMap<SessionKey, Session>,
}

impl Sessions {
    /// Begins one. Of one holder there are [`limits::SESSIONS_OF_ONE`] at most, in all [`limits::SESSIONS`]: the one that
    /// was not used for the longest time goes.
    pub fn begin(&mut self, key: SessionKey, holder: Holder, address: IpAddr, now: Mono) {
        while self.all.values().filter(|session| session.holder.name() == holder.name()).count()
            >= limits::SESSIONS_OF_ONE
        {
            self.drop_oldest(|session| session.holder.name() == holder.name());
        }
        if self.all.len() >= limits::SESSIONS {
            self.drop_oldest(|_| true);
        }
        self.all.insert(key, Session { holder, address, began: now, seen: now, offer: None });
    }

    /// Whose it is; it counts as used now. `idle` and `most`: how long it lasts unused, and at all.
    pub fn find(&mut self, key: &SessionKey, now: Mono, (idle, most): (Duration, Duration)) -> Option<Holder> {
        let session = self.all.get_mut(key)?;
        if now.since(session.seen) >= idle || now.since(session.began) >= most {
            self.all.remove(key);
            return None;
        }
        session.seen = now;
        Some(session.holder.clone())
    }

    /// Whether there is one, without using it.
    pub fn has(&self, key: &SessionKey) -> bool {
        self.all.contains_key(key)
    }

    pub fn end(&mut self, key: &SessionKey) {
        self.all.remove(key);
    }

    /// Those of this name that are not too old, the one used last first.
    pub fn of(&self, name: &str, now: Mono, (idle, most): (Duration, Duration)) -> Vec<Shown> {
        let lasts = |session: &Session| now.since(session.seen) < idle && now.since(session.began) < most;
        let theirs = |session: &Session| **session.holder.name() == *name && lasts(session);
        let mut shown: Vec<Shown> = self
            .all
            .iter()
            .filter(|(_, session)| theirs(session))
            .map(|(key, session)| Shown {
                key: *key,
                holder: session.holder.clone(),
                address: session.address,
                began: session.began,
                seen: session.seen,
            })
            .collect();
        shown.sort_by_key(|session| (std::cmp::Reverse(session.seen), session.key));
        shown
    }

    /// Ends all sessions of this name, and says how many there were.
    pub fn end_of(&mut self, name: &str) -> usize {
        let before = self.all.len();
        self.all.retain(|_, session| **session.holder.name() != *name);
        before - self.all.len()
    }

    /// Keeps the secret of a second factor until it is confirmed.
    pub fn offer(&mut self, key: &SessionKey, secret: String) {
        if let Some(session) = self.all.get_mut(key) {
            session.offer = Some(secret);
        }
    }

    /// The secret that waits for its confirmation.
    pub fn offered(&self, key: &SessionKey) -> Option<String> {
        self.all.get(key)?.offer.clone()
    }

    fn drop_oldest(&mut self, of: impl Fn(&Session) -> bool) {
        let oldest = self.all.iter().filter(|(_, session)| of(session)).min_by_key(|(_, session)| session.seen);
        if let Some(key) = oldest.map(|(key, _)| *key) {
            self.all.remove(&key);
        }
    }
}

/// Sign-ins whose password was right, and whose code is awaited. Each is known by the hash of a random text that only the
/// page with the question has.
#[derive(Debug, Default)]
pub struct Halfway {
    all: HashMap<SessionKey, (Arc<str>, u64, Mono)>,
}

impl Halfway {
    /// One more: of this user, as of this generation. When there are too many the oldest goes.
    pub fn begin(&mut self, key: SessionKey, name: Arc<str>, generation: u64, now: Mono) {
        self.all.retain(|_, (_, _, began)| now.since(*began) < limits::SIGN_IN_HALFWAY);
        if self.all.len() >= limits::SESSIONS {
            let oldest = self.all.iter().min_by_key(|(_, (_, _, began))| *began).map(|(key, _)| *key);
            oldest.map(|key| self.all.remove(&key));
        }
        self.all.insert(key, (name, generation, now));
    }

    /// Whose it is, with the generation; none: it is over, or never was.
    pub fn find(&self, key: &SessionKey, now: Mono) -> Option<(Arc<str>, u64)> {
        let (name, generation, began) = self.all.get(key)?;
        (now.since(*began) < limits::SIGN_IN_HALFWAY).then(|| (Arc::clone(name), *generation))
    }

    pub fn end(&mut self, key: &SessionKey) {
        self.all.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const TIMES: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(150));

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    fn anna() -> Holder {
        Holder::User { name: "anna".into(), generation: 1 }
    }

    #[test]
    fn a_session_ends_idle_or_old_whichever_is_first() {
        let mut sessions = Sessions::default();
        sessions.begin([1; 32], anna(), HERE, at(0));
        for seconds in [59, 118, 149] {
            assert_eq!(sessions.find(&[1; 32], at(seconds), TIMES), Some(anna()), "{seconds}");
        }
        assert_eq!(sessions.find(&[1; 32], at(150), TIMES), None, "old");
        sessions.begin([2; 32], anna(), HERE, at(200));
        assert_eq!(sessions.find(&[2; 32], at(260), TIMES), None, "idle");
        assert_eq!(sessions.find(&[2; 32], at(201), TIMES), None, "an end stays");
        assert_eq!(sessions.find(&[3; 32], at(201), TIMES), None, "never began");
    }

    #[test]
    fn the_least_used_session_gives_way_and_others_of_the_name_end_together() {
        let mut sessions = Sessions::default();
        for n in 0..=limits::SESSIONS_OF_ONE {
            sessions.begin([u8::try_from(n).unwrap(); 32], anna(), HERE, at(n as u64));
        }
        sessions.begin([200; 32], Holder::Token { name: "ben".into(), token: [0; 32] }, HERE, at(50));
        assert_eq!(sessions.find(&[0; 32], at(50), TIMES), None);
        assert!(sessions.find(&[1; 32], at(50), TIMES).is_some());
        sessions.offer(&[1; 32], "secret".into());
        assert_eq!((sessions.offered(&[1; 32]).as_deref(), sessions.offered(&[2; 32])), (Some("secret"), None));
        assert_eq!(sessions.end_of("anna"), limits::SESSIONS_OF_ONE);
        assert!(sessions.find(&[200; 32], at(50), TIMES).is_some());
        sessions.end(&[200; 32]);
        assert!(sessions.find(&[200; 32], at(50), TIMES).is_none());
    }

    #[test]
    fn a_session_is_shown_to_its_holder_while_it_lasts() {
        let mut sessions = Sessions::default();
        sessions.begin([1; 32], anna(), HERE, at(0));
        sessions.begin([2; 32], anna(), HERE, at(30));
        sessions.begin([3; 32], Holder::Token { name: "ben".into(), token: [0; 32] }, HERE, at(30));
        let keys = |now: u64| sessions.of("anna", at(now), TIMES).iter().map(|shown| shown.key[0]).collect::<Vec<_>>();
        assert_eq!((keys(40), keys(70), keys(95)), (vec![2, 1], vec![2], vec![]));
    }

    #[test]
    fn a_sign_in_waits_for_its_code_for_a_while_only() {
        let mut halfway = Halfway::default();
        halfway.begin([1; 32], "anna".into(), 7, at(0));
        assert_eq!(halfway.find(&[1; 32], at(1)), Some(("anna".into(), 7)));
        assert_eq!(halfway.find(&[2; 32], at(1)), None);
        assert_eq!(halfway.find(&[1; 32], at(limits::SIGN_IN_HALFWAY.as_secs())), None);
        halfway.end(&[1; 32]);
        assert_eq!(halfway.find(&[1; 32], at(1)), None);
    }
}
