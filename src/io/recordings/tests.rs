//! Whole recordings through the threads, on a disk that works and on disks that do not.

mod crash;
mod encrypted;
mod faults;
mod killed;
mod verifying;
mod whole;

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::config::Store;
use crate::core::event::RecordingState;
use crate::core::media::{Flowing, PayloadFormat};
use crate::io::media::tap::{self, Tap};
use crate::time::Wall;
use crate::wire::codec::g711::Law;

pub(super) const STARTED: Now = Now { mono: Mono(5_000_000_000), wall: Wall(1_795_305_599_000_000) };
pub(super) const DAY: &str = "recordings/2026/11/21";

/// A folder in memory where there is one: these tests are about the order of operations, not about the disk.
pub(super) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(super) fn config(fsync: Fsync) -> config::Recording {
    let text = "[recording]\ndisk_free_min = \"1B\"\n";
    let config = config::Config::parse(text, "", Path::new("")).unwrap();
    config::Recording { fsync, ..config.recording }
}

pub(super) fn call(n: u128) -> CallId {
    CallId((STARTED.wall.0 as u128 / 1_000) << 80 | n)
}

pub(super) fn after(ms: u64) -> Now {
    STARTED.after(Duration::from_millis(ms))
}

/// Code of sample `k` of a side of a call: a noise without a zero.
pub(super) fn code(call: CallId, side: Side, k: usize) -> u8 {
    let mut x = (k as u32).wrapping_mul(2_654_435_761) ^ (call.0 as u32 * 7_919 + side.index() as u32 * 104_729);
    x ^= x >> 15;
    x = x.wrapping_mul(0x2c1b_3c6d);
    x ^= x >> 12;
    (x & 0x80) as u8 | (0x30 + (x >> 8 & 0x3f) as u8)
}

/// Packet `k` (20 ms) of a side.
pub(super) fn packet(call: CallId, side: Side, k: usize) -> Vec<u8> {
    let mut bytes = vec![0x80, 8];
    bytes.extend((k as u16).to_be_bytes());
    bytes.extend((k as u32 * 160).to_be_bytes());
    bytes.extend([1, 2, 3, side.index() as u8]);
    bytes.extend((k * 160..k * 160 + 160).map(|i| code(call, side, i)));
    bytes
}

pub(super) fn formats() -> [SideFormats; 2] {
    let format = PayloadFormat { payload_type: 8, name: "PCMA".into(), clock_rate: 8_000, channels: 1 };
    let side = SideFormats { formats: vec![format], flowing: Some(Flowing { from_side: true, to_side: true }) };
    [side.clone(), side]
}

pub(super) fn begin(tap: &mut Tap, call: CallId) {
    tap.start(RecordingSpec { call, started: STARTED }, formats()).unwrap();
}

pub(super) fn talk(tap: &mut Tap, call: CallId, packets: std::ops::Range<usize>) {
    for k in packets {
        for side in Side::BOTH {
            tap.packet(call, side, after(k as u64 * 20).mono, &packet(call, side, k));
        }
    }
}

/// A whole call of so many milliseconds.
pub(super) fn say(tap: &mut Tap, call: CallId, ms: u64) {
    begin(tap, call);
    talk(tap, call, 0..(ms / 20) as usize);
    tap.stop(call, after(ms));
}

/// The samples a whole call has.
pub(super) fn samples(call: CallId, ms: u64) -> Vec<i16> {
    (0..ms as usize * 8).flat_map(|k| Side::BOTH.map(|side| Law::A.decode(code(call, side, k)))).collect()
}

pub(super) type Notices = Receiver<(CallId, RecordingSummary)>;

pub(super) fn start(files: Arc<dyn Files>, dir: &Path, fsync: Fsync, taps: TapReceiver) -> (Recordings, Notices) {
    let (sender, notices) = channel();
    let sender = Mutex::new(sender);
    let notify = move |call, summary| sender.lock().unwrap().send((call, summary)).unwrap();
    (Recordings::start_with(files, dir, &config(fsync), taps, notify).unwrap(), notices)
}

/// The notice of the next recording.
pub(super) fn notice(notices: &Notices) -> (CallId, RecordingSummary) {
    notices.recv_timeout(Duration::from_secs(20)).expect("every recording is answered for")
}

pub(super) fn wav(dir: &Path, path: &str) -> Vec<i16> {
    let mut reader = hound::WavReader::open(dir.join(path)).unwrap();
    assert_eq!(reader.spec().channels, 2);
    reader.samples::<i16>().map(Result::unwrap).collect()
}

/// What the summary claims of a file is so, and its audio is the beginning of what was said.
pub(super) fn assert_true(dir: &Path, call: CallId, ms: u64, summary: &RecordingSummary) {
    let name = format!("{DAY}/{call}.wav");
    let Some(path) = &summary.path else {
        assert_eq!(summary.state, RecordingState::Failed);
        assert!(summary.reason.is_some());
        assert!(!dir.join(&name).exists(), "a file nobody speaks of");
        return;
    };
    assert_eq!(path, &name);
    let heard = wav(dir, path);
    let said = samples(call, ms);
    assert_eq!(heard, said[..heard.len()], "a playable prefix");
    assert_eq!(summary.duration_ms, heard.len() as u64 / 16);
    if let Some(sha256) = &summary.sha256 {
        assert_eq!(*sha256, seal::hash(std::fs::File::open(dir.join(path)).unwrap()).unwrap());
    }
    match summary.state {
        RecordingState::Complete => {
            assert!(heard == said && summary.sha256.is_some() && summary.reason.is_none() && summary.gaps.is_empty());
        }
        RecordingState::Degraded => assert!(summary.reason.is_some()),
        state @ (RecordingState::Failed | RecordingState::Off) => panic!("{state:?} with a path"),
    }
}
