//! Keys of encrypted legs. Each leg has its own; nothing of one leg's security is known on the other.
//!
//! What we say of a leg is the same in offers and answers: before anything was agreed on, what we offer; after it, the one
//! key that is in force. A party that offers the same key again keeps the session; one with a new key gets a new key of
//! ours too, so that both directions begin anew.
//!
//! A leg that was encrypted once stays so.

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

use crate::config::MediaEncryption;
use crate::core::media::{Secure, SecureMedia};
use crate::ids::Side;
use crate::wire::sdp::{Accepts, Crypto, Dtls, Fingerprint, SdpError, Secured};
use crate::wire::srtp::{MASTER_MAX, MasterKey, Suite};

use super::Stream;
use super::dtls::{self, Association};

/// What we offer: the suite that everybody has, and the one that is strongest. More would make an INVITE too large for a
/// datagram; answers may be in any suite that was offered, and offers of others in any that we know.
const OFFERED: [Suite; 2] = [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm];

/// Security of both legs of a call.
#[derive(Debug)]
pub(super) struct Security {
    random: ChaCha12Rng,
    fingerprint: Option<Fingerprint>,
    legs: [LegKeys; 2],
}

/// Security of one leg.
#[derive(Clone, Debug, Default)]
pub(super) struct LegKeys {
    policy: MediaEncryption,
    /// Of our certificate; without one there is no DTLS.
    fingerprint: Option<Fingerprint>,
    offered: Option<Secured>,
    agreed: Option<Agreed>,
}

/// What is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Agreed {
    /// The keys of both directions.
    Sdes {
        tag: u32,
        theirs: MasterKey,
        ours: MasterKey,
    },
    Dtls(Box<Association>),
}

impl Security {
    /// `secret`: what this call's keys are drawn from; `fingerprint`: of our certificate.
    pub(super) fn new(secret: [u8; 32], caller: MediaEncryption, fingerprint: Option<Fingerprint>) -> Security {
        let mut random = ChaCha12Rng::from_seed(secret);
        let legs = [LegKeys::new(caller, fingerprint, &mut random), LegKeys::default()];
        Security { random, fingerprint, legs }
    }

    pub(super) fn leg(&self, side: Side) -> &LegKeys {
        &self.legs[side.index()]
    }

    pub(super) fn leg_mut(&mut self, side: Side) -> &mut LegKeys {
        &mut self.legs[side.index()]
    }

    /// A leg to somebody else, by this rule.
    pub(super) fn fresh(&mut self, policy: MediaEncryption) -> LegKeys {
        LegKeys::new(policy, self.fingerprint, &mut self.random)
    }

    /// `side`'s stream is in force: its keys are.
    pub(super) fn accept(&mut self, side: Side, stream: &Stream) {
        let Security { random, legs, .. } = self;
        legs[side.index()].accept(stream, random);
    }

    /// The same for a leg that is not in the call yet.
    pub(super) fn accept_for(&mut self, leg: &mut LegKeys, stream: &Stream) {
        leg.accept(stream, &mut self.random);
    }

    /// What the media threads must know of a leg.
    pub(super) fn media(&self, side: Side) -> Option<Box<Secure>> {
        Some(Box::new(match self.leg(side).agreed.as_ref()? {
            Agreed::Sdes { theirs, ours, .. } => Secure::Keys(SecureMedia { receive: *theirs, send: *ours }),
            Agreed::Dtls(association) => Secure::Dtls(association.media()),
        }))
    }
}

impl LegKeys {
    fn new(policy: MediaEncryption, fingerprint: Option<Fingerprint>, random: &mut ChaCha12Rng) -> LegKeys {
        let offered = match policy {
            MediaEncryption::Off | MediaEncryption::Optional => None,
            MediaEncryption::Sdes => {
                let lines = (1..).zip(OFFERED).map(|(tag, suite)| Crypto { tag, key: draw(suite, random) });
                Some(Secured::Sdes(lines.collect()))
            }
            MediaEncryption::Dtls => fingerprint.map(|print| Secured::Dtls(dtls::offered(print, random))),
        };
        LegKeys { policy, fingerprint, offered, agreed: None }
    }

    pub(super) fn policy(&self) -> MediaEncryption {
        self.policy
    }

    /// Another party stands on this leg.
    pub(super) fn start_anew(&mut self) {
        self.agreed = None;
    }

    /// The streams that will do.
    pub(super) fn accepts(&self) -> Accepts {
        let accepts = self.policy.accepts();
        Accepts {
            plain: accepts.plain && self.agreed.is_none(),
            dtls: accepts.dtls && self.fingerprint.is_some(),
            ..accepts
        }
    }

    /// What our description says.
    pub(super) fn says(&self) -> Option<Secured> {
        match &self.agreed {
            Some(Agreed::Sdes { tag, ours, .. }) => Some(Secured::Sdes(vec![Crypto { tag: *tag, key: *ours }])),
            Some(Agreed::Dtls(association)) => Some(Secured::Dtls(association.ours.clone())),
            None => self.offered.clone(),
        }
    }

    /// Our description of this leg says that RTP and RTCP share a port, whatever the other side says of its own: browsers
    /// know nothing else.
    pub(super) fn shares_port(&self) -> bool {
        match &self.agreed {
            Some(agreed) => matches!(agreed, Agreed::Dtls(_)),
            None => matches!(self.offered, Some(Secured::Dtls(_))),
        }
    }

    /// Whether our description would say this.
    pub(super) fn is_said(&self, secured: Option<&Secured>) -> bool {
        match (secured, &self.agreed) {
            (None, agreed) => agreed.is_none() && self.offered.is_none(),
            (Some(_), _) => self.says().as_ref() == secured,
        }
    }

    /// The keys of an answer to what we said: it names one of our lines and has its suite, or is plain where we were.
    pub(super) fn read_answer(&self, stream: &mut Stream) -> Result<(), SdpError> {
        let (said, answered) = (self.says(), stream.audio.secured.as_deref());
        stream.keys = match (said, answered) {
            (None, None) => None,
            (Some(Secured::Sdes(ours)), Some(Secured::Sdes(theirs))) => {
                let theirs = theirs.first().ok_or(SdpError::NoKey)?;
                let fits = |line: &&Crypto| line.tag == theirs.tag && line.key.suite() == theirs.key.suite();
                let ours = ours.iter().find(fits).ok_or(SdpError::NoKey)?;
                Some(Box::new(Agreed::Sdes { tag: ours.tag, theirs: theirs.key, ours: ours.key }))
            }
            (Some(Secured::Dtls(ours)), Some(Secured::Dtls(theirs))) => {
                Some(Box::new(Agreed::Dtls(Box::new(Association::answered(&ours, theirs)))))
            }
            (Some(_), None) => return Err(SdpError::NotEncrypted),
            (None, Some(_)) => return Err(SdpError::Encrypted),
            (Some(_), Some(_)) => return Err(SdpError::NoKey),
        };
        Ok(())
    }

    fn accept(&mut self, stream: &Stream, random: &mut ChaCha12Rng) {
        if let Some(keys) = &stream.keys {
            self.agreed = Some(Agreed::clone(keys));
            return;
        }
        // An offer of theirs.
        self.agreed = match stream.audio.secured.as_deref() {
            None => None,
            // The first line that we know is the one that they want most.
            Some(Secured::Sdes(lines)) => lines.first().map(|Crypto { tag, key }| match &self.agreed {
                Some(Agreed::Sdes { theirs, ours, .. }) if theirs == key => {
                    Agreed::Sdes { tag: *tag, theirs: *theirs, ours: *ours }
                }
                _ => Agreed::Sdes { tag: *tag, theirs: *key, ours: draw(key.suite(), random) },
            }),
            Some(Secured::Dtls(theirs)) => self.answer(theirs, random),
        };
    }

    fn answer(&self, theirs: &Dtls, random: &mut ChaCha12Rng) -> Option<Agreed> {
        let before = match &self.agreed {
            Some(Agreed::Dtls(association)) => Some(&**association),
            _ => None,
        };
        let made = Association::answering(before, theirs, self.fingerprint?, random);
        Some(Agreed::Dtls(Box::new(made)))
    }
}

fn draw(suite: Suite, random: &mut ChaCha12Rng) -> MasterKey {
    let mut bytes = [0; MASTER_MAX];
    random.fill_bytes(&mut bytes);
    MasterKey::new(suite, bytes.get(..suite.key_len() + suite.salt_len()).unwrap_or_default())
        .unwrap_or_else(|| unreachable!("as many bytes as the suite wants"))
}
