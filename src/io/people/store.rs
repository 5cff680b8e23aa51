//! `<data_dir>/users.json`: users and API tokens, with hashes of what only they know. The journal says who changed what; this
//! file is what is in force, and the only place of secrets: mode 0600, replaced whole, so that a crash leaves the old one
//! or the new one.
//!
//! The daemon and the command line may both change it, one after the other (`users.lock`). The daemon sees a change of the
//! command line within a second.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::core::rights::{Grant, Right, RightSet, Rights};
use crate::io::archive::write_whole;
use crate::limits;
use crate::time::{Mono, Wall};

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Book {
    pub version: u32,
    pub users: Vec<UserRecord>,
    pub tokens: Vec<TokenRecord>,
    pub links: Vec<LinkRecord>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserRecord {
    pub name: String,
    /// `marketer@acme`.
    pub roles: Vec<String>,
    /// PHC string of argon2id; absent: not chosen yet, or signs in elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totp: Option<TotpRecord>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Sessions of an older one are void.
    pub generation: u64,
    pub created_at: Wall,
    /// `sub` at the identity provider, of users who come from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<String>,
}

/// A second factor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TotpRecord {
    /// In base 32.
    pub secret: String,
    /// Time step of the last code that was taken: it and those before are not taken again.
    pub last_step: u64,
    /// SHA-256 of the recovery codes that are left, in hexadecimal.
    pub recovery: Vec<String>,
}

/// An API token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenRecord {
    pub id: String,
    pub name: String,
    /// Of the token, in hexadecimal: it has 256 random bits, so a slow hash would add nothing.
    pub sha256: String,
    pub scopes: Vec<String>,
    /// Empty: all.
    pub companies: Vec<String>,
    pub created_at: Wall,
    pub created_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Wall>,
}

/// A one-time link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkRecord {
    pub sha256: String,
    /// Who chooses a password with it; absent: whoever has it becomes the first owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    pub expires_at: Wall,
}

impl UserRecord {
    /// Grants that cannot be read give nothing.
    pub fn grants(&self) -> Vec<Grant> {
        self.roles.iter().filter_map(|role| role.parse().ok()).collect()
    }

    pub fn rights(&self) -> Rights {
        Rights::of_grants(&self.grants())
    }
}

impl TokenRecord {
    pub fn rights(&self) -> Rights {
        let scopes: Vec<Right> = self.scopes.iter().filter_map(|scope| scope.parse().ok()).collect();
        let companies: Vec<Arc<str>> = self.companies.iter().map(|company| company.as_str().into()).collect();
        Rights::of_scopes(RightSet::of(&scopes), &companies)
    }
}

/// The file as it was read, with look-ups.
#[derive(Debug, Default)]
pub struct Loaded {
    pub book: Book,
    users: HashMap<Arc<str>, (usize, Arc<Rights>)>,
    /// By hash.
    tokens: HashMap<String, (usize, Arc<Rights>)>,
}

impl Loaded {
    fn new(book: Book) -> Loaded {
        let users = book.users.iter().enumerate();
        let users = users.map(|(at, user)| (user.name.as_str().into(), (at, Arc::new(user.rights())))).collect();
        let tokens = book.tokens.iter().enumerate();
        let tokens = tokens.map(|(at, token)| (token.sha256.clone(), (at, Arc::new(token.rights())))).collect();
        Loaded { book, users, tokens }
    }

    /// A user who may sign in or has; disabled ones may not.
    pub fn user(&self, name: &str) -> Option<(&UserRecord, &Arc<Rights>)> {
        let (at, rights) = self.users.get(name)?;
        Some((self.book.users.get(*at).filter(|user| !user.disabled)?, rights))
    }

    /// The token of this hash, unless its time is over.
    pub fn token(&self, sha256: &str, now: Wall) -> Option<(&TokenRecord, &Arc<Rights>)> {
        let (at, rights) = self.tokens.get(sha256)?;
        let token = self.book.tokens.get(*at)?;
        token.expires_at.is_none_or(|until| now < until).then_some((token, rights))
    }
}

/// The file.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    lock: PathBuf,
    loaded: ArcSwap<Loaded>,
    stamp: Mutex<Stamp>,
    /// When it was last looked at, in nanoseconds of [`Mono`].
    looked: AtomicU64,
}

/// What tells one file from another.
type Stamp = Option<(u64, i64, i64, u64)>;

/// Between two looks at the file.
const LOOK: u64 = 1_000_000_000;

impl Store {
    pub fn open(data_dir: &Path) -> io::Result<Store> {
        let path = data_dir.join("users.json");
        let (book, stamp) = read(&path)?;
        Ok(Store {
            path,
            lock: data_dir.join("users.lock"),
            loaded: ArcSwap::from_pointee(Loaded::new(book)),
            stamp: Mutex::new(stamp),
            looked: AtomicU64::new(0),
        })
    }

    /// What is in force, and what it was before when somebody else has changed it since.
    pub fn current(&self, now: Mono) -> (Arc<Loaded>, Option<Arc<Loaded>>) {
        let looked = self.looked.load(Ordering::Relaxed);
        if now.0.saturating_sub(looked) < LOOK
            || self.looked.compare_exchange(looked, now.0, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return (self.loaded.load_full(), None);
        }
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp_of(&self.path).is_ok_and(|on_disk| on_disk == *stamp) {
            return (self.loaded.load_full(), None);
        }
        match read(&self.path) {
            Ok((book, on_disk)) => {
                *stamp = on_disk;
                let before = self.loaded.swap(Arc::new(Loaded::new(book)));
                (self.loaded.load_full(), Some(before))
            }
            Err(error) => {
                tracing::error!(%error, "users.json cannot be read; what was in force stays");
                (self.loaded.load_full(), None)
            }
        }
    }

    /// Changes the file under its lock: blocks. What `change` refuses is not written.
    pub fn change<T, E: From<io::Error>>(&self, change: impl FnOnce(&mut Book) -> Result<T, E>) -> Result<T, E> {
        let mut options = OpenOptions::new();
        let lock = options.create(true).write(true).truncate(false).mode(0o600).open(&self.lock)?;
        lock.lock()?;
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut book, _) = read(&self.path)?;
        let done = change(&mut book)?;
        book.version = 1;
        *stamp = write(&self.path, &book)?;
        self.loaded.store(Arc::new(Loaded::new(book)));
        Ok(done)
    }
}

fn stamp_of(path: &Path) -> io::Result<Stamp> {
    match std::fs::metadata(path) {
        Ok(meta) => Ok(Some((meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> io::Result<(Book, Stamp)> {
    let stamp = stamp_of(path)?;
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Book::default(), None)),
        other => other?,
    };
    let mut text = String::new();
    file.take(limits::USERS_FILE).read_to_string(&mut text)?;
    let book = serde_json::from_str(&text).map_err(io::Error::other)?;
    Ok((book, stamp))
}

fn write(path: &Path, book: &Book) -> io::Result<Stamp> {
    let mut text = serde_json::to_vec_pretty(book).map_err(io::Error::other)?;
    text.push(b'\n');
    write_whole(path, &text)?;
    stamp_of(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn user(name: &str) -> UserRecord {
        UserRecord { name: name.into(), roles: vec!["agent@acme".into()], ..UserRecord::default() }
    }

    fn add(store: &Store, name: &str) {
        store
            .change(|book| -> io::Result<()> {
                book.users.push(user(name));
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn what_was_written_is_read_by_others_and_is_nobody_elses_business() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
        add(&one, "anna");
        let mode = std::fs::metadata(folder.path().join("users.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(other.current(Mono(1)).0.user("anna").is_none(), "looks once a second");
        let (now, before) = other.current(Mono(2_000_000_000));
        assert!(now.user("anna").is_some() && before.is_some());
        assert!(other.current(Mono(4_000_000_000)).1.is_none());
        add(&other, "ben");
        let (now, _) = one.current(Mono(9_000_000_000));
        assert_eq!(now.book.users.iter().map(|user| &*user.name).collect::<Vec<_>>(), ["anna", "ben"]);
    }

    #[test]
    fn what_is_refused_is_not_written_and_what_cannot_be_read_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        add(&store, "anna");
        let refused = store.change(|book| -> Result<(), io::Error> {
            book.users.clear();
            Err(io::Error::other("no"))
        });
        assert!(refused.is_err() && store.current(Mono(5_000_000_000)).0.user("anna").is_some());
        std::fs::write(folder.path().join("users.json"), "{").unwrap();
        assert!(store.current(Mono(9_000_000_000)).0.user("anna").is_some());
        assert!(Store::open(folder.path()).is_err(), "nobody starts without knowing its users");
    }

    #[test]
    fn disabled_users_and_tokens_whose_time_is_over_are_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let token = TokenRecord { sha256: "aa".into(), expires_at: Some(Wall(5)), ..TokenRecord::default() };
        store
            .change(|book| -> io::Result<()> {
                book.users.push(UserRecord { disabled: true, ..user("anna") });
                book.tokens.push(token);
                Ok(())
            })
            .unwrap();
        let (now, _) = store.current(Mono(1));
        assert!(now.user("anna").is_none() && now.token("aa", Wall(5)).is_none() && now.token("aa", Wall(4)).is_some());
    }
}
