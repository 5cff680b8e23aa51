//! What the disk and hostile names do to recordings: rows G01, G02, G03, G07, G08 of the reliability list, with the real
//! program.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::hostile::receive;
use crate::node::{NUMBER, Node, PATIENCE, alone, holds, until};

/// A caller that writes its own messages.
struct Raw<'n> {
    node: &'n Node,
    socket: UdpSocket,
    from: String,
    call_id: String,
    branch: String,
}

impl Raw<'_> {
    fn message(&self, method: &str, cseq: u32, to: &str, more: &str, body: &str) -> String {
        let (us, sip) = (self.socket.local_addr().unwrap(), self.node.sip());
        let Raw { from, call_id, branch, .. } = self;
        format!(
            "{method} sip:{NUMBER}@{sip} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{branch}{method}\r\n\
             Max-Forwards: 70\r\nFrom: {from};tag={branch}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:x@{us}>\r\n{more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn say(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.node.sip()).unwrap();
    }

    /// The first final answer, and its To.
    fn answer(&self) -> Option<(u16, String)> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            // The company's voice comes here too.
            let text = receive(&self.socket)?;
            let status: u16 = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
            if text.starts_with("SIP/2.0 ") && status >= 200 {
                let to = text.lines().find_map(|line| line.strip_prefix("To: ")).unwrap_or_default();
                return Some((status, to.to_owned()));
            }
        }
        None
    }

    /// Calls, and gives the To of the answer when it is a 200.
    fn call(&self) -> Result<String, Option<u16>> {
        let us = self.socket.local_addr().unwrap();
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n",
            ip = us.ip(),
            port = us.port() & !1
        );
        let to = format!("<sip:{NUMBER}@{}>", self.node.sip());
        self.say(&self.message("INVITE", 1, &to, "Content-Type: application/sdp\r\n", &body));
        let (status, to) = self.answer().ok_or(None)?;
        self.say(&self.message("ACK", 1, &to, "", ""));
        if status == 200 { Ok(to) } else { Err(Some(status)) }
    }

    fn hang_up(&self, to: &str) {
        self.say(&self.message("BYE", 2, to, "", ""));
        assert_eq!(self.answer().map(|(status, _)| status), Some(200));
    }
}

fn everything_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(everything_below(&entry.path()));
        }
        found.push(entry.path());
    }
    found
}

/// Texts that would be paths, commands, or the end of a line, wherever they got into a name.
fn hostile() -> Vec<String> {
    let mut texts: Vec<String> =
        ["../../../../etc/x", "/etc/x", "..", "a/b@c", "%2e%2e%2fx", "$(id)", "caf\u{e9}\u{1f525}"]
            .map(str::to_owned)
            .to_vec();
    texts.push("x".repeat(300));
    texts.push("nul\0nul".to_owned());
    texts
}

#[test]
fn g01_what_callers_write_is_in_no_name_of_a_file() {
    let node = Node::started("");
    node.answering();
    let mut answered = 0;
    for (n, text) in hostile().iter().enumerate() {
        for (call_id, from) in [
            (text.clone(), format!("<sip:+44207946099{n}@127.0.0.1>")),
            (format!("plain{n}"), format!("\"{text}\" <sip:{}@127.0.0.1>", text.replace(' ', "_"))),
        ] {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            // Silence is an answer too.
            socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let branch = format!("g01x{n}x{}", call_id.len());
            let raw = Raw { node: &node, socket, from, call_id, branch };
            if let Ok(to) = raw.call() {
                answered += 1;
                raw.hang_up(&to);
            }
        }
    }
    assert!(answered >= 9, "only {answered} were calls");
    node.wait_for_events("call.ended", answered);
    let ours = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_id = name.len() >= 32 && name.is_char_boundary(32) && name[..32].bytes().all(|b| b.is_ascii_hexdigit());
        path.is_dir() && name.bytes().all(|b| b.is_ascii_digit()) || is_id && [".wav", ".json"].contains(&&name[32..])
    };
    let recordings = node.data().join("recordings");
    holds("each has its sidecar", || {
        everything_below(&recordings).iter().filter(|path| path.extension().is_some_and(|e| e == "json")).count()
            == answered
    });
    let found = everything_below(&recordings);
    assert_eq!(found.iter().find(|path| !ours(path)), None);
    assert_eq!(found.iter().filter(|path| path.extension().is_some_and(|e| e == "wav")).count(), answered);
    assert_eq!(node.verify().0, Some(0));
    node.honest_call();
}

/// The same Call-ID from two callers at once: two calls, two files.
#[test]
fn g02_one_call_id_twice_at_once() {
    let node = Node::started("");
    node.answering();
    let raws = ["one", "two"].map(|branch| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let from = "<sip:+442079460990@127.0.0.1>".to_owned();
        Raw { node: &node, socket, from, call_id: "same@x".to_owned(), branch: format!("g02{branch}") }
    });
    let tos = raws.each_ref().map(|raw| raw.call());
    let answered: Vec<_> = raws.iter().zip(&tos).filter_map(|(raw, to)| Some((raw, to.as_ref().ok()?))).collect();
    assert!(!answered.is_empty());
    answered.iter().for_each(|(raw, to)| raw.hang_up(to));
    let ended = node.wait_for_events("call.ended", answered.len());
    let mut paths: Vec<String> =
        ended.iter().filter_map(|data| data["recording"]["path"].as_str().map(str::to_owned)).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), answered.len(), "{ended:?}");
    assert!(paths.iter().all(|path| node.data().join(path).is_file()));
}

/// A node whose recordings are on a disk of their own, of so many bytes; `None`: not allowed to make one here. The folder
/// as the program sees it comes with it.
fn on_small_disk(size: &str) -> Option<(Node, PathBuf)> {
    let allowed = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !allowed.is_ok_and(|done| done.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "no right to mount");
        eprintln!("skipped: no right to mount");
        return None;
    }
    let mut node = Node::new("[recording]\ndisk_free_min = \"0B\"\n");
    let folder = node.data().join("recordings");
    fs::create_dir_all(&folder).unwrap();
    let script = format!("mount -t tmpfs -o size={size},mode=700 none {} && exec \"$@\"", folder.display());
    node.wrapper = ["unshare", "-m", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec();
    node.start();
    let seen = PathBuf::from(format!("/proc/{}/root{}", node.pid(), folder.display()));
    Some((node, seen))
}

#[test]
fn g03_on_a_small_disk_calls_go_on_and_with_room_again_they_are_recorded() {
    let _alone = alone();
    // Three seconds of talk.
    let Some((node, disk)) = on_small_disk("96k") else { return };
    node.answering();
    let report = node.report(node.call(NUMBER, Duration::from_secs(5)));
    assert!(report.answered && report.talk_ms >= 4_900 && report.media.received > 200, "the call goes on: {report:?}");
    let ended = node.wait_for_events("call.ended", 1).remove(0);
    let recording = &ended["recording"];
    assert_eq!((&recording["state"], &recording["reason"]), (&"degraded".into(), &"disk_full".into()), "{ended}");
    let path = recording["path"].as_str().expect("a beginning is kept");
    let file = disk.join(path.strip_prefix("recordings/").unwrap());
    let reader = hound::WavReader::open(&file).unwrap();
    assert_eq!(u64::from(reader.duration()) / 8, recording["duration_ms"].as_u64().unwrap());
    assert!(reader.duration() > 8_000, "a playable beginning");
    // A file that is open keeps its room.
    drop(reader);
    assert!(recording["gaps"].as_array().unwrap().iter().any(|gap| gap["cause"] == "disk"));
    // Full before the first byte: the next call has no recording, and is a call all the same.
    let report = node.report(node.call(NUMBER, Duration::from_millis(700)));
    assert!(report.answered && report.media.received > 10, "{report:?}");
    let ended = node.wait_for_events("call.ended", 2).pop().unwrap();
    assert_eq!(
        (&ended["outcome"], &ended["recording"]["reason"]),
        (&"answered".into(), &"disk_full".into()),
        "{ended}"
    );
    assert_eq!(node.get("/readyz").map(|(status, _)| status), Some(200), "calls are taken");
    // Room again.
    fs::remove_file(&file).unwrap();
    node.honest_call();
}

/// Below the second mark what has low priority goes, with a tombstone and an alarm; calls come in as ever.
#[test]
fn a_disk_that_runs_full_takes_what_has_low_priority() {
    let node = Node::started(
        "[recording]\ndisk_free_min = \"1MiB\"\ndisk_free_erase = \"100000TiB\"\n\
         [[retention]]\nname = \"bulk\"\npool = \"board\"\ndays = 0\npriority = \"low\"\n",
    );
    node.answering();
    node.honest_call();
    let call = node.events_of("call.ended")[0]["call_id"].clone();
    let erased = node.wait_for_events("recording.erased", 1).remove(0);
    assert_eq!((&erased["call_id"], &erased["by"]), (&call, &"disk".into()), "{erased}");
    assert_eq!(node.wait_for_events("archive.alarm", 1)[0]["code"], "disk_low");
    assert_eq!(node.metric("leaseline_recordings_disk_level"), Some(1.0));
    assert_eq!(node.get("/readyz").map(|(status, _)| status), Some(200));
    holds("nothing of it is left but its tombstone", || {
        let left = everything_below(&node.data().join("recordings"));
        let files: Vec<_> = left.iter().filter(|path| path.is_file()).collect();
        files.len() == 1 && files[0].extension().is_some_and(|ending| ending == "erased")
    });
    // Who called is known as before: the sound went, and nobody asked for more.
    assert!(node.json(&format!("/v1/calls/{}", call.as_str().unwrap())).to_string().contains("+442079460990"));
    assert_eq!(node.verify().0, Some(0));
    node.honest_call();
}

#[test]
fn g07_the_folder_is_removed_while_calls_are_recorded() {
    let node = Node::started("");
    node.answering();
    let call = node.call(NUMBER, Duration::from_secs(60));
    node.wait_for_events("call.answered", 1);
    until("it is recorded", || {
        everything_below(&node.data().join("recordings"))
            .into_iter()
            .find(|path| path.extension().is_some_and(|e| e == "part"))
    });
    fs::remove_dir_all(node.data().join("recordings")).unwrap();
    assert!(call.hang_up(&node).answered);
    let ended = node.wait_for_events("call.ended", 1).remove(0);
    assert_eq!(
        (&ended["outcome"], &ended["recording"]["state"], &ended["recording"]["reason"]),
        (&"answered".into(), &"failed".into(), &"write_error".into()),
        "{ended}"
    );
    node.honest_call();
    // A link in its place leads nowhere.
    fs::remove_dir_all(node.data().join("recordings")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), node.data().join("recordings")).unwrap();
    let report = node.report(node.call(NUMBER, Duration::from_millis(500)));
    assert!(report.answered, "{report:?}");
    let ended = node.wait_for_events("call.ended", 3).pop().unwrap();
    assert_eq!(ended["recording"]["state"], "failed", "{ended}");
    assert_eq!(everything_below(elsewhere.path()).len(), 0, "the link is not followed");
}

/// The sidecar by itself tells an auditor what was said, how the media was, and what of it is not in the file.
#[test]
fn the_sidecar_has_the_ladder_the_figures_and_the_gap_map() {
    let node = Node::started("");
    node.answering();
    node.honest_call();
    let sidecar = until("the sidecar", || {
        let found = everything_below(&node.data().join("recordings"));
        let path = found.into_iter().find(|path| path.extension().is_some_and(|e| e == "json"))?;
        serde_json::from_slice::<serde_json::Value>(&fs::read(path).unwrap()).ok()
    });
    let steps = sidecar["sip"]["messages"].as_array().unwrap();
    let text = |step: &serde_json::Value| {
        let what = step["status"].as_u64().map_or(String::new(), |status| format!("{status} "));
        let [leg, direction, method] = ["leg", "direction", "method"].map(|key| step[key].as_str().unwrap());
        assert!(step["at"].as_str().unwrap().ends_with('Z'));
        format!("{leg} {direction} {what}{method}")
    };
    let ladder: Vec<String> = steps.iter().map(text).collect();
    for wanted in [
        "caller received INVITE",
        "company sent INVITE",
        "company received 200 INVITE",
        "caller sent 200 INVITE",
        "caller received ACK",
        "caller received BYE",
    ] {
        assert!(ladder.iter().any(|step| step == wanted), "{wanted}: {ladder:?}");
    }
    assert_eq!(sidecar["sip"]["left_out"], 0);
    assert!(!sidecar["sip"].to_string().contains("4420794"), "numbers are elsewhere");
    for side in ["caller", "company"] {
        assert!(sidecar["media"][side]["received"].as_u64().unwrap() > 20, "{sidecar}");
        assert!(sidecar["recorder"][side]["audio"].as_u64().unwrap() > 20, "{sidecar}");
    }
    assert!(sidecar["recording"]["gaps"].is_array());
}

/// Whatever the umask of the shell, what is heard and said is its owner's.
#[test]
fn g08_an_odd_umask_opens_nothing() {
    for umask in ["000", "077", "177"] {
        let mut node = Node::new("");
        node.wrapper = ["sh", "-c", &format!("umask {umask}; exec \"$@\""), "sh"].map(str::to_owned).to_vec();
        node.start();
        node.answering();
        node.honest_call();
        holds("the sidecar is there", || {
            everything_below(&node.data()).iter().any(|path| path.parent().is_some_and(|p| p.ends_with("recordings")))
                && everything_below(&node.data().join("recordings"))
                    .iter()
                    .any(|p| p.extension().is_some_and(|e| e == "json"))
        });
        for path in everything_below(&node.data()) {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "umask {umask}: {} has {mode:o}", path.display());
        }
        node.stop();
    }
}
