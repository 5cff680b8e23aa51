//! Rows D05, and what a nonce is good for.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::core::auth::digest::hex;

const TEXT: &str = r#"
[[trunk]]
name = "office"
[trunk.login]
users = [{ user = "office", password = "correct horse" }, { user = "lobby", password = "battery" }]
[[trunk]]
name = "branch"
[trunk.login]
users = [{ user = "branch", password = "staple" }]
"#;
const URI: &str = "sip:+442079460500@203.0.113.1";
const HOME: &str = "198.18.0.1";

struct Door {
    users: Users,
    logins: Logins,
    now: Mono,
}

/// Credentials as a client writes them; every part can be another.
#[derive(Clone)]
struct Try {
    user: &'static str,
    password: &'static str,
    realm: &'static str,
    signed_uri: &'static str,
    uri: &'static str,
    method: &'static str,
    algorithm: &'static str,
    nc: Option<&'static str>,
    source: &'static str,
}

const GOOD: Try = Try {
    user: "office",
    password: "correct horse",
    realm: "leaseline",
    signed_uri: URI,
    uri: URI,
    method: "INVITE",
    algorithm: "SHA-256",
    nc: Some("00000001"),
    source: HOME,
};

impl Door {
    fn new() -> Door {
        let config = Config::parse(TEXT, "test.toml", Path::new("")).expect("good");
        let users = Users::of(&config).expect("somebody logs in");
        Door { users, logins: Logins::new(&[7; 32]), now: Mono(1_000_000_000) }
    }

    fn nonce(&mut self) -> String {
        self.logins.nonce(self.now, "leaseline", HOME.parse().expect("an address"))
    }

    fn says(&mut self, nonce: &str, one: &Try) -> String {
        let algorithm = Algorithm::parse(one.algorithm).expect("known");
        let key = algorithm.key(one.user, one.realm, one.password, nonce, "c");
        let signed = Signed {
            method: one.method,
            uri: one.signed_uri,
            body: b"",
            nonce,
            nc: one.nc.unwrap_or_default(),
            cnonce: "c",
            qop: if one.nc.is_some() { Qop::Auth } else { Qop::None },
        };
        let response = algorithm.response(&key, &signed);
        let count = one.nc.map(|nc| format!(", qop=auth, nc={nc}, cnonce=\"c\"")).unwrap_or_default();
        self.hears(
            one,
            &format!(
                "Digest username=\"{}\", realm=\"{}\", nonce=\"{nonce}\", uri=\"{}\", response=\"{response}\", \
                 algorithm={}{count}",
                one.user, one.realm, one.signed_uri, one.algorithm
            ),
        )
    }

    fn hears(&mut self, one: &Try, line: &str) -> String {
        let text = format!("INVITE {} SIP/2.0\r\nAuthorization: {line}\r\n\r\n", one.uri);
        let request = Message::parse(text.into_bytes().into()).expect("a message");
        match self.logins.judge(self.now, &self.users, one.source.parse().expect("an address"), &request) {
            Shown::User(trunk) => trunk.name.clone(),
            other => format!("{other:?}"),
        }
    }
}

/// D05: what is wrong with one login after the other, each with a nonce of its own.
#[test]
fn d05_what_is_let_in() {
    let mut door = Door::new();
    let rows = [
        ("good", GOOD, "office"),
        ("another user", Try { user: "lobby", password: "battery", ..GOOD }, "office"),
        ("another trunk", Try { user: "branch", password: "staple", ..GOOD }, "branch"),
        ("MD5", Try { algorithm: "MD5", ..GOOD }, "office"),
        ("SHA-512-256", Try { algorithm: "sha-512-256", ..GOOD }, "office"),
        ("without a count", Try { nc: None, ..GOOD }, "office"),
        ("count 0", Try { nc: Some("00000000"), ..GOOD }, "Stale"),
        (
            "port and parameters",
            Try { signed_uri: "sip:+442079460500@203.0.113.1:5060;transport=ws", ..GOOD },
            "office",
        ),
        ("wrong password", Try { password: "x", ..GOOD }, "Wrong"),
        ("unknown user", Try { user: "nobody", ..GOOD }, "Wrong"),
        ("unknown user, no password", Try { user: "nobody", password: "", ..GOOD }, "Wrong"),
        ("another's password", Try { password: "staple", ..GOOD }, "Wrong"),
        ("for the host alone", Try { signed_uri: "sip:203.0.113.1:5060", ..GOOD }, "office"),
        ("for another number", Try { signed_uri: "sip:+442079460501@203.0.113.1", ..GOOD }, "Wrong"),
        ("for another host", Try { signed_uri: "sip:+442079460500@203.0.113.2", ..GOOD }, "Wrong"),
        ("for another method", Try { method: "REGISTER", ..GOOD }, "Wrong"),
        ("another realm", Try { realm: "elsewhere", ..GOOD }, "Nothing"),
        ("another source", Try { source: "198.18.0.2", ..GOOD }, "Stale"),
        ("mapped source", Try { source: "::ffff:198.18.0.1", ..GOOD }, "office"),
        ("session key", Try { algorithm: "MD5-sess", ..GOOD }, "Nothing"),
    ];
    for (what, one, expected) in rows {
        let nonce = door.nonce();
        assert_eq!(door.says(&nonce, &one), expected, "{what}");
    }
}

#[test]
fn d05_counts_rise_and_nonces_age() {
    let mut door = Door::new();
    let nonce = door.nonce();
    let with = |nc| Try { nc: Some(nc), ..GOOD };
    assert_eq!(door.says(&nonce, &with("00000002")), "office");
    assert_eq!(door.says(&nonce, &with("00000002")), "Stale", "replayed");
    assert_eq!(door.says(&nonce, &with("00000001")), "Stale", "not rising");
    assert_eq!(door.says(&nonce, &with("0000000a")), "office");
    assert_eq!(door.says(&nonce, &Try { password: "x", ..with("0000000b") }), "Wrong");
    assert_eq!(door.says(&nonce, &with("0000000b")), "office", "a wrong password uses nothing");
    let once = door.nonce();
    assert_eq!(door.says(&once, &Try { nc: None, ..GOOD }), "office");
    assert_eq!(door.says(&once, &Try { nc: None, ..GOOD }), "Stale", "good for once");
    door.now = door.now + limits::LOGIN_NONCE + Duration::from_millis(1);
    assert_eq!(door.says(&nonce, &with("0000000c")), "Stale", "old");
    let young = door.nonce();
    assert_eq!(door.says(&young, &GOOD), "office");
    assert_eq!(door.logins.count_used(), 1, "old ones are forgotten");
    assert_eq!(door.says("AAAA", &GOOD), "Stale");
    assert_eq!(door.says(&hex(&[0; 12]), &GOOD), "Stale", "not ours");
    assert_eq!(door.says(&"A".repeat(limits::AUTH_VALUE), &GOOD), "Stale");
}

/// D05: what cannot be read, or is written twice, shows nothing.
#[test]
fn d05_credentials_that_cannot_be_read() {
    let mut door = Door::new();
    let parts = ["username=\"office\"", "realm=\"leaseline\"", "nonce=\"n\"", "uri=\"sip:a@b\"", "response=\"0\""];
    for missing in 0..parts.len() {
        let line: Vec<&str> = parts.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, part)| *part).collect();
        assert_eq!(door.hears(&GOOD, &format!("Digest {}", line.join(", "))), "Nothing", "{}", parts[missing]);
    }
    let all = format!("Digest {}", parts.join(", "));
    assert_eq!(door.hears(&GOOD, &all), "Stale");
    for line in [
        "Basic b2ZmaWNlOng=",
        "Digest",
        &format!("{all}, realm=\"leaseline\""),
        &format!("{all}, qop=auth-int, nc=00000001, cnonce=\"c\""),
        &format!("{all}, qop=auth, nc=1, cnonce=\"c\""),
        &format!("{all}, qop=auth, cnonce=\"c\""),
        &format!("{all}, algorithm=SHA-1"),
        &format!("{all}\r\nAuthorization: {all}"),
    ] {
        assert_eq!(door.hears(&GOOD, line), "Nothing", "{line}");
    }
}

#[test]
fn challenges_and_seals() {
    let mut door = Door::new();
    let lines: Vec<_> =
        door.users.algorithms.iter().map(|hash| challenge(&door.users, *hash, "n", *hash == Hash::Md5)).collect();
    assert_eq!(
        lines.into_iter().flatten().collect::<Vec<_>>(),
        [
            "Digest realm=\"leaseline\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"",
            "Digest realm=\"leaseline\", nonce=\"n\", algorithm=SHA-512-256, qop=\"auth\"",
            "Digest realm=\"leaseline\", nonce=\"n\", stale=true, algorithm=MD5, qop=\"auth\"",
        ]
    );
    let (first, second) = (door.nonce(), door.nonce());
    assert_ne!(first, second, "at the same moment");
    assert_eq!(first.len(), 32);
    let mut other = Door { logins: Logins::new(&[8; 32]), ..Door::new() };
    assert_eq!(other.says(&first, &GOOD), "Stale", "another node's");
}

#[test]
fn a_source_has_its_rate_and_others_have_theirs() {
    let mut door = Door::new();
    let [one, other] = [HOME, "198.18.0.2"].map(|text| text.parse().expect("an address"));
    let tries = |door: &mut Door, source| (0..1_000).filter(|_| door.logins.may_try(door.now, source)).count();
    assert_eq!(tries(&mut door, one), 50);
    assert_eq!(tries(&mut door, other), 50);
    door.now = door.now + Duration::from_secs(1);
    assert_eq!(tries(&mut door, one), 50);
}
