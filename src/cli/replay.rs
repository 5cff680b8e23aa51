//! `leaseline replay`: a captured call through the same machines as a live one.

use std::path::PathBuf;

use super::Exit;

/// Run a captured call through the same machines as a live one: ladder, recordings, events. Same input, same bytes out.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// pcap or pcapng.
    #[arg(value_name = "CAPTURE.pcap")]
    capture: PathBuf,
    /// Where the results go; without it, only the ladder is printed.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The ladder as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: Args) -> Exit {
    let _ = args;
    super::absent()
}
