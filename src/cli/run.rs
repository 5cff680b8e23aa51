//! `leaseline run`: the daemon.

use std::path::PathBuf;

use super::{Exit, complain, load};
use crate::daemon::{self, Daemon, Options};
use crate::io::trace;

/// Run the daemon.
///
/// SIGTERM ends it when its calls have ended (`node.drain`), SIGHUP reads the configuration again.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration; without it, the built-in one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Leave a damaged journal segment as it is and go on in a new one, instead of refusing to start.
    #[arg(long)]
    accept_damaged_journal: bool,
}

pub(super) fn execute(args: Args) -> Exit {
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let _log = trace::start(&config.log);
    let runtime = match daemon::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format_args!("cannot start: {error}"));
            return Exit::CouldNot;
        }
    };
    let options =
        Options { config_path: args.config, accept_damage: args.accept_damaged_journal, ..Options::default() };
    let ended = runtime.block_on(async {
        let daemon = Daemon::start(config, options).await.map_err(|error| error.to_string())?;
        let link = daemon.first_link().map_err(|error| format!("users.json: {error}"))?;
        if let Some(link) = link {
            let base = daemon.http();
            complain(format_args!("There are no users yet. The first is made at http://{base}/setup#{link} (once)."));
        }
        daemon.until_signalled().await.map_err(|error| error.to_string())
    });
    match ended {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(error);
            Exit::CouldNot
        }
    }
}
