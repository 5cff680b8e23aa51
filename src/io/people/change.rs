//! Changes of users and tokens, by the API and by the command line: what may be, who may, and what the journal is told.

use std::io;
use std::sync::Arc;

use super::oidc::Identity;
use super::store::{Book, LinkRecord, TokenRecord, TotpRecord, UserRecord};
use super::{People, TOKEN_MARK, secret};
use crate::core::event::work::{UserData, WorkEvent};
use crate::core::rights::{Grant, Right, Rights};
use crate::io::clock;
use crate::limits;
use crate::time::Wall;

/// Why a change was not made.
#[derive(Debug)]
pub enum Denied {
    /// No such user, token or link.
    Unknown,
    Taken,
    /// More than the one who asks may give, or take.
    TooMuch,
    /// One sentence.
    Bad(String),
    /// The last owner stays.
    LastOwner,
    Full,
    /// The journal takes nothing.
    Journal,
    Io(io::Error),
}

impl From<io::Error> for Denied {
    fn from(error: io::Error) -> Denied {
        Denied::Io(error)
    }
}

/// Who asks for a change.
#[derive(Clone, Debug)]
pub struct Asks<'a> {
    pub name: &'a str,
    pub rights: &'a Rights,
    /// From where; empty: at the command line.
    pub address: String,
}

/// A user to be.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    pub name: String,
    pub roles: Vec<String>,
    /// Hash of the password; without one a link is made with which they choose it.
    pub password: Option<String>,
    pub oidc: Option<String>,
}

/// What is to change of a user; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    pub roles: Option<Vec<String>>,
    pub disabled: Option<bool>,
    /// Hash of the new password.
    pub password: Option<String>,
    /// Takes the second factor away.
    pub totp_off: bool,
    pub totp: Option<TotpRecord>,
    /// Ends all sessions.
    pub end_sessions: bool,
    /// Makes a link with which they choose a new password.
    pub link: bool,
}

/// A token to be.
#[derive(Clone, Debug, Default)]
pub struct NewToken {
    pub name: String,
    pub scopes: Vec<String>,
    pub companies: Vec<String>,
    pub expires_at: Option<Wall>,
}

/// Names that mean something else in the journal.
const RESERVED: [&str; 8] = ["token", "local", "operator", "rule", "retention", "disk", "system", "configuration"];

impl People {
    /// Adds a user. `link`: gives the text of a one-time link when there is no password. Blocks.
    pub fn add(&self, asks: &Asks<'_>, new: NewUser) -> Result<Option<String>, Denied> {
        let name = name(&new.name)?;
        let grants = grants(&new.roles)?;
        covered(asks, &Rights::of_grants(&grants))?;
        let (roles, now) = (written(&grants), clock::wall());
        self.store.change(|book| {
            if book.users.iter().any(|user| user.name == name) {
                return Err(Denied::Taken);
            }
            if book.users.len() >= limits::USERS {
                return Err(Denied::Full);
            }
            let link = match (&new.password, &new.oidc) {
                (None, None) => Some(link(book, Some(&name), now)?),
                _ => None,
            };
            book.users.push(UserRecord {
                name: name.clone(),
                roles: roles.clone(),
                password: new.password,
                generation: 1,
                created_at: now,
                oidc: new.oidc,
                ..UserRecord::default()
            });
            self.told(asks, &name, "created", roles)?;
            Ok(link)
        })
    }

    /// Changes a user. Of one's own account `Right::Users` is not wanted: the caller sees to that. Blocks.
    pub fn change(&self, asks: &Asks<'_>, who: &str, change: UserChange) -> Result<Option<String>, Denied> {
        let grants = change.roles.as_deref().map(grants).transpose()?;
        if let Some(grants) = &grants {
            covered(asks, &Rights::of_grants(grants))?;
        }
        let now = clock::wall();
        let made = self.store.change(|book| {
            let had_owner = has_owner(book);
            let user = book.users.iter_mut().find(|user| user.name == who).ok_or(Denied::Unknown)?;
            if user.name != asks.name {
                covered(asks, &user.rights())?;
            }
            let mut told: Vec<(&str, Vec<String>)> = Vec::new();
            if let Some(grants) = &grants {
                user.roles = written(grants);
                told.push(("roles", user.roles.clone()));
            }
            if let Some(disabled) = change.disabled {
                user.disabled = disabled;
                told.push((if disabled { "disabled" } else { "enabled" }, Vec::new()));
            }
            if let Some(hash) = change.password {
                user.password = Some(hash);
                told.push(("password", Vec::new()));
            }
            if change.totp_off && user.totp.take().is_some() {
                told.push(("totp_off", Vec::new()));
            }
            if let Some(totp) = change.totp {
                user.totp = Some(totp);
                told.push(("totp_on", Vec::new()));
            }
            if change.end_sessions {
                told.push(("sessions_ended", Vec::new()));
            }
            // Whatever changed, who signed in before signs in again.
            let voids = told.iter().any(|(what, _)| !matches!(*what, "roles" | "totp_on"));
            user.generation += u64::from(voids);
            let name = user.name.clone();
            if had_owner && !has_owner(book) {
                return Err(Denied::LastOwner);
            }
            let link = if change.link { Some(link(book, Some(&name), now)?) } else { None };
            for (what, roles) in told {
                self.told(asks, &name, what, roles)?;
            }
            Ok::<_, Denied>(link)
        })?;
        Ok(made)
    }

    /// Takes a user away. Blocks.
    pub fn remove(&self, asks: &Asks<'_>, who: &str) -> Result<(), Denied> {
        self.store.change(|book| {
            let had_owner = has_owner(book);
            let at = book.users.iter().position(|user| user.name == who).ok_or(Denied::Unknown)?;
            let user = book.users.remove(at);
            covered(asks, &user.rights())?;
            if had_owner && !has_owner(book) {
                return Err(Denied::LastOwner);
            }
            book.links.retain(|link| link.user.as_deref() != Some(who));
            self.told(asks, who, "deleted", Vec::new())
        })?;
        self.end_sessions(who);
        Ok(())
    }

    /// Makes an API token: its id, and the token, which nobody can read again. Blocks.
    pub fn add_token(&self, asks: &Asks<'_>, new: NewToken) -> Result<(TokenRecord, String), Denied> {
        let name = name(&new.name)?;
        if new.scopes.is_empty() {
            return Err(Denied::Bad("A token without scopes may do nothing.".to_owned()));
        }
        let bad = |scope: &String| scope.parse::<Right>().is_err();
        if let Some(scope) = new.scopes.iter().find(|scope| bad(scope)) {
            let known: Vec<&str> = Right::ALL.iter().map(|right| right.as_str()).collect();
            return Err(Denied::Bad(format!("There is no scope `{scope}`; there are {}.", known.join(", "))));
        }
        let failed = || Denied::Io(io::Error::other("the system gives no random bytes"));
        let token = format!("{TOKEN_MARK}{}", secret::random().ok_or_else(failed)?);
        let id: String = secret::random().ok_or_else(failed)?.chars().take(16).collect();
        let record = TokenRecord {
            id,
            name: name.clone(),
            sha256: secret::sha256(&token),
            scopes: new.scopes,
            companies: new.companies,
            created_at: clock::wall(),
            created_by: asks.name.to_owned(),
            expires_at: new.expires_at,
        };
        covered(asks, &record.rights())?;
        self.store.change(|book| {
            if book.tokens.len() >= limits::USERS {
                return Err(Denied::Full);
            }
            if book.tokens.iter().any(|token| token.name == name) {
                return Err(Denied::Taken);
            }
            book.tokens.push(record.clone());
            let roles = record.scopes.iter().map(|scope| match record.companies.is_empty() {
                true => format!("{scope}@*"),
                false => format!("{scope}@{}", record.companies.join(",")),
            });
            self.told(asks, &format!("token:{name}"), "token_created", roles.collect())?;
            Ok((record, token))
        })
    }

    /// Takes a token away. Blocks.
    pub fn remove_token(&self, asks: &Asks<'_>, id: &str) -> Result<(), Denied> {
        self.store.change(|book| {
            let at = book.tokens.iter().position(|token| token.id == id).ok_or(Denied::Unknown)?;
            let token = book.tokens.remove(at);
            // Of another company's tokens nobody hears.
            covered(asks, &token.rights()).map_err(|_| Denied::Unknown)?;
            self.told(asks, &format!("token:{}", token.name), "token_deleted", Vec::new())
        })
    }

    /// Takes in whom the identity provider knows: the account of this subject, else the one of this name that has no
    /// subject yet, else, when groups give roles, a new one. `roles`: what the groups give now, where they decide. Gives
    /// the account's name. Blocks.
    pub fn known_elsewhere(
        &self,
        identity: &Identity,
        roles: Option<Vec<String>>,
        address: String,
    ) -> Result<String, Denied> {
        let wanted = roles.as_deref().map(grants).transpose()?.map(|grants| written(&grants));
        if wanted.as_ref().is_some_and(Vec::is_empty) {
            return Err(Denied::TooMuch);
        }
        let now = clock::wall();
        let all = Rights::all();
        let asks = Asks { name: "identity provider", rights: &all, address };
        self.store.change(|book| {
            let had_owner = has_owner(book);
            let by_subject = |user: &UserRecord| user.oidc.as_deref() == Some(identity.subject.as_str());
            let by_name = |user: &UserRecord| user.oidc.is_none() && user.name == identity.name;
            let at = book.users.iter().position(by_subject).or_else(|| book.users.iter().position(by_name));
            let Some(at) = at else {
                let name = name(&identity.name)?;
                let roles = wanted.clone().ok_or(Denied::Unknown)?;
                if book.users.iter().any(|user| user.name == name) {
                    return Err(Denied::Taken);
                }
                if book.users.len() >= limits::USERS {
                    return Err(Denied::Full);
                }
                book.users.push(UserRecord {
                    name: name.clone(),
                    roles: roles.clone(),
                    generation: 1,
                    created_at: now,
                    oidc: Some(identity.subject.clone()),
                    ..UserRecord::default()
                });
                self.told(&asks, &name, "created", roles)?;
                return Ok(name);
            };
            let Some(user) = book.users.get_mut(at).filter(|user| !user.disabled) else { return Err(Denied::Unknown) };
            let name = user.name.clone();
            let is_new = user.oidc.is_none();
            user.oidc = Some(identity.subject.clone());
            let before = user.roles.clone();
            if let Some(roles) = &wanted {
                user.roles.clone_from(roles);
            }
            if had_owner && !has_owner(book) {
                // The node keeps its last owner, whatever the groups say.
                if let Some(user) = book.users.get_mut(at) {
                    user.roles.clone_from(&before);
                }
            }
            if is_new {
                self.told(&asks, &name, "linked", Vec::new())?;
            }
            let after = book.users.get(at).map(|user| user.roles.clone()).unwrap_or_default();
            if after != before {
                self.told(&asks, &name, "roles", after)?;
            }
            Ok(name)
        })
    }

    /// A link with which the first owner is made, when there is no user; the links before are void. Blocks.
    pub fn first_link(&self) -> io::Result<Option<String>> {
        let now = clock::wall();
        let made = self.store.change(|book| {
            if !book.users.is_empty() {
                return Ok(None);
            }
            book.links.clear();
            link(book, None, now).map(Some)
        });
        made.map_err(|denied| match denied {
            Denied::Io(error) => error,
            denied => io::Error::other(format!("{denied:?}")),
        })
    }

    /// Follows a one-time link: its user gets this password; without a user, a first owner of this name is made. Gives the
    /// name. Blocks.
    pub fn follow(&self, link: &str, as_name: Option<&str>, hash: &str, address: String) -> Result<String, Denied> {
        let (given, now) = (secret::sha256(link), clock::wall());
        self.store.change(|book| {
            let at = book.links.iter().position(|link| link.sha256 == given && now < link.expires_at);
            let link = book.links.remove(at.ok_or(Denied::Unknown)?);
            let (name, what, roles) = match link.user {
                Some(name) => {
                    let user = book.users.iter_mut().find(|user| user.name == name).ok_or(Denied::Unknown)?;
                    user.password = Some(hash.to_owned());
                    user.generation += 1;
                    (name, "password", Vec::new())
                }
                None if !book.users.is_empty() => return Err(Denied::Unknown),
                None => {
                    let name = name(as_name.unwrap_or_default())?;
                    let roles = vec!["owner@*".to_owned()];
                    book.users.push(UserRecord {
                        name: name.clone(),
                        roles: roles.clone(),
                        password: Some(hash.to_owned()),
                        generation: 1,
                        created_at: now,
                        ..UserRecord::default()
                    });
                    (name, "created", roles)
                }
            };
            let all = Rights::all();
            let asks = Asks { name: &name, rights: &all, address };
            self.told(&asks, &name, what, roles)?;
            Ok(name)
        })
    }

    /// Who this link is for; `Some(None)`: for a first owner.
    pub fn link_for(&self, link: &str) -> Option<Option<String>> {
        let (given, now) = (secret::sha256(link), clock::now());
        let loaded = self.now(now.mono);
        let found = loaded.book.links.iter().find(|link| link.sha256 == given && now.wall < link.expires_at)?;
        Some(found.user.clone())
    }

    fn told(&self, asks: &Asks<'_>, user: &str, what: &str, roles: Vec<String>) -> Result<(), Denied> {
        let told = self.tell(WorkEvent::UserChanged(UserData {
            user: user.to_owned(),
            by: asks.name.to_owned(),
            what: what.to_owned(),
            address: asks.address.clone(),
            roles,
        }));
        if told { Ok(()) } else { Err(Denied::Journal) }
    }
}

/// What somebody else has changed, as the journal tells it.
pub(super) fn differences(before: &Book, after: &Book) -> Vec<UserData> {
    let told = |user: &str, what: &str, roles: Vec<String>| UserData {
        user: user.to_owned(),
        by: "operator".to_owned(),
        what: what.to_owned(),
        address: String::new(),
        roles,
    };
    let mut all = Vec::new();
    for user in &after.users {
        match before.users.iter().find(|old| old.name == user.name) {
            None => all.push(told(&user.name, "created", user.roles.clone())),
            Some(old) => {
                if old.roles != user.roles {
                    all.push(told(&user.name, "roles", user.roles.clone()));
                }
                if old.password != user.password {
                    all.push(told(&user.name, "password", Vec::new()));
                }
                if old.totp.is_some() && user.totp.is_none() {
                    all.push(told(&user.name, "totp_off", Vec::new()));
                }
                if old.disabled != user.disabled {
                    all.push(told(&user.name, if user.disabled { "disabled" } else { "enabled" }, Vec::new()));
                }
            }
        }
    }
    let gone = before.users.iter().filter(|old| after.users.iter().all(|user| user.name != old.name));
    all.extend(gone.map(|old| told(&old.name, "deleted", Vec::new())));
    all
}

fn covered(asks: &Asks<'_>, wanted: &Rights) -> Result<(), Denied> {
    if asks.rights.covers(wanted) { Ok(()) } else { Err(Denied::TooMuch) }
}

/// Somebody may make others owners.
fn has_owner(book: &Book) -> bool {
    book.users.iter().any(|user| !user.disabled && user.rights().may_everywhere(Right::Own))
}

fn name(text: &str) -> Result<String, Denied> {
    let name = text.trim().to_lowercase();
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.@+".contains(&b);
    if !(1..=64).contains(&name.len()) || !name.bytes().all(good) {
        let how = "A name has 1 to 64 of a-z, 0-9, `-`, `_`, `.`, `@`, `+`; an e-mail address is one.";
        return Err(Denied::Bad(how.to_owned()));
    }
    if RESERVED.contains(&name.as_str()) {
        return Err(Denied::Bad(format!("`{name}` means something else in the journal; take another name.")));
    }
    Ok(name)
}

fn grants(roles: &[String]) -> Result<Vec<Grant>, Denied> {
    if roles.len() > limits::USER_GRANTS {
        return Err(Denied::Bad(format!("A user has {} roles at most.", limits::USER_GRANTS)));
    }
    let read = |role: &String| role.parse().map_err(|bad| Denied::Bad(format!("`{}`: {bad}.", role.escape_debug())));
    let mut grants: Vec<Grant> = roles.iter().map(read).collect::<Result<_, _>>()?;
    grants.sort();
    grants.dedup();
    Ok(grants)
}

fn written(grants: &[Grant]) -> Vec<String> {
    grants.iter().map(Grant::to_string).collect()
}

/// A new link; those of the same user before are void.
fn link(book: &mut Book, user: Option<&str>, now: Wall) -> Result<String, Denied> {
    let text = secret::random().ok_or_else(|| Denied::Io(io::Error::other("the system gives no random bytes")))?;
    book.links.retain(|link| now < link.expires_at && link.user.as_deref() != user);
    if book.links.len() >= limits::USERS {
        return Err(Denied::Full);
    }
    book.links.push(LinkRecord {
        sha256: secret::sha256(&text),
        user: user.map(str::to_owned),
        expires_at: now + limits::SETUP_LINK,
    });
    Ok(text)
}

/// Rights of the command line: whoever may write the file may do anything.
pub fn operator(rights: &Arc<Rights>) -> Asks<'_> {
    Asks { name: "operator", rights, address: String::new() }
}
