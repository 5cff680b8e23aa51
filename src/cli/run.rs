//! `leaseline run`: the daemon.

use std::path::PathBuf;

use super::{Exit, load};

/// Run the daemon.
///
/// SIGTERM ends it when its calls have ended (`node.drain`), SIGHUP reads the configuration again.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration; without it, the built-in one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn execute(args: Args) -> Exit {
    match load(args.config.as_deref()) {
        Ok(_config) => super::absent(),
        Err(exit) => exit,
    }
}
