//! `leaseline decrypt`: encrypted recordings, opened with an identity.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{Exit, complain, say};
use crate::io::recordings;

/// Open encrypted recordings (.wav.age) with an identity of `age`.
///
/// The key of each recording is looked for where the daemon keeps it, keys/recordings/ beside recordings/.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Encrypted recordings.
    #[arg(value_name = "FILE.wav.age", required = true)]
    files: Vec<PathBuf>,
    /// Identities (AGE-SECRET-KEY-1…, one a line), as age-keygen makes them.
    #[arg(long, short, value_name = "FILE")]
    identity: PathBuf,
    /// Data folder whose keys/recordings/ has the keys. Default: the one above recordings/.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Where the WAVs go; existing files are not replaced.
    #[arg(long, short, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
}

pub(super) fn execute(args: Args) -> Exit {
    for file in &args.files {
        match decrypt(file, &args) {
            Ok(out) => say(out.display()),
            Err(why) => {
                complain(format_args!("{}: {why}", file.display()));
                return Exit::CouldNot;
            }
        }
    }
    Exit::Done
}

fn decrypt(file: &Path, args: &Args) -> Result<PathBuf, recordings::Locked> {
    // recordings/YYYY/MM/DD/<call_id>.wav.age
    let data = args.data.clone().or_else(|| file.canonicalize().ok()?.ancestors().nth(5).map(Path::to_path_buf));
    let mut reader = recordings::decrypt(file, &data.unwrap_or_default(), &args.identity)?;
    let out = args.out.join(file.file_stem().unwrap_or_default());
    let mut target = File::options().write(true).create_new(true).mode(0o600).open(&out)?;
    io::copy(&mut reader, &mut target)?;
    Ok(out)
}
