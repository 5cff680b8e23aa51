//! Encrypted legs of a call on its media thread. Plain legs cost one look at an `Option`.

use std::net::{SocketAddr, UdpSocket};

use crate::core::media::SecureMedia;
use crate::core::relay::{Refusal, Relay};
use crate::core::secure::SecureLeg;
use crate::ids::Side;
use crate::io::media::driver::Driver;
use crate::limits::MEDIA_DATAGRAM;

/// A datagram, and one byte more, to see that it is longer.
const ROOM: usize = MEDIA_DATAGRAM + 1;

/// Room of one thread for the packet at hand: as it was inside, and as it goes out.
pub(super) struct Room {
    opened: [u8; ROOM],
    sealed: [u8; ROOM],
}

impl Room {
    pub(super) fn new() -> Box<Room> {
        Box::new(Room { opened: [0; ROOM], sealed: [0; ROOM] })
    }

    /// The packet that was opened, so long, or else the datagram as it came.
    pub(super) fn bytes<'a>(&'a self, datagram: &'a [u8], opened: Option<usize>) -> &'a [u8] {
        opened.map_or(datagram, |length| self.opened.get(..length).unwrap_or_default())
    }

    /// The same, no longer in the driver's hands, and where it may be sealed.
    pub(super) fn packet(&mut self, datagram: &[u8], opened: Option<usize>) -> (&[u8], &mut [u8]) {
        let length = opened.unwrap_or_else(|| {
            let length = datagram.len().min(ROOM);
            self.opened.iter_mut().zip(datagram).for_each(|(to, from)| *to = *from);
            length
        });
        (self.opened.get(..length).unwrap_or_default(), &mut self.sealed)
    }

    /// Where a packet of our own may be sealed.
    pub(super) fn sealed(&mut self) -> &mut [u8] {
        &mut self.sealed
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is out, so long.
    Out(usize),
    /// The operating system would not.
    Failed,
    /// Its leg is encrypted, and it cannot be: it is not sent.
    Unsealed,
}

/// Which legs of a call are encrypted; most have none.
#[derive(Default)]
pub(super) struct SecureLegs {
    legs: Option<Box<[Option<SecureLeg>; 2]>>,
    /// Encrypted, and the handshake that makes the keys is not over: nothing goes in or out.
    waits: [bool; 2],
}

impl SecureLegs {
    /// What was agreed on with a side; `None`: its media is in clear.
    pub(super) fn set(&mut self, side: Side, keys: Option<SecureMedia>) {
        self.waits[side.index()] = false;
        match (keys, &mut self.legs) {
            (None, None) => {}
            (None, Some(legs)) => legs[side.index()] = None,
            (Some(keys), legs) => match &mut legs.get_or_insert_default()[side.index()] {
                Some(leg) => leg.renew(keys),
                leg => *leg = Some(SecureLeg::new(keys)),
            },
        }
    }

    /// The side's media is encrypted with keys that are not there yet.
    pub(super) fn wait(&mut self, side: Side) {
        self.set(side, None);
        self.waits[side.index()] = true;
    }

    pub(super) fn is_encrypted(&self, side: Side) -> bool {
        self.waits[side.index()] || self.legs.as_ref().is_some_and(|legs| legs[side.index()].is_some())
    }

    /// Opens a datagram of an encrypted side into the room; gives the length of what was in it, `None` for a plain side.
    /// What cannot be opened is counted. A source that could not be believed anyway costs no cryptography.
    pub(super) fn open(
        &mut self,
        relay: &mut Relay,
        (side, is_rtcp): (Side, bool),
        source: SocketAddr,
        datagram: &[u8],
        room: &mut Room,
    ) -> Result<Option<usize>, Refusal> {
        if self.waits[side.index()] {
            return Err(relay.refuse(side, Refusal::SrtpNoKeys));
        }
        let Some(leg) = self.leg(side) else { return Ok(None) };
        if !relay.may_believe(side, is_rtcp, source) {
            return Err(relay.refuse(side, Refusal::WrongSource));
        }
        let Some(place) = room.opened.get_mut(..datagram.len()) else {
            return Err(relay.refuse(side, Refusal::TooLong));
        };
        place.copy_from_slice(datagram);
        leg.open(is_rtcp, place, datagram.len()).map(Some).map_err(|refusal| relay.refuse(side, refusal))
    }

    /// The only way out for what is not passed on as it came: seals the packet where the leg is encrypted, and sends it.
    pub(super) fn send(
        &mut self,
        driver: &mut dyn Driver,
        room: &mut [u8],
        (side, is_rtcp): (Side, bool),
        socket: &UdpSocket,
        to: SocketAddr,
        packet: &[u8],
    ) -> Sent {
        let waits = self.waits[side.index()];
        let sealed = match self.leg(side) {
            None if waits => None,
            None => Some(packet),
            Some(leg) => seal(leg, is_rtcp, room, packet),
        };
        let Some(bytes) = sealed else { return Sent::Unsealed };
        driver.send(socket, to, bytes).map_or(Sent::Failed, |()| Sent::Out(bytes.len()))
    }

    fn leg(&mut self, side: Side) -> Option<&mut SecureLeg> {
        self.legs.as_mut()?[side.index()].as_mut()
    }
}

fn seal<'a>(leg: &mut SecureLeg, is_rtcp: bool, room: &'a mut [u8], packet: &[u8]) -> Option<&'a [u8]> {
    room.get_mut(..packet.len())?.copy_from_slice(packet);
    let length = leg.seal(is_rtcp, room, packet.len()).ok()?;
    room.get(..length)
}
