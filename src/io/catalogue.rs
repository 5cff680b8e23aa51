//! Versions of the catalogue on the disk: `<data_dir>/catalogue/00000007.json`, one file a version, written before it is in
//! force and never changed.
//!
//! *File and catalogue.* The configuration file is the base and version 0. A catalogue that was put through the API stands
//! in front of the sites, pools, routes and `[company.tracking]` of the file, at every reload and restart, until somebody
//! rolls back to version 0; what the file says of them then counts again. Everything else always comes from the file, and so
//! does a company that the catalogue does not name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use crate::config::{BUILTIN, Company, Config, Problem, Problems, Tracking};
use crate::core::catalogue::{Ledger, Row, document};
use crate::core::event::Event;
use crate::io::archive::write_whole;
use crate::limits;
use crate::time::Wall;

/// One version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    pub version: u64,
    /// When it was put.
    pub at: String,
    /// Who put it: the name of a user of the API.
    pub by: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
    /// What it changed.
    pub changes: Vec<String>,
    /// The version that this is a copy of, when it is a roll-back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rolled_back_to: Option<u64>,
    /// None: what the file says.
    pub catalogue: Option<Value>,
}

/// Why a catalogue was not taken. Nothing has changed then.
#[derive(Debug)]
pub enum Refused {
    /// Somebody changed it meanwhile: the tag that is in force.
    Stale(String),
    /// What is wrong, by key.
    Bad(Vec<(String, String)>),
    UnknownVersion,
    /// Calls of this company would go elsewhere, by this key, and who wants it may not say so.
    Route(String, &'static str),
    Io(io::Error),
}

/// What somebody wants to be in force.
#[derive(Debug)]
pub struct Wanted {
    pub what: What,
    /// The tag that they saw last.
    pub if_match: String,
    pub by: String,
    pub note: Option<String>,
    /// They may change where calls go.
    pub may_route: bool,
}

/// See [`Wanted`].
#[derive(Debug)]
pub enum What {
    Catalogue(Value),
    RollBack(u64),
}

/// What HTTP asks of the task that owns the configuration.
#[derive(Debug)]
pub enum Ask {
    /// What is in force, or an earlier version; unmasked.
    Show {
        version: Option<u64>,
        answer: oneshot::Sender<Result<Shown, Refused>>,
    },
    Take {
        wanted: Box<Wanted>,
        answer: oneshot::Sender<Result<Shown, Refused>>,
    },
    /// What [`Ask::Take`] would find wrong with a catalogue, by key; nothing changes.
    Check {
        catalogue: Box<Value>,
        answer: oneshot::Sender<Vec<(String, String)>>,
    },
    Versions {
        limit: usize,
        answer: oneshot::Sender<Result<Vec<Value>, Refused>>,
    },
}

/// A version, its tag and its catalogue.
pub type Shown = (Version, String, Value);

/// The way there.
pub type Orders = mpsc::Sender<Ask>;

/// The ledger, written by the journal's thread and read by whoever asks.
#[derive(Debug, Default)]
pub struct Books(Mutex<Ledger>);

impl Books {
    /// Takes in one event of the journal.
    pub fn observe(&self, event: &Event) {
        self.lock().observe(event);
    }

    /// See [`Ledger::month`].
    pub fn month(&self, config: &Config, at: Wall) -> Vec<Row> {
        self.lock().month(config, at)
    }

    /// See [`Ledger::exhausted`].
    pub fn exhausted(&self, company: &str, tracking: &Tracking, at: Wall) -> Option<&'static str> {
        self.lock().exhausted(company, tracking, at)
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The versions, and which is in force.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    current: Option<Version>,
}

impl Store {
    /// Reads which version is in force.
    ///
    /// # Errors
    /// The folder or its newest version cannot be read.
    pub fn open(data_dir: &Path) -> io::Result<Store> {
        let folder = data_dir.join("catalogue");
        let mut store = Store { folder, current: None };
        store.current = match store.numbers()?.last() {
            Some(last) => Some(store.read(*last)?),
            None => None,
        };
        Ok(store)
    }

    /// This configuration with the sites, pools, routes and prices that are in force. `file`: where it came from.
    ///
    /// # Errors
    /// Both do not fit together; everything that is wrong.
    pub fn applied(&self, config: Config, file: Option<&Path>) -> Result<Config, Problems> {
        let Some(Version { version, catalogue: Some(catalogue), .. }) = &self.current else { return Ok(config) };
        let name = format!("version {version} of the catalogue");
        checked(file, catalogue, &name).map(|good| taken_over(config, good)).map_err(|problems| {
            let problem = |(key, message)| Problem { file: name.clone(), line: 0, column: 0, key, message };
            Problems { problems: problems.into_iter().map(problem).collect() }
        })
    }

    /// What is in force, unmasked, with its version and tag.
    ///
    /// # Errors
    /// The configuration file cannot be read.
    fn shown(&self, file: Option<&Path>) -> Result<(u64, String, Value), String> {
        let catalogue = whole(self.current.as_ref().and_then(|current| current.catalogue.as_ref()), file)?;
        let version = self.current.as_ref().map_or(0, |current| current.version);
        let hash = Sha256::digest(catalogue.to_string());
        let short: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Ok((version, format!("\"{version}-{short}\""), catalogue))
    }

    /// What is in force, or an earlier version with its catalogue as it was; 0: what the file says now.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn show(&self, version: Option<u64>, file: Option<&Path>) -> Result<Shown, Refused> {
        let unreadable = |message: String| Refused::Bad(vec![(String::new(), message)]);
        let (current, tag, catalogue) = self.shown(file).map_err(unreadable)?;
        let asked = version.unwrap_or(current);
        if asked == 0 {
            let (by, at) = ("configuration file".to_owned(), String::new());
            let zero =
                Version { version: 0, at, by, note: None, changes: Vec::new(), rolled_back_to: None, catalogue: None };
            return Ok((zero, if current == 0 { tag } else { String::new() }, whole(None, file).map_err(unreadable)?));
        }
        let found = self.read(asked).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Refused::UnknownVersion,
            _ => Refused::Io(error),
        })?;
        if asked == current {
            return Ok((found, tag, catalogue));
        }
        let catalogue = whole(found.catalogue.as_ref(), file).map_err(unreadable)?;
        Ok((found, String::new(), catalogue))
    }

    /// Checks what somebody wants and writes it as the next version: from then on it is in force.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn take(
        &mut self,
        wanted: Wanted,
        config: &Config,
        file: Option<&Path>,
        at: Wall,
    ) -> Result<(Version, Config), Refused> {
        let unreadable = |message: String| Refused::Bad(vec![(String::new(), message)]);
        let (version, tag, before) = self.shown(file).map_err(unreadable)?;
        if wanted.if_match != "*" && wanted.if_match != tag {
            return Err(Refused::Stale(tag));
        }
        let (catalogue, rolled_back_to) = match wanted.what {
            What::Catalogue(new) => (Some(document::unmasked(new, &before)), None),
            What::RollBack(0) => (None, Some(0)),
            What::RollBack(to) => match self.read(to) {
                Ok(old) => (old.catalogue, Some(to)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Refused::UnknownVersion),
                Err(error) => return Err(Refused::Io(error)),
            },
        };
        let after = whole(catalogue.as_ref(), file).map_err(unreadable)?;
        if let Some((company, key)) = document::rerouted(&before, &after).filter(|_| !wanted.may_route) {
            return Err(Refused::Route(company, key));
        }
        let good = checked(file, &after, "catalogue").map_err(Refused::Bad)?;
        let next = Version {
            version: version + 1,
            at: at.to_rfc3339(),
            by: wanted.by,
            note: wanted.note,
            changes: document::changes(&before, &after),
            rolled_back_to,
            catalogue,
        };
        self.write(&next).map_err(Refused::Io)?;
        self.current = Some(next.clone());
        Ok((next, taken_over(config.clone(), good)))
    }

    /// What [`Store::take`] would find wrong with this catalogue, by key.
    pub fn wrong(&self, catalogue: Value, file: Option<&Path>) -> Vec<(String, String)> {
        match self.shown(file) {
            Ok((_, _, before)) => {
                checked(file, &document::unmasked(catalogue, &before), "catalogue").err().unwrap_or_default()
            }
            Err(message) => vec![(String::new(), message)],
        }
    }

    /// Every version that is kept, newest first, without the catalogues.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn versions(&self, most: usize) -> io::Result<Vec<Value>> {
        let current = self.current.as_ref().map_or(0, |current| current.version);
        let mut all = Vec::new();
        for number in self.numbers()?.into_iter().rev().take(most) {
            let version = self.read(number)?;
            let mut shown = json!(version);
            if let Some(shown) = shown.as_object_mut() {
                shown.remove("catalogue");
                shown.insert("current".to_owned(), (number == current).into());
                shown.insert("from_file".to_owned(), version.catalogue.is_none().into());
            }
            all.push(shown);
        }
        Ok(all)
    }

    /// One version.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn read(&self, version: u64) -> io::Result<Version> {
        let text = fs::read(self.path(version))?;
        serde_json::from_slice(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn path(&self, version: u64) -> PathBuf {
        self.folder.join(format!("{version:08}.json"))
    }

    /// Versions that are kept, oldest first.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// On the disk when this returns, whole or not at all. Holds the keys of staff links: for the owner's eyes.
    fn write(&self, version: &Version) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let text = serde_json::to_string_pretty(version).map_err(io::Error::other)?;
        write_whole(&self.path(version.version), text.as_bytes())?;
        let numbers = self.numbers()?;
        for old in numbers.iter().take(numbers.len().saturating_sub(limits::CATALOGUE_VERSIONS)) {
            fs::remove_file(self.path(*old))?;
        }
        Ok(())
    }
}

/// A catalogue with what it leaves to the file; without one, what the file says.
fn whole(catalogue: Option<&Value>, file: Option<&Path>) -> Result<Value, String> {
    let of_file = document::of_file(&base(file)?)?;
    Ok(match catalogue {
        Some(catalogue) => document::completed(catalogue.clone(), &of_file),
        None => of_file,
    })
}

/// The text of the configuration file, or the built-in one.
fn base(file: Option<&Path>) -> Result<String, String> {
    match file {
        None => Ok(BUILTIN.to_owned()),
        Some(path) => fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display())),
    }
}

/// The file's configuration with this catalogue, or everything that is wrong.
fn checked(file: Option<&Path>, catalogue: &Value, name: &str) -> Result<Config, Vec<(String, String)>> {
    let text = base(file).map_err(|message| vec![(String::new(), message)])?;
    let merged = document::merged(&text, catalogue)?;
    let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
    let found = |problems: Problems| {
        let names = document::companies(&merged);
        let of_catalogue = |p: Problem| (of_catalogue(&p.key, &names, catalogue), p.message);
        problems.problems.into_iter().map(of_catalogue).collect()
    };
    Config::parse(&merged, name, folder).map_err(found)
}

/// A key of the file as the catalogue has it: `pool[0].numbers` is `pools[0].numbers` there, `company[0].tracking.fee` is
/// `tracking.acme.fee`, and `company[0].forward_to` is that of the company of the same name. `names`: of the file's companies.
fn of_catalogue(key: &str, names: &[String], catalogue: &Value) -> String {
    let renamed = || {
        let (list, rest) = key.split_once('[')?;
        if ["site", "pool"].contains(&list) {
            return Some(format!("{list}s[{rest}"));
        }
        let (index, rest) = rest.split_once(']').filter(|_| list == "company")?;
        let name = names.get(index.parse::<usize>().ok()?)?;
        let first = rest.trim_start_matches('.').split(['.', '[']).next().unwrap_or_default();
        if first == "tracking" {
            return Some(format!("tracking.{name}{}", rest.get(".tracking".len()..).unwrap_or_default()));
        }
        let at = catalogue["companies"].as_array()?.iter().position(|company| company["name"] == **name)?;
        let is_of_catalogue = ["", "name"].contains(&first) || document::COMPANY.contains(&first);
        is_of_catalogue.then(|| format!("companies[{at}]{rest}"))
    };
    renamed().unwrap_or_else(|| key.to_owned())
}

/// Only what the catalogue is about comes from it: the rest may have been changed since the file was read. Which companies
/// there are comes as it was checked.
fn taken_over(config: Config, from: Config) -> Config {
    let company = |new: Arc<Company>| {
        let mut new = Arc::unwrap_or_clone(new);
        // Its trunks are those that are in force.
        new.go_through(&config.trunks);
        let old = config.companies.iter().find(|old| old.name == new.name);
        Arc::new(match old {
            Some(old) => old.routed_as(&new),
            None => new,
        })
    };
    let companies = from.companies.into_iter().map(company).collect();
    Config { companies, sites: from.sites, pools: from.pools, ..config }
}
