//! The client's side: which challenge is answered, and the header that answers it (RFC 3261 §22.2, RFC 7616 §3.4).

use std::sync::Arc;

use super::Credentials;
use super::digest::{Algorithm, Qop, Signed};
use crate::wire::sip::Message;
use crate::wire::sip::auth::{AuthValue, AuthWriter};

/// Who asks for credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// 401: the far end.
    Server,
    /// 407: a proxy on the way.
    Proxy,
}

/// One challenge that we can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub realm: String,
    pub nonce: String,
    pub opaque: Option<String>,
    /// The nonce was too old; the credentials were right.
    pub stale: bool,
    pub algorithm: Algorithm,
    /// The challenge named its algorithm, so the answer does too.
    names_algorithm: bool,
    pub qop: Qop,
    pub user_hash: bool,
}

/// The credentials with one nonce: what answers its challenge, and later requests before they are challenged.
#[derive(Clone, Debug)]
pub struct Session {
    credentials: Arc<Credentials>,
    challenge: Challenge,
    cnonce: String,
    /// How often the nonce was used.
    count: u32,
    key: String,
}

impl Asker {
    /// Who asks with this status.
    pub fn of(status: u16) -> Option<Asker> {
        match status {
            401 => Some(Asker::Server),
            407 => Some(Asker::Proxy),
            _ => None,
        }
    }

    /// Header of the challenge.
    pub fn asks_in(self) -> &'static str {
        match self {
            Asker::Server => "WWW-Authenticate",
            Asker::Proxy => "Proxy-Authenticate",
        }
    }

    /// Header of the answer.
    pub fn is_answered_in(self) -> &'static str {
        match self {
            Asker::Server => "Authorization",
            Asker::Proxy => "Proxy-Authorization",
        }
    }
}

impl Challenge {
    /// The challenge of a 401 or 407 that `credentials` can answer: of the right realm, with a scheme, an algorithm and a
    /// quality of protection that we know. Of several it is the strongest, and of equals the topmost: RFC 8760 §2.4 has
    /// the topmost of a realm unless there is a policy, and ours is not to be talked down.
    pub fn choose(response: &Message, asker: Asker, credentials: &Credentials) -> Option<Challenge> {
        let lines = response.headers(asker.asks_in());
        let all = lines.filter_map(AuthValue::read).flatten().filter_map(|value| Challenge::read(&value));
        let fits = |challenge: &Challenge| credentials.realm.as_ref().is_none_or(|realm| *realm == challenge.realm);
        // `max_by_key` gives the last of equals.
        let mut fitting: Vec<Challenge> = all.filter(fits).collect();
        fitting.reverse();
        fitting.into_iter().max_by_key(|challenge| (challenge.algorithm.hash, challenge.algorithm.session))
    }

    fn read(value: &AuthValue<'_>) -> Option<Challenge> {
        if !value.scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let algorithm = value.param("algorithm");
        let parsed = Algorithm::parse(algorithm.unwrap_or("MD5"))?;
        let flag = |name| value.param(name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let offered = |wanted: &str, list: &str| list.split(',').any(|qop| qop.trim().eq_ignore_ascii_case(wanted));
        let qop = match value.param("qop") {
            None => Qop::None,
            Some(list) if offered("auth", list) => Qop::Auth,
            Some(list) if offered("auth-int", list) => Qop::AuthInt,
            Some(_) => return None,
        };
        if parsed.session && qop == Qop::None {
            // Its key needs a client nonce, which may not be sent without `qop` (RFC 7616 §3.4).
            return None;
        }
        Some(Challenge {
            realm: value.param("realm")?.to_owned(),
            nonce: value.param("nonce")?.to_owned(),
            opaque: value.param("opaque").map(str::to_owned),
            stale: flag("stale"),
            algorithm: parsed,
            names_algorithm: algorithm.is_some(),
            qop,
            user_hash: flag("userhash"),
        })
    }
}

impl Session {
    /// `cnonce`: a fresh random token.
    pub fn new(credentials: Arc<Credentials>, challenge: Challenge, cnonce: String) -> Session {
        let Challenge { algorithm, realm, nonce, .. } = &challenge;
        let key = algorithm.key(&credentials.user, realm, &credentials.secret.0, nonce, &cnonce);
        Session { credentials, challenge, cnonce, count: 0, key }
    }

    /// Value of the header for one request; counts the nonce's use. `None` when a value cannot be written in one line.
    pub fn answer(&mut self, method: &str, uri: &str, body: &[u8]) -> Option<String> {
        self.count = self.count.checked_add(1)?;
        let Challenge { realm, nonce, opaque, algorithm, names_algorithm, qop, user_hash, stale: _ } = &self.challenge;
        let nc = format!("{:08x}", self.count);
        let signed = Signed { method, uri, body, nonce, nc: &nc, cnonce: &self.cnonce, qop: *qop };
        let response = algorithm.response(&self.key, &signed);
        let user = &self.credentials.user;
        let hashed = user_hash.then(|| algorithm.hash.of(&[user.as_bytes(), realm.as_bytes()]));
        let mut line = AuthWriter::new("Digest")
            .quoted("username", hashed.as_deref().unwrap_or(user))
            .quoted("realm", realm)
            .quoted("nonce", nonce)
            .quoted("uri", uri)
            .quoted("response", &response);
        if *names_algorithm {
            line = line.plain("algorithm", algorithm.name());
        }
        if let Some(opaque) = opaque {
            line = line.quoted("opaque", opaque);
        }
        if let Some(qop) = qop.name() {
            line = line.quoted("cnonce", &self.cnonce).plain("qop", qop).plain("nc", &nc);
        }
        if *user_hash {
            line = line.plain("userhash", "true");
        }
        line.finish()
    }

    /// `Authentication-Info` of a 2xx: the nonce of the next request (RFC 7616 §3.5).
    pub fn next_nonce(&mut self, nonce: &str) {
        let Challenge { algorithm, realm, .. } = &self.challenge;
        if !algorithm.session {
            let secret = &self.credentials.secret.0;
            self.key = algorithm.key(&self.credentials.user, realm, secret, nonce, &self.cnonce);
        }
        self.challenge.nonce = nonce.to_owned();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::config::Secret;

    fn credentials(realm: Option<&str>) -> Arc<Credentials> {
        Arc::new(Credentials {
            user: "bob".to_owned(),
            secret: Secret("zanzibar".into()),
            realm: realm.map(str::to_owned),
            trunk: "carrier".into(),
        })
    }

    fn refused(lines: &[&str]) -> Message {
        let mut text = "SIP/2.0 401 Unauthorized\r\n".to_owned();
        for line in lines {
            text.push_str(&format!("WWW-Authenticate: {line}\r\n"));
        }
        Message::parse(Bytes::from(text + "\r\n")).expect("a response")
    }

    fn chosen(realm: Option<&str>, lines: &[&str]) -> String {
        let challenge = Challenge::choose(&refused(lines), Asker::Server, &credentials(realm));
        challenge.map_or("none".to_owned(), |c| format!("{} {} {} {:?}", c.realm, c.nonce, c.algorithm.name(), c.qop))
    }

    /// D03.
    #[test]
    fn the_strongest_challenge_that_we_know_is_answered() {
        let md5 = r#"Digest realm="a", nonce="m", qop="auth""#;
        let sha = r#"Digest realm="a", nonce="s", algorithm=SHA-256, qop="auth""#;
        let sha512 = r#"Digest realm="a", nonce="t", algorithm=SHA-512-256, qop="auth""#;
        let sess = r#"Digest realm="a", nonce="e", algorithm=SHA-256-sess, qop="auth""#;
        for (realm, lines, expected) in [
            (None, vec![md5], "a m MD5 Auth"),
            (None, vec![md5, sha], "a s SHA-256 Auth"),
            (None, vec![sha, md5], "a s SHA-256 Auth"),
            (None, vec![sha512, md5], "a t SHA-512-256 Auth"),
            (None, vec![sha512, sha, sess], "a e SHA-256-sess Auth"),
            (None, vec![r#"Digest realm="a", nonce="1", Digest realm="b", nonce="2""#], "a 1 MD5 None"),
            (Some("b"), vec![r#"Digest realm="a", nonce="1", Digest realm="b", nonce="2""#], "b 2 MD5 None"),
            (Some("c"), vec![md5, sha], "none"),
            (Some("A"), vec![md5], "none"),
            (None, vec![r#"Digest realm="a", nonce="1", qop="auth-int,auth""#], "a 1 MD5 Auth"),
            (None, vec![r#"Digest realm="a", nonce="1", qop="auth-int""#], "a 1 MD5 AuthInt"),
            (None, vec![r#"Digest realm="a", nonce="1", qop="token""#], "none"),
            (None, vec![r#"Digest realm="a", nonce="1", algorithm=SHA-256-sess"#], "none"),
            (None, vec![r#"Digest realm="a", nonce="1", algorithm=AKAv1-MD5"#], "none"),
            (None, vec![r#"Digest nonce="1""#], "none"),
            (None, vec![r#"Digest realm="1""#], "none"),
            (None, vec![r#"Basic realm="a""#], "none"),
            (None, vec![r#"Digest realm="a"#, md5], "a m MD5 Auth"),
            (None, vec![], "none"),
        ] {
            assert_eq!(chosen(realm, &lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn answers() {
        let mut text = String::new();
        for line in [
            r#"Digest realm="biloxi.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc", qop="auth,auth-int""#,
            r#"Digest realm="biloxi.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093""#,
            r#"Digest realm="a \"b\" \\c", nonce="n", algorithm=md5-sess, qop="auth", opaque="\"\\""#,
            r#"Digest realm="a", nonce="n", algorithm=SHA-512-256, qop="auth-int", userhash=true"#,
        ] {
            let challenge = Challenge::choose(&refused(&[line]), Asker::Server, &credentials(None)).expect("known");
            let mut session = Session::new(credentials(None), challenge, "0a4f113b".to_owned());
            for method in ["INVITE", "BYE"] {
                text.push_str(&session.answer(method, "sip:bob@biloxi.com", b"v=0\r\n").expect("writable"));
                text.push('\n');
            }
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn the_next_nonce_starts_a_new_count() {
        let challenge = Challenge::choose(
            &refused(&[r#"Digest realm="a", nonce="one", qop="auth""#]),
            Asker::Server,
            &credentials(None),
        );
        let mut session = Session::new(credentials(None), challenge.expect("known"), "c".to_owned());
        session.answer("INVITE", "sip:a", b"");
        session.next_nonce("two");
        let line = session.answer("BYE", "sip:a", b"").expect("writable");
        assert!(line.contains("nonce=\"two\"") && line.contains("nc=00000001"), "{line}");
    }
}
