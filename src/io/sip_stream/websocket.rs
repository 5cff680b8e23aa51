//! SIP over WebSocket (RFC 7118): one message a frame, the subprotocol `sip`, and pages of known origins only.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::link::Duplex;
use super::patience::{Due, Patience};
use super::{StreamEvent, Wire};
use crate::limits;

const SUBPROTOCOL: &str = "sip";
/// A keep-alive of RFC 5626 §3.5.1 and its answer, as messages of their own (RFC 7118 §6).
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

/// Frames hold one message (RFC 7118 §5), and a peer that does not read fills no memory.
fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * limits::STREAM_UNSENT)
        .max_message_size(Some(limits::SIP_MESSAGE))
        .max_frame_size(Some(limits::SIP_MESSAGE))
}

/// Client's side of the handshake, for a server at this host (and port).
///
/// # Errors
/// A stable code.
pub(super) async fn connect(
    stream: Box<dyn Duplex>,
    host: &str,
) -> Result<WebSocketStream<Box<dyn Duplex>>, &'static str> {
    let request = format!("ws://{host}/").into_client_request();
    let mut request = request.map_err(|_| "websocket_bad_handshake")?;
    // The library refuses an answer that does not choose it.
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    let connected = tokio_tungstenite::client_async_with_config(request, stream, Some(config())).await;
    connected.map(|(socket, _)| socket).map_err(|error| match error {
        Error::Http(_) => "websocket_refused",
        Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed => "handshake_closed",
        Error::Protocol(ProtocolError::HandshakeIncomplete) => "handshake_closed",
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => "websocket_no_subprotocol",
        _ => "websocket_bad_handshake",
    })
}

/// Server's side of the handshake.
///
/// # Errors
/// A stable code.
pub(super) async fn accept(
    stream: Box<dyn Duplex>,
    origins: &[String],
) -> Result<WebSocketStream<Box<dyn Duplex>>, &'static str> {
    let mut refused = None;
    // The error is as large as the library made it.
    #[allow(clippy::result_large_err)]
    let check = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let verdict = acceptable(request, origins).and_then(|offered| {
            // As the client wrote it: it compares byte for byte (RFC 6455 §4.1).
            HeaderValue::from_str(offered).map_err(|_| (StatusCode::BAD_REQUEST, "websocket_bad_handshake"))
        });
        match verdict {
            Ok(subprotocol) => {
                response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
                Ok(response)
            }
            Err((status, code)) => {
                refused = Some(code);
                let mut refusal = ErrorResponse::new(None);
                *refusal.status_mut() = status;
                Err(refusal)
            }
        }
    };
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, check, Some(config())).await;
    accepted.map_err(|error| match (refused, error) {
        (Some(code), _) => code,
        (None, Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed) => "handshake_closed",
        (None, _) => "websocket_bad_handshake",
    })
}

/// The subprotocol as it was offered.
fn acceptable<'r>(request: &'r Request, origins: &[String]) -> Result<&'r str, (StatusCode, &'static str)> {
    let lists = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|list| list.to_str().ok());
    let mut offered = lists.flat_map(|list| list.split(',')).map(str::trim);
    let subprotocol = offered.find(|one| one.eq_ignore_ascii_case(SUBPROTOCOL));
    let subprotocol = subprotocol.ok_or((StatusCode::BAD_REQUEST, "websocket_no_subprotocol"))?;
    // RFC 6455 §10.2: browsers always send it, and a page cannot choose it.
    match request.headers().get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("")) {
        Some(origin) if !origins.iter().any(|known| known.eq_ignore_ascii_case(origin)) => {
            Err((StatusCode::FORBIDDEN, "websocket_foreign_origin"))
        }
        _ => Ok(subprotocol),
    }
}

/// Carries messages both ways until one side ends it; gives the reason as a stable code.
pub(super) async fn serve(mut socket: WebSocketStream<Box<dyn Duplex>>, wire: &mut Wire) -> &'static str {
    let mut patience = Patience::new(wire, true, true);
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            message = socket.next() => {
                let bytes = match message {
                    Some(Ok(Message::Text(text))) => Bytes::from(text),
                    Some(Ok(Message::Binary(bytes))) => bytes,
                    Some(Ok(Message::Pong(_))) => {
                        patience.answered();
                        continue;
                    }
                    Some(Ok(Message::Ping(_) | Message::Frame(_))) => continue,
                    Some(Ok(Message::Close(_))) | None => return "closed_by_peer",
                    Some(Err(Error::Capacity(_))) => return "message_too_long",
                    Some(Err(Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed)) => return "closed_by_peer",
                    Some(Err(_)) => return "websocket_broken",
                };
                // Whoever speaks is there.
                patience.is_there();
                if *bytes == *PING {
                    if send(&mut socket, Bytes::from_static(PONG)).await.is_err() {
                        return "does_not_read";
                    }
                } else if *bytes != *PONG {
                    patience.heard();
                    if wire.events.send(StreamEvent::Message(wire.flow, bytes)).await.is_err() {
                        return "stopped";
                    }
                }
            }
            count = wire.queue.recv_many(&mut waiting, limits::STREAM_BATCH) => {
                if count == 0 {
                    let _ = tokio::time::timeout(limits::STREAM_STALL, socket.close(None)).await;
                    return "closed_by_us";
                }
                for bytes in waiting.drain(..) {
                    let length = bytes.len();
                    if send(&mut socket, bytes).await.is_err() {
                        return "does_not_read";
                    }
                    wire.sent(length);
                }
            }
            _ = &mut wire.gone => return "closed_by_us",
            () = tokio::time::sleep_until(patience.next()) => match patience.due() {
                Due::Nothing => {}
                Due::Ping => {
                    let ping = socket.send(Message::Ping(Bytes::new()));
                    if !matches!(tokio::time::timeout(limits::STREAM_STALL, ping).await, Ok(Ok(()))) {
                        return "does_not_read";
                    }
                }
                Due::Idle => return "idle",
                Due::NoPong => return "no_pong",
            },
        }
    }
}

/// As text when it is text: what browsers expect; a body of another kind makes the whole message binary.
async fn send(socket: &mut WebSocketStream<Box<dyn Duplex>>, bytes: Bytes) -> Result<(), ()> {
    let message = Utf8Bytes::try_from(bytes.clone()).map_or(Message::Binary(bytes), Message::Text);
    match tokio::time::timeout(limits::STREAM_STALL, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(()),
    }
}
