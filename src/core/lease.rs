//! Leases and the table from number to lease.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::core::event::Session;
use crate::ids::{E164, LeaseId};
use crate::limits;
use crate::time::Wall;

/// One number lent to one visitor. The value that the journal, the feed and the lease table carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub lease_id: LeaseId,
    pub number: E164,
    pub company: String,
    pub site: String,
    pub pool: String,
    pub visitor_id: String,
    pub session: Arc<Session>,
    pub granted_at: Wall,
    /// Last sign of the visitor (grant, renew, signal).
    pub seen_at: Wall,
    /// The number is on the visitor's page until then, unless renewed.
    pub expires_at: Wall,
    /// Set when the visitor left the page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub released_at: Option<Wall>,
    /// The number is kept for this visitor until then (hold).
    pub hold_until: Wall,
    /// More than one visitor has this number (pool exhausted).
    #[serde(default)]
    pub shared: bool,
    /// How the number was found.
    #[serde(default)]
    pub class: Class,
    /// What is known of the page that shows it.
    #[serde(default, skip_serializing_if = "Page::is_blank")]
    pub page: Page,
}

/// The step at which a number was found for a visitor, from the best to the last. Reports tell clean leases from shared
/// ones by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Nobody's: the last hold of the number was over, or it never had one.
    #[default]
    Free,
    /// Its last holder left less than the pool's hold ago.
    SoftHeld,
    /// Visitors of the same campaign have it on their pages.
    Shared,
    /// Belongs to the source; who came is not told apart.
    SourceStatic,
    /// Belongs to all for whom nothing else was left.
    Overflow,
}

impl Class {
    /// The number is the visitor's, or shared by few: not one of a channel that everybody sees.
    pub const fn is_of_visitors(self) -> bool {
        matches!(self, Class::Free | Class::SoftHeld | Class::Shared)
    }
}

/// What kind of device shows the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    #[default]
    Unknown,
    Mobile,
    Tablet,
    Desktop,
}

/// What is known of the page that shows a number. Evidence for who is calling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    pub device: Device,
    /// Where the visitor is, as the operator's database says (ISO 3166-2, or ISO 3166-1 when it knows no more).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Arc<str>>,
    /// A `tel:` link of ours was tapped, the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tapped_at: Option<Wall>,
    /// The number was copied, the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copied_at: Option<Wall>,
    /// The page went out of sight and has not come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_at: Option<Wall>,
}

impl Page {
    /// Nothing is known.
    pub fn is_blank(&self) -> bool {
        *self == Page::default()
    }
}

/// Static channel of a number: `source`, `medium`, `campaign`, ….
pub type Channel = Arc<BTreeMap<String, String>>;

impl Lease {
    /// When the visitor left the page, for a lease that has ended: as the page said, else the last sign of them.
    pub fn left_at(&self) -> Wall {
        self.released_at.unwrap_or(self.seen_at)
    }
}

/// One step of the stream that feeds the table, the feed and, through it, other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The number is on this visitor's page: granted, renewed, revived, or a sign of life.
    Active(Arc<Lease>),
    /// The visitor is off the page (released or lapsed). The number stays theirs until `hold_until`.
    Ended(Arc<Lease>),
    /// Nothing is known of the number any more: it left the configuration, or its memory ran out.
    Removed(E164),
}

impl Change {
    pub fn number(&self) -> &E164 {
        match self {
            Change::Active(lease) | Change::Ended(lease) => &lease.number,
            Change::Removed(number) => number,
        }
    }
}

/// What is known of one number. A value: a change makes a new one, so readers never see half of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Who has the number on their page, newest first. One, unless the allocator shares numbers.
    pub holders: SmallVec<[Arc<Lease>; 1]>,
    /// Who had it and is off the page, who left last first: at most [`limits::LEASE_PAST`].
    pub past: Arc<Vec<Arc<Lease>>>,
}

impl Entry {
    /// The newest holder.
    pub fn active(&self) -> Option<&Arc<Lease>> {
        self.holders.first()
    }

    /// Who had it last and is off the page.
    pub fn last(&self) -> Option<&Arc<Lease>> {
        self.past.first()
    }

    pub fn is_empty(&self) -> bool {
        self.holders.is_empty() && self.past.is_empty()
    }

    /// The entry after `change`. The allocator, the table, the follower of a feed and the restart all use this one
    /// rule, which is why they agree.
    #[must_use]
    pub fn after(mut self, change: &Change) -> Entry {
        match change {
            Change::Active(lease) => self.hold(lease),
            Change::Ended(lease) => {
                self.holders.retain(|held| held.lease_id != lease.lease_id);
                self.remember(Arc::clone(lease));
            }
            Change::Removed(_) => self = Entry::default(),
        }
        self
    }

    fn hold(&mut self, lease: &Arc<Lease>) {
        if self.past.iter().any(|past| past.lease_id == lease.lease_id) {
            Arc::make_mut(&mut self.past).retain(|past| past.lease_id != lease.lease_id);
        }
        self.holders.retain(|held| held.lease_id != lease.lease_id);
        if !lease.shared {
            // A holder that we never saw leave has left: the allocator would not give its number away otherwise.
            for missed in std::mem::take(&mut self.holders).into_iter().rev() {
                self.remember(missed);
            }
        }
        self.holders.insert(0, Arc::clone(lease));
        self.holders.truncate(limits::LEASE_SHARERS);
    }

    /// By when they left, so that the order in which news arrive does not matter.
    fn remember(&mut self, lease: Arc<Lease>) {
        let past = Arc::make_mut(&mut self.past);
        past.retain(|known| known.lease_id != lease.lease_id);
        let left = |lease: &Lease| (lease.left_at(), lease.lease_id.0);
        let at = past.partition_point(|known| left(known) > left(&lease));
        past.insert(at, lease);
        past.truncate(limits::LEASE_PAST);
    }
}

/// Number → who sees it. Written by one feeder (the embedded allocator or the follower of a feed), read by signalling
/// at every INVITE.
///
/// No guard of the map leaves this type: readers get the `Arc` (a guard held over an insert on the same shard
/// deadlocks).
#[derive(Debug)]
pub struct LeaseTable {
    map: DashMap<E164, Arc<Entry>, foldhash::fast::RandomState>,
    stale: AtomicBool,
    revision: AtomicU64,
}

impl Default for LeaseTable {
    fn default() -> LeaseTable {
        LeaseTable::new()
    }
}

impl LeaseTable {
    pub fn new() -> LeaseTable {
        LeaseTable { map: DashMap::default(), stale: AtomicBool::new(false), revision: AtomicU64::new(0) }
    }

    /// What is known of `number` now.
    pub fn lookup(&self, number: &E164) -> Option<Arc<Entry>> {
        self.map.get(number).map(|entry| Arc::clone(&entry))
    }

    /// Applies the change with this revision. One feeder at a time, in order.
    pub fn apply(&self, change: &Change, revision: u64) {
        let number = change.number();
        let before = self.lookup(number).map(|entry| Entry::clone(&entry)).unwrap_or_default();
        let entry = before.after(change);
        if entry.is_empty() {
            self.map.remove(number);
        } else {
            self.map.insert(number.clone(), Arc::new(entry));
        }
        self.revision.store(revision, Ordering::Release);
    }

    /// Replaces everything by a snapshot. Each number goes from its old entry to its new one in one step; a number
    /// that the snapshot does not have is forgotten.
    pub fn replace(&self, entries: &HashMap<E164, Entry>, revision: u64) {
        for (number, entry) in entries {
            self.map.insert(number.clone(), Arc::new(entry.clone()));
        }
        self.map.retain(|number, _| entries.contains_key(number));
        self.revision.store(revision, Ordering::Release);
    }

    /// Out of step with the allocator: shown in attributions, and then the clock ends leases.
    pub fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    pub fn set_stale(&self, stale: bool) {
        self.stale.store(stale, Ordering::Release);
    }

    /// Revision of the last change applied.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Numbers about which something is known.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

/// A visitor id as pages may give it: 1 to 128 of `[A-Za-z0-9._-]`.
pub fn is_visitor_id(text: &str) -> bool {
    (1..=limits::VISITOR_ID).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// The session cut to its bounds: texts to [`limits::SESSION_TEXT`] bytes at a character boundary, maps to
/// [`limits::SESSION_KEYS`] keys, control characters dropped. What pages say ends up in events, headers and screens.
pub fn bounded(session: Session) -> Session {
    Session {
        landing_page: session.landing_page.map(|text| cut(&text)),
        referrer: session.referrer.map(|text| cut(&text)),
        utm: cut_map(session.utm),
        click_ids: cut_map(session.click_ids),
        client_ids: cut_map(session.client_ids),
        client: cut_map(session.client),
        clicked_at: session.clicked_at,
    }
}

fn cut_map(map: BTreeMap<String, String>) -> BTreeMap<String, String> {
    map.into_iter()
        .filter(|(key, _)| (1..=limits::SESSION_KEY).contains(&key.len()) && !key.chars().any(char::is_control))
        .take(limits::SESSION_KEYS)
        .map(|(key, value)| (key, cut(&value)))
        .collect()
}

fn cut(text: &str) -> String {
    let mut kept = String::with_capacity(text.len().min(limits::SESSION_TEXT));
    for c in text.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > limits::SESSION_TEXT {
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_cut_to_their_bounds() {
        let many = (0..10_000).map(|index| (format!("key{index:05}"), "v".to_owned())).collect();
        let odd = [("a\nb", "x"), ("", "x"), (&*"k".repeat(65), "x"), ("__proto__", "x\u{0}y")];
        let session = bounded(Session {
            landing_page: Some("ы".repeat(1_000_000)),
            referrer: Some("https://example.org/\r\n".into()),
            utm: many,
            click_ids: odd.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..Session::default()
        });
        assert_eq!(session.landing_page.map(|text| text.len()), Some(limits::SESSION_TEXT));
        assert_eq!(session.referrer.as_deref(), Some("https://example.org/"));
        assert_eq!(session.utm.len(), limits::SESSION_KEYS);
        let kept: Vec<_> = session.click_ids.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(kept, [("__proto__", "xy")]);
    }

    #[test]
    fn visitor_ids() {
        for good in ["a", "GA1.2.123_4-5", &"x".repeat(128)] {
            assert!(is_visitor_id(good), "{good}");
        }
        for bad in ["", "a b", "a\n", "é", "a/b", &"x".repeat(129)] {
            assert!(!is_visitor_id(bad), "{bad}");
        }
    }
}
