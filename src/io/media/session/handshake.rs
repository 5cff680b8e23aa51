//! Checks of connectivity and handshakes of a session's legs. A plain call never comes here.

use std::net::SocketAddr;

use super::{Hands, Session};
use crate::core::media::{DtlsMedia, SecureMedia};
use crate::core::relay::Refusal;
use crate::ids::Side;
use crate::io::media::dtls::Step;
use crate::time::Now;
use crate::wire::stun::Request;

/// What shares a port, by its first byte (RFC 7983 §7).
enum Kind {
    Stun,
    Dtls,
    Other,
}

impl Kind {
    fn of(datagram: &[u8]) -> Kind {
        match datagram.first() {
            Some(0..4) => Kind::Stun,
            Some(20..64) => Kind::Dtls,
            _ => Kind::Other,
        }
    }
}

impl Session {
    /// The keys that signalling told; `None`: media in clear.
    pub(super) fn set_keys(&mut self, side: Side, keys: Option<SecureMedia>) {
        self.dtls.remove(side);
        self.secure.set(side, keys);
    }
}

impl Hands {
    /// What both ends said of their DTLS and ICE.
    pub(super) fn on_dtls(&mut self, now: Now, session: &mut Session, side: Side, media: &DtlsMedia) {
        if session.dtls.set(side, media) {
            session.secure.wait(side);
            session.relay.set_pair(side, None);
        }
        tracing::debug!(call = %session.call, ?side, at = ?now.mono, "media waits for a handshake");
    }

    /// The driver has a datagram of the RTP port of a side with DTLS. False: it is media.
    pub(super) fn on_handshake(&mut self, now: Now, session: &mut Session, side: Side, source: SocketAddr) -> bool {
        let went = match Kind::of(self.driver.datagram()) {
            Kind::Stun => self.on_check(now, session, side, source),
            Kind::Dtls => self.on_hello(now, session, side, source),
            Kind::Other => return false,
        };
        if let Err(refusal) = went {
            self.stats.refuse(session.relay.refuse(side, refusal));
        }
        true
    }

    /// Deadlines of both sides' handshakes and checks.
    pub(super) fn on_handshake_timeout(&mut self, now: Now, session: &mut Session) {
        for side in Side::BOTH {
            let Session { pairs, dtls, relay, .. } = &mut *session;
            let Some(leg) = dtls.leg(side) else { continue };
            let (driver, to) = (&mut self.driver, leg.ice.selected());
            let step = leg.on_timeout(now.mono, &self.identity, |bytes| {
                if let Some(to) = to {
                    let _lost = driver.send(&pairs[side.index()].rtp, to, bytes);
                }
            });
            relay.set_pair(side, leg.ice.selected());
            if let Err(refusal) = self.on_step(session, side, step) {
                self.stats.refuse(session.relay.refuse(side, refusal));
            }
        }
    }

    /// A check of connectivity: who proves to have read our description is answered, and is where media goes.
    fn on_check(&mut self, now: Now, session: &mut Session, side: Side, source: SocketAddr) -> Result<(), Refusal> {
        let Session { pairs, relay, dtls, sooner, .. } = &mut *session;
        let Some(leg) = dtls.leg(side) else { return Err(Refusal::NotRtp) };
        if !relay.may_pair(source) {
            return Err(Refusal::WrongSource);
        }
        let request = Request::read(self.driver.datagram()).ok_or(Refusal::NotRtp)?;
        let answer = leg.ice.on_check(now.mono, source, &request)?;
        let socket = &pairs[side.index()].rtp;
        if self.driver.send(socket, source, answer.bytes()).is_err() {
            self.stats.send_failed += 1;
        }
        relay.set_pair(side, leg.ice.selected());
        *sooner = true;
        let driver = &mut self.driver;
        let step = leg.on_proved(now.mono, &self.identity, |bytes| {
            // What is lost is repeated.
            let _lost = driver.send(socket, source, bytes);
        });
        self.on_step(session, side, step)
    }

    /// A packet of a handshake. From an address that ICE has not proved it changes nothing.
    fn on_hello(&mut self, now: Now, session: &mut Session, side: Side, source: SocketAddr) -> Result<(), Refusal> {
        let Session { pairs, dtls, sooner, .. } = &mut *session;
        let Some(leg) = dtls.leg(side) else { return Err(Refusal::NotRtp) };
        if !leg.ice.is_proved(source) {
            return Err(Refusal::DtlsSource);
        }
        let (packet, _) = self.room.packet(self.driver.datagram(), None);
        let (driver, socket) = (&mut self.driver, &pairs[side.index()].rtp);
        let step = leg.on_packet(now.mono, &self.identity, packet, |bytes| {
            let _lost = driver.send(socket, source, bytes);
        });
        *sooner = true;
        self.on_step(session, side, step)
    }

    fn on_step(&mut self, session: &mut Session, side: Side, step: Step) -> Result<(), Refusal> {
        match step {
            Step::Going => Ok(()),
            Step::Keys(keys) => {
                session.secure.set(side, Some(keys));
                tracing::debug!(call = %session.call, ?side, "media has its keys");
                Ok(())
            }
            Step::Failed(code) => {
                tracing::warn!(call = %session.call, ?side, code, "handshake of media failed");
                Err(Refusal::DtlsFailed)
            }
        }
    }
}
