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

use crate::core::event::{Attribution, AttributionKind, Candidate, Session};
use crate::core::lease::{Channel, Entry, Lease, LeaseTable};
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
/// `{source}`, `{medium}`, `{campaign}`, `{term}`, `{content}` and `{visitor}`; what is not known is left out together
/// with the text before it. `None` when nothing is known. The line has no control or direction characters and at most
/// [`limits::SOURCE_LINE`] characters.
pub fn source_line(attribution: &Attribution, template: &str) -> Option<String> {
    let mut line = String::new();
    let mut known = false;
    let mut rest = template;
    while let Some((before, name, after)) = next_field(rest) {
        rest = after;
        let Some(value) = field(attribution, name).map(|value| clean(&value)).filter(|value| !value.is_empty()) else {
            continue;
        };
        // Text before the first field stays; text between two fields only when both are known.
        if known || line.is_empty() {
            let leads = !known && !template.starts_with(before);
            if !leads {
                line.push_str(before);
            }
        }
        line.push_str(&value);
        known = true;
    }
    line.push_str(rest);
    let line: String = clean(&line).chars().take(limits::SOURCE_LINE).collect();
    (known && !line.is_empty()).then_some(line)
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

fn field(attribution: &Attribution, name: &str) -> Option<String> {
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

/// Where a visit without `utm_source` came from: the advertiser of its click id, the referring host, or directly.
fn natural_source(session: &Session) -> String {
    const CLICKS: [(&str, &str); 8] = [
        ("gclid", "google"),
        ("gbraid", "google"),
        ("wbraid", "google"),
        ("yclid", "yandex"),
        ("fbclid", "facebook"),
        ("msclkid", "bing"),
        ("ttclid", "tiktok"),
        ("vkclid", "vk"),
    ];
    let click = CLICKS.iter().find(|(key, _)| session.click_ids.contains_key(*key));
    if let Some((_, source)) = click {
        return (*source).to_owned();
    }
    let referrer = session.referrer.as_deref().and_then(|text| url::Url::parse(text).ok());
    let host = referrer.as_ref().and_then(url::Url::host_str);
    host.map_or_else(|| "direct".to_owned(), |host| host.strip_prefix("www.").unwrap_or(host).to_owned())
}

/// Without control, line-separating, direction-changing and invisible characters; white space made one space.
fn clean(text: &str) -> String {
    let hidden = |c: &char| {
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let spaced: String = text.chars().filter(|c| !hidden(c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}
