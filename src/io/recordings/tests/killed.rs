//! A writer that is a process of its own, killed with SIGKILL at a random moment, a hundred times.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::*;

/// Says to the other process that it is the one that writes, and where.
const FOLDER: &str = "LEASELINE_TEST_WRITER";

/// Not a test by itself: what the killed process does. It writes one recording as fast as it can, and says after every
/// packet how many milliseconds of talk it has given to the writer.
#[test]
fn g06_the_process_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let spec = RecordingSpec { call: call(1), started: STARTED };
    let mut active =
        Active::start(&Disk, Path::new(&folder), (Fsync::Second, Store::Pcm), &spec, &Default::default(), None);
    let mut out = Vec::new();
    let mut said = std::io::stderr().lock();
    for k in 0..100_000 {
        let at = after(k as u64 * 20).mono;
        for side in Side::BOTH {
            if let Some((handle, state)) = active.on_time(at, Fsync::Second, &mut out) {
                state.run(&handle);
            }
            active.recorder.on_rtp(at, side, &packet(call(1), side, k));
        }
        if writeln!(said, "{}", k * 20).is_err() {
            return;
        }
    }
}

/// Row G06.
#[test]
fn g06_killed_a_hundred_times_and_never_more_than_a_second_lost() {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    let mut longest = 0;
    for round in 0..100 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let dir = folder();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "io::recordings::tests::killed::g06_the_process_that_is_killed", "--nocapture"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut last = 0;
        // At a random moment of the first seconds of talk, wherever the writer is then.
        let wanted = x % 8_000;
        let mut hear = |line: String| line.parse().map(|ms: u64| last = ms).is_ok();
        while let Some(Ok(line)) = lines.next() {
            let number = line.parse::<u64>().is_ok_and(|ms| ms >= wanted);
            hear(line);
            if number {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.map_while(Result::ok).for_each(|line| {
            hear(line);
        });
        assert!(last >= wanted, "the writer ended by itself");
        let part = dir.path().join(DAY).join(format!("{}.wav.part", call(1)));
        let recovered = repair(dir.path(), &Recipients::default());
        assert!(!part.exists(), "round {round}");
        if last < 1_000 && recovered.first().is_none_or(|one| one.summary.path.is_none()) {
            continue;
        }
        let [one] = recovered.as_slice() else { panic!("round {round}: {recovered:?}") };
        assert_eq!((one.summary.state, one.summary.reason.as_deref()), (RecordingState::Degraded, Some("crash")));
        assert!(one.summary.duration_ms + 1_000 >= last, "{} of {last} ms are kept", one.summary.duration_ms);
        assert_true(dir.path(), one.call, last + 20, &one.summary);
        longest = longest.max(last - last.min(one.summary.duration_ms));
        assert_eq!(repair(dir.path(), &Recipients::default()), [], "repaired once");
    }
    assert!(longest > 0, "not one kill came in the middle");
}
