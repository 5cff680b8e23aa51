//! What a killed process leaves, and what the next start makes of it.

use std::fs;

use super::*;

/// The folder as a process leaves it that is killed `ms` into a talk.
fn killed_at(ms: u64) -> tempfile::TempDir {
    let dir = folder();
    let (files, id) = (Disk, call(1));
    let spec = RecordingSpec { call: id, started: STARTED };
    let mut active = Active::start(&files, dir.path(), (Fsync::None, Store::Pcm), &spec, &Default::default(), None);
    let mut out = Vec::new();
    for k in 0..ms / 20 {
        for side in Side::BOTH {
            let at = after(k * 20).mono;
            active.on_time(at, Fsync::None, &mut out);
            active.recorder.on_rtp(at, side, &packet(id, side, k as usize));
        }
    }
    let left = folder();
    let day = left.path().join(DAY);
    fs::create_dir_all(&day).unwrap();
    let part = format!("{id}.wav.part");
    fs::copy(dir.path().join(DAY).join(&part), day.join(&part)).unwrap();
    left
}

#[test]
fn g06_at_any_moment_at_most_a_second_is_lost_and_the_part_can_be_played() {
    for ms in (1_000..4_000).step_by(60) {
        let dir = killed_at(ms);
        let part = dir.path().join(DAY).join(format!("{}.wav.part", call(1)));
        let playable = hound::WavReader::open(&part).unwrap().duration() as u64 / 8;
        assert!(playable + 1_000 >= ms, "{playable} of {ms} ms");
        let recovered = repair(dir.path(), &Recipients::default());
        let [one] = recovered.as_slice() else { panic!("{recovered:?}") };
        assert_eq!((one.summary.state, one.summary.reason.as_deref()), (RecordingState::Degraded, Some("crash")));
        assert!(one.summary.duration_ms >= playable);
        assert_true(dir.path(), one.call, ms, &one.summary);
        assert_eq!(repair(dir.path(), &Recipients::default()), []);
    }
}

#[test]
fn the_bytes_decide_not_the_header() {
    let dir = killed_at(3_000);
    let part = dir.path().join(DAY).join(format!("{}.wav.part", call(1)));
    let mut bytes = fs::read(&part).unwrap();
    let frames = (bytes.len() - 44) / 4;
    bytes[4..8].fill(0);
    bytes[40..44].fill(0);
    bytes.extend([1, 2, 3]);
    fs::write(&part, bytes).unwrap();
    let recovered = repair(dir.path(), &Recipients::default());
    assert_eq!(recovered[0].summary.duration_ms, frames as u64 / 8);
    assert_true(dir.path(), call(1), 3_000, &recovered[0].summary);
}

#[test]
fn what_cannot_be_played_is_kept_aside() {
    let dir = folder();
    let day = dir.path().join(DAY);
    fs::create_dir_all(&day).unwrap();
    let contents: [&[u8]; 4] = [b"", b"RIFF", &crate::wire::wav::header(0), &[0; 4_096]];
    for (n, bytes) in contents.iter().enumerate() {
        fs::write(day.join(format!("{}.wav.part", call(n as u128))), bytes).unwrap();
    }
    fs::write(day.join("notes.txt"), "mine").unwrap();
    fs::write(day.join("x.wav.part"), "not ours").unwrap();
    let recovered = repair(dir.path(), &Recipients::default());
    assert_eq!(recovered.len(), 4);
    for (n, one) in recovered.iter().enumerate() {
        assert_eq!((one.summary.state, one.summary.reason.as_deref()), (RecordingState::Failed, Some("crash")));
        assert_eq!(one.file, day.join(format!("{}.wav.broken", call(n as u128))));
        assert_eq!(fs::read(&one.file).unwrap(), contents[n]);
        assert_eq!(find(dir.path(), one.call).unwrap().state, RecordingState::Failed);
    }
    assert_eq!(repair(dir.path(), &Recipients::default()), []);
    assert!(day.join("notes.txt").exists() && day.join("x.wav.part").exists());
}

#[test]
fn g14_a_crash_between_the_rename_and_the_event() {
    let dir = folder();
    let (door, taps) = tap::channel();
    let (recordings, notices) = start(Arc::new(Disk), dir.path(), Fsync::Seal, taps);
    let mut tap = door.tap();
    say(&mut tap, call(1), 1_000);
    drop((tap, door));
    let (_, told) = notice(&notices);
    recordings.join();
    assert_eq!(repair(dir.path(), &Recipients::default()), []);
    let found = find(dir.path(), call(1)).unwrap();
    assert_eq!((&found.path, &found.sha256, found.duration_ms), (&told.path, &told.sha256, told.duration_ms));
    assert_eq!((found.state, found.reason.as_deref()), (RecordingState::Degraded, Some("crash")));
    assert_eq!(find(dir.path(), call(2)), None);
    // An id that says nothing of the day is found too.
    let odd = CallId(7);
    let day = dir.path().join(DAY);
    fs::copy(day.join(format!("{}.wav", call(1))), day.join(format!("{odd}.wav"))).unwrap();
    assert_eq!(find(dir.path(), odd).unwrap().duration_ms, 1_000);
}

#[test]
fn g06_a_repair_that_is_killed_itself_is_done_by_the_next_start() {
    for n in 1.. {
        let dir = killed_at(2_000);
        let disk = super::faults::Faulty::new(n, true, nix::libc::EIO);
        let first = repair::repair_with(&disk, dir.path(), &Recipients::default());
        assert_eq!(first.len(), 1);
        assert!(first[0].file.exists(), "operation {n}: {first:?}");
        let second = repair(dir.path(), &Recipients::default());
        let done = if first[0].summary.path.is_some() { first } else { second };
        assert_eq!(done.len(), 1, "operation {n}");
        assert_eq!(done[0].summary.state, RecordingState::Degraded, "operation {n}: {done:?}");
        assert_true(dir.path(), call(1), 2_000, &done[0].summary);
        assert_eq!(repair(dir.path(), &Recipients::default()), []);
        if !disk.was_reached() {
            break;
        }
    }
}
