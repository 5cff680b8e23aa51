//! SIP out of TCP: each direction's bytes in order, cut into messages.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;

use crate::limits::{CAPTURE_SEGMENTS, CAPTURE_STREAMS};
use crate::wire::sip::frame::{Frame, Framer};

/// Source and destination.
pub(super) type Ends = (SocketAddr, SocketAddr);

#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: HashMap<Ends, Stream>,
    left_out: u64,
}

#[derive(Debug)]
struct Stream {
    /// Sequence number of the next byte.
    next: u32,
    framer: Framer,
    /// Segments behind a missing one, by their sequence number.
    early: BTreeMap<u32, Bytes>,
    messages: VecDeque<Bytes>,
    /// Not SIP, or a hole that was never filled.
    is_lost: bool,
}

impl Streams {
    pub(super) fn segment(&mut self, ends: Ends, sequence: u32, syn: bool, payload: &[u8]) {
        if !syn && payload.is_empty() {
            return;
        }
        let is_new = syn || !self.streams.contains_key(&ends);
        if is_new {
            if self.streams.len() >= CAPTURE_STREAMS {
                self.left_out += 1;
                return;
            }
            let next = if syn { sequence.wrapping_add(1) } else { sequence };
            // A SYN that comes again changes nothing that its stream has heard.
            let is_copy = self.streams.get(&ends).is_some_and(|stream| stream.next == next);
            if !is_copy {
                self.streams.insert(ends, Stream::new(next));
            }
        }
        if let Some(stream) = self.streams.get_mut(&ends)
            && !stream.take(sequence.wrapping_add(u32::from(syn)), payload)
        {
            self.left_out += 1;
        }
    }

    /// The next whole message of a direction.
    pub(super) fn message(&mut self, ends: Ends) -> Option<Bytes> {
        self.streams.get_mut(&ends)?.messages.pop_front()
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

impl Stream {
    fn new(next: u32) -> Stream {
        Stream { next, framer: Framer::new(), early: BTreeMap::new(), messages: VecDeque::new(), is_lost: false }
    }

    /// False: the segment is of no use.
    fn take(&mut self, sequence: u32, payload: &[u8]) -> bool {
        if payload.is_empty() {
            return true;
        }
        if self.is_lost {
            return false;
        }
        if !self.append(sequence, payload) {
            if self.early.len() >= CAPTURE_SEGMENTS {
                self.is_lost = true;
                self.early.clear();
                return false;
            }
            self.early.insert(sequence, Bytes::copy_from_slice(payload));
            return true;
        }
        // What came early may fit now; each round takes one away.
        while let Some(at) = self.early.keys().copied().find(|at| behind(*at, self.next).is_some()) {
            if let Some(payload) = self.early.remove(&at) {
                self.append(at, &payload);
            }
        }
        self.cut();
        true
    }

    /// False: bytes are missing before it. What is known already is left away.
    fn append(&mut self, sequence: u32, payload: &[u8]) -> bool {
        let Some(known) = behind(sequence, self.next) else { return false };
        if let Some(new) = payload.get(known..).filter(|new| !new.is_empty()) {
            self.framer.push(new);
            self.next = self.next.wrapping_add(u32::try_from(new.len()).unwrap_or(0));
        }
        true
    }

    fn cut(&mut self) {
        loop {
            match self.framer.next() {
                Ok(Some(Frame::Message(bytes))) => self.messages.push_back(bytes),
                Ok(Some(Frame::Ping | Frame::Pong)) => {}
                Ok(None) => return,
                Err(_) => {
                    self.is_lost = true;
                    return;
                }
            }
        }
    }
}

/// How far `sequence` lies before `next`; `None` when it lies after it (RFC 9293 §3.4: modulo 2³²).
fn behind(sequence: u32, next: u32) -> Option<usize> {
    let distance = next.wrapping_sub(sequence);
    (distance < 1 << 31).then(|| usize::try_from(distance).unwrap_or(usize::MAX))
}
