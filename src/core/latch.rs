//! Which source of media is believed, and where media is sent: one [`Latch`] for each side of a call.
//!
//! Without NAT mode the address in the party's SDP is the only source and the only destination. With NAT mode (a choice
//! per trunk and company) the SDP may name an address that we never see, so a source is learned, by rule:
//!
//! * Only the IP of the SDP or of the party's signalling can be learned, never another one.
//! * The signalled address itself is believed with its first packet. Another port of those IPs is believed after
//!   [`LATCH_PACKETS`] packets of one SSRC in sequence within [`LATCH_WINDOW`].
//! * Who is learned stays, until it has been quiet for [`LATCH_QUIET`] and another source fulfils the rule; with the
//!   same SSRC its sequence must go on where the old one's ended.
//! * A new address in SDP forgets everything.
//!
//! In either mode, before something has come from the signalled address, media is sent there only when signalling vouches
//! for it ([`Rule::vouched`]): an SDP that names a third party must not flood it.
//!
//! RTCP has no sequence numbers. In NAT mode its port is learned from the IP of the learned RTP source, when the report
//! comes from the SSRC that we hear there.

use std::net::{IpAddr, SocketAddr};

use crate::limits::{LATCH_CANDIDATES, LATCH_PACKETS, LATCH_QUIET, LATCH_QUIET_RTCP, LATCH_WINDOW};
use crate::time::Mono;

/// What signalling knows of a side's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub rtp: SocketAddr,
    /// `None`: RTCP is neither accepted nor sent.
    pub rtcp: Option<SocketAddr>,
    /// Source of the side's signalling.
    pub signalling: IpAddr,
    /// `rtp` may be sent to unheard.
    pub vouched: bool,
    pub nat: bool,
}

/// What the latch thinks of a packet's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    Believed,
    /// An IP that may be learned, and not yet enough packets, or another source is talking.
    Learning,
    Stranger,
}

/// One side's rule and what was learned under it.
#[derive(Clone, Debug, Default)]
pub struct Latch {
    rule: Option<Rule>,
    learned: Option<Learned>,
    candidates: [Option<Candidate>; LATCH_CANDIDATES],
    rtcp: Option<(SocketAddr, Mono)>,
}

impl Latch {
    /// Sets the rule. A changed address forgets what was learned; the same rule again changes nothing.
    pub fn set_rule(&mut self, rule: Option<Rule>) {
        let same_rtp = match (&self.rule, &rule) {
            (Some(old), Some(new)) => (old.rtp, old.signalling, old.nat) == (new.rtp, new.signalling, new.nat),
            (None, None) => true,
            _ => false,
        };
        if !same_rtp {
            *self = Latch { rule, ..Latch::default() };
        } else if self.rule != rule {
            self.rule = rule;
            self.rtcp = None;
        }
    }

    /// The rule in force.
    pub fn rule(&self) -> Option<Rule> {
        self.rule
    }

    /// A cheap look before a packet is parsed: false when no rule could ever believe this source.
    pub fn may_believe(&self, source: SocketAddr) -> bool {
        self.rule.is_some_and(|rule| {
            is_same(source, rule.rtp) || (rule.nat && (source.ip() == rule.rtp.ip() || source.ip() == rule.signalling))
        })
    }

    /// Whether this source is the signalled or the learned one, so that believing it adds no new destination.
    pub fn is_known(&self, source: SocketAddr) -> bool {
        self.rule.is_some_and(|rule| is_same(rule.rtp, source))
            || self.learned.is_some_and(|learned| is_same(learned.source, source))
    }

    /// [`Latch::may_believe`] for the RTCP port.
    pub fn may_believe_rtcp(&self, source: SocketAddr) -> bool {
        self.rule.is_some_and(|rule| {
            let signalled = rule.rtcp.is_some_and(|rtcp| is_same(rtcp, source));
            signalled || (rule.nat && (source.ip() == rule.rtp.ip() || source.ip() == rule.signalling))
        })
    }

    /// [`Latch::is_known`] for the RTCP port.
    pub fn is_known_rtcp(&self, source: SocketAddr) -> bool {
        self.rule.and_then(|rule| rule.rtcp).is_some_and(|rtcp| is_same(rtcp, source))
            || self.rtcp.is_some_and(|(learned, _)| is_same(learned, source))
    }

    /// Judges the source of a sound RTP packet.
    pub fn on_rtp(&mut self, now: Mono, source: SocketAddr, ssrc: u32, sequence: u16) -> Belief {
        let Some(rule) = self.rule.filter(|_| self.may_believe(source)) else { return Belief::Stranger };
        let heard = Learned { source, ssrc, sequence, at: now };
        if !rule.nat {
            self.learned.get_or_insert(heard);
            return Belief::Believed;
        }
        if let Some(learned) = &mut self.learned {
            if is_same(learned.source, source) {
                *learned = heard;
                return Belief::Believed;
            }
            if now.since(learned.at) < LATCH_QUIET {
                return Belief::Learning;
            }
        }
        if is_same(source, rule.rtp) || self.has_proved(heard) {
            self.learn(heard);
            return Belief::Believed;
        }
        Belief::Learning
    }

    /// Judges the source of a sound RTCP packet whose first report comes from `sender`.
    pub fn on_rtcp(&mut self, now: Mono, source: SocketAddr, sender: u32) -> bool {
        let Some(rule) = self.rule else { return false };
        let signalled = rule.rtcp.is_some_and(|rtcp| is_same(rtcp, source));
        if !rule.nat || rule.rtcp.is_none() {
            if signalled {
                self.rtcp.get_or_insert((source, now));
            }
            return signalled;
        }
        if let Some((learned, at)) = &mut self.rtcp {
            if is_same(*learned, source) {
                *at = now;
                return true;
            }
            if now.since(*at) < LATCH_QUIET_RTCP {
                return false;
            }
        }
        let same_party = self.learned.is_some_and(|rtp| rtp.source.ip() == source.ip() && rtp.ssrc == sender);
        if signalled || same_party {
            self.rtcp = Some((source, now));
        }
        signalled || same_party
    }

    /// Where RTP for this side goes; `None`: nowhere yet.
    pub fn rtp_destination(&self) -> Option<SocketAddr> {
        let rule = self.rule?;
        match self.learned {
            Some(learned) => Some(learned.source),
            None => rule.vouched.then_some(rule.rtp),
        }
    }

    /// Where RTCP for this side goes; `None`: nowhere yet.
    pub fn rtcp_destination(&self) -> Option<SocketAddr> {
        let rule = self.rule?;
        let signalled = rule.rtcp?;
        if let Some((learned, _)) = self.rtcp {
            return Some(learned);
        }
        // With no port rewritten on the way of RTP, the signalled RTCP port is right too.
        let not_rewritten =
            self.learned.is_some_and(|rtp| is_same(rtp.source, rule.rtp) && rtp.source.ip() == signalled.ip());
        let vouched = signalled.ip() == rule.signalling || (rule.vouched && signalled.ip() == rule.rtp.ip());
        (vouched || not_rewritten).then_some(signalled)
    }

    fn learn(&mut self, heard: Learned) {
        // A new RTP source is a new binding in the NAT: RTCP's is new too.
        self.rtcp = None;
        self.learned = Some(heard);
        self.candidates = Default::default();
    }

    /// Counts a packet for its source; true when the source has fulfilled the rule.
    fn has_proved(&mut self, heard: Learned) -> bool {
        if let Some(old) = self.learned
            && old.ssrc == heard.ssrc
            && !is_ahead(heard.sequence, old.sequence)
        {
            return false;
        }
        let slot = self.candidates.iter().position(|c| c.is_some_and(|c| is_same(c.last.source, heard.source)));
        // A newcomer takes a free place, else the place of who has been silent longest.
        let slot = slot.or_else(|| (0..LATCH_CANDIDATES).min_by_key(|&i| self.candidates[i].map(|c| c.last.at)));
        let Some(place) = slot.and_then(|i| self.candidates.get_mut(i)) else { return false };
        let candidate = match *place {
            Some(c) if c.goes_on(heard) => Candidate { count: c.count.saturating_add(1), first: c.first, last: heard },
            _ => Candidate { count: 1, first: heard.at, last: heard },
        };
        *place = Some(candidate);
        candidate.count >= LATCH_PACKETS
    }
}

/// A packet of a source, the last one heard.
#[derive(Clone, Copy, Debug)]
struct Learned {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
    at: Mono,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    count: u8,
    first: Mono,
    last: Learned,
}

impl Candidate {
    fn goes_on(&self, heard: Learned) -> bool {
        is_same(self.last.source, heard.source)
            && self.last.ssrc == heard.ssrc
            && self.last.sequence.wrapping_add(1) == heard.sequence
            && heard.at.since(self.first) <= LATCH_WINDOW
    }
}

/// IPv6 flow labels and scopes are not part of who someone is.
fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip() == b.ip() && a.port() == b.port()
}

/// Whether a sequence number comes after another one, across the wrap.
fn is_ahead(sequence: u16, of: u16) -> bool {
    (1..0x8000).contains(&sequence.wrapping_sub(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNALLED: &str = "198.51.100.7:4000";
    const REBOUND: &str = "198.51.100.7:61000";
    const STRANGER: &str = "203.0.113.66:4000";

    fn at(ms: u64) -> Mono {
        Mono(ms * 1_000_000)
    }

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn rule(rtp: &str, nat: bool) -> Rule {
        let rtp = addr(rtp);
        let rtcp = Some(SocketAddr::new(rtp.ip(), rtp.port() + 1));
        let signalling = addr(SIGNALLED).ip();
        Rule { rtp, rtcp, signalling, vouched: rtp.ip() == signalling, nat }
    }

    fn latch(rtp: &str, nat: bool) -> Latch {
        let mut latch = Latch::default();
        latch.set_rule(Some(rule(rtp, nat)));
        latch
    }

    /// Sends `count` packets in sequence, 20 ms apart, and gives the last verdict.
    fn send(latch: &mut Latch, source: &str, ms: u64, ssrc: u32, sequence: u16, count: u16) -> Belief {
        let mut last = Belief::Stranger;
        for i in 0..count {
            last = latch.on_rtp(at(ms + 20 * u64::from(i)), addr(source), ssrc, sequence.wrapping_add(i));
        }
        last
    }

    #[test]
    fn without_nat_only_the_signalled_address_counts() {
        let mut latch = latch(SIGNALLED, false);
        for (source, expected) in [
            (SIGNALLED, Belief::Believed),
            (REBOUND, Belief::Stranger),
            (STRANGER, Belief::Stranger),
            ("[2001:db8::1]:4000", Belief::Stranger),
        ] {
            assert_eq!(send(&mut latch, source, 0, 1, 1, 50), expected, "{source}");
        }
        assert_eq!(latch.rtp_destination(), Some(addr(SIGNALLED)));
        assert!(latch.on_rtcp(at(0), addr("198.51.100.7:4001"), 5));
        assert!(!latch.on_rtcp(at(0), addr("198.51.100.7:4002"), 1));
        assert_eq!(latch.rtcp_destination(), Some(addr("198.51.100.7:4001")));
    }

    #[test]
    fn without_a_rule_nobody_is_believed_and_nothing_is_sent() {
        let mut latch = Latch::default();
        assert_eq!(send(&mut latch, SIGNALLED, 0, 1, 1, 9), Belief::Stranger);
        assert!(!latch.on_rtcp(at(0), addr(SIGNALLED), 1));
        assert_eq!((latch.rtp_destination(), latch.rtcp_destination()), (None, None));
    }

    #[test]
    fn e02_nat_learns_after_five_in_sequence() {
        let mut latch = latch("192.168.1.5:4000", true);
        assert_eq!(latch.rtp_destination(), None, "a private address is not sent to");
        for i in 0..4 {
            assert_eq!(latch.on_rtp(at(20 * i), addr(REBOUND), 1, 65_533u16.wrapping_add(i as u16)), Belief::Learning);
            assert_eq!(latch.rtp_destination(), None);
        }
        assert_eq!(latch.on_rtp(at(80), addr(REBOUND), 1, 65_533u16.wrapping_add(4)), Belief::Believed);
        assert_eq!(latch.rtp_destination(), Some(addr(REBOUND)));
    }

    #[test]
    fn four_in_sequence_are_not_enough() {
        for (name, sequences, step, ssrc_step) in [
            ("a gap", [1u16, 2, 3, 4, 6], 20u64, 0u32),
            ("a duplicate", [1, 2, 3, 4, 4], 20, 0),
            ("too slow", [1, 2, 3, 4, 5], 500, 0),
            ("another SSRC each time", [1, 2, 3, 4, 5], 20, 1),
        ] {
            let mut latch = latch("192.168.1.5:4000", true);
            for (i, sequence) in sequences.into_iter().enumerate() {
                let i = i as u32;
                let now = at(step * u64::from(i));
                assert_eq!(latch.on_rtp(now, addr(REBOUND), ssrc_step * i, sequence), Belief::Learning, "{name}");
            }
            assert_eq!(latch.rtp_destination(), None, "{name}");
        }
    }

    #[test]
    fn e02_an_early_attacker_from_elsewhere_is_never_learned() {
        let mut latch = latch("192.168.1.5:4000", true);
        for i in 0..60u16 {
            assert_eq!(latch.on_rtp(at(5 * u64::from(i)), addr(STRANGER), 9, i), Belief::Stranger);
            assert_eq!(latch.rtp_destination(), None);
        }
        assert_eq!(send(&mut latch, REBOUND, 300, 1, 1, 5), Belief::Believed);
        assert_eq!(latch.rtp_destination(), Some(addr(REBOUND)));
    }

    #[test]
    fn the_signalled_address_is_believed_at_once() {
        let mut latch = latch(SIGNALLED, true);
        assert_eq!(latch.rtp_destination(), Some(addr(SIGNALLED)), "it is where the signalling comes from");
        assert_eq!(send(&mut latch, SIGNALLED, 0, 1, 1, 1), Belief::Believed);
    }

    #[test]
    fn e03_a_learned_source_stays_while_it_talks() {
        let mut latch = latch("192.168.1.5:4000", true);
        send(&mut latch, REBOUND, 0, 1, 1, 5);
        for i in 0..100u16 {
            let ms = 100 + 20 * u64::from(i);
            assert_eq!(latch.on_rtp(at(ms), addr(REBOUND), 1, 6 + i), Belief::Believed);
            assert_eq!(latch.on_rtp(at(ms + 1), addr("198.51.100.7:7777"), 2, i), Belief::Learning);
        }
        assert_eq!(latch.rtp_destination(), Some(addr(REBOUND)));
    }

    #[test]
    fn e03_an_honest_rebinding_is_followed_after_a_pause() {
        for (name, ssrc, sequence, expected) in [
            ("the sequence goes on", 1, 80, Belief::Believed),
            ("a new SSRC", 2, 9_000, Belief::Believed),
            ("the same SSRC from the past", 1, 60_000, Belief::Learning),
        ] {
            let mut latch = latch("192.168.1.5:4000", true);
            send(&mut latch, REBOUND, 0, 1, 1, 5);
            assert_eq!(
                send(&mut latch, "198.51.100.7:7777", 200, ssrc, sequence, 5),
                Belief::Learning,
                "{name}: early"
            );
            let later = 80 + 1_500;
            assert_eq!(send(&mut latch, "198.51.100.7:7777", later, ssrc, sequence + 10, 5), expected, "{name}");
        }
    }

    #[test]
    fn many_sources_of_one_ip_do_not_grow_the_list() {
        let mut latch = latch("192.168.1.5:4000", true);
        for port in 10_000..11_000u16 {
            let source = SocketAddr::new(addr(REBOUND).ip(), port);
            assert_eq!(latch.on_rtp(at(u64::from(port)), source, 1, 1), Belief::Learning);
        }
        assert_eq!(send(&mut latch, REBOUND, 11_000, 1, 1, 5), Belief::Believed);
    }

    #[test]
    fn a_new_address_forgets_the_old_one() {
        let mut latch = latch("192.168.1.5:4000", true);
        send(&mut latch, REBOUND, 0, 1, 1, 5);
        latch.set_rule(Some(rule("192.168.1.5:4000", true)));
        assert_eq!(latch.rtp_destination(), Some(addr(REBOUND)), "the same SDP again changes nothing");
        latch.set_rule(Some(rule("192.168.1.5:4002", true)));
        assert_eq!(latch.rtp_destination(), None);
        assert_eq!(latch.on_rtp(at(200), addr(REBOUND), 1, 6), Belief::Learning);
        latch.set_rule(None);
        assert_eq!(latch.on_rtp(at(220), addr(REBOUND), 1, 7), Belief::Stranger);
    }

    #[test]
    fn rtcp_behind_nat_must_come_from_the_party_we_hear() {
        let mut latch = latch("192.168.1.5:4000", true);
        let reports = addr("198.51.100.7:61001");
        assert!(!latch.on_rtcp(at(0), reports, 1), "nothing is learned yet");
        send(&mut latch, REBOUND, 0, 1, 1, 5);
        assert_eq!(latch.rtcp_destination(), None);
        assert!(!latch.on_rtcp(at(100), reports, 2), "another SSRC");
        assert!(!latch.on_rtcp(at(100), addr("203.0.113.66:61001"), 1), "another IP");
        assert!(latch.on_rtcp(at(100), reports, 1));
        assert_eq!(latch.rtcp_destination(), Some(reports));
        assert!(!latch.on_rtcp(at(200), addr("198.51.100.7:9999"), 1), "the learned one is not quiet");
        assert!(latch.on_rtcp(at(20_000), addr("198.51.100.7:9999"), 1));
    }
}
