//! `leaseline check`: the configuration as it will be used, or everything that is wrong with it.

use std::path::PathBuf;

use super::{Exit, complain, say};
use crate::config::{Config, Problems};

/// Read a configuration; print it as it will be used (secrets masked), or every problem in it. Comments at its end say
/// what each trunk may send and where each pool's calls go.
///
/// Exit 0, or 64 when there are problems.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file; without it, the built-in configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print {"problems":[{file,line,column,key,message}]} instead.
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: Args) -> Exit {
    let result = Config::load(args.config.as_deref());
    let exit = if result.is_ok() { Exit::Done } else { Exit::Usage };
    match (result, args.json) {
        (Ok(config), false) => {
            if let Some(warning) = config.regions.warning() {
                complain(format_args!("warning: {warning}"));
            }
            say(format_args!("{}\n{}", config.effective_toml(), super::route::explain(&config).trim_end()));
        }
        (Ok(_), true) => say(json(&Problems { problems: Vec::new() })),
        (Err(problems), false) => complain(problems),
        (Err(problems), true) => say(json(&problems)),
    }
    exit
}

fn json(problems: &Problems) -> serde_json::Value {
    serde_json::json!(problems)
}
