//! `leaseline keys`: the key that signs recordings.

use std::path::PathBuf;

use super::{Exit, complain, load, say};
use crate::core::archive::sign::PublicKey;
use crate::io::archive::keys;

/// The key that signs the manifests of recordings: make one, or show its public half.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a new key in a new file (readable by its owner only). An existing file is never replaced.
    New {
        /// Default: the configuration's `recording.signing_key_file`.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Show the public key, which auditors need: in PEM for `openssl` and in base64.
    Show {
        /// Default: the configuration's `recording.signing_key_file`.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn execute(args: Args) -> Exit {
    match args.command {
        Command::New { file, config } => with_file(file, config, |file| {
            show(&keys::make(file)?.public(), false);
            complain(format_args!("the key is in {}", file.display()));
            Ok(())
        }),
        Command::Show { file, config, json } => with_file(file, config, |file| {
            show(&keys::load(file)?.public(), json);
            Ok(())
        }),
    }
}

fn with_file(
    file: Option<PathBuf>,
    config: Option<PathBuf>,
    run: impl FnOnce(&std::path::Path) -> std::io::Result<()>,
) -> Exit {
    let file = match file {
        Some(file) => file,
        None => match load(config.as_deref()) {
            Ok(config) => config.recording.keep.signing_key_file,
            Err(exit) => return exit,
        },
    };
    match run(&file) {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(format_args!("{}: {error}", file.display()));
            Exit::CouldNot
        }
    }
}

fn show(key: &PublicKey, json: bool) {
    if json {
        say(serde_json::json!({ "public_key": key.to_base64(), "pem": key.to_pem() }));
    } else {
        say(key.to_pem().trim_end());
        say(key.to_base64());
    }
}
