//! The tap between the media threads and the recordings thread: what was said, in the order it was said.
//!
//! A media thread never waits for a disk. Accepted packets are copied into a buffer of the thread; the buffer goes over
//! a bounded channel when it is full or about [`TAP_INTERVAL`] old, and comes back empty when the recorder drops it. So
//! a packet costs one copy: no allocation, no lock, no log. When all buffers are with the recorder, packets are left
//! out, counted, and reported as [`TapMessage::Lost`]. Words about a call ([`TapMessage::Start`] and so on) are never
//! dropped: they wait on the media thread's side until the channel has room.
//!
//! Order: all messages of one call come from one thread, in order: `Start`, then `Formats`, `Packets` and `Lost` as
//! they happened, then `Stop`. After `Stop` comes nothing of that call.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use crate::core::media::{Flowing, PayloadFormat, RecordingSpec};
use crate::ids::{CallId, Side};
use crate::limits::{TAP_ARENA, TAP_BACKLOG, TAP_BUFFERS, TAP_INTERVAL, TAP_PACKETS, TAP_QUEUE};
use crate::time::{Mono, Now};

/// What the recordings thread is told.
#[derive(Debug)]
pub enum TapMessage {
    /// A recording begins. `sides` (by [`Side::index`]) is what each side has agreed on by now.
    Start { spec: RecordingSpec, sides: [SideFormats; 2] },
    /// A side's formats or direction changed (re-INVITE, hold, resume) at this instant.
    Formats { call: CallId, side: Side, formats: SideFormats, at: Now },
    /// From this instant on nothing that is said gets into the file, or it does again.
    Pause { call: CallId, paused: bool, at: Now },
    /// Accepted RTP packets of many calls, in order of arrival. Drop it soon: that gives the buffer back.
    Packets(Batch),
    /// Packets that were not copied because the recorder was behind: a gap with the cause `overload`.
    Lost(Lost),
    /// The talk was over at this instant. The last message of the call.
    Stop { call: CallId, at: Now },
}

/// What one side has agreed on. The default says that nothing is known of the side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideFormats {
    /// All payload formats, the audio codec first.
    pub formats: Vec<PayloadFormat>,
    /// `None`: nothing known, nothing expected.
    pub flowing: Option<Flowing>,
}

/// Packets of one call that the recorder did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    pub call: CallId,
    /// How many of each side ([`Side::index`]).
    pub packets: [u32; 2],
    /// Arrival of the first and of the last of them.
    pub first: Mono,
    pub last: Mono,
}

/// One packet in a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapPacket<'a> {
    pub call: CallId,
    /// Who sent it.
    pub side: Side,
    /// When the media thread read it: the start of its turn, at most 2 ms early or late.
    pub at: Mono,
    /// The whole RTP packet, checked: version 2, header, extension and padding fit, and the payload type is one that
    /// was agreed on.
    pub bytes: &'a [u8],
}

/// Packets in order of arrival. Dropping it returns its buffers to the media thread.
#[derive(Debug)]
pub struct Batch {
    /// Always there until it is dropped or taken back unsent.
    buffers: Option<Buffers>,
    home: SyncSender<Buffers>,
}

impl Batch {
    /// The packets, in order of arrival.
    pub fn packets(&self) -> impl ExactSizeIterator<Item = TapPacket<'_>> {
        let (arena, records) = match &self.buffers {
            Some(b) => (b.arena.as_slice(), b.records.as_slice()),
            None => Default::default(),
        };
        records.iter().map(move |r| TapPacket {
            call: r.call,
            side: r.side,
            at: r.at,
            bytes: arena.get(r.start..r.end).unwrap_or_default(),
        })
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let Some(mut buffers) = self.buffers.take() else { return };
        buffers.arena.clear();
        buffers.records.clear();
        // The way home has room for every buffer there is; when the media thread is gone, so is the need.
        let _ = self.home.try_send(buffers);
    }
}

/// Makes the tap: a door for media threads and the recorder's end.
pub fn channel() -> (TapDoor, TapReceiver) {
    let (sender, receiver) = sync_channel(TAP_QUEUE);
    (TapDoor { sender }, TapReceiver { receiver })
}

/// Gives each media thread its own [`Tap`].
#[derive(Clone, Debug)]
pub struct TapDoor {
    sender: SyncSender<TapMessage>,
}

impl TapDoor {
    /// A tap for one media thread.
    pub fn tap(&self) -> Tap {
        let (home, returned) = sync_channel(TAP_BUFFERS);
        Tap {
            sender: self.sender.clone(),
            home,
            returned,
            made: 0,
            current: None,
            since: Mono::default(),
            backlog: VecDeque::new(),
            lost: HashMap::new(),
        }
    }
}

/// The recorder's end.
#[derive(Debug)]
pub struct TapReceiver {
    receiver: Receiver<TapMessage>,
}

impl TapReceiver {
    /// Waits for the next message. `Disconnected`: all media threads have ended, nothing more will come.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<TapMessage, RecvTimeoutError> {
        self.receiver.recv_timeout(timeout)
    }

    /// The next message if there is one.
    pub fn try_recv(&self) -> Result<TapMessage, TryRecvError> {
        self.receiver.try_recv()
    }
}

/// The media thread's end. Nothing in it waits.
#[derive(Debug)]
pub struct Tap {
    sender: SyncSender<TapMessage>,
    home: SyncSender<Buffers>,
    returned: Receiver<Buffers>,
    /// Buffers made so far, at most [`TAP_BUFFERS`].
    made: usize,
    current: Option<Buffers>,
    /// When `current` got its first packet.
    since: Mono,
    /// Messages that found the channel full. While there are any, what is copied waits behind them.
    backlog: VecDeque<TapMessage>,
    lost: HashMap<CallId, Lost>,
}

impl Tap {
    /// Begins a recording. Refused with the stable code `recorder_overload` when the recorder has been behind for so
    /// long that [`TAP_BACKLOG`] messages wait.
    pub fn start(&mut self, spec: RecordingSpec, sides: [SideFormats; 2]) -> Result<(), &'static str> {
        if self.backlog.len() >= TAP_BACKLOG {
            return Err("recorder_overload");
        }
        self.say(TapMessage::Start { spec, sides });
        Ok(())
    }

    /// A side of a call that is being recorded changed what it sends or wants.
    pub fn formats(&mut self, call: CallId, side: Side, formats: SideFormats, at: Now) {
        self.say(TapMessage::Formats { call, side, formats, at });
    }

    /// A recording pauses (`true`) or goes on.
    pub fn pause(&mut self, call: CallId, paused: bool, at: Now) {
        self.say(TapMessage::Pause { call, paused, at });
    }

    /// Copies one packet. False: no room, counted as lost.
    pub fn packet(&mut self, call: CallId, side: Side, at: Mono, bytes: &[u8]) -> bool {
        if self.current.as_ref().is_some_and(|b| !b.has_room(bytes.len())) {
            self.flush();
        }
        if self.current.is_none() {
            self.current = self.take_buffers();
            self.since = at;
            if self.current.is_some() && !self.lost.is_empty() {
                self.report_losses();
            }
        }
        match &mut self.current {
            Some(buffers) if buffers.has_room(bytes.len()) => {
                buffers.push(call, side, at, bytes);
                true
            }
            _ => {
                let lost = self.lost.entry(call).or_insert(Lost { call, packets: [0; 2], first: at, last: at });
                lost.packets[side.index()] = lost.packets[side.index()].saturating_add(1);
                lost.last = at;
                false
            }
        }
    }

    /// Ends a recording; its packets and losses go out before.
    pub fn stop(&mut self, call: CallId, at: Now) {
        self.say(TapMessage::Stop { call, at });
    }

    /// To be called every turn: sends what is old enough, and what found no room earlier.
    pub fn turn(&mut self, now: Mono) {
        let old = self.current.is_some() && now.since(self.since) >= TAP_INTERVAL;
        if old || !self.backlog.is_empty() || !self.lost.is_empty() {
            self.flush();
        }
    }

    /// When [`Tap::turn`] has something to do although no packet comes.
    pub fn poll_timeout(&self, now: Mono) -> Option<(Mono, &'static str)> {
        if !self.backlog.is_empty() || !self.lost.is_empty() {
            return Some((now + TAP_INTERVAL, "tap_backlog"));
        }
        self.current.is_some().then(|| (self.since + TAP_INTERVAL, "tap_flush"))
    }

    /// Sends everything that has room in the channel.
    pub fn flush(&mut self) {
        self.drain_backlog();
        if !self.backlog.is_empty() {
            return;
        }
        if let Some(buffers) = self.current.take() {
            let batch = Batch { buffers: Some(buffers), home: self.home.clone() };
            if let Err(TrySendError::Full(TapMessage::Packets(mut batch))) =
                self.sender.try_send(TapMessage::Packets(batch))
            {
                self.current = batch.buffers.take();
                return;
            }
            // When the recorder is gone, the batch came home by being dropped.
        }
        self.report_losses();
    }

    /// Sends what is left when the media thread ends; here waiting is allowed, but not for ever.
    pub fn finish(&mut self, patience: Duration) {
        const STEP: Duration = Duration::from_millis(5);
        for _ in 0..=patience.as_millis() / STEP.as_millis() {
            self.flush();
            if self.backlog.is_empty() && self.current.is_none() {
                return;
            }
            std::thread::sleep(STEP);
        }
    }

    /// Sends a message behind the packets that came before it.
    fn say(&mut self, message: TapMessage) {
        self.flush();
        if let Some(buffers) = self.current.take() {
            // The channel is full: what was copied joins the line, so that the order stays.
            let batch = Batch { buffers: Some(buffers), home: self.home.clone() };
            self.backlog.push_back(TapMessage::Packets(batch));
        }
        self.report_losses();
        if let TapMessage::Formats { call, side, .. } = &message {
            self.forget_older_formats(*call, *side);
        }
        self.backlog.push_back(message);
        self.drain_backlog();
    }

    /// When no packets stand between two words on a side's formats, only the last matters. This bounds the line: it
    /// holds at most [`TAP_BUFFERS`] batches.
    fn forget_older_formats(&mut self, call: CallId, side: Side) {
        let after_packets =
            self.backlog.iter().rposition(|m| matches!(m, TapMessage::Packets(_))).map_or(0, |last| last + 1);
        let older = (after_packets..self.backlog.len()).find(|&i| {
            matches!(self.backlog.get(i), Some(TapMessage::Formats { call: c, side: s, .. }) if *c == call && *s == side)
        });
        if let Some(older) = older {
            self.backlog.remove(older);
        }
    }

    /// What was copied before the losses is out or in line by now, so the recorder sees things in order.
    fn report_losses(&mut self) {
        self.backlog.extend(self.lost.drain().map(|(_, lost)| TapMessage::Lost(lost)));
        self.drain_backlog();
    }

    fn drain_backlog(&mut self) {
        while let Some(message) = self.backlog.pop_front() {
            match self.sender.try_send(message) {
                Ok(()) => {}
                Err(TrySendError::Full(message)) => {
                    self.backlog.push_front(message);
                    return;
                }
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }

    fn take_buffers(&mut self) -> Option<Buffers> {
        if let Ok(buffers) = self.returned.try_recv() {
            return Some(buffers);
        }
        if self.made >= TAP_BUFFERS {
            return None;
        }
        self.made += 1;
        Some(Buffers { arena: Vec::with_capacity(TAP_ARENA), records: Vec::with_capacity(TAP_PACKETS) })
    }
}

#[derive(Debug, Default)]
struct Buffers {
    arena: Vec<u8>,
    records: Vec<Record>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    call: CallId,
    side: Side,
    at: Mono,
    start: usize,
    end: usize,
}

impl Buffers {
    fn has_room(&self, bytes: usize) -> bool {
        self.records.len() < TAP_PACKETS && self.arena.len() + bytes <= TAP_ARENA
    }

    fn push(&mut self, call: CallId, side: Side, at: Mono, bytes: &[u8]) {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        self.records.push(Record { call, side, at, start, end: self.arena.len() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Wall;

    const CALL: CallId = CallId(7);

    fn spec() -> RecordingSpec {
        RecordingSpec { call: CALL, started: Now { mono: Mono(1), wall: Wall(1) } }
    }

    fn names(receiver: &TapReceiver) -> Vec<String> {
        let mut names = Vec::new();
        while let Ok(message) = receiver.try_recv() {
            names.push(match message {
                TapMessage::Start { .. } => "start".into(),
                TapMessage::Formats { .. } => "formats".into(),
                TapMessage::Pause { .. } => "pause".into(),
                TapMessage::Packets(batch) => format!("packets {}", batch.packets().len()),
                TapMessage::Lost(lost) => format!("lost {}", lost.packets[0] + lost.packets[1]),
                TapMessage::Stop { .. } => "stop".into(),
            });
        }
        names
    }

    #[test]
    fn a_call_is_told_in_order() {
        let (door, receiver) = channel();
        let mut tap = door.tap();
        tap.start(spec(), Default::default()).unwrap();
        assert!(tap.packet(CALL, Side::Caller, Mono(2), b"one"));
        tap.formats(CALL, Side::Company, SideFormats::default(), Now::default());
        assert!(tap.packet(CALL, Side::Company, Mono(3), b"two"));
        assert!(tap.packet(CALL, Side::Caller, Mono(4), b"three"));
        tap.stop(CALL, Now::default());
        assert_eq!(names(&receiver), ["start", "packets 1", "formats", "packets 2", "stop"]);
    }

    #[test]
    fn a_batch_goes_when_it_is_old_enough() {
        let (door, receiver) = channel();
        let mut tap = door.tap();
        tap.packet(CALL, Side::Caller, Mono(5), b"one");
        tap.turn(Mono(5) + TAP_INTERVAL / 2);
        assert!(names(&receiver).is_empty());
        assert_eq!(tap.poll_timeout(Mono(6)), Some((Mono(5) + TAP_INTERVAL, "tap_flush")));
        tap.turn(Mono(5) + TAP_INTERVAL);
        assert_eq!(names(&receiver), ["packets 1"]);
        assert_eq!(tap.poll_timeout(Mono(6)), None);
    }

    #[test]
    fn packets_come_out_as_they_went_in() {
        let (door, receiver) = channel();
        let mut tap = door.tap();
        tap.packet(CALL, Side::Caller, Mono(5), b"one");
        tap.packet(CallId(8), Side::Company, Mono(6), b"second");
        tap.flush();
        let Ok(TapMessage::Packets(batch)) = receiver.try_recv() else { panic!("no batch") };
        let packets: Vec<_> = batch.packets().collect();
        assert_eq!(packets[0], TapPacket { call: CALL, side: Side::Caller, at: Mono(5), bytes: b"one" });
        assert_eq!(packets[1], TapPacket { call: CallId(8), side: Side::Company, at: Mono(6), bytes: b"second" });
    }

    #[test]
    fn a_recorder_that_keeps_all_buffers_loses_packets_and_is_told() {
        let (door, receiver) = channel();
        let mut tap = door.tap();
        tap.start(spec(), Default::default()).unwrap();
        let packet = [0u8; 1_024];
        let fits = TAP_BUFFERS * (TAP_ARENA / packet.len());
        for i in 0..fits {
            assert!(tap.packet(CALL, Side::Caller, Mono(i as u64), &packet), "packet {i}");
        }
        tap.flush();
        let mut kept = Vec::new();
        while let Ok(message) = receiver.try_recv() {
            kept.push(message);
        }
        assert_eq!(kept.len(), 1 + TAP_BUFFERS);
        assert!(!tap.packet(CALL, Side::Caller, Mono(900), &packet));
        assert!(!tap.packet(CALL, Side::Company, Mono(901), &packet));
        drop(kept);
        assert!(tap.packet(CALL, Side::Company, Mono(902), &packet));
        tap.stop(CALL, Now::default());
        assert_eq!(names(&receiver), ["lost 2", "packets 1", "stop"]);
        assert_eq!(tap.made, TAP_BUFFERS, "buffers are used again");
    }

    #[test]
    fn words_wait_for_a_full_channel_and_are_not_dropped() {
        let (door, receiver) = channel();
        let mut tap = door.tap();
        for _ in 0..TAP_QUEUE {
            tap.start(spec(), Default::default()).unwrap();
        }
        assert!(tap.packet(CALL, Side::Caller, Mono(1), b"one"));
        for _ in 0..3 {
            tap.formats(CALL, Side::Caller, SideFormats::default(), Now::default());
        }
        tap.stop(CALL, Now::default());
        assert_eq!(names(&receiver).len(), TAP_QUEUE);
        tap.turn(Mono(2));
        assert_eq!(names(&receiver), ["packets 1", "formats", "stop"]);
    }

    #[test]
    fn new_recordings_are_refused_when_the_line_is_long() {
        let (door, _receiver) = channel();
        let mut tap = door.tap();
        let started =
            (0..TAP_QUEUE + 2 * TAP_BACKLOG).filter(|_| tap.start(spec(), Default::default()).is_ok()).count();
        assert_eq!(started, TAP_QUEUE + TAP_BACKLOG);
        assert_eq!(tap.start(spec(), Default::default()), Err("recorder_overload"));
    }

    #[test]
    fn a_recorder_that_is_gone_costs_nothing() {
        let (door, receiver) = channel();
        drop(receiver);
        let mut tap = door.tap();
        tap.start(spec(), Default::default()).unwrap();
        for i in 0..TAP_BUFFERS * TAP_PACKETS * 2 {
            tap.packet(CALL, Side::Caller, Mono(i as u64), b"x");
        }
        tap.stop(CALL, Now::default());
        assert!(tap.backlog.is_empty() && tap.lost.is_empty());
    }
}
