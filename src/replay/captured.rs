//! What a capture shows: which dialogs belong to one call, who we are in it, and what the others said.
//!
//! A capture around a B2BUA shows two kinds of dialogs: one into an address and one out of it. That address is where
//! we stand. A capture between two phones shows one dialog; we put ourselves into the middle of it, and the same dialog
//! is then the caller's seen from one end and the company's seen from the other.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::core::call::offer::description;
use crate::ids::Side;
use crate::limits::{REPLAY_ATTEMPTS, REPLAY_CALLS, REPLAY_DIALOGS, REPLAY_MESSAGES};
use crate::wire::pcap::{Capture, Carrier, Packet};
use crate::wire::sdp::{Audio, Sdp};
use crate::wire::sip::{Message, Uri};

/// One captured call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) caller: Party,
    /// Where we stand: what the captured INVITE was sent to.
    pub(super) us: SocketAddr,
    /// Nobody stood between the two phones.
    pub(super) is_direct: bool,
    /// The company's destinations in the order in which they were tried.
    pub(super) attempts: Vec<Party>,
    /// User part of the Request-URI.
    pub(super) dialled: String,
    /// How long a destination was left ringing before the next one was tried.
    pub(super) ring_timeout: Option<Duration>,
    /// Media came from other addresses than SDP said, by side.
    pub(super) nat: [bool; 2],
    /// Final status that the caller's INVITE got in the capture.
    pub(super) status: Option<u16>,
    /// What the others said, in order of time.
    pub(super) lines: Vec<Line>,
    claims: Vec<Claim>,
}

/// Somebody with whom we have a dialog.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) address: SocketAddr,
    pub(super) carrier: Carrier,
    pub(super) call_id: String,
    /// User part of the Request-URI that reached it.
    pub(super) user: String,
    /// Requests that we sent it in the capture, by method and CSeq: which of its method it was.
    pub(super) asked: HashMap<(String, u32), usize>,
}

/// Who speaks: the caller, or one of the company's destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    Caller,
    Company(usize),
}

impl Speaker {
    pub(super) fn side(self) -> Side {
        match self {
            Speaker::Caller => Side::Caller,
            Speaker::Company(_) => Side::Company,
        }
    }
}

/// Something that reached us.
#[derive(Debug)]
pub(super) struct Line {
    /// Nanoseconds since the epoch.
    pub(super) at: u64,
    pub(super) from: Speaker,
    pub(super) source: SocketAddr,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Sip(Message),
    Rtp(Bytes),
    Rtcp(Bytes),
}

/// An address at which one speaker's media reaches us, from an instant on.
#[derive(Debug)]
struct Claim {
    at: u64,
    address: SocketAddr,
    is_rtcp: bool,
    speaker: Speaker,
}

/// The calls of a capture, in order of their INVITEs, and how many more there were.
pub(super) fn calls(capture: &Capture) -> (Vec<Call>, usize) {
    let Found { dialogs, mut media, dialogs_left_out } = dialogs(&capture.packets);
    let (mut calls, left_out) = pair(&dialogs);
    for call in &mut calls {
        call.claims.sort_by_key(|claim| claim.at);
    }
    hand_out(&mut calls, &mut media);
    for call in &mut calls {
        call.lines.sort_by_key(|line| line.at);
        call.nat = nat(call, &dialogs);
    }
    (calls, left_out + dialogs_left_out)
}

/// What a capture was sorted into.
#[derive(Debug, Default)]
struct Found<'a> {
    /// In order of their INVITEs.
    dialogs: Vec<Dialog>,
    /// INVITEs beyond the bound.
    dialogs_left_out: usize,
    /// What is no SIP.
    media: Vec<&'a Packet>,
}

/// Messages of one Call-ID between the INVITE's two ends.
#[derive(Debug)]
struct Dialog {
    call_id: String,
    at: u64,
    from: SocketAddr,
    to: SocketAddr,
    carrier: Carrier,
    user: String,
    caller_user: String,
    messages: Vec<Said>,
}

#[derive(Debug)]
struct Said {
    at: u64,
    /// By the one who sent the INVITE.
    by_inviter: bool,
    source: SocketAddr,
    message: Message,
}

fn dialogs(packets: &[Packet]) -> Found<'_> {
    let mut found = Found::default();
    let mut by_call_id: HashMap<String, usize> = HashMap::new();
    for packet in packets {
        // RTP, RTCP and STUN begin with other bytes than any start line.
        let is_text = packet.payload.first().is_some_and(u8::is_ascii_uppercase);
        let message = is_text.then(|| Message::parse(packet.payload.clone()).ok()).flatten();
        let Some(message) = message else {
            found.media.push(packet);
            continue;
        };
        let Ok(call_id) = message.call_id() else { continue };
        if let Some(index) = by_call_id.get(call_id).copied() {
            if let Some(dialog) = found.dialogs.get_mut(index) {
                dialog.hear(packet, message);
            }
        } else if message.method_token() == "INVITE" && message.is_request() && is_first(&message) {
            if found.dialogs.len() >= REPLAY_DIALOGS {
                found.dialogs_left_out += 1;
                continue;
            }
            let user = |uri: &Uri<'_>| uri.user_unescaped().unwrap_or_default();
            by_call_id.insert(call_id.to_owned(), found.dialogs.len());
            let mut dialog = Dialog {
                call_id: call_id.to_owned(),
                at: packet.at,
                from: packet.source,
                to: packet.destination,
                carrier: packet.carrier,
                user: Uri::parse(message.request_uri()).map(|uri| user(&uri)).unwrap_or_default(),
                caller_user: message.from().map(|from| user(&from.uri)).unwrap_or_default(),
                messages: Vec::new(),
            };
            dialog.hear(packet, message);
            found.dialogs.push(dialog);
        }
    }
    found
}

fn is_first(message: &Message) -> bool {
    message.to().is_ok_and(|to| to.tag().is_none())
}

impl Dialog {
    fn hear(&mut self, packet: &Packet, message: Message) {
        let Some(by_inviter) = self.is_from_inviter(packet.source, packet.destination) else { return };
        if self.messages.len() < REPLAY_MESSAGES {
            self.messages.push(Said { at: packet.at, by_inviter, source: packet.source, message });
        }
    }

    /// `None`: another hop of the same dialog, beyond a proxy.
    fn is_from_inviter(&self, source: SocketAddr, destination: SocketAddr) -> Option<bool> {
        let (a, b) = (self.from, self.to);
        if a.ip() != b.ip() {
            return match (source.ip(), destination.ip()) {
                ends if ends == (a.ip(), b.ip()) => Some(true),
                ends if ends == (b.ip(), a.ip()) => Some(false),
                _ => None,
            };
        }
        let here = source.ip() == a.ip() && destination.ip() == a.ip();
        match here {
            true if source == a || destination == b => Some(true),
            true if source == b || destination == a => Some(false),
            _ => None,
        }
    }

    /// First final response to the first INVITE, and when it came.
    fn answer(&self) -> Option<(u64, u16)> {
        let number = self.messages.first()?.message.cseq().ok()?.number;
        self.messages.iter().find_map(|said| {
            let cseq = said.message.cseq().ok()?;
            let is_final = said.message.status() >= 200 && cseq.method == "INVITE" && cseq.number == number;
            is_final.then_some((said.at, said.message.status()))
        })
    }

    fn cancelled_at(&self) -> Option<u64> {
        let is_cancel = |said: &&Said| said.message.is_request() && said.message.method_token() == "CANCEL";
        self.messages.iter().find(is_cancel).map(|said| said.at)
    }

    /// The company's end as a party of ours: requests of the inviter are ours. `false`: the caller's end.
    fn party(&self, is_company: bool) -> Party {
        let mut asked = HashMap::new();
        let mut counts: HashMap<String, usize> = HashMap::new();
        for said in self.messages.iter().filter(|said| said.message.is_request() && said.by_inviter == is_company) {
            let Ok(cseq) = said.message.cseq() else { continue };
            asked.entry((cseq.method.to_owned(), cseq.number)).or_insert_with(|| {
                let count = counts.entry(cseq.method.to_owned()).or_default();
                *count += 1;
                *count - 1
            });
        }
        let address = if is_company { self.to } else { self.from };
        Party { address, carrier: self.carrier, call_id: self.call_id.clone(), user: self.user.clone(), asked }
    }

    /// What the peer said, and where its media was asked to go.
    fn put_into(&self, call: &mut Call, speaker: Speaker) {
        let is_peer = |said: &Said| said.by_inviter == (speaker == Speaker::Caller);
        for said in &self.messages {
            if is_peer(said) {
                let what = What::Sip(said.message.clone());
                call.lines.push(Line { at: said.at, from: speaker, source: said.source, what });
            } else if let Some(audio) = audio(&said.message) {
                for (address, is_rtcp) in [(audio.rtp, false), (audio.rtcp, true)] {
                    call.claims.push(Claim { at: said.at, address, is_rtcp, speaker });
                }
            }
        }
    }
}

/// The audio stream that a message describes.
pub(super) fn audio(message: &Message) -> Option<Audio> {
    let (_, audio, _) = Sdp::parse(&description(message)?).ok()?.into_audio().ok()?;
    Some(audio)
}

/// Which dialogs make one call.
fn pair(dialogs: &[Dialog]) -> (Vec<Call>, usize) {
    let answered: Vec<Option<u64>> = dialogs.iter().map(|dialog| dialog.answer().map(|(at, _)| at)).collect();
    let mut incoming: Vec<usize> = Vec::new();
    let mut attempts: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, dialog) in dialogs.iter().enumerate() {
        match incoming_of(dialog, dialogs, &answered, &incoming, &attempts) {
            Some(of) => {
                let tried = attempts.entry(of).or_default();
                if tried.len() < REPLAY_ATTEMPTS {
                    tried.push(index);
                }
            }
            None => incoming.push(index),
        }
    }
    let left_out = incoming.len().saturating_sub(REPLAY_CALLS);
    let calls = incoming.iter().take(REPLAY_CALLS).filter_map(|&index| {
        let tried: Vec<&Dialog> =
            attempts.get(&index).into_iter().flatten().filter_map(|index| dialogs.get(*index)).collect();
        Some(assemble(dialogs.get(index)?, &tried))
    });
    (calls.collect(), left_out)
}

/// The call that this INVITE was sent for: it came to the address that this one left from, and was open then.
fn incoming_of(
    dialog: &Dialog,
    dialogs: &[Dialog],
    answered: &[Option<u64>],
    incoming: &[usize],
    attempts: &HashMap<usize, Vec<usize>>,
) -> Option<usize> {
    let is_open_at = |index: usize| answered.get(index).copied().flatten().is_none_or(|at| at >= dialog.at);
    let same_host = |of: &Dialog| {
        // Over TCP an INVITE leaves from a port of its own.
        of.to == dialog.from || (of.to.ip() == dialog.from.ip() && of.to.ip() != of.from.ip())
    };
    let is_busy = |index: &usize| {
        let last = attempts.get(index).and_then(|tried| tried.last()).copied();
        last.is_some_and(is_open_at)
    };
    let candidates = incoming.iter().copied().filter(|index| {
        let fits = |of: &Dialog| same_host(of) && of.from != dialog.to;
        is_open_at(*index) && dialogs.get(*index).is_some_and(fits)
    });
    candidates.min_by_key(|index| {
        let same_caller = dialogs.get(*index).is_some_and(|of| of.caller_user == dialog.caller_user);
        (!same_caller, is_busy(index), *index)
    })
}

fn assemble(caller: &Dialog, tried: &[&Dialog]) -> Call {
    let is_direct = tried.is_empty();
    let tried = if is_direct { &[caller][..] } else { tried };
    let mut call = Call {
        caller: caller.party(false),
        us: caller.to,
        is_direct,
        attempts: tried.iter().map(|dialog| dialog.party(true)).collect(),
        dialled: caller.user.clone(),
        ring_timeout: ring_timeout(caller, tried),
        nat: [false; 2],
        status: caller.answer().map(|(_, status)| status),
        lines: Vec::new(),
        claims: Vec::new(),
    };
    caller.put_into(&mut call, Speaker::Caller);
    for (index, dialog) in tried.iter().enumerate() {
        dialog.put_into(&mut call, Speaker::Company(index));
    }
    call
}

/// The shortest time after which a destination that had not answered was given up, though the caller was still there.
fn ring_timeout(caller: &Dialog, tried: &[&Dialog]) -> Option<Duration> {
    let caller_gone = caller.cancelled_at().unwrap_or(u64::MAX);
    let given_up = tried.iter().enumerate().filter_map(|(index, dialog)| {
        let next = tried.get(index + 1).map(|next| next.at);
        let at = next.into_iter().chain(dialog.cancelled_at()).min()?;
        let answered = dialog.answer().is_some_and(|(answered, _)| answered < at);
        (!answered && at < caller_gone).then(|| at.saturating_sub(dialog.at))
    });
    given_up.filter(|nanos| *nanos > 0).min().map(Duration::from_nanos)
}

/// Gives each packet that is not SIP to the call and the speaker whose it is.
fn hand_out(calls: &mut [Call], media: &mut Vec<&Packet>) {
    let mut places: HashMap<SocketAddr, Vec<(u64, usize, Speaker, bool)>> = HashMap::new();
    for (index, call) in calls.iter().enumerate() {
        for claim in &call.claims {
            places.entry(claim.address).or_default().push((claim.at, index, claim.speaker, claim.is_rtcp));
        }
    }
    for claims in places.values_mut() {
        claims.sort_by_key(|(at, ..)| *at);
    }
    for packet in media.drain(..).filter(|packet| packet.carrier == Carrier::Udp) {
        let Some(claims) = places.get(&packet.destination) else { continue };
        let last = claims.partition_point(|(at, ..)| *at <= packet.at).saturating_sub(1);
        let Some((at, index, speaker, is_rtcp)) = claims.get(last).copied() else { continue };
        let Some(call) = calls.get_mut(index).filter(|_| at <= packet.at) else { continue };
        let bytes = packet.payload.clone();
        let what = if is_rtcp { What::Rtcp(bytes) } else { What::Rtp(bytes) };
        call.lines.push(Line { at: packet.at, from: speaker, source: packet.source, what });
    }
}

/// By side: RTP came from the signalling's address although SDP never named it.
fn nat(call: &Call, dialogs: &[Dialog]) -> [bool; 2] {
    let mut said: [Vec<SocketAddr>; 2] = [Vec::new(), Vec::new()];
    for dialog in dialogs {
        for (party, speaker) in call.parties() {
            let is_company = speaker.side() == Side::Company;
            if party.call_id == dialog.call_id {
                let theirs = dialog.messages.iter().filter(|said| said.by_inviter != is_company);
                said[speaker.side().index()].extend(theirs.filter_map(|said| Some(audio(&said.message)?.rtp)));
            }
        }
    }
    Side::BOTH.map(|side| {
        call.lines.iter().any(|line| {
            let from_signalling = call.party(line.from).is_some_and(|party| party.address.ip() == line.source.ip());
            let is_rtp = matches!(line.what, What::Rtp(_)) && line.from.side() == side;
            is_rtp && from_signalling && !said[side.index()].contains(&line.source)
        })
    })
}

impl Call {
    pub(super) fn party(&self, speaker: Speaker) -> Option<&Party> {
        match speaker {
            Speaker::Caller => Some(&self.caller),
            Speaker::Company(index) => self.attempts.get(index),
        }
    }

    fn parties(&self) -> impl Iterator<Item = (&Party, Speaker)> {
        let company = self.attempts.iter().enumerate().map(|(index, party)| (party, Speaker::Company(index)));
        std::iter::once((&self.caller, Speaker::Caller)).chain(company)
    }

    /// Nanoseconds since the epoch of the first line and of the last.
    pub(super) fn span(&self) -> (u64, u64) {
        let first = self.lines.first().map_or(0, |line| line.at);
        (first, self.lines.last().map_or(first, |line| line.at))
    }
}
