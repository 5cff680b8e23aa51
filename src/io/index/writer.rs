//! The writing thread: follows the journal, keeps its place, and survives a full disk and a damaged file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};
use tokio::sync::mpsc::{self, error::TryRecvError};

use super::project::Projector;
use super::settings::Settings;
use super::{IndexError, Order, Shared, State, rebuild, schema};
use crate::core::event::Event;
use crate::io::journal::{Journal, Record};
use crate::limits;

/// What the thread was waiting for.
enum Wake {
    Order(Order),
    News,
    /// Nobody is left to write for.
    End,
}

/// Runs until there is nobody to write for.
pub(super) fn run(
    shared: &Arc<Shared>,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    back: &mpsc::WeakUnboundedSender<Order>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "there is no index"),
    };
    let mut newest = shared.journal.watch();
    let mut live: Option<Live> = None;
    let mut builder = None;
    loop {
        match inbox.try_recv() {
            Ok(order) => obey(shared, order, &mut live, &mut builder, back),
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {}
        }
        newest.borrow_and_update();
        let wait = match step(shared, &mut live) {
            Ok(true) => continue,
            Ok(false) => None,
            Err(error) => {
                refused(shared, &error, &mut live);
                Some(limits::INDEX_RETRY)
            }
        };
        let wake = runtime.block_on(async {
            let again = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = inbox.recv() => order.map_or(Wake::End, Wake::Order),
                Ok(()) = newest.changed(), if wait.is_none() => Wake::News,
                () = again => Wake::News,
            }
        });
        match wake {
            Wake::Order(order) => obey(shared, order, &mut live, &mut builder, back),
            Wake::News => {}
            Wake::End => break,
        }
    }
    // The last one to close the file: the log goes into it, which those who only read may not do.
    shared.readers.alone(|| drop(live));
    if let Some(builder) = builder {
        // It looks whether anybody is left after every batch.
        let _ = std::thread::JoinHandle::join(builder);
    }
}

fn obey(
    shared: &Arc<Shared>,
    order: Order,
    live: &mut Option<Live>,
    builder: &mut Option<std::thread::JoinHandle<()>>,
    back: &mpsc::WeakUnboundedSender<Order>,
) {
    match order {
        Order::Rebuild if builder.as_ref().is_some_and(|builder| !builder.is_finished()) => {}
        Order::Rebuild => *builder = rebuild::beside(shared, back.clone()),
        Order::Swap => {
            *live = None;
            if let Err(error) = shared.readers.alone(|| replace(&shared.path)) {
                tracing::error!(%error, "the new index cannot take its place");
            }
            let mut status = shared.status();
            (status.rebuild, status.rebuilt) = (None, status.rebuilt + 1);
        }
        Order::Configure(settings) => configure(shared, live, &settings),
        Order::Damaged => {
            tracing::error!("the index is damaged: it is made anew from the journal");
            *live = None;
            shared.readers.alone(|| discard(&shared.path));
        }
    }
}

fn configure(shared: &Shared, live: &mut Option<Live>, settings: &Arc<Settings>) {
    let Some(open) = live else { return };
    match open.configure(settings) {
        Ok(true) => {}
        Ok(false) => {
            tracing::info!("a company has another time zone: the index is made anew");
            *live = None;
            shared.readers.alone(|| discard(&shared.path));
        }
        Err(error) => refused(shared, &error, live),
    }
}

/// Opens the file, or takes in the next records; `false`: there are none.
fn step(shared: &Shared, live: &mut Option<Live>) -> Result<bool, IndexError> {
    let open = match live {
        Some(open) => open,
        None => {
            let settings = shared.settings.load_full();
            let open = shared.readers.alone(|| Live::open(&shared.path, &shared.journal, &settings))?;
            live.insert(open)
        }
    };
    let more = open.step(&shared.journal)?;
    shared.status().state = if open.building { State::Building } else { State::Following };
    shared.position.send_replace(open.seq);
    Ok(more)
}

/// The disk is full, or the file is damaged. Nothing is lost: the journal has it all.
fn refused(shared: &Shared, error: &IndexError, live: &mut Option<Live>) {
    let before = std::mem::replace(&mut shared.status().state, State::Refused);
    if let IndexError::Sql(error) = error
        && is_damage(error)
    {
        tracing::error!(%error, "the index is damaged: it is made anew from the journal");
        *live = None;
        shared.readers.alone(|| discard(&shared.path));
    } else if before != State::Refused {
        tracing::warn!(%error, "the index cannot be written and falls behind; calls go on");
    }
}

impl Live {
    /// Opens the index at `path`; one that is missing, of another version, of another journal or damaged is begun anew.
    pub(super) fn open(path: &Path, journal: &Journal, settings: &Settings) -> Result<Live, IndexError> {
        let existing = if path.exists() { Live::existing(path, journal, settings) } else { Ok(None) };
        match existing {
            Ok(Some(live)) => return Ok(live),
            Err(IndexError::Sql(error)) if is_damage(&error) => {
                tracing::error!(%error, "the index is damaged: it is made anew from the journal");
            }
            Err(error) => return Err(error),
            Ok(None) => {}
        }
        discard(path);
        Live::fresh(path, settings)
    }

    /// Begins an index.
    pub(super) fn fresh(path: &Path, settings: &Settings) -> Result<Live, IndexError> {
        use std::os::unix::fs::OpenOptionsExt;
        // Personal data: nobody else's to read. The log beside it takes its mode from it.
        std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let connection = connect(path)?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.execute_batch(schema::TABLES)?;
        set(&connection, "schema", schema::VERSION)?;
        set(&connection, "building", "1")?;
        Ok(Live { connection, projector: Projector::new(settings.clone()), seq: 0, building: true })
    }

    fn existing(path: &Path, journal: &Journal, settings: &Settings) -> Result<Option<Live>, IndexError> {
        let connection = connect(path)?;
        let tables = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'";
        if connection.query_row(tables, [], |row| row.get::<_, i64>(0))? == 0
            || get(&connection, "schema")?.as_deref() != Some(schema::VERSION)
            // An end in the middle of the past: it was not waited for the disk.
            || get(&connection, "building")?.as_deref() != Some("0")
            || Projector::other_calendars(&connection, settings)?
        {
            return Ok(None);
        }
        let seq: u64 = get(&connection, "seq")?.and_then(|seq| seq.parse().ok()).unwrap_or(0);
        if seq > 0 {
            let hash = get(&connection, "hash")?.unwrap_or_default();
            let of_journal = journal.get(seq)?;
            if of_journal.is_none_or(|record| record.hash.to_string() != hash) {
                tracing::warn!("the index is of another journal: it is made anew");
                return Ok(None);
            }
        }
        let mut live = Live { connection, projector: Projector::new(settings.clone()), seq, building: false };
        live.configure(settings)?;
        Ok(Some(live))
    }

    /// Another configuration. `false`: the index must be made anew for it.
    fn configure(&mut self, settings: &Settings) -> Result<bool, IndexError> {
        if Projector::other_calendars(&self.connection, settings)? {
            return Ok(false);
        }
        let transaction = self.connection.unchecked_transaction()?;
        let done = self.projector.configure(&transaction, settings.clone());
        match done.and_then(|()| transaction.commit()) {
            Ok(()) => Ok(true),
            Err(error) => {
                self.projector.undo();
                Err(error.into())
            }
        }
    }

    /// Takes in the next records; `false`: there are no more.
    pub(super) fn step(&mut self, journal: &Journal) -> Result<bool, IndexError> {
        let last = journal.last_seq();
        let mut records = journal.read(self.seq, limits::JOURNAL_READ)?;
        while self.building && !records.is_empty() && records.len() < limits::INDEX_BULK {
            let after = records.last().map_or(self.seq, |record| record.seq);
            let more = journal.read(after, limits::JOURNAL_READ)?;
            if more.is_empty() {
                break;
            }
            records.extend(more);
        }
        if records.is_empty() {
            // Behind it are damaged lines only.
            self.seq = self.seq.max(last);
            self.built()?;
            return Ok(false);
        }
        match self.take(&records) {
            Ok(()) => Ok(true),
            Err(IndexError::Sql(error)) if is_of_one_record(&error) => {
                tracing::error!(%error, "an event cannot be taken into the index: one by one");
                self.one_by_one(&records)?;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// All of them or none.
    pub(super) fn take(&mut self, records: &[Record]) -> Result<(), IndexError> {
        let Some(newest) = records.last() else { return Ok(()) };
        // Of a newer version, or not ours: there is nothing to show.
        let event = |record: &Record| Some((record.seq, record.event().ok()?.1));
        self.take_all(records.iter().filter_map(event), (newest.seq, &newest.hash.to_string()))
    }

    /// Events of no journal.
    pub(super) fn take_events(&mut self, events: &[(u64, Event)]) -> Result<(), IndexError> {
        let Some((newest, _)) = events.last() else { return Ok(()) };
        self.take_all(events.iter().cloned(), (*newest, ""))
    }

    fn take_all(
        &mut self,
        events: impl Iterator<Item = (u64, Event)>,
        (seq, hash): (u64, &str),
    ) -> Result<(), IndexError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let projector = &mut self.projector;
        let taken = (|| {
            for (seq, event) in events {
                projector.take(&transaction, seq, &event)?;
            }
            projector.finish(&transaction)?;
            set(&transaction, "seq", &seq.to_string())?;
            set(&transaction, "hash", hash)?;
            transaction.commit()
        })();
        match taken {
            Ok(()) => self.seq = seq,
            Err(error) => {
                self.projector.undo();
                return Err(error.into());
            }
        }
        if self.projector.has_forgotten() {
            // Neither the log nor the file keeps what was taken out. A reader may hold it up; the next one does it then.
            self.checkpoint()?;
        }
        Ok(())
    }

    /// What cannot be taken in is passed over and told of.
    fn one_by_one(&mut self, records: &[Record]) -> Result<(), IndexError> {
        for record in records {
            match self.take(std::slice::from_ref(record)) {
                Err(IndexError::Sql(error)) if is_of_one_record(&error) => {
                    tracing::error!(seq = record.seq, %error, "this event is not in the index");
                    self.seq = record.seq;
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// The past has been taken in: what readers need is made, and the disk is waited for from now on.
    pub(super) fn built(&mut self) -> Result<(), IndexError> {
        if self.building {
            self.connection.execute_batch(schema::INDEXES)?;
            self.connection.pragma_update(None, "synchronous", "NORMAL")?;
            set(&self.connection, "building", "0")?;
            self.checkpoint()?;
            self.building = false;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The log goes into the file, and is empty.
    fn checkpoint(&self) -> Result<(), IndexError> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

/// An open index that is written to.
#[derive(Debug)]
pub(super) struct Live {
    connection: Connection,
    projector: Projector,
    /// Number of the last record that is in it.
    pub(super) seq: u64,
    /// The past is being taken in: without the indexes of readers, and without waiting for the disk.
    pub(super) building: bool,
}

/// The bytes on the disk are not what was written.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Nothing is wrong with the file: it is what the record says.
fn is_of_one_record(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => {
            matches!(
                code,
                ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig | ErrorCode::Unknown
            )
        }
        None => true,
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(limits::INDEX_PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -limits::INDEX_WRITER_KIB)?;
    // What was erased does not stay behind in free pages.
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.set_prepared_statement_cache_capacity(limits::INDEX_STATEMENTS);
    Ok(connection)
}

pub(super) fn get(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()
}

fn set(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    let text = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    connection.prepare_cached(text)?.execute(params![name, value])?;
    Ok(())
}

/// The file that a rebuild writes.
pub(super) fn beside(path: &Path) -> PathBuf {
    path.with_extension("sqlite.new")
}

/// Removes an index with its log.
pub(super) fn discard(path: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::error!(file = %Path::new(&name).display(), %error, "cannot remove");
            }
            _ => {}
        }
    }
}

/// Puts a new index in the place of the old one. Nobody has either open.
pub(super) fn replace(path: &Path) -> std::io::Result<()> {
    discard(path);
    std::fs::rename(beside(path), path)
}
