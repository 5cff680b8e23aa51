//! Our end of DTLS on one leg, and what both ends said of theirs (RFC 5763, 8842, 8839).

use rand_chacha::ChaCha12Rng;
use rand_core::Rng;

use crate::core::media::DtlsMedia;
use crate::wire::sdp::{Credentials, Dtls, Fingerprint, Setup};

/// The characters of ICE's names and passwords: six bits each.
const CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// 48 and 144 bits; RFC 8445 §5.3 wants 24 and 128.
const UFRAG: usize = 8;
const PWD: usize = 24;

/// Both ends of a handshake that was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Association {
    theirs: Dtls,
    /// As our description says it, now that the roles are clear.
    pub(super) ours: Dtls,
}

/// What we offer, of a leg that nothing is agreed on yet: they may choose who begins (RFC 5763 §5).
pub(super) fn offered(fingerprint: Fingerprint, random: &mut ChaCha12Rng) -> Dtls {
    Dtls { fingerprint, setup: Setup::ActPass, ice: draw(random), mid: Some("0".into()), is_bundled: true }
}

impl Association {
    /// Their answer to what we said.
    pub(super) fn answered(ours: &Dtls, theirs: &Dtls) -> Association {
        let ours = Dtls { setup: role(theirs.setup, ours.setup), ..ours.clone() };
        Association { theirs: theirs.clone(), ours }
    }

    /// What we answer to their offer. Other names of theirs restart ICE, which takes other names of ours (RFC 8445 §9);
    /// the handshake goes on where it is as long as their certificate stays (RFC 8842 §5.5).
    pub(super) fn answering(
        before: Option<&Association>,
        theirs: &Dtls,
        fingerprint: Fingerprint,
        random: &mut ChaCha12Rng,
    ) -> Association {
        let goes_on = before.filter(|before| before.theirs.fingerprint == theirs.fingerprint);
        let is_same = |before: &&Association| before.theirs.ice == theirs.ice;
        let ice = before.filter(is_same).map_or_else(|| draw(random), |before| before.ours.ice.clone());
        let setup = role(theirs.setup, goes_on.map_or(Setup::Passive, |before| before.ours.setup));
        let ours = Dtls { fingerprint, setup, ice, mid: theirs.mid.clone(), is_bundled: theirs.is_bundled };
        Association { theirs: theirs.clone(), ours }
    }

    pub(super) fn media(&self) -> DtlsMedia {
        DtlsMedia {
            fingerprint: self.theirs.fingerprint,
            is_active: self.ours.setup == Setup::Active,
            ours: self.ours.ice.clone(),
            theirs: self.theirs.ice.clone(),
        }
    }
}

/// Ours beside theirs. Who leaves it to us lets us wait, or go on as we were: browsers begin at once.
fn role(theirs: Setup, ours: Setup) -> Setup {
    match (theirs, ours) {
        (Setup::Passive, _) | (Setup::ActPass, Setup::Active) => Setup::Active,
        (Setup::Active | Setup::ActPass, _) => Setup::Passive,
    }
}

fn draw(random: &mut ChaCha12Rng) -> Credentials {
    let mut text = |length: usize| -> Box<str> {
        let mut bytes = [0; PWD];
        random.fill_bytes(&mut bytes);
        let chars = bytes.iter().take(length).filter_map(|byte| CHARS.get(usize::from(byte & 63)));
        chars.map(|byte| char::from(*byte)).collect::<String>().into()
    };
    Credentials { ufrag: text(UFRAG), pwd: text(PWD) }
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng as _;

    use super::*;

    fn theirs(setup: Setup, ufrag: &str, print: u8) -> Dtls {
        let ice = Credentials::new(ufrag, "0123456789012345678901").unwrap();
        Dtls { fingerprint: Fingerprint([print; 32]), setup, ice, mid: Some("a".into()), is_bundled: true }
    }

    #[test]
    fn roles_fit_together() {
        let mut random = ChaCha12Rng::from_seed([3; 32]);
        let ours = Fingerprint([9; 32]);
        for (setup, expected) in
            [(Setup::ActPass, Setup::Passive), (Setup::Active, Setup::Passive), (Setup::Passive, Setup::Active)]
        {
            let made = Association::answering(None, &theirs(setup, "abcd", 1), ours, &mut random);
            assert_eq!((made.ours.setup, made.media().is_active), (expected, expected == Setup::Active));
            let offer = offered(ours, &mut random);
            let made = Association::answered(&offer, &theirs(setup, "abcd", 1));
            assert_eq!(made.ours.setup, expected, "{setup:?}");
        }
    }

    #[test]
    fn names_change_with_theirs_and_roles_with_their_certificate() {
        let mut random = ChaCha12Rng::from_seed([3; 32]);
        let ours = Fingerprint([9; 32]);
        let first = Association::answering(None, &theirs(Setup::Passive, "abcd", 1), ours, &mut random);
        assert!(Credentials::new(&first.ours.ice.ufrag, &first.ours.ice.pwd).is_some());
        let mut next =
            |setup, ufrag, print| Association::answering(Some(&first), &theirs(setup, ufrag, print), ours, &mut random);
        let again = next(Setup::ActPass, "abcd", 1);
        assert_eq!(again.ours, first.ours, "the same session, and we began it");
        let restarted = next(Setup::ActPass, "efgh", 1);
        assert!(restarted.ours.ice != first.ours.ice && restarted.ours.setup == Setup::Active);
        let replaced = next(Setup::ActPass, "efgh", 2);
        assert_eq!(replaced.ours.setup, Setup::Passive);
    }
}
