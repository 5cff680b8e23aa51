//! Days closed, changed, erased; on real files.

mod disk;
mod upload;

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::keeper::Rounds;
use super::*;
use crate::core::archive::manifest::Manifest;
use crate::ids::CallId;
use crate::io::journal::{OnDamage, Options};
use crate::time::{Mono, Now};

/// Noon of the first day.
const START: Wall = Wall(1_795_262_400_000_000);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) archive: Arc<Archive>,
    rounds: Rounds,
}

pub(super) fn world(extra: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[node]\nid = \"edge-1\"\ndata_dir = \"data\"\n{extra}");
    let config = Config::parse(&text, "test", folder.path()).unwrap();
    fs::create_dir_all(&config.node.data_dir).unwrap();
    let archive = open(config);
    World { folder, archive, rounds: Rounds { first: true, ..Rounds::default() } }
}

fn open(config: Config) -> Arc<Archive> {
    let options = Options { source: "leaseline/edge-1".into(), seed: [1; 32], on_damage: OnDamage::Refuse };
    let (journal, _) = Journal::open(&config.node.data_dir, options).unwrap();
    Arc::new(Archive::open(Arc::new(ArcSwap::from_pointee(config)), journal, Figures::default()).unwrap())
}

/// The n-th call of a day.
pub(super) fn call(day: u32, n: u32) -> CallId {
    let began = u128::try_from((START + DAY * day).0 / 1_000).unwrap();
    CallId((began << 80) | u128::from(n))
}

impl World {
    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(super) fn day(&self, day: u32) -> PathBuf {
        let [.., folder] = crate::io::recordings::names::folders(START + DAY * day);
        self.data().join(folder)
    }

    pub(super) fn file(&self, day: u32, n: u32, ending: &str) -> PathBuf {
        self.day(day).join(format!("{}.{ending}", call(day, n)))
    }

    /// A sealed recording with its sidecar.
    pub(super) fn plant(&self, day: u32, n: u32) {
        fs::create_dir_all(self.day(day)).unwrap();
        let frames = 800 + n;
        let mut wav = crate::wire::wav::header(frames * 4).to_vec();
        wav.extend((0..frames * 4).map(|at| (at * (n + 3) + day) as u8));
        fs::write(self.file(day, n, "wav"), &wav).unwrap();
        let sha256 = crate::io::recordings::hash(std::io::Cursor::new(&wav)).unwrap();
        let path = format!("{}", self.file(day, n, "wav").strip_prefix(self.data()).unwrap().display());
        let sidecar = json!({
            "call_id": call(day, n), "company": if n.is_multiple_of(2) { "acme" } else { "other" }, "pool": "web",
            "caller": format!("+4420794609{n:02}"), "attribution": { "visitor_id": format!("v{n}") },
            "ended_at": (START + DAY * day).to_rfc3339(),
            "recording": { "path": path, "duration_ms": frames / 8, "sha256": sha256 },
        });
        fs::write(self.file(day, n, "json"), serde_json::to_vec(&sidecar).unwrap()).unwrap();
    }

    /// One round of the keeper at so many days after the start.
    pub(super) fn round(&mut self, day: u32) {
        let since = DAY * day;
        let now = Now { mono: Mono(1_000_000_000) + since, wall: START + since };
        self.archive.round(&mut self.rounds, now).unwrap();
    }

    pub(super) fn manifest(&self, day: u32) -> Manifest {
        days::load(&self.day(day)).unwrap()
    }

    /// Codes of what `verify` finds, with the public key.
    pub(super) fn verify(&self) -> Vec<&'static str> {
        let keys = [self.archive.public_key()];
        let recordings = crate::io::recordings::verify_recordings(&self.data()).unwrap();
        let days = verify_days(&self.data(), &keys, &recordings.hashes).unwrap();
        let of_recordings = recordings.problems.iter().filter(|finding| !days.explains(finding));
        of_recordings.chain(&days.problems).map(|finding| finding.code).collect()
    }

    pub(super) fn events(&self, kind: &str) -> Vec<Value> {
        assert!(self.archive.journal.flush(Duration::from_secs(10)));
        let records = self.archive.journal.read(0, 1_000).unwrap();
        let events = records.iter().map(|record| serde_json::from_str::<Value>(&record.event).unwrap());
        events.filter(|event| event["type"] == format!("leaseline.{kind}")).map(|e| e["data"].clone()).collect()
    }
}

#[test]
fn a_small_file_is_written_whole_or_not_at_all() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cursor");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // A rest of a write that a crash ended is in nobody's way.
    fs::write(folder.path().join("x.cursor.tmp"), "a longer rest of another write").unwrap();
    write_whole(&path, b"1").unwrap();
    write_whole(&path, b"22").unwrap();
    assert_eq!((fs::read(&path).unwrap(), fs::read_dir(folder.path()).unwrap().count()), (b"22".to_vec(), 1));
    let open = folder.path().join("model.json");
    write_whole_as(&open, b"{}", 0o640).unwrap();
    assert_eq!(mode(&open), 0o640);
    // Nobody's link leads the bytes elsewhere, and what failed leaves the old ones.
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, "theirs").unwrap();
    symlink(&elsewhere, folder.path().join("x.cursor.tmp")).unwrap();
    assert!(write_whole(&path, b"333").is_err());
    assert_eq!((fs::read(&path).unwrap(), fs::read(&elsewhere).unwrap()), (b"22".to_vec(), b"theirs".to_vec()));
}

#[test]
fn days_are_closed_in_order_once_and_each_vouches_for_the_one_before() {
    let mut world = world("");
    for day in 0..3 {
        (0..3).for_each(|n| world.plant(day, n));
    }
    world.round(2);
    assert_eq!(world.events("archive.day_closed").len(), 2, "the third day is not over");
    world.round(3);
    let texts: Vec<Vec<u8>> = (0..3).map(|day| fs::read(world.day(day).join("manifest.json")).unwrap()).collect();
    world.round(3);
    world.rounds.first = true;
    world.round(4);
    for (day, text) in texts.iter().enumerate() {
        assert_eq!(&fs::read(world.day(day as u32).join("manifest.json")).unwrap(), text, "done again, the same");
    }
    let manifests: Vec<Manifest> = (0..3).map(|day| world.manifest(day)).collect();
    assert_eq!(manifests[0].previous, None);
    for pair in manifests.windows(2) {
        assert_eq!(pair[1].previous.as_ref().map(|p| (&p.day, &p.root)), Some((&pair[0].day, &pair[0].root)));
    }
    let closed = world.events("archive.day_closed");
    assert_eq!((closed.len(), &closed[2]["root"], &closed[2]["records"]), (3, &json!(manifests[2].root), &json!(3)));
    assert_eq!(world.verify(), [""; 0]);
}

#[test]
fn a_day_waits_for_what_is_not_sealed_and_for_sidecars() {
    let mut world = world("");
    world.plant(0, 1);
    fs::rename(world.file(0, 1, "wav"), world.file(0, 1, "wav.part")).unwrap();
    world.plant(1, 1);
    world.round(2);
    assert!(!world.day(0).join("manifest.json").exists() && !world.day(1).join("manifest.json").exists());
    fs::rename(world.file(0, 1, "wav.part"), world.file(0, 1, "wav")).unwrap();
    world.round(3);
    assert_eq!((world.manifest(0).records.len(), world.manifest(1).records.len()), (1, 1));
    // What a later start made whole is added, and the root of its day stays.
    let root = world.manifest(0).root;
    world.plant(0, 2);
    world.round(4);
    assert_eq!((world.manifest(0).root, world.manifest(0).changes.len()), (root, 1));
    assert_eq!(world.verify(), [""; 0]);
}

#[test]
fn verify_names_what_differs() {
    let closed = || {
        let mut world = world("");
        for day in 0..3 {
            (0..3).for_each(|n| world.plant(day, n));
        }
        world.round(4);
        assert_eq!(world.verify(), [""; 0]);
        world
    };
    let spoil = |change: &dyn Fn(&World)| {
        let world = closed();
        change(&world);
        world.verify()
    };
    let flip = |file: PathBuf| {
        let mut bytes = fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&file, bytes).unwrap();
    };
    assert_eq!(spoil(&|w| flip(w.file(1, 1, "wav"))), ["wrong_hash", "wrong_hash"]);
    // Whoever changes the sound and its sidecar alike is found by the manifest.
    let both = |w: &World| {
        let bytes = fs::read(w.file(1, 1, "wav")).unwrap();
        flip(w.file(1, 1, "wav"));
        let hash = |bytes: &[u8]| crate::io::recordings::hash(std::io::Cursor::new(bytes)).unwrap();
        let sidecar = fs::read_to_string(w.file(1, 1, "json")).unwrap();
        let new = hash(&fs::read(w.file(1, 1, "wav")).unwrap());
        fs::write(w.file(1, 1, "json"), sidecar.replace(&hash(&bytes), &new)).unwrap();
    };
    assert_eq!(spoil(&both), ["wrong_hash"]);
    let rewritten = |w: &World| {
        let text = fs::read_to_string(w.file(1, 1, "json")).unwrap().replace("+4420794609", "+4420794608");
        fs::write(w.file(1, 1, "json"), text).unwrap();
    };
    assert_eq!(spoil(&rewritten), ["wrong_sidecar"]);
    let gone = |w: &World| {
        fs::remove_file(w.file(1, 1, "wav")).unwrap();
        fs::remove_file(w.file(1, 1, "json")).unwrap();
    };
    assert_eq!(spoil(&gone), ["missing"]);
    assert_eq!(spoil(&|w| w.plant(1, 9)), ["unlisted"]);
    assert_eq!(spoil(&|w| fs::remove_dir_all(w.day(1)).unwrap()), ["missing_day"]);
    assert_eq!(spoil(&|w| fs::write(w.day(1).join("manifest.json"), "{}").unwrap()), ["bad_manifest", "missing_day"]);
    let copied = |w: &World| {
        fs::copy(w.day(0).join("manifest.json"), w.day(1).join("manifest.json")).unwrap();
    };
    assert_eq!(spoil(&copied).len(), 8);
    // A whole history that somebody else signed.
    let other = |w: &World| {
        let key = SigningKey::from_seed([9; 32]);
        let Manifest { node, day, closed_at, records, previous, .. } = w.manifest(2);
        let manifest = Manifest::close(&key, &node, &day, closed_at, records, previous);
        fs::write(w.day(2).join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    };
    assert_eq!(spoil(&other), ["wrong_key", "wrong_signature"]);
    // One day by itself is good, and says that it begins in the middle.
    let world = closed();
    let alone = verify_days(&world.day(1), &[world.archive.public_key()], &Default::default()).unwrap();
    assert_eq!((alone.good, alone.is_good(), alone.notes[0].code), (1, true, "starts_here"));
}

#[test]
fn what_is_erased_leaves_a_tombstone_and_a_tree_that_holds() {
    let mut world = world("");
    for day in 0..2 {
        (0..3).for_each(|n| world.plant(day, n));
    }
    world.round(1);
    let root = world.manifest(0).root;
    let erased = world.archive.erase(&Subject::Visitor("v1".into()), "anna", "art. 17", false).unwrap();
    assert_eq!(erased.erased, [call(0, 1), call(1, 1)], "in a closed day and in an open one");
    for day in 0..2 {
        assert!(!world.file(day, 1, "wav").exists() && !world.file(day, 1, "json").exists());
        let tombstone = fs::read_to_string(world.file(day, 1, "erased")).unwrap();
        assert!(tombstone.contains("art. 17") && !tombstone.contains("442079460901"), "{tombstone}");
    }
    world.round(2);
    assert_eq!((world.manifest(0).root, world.manifest(0).changes.len()), (root, 1));
    assert_eq!((world.manifest(1).records.len(), world.manifest(1).changes.len()), (3, 1));
    assert_eq!(world.verify(), [""; 0]);
    let events = world.events("recording.erased");
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0]["by"], &events[0]["sha256"]), (&json!("anna"), &json!(world.manifest(0).records[1].sha256)));
    assert_eq!(world.archive.erase(&Subject::Call(call(0, 1)), "x", "x", false).unwrap(), Erasure::default());
    // It must not come back.
    world.plant(0, 1);
    assert_eq!(world.verify(), ["not_erased", "not_erased"]);
}

/// Row G14, for erasures: whatever step a crash comes after, the next start ends in the same state, and the event is told
/// when the bytes are gone.
#[test]
fn g14_an_erasure_that_a_crash_cut_short_is_finished() {
    let tombstone = |world: &World| {
        let data = json!({ "call_id": call(0, 1), "erased_at": START.to_rfc3339(), "by": "anna", "why": "x",
            "file": format!("{}.wav", call(0, 1)), "sha256": "00", "size": 4 });
        fs::write(world.file(0, 1, "erasing"), data.to_string()).unwrap();
    };
    for steps in 0..3 {
        let mut world = world("");
        (0..3).for_each(|n| world.plant(0, n));
        world.round(2);
        tombstone(&world);
        let endings = ["wav", "json"];
        endings.iter().take(steps).for_each(|ending| fs::remove_file(world.file(0, 1, ending)).unwrap());
        world.rounds.first = true;
        world.round(2);
        assert!(world.file(0, 1, "erased").exists() && !world.file(0, 1, "erasing").exists(), "{steps}");
        assert!(endings.iter().all(|ending| !world.file(0, 1, ending).exists()), "{steps}");
        assert_eq!((world.events("recording.erased").len(), world.verify()), (1, vec![]), "{steps}");
    }
}

/// Row G11: own names only, at most so many a run, and nothing by a clock that has jumped.
#[test]
fn g11_retention_erases_its_own_files_and_no_more_than_it_may() {
    let mut world = world(
        "[recording]\nretention_days = 30\ndeletions_max = 2\n[[company]]\nname = \"acme\"\nforward_to = [\"sip:a@192.0.2.1\"]\n\
         [[retention]]\nname = \"acme\"\ncompany = \"acme\"\ndays = 0\n",
    );
    (0..8).for_each(|n| world.plant(0, n));
    let foreign = ["notes.txt", "holiday.wav", "0123.wav", "manifest.json.bak"];
    foreign.iter().for_each(|name| fs::write(world.day(0).join(name), "x").unwrap());
    world.archive.hold(call(0, 7), "anna", "case 7").unwrap();
    world.round(0);
    world.round(20);
    assert_eq!(world.events("archive.alarm").len(), 0);
    assert_eq!(world.events("recording.erased").len(), 0);
    world.round(31);
    assert_eq!(world.events("recording.erased").len(), 2, "two a run");
    world.round(32);
    let erased: Vec<Value> = world.events("recording.erased").iter().map(|data| data["call_id"].clone()).collect();
    assert_eq!(
        erased,
        [1, 3, 5].map(|n| json!(call(0, n))),
        "not the company's whose recordings stay, not what is held"
    );
    assert!(foreign.iter().all(|name| world.day(0).join(name).exists()));
    assert_eq!(world.verify(), [""; 0]);
    // A year ahead from one moment to the next.
    let now = Now { mono: Mono(1_000_000_000) + DAY * 33, wall: START + DAY * 400 };
    world.plant(31, 1);
    world.archive.round(&mut world.rounds, now).unwrap();
    assert_eq!(world.events("archive.alarm")[0]["code"], "clock_jumped");
    assert!(world.file(31, 1, "wav").exists(), "nothing is erased by it");
    assert_eq!(world.archive.known_time(), Some(START + DAY * 32), "nor is it what the next start believes");
}

#[test]
fn a_damaged_manifest_is_left_as_it_is_and_told_once() {
    let mut world = world("");
    world.plant(0, 1);
    world.round(2);
    let path = world.day(0).join("manifest.json");
    let spoilt = fs::read_to_string(&path).unwrap().replace("\"size\": ", "\"size\": 1");
    fs::write(&path, &spoilt).unwrap();
    world.rounds.first = true;
    world.round(3);
    world.round(4);
    assert_eq!(fs::read_to_string(&path).unwrap(), spoilt);
    assert_eq!(world.events("archive.alarm").len(), 1);
}

#[test]
fn the_key_is_made_once_and_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let World { folder, archive, .. } = world("");
    let key = folder.path().join("data/keys/signing.key");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(keys::load(&key).unwrap().public(), archive.public_key());
    assert_eq!(keys::make(&key).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(keys::public(&archive.public_key().to_base64()).unwrap(), archive.public_key());
    let pem = folder.path().join("public.pem");
    fs::write(&pem, archive.public_key().to_pem()).unwrap();
    assert_eq!(keys::public(pem.to_str().unwrap()).unwrap(), archive.public_key());
    fs::write(&key, "nothing").unwrap();
    assert!(keys::load(&key).unwrap_err().to_string().contains("PKCS#8"));
}

/// Half the room, the same samples, and a tree that holds.
#[test]
fn a_closed_day_becomes_flac_and_gives_back_the_very_wav() {
    let mut world = world("[recording]\narchive_after = \"5d\"\n");
    (0..3).for_each(|n| world.plant(0, n));
    world.archive.hold(call(0, 2), "anna", "case 7").unwrap();
    world.round(2);
    world.round(4);
    assert!(world.file(0, 0, "wav").exists(), "not yet");
    let root = world.manifest(0).root;
    let originals: Vec<String> = world.manifest(0).records.iter().map(|record| record.sha256.clone()).collect();
    world.round(7);
    for n in 0..2 {
        assert!(!world.file(0, n, "wav").exists());
        assert_eq!(flac::original_sha256(&world.file(0, n, "flac")).unwrap(), originals[n as usize]);
    }
    assert!(world.file(0, 2, "wav").exists(), "what is held stays as it is");
    assert_eq!((world.manifest(0).root, world.manifest(0).changes.len()), (root, 2));
    assert_eq!(world.events("recording.archived").len(), 2);
    assert_eq!(world.verify(), [""; 0]);
    // A crash before the WAV went leaves both; the next round takes the one that is not named.
    world.plant(0, 0);
    world.round(8);
    assert!(!world.file(0, 0, "wav").exists() && world.events("recording.archived").len() == 2);
    let mut bytes = fs::read(world.file(0, 1, "flac")).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::write(world.file(0, 1, "flac"), bytes).unwrap();
    assert!(world.verify().contains(&"wrong_hash"), "{:?}", world.verify());
    assert_eq!(world.archive.erase(&Subject::Call(call(0, 1)), "x", "x", false).unwrap().erased, [call(0, 1)]);
    assert_eq!(world.verify(), [""; 0]);
}

/// A fifth of the room, and a chain that leads from what there is to what there was.
#[test]
fn a_closed_day_becomes_opus_and_says_what_it_was_made_from() {
    let mut world = world("[recording]\narchive_after = \"5d\"\narchive_as = \"opus\"\n");
    (0..2).for_each(|n| world.plant(0, n));
    world.round(2);
    let before = world.manifest(0);
    world.round(7);
    for (n, record) in before.records.iter().enumerate() {
        assert!(!world.file(0, n as u32, "wav").exists());
        let opus = opus::describe(&world.file(0, n as u32, "opus")).unwrap();
        assert_eq!(opus.wav_sha256, record.sha256);
    }
    let after = world.manifest(0);
    assert_eq!((&after.root, after.changes.len()), (&before.root, 2));
    assert_eq!(after.changes[0].why, format!("Opus of {}", before.records[0].sha256));
    let events = world.events("recording.archived");
    assert_eq!((events.len(), &events[0]["archive"]), (2, &json!("opus")));
    assert_eq!(world.verify(), [""; 0]);
    // Another call's sound in its place is found by both.
    fs::copy(world.file(0, 1, "opus"), world.file(0, 0, "opus")).unwrap();
    assert!(world.verify().iter().filter(|code| **code == "wrong_hash").count() == 2, "{:?}", world.verify());
    assert_eq!(world.archive.erase(&Subject::Call(call(0, 1)), "x", "x", false).unwrap().erased, [call(0, 1)]);
    assert!(!world.file(0, 1, "opus").exists());
}
