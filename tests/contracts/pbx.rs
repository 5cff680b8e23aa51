//! Asterisk's Manager Interface and FreeSWITCH's event socket, as far as a listener meets them: who logs in how, what is
//! said then, and the list of calls. Each takes one connection after the other, until it is closed.
//!
//! AMI: <https://docs.asterisk.org/Configuration/Interfaces/Asterisk-Manager-Interface-AMI/>, actions `Challenge`, `Login`,
//! `CoreShowChannels`, `Ping`. ESL: <https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules/mod_event_socket_1048924>.

#![allow(unreachable_pub, clippy::unwrap_used)] // a test's way to fail

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use md5::{Digest, Md5};
use serde_json::{Value, json};

/// What a PBX's side holds, shared with the test.
#[derive(Default)]
struct State {
    /// Connections that are logged in; the last one is the present one.
    heard: Vec<TcpStream>,
    /// Logins that were refused.
    refused: usize,
    /// What the list of channels says, as the PBX would write it.
    channels: Vec<Value>,
    /// Lists that were asked for.
    listed: usize,
}

type Shared = Arc<(Mutex<State>, Condvar)>;

/// One PBX.
pub struct Pbx {
    pub address: SocketAddr,
    state: Shared,
    is_asterisk: bool,
}

pub const USER: &str = "leaseline";
pub const SECRET: &str = "amp 111:é";

impl Pbx {
    pub fn asterisk() -> Pbx {
        Pbx::serve(true)
    }

    pub fn freeswitch() -> Pbx {
        Pbx::serve(false)
    }

    fn serve(is_asterisk: bool) -> Pbx {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Shared::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), shared) = (stream, Arc::clone(&shared)) else { return };
                std::thread::spawn(move || {
                    // The other side hangs up: that is no error of ours.
                    let _ = if is_asterisk { asterisk(stream, &shared) } else { freeswitch(stream, &shared) };
                });
            }
        });
        Pbx { address, state, is_asterisk }
    }

    fn wait(&self, what: &str, good: impl Fn(&State) -> bool) {
        let (state, changed) = &*self.state;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(state, Duration::from_secs(30), |state| !good(state)).unwrap();
        assert!(!waited.1.timed_out(), "not within 30 s: {what}");
    }

    /// Waits until somebody has logged in so often and asked for the calls.
    pub fn wait_heard(&self, times: usize) {
        self.wait("somebody listens", |state| state.heard.len() >= times && state.listed >= times);
    }

    pub fn wait_refused(&self, times: usize) {
        self.wait("logins are refused", |state| state.refused >= times);
    }

    /// What the list of calls will say.
    pub fn in_progress(&self, channels: Vec<Value>) {
        self.state.0.lock().unwrap().channels = channels;
    }

    /// Says this to who listens, as it is.
    pub fn says(&self, bytes: &[u8]) {
        let mut state = self.state.0.lock().unwrap();
        state.heard.last_mut().expect("somebody listens").write_all(bytes).unwrap();
    }

    /// The link breaks.
    pub fn hangs_up(&self) {
        let state = self.state.0.lock().unwrap();
        state.heard.last().expect("somebody listens").shutdown(std::net::Shutdown::Both).unwrap();
    }

    /// An event, of fields as this PBX calls them.
    pub fn event(&self, fields: &Value) {
        if self.is_asterisk {
            self.says(&message(fields));
        } else {
            let body = fields.to_string();
            self.says(format!("Content-Length: {}\nContent-Type: text/event-json\n\n{body}", body.len()).as_bytes());
        }
    }
}

fn message(fields: &Value) -> Vec<u8> {
    let line = |(name, value): (&String, &Value)| format!("{name}: {}\r\n", value.as_str().unwrap_or_default());
    let text: String = fields.as_object().unwrap().iter().map(line).collect();
    (text + "\r\n").into_bytes()
}

/// The next order: names in lower case; `None` at the end.
fn order(reader: &mut impl BufRead) -> std::io::Result<Option<Vec<(String, String)>>> {
    let mut fields = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        assert!(line.ends_with("\r\n"), "Asterisk wants CR LF: {line:?}");
        match line.trim_end().split_once(':') {
            Some((name, value)) => fields.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => return Ok(Some(fields)),
        }
    }
}

fn asterisk(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let (state, changed) = &**shared;
    let mut reader = BufReader::new(stream.try_clone()?);
    stream.write_all(b"Asterisk Call Manager/7.0.3\r\n")?;
    let (mut challenge, mut is_in) = (String::new(), false);
    while let Some(order) = order(&mut reader)? {
        let field = |name: &str| order.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
        match (field("action"), is_in) {
            ("Challenge", false) => {
                challenge = "843415273".to_owned();
                stream.write_all(&message(&json!({ "Response": "Success", "Challenge": challenge })))?;
            }
            ("Login", false) => {
                let digest = Md5::new().chain_update(&challenge).chain_update(SECRET).finalize();
                let key: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                is_in = !challenge.is_empty()
                    && field("authtype") == "MD5"
                    && field("username") == USER
                    && field("key") == key;
                if !is_in {
                    stream.write_all(&message(&json!({ "Response": "Error", "Message": "Authentication failed" })))?;
                    state.lock().unwrap().refused += 1;
                    changed.notify_all();
                    return Ok(());
                }
                stream.write_all(&message(&json!({ "Response": "Success", "Message": "Authentication accepted" })))?;
                stream.write_all(&message(&json!({ "Event": "FullyBooted", "Status": "Fully Booted" })))?;
                state.lock().unwrap().heard.push(stream.try_clone()?);
                changed.notify_all();
            }
            ("CoreShowChannels", true) => {
                let id = field("actionid");
                let channels = state.lock().unwrap().channels.clone();
                stream.write_all(&message(&json!({ "Response": "Success", "ActionID": id, "EventList": "start" })))?;
                for channel in channels {
                    let mut event = json!({ "Event": "CoreShowChannel", "ActionID": id });
                    event.as_object_mut().unwrap().extend(channel.as_object().unwrap().clone());
                    stream.write_all(&message(&event))?;
                }
                let end = json!({ "Event": "CoreShowChannelsComplete", "ActionID": id, "EventList": "Complete" });
                stream.write_all(&message(&end))?;
                state.lock().unwrap().listed += 1;
                changed.notify_all();
            }
            ("Ping", true) => stream.write_all(&message(&json!({ "Response": "Success", "Ping": "Pong" })))?,
            _ => stream.write_all(&message(&json!({ "Response": "Error", "Message": "Permission denied" })))?,
        }
    }
    Ok(())
}

fn freeswitch(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let (state, changed) = &**shared;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    stream.write_all(b"Content-Type: auth/request\n\n")?;
    let mut is_in = false;
    while let Some(line) = lines.next().transpose()? {
        if line.is_empty() {
            continue;
        }
        let reply = |text: &str| format!("Content-Type: command/reply\nReply-Text: {text}\n\n").into_bytes();
        if let Some(secret) = line.strip_prefix("auth ") {
            is_in = secret == SECRET;
            if !is_in {
                stream.write_all(&reply("-ERR invalid"))?;
                stream.write_all(b"Content-Type: text/disconnect-notice\nContent-Length: 0\n\n")?;
                state.lock().unwrap().refused += 1;
                changed.notify_all();
                return Ok(());
            }
            stream.write_all(&reply("+OK accepted"))?;
        } else if !is_in {
            stream.write_all(&reply("-ERR command not found"))?;
        } else if line.starts_with("event json ") {
            assert!(line.contains("CHANNEL_CREATE") && line.contains("CHANNEL_HANGUP_COMPLETE"));
            stream.write_all(&reply("+OK event listener enabled json"))?;
            state.lock().unwrap().heard.push(stream.try_clone()?);
        } else if line == "api show channels as json" {
            let rows = state.lock().unwrap().channels.clone();
            let body = match rows.len() {
                0 => json!({ "row_count": 0 }),
                count => json!({ "row_count": count, "rows": rows }),
            };
            let body = body.to_string();
            let head = format!("Content-Type: api/response\nContent-Length: {}\n\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes())?;
            state.lock().unwrap().listed += 1;
            changed.notify_all();
        } else {
            stream.write_all(b"Content-Type: api/response\nContent-Length: 3\n\n+OK")?;
        }
    }
    Ok(())
}
