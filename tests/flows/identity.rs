//! What a destination is told of the caller, trunk by trunk.

use std::fmt::Write as _;
use std::time::Duration;

use leaseline::core::b2bua::{Counts, Input};
use leaseline::core::stir::{Answer, Attest, Claim, Fetched, Signer, Store, verify};
use leaseline::ids::CallId;
use leaseline::time::Wall;
use leaseline::wire::sip::Message;

use super::world::phone::{Answering, Calling, Phone};
use super::world::{CARRIER, OFFICE, SHOP, World};
use super::{SECOND, refusing};

/// The carrier is believed; the shop is reached through a trunk with rules of its own, the office through none.
fn world(carrier: &str, shop: &str, answering: Answering) -> World {
    let config = format!(
        r#"
[sip]
listen = ["udp://203.0.113.1:5060"]
[media]
address = "203.0.113.1"
[[trunk]]
name = "carrier"
match = ["192.0.2.0/24"]
country = "GB"
{carrier}
[[trunk]]
name = "shop"
match = ["198.51.100.1"]
country = "GB"
{shop}
[[company]]
name = "acme"
forward_to = ["sip:{{number}}@198.51.100.1:5060", "sip:{{number}}@198.51.100.2:5060"]
[[pool]]
name = "acme-billboard"
company = "acme"
kind = "static"
numbers = ["+442079460500"]
channel = {{ source = "billboard", medium = "offline", campaign = "ring road" }}
[[caller]]
number = "+447700900123"
name = "Анна, пекарня"
company = "acme"
note = "pays on Fridays"
"#
    );
    let mut world = World::new(7, &config);
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(answering));
    world.add(OFFICE, Phone::new(Answering::default()));
    world
}

/// The lines of the first INVITE to an address that speak of who calls whom.
fn identity_of(world: &World, address: &str) -> String {
    const SHOWN: [&str; 11] = [
        "From",
        "To",
        "P-Asserted-Identity",
        "Remote-Party-ID",
        "Privacy",
        "Diversion",
        "History-Info",
        "X-Account",
        "X-Campaign",
        "X-Leaseline-Call",
        "Subject",
    ];
    let sent = world.sent_to(address);
    let Some(invite) = sent.iter().find(|message| message.method_token() == "INVITE") else { return String::new() };
    let mut text = format!("{}\n", invite.request_uri());
    for (name, value) in invite.all_headers().filter(|(name, _)| SHOWN.contains(name)) {
        let value = String::from_utf8_lossy(value);
        let value = value.split(";tag=").next().unwrap_or_default();
        let value = if name == "X-Leaseline-Call" { "…" } else { value };
        let _ = writeln!(text, "{name}: {value}");
    }
    text
}

fn dialled(mut world: World, headers: &[(&'static str, &str)]) -> World {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    world.dial(Calling { headers, from: Some("\"Ann\" <sip:07700900123@192.0.2.10>".into()), ..Calling::default() });
    world.settle();
    world
}

#[test]
fn numbers_and_names_by_the_trunks_rules() {
    let mut text = String::new();
    for rules in [
        "",
        "number_format = \"plain\"\n[trunk.identity]\nsend = [\"pai\", \"rpid\"]\nassert_from = true\nascii = true",
        "number_format = \"national\"\n[trunk.identity]\ndomain = \"acme.example\"\ndisplay_bytes_max = 9",
        "number_format = \"international\"\n[trunk.identity]\ndisplay_bytes_max = 0",
    ] {
        let world = dialled(world("", rules, Answering::default()), &[]);
        let _ = write!(text, "── {rules}\n{}", identity_of(&world, SHOP));
        let data = world.ended();
        assert_eq!(data[0].caller_name.as_deref(), Some("Анна, пекарня"));
        assert_eq!(data[0].caller_note.as_deref(), Some("pays on Fridays"));
    }
    insta::assert_snapshot!(text);
}

const DIVERTED: [(&str, &str); 4] = [
    ("P-Asserted-Identity", "\"Ann\" <sip:+447700900999@core.carrier.secret>, <tel:+447700900999>"),
    ("Diversion", "\"Desk\" <sip:+442079460111@pbx.secret>;reason=no-answer;counter=2"),
    ("History-Info", "<sip:+442079460111@pbx.secret?Reason=SIP%3Bcause%3D302>;index=1"),
    ("History-Info", "<sip:+442079460500@edge.secret>;index=1.1;mp=1"),
];

#[test]
fn diversion_and_history_go_on() {
    let rules = "[trunk.identity]\ndiversion = true\nhistory_info = true\nsend = [\"pai\", \"rpid\"]";
    let world = dialled(world("", rules, refusing(486)), &DIVERTED);
    let mut text = identity_of(&world, SHOP);
    let _ = write!(text, "── the office belongs to no trunk\n{}", identity_of(&world, OFFICE));
    assert!(!text.contains("secret"), "the carrier's hosts are nobody's business\n{text}");
    let data = world.ended();
    assert_eq!(data[0].caller.as_deref(), Some("+447700900999"));
    assert_eq!(data[0].diversion[0].number.as_deref(), Some("+442079460111"));
    insta::assert_snapshot!(text);
}

#[test]
fn d11_nothing_of_an_untrusted_trunk_goes_on() {
    let rules = "[trunk.identity]\ndiversion = true\nhistory_info = true\ntrusted = true";
    let claims = [DIVERTED.as_slice(), &[("Privacy", "id"), ("Identity", "a.b.c;info=<http://10.0.0.1/x>")]].concat();
    let world = dialled(world("trust_identity = false", rules, Answering::default()), &claims);
    let text = identity_of(&world, SHOP);
    for claimed in ["7700900", "79460111", "secret", "10.0.0.1"] {
        assert!(!text.contains(claimed), "{claimed} went on\n{text}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_withheld_number_goes_to_nobody_but_a_trusted_trunk() {
    let mut text = String::new();
    let claims = [("P-Asserted-Identity", "<tel:+447700900999>"), ("Privacy", "id;critical")];
    for rules in [
        "",
        "[trunk.identity]\ntrusted = true\nsend = [\"pai\", \"rpid\"]",
        "[trunk.identity]\nfallback = \"+442079460999\"",
    ] {
        let world = dialled(world("", rules, Answering::default()), &claims);
        let _ = write!(text, "── {rules}\n{}", identity_of(&world, SHOP));
        let data = &world.ended()[0];
        assert_eq!((data.caller.as_deref(), data.caller_reason.as_deref()), (None, Some("withheld")));
        assert_eq!(data.privacy.as_deref(), Some("id;critical"));
        let all = format!("{:?}", world.events);
        assert!(!all.contains("7700900"), "no event says who it was");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn withheld_callers_are_refused_where_the_trunk_says_so() {
    let mut world =
        world("reason_header = \"codes\"\n[trunk.identity]\nwithheld = \"refuse\"", "", Answering::default());
    world.dial(Calling { headers: vec![("Privacy", "id".into())], ..Calling::default() });
    let ladder = world.settle();
    assert_eq!(world.refused, ["anonymity_disallowed"]);
    let sent = world.sent_to(CARRIER);
    let refusal = sent.iter().find(|message| message.status() == 433).expect("a refusal");
    let reasons: Vec<&str> = refusal.headers("Reason").collect();
    assert_eq!(reasons, ["Q.850;cause=21", "SIP;cause=433;text=\"anonymity_disallowed\""], "{ladder}");
}

#[test]
fn header_rules_of_both_trunks() {
    let carrier =
        "[trunk.headers]\npass = [\"X-Account\", \"Subject\"]\nadd = { X-Campaign = \"{campaign}/{caller}\" }";
    let shop = "[trunk.headers]\ndrop = [\"X-Leaseline-Call\"]\n\
                rewrite = [{ header = \"X-Account\", match = \"^0\", replace = \"+44\" }]";
    let claims =
        [("X-Account", "0207"), ("X-Secret", "1"), ("Subject", "hello"), ("P-Charge-Info", "<sip:1@core.secret>")];
    let world = dialled(world(carrier, shop, refusing(486)), &claims);
    let text = format!("{}── office\n{}", identity_of(&world, SHOP), identity_of(&world, OFFICE));
    for address in [SHOP, OFFICE] {
        let sent = world.sent_to(address);
        assert!(sent.iter().all(|message| message.header("X-Secret").is_none()));
        assert!(sent.iter().all(|message| message.header("P-Charge-Info").is_none()));
    }
    insta::assert_snapshot!(text);
}

fn reasons(messages: &[Message], what: &str) -> Vec<String> {
    let is_meant = |message: &&Message| message.method_token() == what || message.status().to_string() == what;
    let found = messages.iter().filter(is_meant).flat_map(|message| message.headers("Reason").map(str::to_owned));
    found.collect()
}

#[test]
fn reasons_cross_as_far_as_the_trunk_hears_them() {
    for (rules, heard) in [("off", &[][..]), ("requests", &["Q.850;cause=16"]), ("codes", &["Q.850;cause=16"])] {
        let shop = Answering {
            hang_up: Some(Duration::from_secs(3)),
            hang_up_headers: vec![("Reason", "Q.850;cause=16;text=\"Bye \\\"now\\\"\"".into())],
            ..Answering::default()
        };
        let mut world = world(&format!("reason_header = \"{rules}\""), "", shop);
        world.dial(Calling { hang_up: None, ..Calling::default() });
        world.settle();
        assert_eq!(reasons(&world.sent_to(CARRIER), "BYE"), heard, "{rules}");
        assert_eq!(world.ended()[0].q850_cause, Some(16), "{rules}");
    }
    for (rules, heard) in [
        ("requests", &[][..]),
        ("responses", &["Q.850;cause=21"]),
        ("codes", &["Q.850;cause=21", "SIP;cause=603;text=\"declined\""]),
    ] {
        let mut world = world(&format!("reason_header = \"{rules}\""), "", refusing(603));
        world.dial(Calling::default());
        world.settle();
        assert_eq!(reasons(&world.sent_to(CARRIER), "603"), heard, "{rules}");
    }
}

#[test]
fn a12_no_caller_text_becomes_a_line() {
    for user in ["%0d%0aVia:%20x", "+44770%0a0900123", "a%00b", "%22%3e%0d%0aX: 1"] {
        let mut world = world("", "[trunk.identity]\nassert_from = true", Answering::default());
        let from = Some(format!("<sip:{}@192.0.2.10>", user.replace(' ', "%20")));
        world.dial(Calling { from, ..Calling::default() });
        world.settle();
        for message in world.sent_to(SHOP) {
            let plain = message.all_headers().all(|(_, value)| !value.iter().any(|b| *b < b' '));
            assert!(plain, "{user}\n{}", String::from_utf8_lossy(message.bytes()));
            assert!(message.headers("Via").count() == 1 && message.header("X").is_none(), "{user}");
        }
    }
}

/// Certificates and keys of a provider, as files.
struct Sti {
    folder: tempfile::TempDir,
    key: String,
}

const CERTIFICATE_URL: &str = "https://cr.example/shaken.pem";

fn sti() -> Sti {
    use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};
    let folder = tempfile::tempdir().expect("a folder");
    let root_key = KeyPair::generate().expect("a key");
    let mut root = CertificateParams::new(Vec::new()).expect("parameters");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).expect("a root");
    let key = KeyPair::generate().expect("a key");
    let mut leaf = CertificateParams::new(Vec::new()).expect("parameters");
    leaf.distinguished_name.push(DnType::CommonName, "SHAKEN 1234");
    let list = vec![0x30, 0x08, 0xa0, 0x06, 0x16, 0x04, b'1', b'2', b'3', b'4'];
    leaf.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 26], list));
    let certificate = leaf.signed_by(&key, &Issuer::new(root, root_key)).expect("a certificate");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("roots.pem", &root_certificate.pem());
    write("shaken.pem", &certificate.pem());
    write("key.pem", &key.serialize_pem());
    Sti { folder, key: key.serialize_pem() }
}

impl Sti {
    fn verify(&self, how: &str) -> String {
        let path = self.folder.path().display();
        format!(
            "reason_header = \"codes\"\n[trunk.stir]\nverify = \"{how}\"\ntrusted_file = \"{path}/roots.pem\"\n\
             certificate_file = {{ \"{CERTIFICATE_URL}\" = \"{path}/shaken.pem\" }}"
        )
    }

    fn sign(&self, rules: &str) -> String {
        let path = self.folder.path().display();
        format!("[trunk.stir]\n{rules}\nkey_file = \"{path}/key.pem\"\ncertificate_url = \"{CERTIFICATE_URL}\"")
    }

    /// Identity of a call to the tracked number at the world's time.
    fn vouched(&self, caller: &str) -> String {
        let signer = Signer::new(&self.key, CERTIFICATE_URL, Some(Attest::Full)).expect("a signer");
        signer.shaken(CallId(1), caller, "+442079460500", the_beginning()).expect("a caller with a number")
    }
}

/// When the world begins.
fn the_beginning() -> Wall {
    Wall::parse_rfc3339("2026-11-21T10:00:00Z").expect("a time")
}

#[test]
fn a_trunk_may_ask_that_somebody_vouches_for_the_caller() {
    let sti = sti();
    let good = sti.vouched("+447700900123");
    let forged = sti.vouched("+447700900124");
    for (identity, status, code) in [
        (None, 428, "identity_missing"),
        (Some(forged.as_str()), 438, "identity_caller_mismatch"),
        (Some("a.b.c;info=<http://169.254.169.254/latest>"), 438, "identity_unreadable"),
    ] {
        let mut world = world(&sti.verify("require"), "", Answering::default());
        let headers = identity.map(|value| ("Identity", value.to_owned())).into_iter().collect();
        world.dial(Calling { headers, ..Calling::default() });
        world.settle();
        assert_eq!(world.refused, [code]);
        assert!(world.sent_to(CARRIER).iter().any(|message| message.status() == status), "{code}");
        assert!(world.sent_to(SHOP).is_empty(), "{code}");
    }
    let world = dialled(world(&sti.verify("require"), "", Answering::default()), &[("Identity", &good)]);
    let stir = world.ended()[0].stir.clone().expect("a verdict");
    assert_eq!((stir.verstat.as_str(), stir.attest.as_deref()), ("TN-Validation-Passed", Some("A")));
    assert!(world.sent_to(SHOP)[0].header("Identity").is_none(), "nothing goes on unless the trunk says so");
}

#[test]
fn a_call_that_is_sent_on_says_who_vouched_for_it() {
    let sti = sti();
    let good = sti.vouched("+447700900123");
    let out = sti.sign("verstat = true\nforward = \"div\"\nsign = \"C\"");
    let sent_on = dialled(world(&sti.verify("tag"), &out, Answering::default()), &[("Identity", &good)]);
    let invite = sent_on.sent_to(SHOP).remove(0);
    let identities: Vec<&str> = invite.headers("Identity").collect();
    assert_eq!((identities.len(), identities[0]), (2, good.as_str()));
    assert!(identities[1].ends_with("ppt=\"div\"") && invite.header("Date").is_some());
    let from = invite.header("From").expect("From");
    assert!(from.contains(";verstat=TN-Validation-Passed@"), "{from}");
    // The destination verifies what we sent: its number is the tracked one here, so the caller's token alone holds.
    let mut store = Store::default();
    let read = |name: &str| std::fs::read(sti.folder.path().join(name)).expect("a file");
    store.add_roots(&read("roots.pem")).expect("roots");
    store.add_chain(CERTIFICATE_URL, &read("shaken.pem")).expect("a chain");
    let claim = Claim { caller: Some("+447700900123"), dialled: "+442079460500" };
    let (found, fault) = verify(&store, &Fetched::default(), &invite, claim, the_beginning());
    assert_eq!((fault, found.code.as_str()), (None, "verified"));
    // Nobody vouched for this one: the verdict says so, and we attest what we know.
    let unsigned = dialled(world(&sti.verify("tag"), &out, Answering::default()), &[]);
    let invite = unsigned.sent_to(SHOP).remove(0);
    assert!(invite.header("Identity").is_some_and(|value| value.ends_with("ppt=\"shaken\"")));
    assert_eq!(unsigned.ended()[0].stir.as_ref().map(|stir| stir.code.as_str()), Some("identity_missing"));
}

// ── certificates that are fetched ──

/// A world whose carrier's certificates may be fetched from `host`.
fn fetching(sti: &Sti, how: &str, host: &str) -> World {
    let path = sti.folder.path().display();
    let rules = format!(
        "reason_header = \"codes\"\n[trunk.stir]\nverify = \"{how}\"\ntrusted_file = \"{path}/roots.pem\"\n\
         fetch_hosts = [\"{host}\"]\nfetch_timeout = \"1500ms\""
    );
    world(&rules, "", Answering::default())
}

fn vouched_call(sti: &Sti, world: &World) -> Calling {
    let signer = Signer::new(&sti.key, CERTIFICATE_URL, Some(Attest::Full)).expect("a signer");
    let identity = signer.shaken(CallId(1), "+447700900123", "+442079460500", world.now.wall).expect("a number");
    Calling {
        headers: vec![("Identity", identity)],
        from: Some("<sip:+447700900123@x>".to_owned()),
        ..Calling::default()
    }
}

fn answer(sti: &Sti, world: &mut World, cache_control: Option<&str>) {
    let body = std::fs::read(sti.folder.path().join("shaken.pem")).expect("a file").into();
    let answer = Some(Answer { body, cache_control: cache_control.map(str::to_owned) });
    world.input(Input::Fetched { url: CERTIFICATE_URL.into(), answer });
}

fn verdicts(world: &World) -> Vec<String> {
    let code = |ended: &&leaseline::core::event::CallData| ended.stir.as_ref().map(|stir| stir.code.clone());
    world.ended().iter().filter_map(code).collect()
}

#[test]
fn a_certificate_is_fetched_once_and_kept_as_long_as_it_may_be() {
    let sti = sti();
    let mut world = fetching(&sti, "tag", "CR.example");
    // Two calls wait for one certificate.
    for _ in 0..2 {
        let calling = vouched_call(&sti, &world);
        world.dial(calling);
    }
    world.pass(SECOND);
    assert_eq!(world.fetches, [CERTIFICATE_URL]);
    assert_eq!((world.counts().parked, world.us.live().len()), (2, 0));
    assert!(world.sent_to(CARRIER).iter().all(|message| message.status() == 100));
    answer(&sti, &mut world, Some("max-age=600"));
    assert_eq!((world.counts().parked, world.us.live().len()), (0, 2));
    world.pass(60 * SECOND);
    // Within its time it is known; after that it is fetched again.
    for (wait, fetched) in [(0, 1), (300, 1), (400, 2)] {
        world.pass(wait * SECOND);
        let calling = vouched_call(&sti, &world);
        world.dial(calling);
        world.pass(SECOND);
        assert_eq!(world.fetches.len(), fetched);
    }
    answer(&sti, &mut world, Some("no-store"));
    world.settle();
    assert_eq!(verdicts(&world), ["verified"; 5]);
    assert_eq!(world.counts(), Counts::default());
}

#[test]
fn a_certificate_that_does_not_come_holds_up_no_call() {
    let sti = sti();
    // The verdict says so; what comes late serves the next call.
    let mut late = fetching(&sti, "tag", "cr.example");
    let calling = vouched_call(&sti, &late);
    late.dial(calling);
    late.pass(Duration::from_millis(1_400));
    assert_eq!(late.us.live().len(), 0);
    late.pass(Duration::from_millis(200));
    assert_eq!(late.us.live().len(), 1, "1.5 s are over");
    answer(&sti, &mut late, None);
    late.pass(SECOND);
    let calling = vouched_call(&sti, &late);
    late.dial(calling);
    late.settle();
    assert_eq!((verdicts(&late).join(" ").as_str(), late.fetches.len()), ("certificate_unavailable verified", 1));
    // A failure is remembered for half a minute.
    let mut failed = fetching(&sti, "require", "cr.example");
    for (wait, fetched) in [(0, 1), (10, 1), (31, 2)] {
        failed.pass(wait * SECOND);
        let calling = vouched_call(&sti, &failed);
        failed.dial(calling);
        failed.pass(SECOND / 10);
        assert_eq!(failed.fetches.len(), fetched);
        failed.input(Input::Fetched { url: CERTIFICATE_URL.into(), answer: None });
    }
    let ladder = failed.settle();
    assert_eq!(failed.refused, ["certificate_unavailable"; 3]);
    insta::assert_snapshot!(ladder);
    assert_eq!(failed.counts(), Counts::default());
    // An answer that nobody has asked for is none.
    let mut unasked = fetching(&sti, "tag", "cr.example");
    answer(&sti, &mut unasked, None);
    let calling = vouched_call(&sti, &unasked);
    unasked.dial(calling);
    unasked.pass(SECOND);
    assert_eq!(unasked.fetches.len(), 1);
}

#[test]
fn only_what_the_configuration_lets_be_fetched_is() {
    let sti = sti();
    let mut other = fetching(&sti, "tag", "other.example");
    let calling = vouched_call(&sti, &other);
    other.dial(calling);
    other.settle();
    // Not this caller's, too old, and not for a number of ours.
    let mut none = fetching(&sti, "tag", "cr.example");
    let stranger = Calling { from: Some("<sip:+447700900999@x>".to_owned()), ..vouched_call(&sti, &none) };
    let old = vouched_call(&sti, &none);
    let unknown = Calling { request_uri: "sip:+442079460599@203.0.113.1".into(), ..vouched_call(&sti, &none) };
    none.dial(stranger);
    none.dial(unknown);
    none.pass(90 * SECOND);
    none.dial(old);
    none.settle();
    assert_eq!((other.fetches.len(), none.fetches.len()), (0, 0));
    assert_eq!(verdicts(&other), ["certificate_unavailable"]);
    assert_eq!(verdicts(&none), ["identity_caller_mismatch", "identity_stale"]);
}

#[test]
fn a_caller_gives_up_while_a_certificate_is_fetched() {
    let sti = sti();
    let mut world = fetching(&sti, "tag", "cr.example");
    let calling = Calling { cancel: Some(SECOND), ..vouched_call(&sti, &world) };
    let call = world.dial(calling);
    world.pass(3 * SECOND);
    assert_eq!(world.counts().parked, 0);
    answer(&sti, &mut world, None);
    world.settle();
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [487]);
    assert!(world.ended().is_empty() && world.sent_to(SHOP).is_empty());
    assert_eq!(world.counts(), Counts::default());
}
