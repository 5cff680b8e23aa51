//! `leaseline explain`: why a call was attributed as it was, from the journal alone.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::{Exit, complain, say, told};
use crate::config::Config;
use crate::core::attribution::Retelling;
use crate::core::event::{Attribution, Body};
use crate::ids::CallId;
use crate::io::journal::read_journal;
use crate::io::model::{load_model, read_model};

/// Show who may have called and why, decided again from the journal: leases, signals and earlier calls. With --model, as
/// another model would have decided.
///
/// Exit 0 when the decision is the one that was made, 1 when it differs, 2 when the call or the journal cannot be read.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The call's id, or `last`.
    #[arg(value_name = "CALL")]
    call: String,
    #[command(flatten)]
    source: told::Source,
    /// Decide with this model, as `leaseline fit --out` writes it.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: Args) -> Exit {
    args.source.with(|config| explain(config, &args))
}

fn explain(config: &Config, args: &Args) -> std::io::Result<Exit> {
    let model = match &args.model {
        Some(path) => Arc::new(read_model(path)?),
        None => load_model(config)?,
    };
    let mut retelling = Retelling::new(model, config.attribution.memory);
    let mut found: Option<(CallId, Attribution, Attribution)> = None;
    read_journal(&config.node.data_dir, |record| {
        let Ok((_, event)) = record.event() else { return };
        let again = retelling.take(&event);
        if let Body::CallStarted(call) = &event.body
            && (args.call == "last" || args.call == call.call_id.to_string())
        {
            // A static number's channel is not decided, it is written.
            let again = again.map_or_else(|| call.attribution.clone(), |answer| answer.attribution);
            found = Some((call.call_id, call.attribution.clone(), again));
        }
    })?;
    let Some((call_id, told, again)) = found else {
        complain(format_args!("no call {} in the journal of {}", args.call, config.node.data_dir.display()));
        return Ok(Exit::CouldNot);
    };
    let is_same = told == again;
    if args.json {
        say(json!({ "call_id": call_id, "told": told, "decided": again, "same": is_same }));
    } else {
        say(format_args!("call {call_id}"));
        show(&again);
        if !is_same {
            say("\nWhat was told at the time:");
            show(&told);
        }
    }
    Ok(if is_same { Exit::Done } else { Exit::Bad })
}

fn show(attribution: &Attribution) {
    let Attribution { method, confidence, model, nobody, contention, .. } = attribution;
    say(format_args!("{method}, confidence {confidence:.4}, model {model}, on the pages of {contention}"));
    for one in &attribution.candidates {
        say(format_args!("  {:>7.4}  visitor {}", one.probability, one.visitor_id));
        for evidence in &one.evidence {
            say(format_args!("           {evidence}"));
        }
    }
    if *nobody > 0.0 {
        say(format_args!("  {nobody:>7.4}  nobody we know of"));
    }
    for share in &attribution.sources {
        let name = [&share.source, &share.medium, &share.campaign].map(String::as_str).join(" / ");
        say(format_args!("  {:>7.4}  from {name}", share.probability));
    }
}
