//! HTTP as a browser or a program sees it: heads, cookies, bodies.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.lines().filter_map(|line| line.split_once(": "))
    }

    /// Value of a cookie that is set here.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let set = self.headers().filter(|(key, _)| key.eq_ignore_ascii_case("set-cookie"));
        set.filter_map(|(_, value)| value.split(';').next()?.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }

    /// Of a problem.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

/// One request on a connection of its own. `asked`: method and path.
pub(crate) fn ask(at: SocketAddr, asked: &str, headers: &[(&str, &str)], body: &str) -> Page {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    write!(stream, "{asked} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{headers}{length}\r\n{body}").unwrap();
    // Some keep connections open: what they say is read, not up to the end.
    let mut got = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&got).into_owned();
        let read = stream.read(&mut part);
        let is_over = read.as_ref().is_ok_and(|length| *length == 0);
        got.extend_from_slice(&part[..read.unwrap_or_else(|error| panic!("{asked}: {error}: {text}"))]);
        let text = String::from_utf8_lossy(&got);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(!is_over, "{asked}: {text}");
            continue;
        };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if is_over || length.is_some_and(|length: usize| body.len() >= length) {
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            return Page { status, head: head.to_owned(), body: body.to_owned() };
        }
    }
}

/// What a link leads to; `cookie` may be empty.
pub(crate) fn browse(at: SocketAddr, path: &str, cookie: &str) -> Page {
    let cookies = [("Cookie", cookie)];
    ask(at, &format!("GET {path}"), if cookie.is_empty() { &[] } else { &cookies }, "")
}

/// What a script of our own page sends, as JSON.
pub(crate) fn send(at: SocketAddr, asked: &str, cookie: &str, body: &Value) -> Page {
    let headers = [("Cookie", cookie), ("Sec-Fetch-Site", "same-origin"), ("Content-Type", "application/json")];
    let headers = if cookie.is_empty() { &headers[1..] } else { &headers[..] };
    ask(at, asked, headers, &if body.is_null() { String::new() } else { body.to_string() })
}
