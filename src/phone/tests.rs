//! Both phones against each other, over loopback.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::wire::codec::g711::Law;

const MOMENT: Duration = Duration::from_millis(200);

fn answering() -> AnswerOptions {
    AnswerOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        over: Over::Udp,
        sound: Sound::COMPANY,
        record: None,
        ring: Duration::ZERO,
        status: None,
        early_media: false,
        talk: None,
        calls: Some(1),
    }
}

fn calling(to: SocketAddr) -> CallOptions {
    CallOptions {
        number: "+442079460000".to_owned(),
        to,
        over: Over::Udp,
        from: "+442079460990".to_owned(),
        sound: Sound::CALLER,
        record: None,
        talk: MOMENT,
        ring_max: Duration::from_secs(10),
        laws: vec![Law::Mu, Law::A],
    }
}

/// One call; what both phones say of it, and the caller's steps.
async fn one_call(
    company: AnswerOptions,
    caller: impl FnOnce(SocketAddr) -> CallOptions,
) -> (CallReport, Answered, Vec<Step>) {
    let (ready, is_ready) = oneshot::channel();
    let (ended, mut has_ended) = mpsc::unbounded_channel();
    let phone = tokio::spawn(async move {
        let on_step = |step: &Step| {
            if let What::Ended(report) = &step.what {
                let _ = ended.send(report.clone());
            }
        };
        let ready = |address| {
            let _ = ready.send(address);
        };
        answer(&company, std::future::pending(), ready, on_step).await
    });
    let to = is_ready.await.expect("the phone listens");
    let mut steps = Vec::new();
    let options = caller(to);
    let placing = call(&options, std::future::pending(), |step| steps.push(step.clone()));
    let report = tokio::time::timeout(Duration::from_secs(30), placing).await.expect("in time").expect("placed");
    let answered = has_ended.recv().await.expect("the company's report");
    phone.await.expect("no panic").expect("no error");
    (report, answered, steps)
}

#[tokio::test]
async fn a_call_is_answered_and_both_are_heard() {
    let folder = tempfile::tempdir().expect("a folder");
    let tape = folder.path().join("caller.wav");
    let company = AnswerOptions { record: Some(tape.clone()), ..answering() };
    let (caller, company, steps) = one_call(company, |to| CallOptions { talk: 3 * MOMENT, ..calling(to) }).await;
    assert!(caller.answered && company.answered, "{caller:?} {company:?}");
    assert_eq!((caller.status, caller.ended_by, company.ended_by), (200, EndedBy::Us, EndedBy::Them));
    assert_eq!((company.number.as_str(), company.caller.as_str()), ("+442079460000", "+442079460990"));
    assert!(caller.talk_ms >= 600 && company.talk_ms > 300);
    for media in [caller.media, company.media] {
        assert!(media.sent >= 15 && media.received >= 15 && media.lost == 0, "{media:?}");
    }
    let lines: Vec<String> = steps.iter().filter_map(line).collect();
    assert_eq!(lines, ["> INVITE", "< 180", "< 200", "> ACK", "> BYE", "< 200"], "{steps:#?}");
    let samples: Vec<i16> =
        hound::WavReader::open(&tape).expect("a tape").samples().map(|s| s.expect("a sample")).collect();
    let loudest = samples.iter().map(|s| s.unsigned_abs()).max();
    assert!(loudest > Some(8_000), "the caller's voice is on the tape: {loudest:?}");
}

/// `> INVITE` or `< 180`: direction and first word.
fn line(step: &Step) -> Option<String> {
    let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    match &step.what {
        What::Sent { line, .. } => Some(format!("> {}", first(line))),
        What::Received { line, .. } => Some(format!("< {}", first(line))),
        _ => None,
    }
}

#[tokio::test]
async fn the_company_may_be_busy() {
    let (caller, company, _) = one_call(AnswerOptions { status: Some(486), ..answering() }, calling).await;
    assert_eq!((caller.answered, caller.status, caller.ended_by), (false, 486, EndedBy::Them));
    assert_eq!((company.answered, company.ended_by), (false, EndedBy::Us));
}

#[tokio::test]
async fn the_company_may_hang_up() {
    let company = AnswerOptions { talk: Some(MOMENT), ..answering() };
    let (caller, company, _) =
        one_call(company, |to| CallOptions { talk: Duration::from_secs(20), ..calling(to) }).await;
    assert_eq!((caller.answered, caller.ended_by, company.ended_by), (true, EndedBy::Them, EndedBy::Us));
}

#[tokio::test]
async fn the_caller_may_give_up_while_it_rings() {
    let company = AnswerOptions { ring: Duration::from_secs(20), ..answering() };
    let (caller, company, steps) = one_call(company, |to| CallOptions { ring_max: MOMENT, ..calling(to) }).await;
    assert_eq!((caller.answered, caller.status, caller.ended_by), (false, 487, EndedBy::Us), "{steps:#?}");
    assert_eq!((company.answered, company.ended_by), (false, EndedBy::Them));
}

#[tokio::test]
async fn early_media_is_heard_before_the_answer() {
    let company = AnswerOptions { ring: 2 * MOMENT, early_media: true, status: Some(480), ..answering() };
    let (caller, _, _) = one_call(company, calling).await;
    assert!(caller.early_media && !caller.answered);
    assert!(caller.media.received >= 10, "{:?}", caller.media);
}

#[tokio::test]
async fn one_law_is_offered_and_answered() {
    let (caller, company, _) = one_call(answering(), |to| CallOptions { laws: vec![Law::A], ..calling(to) }).await;
    assert!(caller.answered && company.media.received > 0);
}

#[tokio::test]
async fn nobody_there_is_noticed_at_once() {
    let free = tokio::net::UdpSocket::bind(("127.0.0.1", 0)).await.expect("bound").local_addr().expect("bound");
    let options = calling(free);
    let placing = call(&options, std::future::pending(), |_| {});
    let report = tokio::time::timeout(Duration::from_secs(5), placing).await.expect("at once").expect("a report");
    assert_eq!((report.answered, report.status, report.ended_by), (false, 503, EndedBy::Nobody));
}

#[tokio::test]
async fn calls_over_tcp() {
    let company = AnswerOptions { over: Over::Tcp, talk: Some(MOMENT), ..answering() };
    let far = |to| CallOptions { over: Over::Tcp, talk: Duration::from_secs(20), ..calling(to) };
    let (caller, company, steps) = one_call(company, far).await;
    assert!(caller.answered && company.answered, "{caller:?} {steps:?}");
    // The company's BYE finds the caller's connection.
    assert_eq!((caller.ended_by, company.ended_by), (EndedBy::Them, EndedBy::Us));
    let (caller, ..) = one_call(AnswerOptions { over: Over::Tcp, status: Some(486), ..answering() }, far).await;
    assert_eq!((caller.answered, caller.status), (false, 486));
}

#[tokio::test]
async fn calls_over_tls_to_the_right_name_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let shown = Tls::of_files(Some((certificate.clone(), key)), None).expect("a pair");
    let believed = Tls::of_files(None, Some(certificate)).expect("an authority");
    let over = |rules: &Tls, name: &str| Over::Tls(Box::new(Secured { rules: rules.clone(), name: name.to_owned() }));
    let company = || AnswerOptions { over: over(&shown, ""), ..answering() };
    let (caller, ..) =
        one_call(company(), |to| CallOptions { over: over(&believed, "127.0.0.1"), ..calling(to) }).await;
    assert!(caller.answered && caller.media.received > 0, "{caller:?}");
    // Another name: nothing is said, and the call fails.
    let (ready, is_ready) = oneshot::channel();
    let ready = |address| {
        let _ = ready.send(address);
    };
    let options = company();
    let phone = answer(&options, std::future::pending(), ready, |_| {});
    let calls = async {
        let to = is_ready.await.expect("it listens");
        let options = CallOptions { over: over(&believed, "pbx.example"), ..calling(to) };
        call(&options, std::future::pending(), |_| {}).await.expect("a report")
    };
    tokio::select! {
        _ = phone => panic!("it goes on"),
        report = calls => assert_eq!((report.answered, report.status), (false, 503)),
    }
}
