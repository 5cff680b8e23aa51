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
use crate::core::media::SecureMedia;
use crate::ids::Side;
use crate::wire::sdp::{Accepts, Crypto, SdpError, Secured};
use crate::wire::srtp::{MASTER_MAX, MasterKey, Suite};

use super::Stream;

/// What we offer: the suite that everybody has, and the one that is strongest. More would make an INVITE too large for a
/// datagram; answers may be in any suite that was offered, and offers of others in any that we know.
const OFFERED: [Suite; 2] = [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm];

/// Security of both legs of a call.
#[derive(Debug)]
pub(super) struct Security {
    random: ChaCha12Rng,
    legs: [LegKeys; 2],
}

/// Security of one leg.
#[derive(Clone, Debug, Default)]
pub(super) struct LegKeys {
    policy: MediaEncryption,
    offered: Vec<Crypto>,
    agreed: Option<Agreed>,
}

/// The keys of both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    tag: u32,
    theirs: MasterKey,
    ours: MasterKey,
}

impl Security {
    /// `secret`: what this call's keys are drawn from.
    pub(super) fn new(secret: [u8; 32], caller: MediaEncryption) -> Security {
        let mut random = ChaCha12Rng::from_seed(secret);
        let legs = [LegKeys::new(caller, &mut random), LegKeys::default()];
        Security { random, legs }
    }

    pub(super) fn leg(&self, side: Side) -> &LegKeys {
        &self.legs[side.index()]
    }

    pub(super) fn leg_mut(&mut self, side: Side) -> &mut LegKeys {
        &mut self.legs[side.index()]
    }

    /// A leg to somebody else, by this rule.
    pub(super) fn fresh(&mut self, policy: MediaEncryption) -> LegKeys {
        LegKeys::new(policy, &mut self.random)
    }

    /// `side`'s stream is in force: its keys are.
    pub(super) fn accept(&mut self, side: Side, stream: &Stream) {
        let Security { random, legs } = self;
        legs[side.index()].accept(stream, random);
    }

    /// The same for a leg that is not in the call yet.
    pub(super) fn accept_for(&mut self, leg: &mut LegKeys, stream: &Stream) {
        leg.accept(stream, &mut self.random);
    }

    /// What the media threads must know of a leg.
    pub(super) fn media(&self, side: Side) -> Option<Box<SecureMedia>> {
        let Agreed { theirs, ours, .. } = self.leg(side).agreed.as_ref()?;
        Some(Box::new(SecureMedia { receive: *theirs, send: *ours }))
    }
}

impl LegKeys {
    fn new(policy: MediaEncryption, random: &mut ChaCha12Rng) -> LegKeys {
        let offered = match policy {
            MediaEncryption::Off | MediaEncryption::Optional => Vec::new(),
            MediaEncryption::Sdes => {
                (1..).zip(OFFERED).map(|(tag, suite)| Crypto { tag, key: draw(suite, random) }).collect()
            }
        };
        LegKeys { policy, offered, agreed: None }
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
        Accepts { plain: accepts.plain && self.agreed.is_none(), ..accepts }
    }

    /// What our description says.
    pub(super) fn says(&self) -> Option<Secured> {
        match &self.agreed {
            Some(Agreed { tag, ours, .. }) => Some(Secured::Sdes(vec![Crypto { tag: *tag, key: *ours }])),
            None if self.offered.is_empty() => None,
            None => Some(Secured::Sdes(self.offered.clone())),
        }
    }

    /// Whether our description would say this.
    pub(super) fn is_said(&self, secured: Option<&Secured>) -> bool {
        match (secured, &self.agreed) {
            (None, agreed) => agreed.is_none() && self.offered.is_empty(),
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
                Some(Box::new(Agreed { tag: ours.tag, theirs: theirs.key, ours: ours.key }))
            }
            (Some(_), None) => return Err(SdpError::NotEncrypted),
            (None, Some(_)) => return Err(SdpError::Encrypted),
        };
        Ok(())
    }

    fn accept(&mut self, stream: &Stream, random: &mut ChaCha12Rng) {
        if let Some(keys) = &stream.keys {
            self.agreed = Some(Agreed::clone(keys));
            return;
        }
        // An offer of theirs: the first line that we know is the one that they want most.
        let offered = match stream.audio.secured.as_deref() {
            Some(Secured::Sdes(lines)) => lines.first(),
            None => None,
        };
        self.agreed = offered.map(|Crypto { tag, key }| match &self.agreed {
            Some(agreed) if agreed.theirs == *key => Agreed { tag: *tag, ..agreed.clone() },
            _ => Agreed { tag: *tag, theirs: *key, ours: draw(key.suite(), random) },
        });
    }
}

fn draw(suite: Suite, random: &mut ChaCha12Rng) -> MasterKey {
    let mut bytes = [0; MASTER_MAX];
    random.fill_bytes(&mut bytes);
    MasterKey::new(suite, bytes.get(..suite.key_len() + suite.salt_len()).unwrap_or_default())
        .unwrap_or_else(|| unreachable!("as many bytes as the suite wants"))
}
