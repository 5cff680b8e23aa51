//! `leaseline fit`: the model of attribution, learned from the site's own journal.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::{Exit, complain, say, told};
use crate::config::Config;
use crate::core::attribution::{Fitted, Model, Retelling};
use crate::io::journal::read_journal;
use crate::io::model::{load_model, write_model};

/// Learn when visitors call from what the journal has of leases, taps and calls, without being told who called; write
/// the model that attribution uses from the next reload (SIGHUP) on.
///
/// Exit 0 when it was learned, 1 when the journal has too few calls to learn from, 2 when it cannot be read or the model
/// cannot be written.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: told::Source,
    /// Where the model goes. Default: where the daemon looks for it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only show what would be learned.
    #[arg(long)]
    dry_run: bool,
    #[arg(long)]
    json: bool,
}

/// Fewer calls teach nothing that is not chance.
const CALLS_MIN: usize = 50;

pub(super) fn execute(args: Args) -> Exit {
    args.source.with(|config| learn(config, &args))
}

fn learn(config: &Config, args: &Args) -> std::io::Result<Exit> {
    let before = load_model(config)?;
    let mut retelling = Retelling::new(Arc::clone(&before), config.attribution.memory).observed();
    let mut last = None;
    read_journal(&config.node.data_dir, |record| {
        if let Ok((_, event)) = record.event() {
            retelling.take(&event);
            last = Some(event.time);
        }
    })?;
    let (Some(observer), Some(last)) = (retelling.observer(), last) else {
        complain("the journal is empty");
        return Ok(Exit::Bad);
    };
    if observer.calls() < CALLS_MIN {
        complain(format_args!(
            "the journal has {} calls to learn from; fewer than {CALLS_MIN} teach nothing that is not chance",
            observer.calls()
        ));
        return Ok(Exit::Bad);
    }
    let (year, month, day) = last.date();
    let fitted = observer.fit(&before, &format!("fit-{year:04}-{month:02}-{day:02}-{}", observer.calls()));
    let path = args.out.clone().unwrap_or_else(|| config.attribution.model.clone());
    if !args.dry_run {
        write_model(&path, &fitted.model)?;
    }
    if args.json {
        say(json!({
            "model": fitted.model, "calls": fitted.calls, "leases": fitted.leases, "days": fitted.days,
            "log_likelihood": { "before": fitted.before, "after": fitted.after },
            "written": (!args.dry_run).then(|| path.display().to_string()),
        }));
    } else {
        show(&before, &fitted);
        if !args.dry_run {
            say(format_args!("written: {} (the daemon takes it at its next reload)", path.display()));
        }
    }
    Ok(Exit::Done)
}

/// What was learned, for people: each belief before and after.
fn show(before: &Model, fitted: &Fitted) {
    let Fitted { model, calls, leases, days, .. } = fitted;
    say(format_args!("{calls} calls and {leases} leases of {days:.1} days: model {}", model.version));
    say(format_args!(
        "log-likelihood of a call: {:.3} under {}, {:.3} under this one (higher is better)",
        fitted.before, before.version, fitted.after
    ));
    say(format_args!("\n{:<52} {:>12} {:>12}", "", "before", "now"));
    let row = |what: &str, old: f64, new: f64| say(format_args!("{what:<52} {old:>12.4} {new:>12.4}"));
    let day = 86_400.0;
    row("calls a day to one number by nobody who saw it", before.background * day, model.background * day);
    row("share of callers whose number is of another region", before.elsewhere, model.elsewhere);
    row("share of known callers who are somebody else", before.renamed, model.renamed);
    for (what, stay) in ["under 15 s", "under a minute", "under five minutes", "longer"].iter().zip(0..) {
        row(&format!("calls after leaving, of who stayed {what}"), before.stay[stay], model.stay[stay]);
    }
    for (source, factor) in &model.sources {
        row(&format!("calls of visitors from {source}"), before.sources.get(source).copied().unwrap_or(1.0), *factor);
    }
}
