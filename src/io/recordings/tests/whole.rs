//! The disk works.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;

#[test]
fn g13_two_hundred_calls_at_once_each_with_its_own_audio() {
    let dir = folder();
    let (door, taps) = tap::channel();
    let (recordings, notices) = start(Arc::new(Disk), dir.path(), Fsync::Second, taps);
    let mut tap = door.tap();
    let calls: Vec<CallId> = (0..200).map(call).collect();
    calls.iter().for_each(|c| begin(&mut tap, *c));
    for second in 0..2 {
        calls.iter().for_each(|c| talk(&mut tap, *c, second * 50..second * 50 + 50));
    }
    calls.iter().for_each(|c| tap.stop(*c, after(2_000)));
    drop((tap, door));
    for _ in &calls {
        let (call, summary) = notice(&notices);
        assert_eq!(summary.state, RecordingState::Complete, "{summary:?}");
        assert_true(dir.path(), call, 2_000, &summary);
    }
    recordings.join();
    assert!(notices.recv().is_err(), "one notice a recording");
}

#[test]
fn g08_files_and_folders_are_for_the_owner_only_and_the_sidecar_is_beside() {
    let dir = folder();
    let (door, taps) = tap::channel();
    let (recordings, notices) = start(Arc::new(Disk), dir.path(), Fsync::Seal, taps);
    let mut tap = door.tap();
    say(&mut tap, call(1), 1_000);
    let (id, summary) = notice(&notices);
    let data = json!({"call_id": id, "recording": summary, "outcome": "answered"});
    recordings.sidecar(id, data, None);
    recordings.sidecar(
        call(2),
        json!({"recording": {"path": format!("recordings/2026/11/21/../{}.wav", call(2))}}),
        None,
    );
    recordings.sidecar(call(3), json!({"call_id": call(3)}), None);
    drop((tap, door));
    recordings.join();
    let day = dir.path().join(DAY);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in day.ancestors().take(4) {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    let mut names: Vec<_> = std::fs::read_dir(&day).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    assert_eq!(names, [day.join(format!("{id}.json")), day.join(format!("{id}.wav"))]);
    assert!(names.iter().all(|path| mode(path) == 0o600));
    let sidecar: serde_json::Value = serde_json::from_slice(&std::fs::read(&names[0]).unwrap()).unwrap();
    assert_eq!(sidecar["recording"]["sha256"], json!(summary.sha256));
    assert_eq!(sidecar["recorder"]["caller"]["audio"], json!(50));
    let verified = verify_recordings(dir.path()).unwrap();
    assert_eq!((verified.good, verified.is_good(), verified.notes.len()), (1, true, 0));
}

#[test]
fn g07_a_link_in_the_place_of_a_folder_or_a_file_is_not_followed() {
    let (dir, elsewhere) = (folder(), folder());
    std::fs::create_dir_all(dir.path().join("recordings/2026")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("recordings/2026/11")).unwrap();
    let (door, taps) = tap::channel();
    let (recordings, notices) = start(Arc::new(Disk), dir.path(), Fsync::Seal, taps);
    let mut tap = door.tap();
    say(&mut tap, call(1), 1_000);
    let (_, summary) = notice(&notices);
    assert_eq!((summary.state, summary.reason.as_deref()), (RecordingState::Failed, Some("write_error")));
    std::fs::remove_file(dir.path().join("recordings/2026/11")).unwrap();
    let day = dir.path().join(DAY);
    std::fs::create_dir_all(&day).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("x"), day.join(format!("{}.wav.part", call(2)))).unwrap();
    say(&mut tap, call(2), 1_000);
    assert_eq!(notice(&notices).1.state, RecordingState::Failed);
    say(&mut tap, call(3), 1_000);
    assert_eq!(notice(&notices).1.state, RecordingState::Complete);
    drop((tap, door));
    recordings.join();
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

/// Row G02: the same instant gives two files, the same call never a second one over the first.
#[test]
fn g02_two_calls_of_one_instant_and_one_call_twice() {
    let dir = folder();
    let (door, taps) = tap::channel();
    let (recordings, notices) = start(Arc::new(Disk), dir.path(), Fsync::Seal, taps);
    let mut tap = door.tap();
    let pair = [call(1), call(2)];
    pair.iter().for_each(|c| begin(&mut tap, *c));
    pair.iter().for_each(|c| talk(&mut tap, *c, 0..50));
    pair.iter().for_each(|c| tap.stop(*c, after(1_000)));
    for _ in pair {
        let (id, summary) = notice(&notices);
        assert_eq!(summary.state, RecordingState::Complete);
        assert_true(dir.path(), id, 1_000, &summary);
    }
    let before = std::fs::read(dir.path().join(DAY).join(format!("{}.wav", call(1)))).unwrap();
    say(&mut tap, call(1), 2_000);
    let (_, again) = notice(&notices);
    assert_eq!((again.state, again.reason.as_deref(), again.path), (RecordingState::Failed, Some("write_error"), None));
    assert_eq!(std::fs::read(dir.path().join(DAY).join(format!("{}.wav", call(1)))).unwrap(), before);
    // Nor over one that is being written.
    let unfinished = dir.path().join(DAY).join(format!("{}.wav.part", call(3)));
    std::fs::write(&unfinished, "another's").unwrap();
    say(&mut tap, call(3), 1_000);
    assert_eq!(notice(&notices).1.state, RecordingState::Failed);
    assert_eq!(std::fs::read(&unfinished).unwrap(), b"another's");
    drop((tap, door));
    recordings.join();
}

/// Row G07: the folder goes while a call is recorded. The call's word is true, nobody waits, the next call has its folder.
#[test]
fn g07_a_folder_that_is_removed_under_a_recording() {
    let dir = folder();
    let (door, taps) = tap::channel();
    let (recordings, notices) = start(Arc::new(Disk), dir.path(), Fsync::Seal, taps);
    let mut tap = door.tap();
    begin(&mut tap, call(1));
    talk(&mut tap, call(1), 0..50);
    tap.flush();
    while !dir.path().join(DAY).join(format!("{}.wav.part", call(1))).exists() {
        std::thread::yield_now();
    }
    std::fs::remove_dir_all(dir.path().join("recordings")).unwrap();
    talk(&mut tap, call(1), 50..100);
    tap.stop(call(1), after(2_000));
    let (_, summary) = notice(&notices);
    assert_eq!((summary.state, summary.reason.as_deref()), (RecordingState::Failed, Some("write_error")));
    say(&mut tap, call(2), 1_000);
    let (id, summary) = notice(&notices);
    assert_true(dir.path(), id, 1_000, &summary);
    assert_eq!(summary.state, RecordingState::Complete);
    drop((tap, door));
    recordings.join();
}

/// One byte a sample, and what came in the law of the file is stored as it came.
#[test]
fn g711_is_stored_as_it_was_received() {
    let dir = folder();
    let (door, taps) = tap::channel();
    let stored = config::Recording { store: Store::G711, ..config(Fsync::Seal) };
    let (sender, notices) = channel();
    let notify = move |call, summary| sender.send((call, summary)).unwrap();
    let recordings = Recordings::start(dir.path(), &stored, taps, notify).unwrap();
    let mut tap = door.tap();
    say(&mut tap, call(1), 1_000);
    let (id, summary) = notice(&notices);
    assert_eq!((summary.state, summary.encoding.as_deref()), (RecordingState::Complete, Some("alaw")));
    assert_eq!((summary.duration_ms, summary.sample_rate), (1_000, 8_000));
    let file = std::fs::read(dir.path().join(summary.path.as_deref().unwrap())).unwrap();
    let said: Vec<u8> = (0..8_000).flat_map(|k| Side::BOTH.map(|side| code(id, side, k))).collect();
    assert!(file.len() == 58 + 16_000 && file[58..] == said, "byte for byte");
    // The company speaks the other law: its side is converted, nearly without a difference.
    let mut sides = formats();
    sides[0].formats[0] = PayloadFormat { payload_type: 0, name: "PCMU".into(), clock_rate: 8_000, channels: 1 };
    tap.start(RecordingSpec { call: call(2), started: STARTED }, sides).unwrap();
    talk(&mut tap, call(2), 0..50);
    tap.stop(call(2), after(1_000));
    let (_, summary) = notice(&notices);
    assert_eq!(summary.encoding.as_deref(), Some("mulaw"));
    let file = std::fs::read(dir.path().join(summary.path.as_deref().unwrap())).unwrap();
    for k in 0..8_000 {
        let (heard, said) = (Law::Mu.decode(file[58 + k * 2 + 1]), Law::A.decode(code(call(2), Side::Company, k)));
        assert!((i32::from(heard) - i32::from(said)).abs() <= i32::from(said).abs() / 16 + 8, "{heard} for {said}");
    }
    drop((tap, door));
    recordings.join();
    // After a crash the same.
    let part = dir.path().join(DAY).join(format!("{}.wav.part", call(4)));
    std::fs::write(&part, &file[..58 + 8_001]).unwrap();
    let repaired = repair(dir.path(), &Recipients::default());
    assert_eq!((repaired[0].summary.duration_ms, repaired[0].summary.encoding.as_deref()), (500, Some("mulaw")));
    assert!(verify_recordings(dir.path()).unwrap().is_good());
}

#[test]
fn media_threads_that_end_without_a_word() {
    let dir = folder();
    let (door, taps) = tap::channel();
    let (recordings, notices) = start(Arc::new(Disk), dir.path(), Fsync::None, taps);
    let mut tap = door.tap();
    begin(&mut tap, call(1));
    talk(&mut tap, call(1), 0..100);
    tap.flush();
    drop((tap, door));
    recordings.join();
    let (_, summary) = notice(&notices);
    assert_eq!((summary.state, summary.reason.as_deref()), (RecordingState::Degraded, Some("interrupted")));
    assert!(summary.duration_ms >= 1_980, "{summary:?}");
}

#[test]
fn an_end_that_is_told_late_makes_no_longer_file() {
    let dir = folder();
    let spec = RecordingSpec { call: call(1), started: STARTED };
    let mut active = Active::start(&Disk, dir.path(), (Fsync::None, Store::Pcm), &spec, &Default::default(), None);
    let mut out = Vec::new();
    active.on_time(after(5_000).mono, Fsync::None, &mut out);
    let finished = active.finish(after(3_000).mono, None, &mut out);
    let summary = seal::seal(&Disk, dir.path(), Fsync::None, &Recipients::default(), finished);
    assert_eq!((summary.state, summary.duration_ms), (RecordingState::Complete, 3_000));
    assert_eq!(wav(dir.path(), &summary.path.unwrap()).len(), 3_000 * 16);
    assert!(summary.gaps.iter().all(|g| g.at_ms + g.for_ms <= 3_000));
}

#[test]
fn a_talk_of_no_time_at_all() {
    let dir = folder();
    let (door, taps) = tap::channel();
    let (recordings, notices) = start(Arc::new(Disk), dir.path(), Fsync::Seal, taps);
    let mut tap = door.tap();
    say(&mut tap, call(1), 0);
    drop((tap, door));
    let (id, summary) = notice(&notices);
    assert_eq!((summary.state, summary.duration_ms), (RecordingState::Complete, 0));
    assert_true(dir.path(), id, 0, &summary);
    recordings.join();
}
