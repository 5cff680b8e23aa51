//! One recording without threads, for a caller that has all the time there is: `leaseline replay`. The same machine, the
//! same writer and the same seal as a live one.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::config::{Fsync, Store};
use crate::core::event::RecordingSummary;
use crate::core::media::RecordingSpec;
use crate::core::recorder::Stats;
use crate::ids::{CallId, Side};
use crate::io::media::tap::{SideFormats, TapPacket};
use crate::time::{Mono, Now};

use super::crypt::Recipients;
use super::files::Files;
use super::writer::Active;
use super::{seal, sidecar};

/// See the module. Nothing is forced to disk.
#[derive(Debug)]
pub struct Offline {
    files: Arc<dyn Files>,
    active: Active,
    out: Vec<i16>,
}

impl Offline {
    /// Begins a recording in `files`, whose names are relative to the data folder.
    pub fn start(files: Arc<dyn Files>, spec: &RecordingSpec, sides: &[SideFormats; 2]) -> Offline {
        let active = Active::start(&*files, Path::new(""), (Fsync::None, Store::Pcm), spec, sides, None);
        Offline { files, active, out: Vec::new() }
    }

    /// A side's formats or direction changed.
    pub fn on_formats(&mut self, at: Mono, side: Side, formats: &SideFormats) {
        // With `Fsync::None` no file wants to be made durable.
        let _ = self.active.on_formats(at, side, formats, Fsync::None, &mut self.out);
    }

    /// One accepted packet, in order of arrival.
    pub fn on_packet(&mut self, packet: &TapPacket<'_>) {
        let _ = self.active.on_packet(packet, Fsync::None, &mut self.out);
    }

    /// The talk was over at `at`: the sealed recording, and its counters for the sidecar.
    pub fn stop(mut self, at: Now) -> (RecordingSummary, Stats) {
        let finished = self.active.finish(at.mono, None, &mut self.out);
        let stats = finished.summary.stats;
        (seal::seal(&*self.files, Path::new(""), Fsync::None, &Recipients::default(), finished), stats)
    }
}

/// The sidecar of a call, as it stands beside its WAV: the `data` object of `call.ended` and the recorder's counters.
pub fn sidecar_text(data: &serde_json::Value, stats: Option<Stats>) -> io::Result<Vec<u8>> {
    sidecar::text(data, sidecar::Beside { stats, said: None })
}

/// File name of a call's recording.
pub fn wav_name(call: CallId) -> String {
    super::names::file(call, super::names::Kind::Sealed)
}
