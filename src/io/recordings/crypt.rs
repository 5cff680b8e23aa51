//! Recordings encrypted at rest, in the format of the `age` program (age-encryption.org/v1).
//!
//! Every recording has a key pair of its own. `<call_id>.wav.age` is encrypted to it; its private half lies in
//! `<data_dir>/keys/recordings/YYYY/MM/DD/<call_id>.key.age`, encrypted to the configured recipients. Whoever erases that
//! small file has erased every copy of the recording, also those in backups. Without a program of ours:
//!
//! ```text
//! age -d -i operator.key keys/recordings/…/<call_id>.key.age > call.key
//! age -d -i call.key recordings/…/<call_id>.wav.age > call.wav
//! ```
//!
//! While a call is being recorded its bytes are in the `.part`, not encrypted: a header must be right every second, and
//! what is repaired must be read. At the seal the key is written first, then the encrypted file under a temporary name;
//! only when that is durable the `.part` goes. A crash leaves the `.part`, which the next start seals and encrypts. Its
//! blocks on the disk are freed, not overwritten: against whoever takes the disk out, encrypt the file system too.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use age::stream::StreamReader;
use age::{Decryptor, Encryptor, IdentityFile, x25519};
use sha2::{Digest, Sha256};

use crate::core::archive::merkle::hex;
use crate::ids::CallId;

use super::files::{Files, Handle};
use super::names::{self, Kind};

/// Whom recordings are encrypted to; none: they are not encrypted.
#[derive(Clone, Default)]
pub struct Recipients(Vec<x25519::Recipient>);

impl Recipients {
    /// Reads `age1…` texts.
    pub fn parse(texts: &[String]) -> Result<Recipients, String> {
        let read = |text: &String| text.parse().map_err(|why: &str| format!("`{text}`: {why}"));
        texts.iter().map(read).collect::<Result<_, _>>().map(Recipients)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Recipients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(ToString::to_string)).finish()
    }
}

/// An encrypted recording.
#[derive(Debug)]
pub(super) struct Encrypted {
    /// Relative to the data folder.
    pub(super) path: PathBuf,
    /// Of the encrypted file.
    pub(super) sha256: String,
}

/// Encrypts what `plain` holds, from its start, into the file that stands beside `sealed` (relative to the data folder),
/// with a key of its own. The plain file is left to the caller.
pub(super) fn encrypt(
    files: &dyn Files,
    data_dir: &Path,
    recipients: &Recipients,
    call: CallId,
    sealed: &Path,
    plain: &Handle,
) -> io::Result<Encrypted> {
    let identity = x25519::Identity::generate();
    save_key(files, data_dir, recipients, call, sealed, &identity)?;
    let path = names::beside(sealed, call, Kind::Encrypted);
    let target = data_dir.join(&path);
    let temporary = temporary(&target);
    let file = Handle(fresh(files, &temporary)?);
    let public = identity.to_public();
    let output = Hashing { inner: file.clone(), hash: Sha256::new() };
    let encryptor = Encryptor::with_recipients(std::iter::once(&public as &dyn age::Recipient));
    let mut output = encryptor.map_err(io::Error::other)?.wrap_output(output)?;
    let mut plain = plain.clone();
    plain.seek(SeekFrom::Start(0))?;
    io::copy(&mut plain, &mut output)?;
    let Hashing { hash, .. } = output.finish()?;
    file.0.sync()?;
    files.rename(&temporary, &target)?;
    sync_above(files, &target)?;
    Ok(Encrypted { path, sha256: hex(&hash.finalize()) })
}

/// The private half of a recording's key, for the recipients.
fn save_key(
    files: &dyn Files,
    data_dir: &Path,
    recipients: &Recipients,
    call: CallId,
    sealed: &Path,
    identity: &x25519::Identity,
) -> io::Result<()> {
    let target = data_dir.join(key_file(sealed, call));
    let mut above = data_dir.to_path_buf();
    for part in target.parent().and_then(|folder| folder.strip_prefix(data_dir).ok()).into_iter().flatten() {
        let folder = above.join(part);
        if files.create_dir(&folder)? {
            files.sync_dir(&above)?;
        }
        above = folder;
    }
    let to = recipients.0.iter().map(|recipient| recipient as &dyn age::Recipient);
    let mut text = Vec::new();
    let mut output = Encryptor::with_recipients(to).map_err(io::Error::other)?.wrap_output(&mut text)?;
    writeln!(output, "{}", identity.to_string().expose_secret())?;
    output.finish()?;
    let temporary = temporary(&target);
    let mut file = Handle(fresh(files, &temporary)?);
    file.write_all(&text)?;
    file.0.sync()?;
    files.rename(&temporary, &target)?;
    sync_above(files, &target)
}

/// Where the key of a recording is, relative to the data folder; `sealed` is the recording's path, of whatever kind.
pub(in crate::io) fn key_file(sealed: &Path, call: CallId) -> PathBuf {
    let day = sealed.parent().unwrap_or(Path::new(""));
    // From behind, so that it does not matter what stands in front of `recordings`.
    let mut day: Vec<_> = day.iter().rev().take(3).collect();
    day.reverse();
    let folder: PathBuf = ["keys", "recordings"].into_iter().map(std::ffi::OsStr::new).chain(day).collect();
    folder.join(format!("{call}.key.age"))
}

/// Why a recording cannot be decrypted.
#[derive(Debug, thiserror::Error)]
pub enum Locked {
    #[error("the key of this recording is gone: it was erased")]
    NoKey,
    #[error("this identity does not open it")]
    WrongIdentity,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Opens an encrypted recording with the identities of a file (`AGE-SECRET-KEY-1…`, one a line): a reader of the WAV that
/// can be sought in. `key`: the file of its key.
pub(in crate::io) fn open(recording: File, key: &Path, identities: &Path) -> Result<StreamReader<File>, Locked> {
    let key = File::open(key).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Locked::NoKey,
        _ => Locked::Io(error),
    })?;
    let read = IdentityFile::from_buffer(BufReader::new(File::open(identities)?))?;
    let operators = read.into_identities().map_err(refused)?;
    let mut text = String::new();
    let operators = operators.iter().map(|identity| &**identity as &dyn age::Identity);
    Decryptor::new(key).map_err(refused)?.decrypt(operators).map_err(refused)?.take(1_024).read_to_string(&mut text)?;
    let own: x25519::Identity = text.trim().parse().map_err(|why: &str| io::Error::other(why))?;
    let own = std::iter::once(&own as &dyn age::Identity);
    Decryptor::new(recording).map_err(refused)?.decrypt(own).map_err(refused)
}

fn refused(error: age::DecryptError) -> Locked {
    match error {
        age::DecryptError::Io(error) => Locked::Io(error),
        age::DecryptError::NoMatchingKeys | age::DecryptError::KeyDecryptionFailed => Locked::WrongIdentity,
        other => Locked::Io(io::Error::new(io::ErrorKind::InvalidData, other)),
    }
}

/// Length of what is encrypted in a file of `length` bytes that begins with `head`; `None`: it is no such file. A chunk
/// of 64 KiB has 16 bytes of its own, and a nonce of 16 bytes stands behind the header, whose last line begins with
/// `---` (age-encryption.org/v1).
pub(super) fn plain_length(head: &[u8], length: u64) -> Option<u64> {
    const CHUNK: u64 = 64 * 1024 + 16;
    let mac = memchr::memmem::find(head, b"\n--- ")?;
    let end = mac + 1 + memchr::memchr(b'\n', head.get(mac + 1..)?)? + 1;
    let payload = length.checked_sub(end as u64 + 16)?;
    payload.checked_sub(payload.div_ceil(CHUNK) * 16)
}

fn temporary(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// A new file, in place of one that a crash left.
fn fresh(files: &dyn Files, path: &Path) -> io::Result<std::sync::Arc<dyn super::files::RawFile>> {
    match files.create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = files.open(path)?;
            file.set_len(0)?;
            Ok(file)
        }
        other => other,
    }
}

fn sync_above(files: &dyn Files, path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| files.sync_dir(folder))
}

/// Hashes what goes through.
struct Hashing {
    inner: Handle,
    hash: Sha256,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
