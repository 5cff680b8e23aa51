//! Reliable provisional responses (RFC 3262).

/// Whether one leg uses reliable provisional responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reliable {
    /// `Require: 100rel` is refused with 420.
    #[default]
    Off,
    /// When the far side can, too.
    Supported,
    /// As UAC the INVITE has `Require: 100rel`; as UAS an INVITE without the option is refused with 421.
    Required,
}
