//! Legs whose keys a DTLS handshake makes (RFC 5764), on their media thread: ICE says whose packets count
//! ([`crate::core::ice`]), the handshake says who it is, and its exporter gives the keys.

mod certificate;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Dtls, Output, SrtpProfile};

use crate::core::ice::Lite;
use crate::core::media::{DtlsMedia, SecureMedia};
use crate::ids::Side;
use crate::limits::DTLS_TRIES;
use crate::time::{Mono, Wakeup};
use crate::wire::sdp::Fingerprint;
use crate::wire::srtp::{MasterKey, Suite};

pub(crate) use certificate::Identity;

/// Records of the other end that are not of the handshake: read, and thrown away.
const RECORD: usize = 1 << 14;
/// First and longest datagram of ours.
const DATAGRAM: usize = 2_048;

/// Legs of a call that have DTLS; most calls have none.
#[derive(Default)]
pub(super) struct DtlsLegs(Option<Box<[Option<DtlsLeg>; 2]>>);

impl DtlsLegs {
    pub(super) fn has(&self, side: Side) -> bool {
        self.0.as_ref().is_some_and(|legs| legs[side.index()].is_some())
    }

    pub(super) fn leg(&mut self, side: Side) -> Option<&mut DtlsLeg> {
        self.0.as_mut()?[side.index()].as_mut()
    }

    /// Whoever has proved an address may send media from it, before it is nominated too (RFC 8445 §12.2): such a source
    /// counts as the pair that media goes to. The keys say whose it is.
    pub(super) fn media_source(&mut self, side: Side, source: SocketAddr) -> SocketAddr {
        let ice = self.leg(side).map(|leg| &leg.ice).filter(|ice| ice.is_proved(source));
        ice.and_then(Lite::selected).unwrap_or(source)
    }

    pub(super) fn remove(&mut self, side: Side) {
        if let Some(legs) = &mut self.0 {
            legs[side.index()] = None;
        }
    }

    /// What was agreed on. True: with somebody else than before, so that keys and addresses begin anew.
    pub(super) fn set(&mut self, side: Side, media: &DtlsMedia) -> bool {
        let place = &mut self.0.get_or_insert_default()[side.index()];
        match place {
            Some(leg) if leg.peer == media.fingerprint && leg.is_active == media.is_active => {
                leg.ice.renew(media);
                false
            }
            _ => {
                *place = Some(DtlsLeg::new(media));
                true
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Wakeup> {
        let legs = self.0.iter().flat_map(|legs| legs.iter().flatten());
        legs.filter_map(DtlsLeg::due).min().map(|at| (at, "media_handshake"))
    }
}

/// One leg.
pub(super) struct DtlsLeg {
    pub(super) ice: Lite,
    peer: Fingerprint,
    is_active: bool,
    engine: Option<Box<Engine>>,
    /// Handshakes that were begun.
    tries: u8,
    is_over: bool,
}

/// A handshake under way, and after it what repeats its last words.
struct Engine {
    dtls: Dtls,
    clock: Clock,
    due: Option<Mono>,
    certificate: Option<Fingerprint>,
    keys: Option<SecureMedia>,
    is_connected: bool,
}

/// What a step of the handshake came to.
#[derive(Debug)]
pub(super) enum Step {
    /// It goes on, or has long been over.
    Going,
    /// It is over: the other end is who SDP has promised, and these are the keys.
    Keys(SecureMedia),
    /// It is over: nothing comes of it; a stable code.
    Failed(&'static str),
}

impl DtlsLeg {
    fn new(media: &DtlsMedia) -> DtlsLeg {
        DtlsLeg {
            ice: Lite::new(media),
            peer: media.fingerprint,
            is_active: media.is_active,
            engine: None,
            tries: 0,
            is_over: false,
        }
    }

    /// When [`DtlsLeg::on_timeout`] has something to do.
    fn due(&self) -> Option<Mono> {
        let handshake = self.engine.as_ref().and_then(|engine| engine.due);
        handshake.into_iter().chain(self.ice.poll_timeout()).min()
    }

    /// An address has been proved: who begins the handshake does so now.
    pub(super) fn on_proved(&mut self, now: Mono, identity: &Identity, send: impl FnMut(&[u8])) -> Step {
        if !self.is_active || self.engine.is_some() || self.is_over {
            return Step::Going;
        }
        self.drive(now, identity, None, send)
    }

    /// A packet of the handshake from a proved address.
    pub(super) fn on_packet(&mut self, now: Mono, identity: &Identity, packet: &[u8], send: impl FnMut(&[u8])) -> Step {
        self.drive(now, identity, Some(packet), send)
    }

    /// Time has come to what [`DtlsLegs::poll_timeout`] said.
    pub(super) fn on_timeout(&mut self, now: Mono, identity: &Identity, send: impl FnMut(&[u8])) -> Step {
        self.ice.handle_timeout(now);
        if self.engine.as_ref().and_then(|engine| engine.due).is_none_or(|due| due > now) {
            return Step::Going;
        }
        self.drive(now, identity, None, send)
    }

    fn drive(&mut self, now: Mono, identity: &Identity, packet: Option<&[u8]>, mut send: impl FnMut(&[u8])) -> Step {
        if self.engine.is_none() {
            if self.is_over || self.tries >= DTLS_TRIES {
                return Step::Going;
            }
            self.tries += 1;
            self.engine = Some(Box::new(Engine::new(now, identity, self.is_active)));
        }
        let Some(engine) = &mut self.engine else { return Step::Going };
        let went = engine.step(now, packet, &mut send);
        if self.is_over {
            // The keys are made: what else is said, or fails, changes nothing any more.
            if went.is_err() {
                self.engine = None;
            }
            return Step::Going;
        }
        let failed = match (went, engine.certificate) {
            (Err(code), _) => Some(code),
            (Ok(()), Some(shown)) if shown != self.peer => Some("dtls_fingerprint"),
            (Ok(()), None) if engine.is_connected => Some("dtls_no_certificate"),
            (Ok(()), _) if engine.is_connected && engine.keys.is_none() => Some("dtls_no_srtp"),
            (Ok(()), _) => None,
        };
        if let Some(code) = failed {
            self.engine = None;
            return Step::Failed(code);
        }
        match engine.keys.take_if(|_| engine.is_connected) {
            Some(keys) => {
                self.is_over = true;
                Step::Keys(keys)
            }
            None => Step::Going,
        }
    }
}

impl Engine {
    fn new(now: Mono, identity: &Identity, is_active: bool) -> Engine {
        let clock = Clock { base: Instant::now(), at: now };
        let mut dtls = Dtls::new_auto(Arc::clone(&identity.settings), identity.pair.clone(), clock.base);
        dtls.set_active(is_active);
        Engine { dtls, clock, due: None, certificate: None, keys: None, is_connected: false }
    }

    fn step(&mut self, now: Mono, packet: Option<&[u8]>, send: &mut impl FnMut(&[u8])) -> Result<(), &'static str> {
        self.dtls.handle_timeout(self.clock.instant(now)).map_err(|_| "dtls_timeout")?;
        self.drain(send);
        if let Some(packet) = packet {
            let went = self.dtls.handle_packet(packet);
            // What it has to say of a failure is said.
            self.drain(send);
            went.map_err(|_| "dtls_handshake")?;
        }
        Ok(())
    }

    fn drain(&mut self, send: &mut impl FnMut(&[u8])) {
        let mut room = vec![0; DATAGRAM];
        loop {
            let needed = match self.dtls.poll_output(&mut room) {
                Output::Packet(bytes) => {
                    send(bytes);
                    0
                }
                Output::Timeout(at) => {
                    self.due = Some(self.clock.mono(at));
                    return;
                }
                Output::BufferTooSmall { needed } => needed,
                Output::Connected => {
                    self.is_connected = true;
                    0
                }
                Output::PeerCert(shown) => {
                    self.certificate = Some(certificate::fingerprint(shown));
                    0
                }
                Output::KeyingMaterial(material, profile) => {
                    self.keys = keys(&material, profile, self.dtls.is_active());
                    0
                }
                // Nobody of ours speaks over it.
                _ => 0,
            };
            if needed > RECORD {
                self.due = None;
                return;
            }
            room.resize(needed.max(room.len()), 0);
        }
    }
}

/// The clocks of `dimpl` and ours, at the same instant.
#[derive(Clone, Copy)]
struct Clock {
    base: Instant,
    at: Mono,
}

impl Clock {
    fn instant(self, now: Mono) -> Instant {
        self.base + now.since(self.at)
    }

    /// Not sooner than a millisecond later: what is due already has been done.
    fn mono(self, at: Instant) -> Mono {
        self.at + at.saturating_duration_since(self.base).max(Duration::from_millis(1))
    }
}

/// RFC 5764 §4.2: the client's key, the server's, the client's salt, the server's.
fn keys(material: &[u8], profile: SrtpProfile, is_client: bool) -> Option<SecureMedia> {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        _ => return None,
    };
    let (key, salt) = (suite.key_len(), suite.salt_len());
    let of = |end: usize| {
        let salt = material.get(2 * key + end * salt..2 * key + (end + 1) * salt)?;
        MasterKey::new(suite, &[material.get(end * key..(end + 1) * key)?, salt].concat())
    };
    let (client, server) = (of(0)?, of(1)?);
    Some(if is_client {
        SecureMedia { receive: server, send: client }
    } else {
        SecureMedia { receive: client, send: server }
    })
}

#[cfg(test)]
pub(super) mod tests;
