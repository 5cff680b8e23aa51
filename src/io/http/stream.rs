//! Bodies that last: streams that end with the server, and files in pieces.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_stream::Stream;

/// A stream that holds its place among the server's streams and ends when the server closes.
pub(super) struct Held<S> {
    stream: S,
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
    _place: OwnedSemaphorePermit,
}

impl<S> Held<S> {
    pub(super) fn new(stream: S, place: OwnedSemaphorePermit, mut closing: watch::Receiver<bool>) -> Held<S> {
        let closed = Box::pin(async move {
            let _ = closing.wait_for(|closing| *closing).await;
        });
        Held { stream, closed, _place: place }
    }
}

impl<S> fmt::Debug for Held<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl<S: Stream + Unpin> Stream for Held<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if self.closed.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.stream).poll_next(context)
    }
}

/// So much of a file is read at a time.
const PIECE: usize = 64 * 1024;

/// The next `left` bytes of a file. A file that became shorter meanwhile is an error, so that the client sees a broken
/// transfer and not a whole one.
#[derive(Debug)]
pub(super) struct Pieces {
    pub file: tokio::fs::File,
    pub left: u64,
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let wanted = PIECE.min(usize::try_from(self.left).unwrap_or(PIECE));
        let mut piece = vec![0; wanted];
        let mut buffer = ReadBuf::new(&mut piece);
        let read = ready!(Pin::new(&mut self.file).poll_read(context, &mut buffer));
        let length = buffer.filled().len();
        if let Err(error) = read {
            self.left = 0;
            return Poll::Ready(Some(Err(error)));
        }
        if length == 0 {
            self.left = 0;
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        self.left -= length as u64;
        piece.truncate(length);
        Poll::Ready(Some(Ok(piece.into())))
    }
}
