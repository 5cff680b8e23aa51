//! The counters of SIP messages, by method or code and by trunk: a message costs one look-up, and no label is written
//! for it again.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use prometheus_client::metrics::counter::Counter;

use crate::config::Trunk;
use crate::io::metrics::{Direction, Metrics};

/// See the module. For each trunk there are at most as many entries as there are methods and codes of three digits.
#[derive(Debug)]
pub(super) struct SipCounters {
    metrics: Arc<Metrics>,
    known: HashMap<(Direction, Start, usize), Counter, FixedState>,
}

/// What a first line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Start {
    /// Place of the method in rsip's list of them.
    Request(u8),
    Response(u16),
}

impl SipCounters {
    pub(super) fn new(metrics: Arc<Metrics>) -> SipCounters {
        SipCounters { metrics, known: HashMap::default() }
    }

    /// The trunks may be others from now on.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Counts one message by its first line; one that has none is not counted. `trunk` lives until
    /// [`SipCounters::forget`].
    pub(super) fn count(&mut self, direction: Direction, message: &[u8], trunk: Option<&Arc<Trunk>>) {
        let name = trunk.map(|trunk| trunk.name.as_str());
        let whose = trunk.map_or(0, |trunk| Arc::as_ptr(trunk).addr());
        let metrics = &self.metrics;
        let counter = if let Some(status) = status(message) {
            let key = (direction, Start::Response(status), whose);
            self.known.entry(key).or_insert_with(|| metrics.sip_responses(direction, status, name))
        } else if let Some(method) = method(message) {
            let key = (direction, Start::Request(method as u8), whose);
            self.known.entry(key).or_insert_with(|| metrics.sip_requests(direction, &method, name))
        } else {
            return;
        };
        counter.inc();
    }
}

fn status(message: &[u8]) -> Option<u16> {
    let code = message.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
    code.iter().try_fold(0, |status, digit| digit.is_ascii_digit().then(|| status * 10 + u16::from(digit - b'0')))
}

fn method(message: &[u8]) -> Option<rsip::Method> {
    let end = message.iter().take(16).position(|byte| *byte == b' ')?;
    std::str::from_utf8(message.get(..end)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_counted_by_what_it_is_and_whose() {
        let metrics = Arc::new(Metrics::new());
        let mut counters = SipCounters::new(Arc::clone(&metrics));
        let (carrier, other) = (Arc::new(Trunk::bare("carrier")), Arc::new(Trunk::bare("other")));
        for _ in 0..2 {
            counters.count(Direction::Received, b"INVITE sip:a@b SIP/2.0\r\n", Some(&carrier));
            counters.count(Direction::Sent, b"SIP/2.0 180 Ringing\r\n", Some(&carrier));
            counters.forget();
        }
        counters.count(Direction::Sent, b"SIP/2.0 180 Ringing\r\n", Some(&other));
        counters.count(Direction::Sent, b"SIP/2.0 180 Ringing\r\n", None);
        for none in [&b"\r\n"[..], b"", b"SIP/2.0 1", b"SIP/2.0 1x0", b"no message of ours SIP/2.0"] {
            counters.count(Direction::Sent, none, None);
        }
        let text = metrics.render();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("leaseline_sip_re")).collect();
        let mut lines: Vec<&str> = lines.into_iter().filter(|line| line.contains("_total{")).collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                r#"leaseline_sip_requests_total{direction="received",method="INVITE",trunk="carrier"} 2"#,
                r#"leaseline_sip_responses_total{direction="sent",class="1xx",code="180",trunk="carrier"} 2"#,
                r#"leaseline_sip_responses_total{direction="sent",class="1xx",code="180",trunk="none"} 1"#,
                r#"leaseline_sip_responses_total{direction="sent",class="1xx",code="180",trunk="other"} 1"#,
            ]
        );
    }
}
