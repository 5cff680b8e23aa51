//! A pool of the real program runs short, buys numbers of a provider and writes letters; both stand on loopback, written
//! here. And it is killed in the moments that matter.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use base64::Engine;
use hmac::{Hmac, Mac};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::node::{Node, PROGRAM, holds, until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A provider of numbers that keeps its word: the same key, the same answer.
struct Provider {
    address: SocketAddr,
    state: Arc<Mutex<Stock>>,
}

#[derive(Default)]
struct Stock {
    /// What it has.
    numbers: Vec<String>,
    /// What it gave, by key.
    given: HashMap<String, Vec<String>>,
    /// Keys of all requests, in order.
    asked: Vec<String>,
    /// What it does with requests that come now.
    mood: Mood,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Mood {
    #[default]
    Well,
    /// 500, and nothing given.
    Broken,
    /// Gives, and dies in the middle of the answer.
    CutShort,
    /// Gives, and never answers.
    Silent,
}

impl Provider {
    fn with(numbers: &[&str]) -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let numbers = numbers.iter().map(|number| (*number).to_owned()).collect();
        let state = Arc::new(Mutex::new(Stock { numbers, ..Stock::default() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream.unwrap(), &state));
            }
        });
        Provider { address, state }
    }

    fn mood(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    fn given(&self) -> usize {
        self.state.lock().unwrap().given.values().map(Vec::len).sum()
    }
}

/// One connection. Whoever goes away is let go.
fn serve(stream: TcpStream, state: &Mutex<Stock>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        assert_eq!(line.trim_end(), "POST /orders HTTP/1.1");
        let mut headers = HashMap::new();
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        reader.read_exact(&mut body)?;
        let key = base64::engine::general_purpose::STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
        let signed = format!("{}.{}.", headers["webhook-id"], headers["webhook-timestamp"]);
        let mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap().chain_update(signed).chain_update(&body);
        let expected = format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(headers["webhook-signature"], expected);
        let order: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(order["order_id"], headers["webhook-id"].as_str());
        let (mood, answer) = {
            let mut state = state.lock().unwrap();
            state.asked.push(headers["webhook-id"].clone());
            let answer = if state.mood == Mood::Broken { None } else { Some(state.give(&order)) };
            (state.mood, answer)
        };
        let Some(numbers) = answer else {
            (&stream).write_all(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")?;
            continue;
        };
        let body = json!({ "numbers": numbers, "unit_price": "1.50", "currency": "GBP" }).to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        match mood {
            Mood::Silent => std::thread::park(),
            Mood::CutShort => {
                (&stream).write_all(head.as_bytes())?;
                (&stream).write_all(&body.as_bytes()[..body.len() / 2])?;
                return Ok(());
            }
            Mood::Well | Mood::Broken => (&stream).write_all(format!("{head}{body}").as_bytes())?,
        }
    }
}

impl Stock {
    fn give(&mut self, order: &Value) -> Vec<String> {
        let key = order["order_id"].as_str().unwrap().to_owned();
        if let Some(given) = self.given.get(&key) {
            return given.clone();
        }
        let count = usize::try_from(order["count"].as_u64().unwrap()).unwrap().min(self.numbers.len());
        let given: Vec<String> = self.numbers.drain(..count).collect();
        self.given.insert(key, given.clone());
        given
    }
}

/// A mail server that takes every letter and shows it.
pub(crate) fn mail_server() -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (taken, letters) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let taken = taken.clone();
            std::thread::spawn(move || converse(&stream.unwrap(), &taken));
        }
    });
    (address, letters)
}

fn converse(stream: &TcpStream, taken: &mpsc::Sender<String>) -> std::io::Result<()> {
    let mut out = stream;
    let mut reader = BufReader::new(stream.try_clone()?);
    out.write_all(b"220 mail.example.com ESMTP\r\n")?;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let word = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "DATA" => {
                out.write_all(b"354 go on\r\n")?;
                let mut letter = String::new();
                loop {
                    line.clear();
                    reader.read_line(&mut line)?;
                    if line == ".\r\n" {
                        break;
                    }
                    letter.push_str(&line);
                }
                let _ = taken.send(letter);
                out.write_all(b"250 taken\r\n")?;
            }
            "QUIT" => return out.write_all(b"221 bye\r\n"),
            _ => out.write_all(b"250 fine\r\n")?,
        }
    }
}

/// A node with two numbers whose visits are counted by the second; one short second is a shortage.
fn node(provider: SocketAddr, mail: SocketAddr, more: &str) -> Node {
    let extra = format!(
        "[[pool]]\nname = \"web\"\ncompany = \"acme\"\nsite = \"site\"\nkind = \"dynamic\"\n\
         numbers = [\"+442079460000..+442079460001\"]\n[pool.grow]\nenabled = true\nprovider = \"carrier\"\n\
         price = \"2.00\"\ncurrency = \"GBP\"\nwindow = \"1s\"\nshort_windows = 1\nwindows = 100\nvisits_min = 2\n{more}\n\
         [[provider]]\nname = \"carrier\"\nurl = \"http://{provider}/orders\"\nsecret = \"{SECRET}\"\n\
         timeout = \"2s\"\ncountries = [\"GB\"]\n\
         [notify]\nto = [\"ops@example.com\"]\n[notify.smtp]\nhost = \"{}\"\nport = {}\nsecurity = \"off\"\n\
         from = \"leaseline@example.com\"\n",
        mail.ip(),
        mail.port()
    );
    Node::started(&extra)
}

/// More visitors than numbers, each of a campaign of their own.
fn visitors(node: &Node, count: usize) -> Vec<Value> {
    (0..count).map(|n| node.lease(&format!("{n:032x}"))).collect()
}

fn pool(node: &Node) -> Value {
    let pools = node.json("/v1/pools");
    pools["pools"].as_array().unwrap().iter().find(|pool| pool["name"] == "web").unwrap().clone()
}

#[test]
fn a2_a3_a_pool_runs_short_buys_numbers_and_says_so() {
    let provider = Provider::with(&["+442079460700", "+442079460701", "+442079460702", "+442079460703"]);
    let (mail, letters) = mail_server();
    let mut node = node(provider.address, mail, "per_day_max = 3");
    provider.mood(Mood::Broken);
    let leases = visitors(&node, 6);
    assert_eq!(leases.iter().filter(|lease| lease["swap"] == true).count(), 2, "two numbers, six campaigns");
    // The window is over within a second; then it is asked, and answers 500.
    until("an order", || (!provider.asked().is_empty()).then_some(()));
    assert_eq!(node.wait_for_events("pool.shortage", 1)[0]["numbers"], 2);
    // Between the order and its answer the program dies, twice: once before anything was given, once after.
    provider.mood(Mood::Silent);
    until("asked again", || (provider.given() > 0).then_some(()));
    node.signal(Signal::SIGKILL);
    node.wait_for_end();
    provider.mood(Mood::CutShort);
    node.start();
    let before = provider.asked().len();
    holds("asked after the start", || provider.asked().len() > before);
    provider.mood(Mood::Well);
    let grown = until("grown", || node.events_of("pool.grown").pop());
    assert_eq!(grown["numbers"], json!(["+442079460700", "+442079460701", "+442079460702"]));
    assert_eq!((&grown["unit_price"], &grown["total"], &grown["size"]), (&json!("1.50"), &json!("4.50"), &json!(5)));
    let asked = provider.asked();
    assert!(asked.len() >= 4 && asked.iter().all(|key| *key == asked[0]), "one key: {asked:?}");
    assert_eq!((provider.given(), node.events_of("pool.growth_ordered").len()), (3, 1));

    let letter = letters.recv_timeout(Duration::from_secs(30)).expect("a letter");
    for words in
        ["To: ops@example.com", "3 numbers added to web", "+44 20 7946 0700", "1.50 GBP", "4.50 GBP", "5 numbers now"]
    {
        assert!(letter.contains(words), "{words}: {letter}");
    }
    node.wait_for_events("notice.sent", 1);

    // The numbers are in force: visitors get them, and calls to them are ours.
    holds("the pool has five", || pool(&node)["numbers"] == 5);
    assert_eq!((&pool(&node)["keeper"]["added"], &pool(&node)["keeper"]["grows"]), (&json!(3), &json!(true)));
    let lease = node.lease(&format!("{:032x}", 99));
    assert!(lease["number"].as_str().unwrap().starts_with("+4420794607"), "{lease}");
    node.answering();
    let report = node.report(node.call(lease["number"].as_str().unwrap(), Duration::from_millis(300)));
    assert!(report.answered, "{report:?}");
    let ended = node.wait_for_events("call.ended", 1).pop().unwrap();
    assert_eq!(ended["attribution"]["visitor_id"], lease["visitor_id"]);
    holds("its minutes are counted", || node.metric("leaseline_pool_numbers_added{pool=\"web\"}") == Some(3.0));

    // Another start repeats nothing.
    node.stop();
    node.start();
    assert_eq!(pool(&node)["numbers"], 5);
    let numbers = node.json("/v1/numbers?pool=web");
    assert!(numbers["numbers"][4]["keeper"]["calls"].is_u64(), "{numbers}");
    node.stop();
    assert_eq!((node.events_of("pool.grown").len(), node.events_of("notice.sent").len()), (1, 1));
    assert!(letters.try_recv().is_err(), "one letter");
    assert_eq!(node.verify().0, Some(0));
    // The planner reads the same journal.
    let plan = Command::new(PROGRAM)
        .args(["plan", "--site", "site", "--json", "--channels", "6", "--price", "1.50", "--config"])
        .arg(node.config_path())
        .output()
        .unwrap();
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap_or_else(|_| panic!("{plan:?}"));
    // Three visitors with a number, and those who were turned away as long as there were two.
    assert_eq!(plan["site"]["measured"]["visits"], 7, "{plan}");
    assert_eq!((&plan["site"]["numbers"], &plan["plan"]["compare"][1]["price"]), (&json!(2), &json!("9.00")));
    assert!(plan["plan"]["numbers"].as_u64() > Some(0), "{plan}");
}

#[test]
fn a4_a_provider_without_numbers_is_another_letter() {
    let provider = Provider::with(&[]);
    let (mail, letters) = mail_server();
    let node = node(provider.address, mail, "");
    visitors(&node, 6);
    let letter = until("a letter", || letters.try_recv().ok());
    assert!(letter.contains("web needs numbers and gets none (no_stock)"), "{letter}");
    assert_eq!(node.events_of("pool.growth_refused")[0]["reason"], "no_stock");
    assert_eq!(provider.asked().len(), 1, "no tight retry");
    assert_eq!(pool(&node)["keeper"]["refused"], "no_stock");
}

#[test]
fn a_test_call_comes_back_without_ringing_and_a_page_reports_a_leak() {
    let (from, to) = ("00:00", "24:00");
    let mut node = Node::new("");
    let sip = node.sip();
    node.extra = format!(
        "[self_test]\nenabled = true\nwindow = \"{from}-{to}\"\nspacing = \"1s\"\nto = \"{sip}\"\n\
         from = \"+442079460999\"\n"
    );
    node.write_config();
    node.start();
    let tested = node.wait_for_events("number.tested", 2);
    assert!(tested.iter().all(|data| data["good"] == true), "{tested:?}\n{}", node.log());
    assert_eq!(node.events_of("call.answered"), Vec::<Value>::new());
    let body = r#"{"site":"site","number":"020 7946 0003","page":"https://shop.example/old"}"#;
    let (status, answer) = node.request("POST /v1/numbers/seen", body).unwrap();
    assert_eq!((status, &*answer), (204, ""));
    let leaked = node.wait_for_events("number.leaked", 1).remove(0);
    assert_eq!((&leaked["number"], &leaked["reason"]), (&json!("+442079460003"), &json!("seen_on_page")));
    let numbers = node.json("/v1/numbers?pool=web");
    assert_eq!(numbers["numbers"][3]["keeper"]["leaked"], "seen_on_page");
    assert_eq!(numbers["numbers"][0]["keeper"]["tested"], true);
    node.stop();
}
