//! A telephone for the simulated world: shares the reader and writer of messages with the product, but keeps its own
//! simple idea of transactions and dialogs, so that a misreading of the RFC on our side meets a second opinion.

mod cancel;
mod reinvite;
mod reliable;
mod talk;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use leaseline::time::Mono;
use leaseline::wire::sip::Message;
use leaseline::wire::sip::build::Builder;

pub use talk::Do;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const LIFE: Duration = Duration::from_secs(32);

/// What a phone does with a call that comes in.
#[derive(Clone, Debug)]
pub struct Answering {
    /// Provisional responses: after how long, which, with a description or without.
    pub ringing: Vec<(Duration, u16, bool)>,
    /// Final response: after how long, which. `None`: never.
    pub answer: Option<(Duration, u16)>,
    /// After the ACK: hangs up.
    pub hang_up: Option<Duration>,
    /// Header lines of that BYE.
    pub hang_up_headers: Vec<(&'static str, String)>,
    /// After the ACK: a re-INVITE with this direction.
    pub reinvite: Option<(Duration, &'static str)>,
    /// How a re-INVITE or UPDATE is answered.
    pub reinvite_status: u16,
    /// And after how long; until then a re-INVITE has its 100.
    pub reinvite_after: Duration,
    /// And with which direction, whatever was offered.
    pub reinvite_direction: Option<&'static str>,
    /// And with this description.
    pub reinvite_sdp: Option<String>,
    /// After the ACK.
    pub script: Vec<(Duration, Do)>,
    /// After the INVITE, whatever was answered by then.
    pub timed: Vec<(Duration, Do)>,
    /// Says BYE when NOTIFY tells it that its transfer succeeded.
    pub hangs_up_after_transfer: bool,
    /// 100 Trying at once.
    pub trying: bool,
    /// Takes INFO without a word.
    pub mute_info: bool,
    /// Takes BYE without a word.
    pub mute_bye: bool,
    /// How BYE is answered.
    pub bye_status: u16,
    /// More header lines of the final response.
    pub headers: Vec<(&'static str, String)>,
    /// Instead of the phone's own description.
    pub sdp: Option<String>,
    /// Provisional responses go out reliably (RFC 3262) when the other side can; what they described is not said again.
    pub reliable: bool,
}

impl Default for Answering {
    fn default() -> Answering {
        Answering {
            ringing: vec![(Duration::from_millis(100), 180, false)],
            answer: Some((Duration::from_secs(1), 200)),
            hang_up: None,
            hang_up_headers: Vec::new(),
            reinvite: None,
            reinvite_status: 200,
            reinvite_after: Duration::ZERO,
            reinvite_direction: None,
            reinvite_sdp: None,
            script: Vec::new(),
            timed: Vec::new(),
            hangs_up_after_transfer: false,
            trying: true,
            mute_info: false,
            mute_bye: false,
            bye_status: 200,
            headers: Vec::new(),
            sdp: None,
            reliable: false,
        }
    }
}

/// What a phone does with a call it makes.
#[derive(Clone, Debug)]
pub struct Calling {
    pub request_uri: String,
    pub cancel: Option<Duration>,
    /// After the 200.
    pub hang_up: Option<Duration>,
    /// After the 200: re-INVITEs with these directions.
    pub reinvites: Vec<(Duration, &'static str)>,
    /// After the 200.
    pub script: Vec<(Duration, Do)>,
    /// After the INVITE, whatever was answered by then.
    pub timed: Vec<(Duration, Do)>,
    pub acknowledges: bool,
    /// ACK of the first 200 so long after it.
    pub ack_after: Duration,
    /// PRACK so long after a reliable provisional response. `None`: never.
    pub pracks: Option<Duration>,
    /// Offer in the INVITE; else in the 200, and the answer in our ACK.
    pub offers: bool,
    /// More header lines.
    pub headers: Vec<(&'static str, String)>,
    pub formats: &'static str,
    /// `From` without tag instead of the phone's own.
    pub from: Option<String>,
    pub call_id: Option<String>,
    pub max_forwards: Option<&'static str>,
    /// Instead of the phone's own description.
    pub sdp: Option<String>,
    /// What that is.
    pub content_type: &'static str,
}

impl Default for Calling {
    fn default() -> Calling {
        Calling {
            request_uri: "sip:+442079460500@203.0.113.1".into(),
            cancel: None,
            hang_up: Some(Duration::from_secs(10)),
            reinvites: Vec::new(),
            script: Vec::new(),
            timed: Vec::new(),
            acknowledges: true,
            ack_after: Duration::ZERO,
            pracks: Some(Duration::ZERO),
            offers: true,
            headers: Vec::new(),
            formats: "8 0 101",
            from: None,
            call_id: None,
            max_forwards: Some("70"),
            sdp: None,
            content_type: "application/sdp",
        }
    }
}

/// One side of one call.
#[derive(Debug)]
pub struct Dialog {
    pub ours: bool,
    call_id: String,
    local: String,
    remote: String,
    remote_target: String,
    peer: SocketAddr,
    cseq: u32,
    sdp_version: u32,
    offers: bool,
    /// Final statuses of the first INVITE, each once for every different one.
    pub finals: Vec<u16>,
    pub provisionals: Vec<u16>,
    /// The last reliable provisional response that was sent or acknowledged.
    pub reliably: u32,
    /// Responses that wait for a PRACK.
    held: Vec<(u16, bool, Bytes)>,
    /// Offer and answer were exchanged before the final response.
    agreed: bool,
    pub confirmed: bool,
    /// 2xx was sent or received and no BYE yet.
    pub up: bool,
    /// BYE was sent in the early dialog: a 2xx that crosses it makes no call.
    left: bool,
    pub acked: bool,
    pub byes: u32,
    /// Direction in the last description from us.
    pub heard_direction: String,
    /// The INVITE that made it: the other side's, or ours as the last provisional response tells it.
    pub invite: Option<Message>,
    /// Final responses to what was asked within the call.
    pub heard: Vec<(String, u16)>,
    /// INFO, MESSAGE and others that came, with their bodies.
    pub received: Vec<(String, String)>,
    /// Bodies and subscription states of NOTIFYs.
    pub notified: Vec<String>,
    /// Refer-To of REFERs.
    pub referred: Vec<String>,
    /// CSeq numbers of re-INVITEs without offer.
    offerless: BTreeSet<u32>,
    answering: Answering,
    calling: Option<Calling>,
}

#[derive(Debug)]
struct Pending {
    call: String,
    bytes: Bytes,
    to: SocketAddr,
    next: Mono,
    interval: Duration,
    until: Mono,
    invite: bool,
    /// Stops the repeats: a response with this CSeq and branch came.
    branch: String,
    /// The offer that it carries, to be made again after glare.
    again: Option<Do>,
    /// Of a reliable provisional response: its number, and whether it describes.
    reliable: Option<(u32, bool)>,
}

#[derive(Debug, Clone)]
enum Act {
    Respond { call: String, status: u16, described: bool, bytes_of: Bytes },
    HangUp { call: String },
    Cancel { call: String },
    Prack { call: String, response: Bytes },
    Ack { call: String, number: u32, bytes: Bytes },
    Reanswer { call: String, bytes_of: Bytes },
    Do { call: String, what: Do },
    Timed { call: String, what: Do },
}

#[derive(Debug, Default)]
pub struct Phone {
    address: Option<SocketAddr>,
    answering: Answering,
    /// How OPTIONS outside every dialog is answered: status and headers. `None`: not at all.
    pub options: Option<(u16, Vec<(&'static str, String)>)>,
    pub dialogs: BTreeMap<String, Dialog>,
    /// Requests of ours without a final response.
    pending: Vec<Pending>,
    /// 2xx of ours that wait for ACK.
    unacked: Vec<Pending>,
    /// Reliable provisional responses of ours that wait for PRACK.
    unpracked: Vec<Pending>,
    /// Responses we gave, by branch and method, and until when.
    given: BTreeMap<(String, String), (Vec<Bytes>, SocketAddr)>,
    acks: BTreeMap<(String, u32), (Bytes, SocketAddr)>,
    /// Calls whose ACK is still to come.
    acking: BTreeSet<String>,
    /// re-INVITEs that have no final response, by branch.
    reinvited: BTreeMap<String, Bytes>,
    acts: BTreeMap<(Mono, u64), Act>,
    serial: u64,
    /// Requests as they came: method and status we gave.
    pub seen: Vec<String>,
}

type Sent = Vec<(SocketAddr, Bytes)>;

impl Phone {
    pub fn new(answering: Answering) -> Phone {
        Phone { answering, options: Some((200, Vec::new())), ..Phone::default() }
    }

    pub fn at(mut self, address: SocketAddr) -> Phone {
        self.address = Some(address);
        self
    }

    /// How calls that come from now on are answered.
    pub fn set_answering(&mut self, answering: Answering) {
        self.answering = answering;
    }

    fn me(&self) -> SocketAddr {
        self.address.expect("placed in the world")
    }

    pub fn poll_timeout(&self) -> Option<Mono> {
        let all = self.pending.iter().chain(&self.unacked).chain(&self.unpracked);
        let repeats = all.map(|pending| pending.next.min(pending.until)).min();
        let acts = self.acts.keys().next().map(|(at, _)| *at);
        repeats.into_iter().chain(acts).min()
    }

    /// Calls a number. Gives the Call-ID.
    pub fn call(&mut self, now: Mono, to: SocketAddr, calling: Calling) -> (String, Sent) {
        self.serial += 1;
        let me = self.me();
        let call_id = calling.call_id.clone().unwrap_or_else(|| format!("call-{}-{}", self.serial, me.port()));
        let from = calling.from.clone().unwrap_or_else(|| format!("<sip:07700900123@{}>", me.ip()));
        let local = format!("{from};tag=from-{}", self.serial);
        let dialog = Dialog {
            ours: true,
            call_id: call_id.clone(),
            local,
            remote: format!("<{}>", calling.request_uri),
            remote_target: calling.request_uri.clone(),
            peer: to,
            cseq: 1,
            sdp_version: 1,
            offers: calling.offers,
            finals: Vec::new(),
            provisionals: Vec::new(),
            reliably: 0,
            held: Vec::new(),
            agreed: false,
            confirmed: false,
            up: false,
            left: false,
            acked: false,
            byes: 0,
            heard_direction: String::new(),
            invite: None,
            heard: Vec::new(),
            received: Vec::new(),
            notified: Vec::new(),
            referred: Vec::new(),
            offerless: BTreeSet::new(),
            answering: self.answering.clone(),
            calling: Some(calling.clone()),
        };
        self.dialogs.insert(call_id.clone(), dialog);
        self.by_the_clock(now, &call_id, &calling.timed);
        if let Some(after) = calling.cancel {
            self.act(now + after, Act::Cancel { call: call_id.clone() });
        }
        let own = || sdp(me, 1, "sendrecv", calling.formats);
        let body = calling.offers.then(|| calling.sdp.clone().unwrap_or_else(own));
        let body = body.map(|text| (calling.content_type, text));
        let sent = self.request_with(now, &call_id, "INVITE", body, &calling.headers, None);
        (call_id, sent)
    }

    fn act(&mut self, at: Mono, act: Act) {
        self.serial += 1;
        self.acts.insert((at, self.serial), act);
    }

    /// Sends a request within (or opening) a dialog and repeats it until it is answered.
    fn request(
        &mut self,
        now: Mono,
        call: &str,
        method: &str,
        body: Option<String>,
        headers: &[(&'static str, String)],
    ) -> Sent {
        self.request_with(now, call, method, body.map(|text| ("application/sdp", text)), headers, None)
    }

    fn request_with(
        &mut self,
        now: Mono,
        call: &str,
        method: &str,
        body: Option<(&'static str, String)>,
        headers: &[(&'static str, String)],
        again: Option<Do>,
    ) -> Sent {
        self.serial += 1;
        let me = self.me();
        let branch = format!("z9hG4bK-{}-{}", me.port(), self.serial);
        let Some(dialog) = self.dialogs.get_mut(call) else { return Vec::new() };
        if dialog.confirmed || method != "INVITE" {
            dialog.cseq += 1;
        }
        let mut builder = Builder::request(method, &dialog.remote_target)
            .header("Via", &format!("SIP/2.0/UDP {me};branch={branch};rport"))
            .header("From", &dialog.local)
            .header("To", &dialog.remote)
            .header("Call-ID", &dialog.call_id)
            .header("CSeq", &format!("{} {method}", dialog.cseq))
            .header("Contact", &format!("<sip:phone@{me}>"));
        let hops = dialog.calling.as_ref().map_or(Some("70"), |calling| calling.max_forwards);
        if let Some(hops) = hops {
            builder = builder.header("Max-Forwards", hops);
        }
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        if let Some((content_type, body)) = body {
            builder = builder.body(content_type, body.as_bytes());
        }
        let bytes = builder.finish().expect("a message");
        let to = dialog.peer;
        self.pending.push(Pending {
            call: call.to_owned(),
            bytes: bytes.clone(),
            to,
            next: now + T1,
            interval: T1,
            until: now + LIFE,
            invite: method == "INVITE",
            branch,
            again,
            reliable: None,
        });
        vec![(to, bytes)]
    }

    pub fn handle_timeout(&mut self, now: Mono) -> Sent {
        let mut sent = Vec::new();
        for pending in self.pending.iter_mut().chain(&mut self.unacked).chain(&mut self.unpracked) {
            if pending.next <= now && pending.until > now {
                sent.push((pending.to, pending.bytes.clone()));
                let interval = pending.interval * 2;
                pending.interval = if pending.invite { interval } else { interval.min(T2) };
                pending.next = now + pending.interval;
            }
        }
        self.pending.retain(|pending| pending.until > now);
        self.unacked.retain(|pending| pending.until > now);
        sent.extend(self.give_up_reliable(now));
        while let Some((key, act)) = self.acts.first_key_value().map(|(key, act)| (*key, act.clone()))
            && key.0 <= now
        {
            self.acts.remove(&key);
            sent.extend(self.do_act(now, act));
        }
        sent
    }

    fn do_act(&mut self, now: Mono, act: Act) -> Sent {
        match act {
            Act::Respond { call, status, described, bytes_of } => {
                self.respond_later(now, &call, status, described, bytes_of)
            }
            Act::Ack { call, number, bytes } => {
                let to = self.dialogs.get(&call).expect("its call").peer;
                self.acks.insert((call, number), (bytes.clone(), to));
                vec![(to, bytes)]
            }
            Act::Reanswer { call, bytes_of } => {
                let request = Message::parse(bytes_of).expect("kept as it came");
                self.reinvited.remove(&branch_of(&request));
                self.answer_reinvite(now, &request, &call)
            }
            Act::HangUp { call } => self.hang_up(now, &call),
            Act::Cancel { call } => self.cancel(now, &call),
            Act::Prack { call, response } => {
                self.prack(now, &call, &Message::parse(response).expect("kept as it came"))
            }
            Act::Do { call, what: Do::HangUp } => self.hang_up(now, &call),
            Act::Do { call, what } if self.dialogs.get(&call).is_some_and(|dialog| dialog.up) => {
                self.perform(now, &call, what)
            }
            Act::Do { .. } => Vec::new(),
            Act::Timed { call, what } => self.on_time(now, &call, what),
        }
    }

    /// In the same instant, after what is being sent now.
    fn act_soon(&mut self, call: &str) {
        self.act(Mono(0), Act::HangUp { call: call.to_owned() });
    }

    pub fn hang_up(&mut self, now: Mono, call: &str) -> Sent {
        match self.dialogs.get_mut(call) {
            Some(dialog) if dialog.up => {
                dialog.up = false;
                self.unacked.retain(|pending| pending.call != call);
                let headers = dialog.answering.hang_up_headers.clone();
                self.request(now, call, "BYE", None, &headers)
            }
            _ => Vec::new(),
        }
    }

    pub fn handle(&mut self, now: Mono, from: SocketAddr, bytes: Bytes) -> Sent {
        let message = Message::parse(bytes.clone()).expect("we send readable messages");
        message.validate().expect("we send valid messages");
        if message.is_request() { self.on_request(now, from, &message) } else { self.on_response(now, from, &message) }
    }

    // ── responses to our requests ──

    fn on_response(&mut self, now: Mono, from: SocketAddr, response: &Message) -> Sent {
        let call = response.call_id().expect("valid").to_owned();
        let cseq = response.cseq().expect("valid");
        let (number, method) = (cseq.number, cseq.method.to_owned());
        let branch = response.top_via().expect("valid").branch().unwrap_or("").to_owned();
        let status = response.status();
        let stopped = if method == "CANCEL" { format!("cancel {branch}") } else { branch.clone() };
        let mut sent = Vec::new();
        if method == "INVITE" {
            sent.extend(self.on_invite_response(now, from, response, &call, number, &branch));
        }
        if let Some(dialog) = self.dialogs.get_mut(&call)
            && status < 200
            && method == "INVITE"
            && dialog.ours
        {
            dialog.invite = Some(response.clone());
        }
        let asked = self.pending.iter().position(|pending| pending.branch == stopped);
        if let Some(at) = asked.filter(|_| status >= 200 || method == "INVITE") {
            let again = self.pending.get_mut(at).and_then(|pending| pending.again.take());
            if status >= 200 {
                self.pending.remove(at);
                let first = number == 1 && self.dialogs.get(&call).is_some_and(|dialog| dialog.ours);
                if !first && method != "CANCEL" {
                    self.on_final(now, &call, &method, response, again);
                }
            } else if let Some(pending) = self.pending.get_mut(at) {
                // Provisional: not repeated any more, but still waited for.
                (pending.next, pending.again) = (pending.until, again);
            }
        }
        sent
    }

    fn on_invite_response(
        &mut self,
        now: Mono,
        from: SocketAddr,
        response: &Message,
        call: &str,
        number: u32,
        branch: &str,
    ) -> Sent {
        let me = self.me();
        let status = response.status();
        let Some(dialog) = self.dialogs.get_mut(call) else { return Vec::new() };
        if let Some(direction) = direction_of(response) {
            dialog.heard_direction = direction;
        }
        let first = number == 1 && dialog.ours;
        match status {
            100..=199 => {
                if first && status > 100 && !dialog.confirmed {
                    dialog.remote = response.header("To").unwrap_or("").to_owned();
                }
                if first && !dialog.provisionals.contains(&status) {
                    dialog.provisionals.push(status);
                }
                self.hear_reliable(now, call, response)
            }
            200..=299 => {
                if let Some((ack, to)) = self.acks.get(&(call.to_owned(), number)) {
                    return vec![(*to, ack.clone())];
                }
                if first {
                    if !dialog.finals.contains(&status) {
                        dialog.finals.push(status);
                    }
                    dialog.remote =
                        response.to().map(|_| response.header("To").unwrap_or("").to_owned()).expect("valid");
                    // A copy does not bring back what was hung up since.
                    if !std::mem::replace(&mut dialog.confirmed, true) {
                        dialog.up = !dialog.left && dialog.byes == 0;
                    }
                }
                if let Some(Ok(contact)) = response.contact() {
                    dialog.remote_target = contact.uri.text.to_owned();
                }
                let calling = dialog.calling.clone();
                if first && calling.as_ref().is_some_and(|calling| !calling.acknowledges) || self.acking.contains(call)
                {
                    return Vec::new();
                }
                let mut builder = Builder::request("ACK", &dialog.remote_target)
                    .header("Via", &format!("SIP/2.0/UDP {me};branch=z9hG4bK-ack-{call}-{number}"))
                    .header("Max-Forwards", "70")
                    .header("From", &dialog.local)
                    .header("To", &dialog.remote)
                    .header("Call-ID", &dialog.call_id)
                    .header("CSeq", &format!("{number} ACK"));
                if (first && !dialog.offers && !dialog.agreed) || dialog.offerless.contains(&number) {
                    let own = || sdp(me, 1, "sendrecv", "8 101");
                    let said = calling.as_ref().filter(|_| first).and_then(|calling| calling.sdp.clone());
                    builder = builder.body("application/sdp", said.unwrap_or_else(own).as_bytes());
                }
                let ack = builder.finish().expect("a message");
                let to = dialog.peer;
                let ack_after = calling.as_ref().filter(|_| first).map_or(Duration::ZERO, |calling| calling.ack_after);
                if ack_after.is_zero() {
                    self.acks.insert((call.to_owned(), number), (ack.clone(), to));
                } else {
                    self.acking.insert(call.to_owned());
                    self.act(now + ack_after, Act::Ack { call: call.to_owned(), number, bytes: ack.clone() });
                }
                if first && let Some(calling) = calling {
                    self.script(now, call, &calling.script);
                    for (after, direction) in calling.reinvites {
                        self.act(now + after, Act::Do { call: call.to_owned(), what: Do::Reinvite(direction) });
                    }
                    if let Some(after) = calling.hang_up {
                        self.act(now + after, Act::HangUp { call: call.to_owned() });
                    }
                }
                if ack_after.is_zero() { vec![(to, ack)] } else { Vec::new() }
            }
            _ => {
                if first && !dialog.finals.contains(&status) {
                    dialog.finals.push(status);
                }
                let ack = Builder::request("ACK", &dialog.remote_target)
                    .header("Via", &format!("SIP/2.0/UDP {me};branch={branch};rport"))
                    .header("Max-Forwards", "70")
                    .header("From", &dialog.local)
                    .header("To", response.header("To").unwrap_or(""))
                    .header("Call-ID", &dialog.call_id)
                    .header("CSeq", &format!("{number} ACK"))
                    .finish()
                    .expect("a message");
                vec![(from, ack)]
            }
        }
    }

    // ── requests of the other side ──

    fn on_request(&mut self, now: Mono, from: SocketAddr, request: &Message) -> Sent {
        let method = request.method_token().to_owned();
        let branch = request.top_via().expect("valid").branch().unwrap_or("").to_owned();
        if method == "ACK" {
            return self.on_ack(now, request);
        }
        let key = (branch.clone(), method.clone());
        if let Some((given, to)) = self.given.get(&key) {
            return given.last().map(|bytes| (*to, bytes.clone())).into_iter().collect();
        }
        self.given.insert(key.clone(), (Vec::new(), from));
        self.seen.push(format!("{method} {}", request.request_uri()));
        let call = request.call_id().expect("valid").to_owned();
        match method.as_str() {
            "INVITE" if request.to().expect("valid").tag().is_none() => self.on_invite(now, from, request, &call),
            "INVITE" => self.on_reinvite(now, from, request, &call),
            "CANCEL" => self.on_cancel(from, request, &branch, &call),
            "BYE" => {
                let known = self.dialogs.get_mut(&call);
                let status = match known {
                    Some(dialog) => {
                        dialog.up = false;
                        dialog.byes += 1;
                        if dialog.answering.mute_bye {
                            return Vec::new();
                        }
                        dialog.answering.bye_status
                    }
                    None => 481,
                };
                self.unacked.retain(|pending| pending.call != call);
                self.unpracked.retain(|pending| pending.call != call);
                let mut sent = self.reply(from, request, status, None);
                sent.extend(self.drop_reinvites(&call));
                sent
            }
            "PRACK" => self.on_prack(now, from, request, &call),
            "OPTIONS" if !self.dialogs.contains_key(&call) => match self.options.clone() {
                Some((status, headers)) => self.reply_with(from, request, status, &headers, None),
                None => Vec::new(),
            },
            _ => self.on_other(from, request, &call),
        }
    }

    fn on_ack(&mut self, now: Mono, request: &Message) -> Sent {
        let call = request.call_id().expect("valid").to_owned();
        self.unacked.retain(|pending| pending.call != call);
        let Some(dialog) = self.dialogs.get_mut(&call) else { return Vec::new() };
        let first = !dialog.acked;
        dialog.acked = true;
        if first && dialog.up {
            let answering = dialog.answering.clone();
            if let Some(after) = answering.hang_up {
                self.act(now + after, Act::HangUp { call: call.clone() });
            }
            if let Some((after, direction)) = answering.reinvite {
                self.act(now + after, Act::Do { call: call.clone(), what: Do::Reinvite(direction) });
            }
            self.script(now, &call, &answering.script);
        }
        Vec::new()
    }

    fn on_invite(&mut self, now: Mono, from: SocketAddr, request: &Message, call: &str) -> Sent {
        let answering = self.answering.clone();
        let contact = request.contact().expect("INVITE has a Contact").expect("valid").uri.text.to_owned();
        let dialog = Dialog {
            ours: false,
            call_id: call.to_owned(),
            local: format!("{};tag=to-{call}", request.header("To").unwrap_or("")),
            remote: request.header("From").unwrap_or("").to_owned(),
            remote_target: contact,
            peer: from,
            cseq: 0,
            sdp_version: 1,
            offers: request.body().is_empty(),
            finals: Vec::new(),
            provisionals: Vec::new(),
            reliably: 0,
            held: Vec::new(),
            agreed: false,
            confirmed: false,
            up: false,
            left: false,
            acked: false,
            byes: 0,
            heard_direction: direction_of(request).unwrap_or_default(),
            invite: Some(request.clone()),
            heard: Vec::new(),
            received: Vec::new(),
            notified: Vec::new(),
            referred: Vec::new(),
            offerless: BTreeSet::new(),
            answering: answering.clone(),
            calling: None,
        };
        self.dialogs.insert(call.to_owned(), dialog);
        self.by_the_clock(now, call, &answering.timed);
        let bytes_of = request.bytes().clone();
        for (after, status, described) in answering.ringing {
            self.act(
                now + after,
                Act::Respond { call: call.to_owned(), status, described, bytes_of: bytes_of.clone() },
            );
        }
        if let Some((after, status)) = answering.answer {
            self.act(now + after, Act::Respond { call: call.to_owned(), status, described: status < 300, bytes_of });
        }
        if answering.trying { self.reply(from, request, 100, None) } else { Vec::new() }
    }

    fn await_ack(&mut self, now: Mono, call: &str, sent: &Sent) {
        for (to, bytes) in sent {
            self.unacked.push(Pending {
                call: call.to_owned(),
                bytes: bytes.clone(),
                to: *to,
                next: now + T1,
                interval: T1,
                until: now + LIFE,
                invite: false,
                branch: String::new(),
                again: None,
                reliable: None,
            });
        }
    }

    fn respond_later(&mut self, now: Mono, call: &str, status: u16, described: bool, bytes_of: Bytes) -> Sent {
        let me = self.me();
        let request = Message::parse(bytes_of.clone()).expect("kept as it came");
        let outstanding = self.unpracked.iter().find(|pending| pending.call == call).and_then(|one| one.reliable);
        let Some(dialog) = self.dialogs.get_mut(call).filter(|dialog| dialog.finals.is_empty()) else {
            return Vec::new();
        };
        let to = dialog.peer;
        let options = ["Supported", "Require"].into_iter().flat_map(|name| request.list(name));
        let reliably = dialog.answering.reliable && status < 200 && options.into_iter().any(|tag| tag == "100rel");
        // RFC 3262 §3: one at a time, and no 2xx while a description waits for its PRACK.
        if outstanding.is_some_and(|(_, described)| reliably || (described && (200..300).contains(&status))) {
            dialog.held.push((status, described, bytes_of));
            return Vec::new();
        }
        if status >= 200 {
            dialog.finals.push(status);
            dialog.up = status < 300;
            dialog.confirmed = status < 300;
        }
        let own = || sdp(me, 1, "sendrecv", "8 101");
        let (headers, instead) = (dialog.answering.headers.clone(), dialog.answering.sdp.clone());
        let body = (described && (reliably || !dialog.agreed)).then(|| instead.unwrap_or_else(own));
        let mut headers = headers;
        if reliably {
            dialog.reliably += 1;
            dialog.agreed |= described;
            headers.push(("Require", "100rel".to_owned()));
            headers.push(("RSeq", dialog.reliably.to_string()));
        }
        let number = dialog.reliably;
        let sent = self.reply_with(to, &request, status, &headers, body);
        if reliably {
            self.await_prack(now, call, &sent, (number, described));
        } else if status >= 200 {
            self.unpracked.retain(|pending| pending.call != call);
        }
        if (200..300).contains(&status) {
            self.await_ack(now, call, &sent);
        }
        sent
    }

    fn reply(&mut self, to: SocketAddr, request: &Message, status: u16, body: Option<String>) -> Sent {
        self.reply_with(to, request, status, &[], body)
    }

    fn reply_with(
        &mut self,
        to: SocketAddr,
        request: &Message,
        status: u16,
        headers: &[(&'static str, String)],
        body: Option<String>,
    ) -> Sent {
        let me = self.me();
        let call = request.call_id().expect("valid");
        let tag = format!("to-{call}");
        let tag = (status > 100).then_some(tag.as_str());
        let mut builder = Builder::response_to(request, status, None, tag, to);
        if request.method_token() == "INVITE" && status < 300 {
            builder = builder.header("Contact", &format!("<sip:desk@{me}>"));
        }
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = body {
            builder = builder.body("application/sdp", body.as_bytes());
        }
        let bytes = builder.finish().expect("a message");
        let branch = request.top_via().expect("valid").branch().unwrap_or("").to_owned();
        let key = (branch, request.method_token().to_owned());
        self.given.entry(key).or_insert_with(|| (Vec::new(), to)).0.push(bytes.clone());
        vec![(to, bytes)]
    }

    /// Still busy with something: a leak on the phone's own side.
    pub fn is_quiet(&self) -> bool {
        self.pending.is_empty() && self.unacked.is_empty() && self.unpracked.is_empty() && self.acts.is_empty()
    }
}

fn branch_of(request: &Message) -> String {
    request.top_via().expect("valid").branch().unwrap_or("").to_owned()
}

fn dialog_branch(dialog: &Dialog) -> Option<String> {
    Some(dialog.invite.as_ref()?.top_via().ok()?.branch()?.to_owned())
}

fn direction_of(message: &Message) -> Option<String> {
    let body = message.body();
    let text = std::str::from_utf8(&body).ok().filter(|text| !text.is_empty())?;
    let named = |name: &&&str| text.contains(&format!("a={name}\r\n"));
    let direction = ["sendonly", "recvonly", "inactive"].iter().find(named).copied().unwrap_or("sendrecv");
    Some(direction.to_owned())
}

/// A phone's description, with things in it that must not reach the other side.
fn sdp(me: SocketAddr, version: u32, direction: &str, formats: &str) -> String {
    let ip = me.ip();
    format!(
        "v=0\r\no=phone 77 {version} IN IP4 {ip}\r\ns=desk\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP {formats}\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n\
         a=x-inner:{ip}\r\na={direction}\r\n"
    )
}
