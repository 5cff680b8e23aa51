//! Conversations with Asterisk, as it holds them.

use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::core::ears::link::Word;

const NOW: Wall = Wall(1_790_000_000_000_000);

pub(in crate::core::ears) fn ear(extra: &str) -> Arc<Ear> {
    let text = format!(
        "[[ears]]\nname = \"pbx\"\nkind = \"asterisk\"\naddress = \"127.0.0.1:5038\"\nuser = \"leaseline\"\n\
         secret = \"amp111\"\n{extra}\n"
    );
    Arc::clone(&Config::parse(&text, "test", std::path::Path::new("")).unwrap().ears[0])
}

/// What was said and reported, a line each.
fn told(words: &[Word]) -> Vec<String> {
    let line = |word: &Word| match word {
        Word::Send(bytes) => String::from_utf8_lossy(bytes).replace("\r\n", " ").trim().to_owned(),
        Word::Ready => "ready".to_owned(),
        Word::Synced(alive) => {
            let mut alive: Vec<&str> = alive.iter().map(String::as_str).collect();
            alive.sort_unstable();
            format!("synced {}", alive.join(" "))
        }
        Word::Report(report) => {
            let Report { id, stage, called, caller, by, cause, outcome, hangup_by, .. } = &**report;
            let mut text = format!("{} {id}", stage.as_str());
            for more in [called, caller, by].into_iter().flatten() {
                text += &format!(" {more}");
            }
            if *stage == Stage::Ended {
                text += &format!(" {cause:?} {outcome:?} {hangup_by:?}");
            }
            text
        }
    };
    words.iter().map(line).collect()
}

struct Talk(Asterisk);

impl Talk {
    /// Logged in, with nothing in progress.
    fn new(extra: &str) -> Talk {
        let mut talk = Talk(Asterisk::new(ear(extra)));
        talk.0.begin(&mut Vec::new());
        talk.say("Asterisk Call Manager/5.0.2");
        talk.message("Response: Success|Challenge: 843415273");
        talk.message("Response: Success|Message: Authentication accepted");
        talk.message("Event: CoreShowChannelsComplete|EventList: Complete");
        talk
    }

    fn say(&mut self, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        self.0.take(NOW, format!("{text}\r\n").as_bytes(), &mut words).unwrap();
        told(&words)
    }

    fn message(&mut self, fields: &str) -> Vec<String> {
        self.say(&format!("{}\r\n", fields.replace('|', "\r\n")))
    }

    fn comes(&mut self, channel: &str, exten: &str) -> Vec<String> {
        self.message(&format!(
            "Event: Newchannel|Channel: {channel}-00000001|ChannelState: 4|ChannelStateDesc: Ring|CallerIDNum: 07700900123|\
             CallerIDName: <unknown>|Context: from-trunk|Exten: {exten}|Priority: 1|Uniqueid: 1.1|Linkedid: 1.1"
        ))
    }
}

#[test]
fn it_logs_in_with_a_challenge_and_asks_for_the_calls() {
    let mut asterisk = Asterisk::new(ear(""));
    let mut words = Vec::new();
    asterisk.begin(&mut words);
    let said = "Asterisk Call Manager/5.0.2\r\nResponse: Success\r\nChallenge: 843415273\r\n\r\n";
    asterisk.take(NOW, said.as_bytes(), &mut words).unwrap();
    asterisk.take(NOW, b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n", &mut words).unwrap();
    let key = key("843415273", "amp111");
    assert_eq!(
        told(&words),
        [
            "Action: Challenge AuthType: MD5".to_owned(),
            format!("Action: Login AuthType: MD5 Username: leaseline Key: {key} Events: call,dialplan,system"),
            "ready".to_owned(),
            "Action: CoreShowChannels ActionID: list".to_owned(),
        ]
    );
}

#[test]
fn without_challenges_the_secret_goes_as_it_is_and_a_wrong_one_is_said() {
    let mut asterisk = Asterisk::new(ear(""));
    let mut words = Vec::new();
    let said = "Asterisk Call Manager/1.0\r\nResponse: Error\r\nMessage: Must specify AuthType\r\n\r\n";
    asterisk.take(NOW, said.as_bytes(), &mut words).unwrap();
    assert_eq!(told(&words), ["Action: Login Username: leaseline Secret: amp111 Events: call,dialplan,system"]);
    let refused = b"Response: Error\r\nMessage: Authentication failed\r\n\r\n";
    assert_eq!(asterisk.take(NOW, refused, &mut words), Err("login_refused"));
}

#[test]
fn an_answered_call_from_its_first_channel_to_its_hangup() {
    let mut talk = Talk::new("");
    assert_eq!(talk.comes("PJSIP/carrier", "+442079460500"), ["offered 1.1 +442079460500 07700900123"]);
    let leg = "Channel: PJSIP/101-00000002|Uniqueid: 1.2|Linkedid: 1.1";
    assert!(talk.message(&format!("Event: Newchannel|Exten: 101|Context: default|{leg}")).is_empty());
    let dial = "Uniqueid: 1.1|Linkedid: 1.1|DestChannel: PJSIP/101-00000002|DestUniqueid: 1.2|DestLinkedid: 1.1";
    assert!(talk.message(&format!("Event: DialBegin|{dial}")).is_empty());
    assert_eq!(talk.message(&format!("Event: Newstate|ChannelStateDesc: Ringing|{leg}")), ["ringing 1.1 PJSIP/101"]);
    assert_eq!(talk.message(&format!("Event: DialEnd|DialStatus: ANSWER|{dial}")), ["answered 1.1 PJSIP/101"]);
    let enter = "Event: BridgeEnter|BridgeType: basic|BridgeNumChannels: 2|Channel: PJSIP/101-00000002|Uniqueid: 1.2";
    assert!(talk.message(&format!("{enter}|Linkedid: 1.1")).is_empty());
    assert!(talk.message("Event: HangupRequest|Uniqueid: 1.1|Linkedid: 1.1").is_empty());
    assert!(talk.message("Event: HangupRequest|Uniqueid: 1.2|Linkedid: 1.1").is_empty());
    assert!(talk.message(&format!("Event: Hangup|Cause: 16|{leg}")).is_empty());
    let ended = talk.message("Event: Hangup|Cause: 16|Uniqueid: 1.1|Linkedid: 1.1");
    assert_eq!(ended, ["ended 1.1 Some(16) None Some(Caller)"]);
    assert!(talk.message("Event: Hangup|Cause: 16|Uniqueid: 1.1|Linkedid: 1.1").is_empty());
}

#[test]
fn how_it_ended_when_nobody_answered() {
    for (status, outcome) in [
        ("BUSY", "Some(Busy)"),
        ("NOANSWER", "Some(NoAnswer)"),
        ("CANCEL", "Some(Cancelled)"),
        ("CHANUNAVAIL", "Some(Failed)"),
        ("ABORT", "None"),
    ] {
        let mut talk = Talk::new("");
        talk.comes("PJSIP/carrier", "0500");
        talk.message(&format!("Event: DialEnd|DialStatus: {status}|Uniqueid: 1.1|Linkedid: 1.1|DestLinkedid: 1.1"));
        let ended = talk.message("Event: Hangup|Cause: 17|Uniqueid: 1.1|Linkedid: 1.1");
        assert_eq!(ended, [format!("ended 1.1 Some(17) {outcome} None")], "{status}");
    }
    let mut talk = Talk::new("");
    talk.comes("PJSIP/carrier", "0500");
    talk.message("Event: Newexten|Application: VoiceMail|Extension: 0500|Uniqueid: 1.1|Linkedid: 1.1");
    let ended = talk.message("Event: Hangup|Cause: 16|Uniqueid: 1.1|Linkedid: 1.1");
    assert_eq!(ended, ["ended 1.1 Some(16) Some(Voicemail) None"]);
}

#[test]
fn a_menu_and_a_queue_are_no_answer_but_where_that_is_configured() {
    let up = "Event: Newstate|ChannelStateDesc: Up|Channel: PJSIP/carrier-00000001|Uniqueid: 1.1|Linkedid: 1.1";
    let mut talk = Talk::new("");
    talk.comes("PJSIP/carrier", "0500");
    assert!(talk.message(up).is_empty());
    let bridge = "Event: BridgeEnter|Channel: PJSIP/7-00000003|Uniqueid: 1.3|Linkedid: 1.1";
    assert!(talk.message(&format!("{bridge}|BridgeNumChannels: 1")).is_empty());
    assert!(talk.message(&format!("{bridge}|BridgeNumChannels: 2|BridgeType: holding")).is_empty());
    assert_eq!(talk.message(&format!("{bridge}|BridgeNumChannels: 2")), ["answered 1.1 PJSIP/7"]);
    let mut talk = Talk::new("answered = \"picked_up\"");
    talk.comes("PJSIP/carrier", "0500");
    assert_eq!(talk.message(up), ["answered 1.1"]);
}

#[test]
fn which_channels_are_calls_that_come_in() {
    for (extra, channel, counts) in [
        ("", "PJSIP/carrier", true),
        ("", "Local/s@default", false),
        ("trunks = [\"PJSIP/carrier\"]", "PJSIP/carrier", true),
        ("trunks = [\"PJSIP/carrier\"]", "PJSIP/101", false),
        ("trunks = [\"PJSIP/car*\"]\ncontexts = [\"from-trunk\"]", "PJSIP/carrier", true),
        ("contexts = [\"from-internal\"]", "PJSIP/carrier", false),
    ] {
        let offered = Talk::new(extra).comes(channel, "+442079460500");
        assert_eq!(!offered.is_empty(), counts, "{extra} {channel}");
    }
    // The number comes later, and once.
    let mut talk = Talk::new("");
    assert!(talk.comes("DAHDI/1", "s").is_empty());
    let step = "Event: Newexten|Context: from-trunk|Uniqueid: 1.1|Linkedid: 1.1|Extension";
    assert!(talk.message(&format!("{step}: s")).is_empty());
    assert_eq!(talk.message(&format!("{step}: 442079460500")), ["offered 1.1 442079460500 07700900123"]);
    assert!(talk.message(&format!("{step}: 101")).is_empty());
}

#[test]
fn the_sip_call_id_is_taken_where_the_pbx_tells_it() {
    let mut talk = Talk(Asterisk::new(ear("")));
    talk.say("Asterisk Call Manager/5.0.2");
    talk.message("Response: Success|Challenge: 1");
    talk.message("Response: Success");
    let mut words = Vec::new();
    let event = "Event: Newchannel\r\nChannel: SIP/c-1\r\nExten: 0500\r\nUniqueid: 1.1\r\n\
        ChanVariable: SIPCALLID=a84b4c76e66710@pc33\r\n\r\n";
    talk.0.take(NOW, event.as_bytes(), &mut words).unwrap();
    // Of PJSIP it comes when the dialplan has set it.
    let event = "Event: Newchannel\r\nChannel: PJSIP/c-1\r\nExten: 0500\r\nUniqueid: 1.2\r\n\r\nEvent: Newexten\r\n\
        Uniqueid: 1.2\r\nChanVariable: SIPCALLID=b84b4c76e66710@pc33\r\n\r\nEvent: Newexten\r\nUniqueid: 1.2\r\n\
        ChanVariable: SIPCALLID=b84b4c76e66710@pc33\r\n\r\n";
    talk.0.take(NOW, event.as_bytes(), &mut words).unwrap();
    let ids = words.iter().filter_map(|word| match word {
        Word::Report(report) => Some((report.id.as_str(), report.sip_call_id.as_deref())),
        _ => None,
    });
    let (a, b) = (Some("a84b4c76e66710@pc33"), Some("b84b4c76e66710@pc33"));
    assert_eq!(ids.collect::<Vec<_>>(), [("1.1", a), ("1.2", None), ("1.2", b)]);
}

/// After a link was lost: what goes on is followed again, what began meanwhile is told with its beginning, and the list
/// says what is not there any more.
#[test]
fn calls_in_progress_are_found_again() {
    let mut talk = Talk(Asterisk::new(ear("")));
    talk.say("Asterisk Call Manager/5.0.2");
    talk.message("Response: Success|Challenge: 1");
    talk.message("Response: Success");
    let row = |id: &str, exten: &str, more: &str| {
        format!("Event: CoreShowChannel|Channel: PJSIP/c-{id}|Exten: {exten}|Uniqueid: {id}|Linkedid: {id}|{more}")
    };
    let mut words = Vec::new();
    let ringing = row("1.1", "0500", "ChannelStateDesc: Ring|Duration: 00:01:05|CallerIDNum: 07700900123");
    let text = format!("{}\r\n\r\n", ringing.replace('|', "\r\n"));
    talk.0.take(NOW, text.as_bytes(), &mut words).unwrap();
    let Some(Word::Report(report)) = words.first() else { panic!("{words:?}") };
    assert_eq!((report.stage, report.at), (Stage::Offered, Some(NOW - Duration::from_secs(65))));
    // In the middle of its dialplan.
    assert_eq!(talk.message(&row("1.2", "s", "ChannelStateDesc: Up|BridgeId: b|Duration: 00:10:00")), ["answered 1.2"]);
    talk.message("Event: CoreShowChannel|Uniqueid: 1.3|Linkedid: 1.2|Channel: PJSIP/101-3");
    assert_eq!(talk.message("Event: CoreShowChannelsComplete"), ["synced 1.1 1.2 1.3"]);
    let ended = talk.message("Event: Hangup|Cause: 16|Uniqueid: 1.2|Linkedid: 1.2");
    assert_eq!(ended, ["ended 1.2 Some(16) None None"]);
}

proptest! {
    #[test]
    fn whatever_comes_is_read_without_harm(parts in proptest::collection::vec(
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "(Event|Response|Uniqueid|Linkedid|Exten|DialStatus|BridgeNumChannels|Duration|Cause): [ -~]{0,20}\r\n"
                .prop_map(String::into_bytes),
            "Event: (Newchannel|Newexten|Newstate|DialEnd|BridgeEnter|Hangup|HangupRequest|CoreShowChannel)\r\n"
                .prop_map(String::into_bytes),
            Just(b"\r\n".to_vec()),
            Just(b"Uniqueid: 1.1\r\nLinkedid: 1.1\r\n\r\n".to_vec()),
        ], 0..60)) {
        for logged_in in [false, true] {
            let mut talk = if logged_in { Talk::new("") } else { Talk(Asterisk::new(ear(""))) };
            for part in &parts {
                let mut words = Vec::new();
                let taken = talk.0.take(NOW, part, &mut words);
                prop_assert!(words.len() <= part.len() + 2);
                if taken.is_err() {
                    break;
                }
            }
        }
    }
}
