//! The file of events after an erasure: written anew without who called, before the event of the erasure goes into it. So
//! an end in between leaves the event to be delivered, and the file is written anew once more, which changes nothing.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::Value;

use crate::core::archive::forget;
use crate::core::event::{Body, cloud};
use crate::ids::CallId;
use crate::io::journal::Record;

/// Calls whose erasure these records tell, on somebody's wish.
pub(super) fn erased(records: &[Record]) -> HashSet<CallId> {
    let told = records.iter().filter(|record| record.event.contains("leaseline.recording.erased"));
    let bodies = told.filter_map(|record| Some(cloud::from_json(&record.event).ok()?.1.body));
    let wished = bodies.filter_map(|body| match body {
        Body::RecordingErased(erased) if forget::is_wish(&erased) => Some(erased.call_id),
        _ => None,
    });
    wished.collect()
}

/// One event without who called, when it is of one of these calls.
pub(super) fn line(text: &str, calls: &HashSet<CallId>) -> Option<String> {
    if calls.is_empty() || !text.contains("leaseline.call.") {
        return None;
    }
    let mut event: Value = serde_json::from_str(text).ok()?;
    let call: CallId = event["data"]["call_id"].as_str()?.parse().ok()?;
    (calls.contains(&call) && forget::event(&mut event)).then(|| event.to_string())
}

/// Writes a file of events anew. Lines that are not ours stay as they are. Without a file there is nothing to do.
pub(super) fn rewrite(path: &Path, calls: &HashSet<CallId>) -> io::Result<()> {
    let mut input = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => BufReader::new(other?),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    let mut output = BufWriter::new(file);
    let mut bytes = Vec::new();
    while input.read_until(b'\n', &mut bytes)? > 0 {
        let text = bytes.strip_suffix(b"\n").and_then(|text| std::str::from_utf8(text).ok());
        match text.and_then(|text| line(text, calls)) {
            Some(without) => writeln!(output, "{without}")?,
            None => output.write_all(&bytes)?,
        }
        bytes.clear();
    }
    output.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::cloud::tests as events;
    use crate::core::event::{ErasedData, Outcome};
    use crate::ids::EventId;
    use crate::time::Wall;

    fn text(n: u128) -> String {
        let mut event = events::ended(n, Outcome::Answered);
        if let Body::CallEnded(data) = &mut event.body {
            data.caller = Some(format!("+44207946012{n}"));
        }
        cloud::to_json(&event, EventId(n), "leaseline/x")
    }

    #[test]
    fn only_the_lines_of_these_calls_change_and_all_others_stay_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let calls = HashSet::from([CallId(1)]);
        rewrite(&path, &calls).unwrap();
        assert!(!path.exists());
        let before = [text(1), text(2), "not ours".into(), "\u{fffd}".into(), text(1), text(3)];
        std::fs::write(&path, before.join("\n") + "\ntorn").unwrap();
        for _ in 0..2 {
            rewrite(&path, &calls).unwrap();
            let after = std::fs::read_to_string(&path).unwrap();
            let after: Vec<&str> = after.split('\n').collect();
            assert_eq!(after.len(), 7);
            for n in [1, 2, 3, 5] {
                assert_eq!(after[n], before[n]);
            }
            assert!(!after[0].contains("+442079460121") && after[0].contains(&CallId(1).to_string()));
            assert_eq!((after[0], after[6]), (after[4], "torn"));
            assert!(cloud::from_json(after[0]).is_ok(), "it is an event as before");
        }
    }

    #[test]
    fn erasures_of_age_forget_nobody() {
        let record = |by: &str| {
            let data = ErasedData {
                call_id: CallId(1),
                erased_at: Wall(0),
                by: by.into(),
                why: "x".into(),
                file: None,
                sha256: None,
            };
            let event = events::event(1, Body::RecordingErased(data));
            Record { seq: 1, hash: Default::default(), event: cloud::to_json(&event, EventId(1), "x").into() }
        };
        assert_eq!(erased(&[record("anna")]), HashSet::from([CallId(1)]));
        assert_eq!(erased(&[record("retention"), record("disk")]), HashSet::new());
    }
}
