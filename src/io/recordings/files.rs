//! The file operations that recording needs, behind a trait so that a test can fail the n-th of them.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use nix::libc::O_NOFOLLOW;

/// Where recordings are kept.
pub trait Files: Send + Sync + fmt::Debug {
    /// Makes one directory (0700). `Ok(false)`: it was there. A link or a file of that name is an error.
    fn create_dir(&self, path: &Path) -> io::Result<bool>;
    /// Makes a new file (0600) for reading and writing; an error when anything of that name is there.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn RawFile>>;
    /// Opens an existing file for reading and writing; a link is an error.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn RawFile>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
    /// Something of that name is there, be it a link that leads nowhere.
    fn exists(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }
    /// Makes renames and new names in this directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Bytes that we may still write on the file system of `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file. Operations take `&self`, so that one thread can make it durable while another writes.
pub trait RawFile: Send + Sync + fmt::Debug {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn seek(&self, to: SeekFrom) -> io::Result<u64>;
    fn set_len(&self, length: u64) -> io::Result<()>;
    fn length(&self) -> io::Result<u64>;
    /// Returns when data and length are durable.
    fn sync(&self) -> io::Result<()>;
}

/// An open file in the shape of [`std::io`].
#[derive(Clone, Debug)]
pub(super) struct Handle(pub(super) Arc<dyn RawFile>);

impl Read for Handle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Handle {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// The operating system's files.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if fs::symlink_metadata(path)?.is_dir() {
                    Ok(false)
                } else {
                    Err(io::Error::from(io::ErrorKind::NotADirectory))
                }
            }
            Err(error) => Err(error),
        }
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn RawFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn RawFile>> {
        let file = OpenOptions::new().read(true).write(true).custom_flags(O_NOFOLLOW).open(path)?;
        if file.metadata()?.is_file() { Ok(Arc::new(file)) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = nix::sys::statvfs::statvfs(path)?;
        Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
    }
}

impl RawFile for File {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut &*self, buffer)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut &*self, bytes)
    }

    fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        Seek::seek(&mut &*self, to)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The stable code for a write that failed.
pub(super) fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => "disk_full",
        _ => "write_error",
    }
}
