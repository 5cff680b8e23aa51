//! The protection of one leg's media, on its media thread: what comes is opened before anything judges it, what goes is
//! sealed after everything has. See [`crate::wire::srtp`] for the transform.
//!
//! A sender that begins its sequence numbers anew under the same SSRC and the same key is not heard until it has passed the
//! numbers that were heard before. RFC 3711 leaves no room for it: the index of such packets was used already (§3.3.1), so
//! they are replays (§3.3.2), and whoever sealed them has used a keystream twice (§9.1). A new SSRC or a new key in another
//! offer begins anew at once.

use crate::core::media::SecureMedia;
use crate::core::relay::Refusal;
use crate::wire::srtp::{Context, Failure, MasterKey};

/// SRTP of one leg.
#[derive(Debug)]
pub struct SecureLeg {
    keys: SecureMedia,
    receive: Context,
    send: Context,
    /// After a new key of theirs: the one before it, for what is still on its way. Forgotten with the first packet under
    /// the new one.
    before: Option<Box<Context>>,
}

impl SecureLeg {
    pub fn new(keys: SecureMedia) -> SecureLeg {
        let (receive, send) = (Context::new(&keys.receive), Context::new(&keys.send));
        SecureLeg { keys, receive, send, before: None }
    }

    /// What was agreed on last. A direction whose key is the same goes on where it is.
    pub fn renew(&mut self, keys: SecureMedia) {
        let changed = |old: &MasterKey, new: &MasterKey| (old != new).then(|| Context::new(new));
        if let Some(receive) = changed(&self.keys.receive, &keys.receive) {
            self.before = Some(Box::new(std::mem::replace(&mut self.receive, receive)));
        }
        if let Some(send) = changed(&self.keys.send, &keys.send) {
            self.send = send;
        }
        self.keys = keys;
    }

    /// Opens the datagram in the first `length` bytes of the buffer; gives the length of what was in it.
    pub fn open(&mut self, is_rtcp: bool, buffer: &mut [u8], length: usize) -> Result<usize, Refusal> {
        if buffer.first().is_none_or(|first| first >> 6 != 2) {
            return Err(Refusal::NotRtp);
        }
        let mut open = |context: &mut Context| match is_rtcp {
            false => context.unprotect_rtp(buffer, length),
            true => context.unprotect_rtcp(buffer, length),
        };
        let opened = open(&mut self.receive);
        let opened = match (opened, &mut self.before) {
            // A tag that is wrong has left the packet as it came.
            (Err(Failure::Auth), Some(before)) => return open(before).map_err(|why| refusal(why, is_rtcp)),
            (opened, _) => opened,
        };
        if opened.is_ok() {
            self.before = None;
        }
        opened.map_err(|why| refusal(why, is_rtcp))
    }

    /// Seals the packet in the first `length` bytes of the buffer, which has room for [`crate::limits::SRTP_TRAILER`]
    /// more; gives the new length. Nothing may be sent on an error.
    pub fn seal(&mut self, is_rtcp: bool, buffer: &mut [u8], length: usize) -> Result<usize, Failure> {
        match is_rtcp {
            false => self.send.protect_rtp(buffer, length),
            true => self.send.protect_rtcp(buffer, length),
        }
    }
}

const fn refusal(why: Failure, is_rtcp: bool) -> Refusal {
    match why {
        Failure::Auth => Refusal::SrtpAuth,
        Failure::Replay => Refusal::SrtpReplay,
        Failure::Streams | Failure::Exhausted => Refusal::SrtpStreams,
        Failure::Malformed if is_rtcp => Refusal::BadRtcp,
        Failure::Malformed => Refusal::BadHeader,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::srtp::Suite;

    fn key(fill: u8) -> MasterKey {
        MasterKey::new(Suite::AesCm128HmacSha1_80, &[fill; 30]).unwrap()
    }

    fn packet(sequence: u16) -> ([u8; 64], usize) {
        let mut buffer = [0; 64];
        let header = [0x80, 8, (sequence >> 8) as u8, sequence as u8, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4];
        buffer[..16].copy_from_slice(&header);
        (buffer, 16)
    }

    fn through(from: &mut SecureLeg, to: &mut SecureLeg, sequence: u16) -> Result<usize, Refusal> {
        let (mut buffer, length) = packet(sequence);
        let length = from.seal(false, &mut buffer, length).unwrap();
        to.open(false, &mut buffer, length)
    }

    #[test]
    fn a_new_key_begins_anew_and_what_is_on_its_way_is_still_read() {
        let keys = |receive, send| SecureMedia { receive: key(receive), send: key(send) };
        let (mut ours, mut theirs) = (SecureLeg::new(keys(1, 2)), SecureLeg::new(keys(2, 1)));
        assert_eq!(through(&mut theirs, &mut ours, 40_000), Ok(16));
        let (mut late, length) = packet(40_001);
        let length = theirs.seal(false, &mut late, length).unwrap();
        for leg in [&mut ours, &mut theirs] {
            // The same again changes nothing.
            leg.renew(leg.keys.clone());
            assert!(leg.before.is_none());
        }
        ours.renew(keys(3, 2));
        theirs.renew(keys(2, 3));
        assert_eq!(ours.open(false, &mut late.clone(), length), Ok(16));
        assert_eq!(ours.open(false, &mut late.clone(), length), Err(Refusal::SrtpReplay));
        assert_eq!(through(&mut theirs, &mut ours, 5), Ok(16), "the sequence begins anew with the key");
        assert_eq!(ours.open(false, &mut late, length), Err(Refusal::SrtpAuth), "the old key is gone");
        assert_eq!(through(&mut ours, &mut theirs, 9), Ok(16));
    }

    #[test]
    fn what_is_not_rtp_is_named() {
        let mut leg = SecureLeg::new(SecureMedia { receive: key(1), send: key(2) });
        for (bytes, expected) in [
            (&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], Refusal::NotRtp),
            (&[22, 0xfe, 0xff], Refusal::NotRtp),
            (&[], Refusal::NotRtp),
            (&[0x80, 8, 0], Refusal::BadHeader),
            (&[0x80, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7], Refusal::BadHeader),
            (&[0x80, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0], Refusal::SrtpAuth),
        ] {
            assert_eq!(leg.open(false, &mut bytes.to_vec(), bytes.len()), Err(expected), "{bytes:?}");
        }
    }
}
