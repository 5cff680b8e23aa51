//! `leaseline demo`: a whole tracked call with nothing else installed.

use super::Exit;

/// Run the daemon on the built-in configuration with a company phone and a caller of its own: see a whole tracked call.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Make one tracked call, print what happened and where the files lie, and end.
    #[arg(long)]
    once: bool,
}

pub(super) fn execute(args: Args) -> Exit {
    let _ = args;
    super::absent()
}
