//! Files in memory: the recordings of a replay are sealed there, and written out only when somebody wants them.

use std::collections::HashMap;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::io::recordings::{Files, RawFile};

#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<PathBuf, Arc<MemoryFile>>>);

#[derive(Debug, Default)]
struct MemoryFile(Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    at: usize,
}

impl Memory {
    /// Takes a file out.
    pub(super) fn take(&self, path: &Path) -> Option<Vec<u8>> {
        let file = self.files().remove(path)?;
        Some(std::mem::take(&mut file.content().bytes))
    }

    fn files(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<MemoryFile>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for Memory {
    fn create_dir(&self, _path: &Path) -> io::Result<bool> {
        Ok(true)
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn RawFile>> {
        let file = Arc::new(MemoryFile::default());
        match self.files().entry(path.to_path_buf()) {
            std::collections::hash_map::Entry::Occupied(_) => Err(io::ErrorKind::AlreadyExists.into()),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(file.clone());
                Ok(file)
            }
        }
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn RawFile>> {
        let file = self.files().get(path).cloned();
        file.map(|file| file as Arc<dyn RawFile>).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_path_buf(), file);
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        self.files().contains_key(path)
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl MemoryFile {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RawFile for MemoryFile {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut content = self.content();
        let rest = content.bytes.get(content.at..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        content.at += length;
        Ok(length)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut content = self.content();
        let (at, end) = (content.at, content.at + bytes.len());
        if content.bytes.len() < end {
            content.bytes.resize(end, 0);
        }
        if let Some(place) = content.bytes.get_mut(at..end) {
            place.copy_from_slice(bytes);
        }
        content.at = end;
        Ok(bytes.len())
    }

    fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        let mut content = self.content();
        let (base, offset) = match to {
            SeekFrom::Start(at) => (0, i64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?),
            SeekFrom::Current(offset) => (content.at, offset),
            SeekFrom::End(offset) => (content.bytes.len(), offset),
        };
        let base = i64::try_from(base).map_err(|_| io::ErrorKind::InvalidInput)?;
        let at = base.checked_add(offset).and_then(|at| usize::try_from(at).ok()).ok_or(io::ErrorKind::InvalidInput)?;
        content.at = at;
        u64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput.into())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.content().bytes.resize(length, 0);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.content().bytes.len()).unwrap_or(u64::MAX))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
