//! `[[ears]]`: PBXs that carry calls themselves and tell us of them.

use super::tls::Authorities;
use super::{Glob, Secret};

/// One PBX that tells us of its calls.
#[derive(Clone, Debug)]
pub struct Ear {
    /// Stands as `trunk` in events; no trunk has it too.
    pub name: String,
    pub kind: EarKind,
    /// `host:port` of its AMI or ESL; none: it comes to us (`http`).
    pub address: Option<String>,
    /// Name of the AMI's user.
    pub user: Option<String>,
    pub secret: Option<Secret>,
    /// TLS on the way there, verified.
    pub tls: bool,
    /// Whose certificates are believed; none: the system's roots.
    pub ca: Option<Authorities>,
    /// Dialplan contexts in which calls come in; empty: any.
    pub contexts: Vec<Glob>,
    /// Channels by which they come in, without their running number (`PJSIP/carrier`, `sofia/external`); empty: any.
    pub trunks: Vec<Glob>,
    /// Called numbers that count, as the PBX writes them; empty: every number of ours.
    pub numbers: Vec<Glob>,
    /// Whose call it is when the number is in a shared stock and the caller called nobody before.
    pub company: Option<String>,
    /// Country (ISO 3166-1) whose plan national numbers belong to.
    pub country: Option<String>,
    /// What counts as the answer.
    pub answered: AnsweredWhen,
}

/// How it tells us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarKind {
    /// Asterisk's Manager Interface, which we connect to.
    Asterisk,
    /// FreeSWITCH's event socket, which we connect to.
    FreeSwitch,
    /// `POST /v1/heard`.
    Http,
}

impl EarKind {
    pub const ALL: [(&'static str, EarKind); 3] =
        [("asterisk", EarKind::Asterisk), ("freeswitch", EarKind::FreeSwitch), ("http", EarKind::Http)];

    /// As the file writes it; `via` of events.
    pub const fn as_str(self) -> &'static str {
        match self {
            EarKind::Asterisk => "asterisk",
            EarKind::FreeSwitch => "freeswitch",
            EarKind::Http => "http",
        }
    }

    /// We connect to it.
    pub const fn is_link(self) -> bool {
        matches!(self, EarKind::Asterisk | EarKind::FreeSwitch)
    }
}

/// What counts as the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnsweredWhen {
    /// The caller is connected with somebody: a menu or a queue is no answer yet.
    #[default]
    Connected,
    /// The PBX picks up, with whatever it plays.
    PickedUp,
}

impl AnsweredWhen {
    pub const ALL: [(&'static str, AnsweredWhen); 2] =
        [("connected", AnsweredWhen::Connected), ("picked_up", AnsweredWhen::PickedUp)];

    pub const fn as_str(self) -> &'static str {
        match self {
            AnsweredWhen::Connected => "connected",
            AnsweredWhen::PickedUp => "picked_up",
        }
    }
}

impl Ear {
    /// Whether a channel of the PBX, by its dialplan context and its name, is a call that comes in.
    pub fn takes_channel(&self, context: &str, channel: &str) -> bool {
        let fits = |globs: &[Glob], text: &str| globs.is_empty() || globs.iter().any(|glob| glob.fits(text));
        // `PJSIP/carrier-0000001a` and `sofia/external/4420…@192.0.2.9`: what follows tells calls apart.
        let short = channel.rsplit_once('-').map_or(channel, |(short, _)| short);
        let profile = channel.match_indices('/').nth(1).map_or(channel, |(at, _)| channel.get(..at).unwrap_or(channel));
        let of_trunk = [channel, short, profile].into_iter().any(|name| fits(&self.trunks, name));
        fits(&self.contexts, context) && of_trunk
    }

    /// Whether calls of this number count, as the PBX writes it.
    pub fn takes_number(&self, called: &str) -> bool {
        self.numbers.is_empty() || self.numbers.iter().any(|glob| glob.fits(called))
    }

    /// Whether a link that was made with `other` may go on.
    pub fn is_same(&self, other: &Ear) -> bool {
        // The secret does not show in the text.
        self.secret == other.secret && format!("{self:?}") == format!("{other:?}")
    }
}
