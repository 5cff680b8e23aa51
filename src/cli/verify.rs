//! `leaseline verify`: recordings and journal against their hashes and chain.

use std::path::PathBuf;

use super::Exit;

/// Check recordings and the event journal against their hashes and chain; say which file, which record, what differs.
///
/// Exit 0 when all is well, 1 when something differs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A recording (.wav or .json), a journal folder, or a data directory with both.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The verdict as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: Args) -> Exit {
    let _ = args;
    super::absent()
}
