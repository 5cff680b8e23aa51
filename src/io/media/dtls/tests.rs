//! The other end of a leg, made of `dimpl` and of somebody else's STUN.

use stun_types::attribute::{AttributeType, RawAttribute, Username};
use stun_types::message::{
    IntegrityAlgorithm, Message, MessageClass, MessageIntegrityCredentials, MessageWriteVec, Method,
    ShortTermCredentials,
};
use stun_types::prelude::*;

use super::*;
use crate::wire::sdp::Credentials;
use crate::wire::srtp::Context;

/// A browser's end: its names in ICE, and its handshake.
pub(in crate::io::media) struct Browser {
    media: DtlsMedia,
    engine: Engine,
    pub(in crate::io::media) keys: Option<(Context, Context)>,
}

impl Browser {
    /// `is_active`: it begins the handshake, as browsers do.
    pub(in crate::io::media) fn new(now: Mono, is_active: bool) -> Browser {
        let identity = Identity::new(None).unwrap();
        let named = |ufrag: &str| Credentials::new(ufrag, &format!("{ufrag:0>22}")).unwrap();
        let media = DtlsMedia {
            fingerprint: identity.fingerprint(),
            is_active: !is_active,
            ours: named("engine"),
            theirs: named("browser"),
        };
        let engine = Engine::new(now, &identity, is_active);
        Browser { media, engine, keys: None }
    }

    /// What the engine is told of both ends.
    pub(in crate::io::media) fn media(&self) -> DtlsMedia {
        self.media.clone()
    }

    /// A check of connectivity that is proved with this password.
    pub(in crate::io::media) fn check(&self, pwd: &str, nominates: bool) -> Vec<u8> {
        let mut message = Message::builder_request(Method::new(1), MessageWriteVec::new());
        let user = format!("{}:{}", self.media.ours.ufrag, self.media.theirs.ufrag);
        message.add_attribute(&Username::new(&user).unwrap()).unwrap();
        message.add_attribute(&RawAttribute::new(AttributeType::new(0x802a), &[7; 8])).unwrap();
        message.add_attribute(&RawAttribute::new(AttributeType::new(0x0024), &[0x6e, 0, 1, 0xff])).unwrap();
        if nominates {
            message.add_attribute(&RawAttribute::new(AttributeType::new(0x0025), &[])).unwrap();
        }
        let credentials = MessageIntegrityCredentials::from(ShortTermCredentials::new(pwd.to_owned()));
        message.add_message_integrity(&credentials, IntegrityAlgorithm::Sha1).unwrap();
        message.add_fingerprint().unwrap();
        message.finish()
    }

    pub(in crate::io::media) fn nomination(&self) -> Vec<u8> {
        self.check(&self.media.ours.pwd, true)
    }

    /// Whether this is an answer that the engine has proved.
    pub(in crate::io::media) fn is_success(&self, bytes: &[u8]) -> bool {
        let credentials = MessageIntegrityCredentials::from(ShortTermCredentials::new(self.media.ours.pwd.to_string()));
        Message::from_bytes(bytes).is_ok_and(|message| {
            message.class() == MessageClass::Success && message.validate_integrity(&credentials).is_ok()
        })
    }

    /// What it sends after this packet, or to begin with.
    pub(in crate::io::media) fn handshake(&mut self, now: Mono, packet: Option<&[u8]>) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        self.engine.step(now, packet, &mut |bytes: &[u8]| sent.push(bytes.to_vec())).unwrap();
        if let Some(keys) = self.engine.keys.take_if(|_| self.engine.is_connected) {
            self.keys = Some((Context::new(&keys.send), Context::new(&keys.receive)));
        }
        sent
    }

    pub(in crate::io::media) fn shown(&self) -> Option<Fingerprint> {
        self.engine.certificate
    }
}

fn at(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

/// Lets a leg and a browser speak until nothing more is said; each packet is lost that `loses` says.
fn converse(
    leg: &mut DtlsLeg,
    identity: &Identity,
    browser: &mut Browser,
    mut loses: impl FnMut(usize) -> bool,
) -> Vec<Step> {
    let (mut steps, mut count) = (Vec::new(), 0);
    let mut to_leg: Vec<Vec<u8>> = Vec::new();
    let mut to_browser: Vec<Vec<u8>> = Vec::new();
    for turn in 0..200u64 {
        let now = at(100 * turn);
        to_leg.extend(browser.handshake(now, None));
        for bytes in std::mem::take(&mut to_leg) {
            count += 1;
            if !loses(count) {
                steps.push(leg.on_packet(now, identity, &bytes, |bytes| to_browser.push(bytes.to_vec())));
            }
        }
        steps.push(leg.on_timeout(now, identity, |bytes| to_browser.push(bytes.to_vec())));
        for bytes in std::mem::take(&mut to_browser) {
            count += 1;
            if !loses(count) {
                to_leg.extend(browser.handshake(now, Some(&bytes)));
            }
        }
    }
    steps.retain(|step| !matches!(step, Step::Going));
    steps
}

#[test]
fn both_ends_have_the_same_keys_whoever_begins() {
    let identity = Identity::new(None).unwrap();
    for browser_begins in [true, false] {
        let mut browser = Browser::new(at(0), browser_begins);
        let mut leg = DtlsLeg::new(&browser.media());
        let mut first = Vec::new();
        let begun = leg.on_proved(at(0), &identity, |bytes| first.push(bytes.to_vec()));
        assert!(matches!(begun, Step::Going) && first.is_empty() == browser_begins);
        for bytes in first {
            browser.handshake(at(0), Some(&bytes));
        }
        let steps = converse(&mut leg, &identity, &mut browser, |_| false);
        let [Step::Keys(keys)] = &steps[..] else { panic!("{steps:?}") };
        assert_eq!(browser.shown(), Some(identity.fingerprint()));
        let (mut send, mut receive) = browser.keys.take().expect("connected");
        let mut packet = [[0x80, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4].to_vec(), vec![0; 20]].concat();
        let sealed = send.protect_rtp(&mut packet, 16).unwrap();
        assert_eq!(Context::new(&keys.receive).unprotect_rtp(&mut packet, sealed), Ok(16));
        let sealed = Context::new(&keys.send).protect_rtp(&mut packet, 16).unwrap();
        assert_eq!(receive.unprotect_rtp(&mut packet, sealed), Ok(16));
    }
}

#[test]
fn what_is_lost_is_repeated() {
    let identity = Identity::new(None).unwrap();
    for lost in 1..5 {
        let mut browser = Browser::new(at(0), true);
        let mut leg = DtlsLeg::new(&browser.media());
        let steps = converse(&mut leg, &identity, &mut browser, |count| count == lost);
        assert!(matches!(&steps[..], [Step::Keys(_)]), "packet {lost}: {steps:?}");
    }
}

#[test]
fn another_certificate_than_sdp_has_promised_gets_no_keys() {
    let identity = Identity::new(None).unwrap();
    let mut browser = Browser::new(at(0), true);
    let mut leg = DtlsLeg::new(&DtlsMedia { fingerprint: Fingerprint([7; 32]), ..browser.media() });
    let steps = converse(&mut leg, &identity, &mut browser, |_| false);
    assert!(matches!(steps[0], Step::Failed("dtls_fingerprint")), "{steps:?}");
    assert!(!steps.iter().any(|step| matches!(step, Step::Keys(_))) && !leg.is_over);
    assert!(leg.tries <= DTLS_TRIES);
}

#[test]
fn garbage_changes_nothing() {
    let identity = Identity::new(None).unwrap();
    let mut browser = Browser::new(at(0), true);
    let mut leg = DtlsLeg::new(&browser.media());
    let hello = browser.handshake(at(0), None).remove(0);
    for cut in (0..hello.len()).step_by(5) {
        let went = leg.on_packet(at(0), &identity, &hello[..cut], |_| {});
        assert!(!matches!(went, Step::Keys(_)), "{cut}");
    }
    let steps = converse(&mut leg, &identity, &mut browser, |_| false);
    assert!(matches!(&steps[..], [Step::Keys(_)]), "{steps:?}");
}
