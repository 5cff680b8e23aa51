//! `media_encryption`: how a leg's media is protected.

use crate::wire::sdp::Accepts;

/// What a leg's media must or may be. Each leg has its own: a plain carrier and an encrypted PBX go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaEncryption {
    /// RTP only.
    #[default]
    Off,
    /// RTP is offered; who offers SRTP gets it, with keys in SDP or of a DTLS handshake.
    Optional,
    /// SRTP with keys in SDP (RFC 4568), or no call.
    Sdes,
    /// SRTP with keys of a DTLS handshake and addresses that ICE proves (RFC 5763, 5764, 8445), as browsers want it, or no
    /// call.
    Dtls,
}

impl MediaEncryption {
    pub const ALL: [(&'static str, MediaEncryption); 4] = [
        ("off", MediaEncryption::Off),
        ("optional", MediaEncryption::Optional),
        ("sdes", MediaEncryption::Sdes),
        ("dtls", MediaEncryption::Dtls),
    ];

    /// As the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            MediaEncryption::Off => "off",
            MediaEncryption::Optional => "optional",
            MediaEncryption::Sdes => "sdes",
            MediaEncryption::Dtls => "dtls",
        }
    }

    /// The streams of the other side that will do.
    pub const fn accepts(self) -> Accepts {
        Accepts {
            plain: matches!(self, MediaEncryption::Off | MediaEncryption::Optional),
            sdes: matches!(self, MediaEncryption::Optional | MediaEncryption::Sdes),
            dtls: matches!(self, MediaEncryption::Optional | MediaEncryption::Dtls),
        }
    }
}
