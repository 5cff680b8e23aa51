//! What callers and companies hear from us: `[company.prompts]` and `[company.voicemail]`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A sound as it is played: 8000 Hz, one channel.
#[derive(Clone, PartialEq, Eq)]
pub struct Sound {
    /// The file, as the configuration names it.
    pub file: String,
    /// SHA-256 of the file, in hexadecimal: which version was played.
    pub sha256: String,
    pub samples: Arc<[i16]>,
}

impl fmt::Debug for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let samples = self.samples.len();
        f.debug_struct("Sound")
            .field("file", &self.file)
            .field("sha256", &self.sha256)
            .field("samples", &samples)
            .finish()
    }
}

impl Sound {
    /// The tone after which a message is taken.
    pub fn tone() -> Sound {
        const HERTZ: f64 = 1_000.0;
        let turn = std::f64::consts::TAU * HERTZ / 8_000.0;
        let samples = (0..4_000).map(|n| (8_000.0 * (turn * f64::from(n)).sin()) as i16).collect();
        Sound { file: "tone".to_owned(), sha256: String::new(), samples }
    }
}

/// When the announcement is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnnouncementAt {
    /// When the company has answered.
    #[default]
    Answer,
    /// Before anybody is called, as early media.
    Early,
}

impl AnnouncementAt {
    pub const ALL: [(&'static str, AnnouncementAt); 2] =
        [("answer", AnnouncementAt::Answer), ("early", AnnouncementAt::Early)];
}

/// Sounds of a company.
#[derive(Clone, Debug, Default)]
pub struct Prompts {
    /// To the caller, before the bridge.
    pub announcement: Option<Arc<Sound>>,
    pub announcement_at: AnnouncementAt,
    /// To the company, before the bridge.
    pub whisper: Option<Arc<Sound>>,
    /// To the caller while it rings, again and again.
    pub ringback: Option<Arc<Sound>>,
    /// To the caller when everybody is busy, before it hears so.
    pub busy: Option<Arc<Sound>>,
    /// To whom the other side has put on hold, again and again, until it comes back.
    pub hold: Option<Arc<Sound>>,
}

/// A failure after which a message is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenAfter {
    NoAnswer,
    Busy,
    /// Outside the company's hours.
    Closed,
}

impl TakenAfter {
    pub const ALL: [(&'static str, TakenAfter); 3] =
        [("no_answer", TakenAfter::NoAnswer), ("busy", TakenAfter::Busy), ("closed", TakenAfter::Closed)];
}

/// A mailbox of ours.
#[derive(Clone, Debug)]
pub struct Voicemail {
    pub greeting: Option<Arc<Sound>>,
    pub tone: Arc<Sound>,
    pub after: Vec<TakenAfter>,
    /// Of a message; default 3 min.
    pub length_max: Duration,
}
