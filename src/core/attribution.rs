//! Who is calling: one look-up at the INVITE, pinned to the call.
//!
//! Every known holder of the number gets a weight, and "somebody else" (a saved number, a misdial) one too; the
//! probability is the weight's share of the sum.
//!
//! | Candidate | Weight |
//! |---|---|
//! | has the number on the page | 1, shared equally when the number is shared |
//! | nobody we know, while somebody is on the page | 0.02 |
//! | last holder, while somebody is on the page | 0.1 · d |
//! | last holder, alone | 0.05 + 0.75 · d, against 1 minus that |
//!
//! `d` falls from 1 at the moment of leaving to 0 at the end of the memory: `1 - ln(1 + age / 5 min) / ln(1 + memory /
//! 5 min)`. Most calls come within minutes of the visit and some after weeks, which a logarithm of the age follows.
//! So a lone visitor on the page has 0.98, one who just left 0.80, one who left half an hour ago 0.64 and one who
//! left a day ago 0.33 (memory of 30 days). These are first figures, to be fitted to measured calls.
//!
//! While the table is in step with its allocator, its word counts and not the clock. When it is stale, a lease that
//! has run out by the wall clock, by more than a minute, is treated as that of somebody who left.

use std::sync::Arc;
use std::time::Duration;

use crate::core::event::{Attribution, AttributionKind, Candidate};
use crate::core::lease::{Channel, Entry, Lease, LeaseTable};
use crate::core::source::natural_source;
use crate::ids::E164;
use crate::limits;
use crate::time::Wall;

/// Template of the line when nothing else is configured.
pub const SOURCE_TEMPLATE: &str = "{source} · {campaign}";

const NOBODY: f64 = 0.02;
const LAST_BESIDE_ACTIVE: f64 = 0.1;
const LAST_MIN: f64 = 0.05;
const LAST_SPAN: f64 = 0.75;
const FRESH: Duration = Duration::from_secs(300);
/// How far the clocks of two nodes may be apart before a lease of a stale table counts as run out.
const CLOCK_GUARD: Duration = Duration::from_secs(60);

/// Who is calling `number`, seen from `now`. `channel` is that of the number's static pool, `memory` how long a last
/// holder is remembered.
pub fn decide(
    table: &LeaseTable,
    now: Wall,
    number: &E164,
    channel: Option<&Channel>,
    memory: Duration,
) -> Attribution {
    let stale = table.is_stale();
    let entry = table.lookup(number);
    let weighed = entry.map(|entry| weigh(&entry, stale, now, memory)).unwrap_or_default();
    let mut attribution = match (weighed.first(), channel) {
        (Some(best), _) => visitor(best, &weighed),
        (None, Some(channel)) => fixed(channel),
        (None, None) => Attribution { method: "none".into(), ..Attribution::default() },
    };
    // A number of a channel has no leases, so their table has no say in it.
    attribution.stale = stale && attribution.kind != AttributionKind::Static;
    attribution
}

/// The attribution in one line, for a header or a display name: `Yandex.Direct · kitchens`. `template` may name
/// `{source}`, `{medium}`, `{campaign}`, `{term}`, `{content}` and `{visitor}`. Text between two fields stays when
/// there are fields on both sides of it, text before the first and after the last when that field is known. `None`
/// when nothing is known. The line has no control or direction characters and at most [`limits::SOURCE_LINE`]
/// characters.
pub fn source_line(attribution: &Attribution, template: &str) -> Option<String> {
    let mut line = String::new();
    let (mut is_first, mut is_last_known) = (true, false);
    let mut rest = template;
    while let Some((before, name, after)) = next_field(rest) {
        rest = after;
        let value = field(attribution, name).map(|value| clean(&value)).filter(|value| !value.is_empty());
        is_last_known = value.is_some();
        if let Some(value) = value {
            if is_first || !line.is_empty() {
                line.push_str(before);
            }
            line.push_str(&value);
        }
        is_first = false;
    }
    if line.is_empty() {
        return None;
    }
    if is_last_known {
        line.push_str(rest);
    }
    Some(clean(&line).chars().take(limits::SOURCE_LINE).collect())
}

struct Weighed {
    lease: Arc<Lease>,
    method: &'static str,
    probability: f64,
    evidence: Vec<String>,
}

/// Candidates with their probabilities, best first.
fn weigh(entry: &Entry, stale: bool, now: Wall, memory: Duration) -> Vec<Weighed> {
    let has_run_out = |lease: &Lease| stale && now > lease.expires_at + CLOCK_GUARD;
    let (gone, active): (Vec<_>, Vec<_>) = entry.holders.iter().partition(|lease| has_run_out(lease));
    let last = gone.first().copied().or(entry.last.as_ref());
    let last = last.filter(|lease| now <= lease.left_at() + memory);
    let mut weighed: Vec<Weighed> = Vec::with_capacity(active.len() + 1);
    for lease in &active {
        let mut evidence = vec![format!("on the page, last sign {} ago", span(age(now, lease.seen_at)))];
        if active.len() > 1 {
            evidence.push(format!("the number is shared by {} visitors", active.len()));
        }
        let weight = 1.0 / active.len() as f64;
        weighed.push(Weighed { lease: Arc::clone(lease), method: "active_lease", probability: weight, evidence });
    }
    if let Some(lease) = last {
        let gone_for = age(now, lease.left_at());
        let d = decay(gone_for, memory);
        let weight = if active.is_empty() { LAST_MIN + LAST_SPAN * d } else { LAST_BESIDE_ACTIVE * d };
        let evidence = vec![format!("had the number last, left {} ago", span(gone_for))];
        weighed.push(Weighed { lease: Arc::clone(lease), method: "last_holder", probability: weight, evidence });
    }
    let sum: f64 = weighed.iter().map(|one| one.probability).sum();
    let nobody = if active.is_empty() { 1.0 - sum } else { NOBODY };
    for one in &mut weighed {
        // Rounded, so that the last bits of a logarithm never differ between machines.
        one.probability = (one.probability / (sum + nobody) * 10_000.0).round() / 10_000.0;
    }
    weighed
}

fn visitor(best: &Weighed, weighed: &[Weighed]) -> Attribution {
    let candidate = |one: &Weighed| Candidate {
        visitor_id: one.lease.visitor_id.clone(),
        probability: one.probability,
        evidence: one.evidence.clone(),
    };
    Attribution {
        kind: AttributionKind::Visitor,
        method: best.method.into(),
        confidence: best.probability,
        lease_id: Some(best.lease.lease_id),
        visitor_id: Some(best.lease.visitor_id.clone()),
        session: Some(Arc::clone(&best.lease.session)),
        channel: None,
        stale: false,
        candidates: weighed.iter().map(candidate).collect(),
    }
}

fn fixed(channel: &Channel) -> Attribution {
    Attribution {
        kind: AttributionKind::Static,
        method: "static_channel".into(),
        confidence: 1.0,
        channel: Some(Arc::clone(channel)),
        ..Attribution::default()
    }
}

/// 1 at the moment of leaving, 0 at the end of the memory.
fn decay(gone_for: Duration, memory: Duration) -> f64 {
    let scale = |span: Duration| (1.0 + span.as_secs_f64() / FRESH.as_secs_f64()).ln();
    let whole = scale(memory);
    if whole > 0.0 { (1.0 - scale(gone_for) / whole).clamp(0.0, 1.0) } else { 0.0 }
}

/// Never negative: clocks of two nodes differ.
fn age(now: Wall, then: Wall) -> Duration {
    Duration::from_millis(now.millis_since(then))
}

/// `12 s`, `5 min`, `3 h`, `2 d`.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Text before the next `{name}`, the name, and the rest.
fn next_field(template: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = template.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// One field of the attribution by name, as [`source_line`] shows it.
pub fn field(attribution: &Attribution, name: &str) -> Option<String> {
    let session = attribution.session.as_deref();
    let of = |key: &str| {
        let utm = session.and_then(|session| session.utm.get(key));
        utm.or_else(|| attribution.channel.as_ref().and_then(|channel| channel.get(key))).cloned()
    };
    match name {
        "source" => of("source").filter(|source| !source.is_empty()).or_else(|| session.map(natural_source)),
        "medium" | "campaign" | "term" | "content" => of(name),
        "visitor" => attribution.visitor_id.clone(),
        _ => None,
    }
}

/// Without control, line-separating, direction-changing and invisible characters; white space made one space.
fn clean(text: &str) -> String {
    let hidden = |c: &char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let spaced: String = text.chars().filter(|c| !hidden(c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::Session;
    use crate::core::lease::Change;
    use crate::ids::LeaseId;

    const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);
    const T0: Wall = Wall(1_790_000_000_000_000);

    fn lease(id: u128, seen_at: Wall) -> Arc<Lease> {
        Arc::new(Lease {
            lease_id: LeaseId(id),
            number: number(),
            company: "acme".into(),
            site: "site".into(),
            pool: "web".into(),
            visitor_id: format!("v{id}"),
            session: Arc::new(Session::default()),
            granted_at: seen_at,
            seen_at,
            expires_at: seen_at + Duration::from_secs(90),
            released_at: None,
            hold_until: seen_at + Duration::from_secs(1_800),
            shared: false,
            class: crate::core::lease::Class::Free,
            page: crate::core::lease::Page::default(),
        })
    }

    fn number() -> E164 {
        E164::parse("+442079460007").unwrap()
    }

    fn table(changes: &[Change]) -> LeaseTable {
        let table = LeaseTable::new();
        for (change, revision) in changes.iter().zip(1..) {
            table.apply(change, revision);
        }
        table
    }

    /// Method, confidence, candidates as `visitor probability`.
    fn verdict(table: &LeaseTable, after: u64) -> (String, f64, Vec<String>) {
        let attribution = decide(table, T0 + Duration::from_secs(after), &number(), None, MEMORY);
        let candidates =
            attribution.candidates.iter().map(|one| format!("{} {}", one.visitor_id, one.probability)).collect();
        (attribution.method, attribution.confidence, candidates)
    }

    #[test]
    fn on_the_page() {
        let table = table(&[Change::Active(lease(1, T0))]);
        assert_eq!(verdict(&table, 12), ("active_lease".into(), 0.9804, vec!["v1 0.9804".into()]));
        let attribution = decide(&table, T0 + Duration::from_secs(12), &number(), None, MEMORY);
        assert_eq!(attribution.kind, AttributionKind::Visitor);
        assert_eq!(attribution.lease_id, Some(LeaseId(1)));
        assert_eq!(attribution.candidates[0].evidence, ["on the page, last sign 12 s ago"]);
        // The table is in step, so a clock that jumped ends no lease.
        assert_eq!(verdict(&table, 365 * 24 * 3600).0, "active_lease");
        assert_eq!(decide(&table, T0 - MEMORY, &number(), None, MEMORY).method, "active_lease");
    }

    #[test]
    fn the_last_holder_fades() {
        let table = table(&[Change::Active(lease(1, T0)), Change::Ended(lease(1, T0))]);
        let confidence =
            [0, 300, 1_800, 24 * 3600, 7 * 24 * 3600, 30 * 24 * 3600].map(|after| verdict(&table, after).1);
        assert_eq!(confidence, [0.8, 0.7426, 0.639, 0.3311, 0.1704, 0.05]);
        assert_eq!(verdict(&table, 1_800).0, "last_holder");
        assert_eq!(verdict(&table, 30 * 24 * 3600 + 1).0, "none");
        let attribution = decide(&table, T0 + Duration::from_secs(1_800), &number(), None, MEMORY);
        assert_eq!(attribution.candidates[0].evidence, ["had the number last, left 30 min ago"]);
    }

    #[test]
    fn holder_and_former_holder() {
        let changes = [Change::Active(lease(1, T0)), Change::Ended(lease(1, T0)), Change::Active(lease(2, T0))];
        let (method, confidence, candidates) = verdict(&table(&changes), 1_800);
        assert_eq!((method.as_str(), confidence), ("active_lease", 0.9103));
        assert_eq!(candidates, ["v2 0.9103", "v1 0.0715"]);
    }

    #[test]
    fn a_shared_number_is_nobodys_for_sure() {
        let shared = |id| Change::Active(Arc::new(Lease { shared: true, ..Lease::clone(&lease(id, T0)) }));
        let (_, confidence, candidates) = verdict(&table(&[shared(1), shared(2)]), 10);
        assert_eq!((confidence, candidates), (0.4902, vec!["v2 0.4902".into(), "v1 0.4902".into()]));
    }

    #[test]
    fn a_stale_table_goes_by_the_clock() {
        let table = table(&[Change::Active(lease(1, T0))]);
        table.set_stale(true);
        assert!(decide(&table, T0, &number(), None, MEMORY).stale);
        assert_eq!(verdict(&table, 150).0, "active_lease", "within the guard");
        assert_eq!(verdict(&table, 151).0, "last_holder");
        assert_eq!(verdict(&table, 40 * 24 * 3600).0, "none");
    }

    #[test]
    fn channel_or_nobody() {
        let table = table(&[]);
        let channel: Channel = Arc::new([("source".to_owned(), "billboard".to_owned())].into());
        let attribution = decide(&table, T0, &number(), Some(&channel), MEMORY);
        assert_eq!((attribution.kind, attribution.confidence), (AttributionKind::Static, 1.0));
        assert_eq!(source_line(&attribution, SOURCE_TEMPLATE).as_deref(), Some("billboard"));
        let nobody = decide(&table, T0, &number(), None, MEMORY);
        assert_eq!((nobody.kind, nobody.method.as_str()), (AttributionKind::None, "none"));
        assert_eq!(source_line(&nobody, SOURCE_TEMPLATE), None);
    }

    fn visit(session: Session) -> Attribution {
        let session = Some(Arc::new(session));
        Attribution { session, visitor_id: Some("v1".into()), ..Attribution::default() }
    }

    fn utm(pairs: &[(&str, &str)]) -> Session {
        let utm = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Session { utm, ..Session::default() }
    }

    #[test]
    fn lines() {
        let full = utm(&[("source", "Yandex.Direct"), ("medium", "cpc"), ("campaign", "kitchens")]);
        let click = Session { click_ids: [("gclid".to_owned(), "x".to_owned())].into(), ..Session::default() };
        let referred = Session { referrer: Some("https://www.example.org/page?q=1".into()), ..Session::default() };
        let table: &[(&Session, &str, Option<&str>)] = &[
            (&full, SOURCE_TEMPLATE, Some("Yandex.Direct · kitchens")),
            (&full, "{source} / {term} / {campaign}", Some("Yandex.Direct / kitchens")),
            (&full, "[{source}] ({term})", Some("[Yandex.Direct")),
            (&full, "Ad: {source}, {medium}!", Some("Ad: Yandex.Direct, cpc!")),
            (&full, "{term}{content}", None),
            (&full, "{term} {visitor}", Some("v1")),
            (&full, "no fields", None),
            (&full, "{source", None),
            (&full, "{source} {nonsense}", Some("Yandex.Direct")),
            (&click, SOURCE_TEMPLATE, Some("google")),
            (&referred, SOURCE_TEMPLATE, Some("example.org")),
            (&Session::default(), SOURCE_TEMPLATE, Some("direct")),
        ];
        for (session, template, expected) in table {
            assert_eq!(source_line(&visit((*session).clone()), template).as_deref(), *expected, "{template}");
        }
    }

    #[test]
    fn lines_carry_nothing_but_text() {
        let hostile =
            utm(&[("source", "a\r\nX-Evil: 1\0\u{202e}b\u{2028}c\u{feff}"), ("campaign", &"ы".repeat(5_000))]);
        let line = source_line(&visit(hostile), SOURCE_TEMPLATE).unwrap();
        assert!(line.starts_with("a X-Evil: 1 bc · ыы"), "{line}");
        assert_eq!(line.chars().count(), limits::SOURCE_LINE);
    }
}
