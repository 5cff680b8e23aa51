//! One call on its media thread: its sockets, what is decided about its packets, and a datagram's way through it:
//! receive, judge, forward, tap.

mod handshake;

use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::core::dtmf::sender::Place;
use crate::core::event::{MediaSummary, RecordingState, RecordingSummary};
use crate::core::media::{Copies, MediaNotice, Presses, RecordingSpec, Remote, Secure};
use crate::core::player::Play;
use crate::core::relay::{Refusal, Relay};
use crate::core::transcode::Translations;
use crate::ids::{CallId, Side};
use crate::io::media::Notices;
use crate::io::media::driver::Driver;
use crate::io::media::dtls::{DtlsLegs, Identity};
use crate::io::media::fork::Fork;
use crate::io::media::keys::{EventTypes, Keys};
use crate::io::media::ports::Pair;
use crate::io::media::secure::{Room, SecureLegs, Sent};
use crate::io::media::stats::MediaStats;
use crate::io::media::tap::{SideFormats, Tap};
use crate::io::media::voice::Voice;
use crate::time::{Mono, Now, Wakeup};
use crate::wire::codec::g711::RATE;
use crate::wire::rtp::Rtp;

/// How often the kernel is asked for the datagrams that it dropped: two system calls of 0.4 µs a call.
const DROPS_INTERVAL: Duration = Duration::from_secs(5);

/// One call on its thread.
pub(crate) struct Session {
    call: CallId,
    relay: Relay,
    pairs: [Pair; 2],
    formats: [SideFormats; 2],
    /// How many of its formats each side named itself.
    said: [usize; 2],
    translations: Translations,
    recording: bool,
    secure: SecureLegs,
    /// Legs whose keys a handshake makes.
    dtls: DtlsLegs,
    /// Datagrams of each side that the kernel dropped, as counted so far, and when to look again.
    dropped: [u32; 2],
    look_at: Mono,
    /// Copies for a third party's recorder.
    pub(super) fork: Option<Box<Fork>>,
    /// Nothing is tapped for now.
    paused: bool,
    events: [EventTypes; 2],
    presses: [Presses; 2],
    keys: Option<Box<Keys>>,
    voice: Option<Box<Voice>>,
    /// A packet has brought a deadline that may come before the one that was noted.
    sooner: bool,
}

impl Session {
    pub(crate) fn new(now: Mono, call: CallId, relay: Relay, pairs: [Pair; 2]) -> Session {
        Session {
            call,
            relay,
            pairs,
            formats: Default::default(),
            said: [0; 2],
            translations: Translations::default(),
            recording: false,
            dropped: [0; 2],
            look_at: now + DROPS_INTERVAL,
            paused: false,
            events: Default::default(),
            presses: Default::default(),
            keys: None,
            voice: None,
            sooner: false,
            secure: SecureLegs::default(),
            dtls: DtlsLegs::default(),
            fork: None,
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

    /// Gives the ports back. Nobody may wait on the sockets any more.
    pub(super) fn rest(self) {
        self.pairs.into_iter().for_each(Pair::rest);
    }

    /// What each side sends in the terms of the other, after either has said something.
    fn translate(&mut self) {
        let sides = Side::BOTH.map(|side| (&self.formats[side.index()].formats[..], self.said[side.index()]));
        for (side, reach) in Side::BOTH.into_iter().zip(self.translations.renew(sides)) {
            self.relay.set_reach(side, reach);
        }
    }

    pub(super) fn on_copies(&mut self, copies: Copies) {
        match copies {
            Copies::To(side, to) => {
                if let Some(fork) = &mut self.fork {
                    fork.aim(side, to);
                }
            }
            Copies::Close => self.fork = None,
            // `MediaEngine::command` opens by itself.
            Copies::Open(_) => {}
        }
    }

    /// When [`Hands::on_timeout`] has something to do.
    pub(super) fn poll_timeout(&self) -> Wakeup {
        let keys = self.keys.as_ref().and_then(|keys| keys.poll_timeout());
        let voice = self.voice.as_ref().and_then(|voice| voice.poll_timeout());
        let relay = self.relay.poll_timeout().into_iter().chain(self.relay.poll_reports());
        let others = relay.chain(keys).chain(voice).chain(self.dtls.poll_timeout());
        others.fold((self.look_at, "media_look"), |first, next| if next.0 < first.0 { next } else { first })
    }

    /// Whether a packet has brought a deadline since this was asked last.
    pub(super) fn take_sooner(&mut self) -> bool {
        std::mem::take(&mut self.sooner)
    }
}

/// What handling one call needs besides the call: kept apart so that both can be borrowed.
pub(super) struct Hands {
    pub(super) driver: Box<dyn Driver>,
    pub(super) tap: Tap,
    pub(super) notices: Notices,
    pub(super) stats: MediaStats,
    /// What we show in handshakes.
    identity: Arc<Identity>,
    /// What the datagram at hand was inside, and what it becomes, when a leg is encrypted.
    room: Box<Room>,
}

impl Hands {
    pub(super) fn new(driver: Box<dyn Driver>, tap: Tap, notices: Notices, identity: Arc<Identity>) -> Hands {
        Hands { driver, tap, notices, stats: MediaStats::default(), identity, room: Room::new() }
    }

    /// Reads one datagram of a ready socket.
    pub(super) fn on_readable(&mut self, now: Now, session: &mut Session, side: Side, is_rtcp: bool, mark: u64) {
        let Some(mut source) = self.driver.read(session.socket(side, is_rtcp), mark) else { return };
        self.stats.received_packets += 1;
        self.stats.received_bytes += self.driver.datagram().len() as u64;
        if session.dtls.has(side) && !is_rtcp {
            if self.on_handshake(now, session, side, source) {
                return;
            }
            source = session.dtls.media_source(side, source);
        }
        if is_rtcp || session.relay.is_rtcp_among_rtp(side, self.driver.datagram()) {
            self.on_rtcp(now, session, side, source);
        } else {
            self.on_rtp(now, session, side, source);
        }
    }

    /// Time has come to what [`Session::poll_timeout`] said.
    pub(super) fn on_timeout(&mut self, now: Now, session: &mut Session) {
        if session.look_at <= now.mono {
            session.look_at = now.mono + DROPS_INTERVAL;
            self.count_drops(session);
        }
        self.on_handshake_timeout(now, session);
        for (side, to, report) in session.relay.make_reports(now) {
            let Session { pairs, relay, secure, .. } = &mut *session;
            let pair = &pairs[side.index()];
            let socket = if relay.is_muxed(side) { &pair.rtp } else { &pair.rtcp };
            let (_, sealed) = self.room.packet(&[], None);
            match secure.send(&mut *self.driver, sealed, (side, true), socket, to, &report) {
                Sent::Out(_) => {}
                Sent::Failed => self.stats.send_failed += 1,
                Sent::Unsealed => self.stats.refuse(relay.refuse(side, Refusal::SrtpNotSent)),
            }
        }
        while let Some(notice) = session.relay.handle_timeout(now.mono) {
            (self.notices)(session.call, notice);
        }
        self.speak(now, session);
        if let Some(keys) = &mut session.keys {
            for notice in keys.on_timeout(now.mono) {
                (self.notices)(session.call, notice);
            }
        }
    }

    /// The call is over: its final figures.
    pub(super) fn on_close(&mut self, session: &mut Session) -> MediaSummary {
        self.count_drops(session);
        let mut summary = session.relay.summary();
        let [caller, company] = session.dropped.map(u64::from);
        summary.caller.kernel_dropped = caller;
        summary.company.kernel_dropped = company;
        summary
    }

    /// Asks the kernel what it dropped since the last time.
    fn count_drops(&mut self, session: &mut Session) {
        for (pair, seen) in session.pairs.iter().zip(&mut session.dropped) {
            let dropped = pair.dropped();
            self.stats.kernel_dropped += u64::from(dropped.wrapping_sub(*seen));
            *seen = dropped;
        }
    }

    /// A sound to this side begins.
    pub(super) fn on_play(&mut self, now: Now, session: &mut Session, side: Side, play: Play) {
        self.on_hush(now, session, side);
        let Session { call, formats, said, voice, .. } = &mut *session;
        let named = [side, side.other()].map(|side| {
            let formats = &formats[side.index()].formats;
            formats.get(..said[side.index()]).unwrap_or(formats)
        });
        if !voice.get_or_insert_default().play(now, *call, side, play, named) {
            (self.notices)(session.call, MediaNotice::Played(side, now, now));
        }
        self.speak(now, session);
    }

    /// What is being played to this side ends.
    pub(super) fn on_hush(&mut self, now: Now, session: &mut Session, side: Side) {
        if let Some(started) = session.voice.as_mut().and_then(|voice| voice.stop(side)) {
            (self.notices)(session.call, MediaNotice::Played(side, started, now));
        }
    }

    /// The sides hear each other, or do not.
    pub(super) fn on_bridge(session: &mut Session, together: bool) {
        if !together || session.voice.is_some() {
            session.voice.get_or_insert_default().apart = !together;
        }
    }

    /// This side is to hear a key, unless the other's RTP has told of it, too.
    pub(super) fn on_press(now: Now, session: &mut Session, side: Side, key: char, length: Duration) {
        let is_told = session.keys.as_ref().is_some_and(|keys| keys.has_told(side.other(), key, now.mono));
        let formats = &session.formats[side.index()].formats;
        let clock_rate = formats.first().map_or(RATE, |format| format.clock_rate);
        if let Some(events) = session.events[side.index()].beside(clock_rate).filter(|_| !is_told) {
            session.voice.get_or_insert_default().press(now.mono, side, key, length, events);
        }
    }

    /// Sends the packets of prompts that are due, and tells of prompts that are over.
    fn speak(&mut self, now: Now, session: &mut Session) {
        let Session { call, relay, pairs, recording, paused, secure, voice: Some(voice), .. } = session else { return };
        while let Some((side, packet)) = voice.packet(now.mono) {
            if let Some(to) = relay.destination(side) {
                let (room, socket) = (self.room.sealed(), &pairs[side.index()].rtp);
                match secure.send(&mut *self.driver, room, (side, false), socket, to, packet) {
                    Sent::Out(length) => self.stats.relayed_bytes += length as u64,
                    Sent::Failed | Sent::Unsealed => self.stats.send_failed += 1,
                }
            }
            // What a side hears is in the channel of the one that it hears else.
            if *recording && !*paused && !self.tap.packet(*call, side.other(), now.mono, packet) {
                self.stats.tap_lost += 1;
            }
        }
        while let Some((side, packet)) = voice.key_alone(now.mono, *call) {
            let Some(to) = relay.destination(side) else { continue };
            let (room, socket) = (self.room.sealed(), &pairs[side.index()].rtp);
            match secure.send(&mut *self.driver, room, (side, false), socket, to, &packet) {
                Sent::Out(length) => self.stats.relayed_bytes += length as u64,
                Sent::Failed | Sent::Unsealed => self.stats.send_failed += 1,
            }
        }
        while let Some((side, started)) = voice.over(now.mono) {
            (self.notices)(*call, MediaNotice::Played(side, started, now));
        }
    }

    /// What a side said in its SDP.
    pub(super) fn on_remote(&mut self, now: Now, session: &mut Session, side: Side, remote: Option<Remote>) {
        if let Err(code) = session.relay.set_remote(now.mono, side, remote.as_ref()) {
            tracing::warn!(call = %session.call, ?side, code, "media address is not used");
        }
        match remote.as_ref().and_then(|remote| remote.secure.as_deref()) {
            Some(Secure::Dtls(media)) => self.on_dtls(now, session, side, media),
            Some(Secure::Keys(keys)) => session.set_keys(side, Some(keys.clone())),
            None => session.set_keys(side, None),
        }
        let said = remote.as_ref().map_or(0, |remote| remote.said);
        session.presses[side.index()] = remote.as_ref().map(|remote| remote.presses).unwrap_or_default();
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
        session.said[side.index()] = said;
        session.translate();
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

    /// The driver has an RTP datagram: open, judge, forward, then tap what is in clear.
    fn on_rtp(&mut self, now: Now, session: &mut Session, side: Side, source: SocketAddr) {
        let datagram = self.driver.datagram();
        let opened = match session.secure.open(&mut session.relay, (side, false), source, datagram, &mut self.room) {
            Ok(opened) => opened,
            Err(refusal) => return self.stats.refuse(refusal),
        };
        let accepted = match session.relay.on_rtp(now.mono, side, source, self.room.bytes(datagram, opened)) {
            Ok(accepted) => accepted,
            Err(refusal) => return self.stats.refuse(refusal),
        };
        let withheld = session.voice.as_ref().is_some_and(|voice| voice.withholds(side.other()));
        if let Some(to) = accepted.to.filter(|_| !withheld)
            && !self.press_instead(now, session, side, to, opened)
        {
            self.pass_on(session, side, to, opened);
        }
        let bytes = self.room.bytes(self.driver.datagram(), opened);
        if session.recording && !session.paused && !withheld && !self.tap.packet(session.call, side, now.mono, bytes) {
            self.stats.tap_lost += 1;
        }
        // What is to be kept nowhere, or heard by nobody, is not sent anywhere either.
        if let Some(fork) = session.fork.as_ref().filter(|_| !session.paused && !withheld)
            && !fork.copy(side, bytes)
        {
            self.stats.send_failed += 1;
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
        } else if session.presses[side.index()].inband && !withheld {
            let (call, notices) = (session.call, &self.notices);
            let tell = |digit| notices(call, MediaNotice::Tone(side, digit));
            let formats = &session.formats[side.index()].formats;
            session.sooner |= session.keys.get_or_insert_default().on_audio(now.mono, side, formats, bytes, tell);
        }
    }

    /// Whether this packet of audio gives its place on the way to the other side to a key, or is a key that goes there in
    /// INFO: then it does not go on.
    fn press_instead(
        &mut self,
        now: Now,
        session: &mut Session,
        side: Side,
        to: SocketAddr,
        opened: Option<usize>,
    ) -> bool {
        let other = side.other();
        let Session { voice, translations, events, presses, secure, pairs, relay, .. } = session;
        let by_info = presses[other.index()].by_info || presses[side.index()].events_stay;
        let keys = voice.as_mut().and_then(|voice| voice.keys_to(other));
        if keys.is_none() && !by_info {
            return false;
        }
        let Hands { driver, stats, room, .. } = self;
        let Ok(rtp) = Rtp::parse(room.bytes(driver.datagram(), opened)) else { return false };
        if events[side.index()].clock_rate(rtp.payload_type()).is_some() {
            if let (Some(keys), Some(event)) = (keys, rtp.payload().first()) {
                keys.forget(*event);
            }
            return by_info;
        }
        let Some(keys) = keys else { return false };
        if !keys.wants(now.mono) {
            return false;
        }
        let place = match translations.of(side) {
            Some(translation) => translation.stand_in(&rtp),
            None => Some(Place { ssrc: rtp.ssrc(), sequence: rtp.sequence(), timestamp: rtp.timestamp() }),
        };
        let Some(packet) = place.and_then(|place| keys.replace(place)) else { return true };
        let socket = &pairs[other.index()].rtp;
        match secure.send(&mut **driver, room.sealed(), (other, false), socket, to, &packet) {
            Sent::Out(length) => {
                relay.on_relayed(side);
                stats.relayed_packets += 1;
                stats.relayed_bytes += length as u64;
            }
            Sent::Failed => stats.send_failed += 1,
            Sent::Unsealed => stats.refuse(relay.refuse(side, Refusal::SrtpNotSent)),
        }
        true
    }

    /// Sends the packet of this side to the other, as it is or in the other's terms, sealed where that leg is encrypted.
    fn pass_on(&mut self, session: &mut Session, side: Side, to: SocketAddr, opened: Option<usize>) {
        let Session { pairs, relay, translations, secure, .. } = session;
        let Hands { driver, stats, room, .. } = self;
        let (other, translation) = (side.other(), translations.of(side));
        let socket = &pairs[other.index()].rtp;
        let mut count = |sent: Sent| match sent {
            Sent::Out(length) => {
                relay.on_relayed(side);
                stats.relayed_packets += 1;
                stats.relayed_bytes += length as u64;
            }
            Sent::Failed => stats.send_failed += 1,
            Sent::Unsealed => stats.refuse(relay.refuse(side, Refusal::SrtpNotSent)),
        };
        if translation.is_none() && opened.is_none() && !secure.is_encrypted(other) {
            let sent = driver.forward(socket, to);
            return count(sent.map_or(Sent::Failed, |()| Sent::Out(driver.datagram().len())));
        }
        let (packet, sealed) = room.packet(driver.datagram(), opened);
        let mut send = |bytes: &[u8]| count(secure.send(&mut **driver, sealed, (other, false), socket, to, bytes));
        match translation {
            Some(translation) => translation.on_rtp(packet, send),
            None => send(packet),
        }
    }

    /// The driver has an RTCP datagram.
    fn on_rtcp(&mut self, now: Now, session: &mut Session, side: Side, source: SocketAddr) {
        let Session { pairs, relay, secure, .. } = session;
        let Hands { driver, stats, room, .. } = self;
        let opened = match secure.open(relay, (side, true), source, driver.datagram(), room) {
            Ok(opened) => opened,
            Err(refusal) => return stats.refuse(refusal),
        };
        let to = match relay.on_rtcp(now.mono, side, source, room.bytes(driver.datagram(), opened)) {
            Ok(Some(to)) => to,
            Ok(None) => return,
            Err(refusal) => return stats.refuse(refusal),
        };
        let other = side.other();
        let pair = &pairs[other.index()];
        let socket = if relay.is_muxed(other) { &pair.rtp } else { &pair.rtcp };
        let sent = if opened.is_none() && !secure.is_encrypted(other) {
            driver.forward(socket, to).map_or(Sent::Failed, |()| Sent::Out(0))
        } else {
            let (packet, sealed) = room.packet(driver.datagram(), opened);
            secure.send(&mut **driver, sealed, (other, true), socket, to, packet)
        };
        match sent {
            Sent::Out(_) => stats.relayed_rtcp += 1,
            Sent::Failed => stats.send_failed += 1,
            Sent::Unsealed => stats.refuse(relay.refuse(side, Refusal::SrtpNotSent)),
        }
    }
}

fn refused_recording(code: &str) -> RecordingSummary {
    RecordingSummary { state: RecordingState::Failed, reason: Some(code.to_owned()), ..RecordingSummary::default() }
}
