//! The manifest of a day: every recording with its hashes, a Merkle root over them, the root of the day before, and what
//! became of recordings afterwards, all under one signature.
//!
//! The records of a closed day never change, so neither does its root, and later days vouch for it. What happens after
//! (an erasure, an archive copy, a recording that was repaired late) is added to `changes`, which have a root of their
//! own. What is signed is [`Manifest::head_text`]: seven lines that name both roots.
//!
//! An auditor needs no program of ours. The content of a record's leaf is its fields with tabs between
//! ([`Record::leaf_text`]), that of a change likewise; the tree is RFC 6962's; the signature is Ed25519 over `head`:
//! `jq -rj .head manifest.json > head; jq -r .signature manifest.json | base64 -d > signature; openssl pkeyutl -verify
//! -pubin -inkey public.pem -rawin -in head -sigfile signature`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::merkle::{self, Hash, hex};
use super::sign::{PublicKey, SigningKey};
use crate::ids::CallId;
use crate::time::Wall;

/// First line of what is signed, and the manifest's `format`.
pub const FORMAT: &str = "leaseline-manifest-1";

/// One recording as it stood when its day was closed, or as it stands after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub call_id: CallId,
    /// File name in the day's folder.
    pub file: String,
    pub size: u64,
    pub sha256: String,
    /// Of the sidecar; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sidecar_sha256: Option<String>,
}

/// What became of a recording after its day was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Its bytes are gone, on purpose.
    Erased,
    /// It was found, or made whole, after its day was closed.
    Added,
    /// The same sound in another file.
    Archived,
    /// It is kept elsewhere only.
    Moved,
}

impl What {
    pub const fn as_str(self) -> &'static str {
        match self {
            What::Erased => "erased",
            What::Added => "added",
            What::Archived => "archived",
            What::Moved => "moved",
        }
    }
}

/// One such change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub at: Wall,
    pub call_id: CallId,
    pub what: What,
    /// Who wanted it: a user of the API, `retention`, `archive`.
    pub by: String,
    /// Why, in the words of whoever wanted it.
    pub why: String,
    /// What there is now; absent when there is nothing here.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub record: Option<Record>,
}

/// The day before that has a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previous {
    pub day: String,
    pub root: String,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: String,
    pub node: String,
    /// `2026-11-21`, UTC.
    pub day: String,
    pub closed_at: Wall,
    pub records: Vec<Record>,
    pub root: String,
    /// Absent on the first day.
    pub previous: Option<Previous>,
    pub changes: Vec<Change>,
    pub changes_root: String,
    /// What is signed.
    pub head: String,
    /// The public key, in base64. Proves nothing by itself: compare it with the one that you were given.
    pub key: String,
    pub signature: String,
    /// Time-stamp (RFC 3161) of `head` as the day was closed, in base64, when an authority was asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timestamp: Option<Timestamp>,
}

/// A time-stamp authority's word that `head` existed at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// What was stamped: an earlier head of this manifest.
    pub head: String,
    /// The authority's whole answer (TimeStampResp), DER in base64: `openssl ts -reply -in FILE -text` reads it.
    pub response: String,
}

/// Something in a manifest that does not fit together. The code is stable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    pub code: &'static str,
    pub detail: String,
}

/// What is true of a recording after all changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State<'a> {
    Here(&'a Record),
    Erased(&'a Change),
    Moved(&'a Change),
}

impl Record {
    /// The content of its leaf.
    pub fn leaf_text(&self) -> String {
        let Record { call_id, file, size, sha256, sidecar_sha256 } = self;
        format!("{call_id}\t{file}\t{size}\t{sha256}\t{}", sidecar_sha256.as_deref().unwrap_or("-"))
    }
}

impl Change {
    /// The content of its leaf.
    pub fn leaf_text(&self) -> String {
        let Change { at, call_id, what, by, why, record } = self;
        let record = record.as_ref().map_or("-".to_owned(), Record::leaf_text);
        // As JSON strings: a tab in somebody's words is not the end of a field.
        let [by, why] = [by, why].map(|text| serde_json::Value::from(text.as_str()).to_string());
        format!("{at}\t{call_id}\t{}\t{by}\t{why}\t{record}", what.as_str())
    }
}

impl Manifest {
    /// Closes a day: its records in order of call, so that the same files always give the same root.
    pub fn close(
        key: &SigningKey,
        node: &str,
        day: &str,
        at: Wall,
        mut records: Vec<Record>,
        previous: Option<Previous>,
    ) -> Manifest {
        records.sort_by(|a, b| (a.call_id, &a.file).cmp(&(b.call_id, &b.file)));
        let mut manifest = Manifest {
            format: FORMAT.to_owned(),
            node: node.to_owned(),
            day: day.to_owned(),
            closed_at: Wall(at.0 - at.0.rem_euclid(1_000)),
            root: hex(&records_root(&records)),
            records,
            previous,
            changes: Vec::new(),
            changes_root: hex(&changes_root(&[])),
            head: String::new(),
            key: String::new(),
            signature: String::new(),
            timestamp: None,
        };
        manifest.sign(key);
        manifest
    }

    /// Adds what became of a recording, and signs again. Times are kept to the millisecond in which they are written.
    pub fn add(&mut self, key: &SigningKey, changes: impl IntoIterator<Item = Change>) {
        let rounded = |change: Change| Change { at: Wall(change.at.0 - change.at.0.rem_euclid(1_000)), ..change };
        self.changes.extend(changes.into_iter().map(rounded));
        self.changes_root = hex(&changes_root(&self.changes));
        self.sign(key);
    }

    /// What is signed: format, node, day, number of records with their root, day before with its root, number of
    /// changes with their root, time of closing; one a line.
    pub fn head_text(&self) -> String {
        let (day, root) = self.previous.as_ref().map_or(("-", "-"), |previous| (&previous.day, &previous.root));
        let Manifest { format, node, records, changes, closed_at, .. } = self;
        format!(
            "{format}\n{node}\n{}\n{} {}\n{day} {root}\n{} {}\n{closed_at}\n",
            self.day,
            records.len(),
            self.root,
            changes.len(),
            self.changes_root,
        )
    }

    /// Is this text the head of this manifest, as it is or as it was before some of its changes? Everything else in it,
    /// the root of the records before all, must be the same.
    pub fn had_head(&self, text: &str) -> bool {
        const CHANGES: usize = 5;
        let now = self.head_text();
        let but_changes = |text: &str| {
            let lines = text.split('\n').enumerate().filter(|(line, _)| *line != CHANGES);
            lines.map(|(_, line)| line.to_owned()).collect::<Vec<_>>()
        };
        but_changes(&now) == but_changes(text)
    }

    fn sign(&mut self, key: &SigningKey) {
        self.head = self.head_text();
        self.key = key.public().to_base64();
        self.signature = key.sign(self.head.as_bytes());
    }

    /// Checks the manifest by itself: roots, head and signature. `key`: whose it must be; without one it is checked
    /// against the key that it names.
    pub fn flaws(&self, key: Option<&PublicKey>) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut flaw = |code, detail: String| flaws.push(Flaw { code, detail });
        if self.format != FORMAT {
            flaw("wrong_format", format!("format {:?}, this program knows {FORMAT:?}", self.format));
        }
        let root = hex(&records_root(&self.records));
        if root != self.root {
            flaw("wrong_root", format!("the records give the root {root}, it names {}", self.root));
        }
        let changes = hex(&changes_root(&self.changes));
        if changes != self.changes_root {
            flaw("wrong_changes_root", format!("the changes give the root {changes}, it names {}", self.changes_root));
        }
        if self.head != self.head_text() {
            flaw("wrong_head", "what is signed is not what the manifest says".to_owned());
        }
        let named = PublicKey::parse(&self.key);
        if let Some(key) = key
            && named.as_ref() != Ok(key)
        {
            flaw("wrong_key", format!("signed by {}, the key given is {}", self.key, key.to_base64()));
        }
        let signed =
            key.or(named.as_ref().ok()).is_some_and(|key| key.has_signed(self.head.as_bytes(), &self.signature));
        if !signed {
            flaw("wrong_signature", "the signature is not the key's over this head".to_owned());
        }
        flaws
    }

    /// Every recording of the day as it stands after all changes.
    pub fn states(&self) -> BTreeMap<CallId, State<'_>> {
        let mut states: BTreeMap<CallId, State<'_>> =
            self.records.iter().map(|record| (record.call_id, State::Here(record))).collect();
        for change in &self.changes {
            let state = match (change.what, &change.record) {
                (What::Erased, _) => State::Erased(change),
                (What::Moved, _) | (_, None) => State::Moved(change),
                (What::Added | What::Archived, Some(record)) => State::Here(record),
            };
            states.insert(change.call_id, state);
        }
        states
    }
}

fn records_root(records: &[Record]) -> Hash {
    root(records.iter().map(Record::leaf_text))
}

fn changes_root(changes: &[Change]) -> Hash {
    root(changes.iter().map(Change::leaf_text))
}

fn root(texts: impl Iterator<Item = String>) -> Hash {
    merkle::root(&texts.map(|text| merkle::leaf(text.as_bytes())).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(n: u128) -> Record {
        let sha256 = hex(&merkle::leaf(&n.to_be_bytes()));
        Record {
            call_id: CallId(n),
            file: format!("{}.wav", CallId(n)),
            size: 44,
            sidecar_sha256: Some(sha256.clone()),
            sha256,
        }
    }

    fn erased(n: u128) -> Change {
        let (by, why) = ("anna".to_owned(), "asked for it\tin writing".to_owned());
        Change { at: Wall(1_790_000_000_000_123), call_id: CallId(n), what: What::Erased, by, why, record: None }
    }

    fn manifest(count: u128) -> (SigningKey, Manifest) {
        let key = SigningKey::from_seed([1; 32]);
        let previous = Some(Previous { day: "2026-11-20".into(), root: "ab".repeat(32) });
        let records = (0..count).rev().map(record).collect();
        let closed = Manifest::close(&key, "edge-1", "2026-11-21", Wall(1_790_000_000_000_456), records, previous);
        (key, closed)
    }

    #[test]
    fn what_is_signed_is_a_text_that_anybody_can_check() {
        let (_, manifest) = manifest(2);
        insta::assert_snapshot!(serde_json::to_string_pretty(&manifest).unwrap());
    }

    #[test]
    fn an_erasure_leaves_the_root_and_every_other_record_as_they_were() {
        let (key, mut manifest) = manifest(5);
        let root = manifest.root.clone();
        manifest.add(&key, [erased(3)]);
        assert_eq!((manifest.flaws(Some(&key.public())), &manifest.root), (vec![], &root));
        let states = manifest.states();
        assert!(matches!(states[&CallId(3)], State::Erased(change) if change.by == "anna"));
        // What was stamped before the erasure still vouches for the records.
        let (_, before) = super::tests::manifest(5);
        assert!(manifest.had_head(&before.head) && manifest.had_head(&manifest.head) && manifest.head != before.head);
        assert!(!manifest.had_head(&before.head.replace("2026-11-21", "2026-11-22")) && !manifest.had_head(""));
        assert_eq!(states.values().filter(|state| matches!(state, State::Here(_))).count(), 4);
        // As it is read back from its file.
        let text = serde_json::to_string(&manifest).unwrap();
        let back: Manifest = serde_json::from_str(&text).unwrap();
        assert_eq!((back.flaws(None), back), (vec![], manifest));
    }

    #[test]
    fn the_tree_is_the_same_in_whatever_order_files_were_found() {
        let key = SigningKey::from_seed([1; 32]);
        let close = |records| Manifest::close(&key, "n", "2026-11-21", Wall(0), records, None);
        assert_eq!(close((0..9).map(record).collect()), close((0..9).rev().map(record).collect()));
    }

    #[test]
    fn every_change_to_a_manifest_shows() {
        let (key, mut good) = manifest(3);
        good.add(&key, [erased(1)]);
        let public = key.public();
        let codes = |manifest: &Manifest, key: &PublicKey| {
            manifest.flaws(Some(key)).into_iter().map(|flaw| flaw.code).collect::<Vec<_>>()
        };
        let spoil = |change: &dyn Fn(&mut Manifest)| {
            let mut bad = good.clone();
            change(&mut bad);
            codes(&bad, &public)
        };
        assert_eq!(spoil(&|_| {}), [""; 0]);
        assert_eq!(spoil(&|m| m.records[1].size += 1), ["wrong_root"]);
        assert_eq!(spoil(&|m| drop(m.records.remove(0))), ["wrong_root", "wrong_head"]);
        assert_eq!(spoil(&|m| m.root = "0".repeat(64)), ["wrong_root", "wrong_head"]);
        assert_eq!(spoil(&|m| m.changes.clear()), ["wrong_changes_root", "wrong_head"]);
        assert_eq!(spoil(&|m| m.changes[0].by = "bob".into()), ["wrong_changes_root"]);
        assert_eq!(spoil(&|m| m.previous = None), ["wrong_head"]);
        assert_eq!(spoil(&|m| m.day = "2026-11-22".into()), ["wrong_head"]);
        assert_eq!(spoil(&|m| m.head.push('\n')), ["wrong_head", "wrong_signature"]);
        assert_eq!(spoil(&|m| m.signature = "AAAA".into()), ["wrong_signature"]);
        assert_eq!(spoil(&|m| m.format = "other".into()), ["wrong_format", "wrong_head"]);
        let forged = |m: &mut Manifest| {
            m.records.remove(0);
            let other = SigningKey::from_seed([2; 32]);
            *m = Manifest::close(&other, &m.node, &m.day, m.closed_at, m.records.clone(), m.previous.clone());
        };
        assert_eq!(spoil(&forged), ["wrong_key", "wrong_signature"]);
    }

    proptest! {
        #[test]
        fn any_day_with_any_changes_is_good_and_reads_back(
            count in 0u128..30,
            gone in prop::collection::vec(0u128..40, 0..12),
            why in ".{0,40}",
        ) {
            let (key, mut manifest) = manifest(count);
            let root = manifest.root.clone();
            manifest.add(&key, gone.iter().map(|n| Change { why: why.clone(), ..erased(*n) }));
            prop_assert_eq!(manifest.flaws(Some(&key.public())), vec![]);
            prop_assert_eq!(&manifest.root, &root);
            let back: Manifest = serde_json::from_str(&serde_json::to_string(&manifest).unwrap()).unwrap();
            prop_assert_eq!(back.flaws(Some(&key.public())), vec![]);
            for n in gone {
                prop_assert!(matches!(manifest.states()[&CallId(n)], State::Erased(_)));
            }
        }

        #[test]
        fn reading_any_text_never_panics(text in ".{0,200}") {
            let _ = serde_json::from_str::<Manifest>(&text);
        }
    }
}
