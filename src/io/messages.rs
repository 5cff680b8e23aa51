//! The SIP messages of live and recent calls, for whoever has to see what was said: the API's ladder and
//! `leaseline trace`. Filled on the signalling thread as messages come and go; bounded in bytes, oldest call first.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::core::agent::Flow;
use crate::core::dtmf::info;
use crate::ids::{CallId, Side};
use crate::io::signalling::Seen;
use crate::limits;
use crate::time::Wall;
use crate::wire::sdp;

/// One message as it came or went.
#[derive(Clone, Debug)]
pub struct Message {
    pub at: Wall,
    pub seen: Seen,
    pub side: Side,
    /// Shared with the other messages of its leg.
    pub flow: Arc<Flow>,
    pub bytes: Bytes,
}

/// What is kept of one call.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub messages: Vec<Message>,
    /// Messages that were too many, or had to make room.
    pub left_out: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Messages {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Most bytes of messages; 0 keeps nothing.
    bytes_max: u64,
    bytes: u64,
    /// SIP Call-ID of a leg → its call.
    legs: HashMap<Box<str>, (CallId, Side), foldhash::fast::RandomState>,
    calls: HashMap<CallId, Entry, foldhash::fast::RandomState>,
    /// Calls in the order in which they began.
    order: VecDeque<CallId>,
    /// Calls whose recording pauses: keys in their messages are masked.
    paused: HashSet<CallId, foldhash::fast::RandomState>,
    /// What came lately and belongs to no call yet: an INVITE is read before its call exists.
    unclaimed: VecDeque<(Box<str>, Message)>,
}

#[derive(Debug, Default)]
struct Entry {
    kept: Kept,
    bytes: u64,
    legs: Vec<Box<str>>,
}

impl Messages {
    /// Keeps up to `bytes_max` bytes of messages; 0: none.
    pub fn new(bytes_max: u64) -> Messages {
        let inner = Inner {
            bytes_max,
            bytes: 0,
            legs: HashMap::default(),
            calls: HashMap::default(),
            order: VecDeque::new(),
            paused: HashSet::default(),
            unclaimed: VecDeque::new(),
        };
        Messages { inner: Mutex::new(inner) }
    }

    /// Another bound, after a reload.
    pub fn set_bytes_max(&self, bytes_max: u64) {
        let mut inner = self.lock();
        inner.bytes_max = bytes_max;
        inner.make_room();
    }

    /// A leg came to be. What was said in it before is its call's.
    pub fn on_leg(&self, call: CallId, side: Side, sip_call_id: &str) {
        let mut inner = self.lock();
        if inner.bytes_max == 0 {
            return;
        }
        if !inner.calls.contains_key(&call) {
            inner.order.push_back(call);
        }
        let entry = inner.calls.entry(call).or_default();
        entry.legs.push(sip_call_id.into());
        inner.legs.insert(sip_call_id.into(), (call, side));
        let unclaimed = std::mem::take(&mut inner.unclaimed);
        for (of, message) in unclaimed {
            if *of == *sip_call_id {
                inner.keep(call, Message { side, ..message });
            } else {
                inner.unclaimed.push_back((of, message));
            }
        }
        inner.make_room();
    }

    /// Keys that are pressed in this call are to be unreadable from now on, or need not be any more.
    pub fn mask_keys(&self, call: CallId, mask: bool) {
        let mut inner = self.lock();
        if mask && inner.paused.len() < limits::CALLS {
            inner.paused.insert(call);
        } else if !mask {
            inner.paused.remove(&call);
        }
    }

    /// The message as it may be shown: keys that are pressed are masked unless it is known that they need not be, keys of
    /// encrypted media always.
    pub fn shown(&self, bytes: &Bytes) -> Bytes {
        if let Some(masked) = sdp::without_keys(bytes) {
            return masked;
        }
        let Some(masked) = info::masked(bytes) else { return bytes.clone() };
        let inner = self.lock();
        let call = call_id(bytes).and_then(|id| inner.legs.get(id));
        if call.is_some_and(|(call, _)| !inner.paused.contains(call)) { bytes.clone() } else { masked }
    }

    /// A message came or went. Gives the call that it belongs to, when that is known.
    pub fn on_message(&self, at: Wall, seen: Seen, flow: &Flow, bytes: &Bytes) -> Option<CallId> {
        let sip_call_id = call_id(bytes)?;
        let mut inner = self.lock();
        let owner = inner.legs.get(sip_call_id).copied();
        if inner.bytes_max == 0 {
            return None;
        }
        // A message of a stream is a slice of what was read: it must not keep the rest alive. A datagram has its own bytes.
        let is_datagram = flow.transport == rsip::Transport::Udp;
        let bytes = if is_datagram { bytes.clone() } else { Bytes::copy_from_slice(bytes) };
        match owner {
            Some((call, side)) => {
                let flow = inner.flow_of(call, flow);
                inner.keep(call, Message { at, seen, side, flow, bytes });
                inner.make_room();
                Some(call)
            }
            None => {
                if seen == Seen::Received {
                    let message = Message { at, seen, side: Side::Caller, flow: Arc::new(*flow), bytes };
                    inner.unclaimed.push_back((sip_call_id.into(), message));
                    if inner.unclaimed.len() > limits::MESSAGES_UNCLAIMED {
                        inner.unclaimed.pop_front();
                    }
                }
                None
            }
        }
    }

    /// What was said in a call so far; `None`: nothing is kept of it, or not any more.
    pub fn of(&self, call: CallId) -> Option<Kept> {
        self.lock().calls.get(&call).map(|entry| entry.kept.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while it was held is none of the readers' business: the tables are whole between two statements.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// This flow as an earlier message of the call has it, if one came the same way.
    fn flow_of(&self, call: CallId, flow: &Flow) -> Arc<Flow> {
        let kept = self.calls.get(&call).map_or(&[][..], |entry| &entry.kept.messages);
        let known = kept.iter().rev().take(4).find(|message| *message.flow == *flow);
        known.map_or_else(|| Arc::new(*flow), |message| Arc::clone(&message.flow))
    }

    fn keep(&mut self, call: CallId, message: Message) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        if entry.kept.messages.len() >= limits::MESSAGES_PER_CALL {
            entry.kept.left_out += 1;
            return;
        }
        let size = (message.bytes.len() + size_of::<Message>()) as u64;
        entry.bytes += size;
        self.bytes += size;
        if entry.kept.messages.len() == entry.kept.messages.capacity() {
            // A plain call has ten when it is answered and fourteen at its end.
            entry.kept.messages.reserve_exact(if entry.kept.messages.is_empty() { 10 } else { 4 });
        }
        entry.kept.messages.push(message);
    }

    fn make_room(&mut self) {
        while self.bytes > self.bytes_max || self.order.len() > limits::MESSAGES_CALLS {
            let Some(oldest) = self.order.pop_front() else { return };
            let Some(entry) = self.calls.remove(&oldest) else { continue };
            self.bytes = self.bytes.saturating_sub(entry.bytes);
            for leg in &entry.legs {
                self.legs.remove(leg);
            }
        }
    }
}

/// Value of the first Call-ID line (RFC 3261 §20.8), found without reading the rest of the message.
fn call_id(message: &[u8]) -> Option<&str> {
    for line in memchr::memchr_iter(b'\n', message) {
        let rest = message.get(line + 1..)?;
        let value = match rest {
            [b'\r' | b'\n', ..] => return None,
            [b'i' | b'I', value @ ..] => value,
            _ => match rest.split_at_checked(7) {
                Some((name, value)) if name.eq_ignore_ascii_case(b"call-id") => value,
                _ => continue,
            },
        };
        let value = value.trim_ascii_start();
        let Some(value) = value.strip_prefix(b":") else { continue };
        let end = value.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(value.len());
        return std::str::from_utf8(value.get(..end)?.trim_ascii()).ok();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        Flow {
            transport: rsip::Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.2:5060".parse().unwrap(),
            connection: 0,
            name: None,
        }
    }

    fn say(messages: &Messages, seen: Seen, first: &str, call_id: &str) -> Option<CallId> {
        let text = format!("{first}\r\nVia: SIP/2.0/UDP x\r\nCall-ID: {call_id}\r\n\r\nCall-ID: body\r\n");
        messages.on_message(Wall(1), seen, &flow(), &Bytes::from(text))
    }

    #[test]
    fn a_call_has_the_messages_of_its_legs_and_of_no_other() {
        let messages = Messages::new(1 << 20);
        let call = CallId(7);
        assert_eq!(say(&messages, Seen::Received, "INVITE a SIP/2.0", "one"), None);
        assert_eq!(say(&messages, Seen::Received, "INVITE b SIP/2.0", "other"), None);
        messages.on_leg(call, Side::Caller, "one");
        messages.on_leg(call, Side::Company, "two");
        assert_eq!(say(&messages, Seen::Sent, "INVITE c SIP/2.0", "two"), Some(call));
        assert_eq!(say(&messages, Seen::Sent, "SIP/2.0 100 Trying", "one"), Some(call));
        let kept = messages.of(call).unwrap();
        let seen: Vec<_> = kept
            .messages
            .iter()
            .map(|m| (m.seen, m.side, String::from_utf8_lossy(&m.bytes[..8]).into_owned()))
            .collect();
        assert_eq!(
            seen,
            [
                (Seen::Received, Side::Caller, "INVITE a".to_owned()),
                (Seen::Sent, Side::Company, "INVITE c".to_owned()),
                (Seen::Sent, Side::Caller, "SIP/2.0 ".to_owned()),
            ]
        );
        assert!(messages.of(CallId(8)).is_none());
    }

    #[test]
    fn the_oldest_call_makes_room() {
        let messages = Messages::new(3_000);
        for n in 0..50_u128 {
            messages.on_leg(CallId(n), Side::Caller, &n.to_string());
            say(&messages, Seen::Received, "BYE a SIP/2.0", &n.to_string());
        }
        assert!(messages.of(CallId(0)).is_none() && messages.of(CallId(49)).is_some());
        let inner = messages.lock();
        assert!(inner.bytes <= 3_000 && inner.calls.len() < 50);
        assert_eq!((inner.legs.len(), inner.order.len()), (inner.calls.len(), inner.calls.len()));
    }

    #[test]
    fn one_call_cannot_take_all_the_room() {
        let messages = Messages::new(u64::MAX);
        messages.on_leg(CallId(1), Side::Caller, "x");
        for _ in 0..limits::MESSAGES_PER_CALL + 5 {
            say(&messages, Seen::Received, "INFO a SIP/2.0", "x");
        }
        let kept = messages.of(CallId(1)).unwrap();
        assert_eq!((kept.messages.len(), kept.left_out), (limits::MESSAGES_PER_CALL, 5));
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_to_be_kept() {
        let messages = Messages::new(0);
        messages.on_leg(CallId(1), Side::Caller, "x");
        assert_eq!(say(&messages, Seen::Received, "INVITE a SIP/2.0", "x"), None);
        assert!(messages.of(CallId(1)).is_none());
        assert_eq!(messages.lock().unclaimed.len(), 0);
    }

    #[test]
    fn the_call_id_is_found_in_every_form() {
        for (text, wanted) in [
            ("INVITE a SIP/2.0\r\nCall-ID: abc\r\n\r\n", Some("abc")),
            ("INVITE a SIP/2.0\r\ni:abc\r\n\r\n", Some("abc")),
            ("INVITE a SIP/2.0\r\nI : abc \r\n\r\n", Some("abc")),
            ("INVITE a SIP/2.0\r\nInfo: x\r\ncall-id\t:abc\r\n\r\n", Some("abc")),
            ("INVITE a SIP/2.0\r\nInfo: x\r\n\r\nCall-ID: abc\r\n", None),
            ("INVITE a SIP/2.0", None),
            ("", None),
        ] {
            assert_eq!(call_id(text.as_bytes()), wanted, "{text:?}");
        }
    }
}
