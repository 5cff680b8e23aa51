//! The thread that owns [`B2bua`]: sockets in, sockets out. One current-thread runtime; its tasks share the machine
//! without a lock, and none of them holds it across an await.

mod bounces;
mod door;
mod pauses;

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::config::Listener;
use crate::core::agent::drops::Drops;
use crate::core::agent::{Failure, Flow, Transmit};
use crate::core::b2bua::{B2bua, Counts, Input, Output, Refused, Settings};
use crate::core::decide::Ask;
use crate::core::defence::Ban;
use crate::core::ears::{Answer as Answered, Report};
use crate::core::event::Event;
use crate::core::locate::{Asker, Query};
use crate::core::media::{MediaCommand, MediaNotice};
use crate::core::probe::ProbeState;
use crate::core::registration::TrunkState;
use crate::core::stir::Answer;
use crate::ids::{CallId, Side};
use crate::io::clock;
use crate::io::dns::{Dns, DnsFigures};
use crate::io::sip_stream::{self, StreamFigures, Streams};
use crate::limits;
use crate::time::{Mono, Now};

pub use door::Measured;
use door::{Arrived, Door};
use pauses::Pauses;

/// What other threads may ask of signalling.
#[derive(Debug)]
pub enum Command {
    Media(CallId, MediaNotice),
    /// What a company's webhook said of a call, or the code of why it said nothing.
    Decided(CallId, Result<Bytes, &'static str>),
    /// What stands at the URL of a certificate, if it could be had.
    Fetched(Box<str>, Option<Answer>),
    /// Answers whether there was such a call.
    HangUp(CallId, &'static str, oneshot::Sender<bool>),
    HangUpAll(&'static str),
    /// Pauses a call's recording (`true`), or lets it go on. Answers when the media thread has, or with the code of why not.
    Pause(CallId, bool, oneshot::Sender<Result<(), &'static str>>),
    /// A call that nobody has answered yet is not to be recorded; or the code of why it cannot be helped.
    DoNotRecord(CallId, oneshot::Sender<Result<(), &'static str>>),
    /// A PBX's word on one of its calls.
    Hear(Box<Report>, oneshot::Sender<Answered>),
    /// The link to this PBX is lost.
    EarLost(String),
    /// This PBX has listed its calls, by its own ids.
    EarSynced(String, HashSet<String>),
    Drain,
    Reload(Arc<Settings>),
    Counts(oneshot::Sender<(Counts, usize)>),
    /// Bans in force.
    Bans(oneshot::Sender<Vec<Ban>>),
    /// Ends a ban; answers whether there was one.
    Unban(IpAddr, oneshot::Sender<bool>),
    Figures(oneshot::Sender<Figures>),
    /// End of the thread.
    Stop,
}

/// What signalling counts, for metrics.
#[derive(Clone, Debug)]
pub struct Figures {
    pub counts: Counts,
    /// Messages not taken, by reason, since the start.
    pub drops: Drops,
    pub dns: DnsFigures,
    /// Hops that are remembered as failed.
    pub hops_down: usize,
    /// Bans in force, and how many there were since the start.
    pub bans: usize,
    pub banned: u64,
    pub measured: Measured,
    pub streams: StreamFigures,
}

/// Direction of an observed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Received,
    Sent,
}

/// What signalling tells the rest of the daemon. Called on the signalling thread: must not wait.
pub trait Hooks {
    fn on_event(&mut self, event: Event);
    /// A trunk's registration has changed its state.
    fn on_trunk(&mut self, state: TrunkState);
    /// A trunk was asked whether it is there.
    fn on_probe(&mut self, state: ProbeState);
    fn on_refused(&mut self, refused: Refused);
    /// A call that was counted under the first name is the second's now.
    fn on_taken_over(&mut self, from: &str, to: &str);
    /// The configuration was read again.
    fn on_reload(&mut self, settings: &Arc<Settings>);
    /// A leg of a call came to be: this is its SIP Call-ID.
    fn on_leg(&mut self, call: CallId, side: Side, sip_call_id: &str);
    /// Every message, as it came or went.
    fn on_message(&mut self, now: Now, seen: Seen, flow: &Flow, bytes: &Bytes);
    /// Gets what stands at this URL; [`Command::Fetched`] answers, once.
    fn on_fetch(&mut self, url: Box<str>);
    /// Asks a company's webhook; [`Command::Decided`] answers, once.
    fn on_decide(&mut self, ask: Ask);
    /// Takes ports for a call, or says why not (stable code).
    fn on_media(&mut self, now: Now, call: CallId, command: MediaCommand) -> Option<MediaNotice>;
}

/// Bound listeners, ready to be given to the thread.
#[derive(Debug)]
pub struct Bound {
    pub listeners: Vec<Listener>,
    sockets: Vec<std::net::UdpSocket>,
    streams: Vec<std::net::TcpListener>,
}

impl Bound {
    /// Binds every listener. `concrete` replaces a wildcard address in Via, Contact and SDP.
    pub fn bind(listen: &[Listener], concrete: impl Fn(SocketAddr) -> SocketAddr) -> io::Result<Bound> {
        let mut bound = Bound { listeners: Vec::new(), sockets: Vec::new(), streams: Vec::new() };
        // UDP first in the list, streams after: `serve` pairs them with their sockets in this order.
        for listener in listen.iter().filter(|listener| listener.transport == rsip::Transport::Udp) {
            let socket = udp(listener.address).map_err(|error| named(listener, &error))?;
            let address = concrete(socket.local_addr()?);
            bound.listeners.push(Listener { address, ..listener.clone() });
            bound.sockets.push(socket);
        }
        for listener in listen.iter().filter(|listener| listener.transport != rsip::Transport::Udp) {
            let stream = sip_stream::listen(listener.address).map_err(|error| named(listener, &error))?;
            let address = concrete(stream.local_addr()?);
            bound.listeners.push(Listener { address, ..listener.clone() });
            bound.streams.push(stream);
        }
        Ok(bound)
    }
}

fn named(listener: &Listener, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {}: {error}", listener.address))
}

fn udp(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A burst of INVITEs waits in the kernel while a turn runs; the kernel clamps what it does not allow.
    let _ = socket.set_recv_buffer_size(limits::SIP_SOCKET_BUFFER);
    // With the right to it (CAP_NET_ADMIN) a burst fits whatever `net.core.rmem_max` says.
    let force = nix::sys::socket::sockopt::RcvBufForce;
    let _ = nix::sys::socket::setsockopt(&socket, force, &limits::SIP_SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(limits::SIP_SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Runs signalling until [`Command::Stop`]. Blocks the calling thread.
pub fn run(
    b2bua: B2bua,
    settings: Arc<Settings>,
    bound: Bound,
    hooks: Box<dyn Hooks>,
    commands: mpsc::UnboundedReceiver<Command>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, serve(b2bua, settings, bound, hooks, commands))
}

async fn serve(
    b2bua: B2bua,
    settings: Arc<Settings>,
    bound: Bound,
    hooks: Box<dyn Hooks>,
    mut commands: mpsc::UnboundedReceiver<Command>,
) -> io::Result<()> {
    let (connected, mut from_streams) = mpsc::channel(limits::STREAM_EVENTS);
    let mut sockets = Vec::new();
    for (listener, socket) in bound.listeners.iter().zip(bound.sockets) {
        sockets.push((listener.address, Rc::new(UdpSocket::from_std(socket)?)));
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let dns = Dns::new(&settings.config.sip.dns, seed);
    let streams = Streams::new(connected, Arc::clone(&settings));
    let signalling = Rc::new(RefCell::new(Signalling {
        b2bua,
        hooks,
        sockets: sockets.clone(),
        streams,
        pending: VecDeque::new(),
        measured: Measured::default(),
        pauses: Pauses::default(),
        resolved: VecDeque::new(),
        dns,
        armed: None,
        rearm: Rc::new(Notify::new()),
    }));
    for (local, socket) in sockets {
        tokio::task::spawn_local(read_udp(Rc::clone(&signalling), local, socket));
    }
    let stream_listeners = bound.listeners.into_iter().filter(|listener| listener.transport != rsip::Transport::Udp);
    for (listener, stream) in stream_listeners.zip(bound.streams) {
        let stream = tokio::net::TcpListener::from_std(stream)?;
        let accepted = Rc::clone(&signalling);
        tokio::task::spawn_local(sip_stream::accept(stream, move |stream, remote| {
            let mut signalling = accepted.borrow_mut();
            if !signalling.b2bua.is_banned(clock::mono(), remote.ip()) {
                signalling.streams.accept(stream, listener.transport, listener.address, remote);
            }
        }));
    }
    tokio::task::spawn_local(keep_time(Rc::clone(&signalling)));
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None | Some(Command::Stop) => return Ok(()),
                Some(command) => on_command(&signalling, command),
            },
            event = from_streams.recv() => if let Some(event) = event {
                let mut signalling = signalling.borrow_mut();
                if let Some(input) = signalling.streams.handle(event) {
                    signalling.handle(input);
                }
            },
        }
        finish_turn(&signalling);
    }
}

fn on_command(signalling: &Rc<RefCell<Signalling>>, command: Command) {
    let mut signalling = signalling.borrow_mut();
    // Whoever asked may have gone: an answer that nobody takes is no error.
    match command {
        Command::Media(call, notice) => signalling.handle(Input::Media(call, notice)),
        Command::Decided(call, answer) => signalling.handle(Input::Decided(call, answer)),
        Command::Fetched(url, answer) => signalling.handle(Input::Fetched { url, answer }),
        Command::HangUp(call, code, answer) => {
            let known = signalling.b2bua.has(call);
            signalling.handle(Input::HangUp(call, code));
            let _ = answer.send(known);
        }
        Command::Pause(call, pause, answer) => signalling.pause(call, pause, answer),
        Command::DoNotRecord(call, answer) => signalling.do_not_record(call, answer),
        Command::HangUpAll(code) => signalling.handle(Input::HangUpAll(code)),
        Command::Drain => signalling.handle(Input::Drain),
        Command::Reload(settings) => {
            signalling.dns.reconfigure(&settings.config.sip.dns);
            signalling.streams.reload(Arc::clone(&settings));
            signalling.hooks.on_reload(&settings);
            signalling.handle(Input::Reload(settings));
        }
        Command::Counts(answer) => {
            let _ = answer.send((signalling.b2bua.counts(), signalling.b2bua.connected()));
        }
        Command::Hear(report, answer) => {
            let now = clock::now();
            let answered = signalling.b2bua.hear(now, *report);
            // The event comes first: who is told of a call may ask for it.
            signalling.carry_out_all(now);
            let _ = answer.send(answered);
        }
        Command::EarLost(ear) => signalling.b2bua.ear_lost(clock::now(), &ear),
        Command::EarSynced(ear, alive) => {
            let now = clock::now();
            signalling.b2bua.ear_synced(now, &ear, &alive);
            signalling.carry_out_all(now);
        }
        Command::Bans(answer) => {
            let _ = answer.send(signalling.b2bua.bans(clock::now()));
        }
        Command::Unban(address, answer) => {
            let _ = answer.send(signalling.b2bua.unban(address));
        }
        Command::Figures(answer) => {
            let Signalling { b2bua, streams, measured, dns, .. } = &*signalling;
            let figures = Figures {
                counts: b2bua.counts(),
                drops: b2bua.agent().drops().clone(),
                streams: streams.figures(),
                dns: dns.figures(),
                hops_down: b2bua.health().count(),
                bans: b2bua.bans(clock::now()).len(),
                banned: b2bua.banned(),
                measured: *measured,
            };
            let _ = answer.send(figures);
        }
        Command::Stop => {}
    }
}

/// Datagrams of one socket. A turn is bounded, so that timers and commands are served under a flood.
async fn read_udp(signalling: Rc<RefCell<Signalling>>, local: SocketAddr, socket: Rc<UdpSocket>) {
    let mut door = Door::new(&socket);
    let mut lost = 0;
    loop {
        let Ok(ready) = socket.ready(Interest::READABLE | Interest::ERROR).await else { return };
        if ready.is_error() {
            hear_bounces(&signalling, &mut door, &socket);
        }
        let (mut taken, mut thrown) = (0, 0);
        // Strangers' datagrams cost next to nothing and are thrown away at once, so that known ones behind them come
        // to their turn.
        while taken < limits::DATAGRAMS_PER_TURN && thrown < limits::STRANGERS_PER_TURN {
            // Errors here are news of earlier sends (ICMP), whose particulars wait in the error queue.
            let arrived = match door.receive(&socket) {
                Ok(arrived) => arrived,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    taken += 1;
                    continue;
                }
            };
            let (remote, bytes) = (canonical(arrived.remote), door.bytes(&arrived));
            let mut signalling = signalling.borrow_mut();
            if !signalling.hears(&arrived, remote, bytes, &mut lost) {
                thrown += 1;
                continue;
            }
            taken += 1;
            let flow = Flow { transport: rsip::Transport::Udp, local, remote, connection: 0, name: None };
            signalling.handle(Input::Datagram(flow, Bytes::copy_from_slice(bytes)));
        }
        if thrown > 0 {
            signalling.borrow_mut().carry_out_all(clock::now());
        }
        finish_turn(&signalling);
        tokio::task::yield_now().await;
    }
}

/// What ICMP says of datagrams that this socket has sent.
fn hear_bounces(signalling: &Rc<RefCell<Signalling>>, door: &mut Door, socket: &UdpSocket) {
    for _ in 0..limits::BOUNCES_PER_TURN {
        let Ok((remote, quoted)) = door.bounced(socket) else { return };
        if let Some(remote) = remote {
            let quoted = quoted.get(..quoted.len().min(limits::BOUNCE_QUOTED)).unwrap_or_default();
            signalling.borrow_mut().handle(Input::Bounced(canonical(remote), Bytes::copy_from_slice(quoted)));
        }
    }
}

/// An IPv4 address in IPv6 dress is the IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

async fn keep_time(signalling: Rc<RefCell<Signalling>>) {
    let rearm = Rc::clone(&signalling.borrow().rearm);
    loop {
        let wait = {
            let mut signalling = signalling.borrow_mut();
            let next = signalling.b2bua.poll_timeout().map(|(at, _)| at);
            signalling.armed = next;
            next.map(|at| at.since(clock::mono()))
        };
        match wait {
            Some(wait) if wait.is_zero() => {
                signalling.borrow_mut().handle(Input::Timeout);
                finish_turn(&signalling);
                tokio::task::yield_now().await;
            }
            Some(wait) => {
                // One millisecond is the wheel's grain; sleeping less only turns twice.
                let wait = wait.max(Duration::from_millis(1));
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = rearm.notified() => {}
                }
            }
            None => rearm.notified().await,
        }
    }
}

/// Names that were asked for are looked up beside the machine; an earlier deadline wakes the timer.
fn finish_turn(signalling: &Rc<RefCell<Signalling>>) {
    loop {
        let Some((asker, query)) = signalling.borrow_mut().resolved.pop_front() else { break };
        let signalling = Rc::clone(signalling);
        tokio::task::spawn_local(async move {
            let (dns, reach) = {
                let signalling = signalling.borrow();
                (signalling.dns.clone(), signalling.b2bua.settings().reach())
            };
            let hops = dns.locate(&query, &reach).await;
            signalling.borrow_mut().handle(Input::Resolved(asker, hops));
            finish_turn(&signalling);
        });
    }
    let signalling = signalling.borrow();
    let next = signalling.b2bua.poll_timeout().map(|(at, _)| at);
    let earlier = match (next, signalling.armed) {
        (Some(next), Some(armed)) => next < armed,
        (Some(_), None) => true,
        (None, _) => false,
    };
    if earlier {
        signalling.rearm.notify_one();
    }
}

struct Signalling {
    b2bua: B2bua,
    hooks: Box<dyn Hooks>,
    sockets: Vec<(SocketAddr, Rc<UdpSocket>)>,
    streams: Streams,
    /// What an output led to, to be handled in the same turn.
    pending: VecDeque<Input>,
    measured: Measured,
    pauses: Pauses,
    resolved: VecDeque<(Asker, Query)>,
    dns: Dns,
    armed: Option<Mono>,
    rearm: Rc<Notify>,
}

impl Signalling {
    fn handle(&mut self, input: Input) {
        let now = clock::now();
        if let Input::Datagram(flow, bytes) = &input {
            self.hooks.on_message(now, Seen::Received, flow, bytes);
        }
        self.pending.push_back(input);
        while let Some(input) = self.pending.pop_front() {
            self.b2bua.handle(now, input);
            self.carry_out_all(now);
        }
    }

    fn carry_out_all(&mut self, now: Now) {
        while let Some(output) = self.b2bua.poll_output() {
            self.carry_out(now, output);
        }
    }

    /// Measures the wait of a datagram, and whether it is looked at at all; `lost` is its socket's last count of those
    /// that the kernel threw away.
    fn hears(&mut self, arrived: &Arrived, remote: SocketAddr, bytes: &[u8], lost: &mut u32) -> bool {
        let now = clock::now();
        let age = self.measured.note(now.wall, arrived, lost);
        if !self.b2bua.is_welcome(now, remote, bytes) {
            return false;
        }
        self.b2bua.handle(now, Input::Load(age));
        true
    }

    fn carry_out(&mut self, now: Now, output: Output) {
        match output {
            Output::Send(transmit) => {
                self.hooks.on_message(now, Seen::Sent, &transmit.flow, &transmit.bytes);
                self.send(&transmit);
            }
            Output::Media(call, command) => {
                if let Some(notice) = self.hooks.on_media(now, call, command) {
                    self.pending.push_back(Input::Media(call, notice));
                }
            }
            Output::Resolve { asker, query } => self.resolved.push_back((asker, query)),
            Output::Decide(ask) => self.hooks.on_decide(*ask),
            Output::Fetch { url } => self.hooks.on_fetch(url),
            Output::Event(event) => {
                self.pauses.on_event(&event.body);
                self.hooks.on_event(event);
            }
            Output::Refused(refused) => self.hooks.on_refused(refused),
            Output::TakenOver { from, to, .. } => self.hooks.on_taken_over(&from, &to),
            Output::Leg(call, side, sip_call_id) => self.hooks.on_leg(call, side, &sip_call_id),
            Output::Trunk(state) => self.hooks.on_trunk(state),
            Output::Probe(state) => self.hooks.on_probe(state),
        }
    }

    fn send(&mut self, transmit: &Transmit) {
        let flow = transmit.flow;
        if flow.transport != rsip::Transport::Udp {
            if let Err(failure) = self.streams.send(flow, transmit.bytes.clone()) {
                self.pending.push_back(Input::Unreachable(failure));
            }
            return;
        }
        let socket = self.sockets.iter().find(|(local, _)| *local == flow.local);
        let Some((_, socket)) = socket else {
            tracing::warn!(local = %flow.local, "no socket for this local address");
            return;
        };
        let mut sent = socket.try_send_to(&transmit.bytes, flow.remote);
        // The kernel tells whoever comes next of ICMP about an earlier datagram, and then has told it: it says nothing
        // about this one, and who floods us with such news must not keep it from leaving.
        for _ in 0..limits::SENDS {
            match sent {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    sent = socket.try_send_to(&transmit.bytes, flow.remote);
                }
                _ => break,
            }
        }
        match sent {
            Ok(_) => {}
            // A full send buffer is a lost datagram: the retransmission makes it good.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                tracing::debug!(remote = %flow.remote, %error, "cannot send");
                self.pending.push_back(Input::Unreachable(Failure::of(&flow, "destination_unreachable")));
            }
        }
    }
}
