use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};

use super::*;
use crate::ids::CallId;

const URL: &str = "https://cr.example/shaken.pem";
const CALLER: &str = "+447700900123";
const DIALLED: &str = "+442079460500";

/// A certificate authority, a certificate of a provider, and its key.
struct Provider {
    root: String,
    certificate: String,
    key: String,
}

/// `[0]` provider code 1234.
const SPC: &[u8] = &[0x30, 0x08, 0xa0, 0x06, 0x16, 0x04, b'1', b'2', b'3', b'4'];
/// `[2]` the one number +441.
const OTHER_NUMBER: &[u8] = &[0x30, 0x07, 0xa2, 0x05, 0x16, 0x03, b'4', b'4', b'1'];

fn provider(authority: Option<&[u8]>) -> Provider {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(Vec::new()).unwrap();
    leaf.distinguished_name.push(DnType::CommonName, "SHAKEN 1234");
    if let Some(list) = authority {
        let oid = [1, 3, 6, 1, 5, 5, 7, 1, 26];
        leaf.custom_extensions.push(CustomExtension::from_oid_content(&oid, list.to_vec()));
    }
    let certificate = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    Provider { root: root_certificate.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
}

fn store_of(provider: &Provider) -> Store {
    let mut store = Store::default();
    store.add_roots(provider.root.as_bytes()).unwrap();
    store.add_chain(URL, provider.certificate.as_bytes()).unwrap();
    store
}

fn now() -> Wall {
    Wall::parse_rfc3339("2026-11-21T10:00:00Z").unwrap()
}

fn later(seconds: i64) -> Wall {
    Wall(now().0 + seconds * 1_000_000)
}

fn invite(identities: &[&str]) -> Message {
    let lines: String = identities.iter().map(|value| format!("Identity: {value}\r\n")).collect();
    let text = format!(
        "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nMax-Forwards: 70\r\nCall-ID: a\r\n\
         CSeq: 1 INVITE\r\nTo: <sip:a@b>\r\nFrom: <sip:a@b>;tag=1\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n\
         {lines}Content-Length: 0\r\n\r\n"
    );
    Message::parse(bytes::Bytes::from(text)).unwrap()
}

fn verdict_at(store: &Store, identities: &[&str], dialled: &str, at: Wall) -> (String, String) {
    let claim = Claim { caller: Some(CALLER), dialled };
    let (data, fault) = verify(store, &Fetched::default(), &invite(identities), claim, at);
    assert_eq!(fault.is_none(), data.code == "verified");
    assert_eq!(fault.is_none(), data.verstat == PASSED);
    (data.verstat, data.code)
}

fn code(store: &Store, identities: &[&str]) -> String {
    verdict_at(store, identities, DIALLED, now()).1
}

fn signer(provider: &Provider) -> Signer {
    Signer::new(&provider.key, URL, Some(Attest::Full)).unwrap()
}

fn shaken(provider: &Provider) -> String {
    signer(provider).shaken(CallId(7), CALLER, DIALLED, now()).unwrap()
}

#[test]
fn what_we_sign_we_verify() {
    let provider = provider(Some(SPC));
    let token = shaken(&provider);
    assert_eq!(token, shaken(&provider), "the same call has the same signature");
    let claim = Claim { caller: Some("447700900123"), dialled: DIALLED };
    let (data, fault) = verify(&store_of(&provider), &Fetched::default(), &invite(&[&token]), claim, now());
    assert_eq!(fault, None);
    assert_eq!((data.verstat.as_str(), data.attest.as_deref()), (PASSED, Some("A")));
    assert_eq!(data.authority, ["spc:1234"]);
    assert_eq!(data.origid.as_deref(), Some("00000000-0000-8000-8000-000000000007"));
}

#[test]
fn faults_have_their_codes() {
    let provider = self::provider(Some(SPC));
    let store = store_of(&provider);
    let token = shaken(&provider);
    assert_eq!(verdict_at(&store, &[], DIALLED, now()), (NONE.to_owned(), "identity_missing".to_owned()));
    assert_eq!(verdict_at(&store, &[&token], DIALLED, later(61)).1, "identity_stale");
    assert_eq!(verdict_at(&store, &[&token], DIALLED, later(-61)).1, "identity_stale");
    assert_eq!(verdict_at(&store, &[&token], DIALLED, later(60)).1, "verified");
    assert_eq!(verdict_at(&store, &[&token], "+442079460501", now()).1, "identity_dialled_mismatch");
    let other_caller = signer(&provider).shaken(CallId(7), "+447700900124", DIALLED, now()).unwrap();
    assert_eq!(code(&store, &[&other_caller]), "identity_caller_mismatch");
    assert_eq!(code(&store, &[&token.replace("info=<https://cr", "info=<https://cx")]), "identity_info_mismatch");
    assert_eq!(code(&store, &[&token.replace("alg=ES256", "alg=RS256")]), "identity_algorithm");
    assert_eq!(code(&Store::default(), &[&token]), "certificate_unavailable");
    // One bit of the signature, and a signature of somebody else.
    let (head, tail) = token.split_once(';').unwrap();
    let (input, signature) = head.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[40] ^= 1;
    let forged = format!("{input}.{};{tail}", URL_SAFE_NO_PAD.encode(bytes));
    assert_eq!(code(&store, &[&forged]), "identity_signature");
    let stranger = self::provider(Some(SPC));
    assert_eq!(code(&store, &[&shaken(&stranger)]), "identity_signature");
    // A chain to nobody we know, a certificate that speaks for no numbers, one that speaks for others.
    let mut mixed = Store::default();
    mixed.add_roots(stranger.root.as_bytes()).unwrap();
    mixed.add_chain(URL, provider.certificate.as_bytes()).unwrap();
    assert_eq!(code(&mixed, &[&token]), "certificate_not_trusted");
    for authority in [None, Some(OTHER_NUMBER)] {
        let silent = self::provider(authority);
        assert_eq!(code(&store_of(&silent), &[&shaken(&silent)]), "certificate_not_authoritative");
    }
    // Several: one that holds is enough.
    assert_eq!(code(&store, &[&forged, &token]), "verified");
    assert_eq!(code(&store, &["garbage", &token]), "verified");
}

#[test]
fn what_is_unreadable_is_said_so() {
    let provider = self::provider(Some(SPC));
    let store = store_of(&provider);
    let token = shaken(&provider);
    let payload = |json: &str| {
        let header = format!(r#"{{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"{URL}"}}"#);
        let (header, json) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(json));
        format!("{header}.{json}.AAAA;info=<{URL}>;alg=ES256;ppt=\"shaken\"")
    };
    for bad in [
        "",
        ";",
        "a.b.c",
        "a.b;info=<x>",
        &token.replace('.', ""),
        &token.replace("info=<", "info="),
        &token.replace("ppt=\"shaken\"", "ppt=\"div\""),
        &payload("{}"),
        &payload("[]"),
        &payload(r#"{"attest":"A","dest":{"tn":["1"]},"iat":1,"iat":2,"orig":{"tn":"1"},"origid":"x"}"#),
        &payload(r#"{"attest":"D","dest":{"tn":["1"]},"iat":1,"orig":{"tn":"1"},"origid":"x"}"#),
        &payload(r#"{"dest":{"tn":["1"]},"iat":1,"orig":{"tn":"1"}}"#),
        &payload(r#"{"attest":"A","dest":{"tn":["1"]},"iat":-1,"orig":{"tn":"1"},"origid":"x"}"#),
        &payload(&"[".repeat(4_000)),
    ] {
        assert_eq!(code(&store, &[bad]), "identity_unreadable", "{bad}");
    }
}

#[test]
fn the_compact_form_is_rebuilt_from_the_message() {
    let provider = self::provider(Some(SPC));
    let base = signer(&provider).base(CALLER, DIALLED, now());
    assert_eq!(code(&store_of(&provider), &[&base]), "verified");
    let (head, tail) = base.split_once(';').unwrap();
    let compact = format!("..{};{tail}", head.rsplit_once('.').unwrap().1);
    assert_eq!(code(&store_of(&provider), &[&compact]), "verified");
    assert_eq!(verdict_at(&store_of(&provider), &[&compact], "+442079460501", now()).1, "identity_signature");
    assert_eq!(code(&store_of(&provider), &[&format!("{compact};ppt=shaken")]), "identity_unreadable");
}

#[test]
fn a_diverted_call_is_followed_from_number_to_number() {
    let provider = self::provider(Some(SPC));
    let store = store_of(&provider);
    let first = signer(&provider).shaken(CallId(7), CALLER, "+442079460111", now()).unwrap();
    let second = signer(&provider).div(CALLER, "+442079460111", "+442079460222", now()).unwrap();
    let third = signer(&provider).div(CALLER, "+442079460222", DIALLED, now()).unwrap();
    let claim = Claim { caller: Some(CALLER), dialled: DIALLED };
    let (data, fault) = verify(&store, &Fetched::default(), &invite(&[&third, &first, &second]), claim, now());
    assert_eq!(fault, None, "{data:?}");
    assert_eq!(data.diverted_from, ["442079460111", "442079460222"]);
    assert_eq!(code(&store, &[&first, &third]), "identity_dialled_mismatch");
    let circle = signer(&provider).div(CALLER, "+442079460222", "+442079460111", now()).unwrap();
    assert_eq!(code(&store, &[&first, &second, &circle]), "identity_dialled_mismatch");
    let of_other = signer(&provider).div("+447700900124", "+442079460111", DIALLED, now()).unwrap();
    assert_eq!(code(&store, &[&first, &of_other]), "identity_dialled_mismatch");
}

#[test]
fn a_destination_without_a_number_is_a_uri() {
    let provider = self::provider(Some(SPC));
    let token = signer(&provider).div(CALLER, DIALLED, "sip:sales@pbx.example", now()).unwrap();
    let payload = token.split('.').nth(1).unwrap();
    let json = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert_eq!(
        json,
        "{\"dest\":{\"uri\":[\"sip:sales@pbx.example\"]},\"div\":{\"tn\":\"442079460500\"},\"iat\":1795255200,\
         \"orig\":{\"tn\":\"447700900123\"}}"
    );
}

#[test]
fn keys_and_certificates_that_are_none() {
    assert!(Signer::new("nonsense", URL, None).is_err());
    assert!(Store::default().add_roots(b"nonsense").is_err());
    assert!(
        Store::default().add_chain(URL, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err()
    );
    assert!(!format!("{:?}", signer(&provider(Some(SPC)))).contains("PRIVATE"));
}
