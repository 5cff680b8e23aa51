//! Encrypted legs of a call on its media thread. Plain legs cost one look at an `Option`.

use std::net::SocketAddr;

use crate::core::media::SecureMedia;
use crate::core::relay::{Refusal, Relay};
use crate::core::secure::SecureLeg;
use crate::ids::Side;
use crate::limits::{RTP_PACKET, SRTP_TRAILER};

/// Longest datagram of an encrypted leg, and one byte more, to see that it is longer.
pub(super) const DATAGRAM: usize = RTP_PACKET + SRTP_TRAILER + 1;

/// Room of one thread for the packet at hand: as it was inside, and as it goes out.
pub(super) struct Room {
    opened: [u8; DATAGRAM],
    sealed: [u8; DATAGRAM],
}

impl Room {
    pub(super) fn new() -> Box<Room> {
        Box::new(Room { opened: [0; DATAGRAM], sealed: [0; DATAGRAM] })
    }

    /// Where a packet is opened, and where it is sealed.
    pub(super) fn both(&mut self) -> (&mut [u8; DATAGRAM], &mut [u8; DATAGRAM]) {
        (&mut self.opened, &mut self.sealed)
    }
}

/// Which legs of a call are encrypted; most have none.
#[derive(Default)]
pub(super) struct SecureLegs(Option<Box<[Option<SecureLeg>; 2]>>);

impl SecureLegs {
    /// What was agreed on with a side; `None`: its media is in clear.
    pub(super) fn set(&mut self, side: Side, keys: Option<SecureMedia>) {
        match (keys, &mut self.0) {
            (None, None) => {}
            (None, Some(legs)) => legs[side.index()] = None,
            (Some(keys), legs) => match &mut legs.get_or_insert_default()[side.index()] {
                Some(leg) => leg.renew(keys),
                leg => *leg = Some(SecureLeg::new(keys)),
            },
        }
    }

    /// The packet in a datagram of this side, which is counted when there is none. A source that could not be believed
    /// anyway costs no cryptography.
    pub(super) fn open<'a>(
        &mut self,
        relay: &mut Relay,
        (side, is_rtcp): (Side, bool),
        source: SocketAddr,
        datagram: &'a [u8],
        room: &'a mut [u8; DATAGRAM],
    ) -> Result<&'a [u8], Refusal> {
        let Some(leg) = self.leg(side) else { return Ok(datagram) };
        if !relay.may_believe(side, is_rtcp, source) {
            return Err(relay.refuse(side, Refusal::WrongSource));
        }
        let Some(place) = room.get_mut(..datagram.len()) else { return Err(relay.refuse(side, Refusal::TooLong)) };
        place.copy_from_slice(datagram);
        match leg.open(is_rtcp, place, datagram.len()) {
            Ok(length) => Ok(room.get(..length).unwrap_or_default()),
            Err(refusal) => Err(relay.refuse(side, refusal)),
        }
    }

    /// The packet as it goes out to this side; `None`: it cannot be sealed, and so it is not sent.
    pub(super) fn seal<'a>(
        &mut self,
        (side, is_rtcp): (Side, bool),
        packet: &'a [u8],
        room: &'a mut [u8; DATAGRAM],
    ) -> Option<&'a [u8]> {
        let Some(leg) = self.leg(side) else { return Some(packet) };
        room.get_mut(..packet.len())?.copy_from_slice(packet);
        let length = leg.seal(is_rtcp, room, packet.len()).ok()?;
        room.get(..length)
    }

    fn leg(&mut self, side: Side) -> Option<&mut SecureLeg> {
        self.0.as_mut()?[side.index()].as_mut()
    }
}
