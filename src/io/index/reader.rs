//! Reading: a few connections that are lent out, each question in a transaction of its own.

use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};

use rusqlite::{Connection, OpenFlags};

use super::settings::Settings;
use super::{IndexError, Shared};
use crate::io::clock;
use crate::io::journal::Journal;
use crate::limits;

/// What a question is asked of.
#[derive(Debug)]
pub struct Reader<'r> {
    pub(super) connection: &'r Connection,
    /// Events stand there, not in the index.
    pub(super) journal: &'r Journal,
    /// The configuration in force.
    pub(super) settings: Arc<Settings>,
}

/// Connections for reading.
#[derive(Debug, Default)]
pub(super) struct Readers {
    /// Held by every question, and alone by who takes the file away.
    gate: RwLock<()>,
    lent: Mutex<Lent>,
    back: Condvar,
}

#[derive(Debug, Default)]
struct Lent {
    idle: Vec<Connection>,
    out: usize,
}

impl Readers {
    pub(super) fn read<T>(
        &self,
        shared: &Shared,
        read: impl FnOnce(&Reader<'_>) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        self.take_place()?;
        // After the wait for a place: who takes the file away waits for no place. And before a connection is taken, which
        // else might be one of a file that is gone.
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let idle = self.lent.lock().unwrap_or_else(PoisonError::into_inner).idle.pop();
        let connection = match idle.map_or_else(|| open(shared), Ok) {
            Ok(connection) => connection,
            Err(error) => {
                self.give_back(None);
                return Err(error);
            }
        };
        let reader =
            Reader { connection: &connection, journal: &shared.journal, settings: shared.settings.load_full() };
        let answer = (|| {
            let transaction = connection.unchecked_transaction()?;
            let answer = read(&reader)?;
            transaction.commit()?;
            Ok(answer)
        })();
        drop(reader);
        // One that failed may be of a file that is gone.
        self.give_back(answer.is_ok().then_some(connection));
        answer
    }

    /// While nobody reads, and without a connection left open.
    pub(super) fn alone<T>(&self, act: impl FnOnce() -> T) -> T {
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).idle.clear();
        act()
    }

    fn take_place(&self) -> Result<(), IndexError> {
        let until = clock::mono() + limits::INDEX_READ_PATIENCE;
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        while lent.out >= limits::INDEX_READERS {
            let left = until.since(clock::mono());
            if left.is_zero() {
                return Err(IndexError::Busy);
            }
            lent = self.back.wait_timeout(lent, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        lent.out += 1;
        Ok(())
    }

    fn give_back(&self, connection: Option<Connection>) {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        lent.out -= 1;
        lent.idle.extend(connection);
        self.back.notify_one();
    }
}

fn open(shared: &Shared) -> Result<Connection, IndexError> {
    if !shared.path.exists() {
        return Err(IndexError::Building);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&shared.path, flags)?;
    connection.busy_timeout(limits::INDEX_PATIENCE)?;
    connection.pragma_update(None, "cache_size", -limits::INDEX_READER_KIB)?;
    connection.set_prepared_statement_cache_capacity(limits::INDEX_STATEMENTS);
    Ok(connection)
}
