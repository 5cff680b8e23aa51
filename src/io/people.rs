//! People who may use the API: users, their sessions, API tokens, one-time links. Who they are is kept in `users.json`
//! ([`store`]); sessions are kept in memory, so a restart signs everybody out.

mod change;
pub mod oidc;
pub mod secret;
pub mod store;

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

pub use change::{Asks, Denied, NewToken, NewUser, UserChange, operator};

use crate::config;
use crate::core::attempts::Attempts;
use crate::core::event::work::{UserData, WorkEvent};
use crate::core::event::{Body, Event};
use crate::core::rights::Rights;
use crate::core::session::{Halfway, Holder, SessionKey, Sessions, Shown};
use crate::io::clock;
use crate::io::journal::Journal;
use crate::limits;
use crate::time::{Mono, Now};
use oidc::{Oidc, OidcError};
use store::{Loaded, Store};

/// All of them. Cheap to share.
#[derive(Debug)]
pub struct People {
    store: Store,
    /// Without one the running daemon tells what was changed.
    journal: Option<Journal>,
    sessions: Mutex<Sessions>,
    halfway: Mutex<Halfway>,
    attempts: Mutex<Attempts>,
    /// Places for the slow work of checking a password.
    passwords: Semaphore,
    oidc: Oidc,
}

/// Why somebody was not let in.
#[derive(Debug)]
pub enum NotIn {
    /// Too many attempts: wait so many seconds.
    Wait(u64),
    /// Name or password is wrong; which, nobody is told.
    Credentials,
    /// The password is right, and a code is wanted too.
    CodeWanted,
    /// The code is wrong, old, or was used before.
    Code,
    /// The identity provider knows them, and no role is theirs here.
    NoRole,
    /// What the identity provider said, or did not say.
    Provider(OidcError),
    /// The code came too late: name and password are wanted again.
    Late,
    /// It could not be done.
    Failed(String),
}

/// How far a sign-in by name and password came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// What the cookie holds.
    In(String),
    /// The user has a second factor: with this text [`People::sign_in_with_code`] goes on.
    Code(String),
}

/// Who somebody is, and what they may.
#[derive(Clone, Debug)]
pub struct Known {
    pub name: Arc<str>,
    pub rights: Arc<Rights>,
}

/// Beginning of every API token, by which secret scanners know it.
pub const TOKEN_MARK: &str = "lsl_";

impl People {
    /// Reads `<data_dir>/users.json`; without one there is nobody.
    pub fn open(data_dir: &Path, journal: Option<Journal>) -> io::Result<People> {
        Ok(People {
            store: Store::open(data_dir)?,
            journal,
            sessions: Mutex::default(),
            halfway: Mutex::default(),
            attempts: Mutex::default(),
            passwords: Semaphore::new(limits::PASSWORDS_AT_ONCE),
            oidc: Oidc::default(),
        })
    }

    /// Users and tokens as they are now. A change that the command line made is told to the journal here.
    pub fn now(&self, now: Mono) -> Arc<Loaded> {
        let (loaded, before) = self.store.current(now);
        if let Some(before) = before {
            for changed in change::differences(&before.book, &loaded.book) {
                self.tell(WorkEvent::UserChanged(changed));
            }
        }
        loaded
    }

    /// Somebody can sign in with a password: from then on nothing is open to whoever is on this machine.
    pub fn has_users(&self, now: Mono) -> bool {
        !self.now(now).book.users.is_empty()
    }

    /// Whose API token it is.
    pub fn by_token(&self, token: &str, now: Now) -> Option<Known> {
        if !token.starts_with(TOKEN_MARK) || token.len() > 128 {
            return None;
        }
        let loaded = self.now(now.mono);
        let (token, rights) = loaded.token(&secret::sha256(token), now.wall)?;
        Some(Known { name: format!("token:{}", token.name).into(), rights: Arc::clone(rights) })
    }

    /// Whose session the cookie's text is. Of a holder of a token of the configuration `token_of` says whether it still
    /// stands there.
    pub fn by_session(
        &self,
        cookie: &str,
        now: Mono,
        times: (Duration, Duration),
        token_of: impl Fn(&str) -> Option<[u8; 32]>,
    ) -> Option<(SessionKey, Known)> {
        let key = session_key(cookie)?;
        let holder = self.sessions().find(&key, now, times)?;
        let known = match holder {
            Holder::User { name, generation } => {
                let loaded = self.now(now);
                let (_, rights) = loaded.user(&name).filter(|(user, _)| user.generation == generation)?;
                Known { rights: Arc::clone(rights), name }
            }
            Holder::Token { name, token } => {
                (token_of(&name)? == token).then(|| Known { name, rights: Arc::new(Rights::all()) })?
            }
        };
        Some((key, known))
    }

    /// Signs in with name and password, and the code when the user has a second factor. Gives what the cookie holds.
    pub async fn sign_in(
        self: &Arc<Self>,
        name: &str,
        password: String,
        code: Option<String>,
        address: IpAddr,
    ) -> Result<String, NotIn> {
        let now = clock::now();
        let name = name.trim().to_lowercase();
        let begun = self.attempts().begin(address, &name, now.mono);
        if let Err(seconds) = begun {
            self.refused(&name, "rate_limited", address);
            return Err(NotIn::Wait(seconds));
        }
        let known = self.clone();
        let who = name.clone();
        let hash = move || known.now(now.mono).user(&who).and_then(|(user, _)| user.password.clone());
        let right = self.checked(password, hash).await?;
        if !right {
            self.refused(&name, "bad_credentials", address);
            return Err(NotIn::Credentials);
        }
        match self.second_factor(&name, code, now).await? {
            Factor::Good => {}
            Factor::Wanted => {
                self.attempts().half(address, &name);
                return Err(NotIn::CodeWanted);
            }
            Factor::Bad => {
                self.refused(&name, "bad_code", address);
                return Err(NotIn::Code);
            }
        }
        self.attempts().good(address, &name, now.mono);
        self.begin_session(&name, "password", address)
    }

    /// Begins a sign-in with the identity provider; see [`Oidc::begin`].
    pub async fn begin_elsewhere(&self, rules: &config::Oidc, next: String) -> Result<(url::Url, String), NotIn> {
        self.oidc.begin(rules, next, clock::mono()).await.map_err(NotIn::Provider)
    }

    /// Ends it: what the cookie holds, and the page to go on with.
    pub async fn sign_in_elsewhere(
        self: &Arc<Self>,
        rules: &config::Oidc,
        (state, code): (&str, String),
        address: IpAddr,
    ) -> Result<(String, String), NotIn> {
        let known = self.oidc.end(rules, state, code, clock::mono()).await;
        let (identity, next) = known.map_err(|error| {
            tracing::warn!(%error, "a sign-in with the identity provider failed");
            self.refused("", "oidc_failed", address);
            NotIn::Provider(error)
        })?;
        // Where the configuration gives roles to groups, they decide, at every sign-in.
        let roles = (!rules.roles.is_empty()).then(|| {
            let of = |group: &String| rules.roles.get(group).map(|roles| roles.split(','));
            identity.groups.iter().filter_map(of).flatten().map(|role| role.trim().to_owned()).collect::<Vec<_>>()
        });
        let (people, who) = (Arc::clone(self), identity.clone());
        let taken = tokio::task::spawn_blocking(move || people.known_elsewhere(&who, roles, address.to_string()));
        let name = match taken.await {
            Ok(Ok(name)) => name,
            Ok(Err(Denied::Io(error))) => return Err(NotIn::Failed(error.to_string())),
            Ok(Err(Denied::Journal)) => return Err(NotIn::Failed("the journal cannot write it down".to_owned())),
            Ok(Err(denied)) => {
                tracing::warn!(?denied, "somebody whom the identity provider knows has no account here");
                self.refused(&identity.name, "no_role", address);
                return Err(NotIn::NoRole);
            }
            Err(error) => return Err(NotIn::Failed(error.to_string())),
        };
        Ok((self.begin_session(&name, "oidc", address)?, next))
    }

    /// The first of two steps: name and password. A user without a second factor is in.
    pub async fn sign_in_begin(self: &Arc<Self>, name: &str, password: String, address: IpAddr) -> Result<Step, NotIn> {
        match self.sign_in(name, password, None, address).await {
            Ok(cookie) => return Ok(Step::In(cookie)),
            Err(NotIn::CodeWanted) => {}
            Err(other) => return Err(other),
        }
        let now = clock::mono();
        let loaded = self.now(now);
        let (user, _) = loaded.user(&name.trim().to_lowercase()).ok_or(NotIn::Credentials)?;
        let ticket = secret::random().ok_or_else(|| NotIn::Failed("the system gives no random bytes".to_owned()))?;
        let key = session_key(&ticket).ok_or_else(|| NotIn::Failed("no session key".to_owned()))?;
        self.halfway().begin(key, user.name.as_str().into(), user.generation, now);
        Ok(Step::Code(ticket))
    }

    /// The second step: a code, or a recovery code. Gives what the cookie holds.
    pub async fn sign_in_with_code(
        self: &Arc<Self>,
        ticket: &str,
        code: String,
        address: IpAddr,
    ) -> Result<String, NotIn> {
        let now = clock::now();
        let key = session_key(ticket).ok_or(NotIn::Late)?;
        let (name, generation) = self.halfway().find(&key, now.mono).ok_or(NotIn::Late)?;
        // Guesses of codes are counted by themselves: a right password before each of them gives nothing back.
        let bucket = format!("{name} code");
        let begun = self.attempts().begin(address, &bucket, now.mono);
        if let Err(seconds) = begun {
            self.refused(&name, "rate_limited", address);
            return Err(NotIn::Wait(seconds));
        }
        if self.now(now.mono).user(&name).is_none_or(|(user, _)| user.generation != generation) {
            return Err(NotIn::Late);
        }
        match self.second_factor(&name, Some(code), now).await? {
            Factor::Good => {}
            Factor::Wanted | Factor::Bad => {
                self.refused(&name, "bad_code", address);
                return Err(NotIn::Code);
            }
        }
        self.halfway().end(&key);
        self.attempts().good(address, &bucket, now.mono);
        self.begin_session(&name, "password", address)
    }

    /// One attempt to sign in with a token begins, or must wait so many seconds.
    pub fn token_attempt(&self, address: IpAddr) -> Result<(), u64> {
        // By address only: whoever guesses locks nobody else out.
        self.attempts().begin(address, &format!("{address} token"), clock::mono())
    }

    /// A new session of a user who has shown who they are; how stands in the journal. Gives what the cookie holds.
    pub fn begin_session(&self, name: &str, how: &str, address: IpAddr) -> Result<String, NotIn> {
        let now = clock::now();
        let loaded = self.now(now.mono);
        let (user, _) = loaded.user(name).ok_or(NotIn::Credentials)?;
        let holder = Holder::User { name: user.name.as_str().into(), generation: user.generation };
        self.begin_any(holder, how, address)
    }

    /// The same for the holder of a token of the configuration.
    pub fn begin_any(&self, holder: Holder, how: &str, address: IpAddr) -> Result<String, NotIn> {
        let cookie = secret::random().ok_or_else(|| NotIn::Failed("the system gives no random bytes".to_owned()))?;
        let key = session_key(&cookie).ok_or_else(|| NotIn::Failed("no session key".to_owned()))?;
        let name = holder.name().to_string();
        let told = self.tell(WorkEvent::UserSignedIn(UserData {
            by: name.clone(),
            user: name,
            what: how.to_owned(),
            address: address.to_string(),
            roles: Vec::new(),
        }));
        if !told {
            return Err(NotIn::Failed("the journal cannot write it down".to_owned()));
        }
        self.sessions().begin(key, holder, address, clock::mono());
        Ok(cookie)
    }

    /// Whether this name still has these rights, and the session, if there was one.
    pub fn still_has(&self, name: &str, rights: &Rights, session: Option<&SessionKey>, now: Mono) -> bool {
        if session.is_some_and(|key| !self.sessions().has(key)) {
            return false;
        }
        let loaded = self.now(now);
        match name.strip_prefix("token:") {
            Some(token) => loaded.book.tokens.iter().any(|known| known.name == token && known.rights() == *rights),
            None => loaded.user(name).is_some_and(|(_, has)| **has == *rights),
        }
    }

    pub fn has_session(&self, key: &SessionKey) -> bool {
        self.sessions().has(key)
    }

    pub fn end_session(&self, key: &SessionKey) {
        self.sessions().end(key);
    }

    /// Sessions of a name that can still be used, the one used last first.
    pub fn sessions_of(&self, name: &str, times: (Duration, Duration)) -> Vec<Shown> {
        let now = clock::mono();
        let loaded = self.now(now);
        let generation = loaded.user(name).map(|(user, _)| user.generation);
        let mut shown = self.sessions().of(name, now, times);
        shown.retain(|session| match &session.holder {
            Holder::User { generation: of, .. } => generation == Some(*of),
            Holder::Token { .. } => true,
        });
        shown
    }

    /// Ends all sessions of a name.
    pub fn end_sessions(&self, name: &str) {
        self.sessions().end_of(name);
    }

    /// Keeps a secret that a session was shown, until it is confirmed.
    pub fn offer(&self, key: &SessionKey, secret: String) {
        self.sessions().offer(key, secret);
    }

    pub fn offered(&self, key: &SessionKey) -> Option<String> {
        self.sessions().offered(key)
    }

    /// Writes down that somebody was not let in.
    pub fn refused(&self, name: &str, what: &str, address: IpAddr) {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        self.tell(WorkEvent::UserRefused(UserData {
            user: shown,
            by: String::new(),
            what: what.to_owned(),
            address: address.to_string(),
            roles: Vec::new(),
        }));
    }

    /// Whether the journal took it.
    pub fn tell(&self, work: WorkEvent) -> bool {
        let event = Event { time: clock::wall(), subject: work.subject(), body: Body::Work(Box::new(work)) };
        self.journal.as_ref().is_none_or(|journal| journal.append(event))
    }

    /// Whether it is the user's password: for changes that want it once more.
    pub async fn is_password(self: &Arc<Self>, name: &str, password: String) -> Result<bool, NotIn> {
        let (people, name, now) = (self.clone(), name.to_owned(), clock::mono());
        self.checked(password, move || people.now(now).user(&name).and_then(|(user, _)| user.password.clone())).await
    }

    async fn checked(
        &self,
        password: String,
        hash: impl FnOnce() -> Option<String> + Send + 'static,
    ) -> Result<bool, NotIn> {
        let place = self.passwords.acquire().await;
        let checked = tokio::task::spawn_blocking(move || {
            password.len() <= limits::PASSWORD_MAX && secret::is_password(&password, hash().as_deref())
        });
        let checked = checked.await.map_err(|error| NotIn::Failed(error.to_string()));
        drop(place);
        checked
    }

    async fn second_factor(self: &Arc<Self>, name: &str, code: Option<String>, now: Now) -> Result<Factor, NotIn> {
        let has_one = self.now(now.mono).user(name).is_some_and(|(user, _)| user.totp.is_some());
        if !has_one {
            return Ok(Factor::Good);
        }
        let Some(code) = code.filter(|code| !code.trim().is_empty() && code.len() <= 64) else {
            return Ok(Factor::Wanted);
        };
        let (people, name) = (self.clone(), name.to_owned());
        let taken = tokio::task::spawn_blocking(move || {
            people.store.change(|book| -> io::Result<bool> {
                let user = book.users.iter_mut().find(|user| user.name == name);
                let totp = user.and_then(|user| user.totp.as_mut());
                Ok(totp.is_some_and(|totp| secret::take_code(totp, &code, now.wall.seconds())))
            })
        });
        match taken.await.map_err(io::Error::other).and_then(|taken| taken) {
            Ok(true) => Ok(Factor::Good),
            Ok(false) => Ok(Factor::Bad),
            Err(error) => Err(NotIn::Failed(error.to_string())),
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn halfway(&self) -> MutexGuard<'_, Halfway> {
        self.halfway.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Factor {
    Good,
    Wanted,
    Bad,
}

/// What a session is known by: nothing that is kept here opens it.
pub fn session_key(cookie: &str) -> Option<SessionKey> {
    use sha2::{Digest, Sha256};
    (cookie.len() == 43).then(|| Sha256::digest(cookie.as_bytes()).into())
}
