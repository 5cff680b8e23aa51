//! What may happen within a call: transfers, and requests that cross from side to side.

/// What becomes of a REFER.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransferMode {
    /// 603.
    #[default]
    Refuse,
    /// It crosses to the other party, when both sides' rules say so.
    Relay,
    /// We carry it out; for companies only.
    Local,
}

/// How a company may send its callers on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferRules {
    pub mode: TransferMode,
    /// `host` or `host:port` beside those of the company's destinations.
    pub to: Vec<String>,
}

/// What becomes of an INFO or a MESSAGE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passage {
    /// It crosses to the other side.
    #[default]
    Relay,
    /// 200, and nobody else hears of it.
    Absorb,
    /// 405 for INFO, 403 for MESSAGE.
    Refuse,
}

/// How a side speaks of keys that were pressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// As its descriptions say: events in RTP (RFC 4733) where it has agreed on them, else INFO.
    #[default]
    Auto,
    /// Events are offered to it even when the other side has none.
    Rtp,
    /// In INFO only: no events are agreed on with it.
    Info,
    /// As [`Keys::Auto`], and tones in its audio are keys, too (ITU-T Q.23).
    Inband,
}

impl Keys {
    pub const ALL: [(&'static str, Keys); 4] =
        [("auto", Keys::Auto), ("rtp", Keys::Rtp), ("info", Keys::Info), ("inband", Keys::Inband)];

    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        Keys::ALL.into_iter().find(|(_, keys)| *keys == self).map_or("", |(name, _)| name)
    }
}

/// What a trunk's calls may do after the answer, in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    pub transfer: TransferMode,
    pub info: Passage,
    pub message: Passage,
    pub dtmf: Keys,
    /// Content types that cross, in lower case.
    pub content_types: Vec<String>,
}

impl Default for Within {
    fn default() -> Within {
        let types = ["application/dtmf-relay", "application/dtmf", "text/plain"];
        Within {
            transfer: TransferMode::Refuse,
            info: Passage::Relay,
            message: Passage::Relay,
            dtmf: Keys::Auto,
            content_types: types.map(str::to_owned).to_vec(),
        }
    }
}
