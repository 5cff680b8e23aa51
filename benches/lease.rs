//! Lease look-up and decision at a million leases, and a visitor's acquire and release in pools of several sizes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use leaseline::config::{Pool, PoolKind, PoolRules, Site, Visits};
use leaseline::core::attribution::{Attributor, Question};
use leaseline::core::event::Session;
use leaseline::core::lease::{Change, Lease, LeaseTable};
use leaseline::core::number;
use leaseline::core::pool::{Allocator, Ask, Rules};
use leaseline::ids::{E164, LeaseId};
use leaseline::time::{Mono, Now, Wall};

const NOW: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_790_000_000_000_000) };
const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

fn numbers(count: u32) -> Vec<E164> {
    (0..count).filter_map(|index| E164::parse(&format!("+99900{index:07}"))).collect()
}

fn lease(id: usize, number: &E164) -> Arc<Lease> {
    let utm = [("source", "Yandex.Direct"), ("campaign", "kitchens")];
    Arc::new(Lease {
        lease_id: LeaseId(id as u128),
        number: number.clone(),
        company: "acme".into(),
        site: "site".into(),
        pool: "web".into(),
        visitor_id: format!("{id:032x}"),
        session: Arc::new(Session {
            utm: utm.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..Session::default()
        }),
        granted_at: NOW.wall,
        seen_at: NOW.wall,
        expires_at: NOW.wall + Duration::from_secs(90),
        released_at: None,
        hold_until: NOW.wall + Duration::from_secs(1_800),
        shared: false,
        class: leaseline::core::lease::Class::Free,
        page: leaseline::core::lease::Page::default(),
    })
}

fn table(c: &mut Criterion) {
    let numbers = numbers(1_000_000);
    let table = LeaseTable::new();
    for (id, number) in numbers.iter().enumerate() {
        table.apply(&Change::Active(lease(id, number)), 0);
    }
    let mut at = 0;
    // A stride that visits all and defeats the cache, as calls do.
    let mut next = || {
        at = (at + 618_033) % numbers.len();
        &numbers[at]
    };
    c.bench_function("lease/lookup_at_a_million", |b| b.iter(|| black_box(table.lookup(black_box(next())))));
    c.bench_function("lease/lookup_and_decide_at_a_million", |b| {
        let who = Attributor::default();
        b.iter(|| {
            let question = Question {
                company: "acme",
                number: black_box(next()),
                caller: None,
                caller_region: None,
                channel: None,
                memory: MEMORY,
            };
            black_box(who.decide(&table, NOW.wall, &question))
        });
    });
    let renewed = lease(7, &numbers[7]);
    c.bench_function("lease/apply_at_a_million", |b| {
        b.iter_batched(
            || Change::Active(Arc::clone(&renewed)),
            |change| table.apply(&change, 0),
            BatchSize::SmallInput,
        );
    });
}

fn allocator(c: &mut Criterion) {
    for count in [100, 100_000, 1_000_000] {
        let pool = Pool {
            name: "web".into(),
            company: "acme".into(),
            site: Some("site".into()),
            kind: PoolKind::Dynamic,
            numbers: numbers(count),
            hold: Duration::from_secs(1_800),
            channel: None,
            recording: None,
            calls_max_per_number: 0,
            rules: PoolRules::default(),
        };
        let site = Site { name: "site".into(), company: "acme".into(), origins: Vec::new(), visits: Visits::default() };
        let rules = Rules { ttl: Duration::from_secs(90), renew_after: Duration::from_secs(30), memory: MEMORY };
        let mut allocator = Allocator::new(rules, &[Arc::new(pool)], &[Arc::new(site)], [7; 32]);
        let mut out = Vec::new();
        // Virtual time goes on so fast that the hold of the number left longest ago is always over.
        let step = Duration::from_secs(3_600) / count;
        let mut now = NOW;
        c.bench_function(&format!("allocator/acquire_release_of_{count}"), |b| {
            b.iter(|| {
                now = now.after(step);
                out.clear();
                allocator.handle_timeout(now, &mut out);
                let ask = Ask { site: "site".into(), ..Ask::default() };
                let granted = allocator.acquire(now, ask, &mut out).expect("a number is free");
                black_box(allocator.release(now, granted.lease.lease_id, &mut out)).expect("just granted");
            });
        });
    }
}

fn dialled(c: &mut Criterion) {
    for (name, text) in [("e164", "+442079460007"), ("national", "02079460007")] {
        c.bench_function(&format!("number/candidates_{name}"), |b| {
            b.iter(|| black_box(number::candidates(black_box(text), Some("GB"), "")));
        });
    }
}

criterion_group!(benches, table, allocator, dialled);
criterion_main!(benches);
