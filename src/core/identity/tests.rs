use bytes::Bytes;

use super::*;
use crate::config::IdentityRules;

fn trunk(trust_identity: bool) -> Trunk {
    Trunk { trust_identity, country: Some("GB".into()), ..Trunk::bare("carrier") }
}

fn invite(headers: &str) -> Message {
    let text = format!(
        "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
         Call-ID: a\r\nCSeq: 1 INVITE\r\nTo: <sip:+442079460001@x>\r\n{headers}Content-Length: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

const FROM: &str = "From: <sip:07700900123@x>;tag=1\r\n";

#[test]
fn callers_are_believed_as_far_as_their_trunk() {
    let cases = [
        ("From: \"Ann\" <sip:07700900123@x>;tag=1\r\n", "+447700900123", "Ann", ""),
        ("From: <sip:07700900123@x>;tag=1\r\nP-Asserted-Identity: <tel:+447700900999>\r\n", "+447700900999", "", ""),
        (
            "From: <sip:1@x>;tag=1\r\nP-Asserted-Identity: \"Bob\" <sip:bob@x>, <tel:+447700900999>\r\n",
            "+447700900999",
            "Bob",
            "",
        ),
        (
            "From: <sip:1@x>;tag=1\r\nRemote-Party-ID: \"B\" <sip:+447700900998@x>;privacy=off\r\n",
            "+447700900998",
            "B",
            "",
        ),
        (
            "From: <sip:1@x>;tag=1\r\nRemote-Party-ID: <sip:9@x>;party=called, \"B\" <sip:+447700900998@x>;\
             party=calling;screen=yes;privacy=name\r\n",
            "+447700900998",
            "",
            "",
        ),
        ("From: <sip:1@x>;tag=1\r\nRemote-Party-ID: <sip:+447700900998@x>;privacy=full\r\n", "", "", "withheld"),
        ("From: <sip:1@x>;tag=1\r\nRemote-Party-ID: <sip:+447700900998@x>;privacy=uri-network\r\n", "", "", "withheld"),
        ("From: <sip:+447700900123@x>;tag=1\r\nPrivacy: header;id\r\n", "", "", "withheld"),
        ("From: <sip:+447700900123@x>;tag=1\r\nPrivacy: user\r\nPrivacy: critical\r\n", "", "", "withheld"),
        ("From: <sip:+447700900123@x>;tag=1\r\nPrivacy: none\r\n", "+447700900123", "", ""),
        ("From: <sip:+447700900123@x>;tag=1\r\nPrivacy: header;session\r\n", "+447700900123", "", ""),
        ("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1\r\n", "", "", "withheld"),
        ("From: <sip:alice@x>;tag=1\r\n", "alice", "", ""),
        ("From: <sip:x.example>;tag=1\r\n", "", "", "unreadable"),
        ("From: \"A\u{202e}B\x07\" <sip:+447700900123@x>;tag=1\r\n", "+447700900123", "AB", ""),
    ];
    for (headers, number, display, reason) in cases {
        let identity = caller(&trunk(true), &invite(headers));
        assert_eq!(identity.number.as_deref().unwrap_or(""), number, "{headers}");
        assert_eq!(identity.display.as_deref().unwrap_or(""), display, "{headers}");
        assert_eq!(identity.reason.unwrap_or(""), reason, "{headers}");
    }
}

#[test]
fn d11_an_untrusted_trunk_is_heard_only_where_it_asks_for_privacy() {
    let claims = format!(
        "{FROM}P-Asserted-Identity: <tel:+447700900999>\r\nRemote-Party-ID: <sip:+447700900998@x>\r\n\
         P-Preferred-Identity: <sip:+447700900997@x>\r\nDiversion: <sip:+442079460111@x>;reason=no-answer\r\n\
         History-Info: <sip:+442079460111@x>;index=1\r\n"
    );
    let distrusted = caller(&trunk(false), &invite(&claims));
    assert_eq!(distrusted.number.as_deref(), Some("+447700900123"));
    assert!(!distrusted.asserted && distrusted.diversions.is_empty() && distrusted.history.is_empty());
    let private = caller(&trunk(false), &invite(&format!("{claims}Privacy: id\r\n")));
    assert_eq!((private.number, private.hidden, private.reason), (None, None, Some("withheld")));
    let trusted = caller(&trunk(true), &invite(&format!("{claims}Privacy: id\r\n")));
    assert_eq!((trusted.number, trusted.hidden.as_deref()), (None, Some("+447700900999")));
}

#[test]
fn d12_callers_that_are_none() {
    let long = "9".repeat(200);
    let cases = [
        ("<sip:x.example>".to_owned(), None, Some("unreadable")),
        ("<sip:anonymous@x>".to_owned(), None, Some("withheld")),
        ("<sip:+@x>".to_owned(), None, Some("unreadable")),
        ("<sip:%0d%0a@x>".to_owned(), None, Some("unreadable")),
        ("<sip:alice@x>".to_owned(), Some("alice".to_owned()), None),
        (format!("<sip:{long}@x>"), Some(long[..64].to_owned()), None),
        ("<tel:+447700900123>".to_owned(), Some("+447700900123".to_owned()), None),
    ];
    for (from, number, reason) in cases {
        let identity = caller(&trunk(true), &invite(&format!("From: {from};tag=1\r\n")));
        assert_eq!((identity.number, identity.reason), (number, reason), "{from}");
    }
}

#[test]
fn the_trunks_rules() {
    let both = format!("{FROM}P-Preferred-Identity: \"P\" <sip:+447700900997@x>\r\n");
    let with = |rules: IdentityRules| caller(&Trunk { identity: rules, ..trunk(true) }, &invite(&both));
    let preferred = vec![IdentitySource::Preferred, IdentitySource::From];
    let found = with(IdentityRules { sources: preferred.clone(), ..IdentityRules::default() });
    assert_eq!((found.number.as_deref(), found.asserted), (Some("+447700900997"), false));
    let stripped =
        IdentityRules { sources: preferred.clone(), display: DisplayRule::Strip, ..IdentityRules::default() };
    assert_eq!(with(stripped).display, None);
    let display = DisplayRule::Replace("Call".into());
    let replaced = IdentityRules { sources: preferred, display, ..IdentityRules::default() };
    assert_eq!(with(replaced).display.as_deref(), Some("Call"));
    let nobody = IdentityRules { sources: vec![IdentitySource::Asserted], ..IdentityRules::default() };
    assert_eq!(with(nobody).reason, Some("unreadable"));
}

#[test]
fn what_is_refused_for_privacys_sake() {
    let admitted =
        |trunk: &Trunk, headers: &str| admit(trunk, &invite(headers)).map(|_| ()).map_err(|r| (r.status, r.code));
    let refusing =
        Trunk { identity: IdentityRules { withheld_refused: true, ..IdentityRules::default() }, ..trunk(true) };
    let hidden = format!("{FROM}Privacy: id\r\n");
    assert_eq!(admitted(&refusing, &hidden), Err((433, "anonymity_disallowed")));
    assert_eq!(admitted(&refusing, FROM), Ok(()));
    assert_eq!(admitted(&trunk(true), &hidden), Ok(()));
    assert_eq!(
        admitted(&trunk(true), &format!("{FROM}Privacy: invisible;critical\r\n")),
        Err((500, "privacy_not_possible"))
    );
    assert_eq!(admitted(&trunk(true), &format!("{FROM}Privacy: invisible\r\n")), Ok(()));
    assert_eq!(admitted(&trunk(true), &format!("{FROM}Privacy: id;session;header;user;history;critical\r\n")), Ok(()));
}

#[test]
fn diversions() {
    let text = format!(
        "{FROM}Diversion: \"Desk\" <sip:02079460111@pbx>;reason=no-answer;counter=2;privacy=off, \
         <sip:secret@pbx>;reason=\"user-busy\";privacy=full\r\nDiversion: <tel:+442079460113>;reason=x\x01y\r\n"
    );
    let found = caller(&trunk(true), &invite(&text)).diversions;
    let shown: Vec<(Option<&str>, &str, u32)> =
        found.iter().map(|one| (one.number.as_deref(), one.reason.as_str(), one.counter)).collect();
    assert_eq!(shown[..2], [(Some("+442079460111"), "no-answer", 2), (None, "user-busy", 1)]);
    let refused =
        |values: &str| admit(&trunk(true), &invite(&format!("{FROM}{values}"))).err().map(|reject| reject.code);
    assert_eq!(refused("Diversion: <sip:1@x>;counter=10\r\n"), None);
    assert_eq!(refused("Diversion: <sip:1@x>;counter=11\r\n"), Some("diverted_too_often"));
    assert_eq!(refused("Diversion: <sip:1@x>;counter=4294967295, <sip:1@x>\r\n"), Some("diverted_too_often"));
    assert_eq!(refused("Diversion: <sip:1@x>, <sip:2@x>;limit=1\r\n"), Some("diverted_too_often"));
    assert_eq!(refused("Diversion: <sip:1@x>;limit=1\r\n"), None);
    assert_eq!(refused(&"Diversion: <sip:1@x>\r\n".repeat(30)), Some("diverted_too_often"));
}

#[test]
fn history_goes_on_where_it_ended() {
    let read = |lines: &str| caller(&trunk(true), &invite(&format!("{FROM}{lines}"))).history;
    let target = Target { number: "+442079460500", uri: "sip:sales@198.51.100.1:5060", attempt: 2 };
    let written = |lines: &str, trusted| history(&read(lines), Privacy::default(), trusted, target, "us.example");
    assert_eq!(
        written("", false),
        ["<sip:+442079460500@us.example>;index=1", "<sip:sales@198.51.100.1:5060>;index=1.2;mp=1"]
    );
    let came = "History-Info: <sip:+442079460111@pbx.secret?Reason=SIP%3Bcause%3D302&Privacy=history>;index=1, \
                <sip:+442079460500@edge.secret>;index=1.1;mp=1\r\n";
    assert_eq!(
        written(came, false),
        [
            "<sip:anonymous@anonymous.invalid?Reason=SIP%3Bcause%3D302>;index=1",
            "<sip:+442079460500@us.example>;index=1.1;mp=1",
            "<sip:sales@198.51.100.1:5060>;index=1.1.2;mp=1.1"
        ]
    );
    assert_eq!(
        written(came, true)[0],
        "<sip:+442079460111@us.example?Privacy=history&Reason=SIP%3Bcause%3D302>;index=1"
    );
    assert_eq!(
        written("History-Info: <sip:desk@x>;index=1\r\n", false),
        [
            "<sip:desk@us.example>;index=1",
            "<sip:+442079460500@us.example>;index=1.1;np=1",
            "<sip:sales@198.51.100.1:5060>;index=1.1.2;mp=1.1"
        ]
    );
    for bad in ["<sip:x@y>", "<sip:x@y>;index=", "<sip:x@y>;index=1.", "<sip:x@y>;index=a", "<sip:x@y>;index=12345"] {
        assert_eq!(read(&format!("History-Info: {bad}\r\n")), [], "{bad}");
    }
    assert!(read(&"History-Info: <sip:x@y>;index=1\r\n".repeat(60)).len() <= limits::HISTORY);
}

#[test]
fn privacy_is_written_in_one_order() {
    let read = |text: &str| Privacy::read(std::iter::once(text)).to_string();
    assert_eq!(read("critical; ID;session"), "id;session;critical");
    assert_eq!(read("full"), "id");
    assert_eq!(read("nonsense"), "");
}
