//! A disk whose n-th operation fails, for every n: once, or from there on for good.

use std::sync::atomic::AtomicU64;

use super::*;

#[derive(Clone, Debug)]
struct Plan {
    done: Arc<AtomicU64>,
    fail_at: u64,
    for_good: bool,
    error: i32,
}

impl Plan {
    fn step(&self) -> io::Result<()> {
        let n = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        let fails = n == self.fail_at || self.for_good && n > self.fail_at;
        if fails { Err(io::Error::from_raw_os_error(self.error)) } else { Ok(()) }
    }

    fn was_reached(&self) -> bool {
        self.done.load(Ordering::SeqCst) >= self.fail_at
    }
}

struct Faulty {
    files: Files,
    plan: Plan,
}

impl Storage for Faulty {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.plan.step().or_else(|error| {
            // A full disk takes what still fits, also half a record.
            self.files.write(offset, &bytes[..bytes.len() / 2 + 1])?;
            Err(error)
        })?;
        self.files.write(offset, bytes)
    }

    fn settle(&mut self, len: u64) -> io::Result<()> {
        self.plan.step()?;
        self.files.settle(len)
    }

    fn roll(&mut self, first_seq: u64) -> io::Result<Segment> {
        // The new file may be there already when the folder's own sync fails.
        let rolled = self.files.roll(first_seq);
        self.plan.step()?;
        rolled
    }
}

fn open_faulty(dir: &Path, plan: &Plan) -> Journal {
    let disk =
        |folder: &Path, segment: &Segment| Ok(Faulty { files: Files::open(folder, segment)?, plan: plan.clone() });
    // Segments of about three records: there is a lot of rolling.
    Journal::open_with(dir, options(), 1_200, Duration::from_millis(1), disk).unwrap().0
}

/// Every n until no operation fails any more.
fn for_every_operation(for_good: bool, mut run: impl FnMut(&Path, &Plan)) {
    for error in [nix::libc::ENOSPC, nix::libc::EIO] {
        let mut reached = 0;
        for fail_at in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let plan = Plan { done: Arc::default(), fail_at, for_good, error };
            run(dir.path(), &plan);
            let report = verify_journal(dir.path(), |_, _| {}).unwrap();
            assert!(report.is_good(), "operation {fail_at}: {report:?}");
            if !plan.was_reached() {
                break;
            }
            reached += 1;
        }
        assert!(reached > 12, "only {reached} operations were tried");
    }
}

const EVENTS: u64 = 8;

#[test]
fn any_one_operation_may_fail_and_nothing_is_lost() {
    for_every_operation(false, |dir, plan| {
        let journal = open_faulty(dir, plan);
        for n in 1..=EVENTS {
            fill(&journal, u128::from(n), 1);
        }
        let n = plan.fail_at;
        assert_eq!(journal.stats(), Stats { last_seq: EVENTS, ..Stats::default() }, "operation {n}");
        assert_eq!(numbers(&journal), (1..=EVENTS).collect::<Vec<_>>(), "operation {n}");
        drop(journal);
        let (journal, recovery) = open(dir).unwrap();
        assert_eq!((recovery.last_seq, recovery.torn_bytes), (EVENTS, 0), "operation {n}");
        drop(journal);
    });
}

#[test]
fn a_disk_may_go_for_good_at_any_operation_and_what_was_settled_stays() {
    for_every_operation(true, |dir, plan| {
        let n = plan.fail_at;
        let journal = open_faulty(dir, plan);
        let mut settled = 0;
        for event in 1..=EVENTS {
            assert!(journal.append(started(u128::from(event))));
            // Not waited for here; it only hurries the writer.
            let _ = journal.flush(Duration::ZERO);
            let state = loop {
                let state = journal.stats();
                if state.degraded || state.queued == 0 {
                    break state;
                }
                std::thread::yield_now();
            };
            if state.degraded {
                break;
            }
            settled = event;
        }
        assert_eq!(journal.stats().last_seq, settled, "operation {n}: followers see only what is settled");
        drop(journal);
        let (journal, recovery) = open(dir).unwrap();
        assert!(recovery.last_seq >= settled, "operation {n}: {} of {settled}", recovery.last_seq);
        assert_eq!(recovery.damage, None, "operation {n}");
        fill(&journal, 100, 2);
        assert_eq!(numbers(&journal), (1..=recovery.last_seq + 2).collect::<Vec<_>>(), "operation {n}");
    });
}
