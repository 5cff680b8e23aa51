use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::config::Config;

const TEXT: &str = r#"
[[trunk]]
name = "carrier"
match = ["192.0.2.10"]
address = "sip:192.0.2.10"
[[company]]
name = "acme"
forward_to = [{ name = "desk", uri = "sip:desk@198.51.100.1" }, "sip:{number}@198.51.100.2"]
[company.decide]
url = "https://crm.example/decide"
secret = "key"
forward_to = [{ name = "anna", trunk = "carrier", number = "+442079460998" }]
[[company]]
name = "other"
forward_to = [{ name = "theirs", uri = "sip:desk@198.51.100.9" }]
"#;

fn acme() -> Company {
    let config = Config::parse(TEXT, "", Path::new("")).unwrap_or_else(|problems| panic!("{problems}"));
    Company::clone(&config.companies[0])
}

/// D09, D14: an answer chooses among what the configuration has, as it is written there, and nothing else.
#[test]
fn what_an_answer_may_say() {
    let company = acme();
    let mut table = String::new();
    let many = format!("{{\"destinations\":[{}]}}", vec!["\"desk\""; 17].join(","));
    let long = format!("{{\"default\":true,\"x\":\"{}\"}}", "x".repeat(limits::DECISION_REPLY));
    for body in [
        r#"{"destinations":["desk"]}"#,
        r#"{"destinations":["anna","desk"],"strategy":"parallel"}"#,
        r#"{"destinations":["desk","desk","sip:{number}@198.51.100.2"],"strategy":"order","note":"x"}"#,
        r#"{"destinations":["sip:desk@198.51.100.1"]}"#,
        r#"{"destinations":["sip:+442079460998@192.0.2.10"]}"#,
        r#"{"destinations":["theirs"]}"#,
        r#"{"destinations":["desk","sip:desk@203.0.113.66"]}"#,
        r#"{"destinations":["sip:+881835210000@198.51.100.1"]}"#,
        r#"{"destinations":["sip:desk@198.51.100.1;maddr=203.0.113.66"]}"#,
        r#"{"destinations":["sip:desk@198.51.100.1:5070"]}"#,
        r#"{"destinations":["DESK"]}"#,
        r#"{"destinations":["desk "]}"#,
        "{\"destinations\":[\"\u{ff0b}442079460998\"]}",
        r#"{"destinations":[""]}"#,
        r#"{"destinations":[]}"#,
        r#"{"destinations":"desk"}"#,
        r#"{"destinations":["desk"],"strategy":"weighted"}"#,
        r#"{"destinations":["desk"],"reject":486}"#,
        r#"{"reject":486}"#,
        r#"{"reject":302}"#,
        r#"{"reject":200}"#,
        r#"{"reject":"busy"}"#,
        r#"{"default":true}"#,
        r#"{"default":false}"#,
        r#"{"default":true,"reject":486}"#,
        "",
        " \r\n",
        "{}",
        "[]",
        "null",
        "desk",
        "{\"destinations\":[\"desk\"]",
        many.as_str(),
        long.as_str(),
    ] {
        let said = match read(body.as_bytes(), &company) {
            Ok(Verdict::Forward(list, strategy)) => {
                let labels: Vec<&str> = list.iter().map(|one| &*one.label).collect();
                format!("{} {}", strategy.as_str(), labels.join(" "))
            }
            Ok(Verdict::Reject(status)) => format!("reject {status}"),
            Ok(Verdict::Default) => "default".to_owned(),
            Err(code) => code.to_owned(),
        };
        let shown: String = body.chars().take(80).collect();
        writeln!(table, "{shown:?} -> {said}").expect("text");
    }
    insta::assert_snapshot!(table);
}

fn at(milliseconds: u64) -> Mono {
    Mono(1) + Duration::from_millis(milliseconds)
}

#[test]
fn a_dead_webhook_rests_and_one_call_tries_it_again() {
    let mut decisions = Decisions::default();
    let fail = |decisions: &mut Decisions, now| {
        let begun = decisions.begin(now, "acme");
        if begun.is_ok() {
            decisions.settle(now, "acme", Came::Bad);
        }
        begun
    };
    for _ in 0..limits::DECISION_FAILURES {
        assert_eq!(fail(&mut decisions, at(0)), Ok(()));
    }
    assert_eq!(fail(&mut decisions, at(1)), Err("decision_suspended"));
    assert_eq!(decisions.begin(at(1), "other"), Ok(()), "another company's webhook is another");
    decisions.settle(at(1), "other", Came::Good);
    // After the rest one tries, the others do not wait for it.
    let rest = u64::try_from(limits::DECISION_REST.as_millis()).expect("small");
    assert_eq!(decisions.begin(at(rest), "acme"), Ok(()));
    assert_eq!(decisions.begin(at(rest), "acme"), Err("decision_suspended"));
    decisions.settle(at(rest), "acme", Came::Bad);
    assert_eq!(decisions.begin(at(rest * 2), "acme"), Err("decision_suspended"), "twice as long");
    // Whose caller gives up leaves the trial to the next.
    assert_eq!(decisions.begin(at(rest * 3), "acme"), Ok(()));
    decisions.settle(at(rest * 3), "acme", Came::Nothing);
    assert_eq!(decisions.begin(at(rest * 3), "acme"), Ok(()));
    decisions.settle(at(rest * 3), "acme", Came::Good);
    assert_eq!((decisions.pending(), decisions.resting.len()), (0, 0));
    assert_eq!(fail(&mut decisions, at(rest * 3)), Ok(()), "one failure is none");
    assert_eq!(decisions.begin(at(rest * 3), "acme"), Ok(()));
    decisions.settle(at(rest * 3), "acme", Came::Nothing);
    decisions.retain(|_| false);
    assert!(decisions.resting.is_empty());
}

#[test]
fn failures_of_questions_asked_at_once_are_one_rest() {
    let mut decisions = Decisions::default();
    for _ in 0..50 {
        decisions.begin(at(0), "acme").expect("asked");
    }
    for _ in 0..50 {
        decisions.settle(at(800), "acme", Came::Bad);
    }
    let breaker = decisions.resting["acme"];
    assert_eq!((breaker.rest, decisions.pending()), (limits::DECISION_REST, 0));
}

#[test]
fn only_so_many_wait() {
    let mut decisions = Decisions::default();
    for _ in 0..limits::DECISIONS {
        decisions.begin(at(0), "acme").expect("room");
    }
    assert_eq!(decisions.begin(at(0), "acme"), Err("decision_too_many"));
    decisions.settle(at(1), "acme", Came::Nothing);
    assert_eq!(decisions.begin(at(1), "acme"), Ok(()));
}
