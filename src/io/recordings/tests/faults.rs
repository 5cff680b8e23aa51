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
        recordings.sidecar(id, &json!({"call_id": id, "recording": summary}));
        told.push((id, summary));
    }
    drop((tap, door));
    recordings.join();
    assert!(notices.recv().is_err());
    told
}

#[test]
fn any_one_operation_may_fail() {
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
fn a_disk_that_is_gone_from_any_operation_on_and_then_a_new_start() {
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
fn a_disk_that_stands_still_costs_gaps_and_never_the_media_thread() {
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
fn a_disk_with_too_little_room_takes_no_new_recording() {
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
