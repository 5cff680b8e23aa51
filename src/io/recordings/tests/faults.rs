//! Disks that fail, fill and stand still.

use std::io::SeekFrom;
use std::sync::Condvar;
use std::sync::atomic::AtomicU64;

use serde_json::json;

use super::*;

/// A disk whose n-th operation fails.
#[derive(Clone, Debug)]
pub(super) struct Faulty(Arc<Plan>);

#[derive(Debug)]
struct Plan {
    done: AtomicU64,
    fail_at: u64,
    /// All operations from there on fail: the disk is gone, or the process is.
    for_good: bool,
    error: i32,
}

impl Faulty {
    pub(super) fn new(fail_at: u64, for_good: bool, error: i32) -> Faulty {
        Faulty(Arc::new(Plan { done: AtomicU64::new(0), fail_at, for_good, error }))
    }

    pub(super) fn was_reached(&self) -> bool {
        self.0.done.load(Ordering::SeqCst) >= self.0.fail_at
    }

    fn step(&self) -> io::Result<()> {
        let n = self.0.done.fetch_add(1, Ordering::SeqCst) + 1;
        let fails = n == self.0.fail_at || self.0.for_good && n > self.0.fail_at;
        if fails { Err(io::Error::from_raw_os_error(self.0.error)) } else { Ok(()) }
    }

    fn wrap(&self, file: Arc<dyn RawFile>) -> Arc<dyn RawFile> {
        Arc::new(FaultyFile { disk: self.clone(), file })
    }
}

impl Files for Faulty {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        self.step().and_then(|()| Disk.create_dir(path))
    }
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn RawFile>> {
        self.step().and_then(|()| Disk.create_new(path)).map(|file| self.wrap(file))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn RawFile>> {
        self.step().and_then(|()| Disk.open(path)).map(|file| self.wrap(file))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step().and_then(|()| Disk.rename(from, to))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| Disk.remove(path))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| Disk.sync_dir(path))
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.step().and_then(|()| Disk.free_bytes(path))
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: Faulty,
    file: Arc<dyn RawFile>,
}

impl RawFile for FaultyFile {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.step().and_then(|()| self.file.read(buffer))
    }
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.disk.step() {
            // A full disk takes what still fits, also half a frame.
            self.file.write(&bytes[..bytes.len() / 2 + 1])?;
            return Err(error);
        }
        self.file.write(bytes)
    }
    fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        self.disk.step().and_then(|()| self.file.seek(to))
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.step().and_then(|()| self.file.set_len(length))
    }
    fn length(&self) -> io::Result<u64> {
        self.disk.step().and_then(|()| self.file.length())
    }
    fn sync(&self) -> io::Result<()> {
        self.disk.step().and_then(|()| self.file.sync())
    }
}

const MS: u64 = 1_400;

/// Two calls one after the other, each with a sidecar, on this disk. Gives what was said of them.
pub(super) fn two_calls(dir: &Path, disk: &Faulty) -> Vec<(CallId, RecordingSummary)> {
    let (door, taps) = tap::channel();
    let (recordings, notices) = start(Arc::new(disk.clone()), dir, Fsync::Second, taps);
    let mut tap = door.tap();
    let mut told = Vec::new();
    for n in 0..2 {
        say(&mut tap, call(n), MS);
        let (id, summary) = notice(&notices);
        recordings.sidecar(id, json!({"call_id": id, "recording": summary}), None);
        told.push((id, summary));
    }
    drop((tap, door));
    recordings.join();
    assert!(notices.recv().is_err());
    told
}

#[test]
fn g04_any_one_operation_may_fail() {
    for error in [nix::libc::ENOSPC, nix::libc::EIO] {
        for n in 1.. {
            let dir = folder();
            let disk = Faulty::new(n, false, error);
            let told = two_calls(dir.path(), &disk);
            for (id, summary) in &told {
                assert_true(dir.path(), *id, MS, summary);
                if summary.duration_ms < MS {
                    assert!(summary.gaps.iter().any(|g| g.cause == "disk"), "operation {n}: {summary:?}");
                }
                if let Some(reason) = summary.reason.as_deref() {
                    let expected: &[_] =
                        if error == nix::libc::ENOSPC { &["disk_full", "write_error"] } else { &["write_error"] };
                    assert!(expected.contains(&reason), "{reason}");
                }
            }
            let complete = told.iter().filter(|t| t.1.state == RecordingState::Complete).count();
            assert!(complete >= 1, "operation {n}: the other call is recorded: {told:?}");
            if !disk.was_reached() {
                assert_eq!(complete, 2);
                assert!(n > 40, "only {n} operations");
                break;
            }
        }
    }
}

#[test]
fn g14_a_disk_that_is_gone_from_any_operation_on_and_then_a_new_start() {
    for n in 1.. {
        let dir = folder();
        let disk = Faulty::new(n, true, nix::libc::EIO);
        let told = two_calls(dir.path(), &disk);
        told.iter().for_each(|(id, summary)| assert_true(dir.path(), *id, MS, summary));
        for recovered in repair(dir.path(), &Recipients::default()) {
            let before = told.iter().find(|t| t.0 == recovered.call).unwrap();
            assert_eq!(before.1.path, None, "only what was not sealed is repaired");
            assert!(recovered.file.exists());
            assert_true(dir.path(), recovered.call, MS, &recovered.summary);
        }
        assert_eq!(repair(dir.path(), &Recipients::default()), [], "a second run finds nothing");
        let verified = verify_recordings(dir.path()).unwrap();
        assert!(verified.is_good(), "operation {n}: {verified:?}");
        if !disk.was_reached() {
            break;
        }
    }
}

/// A disk with room for so many bytes.
#[derive(Clone, Debug)]
struct Small(Arc<Room>);

#[derive(Debug)]
struct Room {
    bytes: AtomicU64,
    /// A directory that is full takes no new name.
    names: AtomicBool,
}

#[derive(Debug)]
struct SmallFile(Arc<Room>, Arc<dyn RawFile>);

impl Small {
    fn set(&self, bytes: u64, names: bool) {
        self.0.bytes.store(bytes, Ordering::SeqCst);
        self.0.names.store(names, Ordering::SeqCst);
    }

    fn name(&self) -> io::Result<()> {
        if self.0.names.load(Ordering::SeqCst) { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }
}

impl Files for Small {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        Disk.create_dir(path)
    }
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn RawFile>> {
        self.name()?;
        Ok(Arc::new(SmallFile(self.0.clone(), Disk.create_new(path)?)))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn RawFile>> {
        Disk.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.name().and_then(|()| Disk.rename(from, to))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        Disk.sync_dir(path)
    }
    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl RawFile for SmallFile {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.read(buffer)
    }
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        // What is there already is written over without taking room.
        let over = self.1.length()? - self.1.seek(SeekFrom::Current(0))?;
        let room = self.0.bytes.load(Ordering::SeqCst);
        let fits = bytes.len().min(usize::try_from(room.saturating_add(over)).unwrap_or(usize::MAX));
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.bytes.fetch_sub((fits as u64).saturating_sub(over), Ordering::SeqCst);
        self.1.write(&bytes[..fits])
    }
    fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        self.1.seek(to)
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.1.set_len(length)
    }
    fn length(&self) -> io::Result<u64> {
        self.1.length()
    }
    fn sync(&self) -> io::Result<()> {
        self.1.sync()
    }
}

/// Row G03: no room for the name, for the header, for a whole block; and then room again. Whatever it was, the call's
/// verdict is true, a beginning can be played, and the next call is whole.
#[test]
fn g03_a_disk_that_is_full_at_any_moment_and_has_room_again() {
    // What fits, and whether a beginning is kept then.
    for (bytes, names, kept) in [
        (0, false, false),
        (0, true, false),
        (20, true, false),
        (44, true, false),
        (44 + 5_001, true, true),
        (44 + 12_800, true, true),
        (44 + 12_800 + 10, true, true),
        (44 + 2 * 12_800 + 3, true, true),
    ] {
        let (dir, disk) = (folder(), Small(Arc::new(Room { bytes: 0.into(), names: true.into() })));
        let (door, taps) = tap::channel();
        let (recordings, notices) = start(Arc::new(disk.clone()), dir.path(), Fsync::Seal, taps);
        let mut tap = door.tap();
        disk.set(bytes, names);
        say(&mut tap, call(1), MS);
        let (_, summary) = notice(&notices);
        assert_eq!(summary.reason.as_deref(), Some("disk_full"), "{bytes} {names}");
        assert_true(dir.path(), call(1), MS, &summary);
        assert!(summary.gaps.iter().any(|gap| gap.cause == "disk"), "{bytes}: {summary:?}");
        assert_eq!(summary.path.is_some(), kept, "{bytes}: {summary:?}");
        disk.set(u64::MAX, true);
        say(&mut tap, call(2), MS);
        let (_, summary) = notice(&notices);
        assert_eq!(summary.state, RecordingState::Complete);
        assert_true(dir.path(), call(2), MS, &summary);
        drop((tap, door));
        recordings.join();
        assert!(repair(dir.path(), &Recipients::default()).len() <= 1);
        assert!(verify_recordings(dir.path()).unwrap().is_good());
    }
}

/// Row G03: full at the rename. The bytes are there, and the next start gives them their name.
#[test]
fn g03_full_at_the_rename() {
    let (dir, disk) = (folder(), Small(Arc::new(Room { bytes: u64::MAX.into(), names: true.into() })));
    let (door, taps) = tap::channel();
    let (recordings, notices) = start(Arc::new(disk.clone()), dir.path(), Fsync::Seal, taps);
    let mut tap = door.tap();
    begin(&mut tap, call(1));
    talk(&mut tap, call(1), 0..(MS / 20) as usize);
    tap.flush();
    let part = dir.path().join(DAY).join(format!("{}.wav.part", call(1)));
    while !part.exists() {
        std::thread::yield_now();
    }
    disk.set(u64::MAX, false);
    tap.stop(call(1), after(MS));
    let (id, summary) = notice(&notices);
    assert_eq!((summary.state, summary.reason.as_deref()), (RecordingState::Failed, Some("disk_full")));
    drop((tap, door));
    recordings.join();
    let recovered = repair(dir.path(), &Recipients::default());
    assert_eq!((recovered.len(), recovered[0].summary.duration_ms), (1, MS));
    assert_true(dir.path(), id, MS, &recovered[0].summary);
}

/// Row G07: the folder is read-only, and then it is not.
#[test]
fn g07_a_folder_that_takes_nothing() {
    let dir = folder();
    let disk = Faulty::new(1, true, nix::libc::EROFS);
    for (_, summary) in two_calls(dir.path(), &disk) {
        assert_eq!((summary.state, summary.reason.as_deref()), (RecordingState::Failed, Some("write_error")));
    }
    assert!(!dir.path().join("recordings").exists());
    let told = two_calls(dir.path(), &Faulty::new(u64::MAX, true, nix::libc::EROFS));
    assert!(told.iter().all(|(_, summary)| summary.state == RecordingState::Complete));
}

/// A disk whose writes wait for a gate.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

#[derive(Debug)]
struct Slow(Arc<Gate>);

#[derive(Debug)]
struct SlowFile(Arc<Gate>, Arc<dyn RawFile>);

impl Files for Slow {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        Disk.create_dir(path)
    }
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn RawFile>> {
        Ok(Arc::new(SlowFile(self.0.clone(), Disk.create_new(path)?)))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn RawFile>> {
        Disk.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        Disk.sync_dir(path)
    }
    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl RawFile for SlowFile {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.read(buffer)
    }
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        drop(self.0.changed.wait_while(self.0.open.lock().unwrap(), |open| !*open).unwrap());
        self.1.write(bytes)
    }
    fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        self.1.seek(to)
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.1.set_len(length)
    }
    fn length(&self) -> io::Result<u64> {
        self.1.length()
    }
    fn sync(&self) -> io::Result<()> {
        self.1.sync()
    }
}

#[test]
fn g05_a_write_that_takes_long_costs_gaps_and_never_the_media_thread() {
    let dir = folder();
    let gate = Arc::new(Gate::default());
    let (door, taps) = tap::channel();
    let (recordings, notices) = start(Arc::new(Slow(gate.clone())), dir.path(), Fsync::Seal, taps);
    let mut tap = door.tap();
    let id = call(1);
    begin(&mut tap, id);
    talk(&mut tap, id, 0..100);
    // Another call's packets use up the buffers, until not one more fits.
    let other = packet(call(2), Side::Caller, 0);
    while tap.packet(call(2), Side::Caller, after(2_000).mono, &other) {}
    let lost = 100..600;
    for k in lost.clone() {
        tap.packet(id, Side::Caller, after(k as u64 * 20).mono, &packet(id, Side::Caller, k));
    }
    // Whoever looks sees how far behind it is, although the thread that writes stands still.
    assert!(recordings.lag(after(12_000).mono) >= Duration::from_secs(9));
    *gate.open.lock().unwrap() = true;
    gate.changed.notify_all();
    // Buffers come back; what was lost is told before what comes now.
    let again = lost.end..lost.end + 100;
    for k in again.clone() {
        let at = after(k as u64 * 20).mono;
        while !tap.packet(id, Side::Caller, at, &packet(id, Side::Caller, k)) {
            std::thread::yield_now();
        }
    }
    let ms = again.end as u64 * 20;
    tap.stop(id, after(ms));
    while tap.poll_timeout(after(ms).mono).is_some() {
        tap.turn(after(ms).mono);
        std::thread::yield_now();
    }
    drop((tap, door));
    let (_, summary) = notice(&notices);
    assert_eq!(recordings.sealing(), 0);
    recordings.join();
    assert_eq!((summary.state, summary.reason.as_deref()), (RecordingState::Degraded, Some("overload")));
    assert_eq!(summary.duration_ms, ms);
    let overload = summary.gaps.iter().find(|g| g.cause == "overload").unwrap();
    assert_eq!(overload.at_ms, lost.start as u64 * 20);
    assert!(overload.for_ms >= 500 * 20);
    let heard = wav(dir.path(), summary.path.as_deref().unwrap());
    let left = |k: usize| heard[k * 2];
    let end = (overload.at_ms + overload.for_ms) as usize * 8;
    for k in (0..overload.at_ms as usize * 8).chain(end..ms as usize * 8) {
        assert_eq!(left(k), Law::A.decode(code(id, Side::Caller, k)), "sample {k}");
    }
    assert!((overload.at_ms as usize * 8..end).all(|k| left(k) == 0));
}

#[test]
fn g03_a_disk_with_too_little_room_takes_no_new_recording() {
    let dir = folder();
    let (door, taps) = tap::channel();
    let (sender, notices) = channel();
    let config = config::Recording { disk_free_min: u64::MAX, ..config(Fsync::Seal) };
    let notify = move |call, summary| sender.send((call, summary)).unwrap();
    let recordings = Recordings::start(dir.path(), &config, taps, notify).unwrap();
    let mut tap = door.tap();
    say(&mut tap, call(1), 1_000);
    let (_, summary) = notice(&notices);
    assert_eq!((summary.state, summary.reason.as_deref()), (RecordingState::Failed, Some("disk_low")));
    assert_eq!(
        summary.gaps.iter().map(|g| (g.at_ms, g.for_ms, g.cause.as_str())).collect::<Vec<_>>(),
        [(0, 1_000, "disk"); 2]
    );
    assert!(recordings.is_disk_low());
    drop((tap, door));
    recordings.join();
    assert!(!dir.path().join("recordings").exists());
}
