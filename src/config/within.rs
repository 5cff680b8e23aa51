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

/// What a trunk's calls may do after the answer, in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    pub transfer: TransferMode,
    pub info: Passage,
    pub message: Passage,
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
            content_types: types.map(str::to_owned).to_vec(),
        }
    }
}
