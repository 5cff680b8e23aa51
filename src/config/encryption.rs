//! `media_encryption`: how a leg's media is protected.

use crate::wire::sdp::Accepts;

/// What a leg's media must or may be. Each leg has its own: a plain carrier and an encrypted PBX go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaEncryption {
    /// RTP only.
    #[default]
    Off,
    /// RTP is offered; who offers SRTP with keys in SDP gets it.
    Optional,
    /// SRTP with keys in SDP (RFC 4568), or no call.
    Sdes,
}

impl MediaEncryption {
    pub const ALL: [(&'static str, MediaEncryption); 3] =
        [("off", MediaEncryption::Off), ("optional", MediaEncryption::Optional), ("sdes", MediaEncryption::Sdes)];

    /// As the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            MediaEncryption::Off => "off",
            MediaEncryption::Optional => "optional",
            MediaEncryption::Sdes => "sdes",
        }
    }

    /// The streams of the other side that will do.
    pub const fn accepts(self) -> Accepts {
        Accepts {
            plain: matches!(self, MediaEncryption::Off | MediaEncryption::Optional),
            sdes: matches!(self, MediaEncryption::Optional | MediaEncryption::Sdes),
        }
    }
}
