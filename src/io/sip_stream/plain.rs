//! SIP over a stream of bytes, TCP or TLS (RFC 3261 §18.3, RFC 5626 §3.5.1): framing, keep-alives, deadlines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::patience::{Due, Patience};
use super::{StreamEvent, Wire};
use crate::limits;
use crate::wire::sip::frame::{Frame, Framer};

/// Reads until one side ends it; gives the reason as a stable code.
pub(super) async fn read(mut reader: impl AsyncRead + Unpin, wire: &mut Wire) -> &'static str {
    let first_message = wire.rules.first_message;
    let mut framer = Framer::new();
    let mut buffer = vec![0; 16 * 1024];
    let mut patience = Patience::new(wire, wire.is_ours, false);
    loop {
        let length = tokio::select! {
            read = tokio::time::timeout_at(patience.next(), reader.read(&mut buffer)) => read,
            _ = &mut wire.gone => return "closed_by_us",
        };
        let Ok(length) = length else {
            match patience.due() {
                Due::Nothing => {}
                Due::Ping if wire.say(b"\r\n\r\n") => framer.expect_pong(),
                Due::Ping => return "does_not_read",
                Due::Idle if framer.buffered() > 0 => return "slow_message",
                Due::Idle => return "idle",
                Due::NoPong => return "no_pong",
            }
            continue;
        };
        let Ok(length) = length else { return "broken" };
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { return "closed_by_peer" };
        framer.push(bytes);
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(bytes))) => {
                    patience.heard();
                    if wire.events.send(StreamEvent::Message(wire.flow, bytes)).await.is_err() {
                        return "stopped";
                    }
                }
                Ok(Some(Frame::Ping)) => {
                    patience.heard();
                    if !wire.say(b"\r\n") {
                        return "does_not_read";
                    }
                }
                Ok(Some(Frame::Pong)) => patience.answered(),
                Ok(None) => break,
                // RFC 3261 §18.3: where the next message begins is unknown. What can be answered is: the machine
                // reads the broken head as it reads a broken datagram.
                Err(error) => {
                    let _ = wire.events.send(StreamEvent::Message(wire.flow, error.head)).await;
                    return "not_sip";
                }
            }
        }
        // A slow sender of one message has as long as a new connection has for its first.
        if framer.buffered() > 0 {
            patience.hurry(first_message);
        }
    }
}

/// Writes what is queued until the owner lets the connection go. A stable code when the peer takes nothing.
pub(super) async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    unsent: Arc<AtomicUsize>,
) -> &'static str {
    // One at a time would be slower than the machine answers a peer that asks without waiting: its queue would
    // fill though it reads.
    let (mut waiting, mut bytes) = (Vec::new(), Vec::new());
    while queue.recv_many(&mut waiting, limits::STREAM_BATCH).await > 0 {
        bytes.clear();
        waiting.drain(..).for_each(|message| bytes.extend_from_slice(&message));
        let length = bytes.len();
        let all = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        // A peer that takes nothing would hold this task, and its socket, for ever.
        if !matches!(tokio::time::timeout(limits::STREAM_STALL, all).await, Ok(Ok(()))) {
            return "does_not_read";
        }
        let _ = unsent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| Some(held.saturating_sub(length)));
    }
    // The owner let the connection go: what the kernel still holds is sent, then the peer sees the end.
    let _ = tokio::time::timeout(limits::STREAM_STALL, writer.shutdown()).await;
    "closed_by_us"
}
