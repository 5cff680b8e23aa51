//! `[media]` and `[recording]`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use super::super::check::Places;
use super::super::read::{Found, Reader, Section};
use super::super::{Codecs, Digits, Engine, Fsync, Loss, Media, Recording, RecordingKeys, Store, value};
use super::archive::keep;
use super::tls;
use super::{DAY, MINUTE, address, address_v6, choice, duration, small, specified_address};

pub(super) fn media<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>, places: &mut Places) -> Media {
    let mut s = r.section(root, "media");
    let address = match r.text(&mut s, "address", address) {
        Found::Is(address, place) => {
            places.media_address = Some(place);
            address
        }
        Found::Absent | Found::Bad => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let address6 = match r.text(&mut s, "address6", address_v6) {
        Found::Is(address, place) => {
            places.media_address6 = Some(place);
            Some(address)
        }
        Found::Absent | Found::Bad => None,
    };
    let ports = match r.text(&mut s, "ports", value::ports) {
        Found::Is(ports, place) => {
            places.media_ports = Some(place);
            ports
        }
        Found::Absent | Found::Bad => (20_000, 29_999),
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let engines = [("auto", Engine::Auto), ("epoll", Engine::Epoll), ("io_uring", Engine::IoUring)];
    let media = Media {
        address,
        address6,
        advertise: r.text(&mut s, "advertise", specified_address).optional(),
        ports,
        threads: r.integer(&mut s, "threads", 1..65).optional().map_or(cores.min(4), small),
        codecs: choice(r, &mut s, "codecs", &[("recordable", Codecs::Recordable), ("any", Codecs::Any)])
            .unwrap_or(Codecs::Recordable),
        transcode: r.boolean(&mut s, "transcode").or(true),
        silence_max: duration(r, &mut s, "silence_max", Duration::ZERO, DAY).or(MINUTE),
        engine: choice(r, &mut s, "engine", &engines).unwrap_or(Engine::Auto),
        dscp: r.integer(&mut s, "dscp", 0..64).optional().and_then(|dscp| u8::try_from(dscp).ok()).unwrap_or(46),
        dtls: tls::dtls(r, &mut s),
    };
    r.end(s);
    media
}

pub(super) fn recording<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>, data_dir: &Path) -> Recording {
    let mut s = r.section(root, "recording");
    let ways = [("none", Fsync::None), ("seal", Fsync::Seal), ("second", Fsync::Second)];
    let stores = [("pcm", Store::Pcm), ("g711", Store::G711)];
    let recording = Recording {
        enabled: r.boolean(&mut s, "enabled").or(true),
        fsync: choice(r, &mut s, "fsync", &ways).unwrap_or(Fsync::Seal),
        store: choice(r, &mut s, "format", &stores).unwrap_or_default(),
        disk_free_min: r.text(&mut s, "disk_free_min", value::size).or(200 << 20),
        disk_free_erase: r.text(&mut s, "disk_free_erase", value::size).or(0),
        keep: keep(r, &mut s, data_dir),
        keys: RecordingKeys {
            pause: r.text(&mut s, "pause_keys", keys).or("*7".to_owned()),
            resume: r.text(&mut s, "resume_keys", keys).or("*8".to_owned()),
            digits: choice(r, &mut s, "digits", &Digits::ALL).unwrap_or_default(),
        },
        loss: choice(r, &mut s, "loss", &Loss::ALL).unwrap_or_default(),
    };
    if recording.keys.pause.is_empty() != recording.keys.resume.is_empty() {
        r.problem(s.place(), "`pause_keys` and `resume_keys` are of use only together; write both, or \"\" for both");
    }
    r.end(s);
    recording
}

/// Keys that are pressed one after the other.
fn keys(text: &str) -> Result<String, String> {
    let is_key = |key: char| key.is_ascii_digit() || "*#ABCD".contains(key);
    if text.is_empty() || ((2..=8).contains(&text.len()) && text.chars().all(is_key)) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{}` is not 2 to 8 of the keys 0-9, * and #; write it like \"*7\", or \"\" for none",
        text.escape_debug()
    ))
}
