//! Copies of a call's packets for a third party's recorder (RFC 7866): a port pair of its own for each side, so that the
//! recorder sees two streams and nothing that comes from it meets the call.

use socket2::SockRef;

use crate::core::media::CopyTo;
use crate::ids::Side;
use crate::io::media::ports::Pair;

/// Receive buffer of sockets that nobody reads: what the recorder sends is thrown away by the kernel as soon as it is
/// full, without a wake-up of ours. The kernel makes the least it allows of it.
const UNREAD: usize = 0;

/// The copies of one call.
#[derive(Debug)]
pub(crate) struct Fork {
    pairs: [Pair; 2],
    to: [Option<CopyTo>; 2],
}

impl Fork {
    pub(crate) fn new(pairs: [Pair; 2]) -> Fork {
        for socket in pairs.iter().flat_map(|pair| [&pair.rtp, &pair.rtcp]) {
            // Without it the buffer is larger, and full later.
            let _ = SockRef::from(socket).set_recv_buffer_size(UNREAD);
        }
        Fork { pairs, to: [None, None] }
    }

    /// Copies of this side's packets go there from now on.
    pub(super) fn aim(&mut self, side: Side, to: Option<CopyTo>) {
        self.to[side.index()] = to;
    }

    /// Sends a copy of an accepted packet of this side, when its payload type was agreed on. `false`: it could not be
    /// sent.
    pub(super) fn copy(&self, side: Side, packet: &[u8]) -> bool {
        let Some(to) = self.to[side.index()] else { return true };
        let payload_type = packet.get(1).map_or(0, |byte| byte & 0x7f);
        to.types >> payload_type & 1 == 0 || self.pairs[side.index()].rtp.send_to(packet, to.rtp).is_ok()
    }
}
