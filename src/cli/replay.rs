//! `leaseline replay`: a captured call through the same machines as a live one.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{Exit, complain, say, told};
use crate::limits;
use crate::replay::{Replay, Replayed};
use crate::time::Wall;

/// Run a captured call through the same machines as a live one: ladder, recordings, events. Same input, same bytes out.
/// Or, with --model, decide every call of the journal again and show whom another model takes for the caller.
///
/// Exit 1 when there is no call in the capture, or when the journal does not reproduce what this very model decided; 2 when
/// something cannot be read.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// pcap or pcapng.
    #[arg(value_name = "CAPTURE.pcap", required_unless_present = "model", conflicts_with = "model")]
    capture: Option<PathBuf>,
    /// Where ladder.txt, events.jsonl and, of each call, <call_id>.wav and <call_id>.json go; files of these names are
    /// replaced. Without it, only the ladder is printed.
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    out: Option<PathBuf>,
    /// Decide the journal's calls with this model, as `leaseline fit --out` writes it.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Of the journal, only calls from this day or time on (2026-11-01, 2026-11-01T12:00:00Z).
    #[arg(long, value_name = "TIME", requires = "model", value_parser = time)]
    since: Option<Wall>,
    #[command(flatten)]
    source: told::Source,
    /// The ladder, or what has changed, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: Args) -> Exit {
    if let Some(model) = &args.model {
        return args.source.with(|config| told::compare(config, model, args.since, args.json));
    }
    let capture = args.capture.clone().unwrap_or_default();
    let shown = capture.display();
    let replay = match read(&capture) {
        Ok(replay) => replay,
        Err(why) => {
            complain(format_args!("{shown}: {why}"));
            return Exit::CouldNot;
        }
    };
    for sentence in replay.left_out() {
        complain(format_args!("{shown}: {sentence}"));
    }
    if replay.calls() == 0 {
        complain(format_args!("{shown}: no call in it: no INVITE over UDP or TCP that could be read"));
        return Exit::Bad;
    }
    match perform(&replay, &args) {
        Ok(()) => Exit::Done,
        Err((path, error)) => {
            complain(format_args!("{}: {error}", path.display()));
            Exit::CouldNot
        }
    }
}

/// A day (UTC) or a time.
fn time(text: &str) -> Result<Wall, String> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Wall::parse_rfc3339(&whole)
        .ok_or_else(|| "is neither a day like 2026-11-01 nor a time like 2026-11-01T12:00:00Z".into())
}

fn read(path: &Path) -> Result<Replay, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(limits::CAPTURE_FILE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limits::CAPTURE_FILE {
        return Err(format!("has more than {} MiB; cut it with editcap", limits::CAPTURE_FILE >> 20));
    }
    Replay::read(&bytes).map_err(|error| error.to_string())
}

fn perform(replay: &Replay, args: &Args) -> Result<(), (PathBuf, io::Error)> {
    let mut out = args.out.as_deref().map(Out::create).transpose()?;
    let mut values = Vec::new();
    for (index, replayed) in replay.run().enumerate() {
        if args.json {
            values.push(replayed.value.clone());
        } else {
            let gap = if index > 0 { "\n" } else { "" };
            say(format_args!("{gap}{}", replayed.ladder.trim_end()));
        }
        if let Some(out) = &mut out {
            out.write(&replayed, index > 0)?;
        }
    }
    if args.json {
        say(serde_json::json!({ "calls": values }));
    }
    Ok(())
}

/// The folder that the results go to.
struct Out<'a> {
    folder: &'a Path,
    ladder: (PathBuf, File),
    events: (PathBuf, File),
}

impl Out<'_> {
    fn create(folder: &Path) -> Result<Out<'_>, (PathBuf, io::Error)> {
        std::fs::create_dir_all(folder).map_err(|error| (folder.to_path_buf(), error))?;
        let create = |name: &str| {
            let path = folder.join(name);
            File::create(&path).map(|file| (path.clone(), file)).map_err(|error| (path, error))
        };
        Ok(Out { folder, ladder: create("ladder.txt")?, events: create("events.jsonl")? })
    }

    fn write(&mut self, replayed: &Replayed, has_others_before: bool) -> Result<(), (PathBuf, io::Error)> {
        let gap = if has_others_before { "\n" } else { "" };
        let put = |(path, file): &mut (PathBuf, File), text: String| {
            file.write_all(text.as_bytes()).map_err(|error| (path.clone(), error))
        };
        put(&mut self.ladder, format!("{gap}{}", replayed.ladder))?;
        put(&mut self.events, replayed.events.iter().map(|line| format!("{line}\n")).collect())?;
        for (name, bytes) in &replayed.files {
            let path = self.folder.join(name);
            std::fs::write(&path, bytes).map_err(|error| (path, error))?;
        }
        Ok(())
    }
}
