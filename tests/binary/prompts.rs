//! Announcement and whisper of the real program: who heard them, and what the recording says.

use std::fs;
use std::path::Path;
use std::time::Duration;

use leaseline::phone::{self, AnswerOptions, CallOptions, Over, Sound};
use leaseline::wire::codec::g711::Law;
use sha2::{Digest, Sha256};

use crate::node::{NUMBER, Node, PATIENCE, alone};

/// Noise that no other sound resembles, as a file; gives what a phone hears of it.
fn sound(path: &Path, seed: u32, samples: usize) -> Vec<i16> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    let mut x = seed;
    let mut heard = Vec::new();
    for _ in 0..samples {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let sample = (x >> 17) as i16 - 8_192;
        writer.write_sample(sample).unwrap();
        heard.push(Law::A.decode(Law::A.encode(sample)));
    }
    writer.finalize().unwrap();
    heard
}

fn samples(path: &Path, channel: usize) -> Vec<i16> {
    let mut reader = hound::WavReader::open(path).unwrap();
    let channels = usize::from(reader.spec().channels);
    reader.samples::<i16>().map(Result::unwrap).skip(channel).step_by(channels).collect()
}

/// Whether it is heard, sample by sample: nine in ten pieces of 50 ms, one after the other. A machine that is busy may send a
/// packet late enough for its listener to move what follows.
fn is_heard(within: &[i16], sound: &[i16]) -> bool {
    let pieces = sound.chunks_exact(400);
    let all = pieces.len();
    let mut from = 0;
    let mut found = 0;
    for piece in pieces {
        if let Some(at) = within.get(from..).and_then(|rest| find(rest, piece)) {
            from += at + piece.len();
            found += 1;
        }
    }
    found * 10 >= all * 9
}

/// Where it stands.
fn find(within: &[i16], sound: &[i16]) -> Option<usize> {
    within.windows(sound.len()).position(|window| window == sound)
}

/// Whether a tenth of a second of it stands anywhere.
fn has_some(within: &[i16], sound: &[i16]) -> bool {
    sound.chunks_exact(800).any(|piece| find(within, piece).is_some())
}

#[test]
fn the_caller_hears_the_announcement_and_only_the_company_the_whisper() {
    let _alone = alone();
    let mut node = Node::new("");
    let folder = node.dir.path().to_owned();
    let file = |name: &str| folder.join(name);
    let announcement = sound(&file("recorded.wav"), 1, 12_000);
    let whisper = sound(&file("kitchens.wav"), 2, 8_000);
    node.extra = "[company.prompts]\nannouncement = \"recorded.wav\"\nwhisper = \"kitchens.wav\"\n".to_owned();
    // The company's table stands before the pools of the base.
    let config = node.base_config().replace(&node.extra, "").replace("[[site]]", &format!("{}[[site]]", node.extra));
    fs::write(node.config_path(), config).unwrap();
    node.start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let answering = AnswerOptions {
        listen: node.company(),
        over: Over::Udp,
        sound: Sound::COMPANY,
        record: Some(file("company.wav")),
        ring: Duration::ZERO,
        status: None,
        early_media: false,
        talk: None,
        calls: Some(1),
    };
    let company = runtime.spawn(async move {
        let tell = move |_| ready.send(()).unwrap();
        phone::answer(&answering, std::future::pending(), tell, |_| {}).await.unwrap();
    });
    is_ready.recv_timeout(PATIENCE).unwrap();
    let calling = CallOptions {
        number: NUMBER.to_owned(),
        to: node.sip(),
        over: Over::Udp,
        from: "+442079460990".to_owned(),
        sound: Sound::CALLER,
        record: Some(file("caller.wav")),
        talk: Duration::from_secs(4),
        ring_max: Duration::from_secs(20),
        laws: vec![Law::A],
    };
    let report = runtime.block_on(phone::call(&calling, std::future::pending(), |_| {})).unwrap();
    assert!(report.answered, "{report:?}");
    runtime.block_on(company).unwrap();

    let ended = node.wait_for_events("call.ended", 1).remove(0);
    let by_caller = samples(&file("caller.wav"), 0);
    let by_company = samples(&file("company.wav"), 0);
    assert!(is_heard(&by_caller, &announcement), "the caller hears the announcement, sample by sample");
    assert!(is_heard(&by_company, &whisper), "the company hears the whisper, sample by sample");
    assert!(!has_some(&by_caller, &whisper), "the caller hears nothing of the whisper");
    assert!(!has_some(&by_company, &announcement), "nor the company of the announcement");
    let loud = |heard: &[i16]| heard.iter().rev().skip(800).take(4_000).any(|s| s.unsigned_abs() > 2_000);
    assert!(loud(&by_caller) && loud(&by_company), "and then each other");

    let wav = node.data().join(ended["recording"]["path"].as_str().unwrap());
    assert!(is_heard(&samples(&wav, 1), &announcement), "recorded where it was heard");
    assert!(is_heard(&samples(&wav, 0), &whisper), "recorded where it was heard");
    let prompts = ended["prompts"].as_array().unwrap();
    let said: Vec<_> = prompts.iter().map(|p| (p["kind"].as_str().unwrap(), p["to"].as_str().unwrap())).collect();
    assert_eq!(said, [("whisper", "company"), ("announcement", "caller")]);
    let hash: String =
        Sha256::digest(fs::read(file("recorded.wav")).unwrap()).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(prompts[1]["sha256"], hash);
    node.stop();
}
