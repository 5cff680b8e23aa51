//! `leaseline verify`: recordings and journal against their hashes and chain.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use super::{Exit, complain, say};
use crate::core::archive::sign::PublicKey;
use crate::core::archive::timestamp::{Roots, Stamp};
use crate::io::archive::{DaysVerified, keys, verify_days, verify_stamps};
use crate::io::journal::verify_journal;
use crate::io::recordings::{Finding, verify_recordings};

/// Check recordings and the event journal against their hashes and chain; say which file, which record, what differs.
///
/// Exit 0 when all is well, 1 when something differs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A recording (.wav or .json), a journal folder, or a data directory with both.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Public key that the manifests of days must be signed with: a PEM file, or the key in base64, as
    /// `leaseline keys show` prints it. May be given more than once, for keys that followed one another.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Certificate of the time-stamp authority whose stamps (RFC 3161) the manifests of days must have, or of the roots
    /// that it leads to: a PEM file. May be given more than once.
    #[arg(long, value_name = "CERT")]
    tsa: Vec<PathBuf>,
    /// The verdict as JSON.
    #[arg(long)]
    json: bool,
}

/// One thing looked at, and what was found wrong with it.
#[derive(Debug, Default)]
struct Verdict {
    looked_at: Vec<serde_json::Value>,
    problems: Vec<String>,
}

pub(super) fn execute(args: Args) -> Exit {
    let mut verdict = Verdict::default();
    let keys: Vec<PublicKey> = match args.key.iter().map(|text| keys::public(text)).collect() {
        Ok(keys) => keys,
        Err(error) => {
            complain(format_args!("--key: {error}"));
            return Exit::Usage;
        }
    };
    let roots = match read_roots(&args.tsa) {
        Ok(roots) => roots,
        Err(why) => {
            complain(format_args!("--tsa: {why}"));
            return Exit::Usage;
        }
    };
    let trust = Trust { keys, roots };
    for path in &args.paths {
        if let Err(error) = look(path, &trust, &mut verdict) {
            complain(format_args!("{}: {error}", path.display()));
            return Exit::CouldNot;
        }
    }
    if args.json {
        let good = verdict.problems.is_empty();
        say(serde_json::json!({ "good": good, "checked": verdict.looked_at, "problems": verdict.problems }));
    } else {
        for problem in &verdict.problems {
            say(problem);
        }
    }
    if verdict.problems.is_empty() { Exit::Done } else { Exit::Bad }
}

/// What is believed.
struct Trust {
    keys: Vec<PublicKey>,
    roots: Option<Roots>,
}

/// Certificates of all files; `None`: no file was given.
fn read_roots(files: &[PathBuf]) -> Result<Option<Roots>, String> {
    let mut pem = Vec::new();
    for file in files {
        let text = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        if Roots::parse(&text).is_none() {
            return Err(format!("{}: has no certificate in PEM", file.display()));
        }
        pem.extend(text);
        pem.push(b'\n');
    }
    Ok(Roots::parse(&pem))
}

/// A data folder is its journal and its recordings; a journal folder has segments; everything else is recordings.
fn look(path: &Path, trust: &Trust, verdict: &mut Verdict) -> io::Result<()> {
    let metadata = path.metadata()?;
    let journal = path.join("journal");
    if metadata.is_dir() && journal.is_dir() {
        journal_at(&journal, verdict)?;
        let recordings = path.join("recordings");
        return if recordings.is_dir() { recordings_at(&recordings, trust, verdict) } else { Ok(()) };
    }
    let is_segment = path.extension().is_some_and(|extension| extension == "jsonl");
    let has_segments = metadata.is_dir() && path.join("lock").is_file();
    if is_segment || has_segments { journal_at(path, verdict) } else { recordings_at(path, trust, verdict) }
}

fn journal_at(path: &Path, verdict: &mut Verdict) -> io::Result<()> {
    let mut progress = Progress::new("journal");
    let report = verify_journal(path, |done, all| progress.show(done, all))?;
    progress.end();
    verdict.looked_at.push(serde_json::json!({
        "journal": path.display().to_string(), "records": report.records, "segments": report.segments,
    }));
    if report.is_good() {
        note(format_args!(
            "{}: {} records in {} segments, chain whole",
            path.display(),
            report.records,
            report.segments
        ));
    }
    verdict.problems.extend(report.problems.iter().map(ToString::to_string));
    let unlisted = report.problem_count.saturating_sub(report.problems.len() as u64);
    if unlisted > 0 {
        verdict.problems.push(format!("{}: {unlisted} more problems", path.display()));
    }
    Ok(())
}

fn recordings_at(path: &Path, Trust { keys, roots }: &Trust, verdict: &mut Verdict) -> io::Result<()> {
    let report = verify_recordings(path)?;
    verdict.looked_at.push(serde_json::json!({ "recordings": path.display().to_string(), "good": report.good }));
    if report.is_good() {
        note(format_args!("{}: {} recordings, each as its sidecar says", path.display(), report.good));
    }
    let text = |finding: &Finding| format!("{}: {} ({})", finding.path.display(), finding.detail, finding.code);
    report.notes.iter().for_each(|finding| note(format_args!("{}", text(finding))));
    let days = verify_days(path, keys, &report.hashes)?;
    verdict.problems.extend(report.problems.iter().filter(|finding| !days.explains(finding)).map(text));
    if !days.keys.is_empty() {
        verdict.looked_at.push(serde_json::json!({
            "manifests": path.display().to_string(), "good": days.good, "erased": days.erased, "keys": days.keys,
        }));
    }
    if days.is_good() && days.good > 0 {
        let DaysVerified { good, erased, .. } = &days;
        note(format_args!("{}: {good} closed days as their manifests say, {erased} recordings erased", path.display()));
    }
    if keys.is_empty() && !days.keys.is_empty() {
        let signed = days.keys.join(", ");
        note(format_args!("{}: signed by {signed}; say with --key whose signature it must be", path.display()));
    }
    days.notes.iter().for_each(|finding| note(format_args!("{}", text(finding))));
    verdict.problems.extend(days.problems.iter().map(text));
    let stamps = verify_stamps(path, roots.as_ref())?;
    for (day, Stamp { at, by, serial, is_trusted }) in &stamps.good {
        let whose = if *is_trusted { "" } else { "; say with --tsa whose stamp it must be" };
        note(format_args!("{day}: time-stamped at {at} by {by}, serial number {serial}{whose}"));
        verdict.looked_at.push(serde_json::json!({
            "day": day, "timestamp": at, "authority": by, "serial": serial, "trusted": is_trusted,
        }));
    }
    stamps.notes.iter().for_each(|finding| note(format_args!("{}", text(finding))));
    verdict.problems.extend(stamps.problems.iter().map(text));
    Ok(())
}

/// To stderr, so that stdout has problems only.
fn note(text: std::fmt::Arguments<'_>) {
    complain(text);
}

/// A line that moves, on a terminal only.
struct Progress {
    what: &'static str,
    shown: bool,
    terminal: bool,
}

impl Progress {
    fn new(what: &'static str) -> Progress {
        Progress { what, shown: false, terminal: io::stderr().is_terminal() }
    }

    fn show(&mut self, done: u64, all: u64) {
        if self.terminal {
            self.shown = true;
            let percent = (done * 100).checked_div(all).unwrap_or(100);
            eprint!("\r{}: {percent} %", self.what);
        }
    }

    fn end(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}
