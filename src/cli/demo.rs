//! `leaseline demo`: a whole tracked call with nothing else installed.

use std::path::PathBuf;

use super::{Exit, complain, load};
use crate::daemon;
use crate::demo::{self, DemoOptions};
use crate::io::trace;

/// Run the daemon on the built-in configuration with a company phone and a caller of its own: see a whole tracked call.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Make one tracked call, print what happened and where the files lie, and end.
    #[arg(long)]
    once: bool,
    /// Another configuration than the built-in one; its first company's first destination is where the phone listens.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn execute(args: Args) -> Exit {
    let mut config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    // The terminal shows the call; the log only what goes wrong.
    if args.config.is_none() {
        config.log.filter = "warn".to_owned();
    }
    let _log = trace::start(&config.log);
    let ended = daemon::runtime()
        .map_err(demo::DemoError::Io)
        .and_then(|runtime| runtime.block_on(demo::run(config, DemoOptions { once: args.once })));
    match ended {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(error);
            Exit::CouldNot
        }
    }
}
