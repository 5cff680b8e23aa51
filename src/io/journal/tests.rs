use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::core::event::Outcome;
use crate::core::event::cloud::tests::{call, ended, event, started};
use crate::ids::CallId;
use crate::time::Wall;

mod faults;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn options() -> Options {
    Options { source: "leaseline/edge-1".into(), seed: [7; 32], on_damage: OnDamage::Refuse }
}

fn open(dir: &Path) -> Result<(Journal, Recovery), OpenError> {
    Journal::open(dir, options())
}

/// Small segments, so that a test has several.
fn open_small(dir: &Path) -> (Journal, Recovery) {
    Journal::open_with(dir, options(), 2_000, limits::JOURNAL_RETRY, Files::open).unwrap()
}

fn fill(journal: &Journal, from: u128, count: u128) {
    for n in from..from + count {
        assert!(journal.append(started(n)));
    }
    assert!(journal.flush(PATIENCE));
}

fn numbers(journal: &Journal) -> Vec<u64> {
    let mut numbers = Vec::new();
    journal.replay(|record| numbers.push(record.seq)).unwrap();
    numbers
}

fn newest(dir: &Path) -> PathBuf {
    segment::list(&dir.join("journal")).unwrap().pop().unwrap().path
}

#[test]
fn what_is_appended_is_there_after_a_restart_in_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, recovery) = open(dir.path()).unwrap();
    assert_eq!(recovery, Recovery { segments: 1, ..Recovery::default() });
    fill(&journal, 1, 3);
    drop(journal);
    let (journal, recovery) = open(dir.path()).unwrap();
    assert_eq!((recovery.last_seq, recovery.torn_bytes), (3, 0));
    fill(&journal, 4, 2);
    assert_eq!(numbers(&journal), [1, 2, 3, 4, 5]);
    let (id, back) = journal.get(4).unwrap().unwrap().event().unwrap();
    assert_eq!(back, started(4));
    assert_ne!(id, journal.get(1).unwrap().unwrap().event().unwrap().0);
    let report = verify_journal(dir.path(), |_, _| {}).unwrap();
    assert!(report.is_good(), "{report:?}");
    assert_eq!((report.records, report.first_seq, report.last_seq), (5, Some(1), Some(5)));
    let mode = fs::metadata(newest(dir.path())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_second_daemon_is_refused_with_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let (_journal, _) = open(dir.path()).unwrap();
    let refused = open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains(&format!("used by another leaseline (process {})", std::process::id())), "{refused}");
}

#[test]
fn segments_roll_and_any_record_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open_small(dir.path());
    for n in 0..10 {
        fill(&journal, n * 20, 20);
    }
    drop(journal);
    let (journal, recovery) = open_small(dir.path());
    assert!(recovery.segments >= 9, "{recovery:?}");
    assert_eq!(numbers(&journal), (1..=200).collect::<Vec<_>>());
    for after in [0, 1, 19, 20, 21, 117, 199, 200, 500] {
        let read: Vec<u64> = journal.read(after, 30).unwrap().iter().map(|record| record.seq).collect();
        assert_eq!(read, (after + 1..=200.min(after + 30)).collect::<Vec<_>>());
    }
    assert!(verify_journal(dir.path(), |_, _| {}).unwrap().is_good());
}

#[test]
fn a_search_in_a_long_segment_finds_every_record() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path()).unwrap();
    fill(&journal, 1, 1_000);
    drop(journal);
    let (journal, _) = open(dir.path()).unwrap();
    assert!(fs::metadata(newest(dir.path())).unwrap().len() > 500_000);
    for seq in (1..=1_000).step_by(37) {
        assert_eq!(journal.get(seq).unwrap().map(|record| record.seq), Some(seq));
    }
    assert_eq!(journal.get(1_001).unwrap(), None);
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_rest_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path()).unwrap();
    fill(&journal, 1, 2);
    let two = fs::metadata(newest(dir.path())).unwrap().len();
    fill(&journal, 3, 1);
    drop(journal);
    let whole = fs::read(newest(dir.path())).unwrap();
    let other = tempfile::tempdir().unwrap();
    let folder = other.path().join("journal");
    fs::create_dir(&folder).unwrap();
    let segment = Segment::at(&folder, 1);
    for cut in 0..whole.len() {
        fs::write(&segment.path, &whole[..cut]).unwrap();
        let lines = whole[..cut].iter().filter(|&&b| b == b'\n').count() as u64;
        let found = recover(&folder, std::slice::from_ref(&segment), OnDamage::Refuse).unwrap();
        assert_eq!((found.tip.seq, found.tip.len + found.torn_bytes), (lines, cut as u64), "cut at {cut}");
        assert!(cut as u64 != two || found.torn_bytes == 0);
        let verified = verify_journal(other.path(), |_, _| {}).unwrap();
        assert!(verified.is_good() && verified.torn_bytes == found.torn_bytes, "cut at {cut}: {verified:?}");
        // Not at every byte: this waits for the disk.
        if cut % 211 == 0 {
            let (journal, recovery) = open(other.path()).unwrap();
            assert_eq!((recovery.last_seq, recovery.torn_bytes), (lines, found.torn_bytes));
            fill(&journal, 9, 1);
            assert_eq!(numbers(&journal), (1..=lines + 1).collect::<Vec<_>>());
            assert!(verify_journal(other.path(), |_, _| {}).unwrap().is_good());
        }
    }
}

#[test]
fn a_file_that_grew_without_its_pages_is_torn_too() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path()).unwrap();
    fill(&journal, 1, 3);
    drop(journal);
    let mut bytes = fs::read(newest(dir.path())).unwrap();
    let start = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
    bytes[start..start + 1_000].fill(0);
    let end = bytes.len() - 100;
    bytes[start + 1_000..end].fill(b'x');
    fs::write(newest(dir.path()), &bytes).unwrap();
    let (_, recovery) = open(dir.path()).unwrap();
    assert_eq!((recovery.last_seq, recovery.torn_bytes), (1, (bytes.len() - start) as u64));
}

/// Three segments' worth of records, one byte changed by `change` at a place in the newest segment.
fn damaged(change: impl FnOnce(&mut Vec<u8>)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path()).unwrap();
    fill(&journal, 1, 5);
    drop(journal);
    let mut bytes = fs::read(newest(dir.path())).unwrap();
    change(&mut bytes);
    fs::write(newest(dir.path()), bytes).unwrap();
    dir
}

fn line_start(bytes: &[u8], line: usize) -> usize {
    bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(line - 2).unwrap().0 + 1
}

#[test]
fn damage_in_the_middle_is_refused_and_named() {
    type Change = fn(&mut Vec<u8>);
    let table: [(&str, Change, &str); 5] = [
        ("a flipped bit", |bytes| *bytes = flip(bytes, line_start(bytes, 3) + 300), "line 3: hash differs"),
        (
            "a flipped bit in the last line",
            |bytes| *bytes = flip(bytes, line_start(bytes, 5) + 300),
            "line 5: hash differs",
        ),
        ("a doubled tail", |bytes| bytes.extend_from_within(line_start(bytes, 4)..), "line 6: number 4 where 6"),
        (
            "a missing line",
            |bytes| drop(bytes.drain(line_start(bytes, 3)..line_start(bytes, 4))),
            "line 3: number 4 where 3",
        ),
        (
            "a foreign line",
            |bytes| bytes.splice(line_start(bytes, 2)..line_start(bytes, 2), *b"hello\n").for_each(drop),
            "line 2: not a journal record",
        ),
    ];
    for (name, change, problem) in table {
        let dir = damaged(change);
        let refused = open(dir.path()).unwrap_err().to_string();
        assert!(refused.contains(problem) && refused.contains("00000000000000000001.jsonl"), "{name}: {refused}");
        let report = verify_journal(dir.path(), |_, _| {}).unwrap();
        assert_eq!(report.problem_count, 1, "{name}");
        assert!(report.problems[0].to_string().contains(problem.split_once(": ").unwrap().1), "{name}: {report:?}");
        let other = verify_journal(&newest(dir.path()), |_, _| {}).unwrap();
        assert_eq!(other.problems, report.problems, "{name}");
    }
}

fn flip(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

#[test]
fn a_rewritten_record_breaks_the_chain() {
    let dir = damaged(|bytes| {
        let (start, end) = (line_start(bytes, 3), line_start(bytes, 4));
        let view = record::decode(&bytes[start..end - 1]).unwrap();
        let mut line = Vec::new();
        record::encode(view.seq, view.prev, &view.event.replace("acme", "evil"), &mut line);
        bytes.splice(start..end, line);
    });
    let report = verify_journal(dir.path(), |_, _| {}).unwrap();
    assert_eq!((report.problems[0].code, report.problems[0].line), ("chain_broken", 4));
}

#[test]
fn behind_damage_the_journal_goes_on_in_a_new_segment() {
    let dir = damaged(|bytes| *bytes = flip(bytes, line_start(bytes, 3) + 300));
    let go_on = Options { on_damage: OnDamage::GoOn, ..options() };
    let (journal, recovery) = Journal::open(dir.path(), go_on).unwrap();
    assert_eq!(recovery.damage.as_ref().unwrap().last_good_seq, 2);
    fill(&journal, 9, 1);
    let (_, first) = journal.get(6).unwrap().unwrap().event().unwrap();
    assert_eq!(first.body, Body::JournalDamaged(recovery.damage.unwrap()));
    let mut seen = Vec::new();
    let replayed = journal.replay(|record| seen.push(record.seq)).unwrap();
    assert_eq!((seen, replayed.problems.len()), (vec![1, 2, 4, 5, 6, 7], 1));
    assert_eq!(journal.read(2, 10).unwrap().iter().map(|record| record.seq).collect::<Vec<_>>(), [4, 5, 6, 7]);
    drop(journal);
    let (_, recovery) = open(dir.path()).unwrap();
    assert_eq!((recovery.last_seq, recovery.damage), (7, None));
    assert_eq!(verify_journal(dir.path(), |_, _| {}).unwrap().problem_count, 1);
}

#[test]
fn a_missing_segment_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open_small(dir.path());
    for n in 0..6 {
        fill(&journal, n * 10, 10);
    }
    drop(journal);
    let segments = segment::list(&dir.path().join("journal")).unwrap();
    fs::remove_file(&segments[1].path).unwrap();
    let report = verify_journal(dir.path(), |_, _| {}).unwrap();
    assert_eq!((report.problem_count, report.problems[0].code), (1, "segment_missing"), "{report:?}");
    fs::remove_file(&segments[0].path).unwrap();
    assert_eq!(verify_journal(dir.path(), |_, _| {}).unwrap().problems[0].code, "segment_missing");
}

/// A disk with so much room.
struct SmallDisk {
    files: Files,
    room: Arc<AtomicI64>,
}

impl Storage for SmallDisk {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let room = usize::try_from(self.room.load(Ordering::SeqCst) - offset as i64).unwrap_or(0);
        self.files.write(offset, &bytes[..bytes.len().min(room)])?;
        if bytes.len() > room { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn settle(&mut self, len: u64) -> io::Result<()> {
        self.files.settle(len)
    }

    fn roll(&mut self, first_seq: u64) -> io::Result<Segment> {
        self.files.roll(first_seq)
    }
}

#[test]
fn a_full_disk_is_waited_for_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let room = Arc::new(AtomicI64::new(1_500));
    let disk =
        |folder: &Path, segment: &Segment| Ok(SmallDisk { files: Files::open(folder, segment)?, room: room.clone() });
    let retry = Duration::from_millis(5);
    let (journal, _) = Journal::open_with(dir.path(), options(), 1 << 20, retry, disk).unwrap();
    fill(&journal, 1, 1);
    for n in 2..20 {
        assert!(journal.append(started(n)));
    }
    assert!(!journal.flush(Duration::from_millis(100)));
    let stats = journal.stats();
    assert_eq!((stats.last_seq, stats.queued, stats.dropped, stats.degraded), (1, 18, 0, true));
    assert_eq!(numbers(&journal), [1]);
    room.store(1 << 30, Ordering::SeqCst);
    assert!(journal.flush(PATIENCE));
    assert_eq!(numbers(&journal), (1..20).collect::<Vec<_>>());
    assert_eq!(journal.stats(), Stats { last_seq: 19, ..Stats::default() });
    assert!(verify_journal(dir.path(), |_, _| {}).unwrap().is_good());
}

#[test]
fn a_journal_closed_on_a_full_disk_does_not_hang_and_leaves_a_good_file() {
    let dir = tempfile::tempdir().unwrap();
    let room = Arc::new(AtomicI64::new(1_000));
    let disk =
        |folder: &Path, segment: &Segment| Ok(SmallDisk { files: Files::open(folder, segment)?, room: room.clone() });
    let (journal, _) = Journal::open_with(dir.path(), options(), 1 << 20, PATIENCE, disk).unwrap();
    assert!((1..20).all(|n| journal.append(started(n))));
    drop(journal);
    let (journal, recovery) = open(dir.path()).unwrap();
    assert!(recovery.torn_bytes > 0, "the failed write left its beginning");
    assert_eq!(numbers(&journal), (1..=recovery.last_seq).collect::<Vec<_>>());
}

#[test]
fn a_full_queue_keeps_calls_and_drops_chatter_first() {
    let mut queue = Queue::default();
    let lease = crate::core::lease::Lease {
        lease_id: crate::ids::LeaseId(1),
        number: crate::ids::E164::parse("+442079460001").unwrap(),
        company: String::new(),
        site: String::new(),
        pool: String::new(),
        visitor_id: String::new(),
        session: Arc::default(),
        granted_at: Wall(0),
        seen_at: Wall(0),
        expires_at: Wall(0),
        released_at: None,
        hold_until: Wall(0),
        shared: false,
        class: Default::default(),
        page: Default::default(),
    };
    let renewal = || event(1, Body::LeaseRenewed(Arc::new(lease.clone())));
    let taken: Vec<bool> = (0..4).map(|_| queue.push(renewal(), 4)).collect();
    assert_eq!(taken, [true, true, false, false]);
    assert_eq!((0..3).map(|n| queue.push(started(n), 4)).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!((queue.accepted, queue.dropped, queue.dropped_untold), (4, 3, 3));
}

#[test]
fn what_was_dropped_is_told_by_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path()).unwrap();
    let mut huge = call(1);
    huge.reason = Some("x".repeat(limits::JOURNAL_RECORD));
    assert!(journal.append(event(1, Body::CallEnded(Box::new(huge)))));
    fill(&journal, 2, 1);
    fill(&journal, 3, 1);
    let mut dropped = Vec::new();
    journal
        .replay(|record| {
            if let Body::EventsDropped { count } = record.event().unwrap().1.body {
                dropped.push(count);
            }
        })
        .unwrap();
    assert_eq!((dropped, journal.stats().dropped), (vec![1], 1));
}

#[test]
fn a_crash_leaves_calls_that_the_next_start_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open_small(dir.path());
    for n in 1..=30 {
        journal.append(started(n));
    }
    let mut answered = call(7);
    answered.ringing_at = Some(answered.started_at + Duration::from_millis(100));
    answered.answered_at = Some(answered.started_at + Duration::from_millis(400));
    journal.append(event(7, Body::CallAnswered(Box::new(answered.clone()))));
    for n in (1..=30).filter(|n| ![7, 11].contains(n)) {
        journal.append(ended(n, Outcome::Busy));
    }
    drop(journal);
    let (journal, _) = open_small(dir.path());
    let mut unfinished = Unfinished::default();
    journal.replay(|record| unfinished.observe(record)).unwrap();
    let (calls, last_seen) = unfinished.finish();
    assert_eq!(calls, [answered, call(11)]);
    let now = last_seen + Duration::from_secs(60);
    for call in calls {
        journal.append(lost_in_crash(call, last_seen, now));
    }
    assert!(journal.flush(PATIENCE));
    let mut unfinished = Unfinished::default();
    let mut told = Vec::new();
    journal
        .replay(|record| {
            unfinished.observe(record);
            if let Body::CallEnded(call) = record.event().unwrap().1.body
                && call.outcome == Some(Outcome::LostInCrash)
            {
                told.push((call.call_id, call.ring_ms, call.talk_ms));
            }
        })
        .unwrap();
    assert_eq!(told, [(CallId(7), 300, 600), (CallId(11), 0, 0)]);
    assert_eq!(unfinished.finish().0, []);
}

#[tokio::test]
async fn a_follower_sees_the_past_and_then_the_present() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path()).unwrap();
    fill(&journal, 1, 3);
    let mut follow = journal.follow(1);
    let seqs = |records: Vec<Record>| records.iter().map(|record| record.seq).collect::<Vec<_>>();
    assert_eq!(seqs(follow.next(100).await.unwrap()), [2, 3]);
    let waiting = tokio::spawn(async move { follow.next(100).await.map(|records| (records, follow.position())) });
    journal.append(started(4));
    let (records, position) = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!((seqs(records), position), (vec![4], 4));
}

#[test]
fn an_empty_newest_segment_goes_on_where_the_one_before_it_ends() {
    let dir = damaged(|_| {});
    fs::write(Segment::at(&dir.path().join("journal"), 6).path, "").unwrap();
    let (journal, recovery) = open(dir.path()).unwrap();
    assert_eq!((recovery.last_seq, recovery.segments), (5, 2));
    fill(&journal, 6, 2);
    assert_eq!(numbers(&journal), (1..=7).collect::<Vec<_>>());
    assert!(verify_journal(dir.path(), |_, _| {}).unwrap().is_good());
}
