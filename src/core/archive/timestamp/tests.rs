//! Answers of `openssl ts` (3.0), made with keys of their own: RSA and both curves, each certificate under one root.
//! `openssl ts -verify -in rsa.tsr -data TEXT -CAfile root.pem` agrees with each.

use proptest::prelude::*;

use super::*;

const TEXT: &[u8] = b"leaseline-manifest-1\nedge-1\n";
const NONCE: [u8; 8] = [0x62, 0xa4, 0x9a, 0x6f, 0x34, 0x12, 0x53, 0x83];
const RSA: &[u8] = include_bytes!("vectors/rsa.tsr");
const RSA_512: &[u8] = include_bytes!("vectors/rsa512.tsr");
const P256: &[u8] = include_bytes!("vectors/p256.tsr");
const P384: &[u8] = include_bytes!("vectors/p384.tsr");
const FRACTION: &[u8] = include_bytes!("vectors/fraction.tsr");
/// Without a certificate and without a nonce.
const BARE: &[u8] = include_bytes!("vectors/bare.tsr");
const REFUSED: &[u8] = include_bytes!("vectors/refused.tsr");

fn roots(pem: &[u8]) -> Roots {
    Roots::parse(pem).unwrap()
}

fn root() -> Roots {
    roots(include_bytes!("vectors/root.pem"))
}

#[test]
fn answers_of_openssl_hold() {
    for (answer, by) in [(RSA, "rsa"), (RSA_512, "rsa"), (P256, "p256"), (P384, "p384"), (FRACTION, "p256")] {
        let stamp = check(answer, TEXT, Some(NONCE), Some(&root())).unwrap();
        assert!(stamp.is_trusted && stamp.by.contains(&format!("CN=Stamps {by}")), "{stamp:?}");
        assert!(stamp.at.to_rfc3339().starts_with("2026-11-22T13:27:1"), "{stamp:?}");
        let untrusted = check(answer, TEXT, Some(NONCE), None).unwrap();
        assert_eq!(untrusted, Stamp { is_trusted: false, ..stamp });
    }
    let stamp = check(FRACTION, TEXT, None, Some(&root())).unwrap();
    assert_eq!(stamp.at.to_rfc3339(), "2026-11-22T13:27:19.652Z");
    // The authority's own certificate is as good as its root.
    let own = roots(include_bytes!("vectors/p256.pem"));
    assert!(check(P256, TEXT, Some(NONCE), Some(&own)).unwrap().is_trusted);
    assert!(check(BARE, TEXT, None, Some(&own)).unwrap().is_trusted, "an answer without certificates");
}

#[test]
fn what_does_not_fit_is_named() {
    let other = roots(include_bytes!("vectors/other.pem"));
    let mut nonce = NONCE;
    nonce[7] ^= 1;
    let root = Some(root());
    for (answer, text, nonce, roots, bad) in [
        (P256, &b"another text"[..], Some(NONCE), root.clone(), Bad::WrongImprint),
        (P256, TEXT, Some(nonce), root.clone(), Bad::WrongNonce),
        (BARE, TEXT, Some(NONCE), root.clone(), Bad::WrongNonce),
        (P256, TEXT, Some(NONCE), Some(other), Bad::Untrusted),
        (P256, TEXT, Some(NONCE), Some(Roots::default()), Bad::Untrusted),
        (BARE, TEXT, None, None, Bad::NoCertificate),
        (BARE, TEXT, None, root.clone(), Bad::NoCertificate),
        (REFUSED, TEXT, None, root.clone(), Bad::Refused),
        (&P256[..P256.len() - 1], TEXT, None, root.clone(), Bad::Unreadable),
        (b"<html>", TEXT, None, root, Bad::Unreadable),
    ] {
        assert_eq!(check(answer, text, nonce, roots.as_ref()), Err(bad));
    }
    assert!(Roots::parse(b"").is_none() && Roots::parse(b"no certificate").is_none());
    let shorter = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    assert!(Roots::parse(shorter.as_bytes()).is_none());
}

#[test]
fn the_question_is_the_one_of_openssl() {
    assert_eq!(request(TEXT, NONCE).as_deref(), Some(&include_bytes!("vectors/query.tsq")[..]));
    for first in [0, 0x7f, 0x80, 0xff] {
        assert_eq!(request(TEXT, [first; 8]).map(|question| question.len()), Some(69), "neither negative nor shorter");
    }
}

/// Whatever bit is changed, the answer does not hold, or says what it said: not all of it is signed.
#[test]
fn no_changed_bit_changes_what_is_proved() {
    let good = check(P256, TEXT, Some(NONCE), Some(&root())).unwrap();
    let mut held = 0;
    for at in 0..P256.len() * 8 {
        let mut changed = P256.to_vec();
        changed[at / 8] ^= 1 << (at % 8);
        if let Ok(stamp) = check(&changed, TEXT, Some(NONCE), Some(&root())) {
            assert_eq!(stamp, good, "bit {at}");
            held += 1;
        }
    }
    assert!(held < 200, "{held} of {} bits may change", P256.len() * 8);
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..900_usize) {
        let _ = check(&bytes, TEXT, Some(NONCE), Some(&root()));
        let mut spliced = RSA.to_vec();
        let end = (at + bytes.len()).min(spliced.len());
        spliced.splice(at..end, bytes);
        let _ = check(&spliced, TEXT, Some(NONCE), Some(&root()));
    }
}
