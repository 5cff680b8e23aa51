//! Captured calls: every line of `pcap-fixtures/manifest.toml` is held to what it says, and a replay to itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use leaseline::replay::{Replay, Replayed};
use proptest::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// By program, as it says itself.
    #[allow(dead_code, reason = "for people")]
    made_with: BTreeMap<String, String>,
    capture: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: String,
    sha256: String,
    #[allow(dead_code, reason = "for people")]
    made_by: String,
    shows: String,
    call: Vec<Expected>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Expected {
    outcome: String,
    reason: String,
    sip_status: u16,
    hangup_by: String,
    #[serde(default)]
    codec: Option<String>,
    /// Packets accepted and lost, of the caller and of the company.
    received: [u64; 2],
    lost: [u64; 2],
    /// Length of the recording; none when there is none.
    #[serde(default)]
    recorded_ms: Option<u64>,
    /// `channel cause`, in order.
    #[serde(default)]
    gaps: Vec<String>,
    /// SHA-256 of what comes out, byte for byte: the recording, its sidecar, the events (each with the end of its line).
    #[serde(default)]
    wav_sha256: Option<String>,
    #[serde(default)]
    sidecar_sha256: Option<String>,
    #[serde(default)]
    events_sha256: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pcap-fixtures")
}

fn manifest() -> Manifest {
    let text = std::fs::read_to_string(folder().join("manifest.toml")).expect("the manifest");
    toml::from_str(&text).expect("the manifest is as this test reads it")
}

fn capture(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).expect("a capture")
}

fn replay(bytes: &[u8]) -> Vec<Replayed> {
    Replay::read(bytes).expect("a capture").run().collect()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything that a replay gives, as bytes.
fn everything(calls: &[Replayed]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for call in calls {
        all.push(call.ladder.clone().into_bytes());
        all.push(call.value.to_string().into_bytes());
        all.extend(call.events.iter().map(|line| line.clone().into_bytes()));
        all.extend(call.files.iter().flat_map(|(name, bytes)| [name.clone().into_bytes(), bytes.clone()]));
    }
    all
}

fn observed(call: &Replayed) -> Expected {
    let data = call.ended.as_ref().expect("the call ended");
    let media = data.media.as_ref().expect("media figures");
    let recording = data.recording.as_ref().expect("a word on the recording");
    let text = |value: serde_json::Value| value.as_str().expect("a text").to_owned();
    let gaps = recording.gaps.iter().map(|gap| {
        let channel = text(serde_json::to_value(gap.channel).expect("a channel"));
        format!("{channel} {}", gap.cause)
    });
    let of = |ending: &str| {
        let file = call.files.iter().find(|(name, _)| name.ends_with(ending));
        file.map(|(_, bytes)| hash(bytes))
    };
    let events: String = call.events.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    Expected {
        wav_sha256: of(".wav"),
        sidecar_sha256: of(".json"),
        events_sha256: Some(hash(events.as_bytes())),
        outcome: data.outcome.expect("an outcome").as_str().to_owned(),
        reason: data.reason.clone().expect("a reason"),
        sip_status: data.sip_status.expect("a status"),
        hangup_by: text(serde_json::to_value(data.hangup_by).expect("somebody")),
        codec: media.codec.clone(),
        received: [media.caller.received, media.company.received],
        lost: [media.caller.lost, media.company.lost],
        recorded_ms: recording.path.is_some().then_some(recording.duration_ms),
        gaps: gaps.collect(),
    }
}

#[test]
fn captures_are_the_ones_of_the_manifest() {
    for entry in manifest().capture {
        let bytes = capture(&entry.file);
        assert_eq!(hash(&bytes), entry.sha256, "{}", entry.file);
        assert!(bytes.len() < 300_000, "{} is too large to be kept", entry.file);
    }
}

/// Row G12: golden files. `LEASELINE_GOLDEN=write` takes what comes out now into the manifest; look at the difference.
#[test]
fn g12_each_call_gives_the_recording_and_the_events_that_the_manifest_names() {
    if std::env::var_os("LEASELINE_GOLDEN").is_some_and(|value| value == "write") {
        write_hashes();
    }
    for entry in manifest().capture {
        let calls = replay(&capture(&entry.file));
        let seen: Vec<Expected> = calls.iter().map(observed).collect();
        assert_eq!(seen, entry.call, "{}: {}", entry.file, entry.shows);
    }
}

/// Puts the hashes of now at the end of every call's table; all else in the file stays as it is.
fn write_hashes() {
    let path = folder().join("manifest.toml");
    let text = std::fs::read_to_string(&path).expect("the manifest");
    let captures = manifest().capture;
    let mut calls = captures.iter().flat_map(|entry| replay(&capture(&entry.file))).map(|call| observed(&call));
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines().chain(["[[end]]"]) {
        if line.starts_with('[') && std::mem::replace(&mut open, line == "[[capture.call]]") {
            let blank = lines.iter().rev().take_while(|line| line.is_empty()).count();
            let at = lines.len() - blank;
            let Expected { wav_sha256, sidecar_sha256, events_sha256, .. } = calls.next().expect("a call");
            let named = [("wav", wav_sha256), ("sidecar", sidecar_sha256), ("events", events_sha256)].into_iter();
            let new = named.filter_map(|(name, hash)| Some(format!("{name}_sha256 = \"{}\"", hash?)));
            lines.splice(at..at, new.collect::<Vec<_>>());
        }
        if !["wav_sha256", "sidecar_sha256", "events_sha256"].iter().any(|name| line.starts_with(name)) {
            lines.push(line.to_owned());
        }
    }
    lines.pop();
    std::fs::write(path, lines.join("\n") + "\n").expect("the manifest is written");
}

#[test]
fn the_same_capture_gives_the_same_bytes() {
    for entry in manifest().capture {
        let bytes = capture(&entry.file);
        assert!(everything(&replay(&bytes)) == everything(&replay(&bytes)), "{}", entry.file);
    }
}

#[test]
fn ladders() {
    for entry in manifest().capture {
        let mut text = format!("{}\n\n", entry.shows);
        for call in replay(&capture(&entry.file)) {
            text.push_str(&call.ladder);
            for (name, bytes) in &call.files {
                let said = call.ended.as_ref().and_then(|data| data.recording.as_ref()?.sha256.clone());
                if name.ends_with(".wav") {
                    assert_eq!(said, Some(hash(bytes)), "{}: the recording's hash is the file's", entry.file);
                }
                text.push_str(&format!("  {name} {} bytes, sha256 {}\n", bytes.len(), hash(bytes)));
            }
            text.push('\n');
        }
        let name = entry.file.split('.').next().expect("a name").replace('-', "_");
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn one_ended_event_and_it_is_the_last() {
    for entry in manifest().capture {
        for call in replay(&capture(&entry.file)) {
            let kinds: Vec<String> = call
                .events
                .iter()
                .map(|line| {
                    let event: serde_json::Value = serde_json::from_str(line).expect("an event is JSON");
                    event["type"].as_str().expect("a type").to_owned()
                })
                .collect();
            let ended = kinds.iter().filter(|kind| *kind == "leaseline.call.ended").count();
            assert_eq!((ended, kinds.last().map(String::as_str)), (1, Some("leaseline.call.ended")), "{}", entry.file);
        }
    }
}

/// The tones that the phones of `make.sh` play are in their own channels: 400 Hz left, 1100 Hz right.
#[test]
fn each_voice_is_in_its_channel() {
    for file in ["answered.pcap", "early-media.pcap", "baresip.pcap", "direct.pcapng", "linphone.pcap"] {
        let calls = replay(&capture(file));
        let (_, wav) = calls[0].files.iter().find(|(name, _)| name.ends_with(".wav")).expect("a recording");
        let samples: Vec<f64> = hound::WavReader::new(&wav[..])
            .expect("a WAV file")
            .into_samples::<i16>()
            .map(|sample| f64::from(sample.expect("a sample")))
            .collect();
        // A second from the middle, so that both are talking.
        let start = (samples.len() / 4 - 4_000) * 2;
        let tone = |channel: usize, hertz: f64| {
            let (mut re, mut im) = (0.0, 0.0);
            for (i, frame) in samples[start..start + 16_000].chunks_exact(2).enumerate() {
                let angle = std::f64::consts::TAU * hertz * i as f64 / 8_000.0;
                re += frame[channel] * angle.cos();
                im += frame[channel] * angle.sin();
            }
            re.hypot(im) / 4_000.0
        };
        for (channel, own, others) in [(0, 400.0, 1_100.0), (1, 1_100.0, 400.0)] {
            let (own, others) = (tone(channel, own), tone(channel, others));
            assert!(
                own > 5_000.0 && others < own / 50.0,
                "{file} channel {channel}: own {own:.0}, other's {others:.0}"
            );
        }
    }
}

/// What every other capture is made of: cut, flipped and doubled bytes of the real ones.
fn damage() -> impl Strategy<Value = (usize, Vec<(usize, u8)>, usize)> {
    let flips = prop::collection::vec((any::<usize>(), any::<u8>()), 0..40);
    (any::<usize>(), flips, any::<usize>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_capture_makes_it_panic((which, flips, cut) in damage()) {
        let files = ["busy.pcap", "cancelled.pcap", "next-destination.pcap", "tcp.pcap", "direct.pcapng"];
        let mut bytes = capture(files[which % files.len()]);
        // Most damage in front, where the headers and the SIP are.
        for (at, to) in flips {
            let range = if at % 2 == 0 { bytes.len() } else { bytes.len().min(6_000) };
            bytes[at / 2 % range] = to;
        }
        if cut % 3 == 0 {
            bytes.truncate(cut / 3 % bytes.len());
        }
        if let Ok(replay) = Replay::read(&bytes) {
            for call in replay.run() {
                prop_assert!(call.ladder.starts_with("call "));
                // A panic inside a call is caught and told as an event.
                let crashed = call.events.iter().find(|event| event.contains("leaseline.call.crashed"));
                prop_assert_eq!(crashed, None);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000), kind in 0..4) {
        let magic: &[u8] = match kind {
            0 => &[0xd4, 0xc3, 0xb2, 0xa1],
            1 => &[0x0a, 0x0d, 0x0d, 0x0a],
            2 => &[0xa1, 0xb2, 0x3c, 0x4d],
            _ => &[],
        };
        let _ = Replay::read(&[magic, &bytes[..]].concat());
    }
}
