//! The journal on the disk of this machine: appended with fsync, and replayed at a start.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leaseline::core::event::{Body, Event};
use leaseline::io::journal::{Journal, OnDamage, Options, Unfinished};
use leaseline::time::Wall;

const RECORDS: u64 = 10_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn open(folder: &std::path::Path) -> Journal {
    let options = Options { source: "leaseline/bench".into(), seed: [7; 32], on_damage: OnDamage::Refuse };
    Journal::open(folder, options).expect("a journal").0
}

fn fill(journal: &Journal) {
    for n in 0..RECORDS {
        let body = Body::NodeStarted { version: format!("{n:0>200}") };
        let event = Event { time: Wall(1_800_000_000_000_000), subject: "bench".into(), body };
        while !journal.append(event.clone()) {
            journal.flush(PATIENCE);
        }
    }
    assert!(journal.flush(PATIENCE), "the disk takes it");
}

fn journal(c: &mut Criterion) {
    let mut group = c.benchmark_group("journal");
    group.sample_size(10).throughput(Throughput::Elements(RECORDS));
    group.bench_function("append", |b| {
        b.iter_with_large_drop(|| {
            let folder = tempfile::tempdir().expect("a folder");
            let journal = open(folder.path());
            fill(&journal);
            (journal, folder)
        });
    });
    let folder = tempfile::tempdir().expect("a folder");
    let journal = open(folder.path());
    fill(&journal);
    group.bench_function("replay", |b| {
        b.iter(|| {
            let mut unfinished = Unfinished::default();
            let replayed = journal.replay(|record| unfinished.observe(record)).expect("readable");
            assert_eq!(replayed.records, RECORDS);
        });
    });
    group.finish();
}

criterion_group!(benches, journal);
criterion_main!(benches);
