//! One call on its media thread: its sockets, what is decided about its packets, and a datagram's way through it:
//! receive, judge, forward, tap.

use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::core::event::{MediaSummary, RecordingState, RecordingSummary};
use crate::core::media::{MediaNotice, RecordingSpec, Remote};
use crate::core::relay::{Refusal, Relay};
use crate::ids::{CallId, Side};
use crate::io::media::Notices;
use crate::io::media::keys::{EventTypes, Keys};
use crate::io::media::ports::Pair;
use crate::io::media::secure::{DATAGRAM, Room, SecureLegs};
use crate::io::media::stats::MediaStats;
use crate::io::media::tap::{SideFormats, Tap};
use crate::time::{Now, Wakeup};

/// One call on its thread.
pub(crate) struct Session {
    call: CallId,
    relay: Relay,
    pairs: [Pair; 2],
    formats: [SideFormats; 2],
    recording: bool,
    secure: SecureLegs,
    /// Nothing is tapped for now.
    paused: bool,
    events: [EventTypes; 2],
    keys: Option<Box<Keys>>,
    /// A packet has brought a deadline that may come before the one that was noted.
    sooner: bool,
}

impl Session {
    pub(crate) fn new(call: CallId, relay: Relay, pairs: [Pair; 2]) -> Session {
        Session {
            call,
            relay,
            pairs,
            formats: Default::default(),
            recording: false,
            paused: false,
            events: Default::default(),
            keys: None,
            sooner: false,
            secure: SecureLegs::default(),
        }
    }

    pub(super) fn call(&self) -> CallId {
        self.call
    }

    pub(super) fn is_recording(&self) -> bool {
        self.recording
    }

    pub(super) fn socket(&self, side: Side, is_rtcp: bool) -> &UdpSocket {
        let pair = &self.pairs[side.index()];
        if is_rtcp { &pair.rtcp } else { &pair.rtp }
    }

    pub(super) fn summary(&self) -> MediaSummary {
        self.relay.summary()
    }

    /// When [`Hands::on_timeout`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Wakeup> {
        let keys = self.keys.as_ref().and_then(|keys| keys.poll_timeout());
        self.relay.poll_timeout().into_iter().chain(keys).min_by_key(|(at, _)| *at)
    }

    /// Whether a packet has brought a deadline since this was asked last.
    pub(super) fn take_sooner(&mut self) -> bool {
        std::mem::take(&mut self.sooner)
    }
}

/// What handling one call needs besides the call: kept apart so that both can be borrowed.
pub(super) struct Hands {
    pub(super) tap: Tap,
    pub(super) notices: Notices,
    pub(super) stats: MediaStats,
    /// The datagram at hand.
    buffer: Box<[u8; DATAGRAM]>,
    /// What it was inside, and what it becomes, when a leg is encrypted.
    room: Box<Room>,
}

impl Hands {
    pub(super) fn new(tap: Tap, notices: Notices) -> Hands {
        Hands { tap, notices, stats: MediaStats::default(), buffer: Box::new([0; DATAGRAM]), room: Room::new() }
    }

    /// Reads one datagram of a ready socket.
    pub(super) fn on_readable(&mut self, now: Now, session: &mut Session, side: Side, is_rtcp: bool) {
        // Errors here are `WouldBlock`, or what ICMP said of an earlier packet; reading has cleared it.
        let Ok((length, source)) = session.socket(side, is_rtcp).recv_from(&mut self.buffer[..]) else { return };
        self.stats.received_packets += 1;
        self.stats.received_bytes += length as u64;
        if is_rtcp {
            self.on_rtcp(now, session, side, source, length);
        } else {
            self.on_rtp(now, session, side, source, length);
        }
    }

    /// Time has come to what [`Session::poll_timeout`] said.
    pub(super) fn on_timeout(&mut self, now: Now, session: &mut Session) {
        if session.relay.handle_timeout(now.mono) {
            (self.notices)(session.call, MediaNotice::Silent);
        }
        if let Some(keys) = &mut session.keys {
            for (side, digit) in keys.on_timeout(now.mono) {
                (self.notices)(session.call, MediaNotice::Digit(side, digit));
            }
        }
    }

    /// What a side said in its SDP.
    pub(super) fn on_remote(&mut self, now: Now, session: &mut Session, side: Side, remote: Option<Remote>) {
        if let Err(code) = session.relay.set_remote(now.mono, side, remote.as_ref()) {
            tracing::warn!(call = %session.call, ?side, code, "media address is not used");
        }
        session.secure.set(side, remote.as_ref().and_then(|remote| remote.secure.as_deref().cloned()));
        let formats = remote.map_or_else(SideFormats::default, |remote| SideFormats {
            formats: remote.formats,
            flowing: Some(remote.flowing),
        });
        if session.formats[side.index()] != formats {
            if session.recording {
                self.tap.formats(session.call, side, formats.clone(), now);
            }
            session.events[side.index()] = EventTypes::of(&formats.formats);
            session.formats[side.index()] = formats;
        }
    }

    /// Recording begins, unless it has.
    pub(super) fn on_record(&mut self, session: &mut Session, spec: RecordingSpec) {
        if session.recording {
            return;
        }
        match self.tap.start(spec, session.formats.clone()) {
            Ok(()) => session.recording = true,
            Err(code) => {
                (self.notices)(session.call, MediaNotice::Recorded(Box::new(refused_recording(code))));
            }
        }
    }

    /// The recording pauses, or goes on.
    pub(super) fn on_pause(&mut self, now: Now, session: &mut Session, paused: bool) {
        if session.paused != paused && session.recording {
            self.tap.pause(session.call, paused, now);
        }
        session.paused = paused;
        (self.notices)(session.call, MediaNotice::Paused(paused, now));
    }

    /// Gives a notice at the end of a call, where a panic of the receiver has nobody left to blame.
    pub(super) fn tell(&self, call: CallId, notice: MediaNotice) {
        let _ = catch_unwind(AssertUnwindSafe(|| (self.notices)(call, notice)));
    }

    /// An RTP datagram is in the buffer: open, judge, seal, forward, then tap what is in clear.
    fn on_rtp(&mut self, now: Now, session: &mut Session, side: Side, source: SocketAddr, length: usize) {
        let datagram = self.buffer.get(..length).unwrap_or_default();
        let (opened, sealed) = self.room.both();
        let bytes = match session.secure.open(&mut session.relay, (side, false), source, datagram, opened) {
            Ok(bytes) => bytes,
            Err(refusal) => return self.stats.refuse(refusal),
        };
        let accepted = match session.relay.on_rtp(now.mono, side, source, bytes) {
            Ok(accepted) => accepted,
            Err(refusal) => return self.stats.refuse(refusal),
        };
        if let Some(to) = accepted.to {
            match session.secure.seal((side.other(), false), bytes, sealed) {
                None => self.stats.refuse(session.relay.refuse(side, Refusal::SrtpNotSent)),
                Some(bytes) => match session.socket(side.other(), false).send_to(bytes, to) {
                    Ok(_) => {
                        session.relay.on_relayed(side);
                        self.stats.relayed_packets += 1;
                        self.stats.relayed_bytes += bytes.len() as u64;
                    }
                    Err(_) => self.stats.send_failed += 1,
                },
            }
        }
        if session.recording && !session.paused && !self.tap.packet(session.call, side, now.mono, bytes) {
            self.stats.tap_lost += 1;
        }
        if accepted.first {
            (self.notices)(session.call, MediaNotice::FirstPacket(side, now.wall));
        }
        let payload_type = bytes.get(1).map_or(0, |byte| byte & 0x7f);
        if let Some(clock_rate) = session.events[side.index()].clock_rate(payload_type) {
            let (call, notices) = (session.call, &self.notices);
            let tell = |digit| notices(call, MediaNotice::Digit(side, digit));
            session.keys.get_or_insert_default().on_packet(now.mono, side, clock_rate, bytes, tell);
            session.sooner = true;
        }
    }

    /// An RTCP datagram is in the buffer.
    fn on_rtcp(&mut self, now: Now, session: &mut Session, side: Side, source: SocketAddr, length: usize) {
        let datagram = self.buffer.get(..length).unwrap_or_default();
        let (opened, sealed) = self.room.both();
        let bytes = match session.secure.open(&mut session.relay, (side, true), source, datagram, opened) {
            Ok(bytes) => bytes,
            Err(refusal) => return self.stats.refuse(refusal),
        };
        match session.relay.on_rtcp(now.mono, side, source, bytes) {
            Ok(Some(to)) => match session.secure.seal((side.other(), true), bytes, sealed) {
                None => self.stats.refuse(session.relay.refuse(side, Refusal::SrtpNotSent)),
                Some(bytes) => match session.socket(side.other(), true).send_to(bytes, to) {
                    Ok(_) => self.stats.relayed_rtcp += 1,
                    Err(_) => self.stats.send_failed += 1,
                },
            },
            Ok(None) => {}
            Err(refusal) => self.stats.refuse(refusal),
        }
    }
}

fn refused_recording(code: &str) -> RecordingSummary {
    RecordingSummary { state: RecordingState::Failed, reason: Some(code.to_owned()), ..RecordingSummary::default() }
}
