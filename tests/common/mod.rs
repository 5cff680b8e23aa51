//! What several tests read.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test takes what it needs

use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;

/// The messages of RFC 4475 and RFC 5118 with their names, in order.
pub fn torture() -> Vec<(String, Bytes)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut messages = Vec::new();
    for rfc in ["rfc4475", "rfc5118"] {
        for entry in std::fs::read_dir(root.join(rfc)).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{rfc}/{}", path.file_stem().unwrap().to_string_lossy());
            messages.push((name, Bytes::from(std::fs::read(path).unwrap())));
        }
    }
    messages.sort();
    messages
}

/// A message without anything that readers are known to trip over.
#[derive(Clone, Debug)]
pub struct Plain {
    pub method: &'static str,
    /// A response when not 0.
    pub status: u16,
    pub user: String,
    pub host: String,
    pub port: u16,
    pub tag: String,
    pub branch: String,
    pub call_id: String,
    pub cseq: u32,
    pub body: String,
}

impl Plain {
    pub fn text(&self) -> String {
        let Plain { method, user, host, port, tag, branch, call_id, cseq, body, .. } = self;
        let start = match self.status {
            0 => format!("{method} sip:{user}@{host}:{port} SIP/2.0"),
            status => format!("SIP/2.0 {status} Some Reason"),
        };
        format!(
            "{start}\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             From: \"A B\" <sip:{user}@{host}>;tag={tag}\r\nTo: <sip:{user}@{host}:{port}>\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:{user}@{host}:{port}>\r\nContent-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

pub fn plain() -> impl Strategy<Value = Plain> {
    let method = prop::sample::select(vec!["INVITE", "BYE", "OPTIONS", "INFO", "UPDATE", "CANCEL"]);
    let status = prop_oneof![Just(0u16), 100u16..700];
    let host = prop_oneof!["[a-z][a-z0-9]{0,8}\\.example\\.com", "10\\.[1-9][0-9]?\\.[0-9]\\.[1-9]"];
    let names = ("[a-zA-Z0-9]{1,12}", host, 1u16.., "[a-z0-9]{1,12}", "[a-zA-Z0-9]{1,20}", "[a-z0-9]{1,12}@[a-z]{1,8}");
    let rest = (0u32..1 << 31, "[ -~]{0,40}");
    (method, status, names, rest).prop_map(
        |(method, status, (user, host, port, tag, branch, call_id), (cseq, body))| Plain {
            method,
            status,
            user,
            host,
            port,
            tag,
            branch,
            call_id,
            cseq,
            body,
        },
    )
}
