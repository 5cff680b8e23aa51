//! The file of the signing key.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::core::archive::sign::{BadKey, PublicKey, SigningKey};
use crate::limits;

/// Reads the key.
pub fn load(path: &Path) -> io::Result<SigningKey> {
    SigningKey::parse(&read(path)?).map_err(|bad| named(path, bad))
}

/// Makes a new key in a new file (0600); an existing one is never replaced.
pub fn make(path: &Path) -> io::Result<SigningKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let key = SigningKey::from_seed(seed);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key.to_pem().as_bytes())?;
    file.sync_all()?;
    super::sync_folder(path)?;
    Ok(key)
}

/// Reads the key, or makes it when the file is not there.
pub fn load_or_make(path: &Path) -> io::Result<SigningKey> {
    match load(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = make(path)?;
            tracing::info!(file = %path.display(), public = key.public().to_base64(), "a key to sign recordings was made");
            Ok(key)
        }
        other => other,
    }
}

/// A public key as it is given at the command line: the name of a file, or the key itself in base64.
pub fn public(text: &str) -> io::Result<PublicKey> {
    if let Ok(key) = PublicKey::parse(text) {
        return Ok(key);
    }
    let path = Path::new(text);
    PublicKey::parse(&read(path)?).map_err(|bad| named(path, bad))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    file.take(limits::CONFIG_SECRET as u64).read_to_string(&mut text)?;
    Ok(text)
}

fn named(path: &Path, bad: BadKey) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} {bad}", path.display()))
}
