//! STIR certificates that are fetched by https, from servers that are good, slow, and bad.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use leaseline::core::stir::{Attest, Signer};
use leaseline::ids::CallId;
use leaseline::time::Wall;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::node::{NUMBER, Node};
use crate::papers::{Authority, Paper, ip};

const CALLER: &str = "+447700900123";

/// What stands at a path: the whole answer after the status line's version, or nothing ever.
type Shelf = Arc<Mutex<Vec<(&'static str, Option<String>)>>>;

/// An https server that counts its requests; gone with the test process.
struct Server {
    at: SocketAddr,
    shelf: Shelf,
    asked: Arc<AtomicUsize>,
}

fn server(node: &Node, paper: &Paper) -> Server {
    let listener = TcpListener::bind((node.address, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let (chain, key) = paper.parts();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let (shelf, asked) = (Shelf::default(), Arc::new(AtomicUsize::new(0)));
    let (shelf_of, asked_of) = (Arc::clone(&shelf), Arc::clone(&asked));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            asked_of.fetch_add(1, Ordering::SeqCst);
            let (config, shelf) = (Arc::clone(&config), Arc::clone(&shelf_of));
            std::thread::spawn(move || serve(stream, config, &shelf));
        }
    });
    Server { at, shelf, asked }
}

fn serve(stream: std::net::TcpStream, config: Arc<ServerConfig>, shelf: &Shelf) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut reader = BufReader::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream));
    let mut line = String::new();
    if reader.read_line(&mut line).is_err() {
        return;
    }
    let path = line.split(' ').nth(1).unwrap_or("").to_owned();
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {}
    let answer = shelf.lock().unwrap().iter().find(|(known, _)| *known == path).map(|(_, answer)| answer.clone());
    match answer {
        Some(Some(answer)) => {
            let stream = reader.get_mut();
            let _ = write!(stream, "HTTP/1.1 {answer}").and_then(|()| stream.flush());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        // Until whoever asked has had enough.
        _ => {
            let _ = reader.read_line(&mut line);
        }
    }
}

/// 200 with this body.
fn ok(headers: &str, body: &str) -> Option<String> {
    Some(format!("200 OK\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len()))
}

/// The provider's certificate, and its key.
fn provider(root: &Authority) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(Vec::new()).unwrap();
    // TNAuthList with the provider code 1234.
    let list = vec![0x30, 0x08, 0xa0, 0x06, 0x16, 0x04, b'1', b'2', b'3', b'4'];
    leaf.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 26], list));
    (root.sign(&leaf, &key), key.serialize_pem())
}

/// One INVITE that this URL's certificate vouches for; gives the verdict in the call's first event.
fn verdict(node: &Node, url: &str, key: &str, id: &str) -> String {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    let now = Wall(i64::try_from(micros).unwrap());
    let signer = Signer::new(key, url, Some(Attest::Full)).unwrap();
    let identity = signer.shaken(CallId(1), CALLER, NUMBER, now).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let here = socket.local_addr().unwrap();
    let before = node.events_of("call.started").len();
    let invite = format!(
        "INVITE sip:{NUMBER}@{sip} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{id}\r\nMax-Forwards: 70\r\n\
         From: <sip:{CALLER}@{here}>;tag={id}\r\nTo: <sip:{NUMBER}@{sip}>\r\nCall-ID: {id}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:{here}>\r\nIdentity: {identity}\r\nContent-Length: 0\r\n\r\n",
        sip = node.sip()
    );
    socket.send_to(invite.as_bytes(), node.sip()).unwrap();
    let started = node.wait_for_events("call.started", before + 1).pop().unwrap();
    started["stir"]["code"].as_str().unwrap_or("none").to_owned()
}

#[test]
fn certificates_are_fetched_where_they_may_be() {
    let (web, calls) = (Authority::new(), Authority::new());
    let mut node = Node::new("");
    let address = node.address;
    let paper = web.issue(&[ip(address)]);
    let (good, other) = (server(&node, &paper), server(&node, &paper));
    let (certificate, key) = provider(&calls);
    std::fs::write(node.dir.path().join("web.pem"), web.pem()).unwrap();
    std::fs::write(node.dir.path().join("roots.pem"), calls.pem()).unwrap();
    node.extra = format!(
        "[[trunk]]\nname = \"carrier\"\nmatch = [\"127.0.0.1/32\"]\ncountry = \"GB\"\n[trunk.stir]\nverify = \"tag\"\n\
         trusted_file = \"{}\"\nfetch_hosts = [\"{}\"]\nfetch_timeout = \"2s\"\n",
        node.dir.path().join("roots.pem").display(),
        good.at
    );
    node.write_config();
    node.wrapper = vec!["env".to_owned(), format!("SSL_CERT_FILE={}", node.dir.path().join("web.pem").display())];
    let elsewhere =
        |to: String| Some(format!("302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    *good.shelf.lock().unwrap() = vec![
        ("/good.pem", ok("Cache-Control: max-age=3600\r\n", &certificate)),
        ("/moved.pem", elsewhere("/good.pem".to_owned())),
        ("/away.pem", elsewhere(format!("https://{}/good.pem", other.at))),
        ("/large.pem", ok("", &certificate.repeat(200))),
        ("/page.html", ok("", "<html>")),
        ("/gone.pem", Some("404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned())),
        ("/slow.pem", None),
    ];
    other.shelf.lock().unwrap().push(("/good.pem", ok("", &certificate)));
    node.start();
    let at = |server: &Server, path: &str| format!("https://{}{path}", server.at);
    let unavailable = "certificate_unavailable";
    for (n, (url, wanted)) in [
        (at(&good, "/good.pem"), "verified"),
        (at(&good, "/moved.pem"), "verified"),
        (at(&good, "/away.pem"), unavailable),
        (at(&good, "/large.pem"), unavailable),
        (at(&good, "/page.html"), unavailable),
        (at(&good, "/gone.pem"), unavailable),
        (at(&good, "/slow.pem"), unavailable),
        (at(&other, "/good.pem"), unavailable),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(verdict(&node, &url, &key, &format!("first{n}")), wanted, "{url}\n{}", node.log());
    }
    assert_eq!(other.asked.load(Ordering::SeqCst), 0, "nobody who is not on the list is asked");
    // Known now, and known to be bad: nobody is asked again.
    let asked = good.asked.load(Ordering::SeqCst);
    assert_eq!(verdict(&node, &at(&good, "/good.pem"), &key, "again"), "verified");
    assert_eq!(verdict(&node, &at(&good, "/gone.pem"), &key, "still"), unavailable);
    assert_eq!(good.asked.load(Ordering::SeqCst), asked);
}
