//! Does `verify` see what was changed?

use std::fs;

use serde_json::json;

use super::*;

/// Two sealed calls with sidecars.
fn sealed() -> (tempfile::TempDir, PathBuf) {
    let dir = folder();
    let (door, taps) = tap::channel();
    let (recordings, notices) = start(Arc::new(Disk), dir.path(), Fsync::None, taps);
    let mut tap = door.tap();
    for n in 1..=2 {
        say(&mut tap, call(n), 1_000);
        let (id, summary) = notice(&notices);
        recordings.sidecar(id, json!({"call_id": id, "recording": summary}), None);
    }
    drop((tap, door));
    recordings.join();
    let day = dir.path().join(DAY);
    (dir, day)
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|f| f.code).collect()
}

#[test]
fn good_from_every_level() {
    let (dir, day) = sealed();
    for path in [dir.path().to_path_buf(), dir.path().join("recordings"), day.clone()] {
        let verified = verify_recordings(&path).unwrap();
        assert_eq!((verified.good, verified.is_good(), verified.notes.len()), (2, true, 0), "{}", path.display());
    }
    assert_eq!(verify_recordings(&day.join(format!("{}.json", call(1)))).unwrap().good, 1);
    assert!(verify_recordings(&day.join("nothing")).is_err());
}

#[test]
fn every_change_is_seen() {
    let wav = format!("{}.wav", call(1));
    let json = format!("{}.json", call(1));
    type Change<'a> = &'a dyn Fn(&Path);
    let patch = |path: PathBuf, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    let cases: [(&str, Change<'_>); 8] = [
        ("wrong_hash", &|day| patch(day.join(&wav), &|b| b[5_000] ^= 1)),
        ("wrong_size", &|day| patch(day.join(&wav), &|b| b.truncate(5_000))),
        ("wrong_format", &|day| patch(day.join(&wav), &|b| b[0] = b'X')),
        ("no_header", &|day| patch(day.join(&wav), &|b| b.truncate(10))),
        ("wrong_length", &|day| {
            patch(day.join(&wav), &|b| {
                b.truncate(44 + 4 * 4_000);
                b[..44].copy_from_slice(&crate::wire::wav::header(4 * 4_000));
            })
        }),
        ("missing", &|day| fs::remove_file(day.join(&wav)).unwrap()),
        ("bad_sidecar", &|day| fs::write(day.join(&json), "{").unwrap()),
        ("bad_sidecar", &|day| {
            fs::copy(day.join(format!("{}.json", call(2))), day.join(&json)).map(drop).unwrap();
        }),
    ];
    for (code, change) in cases {
        let (dir, day) = sealed();
        change(&day);
        let verified = verify_recordings(dir.path()).unwrap();
        assert_eq!((codes(&verified.problems), verified.good), (vec![code], 1));
        assert!(verified.problems[0].path.starts_with(&day));
    }
}

#[test]
fn what_is_unfinished_or_alone_is_noted() {
    let (dir, day) = sealed();
    fs::remove_file(day.join(format!("{}.json", call(2)))).unwrap();
    fs::write(day.join(format!("{}.wav.part", call(3))), "x").unwrap();
    fs::write(day.join(format!("{}.wav.broken", call(4))), "x").unwrap();
    let verified = verify_recordings(dir.path()).unwrap();
    assert!(verified.is_good());
    assert_eq!(codes(&verified.notes), ["no_sidecar", "unfinished", "broken"]);
}
