//! A company that is called over WebSocket, plain and over TLS.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use leaseline::wire::sip::Message;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{self, http::header};

use crate::line::{Duplex, Line, Pipe};
use crate::node::{Node, PATIENCE};
use crate::papers::{ip, server_config};
use crate::secure::Stage;

/// A PBX that takes WebSockets; with a certificate, over TLS.
struct Pbx {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
}

impl Pbx {
    fn new(stage: &Stage, shown: Option<Ipv4Addr>) -> Pbx {
        let tls = shown.map(|address| server_config(&stage.ca.issue(&[ip(address)])));
        Pbx { listener: TcpListener::bind(stage.node.company()).unwrap(), tls }
    }

    fn stream(&self) -> Box<dyn Duplex> {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match &self.tls {
            Some(tls) => Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(tls)).unwrap(), stream)),
            None => Box::new(stream),
        }
    }

    /// The next connection, after its handshake.
    fn accept(&self) -> Line {
        // The error is as large as the library made it.
        #[allow(clippy::result_large_err)]
        let choose = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            assert_eq!(request.uri().path(), "/");
            assert_eq!(request.headers()[header::HOST], self.listener.local_addr().unwrap().to_string());
            let offered = request.headers()[header::SEC_WEBSOCKET_PROTOCOL].clone();
            assert_eq!(offered, "sip");
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, offered);
            Ok(response)
        };
        let here = self.listener.local_addr().unwrap();
        let socket = tungstenite::accept_hdr(self.stream(), choose).map_err(|error| error.to_string()).unwrap();
        let transport = if self.tls.is_some() { "WSS" } else { "WS" };
        Line { pipe: Pipe::WebSocket(Box::new(socket)), here, transport }
    }
}

/// A node whose company is called so.
fn stage(destination: impl Fn(Ipv4Addr) -> String) -> Stage {
    let mut stage = Stage::new("", |address| format!("\"{}\"", destination(address)));
    stage.node.start();
    stage
}

/// A call of a trunk is answered by the company; gives our target for the caller and To.
fn connected(node: &Node, caller: &mut Line, company: &mut Line, id: &str) -> (String, String, Message) {
    let invited = company.answers(node, "sip:desk@df7jal23ls0d.invalid;transport=ws");
    let ok = caller.hear_status(200);
    let to = ok.header("To").unwrap().to_owned();
    let target = ok.contact().unwrap().unwrap().uri.text.to_owned();
    assert!(caller.say(&caller.request("ACK", &target, &to, id, 1).finish().unwrap()));
    (target, to, invited)
}

#[test]
fn a_company_is_called_over_ws_and_wss() {
    for (is_secure, via) in [(false, "SIP/2.0/WS "), (true, "SIP/2.0/WSS ")] {
        let mut stage = stage(|address| match is_secure {
            true => format!("sips:desk@{address}:5080;transport=ws"),
            false => format!("sip:desk@{address}:5080;transport=ws"),
        });
        let pbx = Pbx::new(&stage, is_secure.then_some(stage.node.address));
        let mut caller = Line::to(&stage.node);
        let (_, invite) = caller.invite(&stage.node, "ws");
        assert!(caller.say(&invite));
        let mut company = pbx.accept();
        let (target, to, invited) = connected(&stage.node, &mut caller, &mut company, "ws");
        assert!(invited.header("Via").unwrap().starts_with(via), "{:?}", invited.header("Via"));
        assert!(invited.contact().unwrap().unwrap().uri.text.contains("transport=ws"));
        stage.node.wait_for_events("call.answered", 1);
        // The connection breaks in mid-call: the BYE opens another.
        drop(company);
        let closed = || stage.node.metric("leaseline_sip_connections ") == Some(1.0);
        crate::node::holds("the company's connection is gone", closed);
        assert!(caller.say(&caller.request("BYE", &target, &to, "ws", 2).finish().unwrap()));
        caller.hear_status(200);
        let mut company = pbx.accept();
        let bye = company.hear_request("BYE");
        company.agrees(&bye);
        let ended = stage.node.wait_for_events("call.ended", 1).remove(0);
        assert_eq!((&ended["outcome"], &ended["reason"]), (&"answered".into(), &"caller_hung_up".into()), "{ended}");
        drop((caller, company));
        crate::node::holds("no connection is left", || stage.is_quiet());
        stage.node.stop();
    }
}

#[test]
fn servers_that_are_no_websocket_for_sip() {
    let call = |stage: &Stage, reason: &str, serve: &dyn Fn()| {
        let mut caller = Line::to(&stage.node);
        let (_, invite) = caller.invite(&stage.node, reason);
        stage.fails(reason, || {
            assert!(caller.say(&invite));
            serve();
        });
        caller.hear_status(502);
    };
    let plain = stage(|address| format!("sip:desk@{address}:5080;transport=ws"));
    let pbx = Pbx::new(&plain, None);
    call(&plain, "websocket_refused", &|| {
        let mut stream = pbx.stream();
        let _ = stream.read(&mut [0; 4_096]);
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    call(&plain, "websocket_no_subprotocol", &|| drop(tungstenite::accept(pbx.stream())));
    call(&plain, "websocket_bad_handshake", &|| {
        let mut stream = pbx.stream();
        let _ = stream.read(&mut [0; 4_096]);
        stream.write_all(b"SIP/2.0 200 OK\r\n\r\n").unwrap();
    });
    call(&plain, "handshake_closed", &|| drop(pbx.stream()));
    let secure = stage(|address| format!("sips:desk@{address}:5080;transport=ws"));
    let other = Pbx::new(&secure, Some([127, 9, 9, 9].into()));
    call(&secure, "tls_name_mismatch", &|| drop(tungstenite::accept(other.stream())));
}
