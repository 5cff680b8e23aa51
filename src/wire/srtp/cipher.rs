//! Session keys and the two ciphers: AES in counter mode with HMAC-SHA1 (RFC 3711 §4), and AES-GCM (RFC 7714).

use std::ops::Range;

use aes::cipher::{InnerIvInit, KeyInit, StreamCipher};
use aes::{Aes128Enc, Aes256Enc};
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm, Tag};
use ctr::{Ctr128BE, CtrCore};
use hmac_srtp::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::{Failure, MasterKey, Suite, be32};

/// Where a packet stands in its stream, and which of its bytes stay readable.
pub(super) struct Packet {
    ssrc: u32,
    index: u64,
    /// Bytes that are authenticated only.
    header: usize,
    is_rtcp: bool,
}

impl Packet {
    pub(super) fn rtp(ssrc: u32, index: u64, header: usize) -> Packet {
        Packet { ssrc, index, header, is_rtcp: false }
    }

    pub(super) fn rtcp(ssrc: u32, index: u32) -> Packet {
        Packet { ssrc, index: index.into(), header: 8, is_rtcp: true }
    }

    /// What the tag covers beside the packet: the roll-over counter, or the word that SRTCP carries, which says that the
    /// packet is encrypted.
    fn word(&self) -> [u8; 4] {
        let word = if self.is_rtcp { self.index | 1 << 31 } else { self.index >> 16 };
        u32::try_from(word & 0xffff_ffff).unwrap_or_default().to_be_bytes()
    }
}

/// Session keys of RTP or of RTCP.
pub(super) struct Sealer {
    pub(super) keys: Keys,
    pub(super) salt: [u8; 14],
    pub(super) tag: usize,
    /// Bytes of the index behind the payload.
    pub(super) index: usize,
}

pub(super) enum Keys {
    Cm { cipher: Box<Aes128Enc>, mac: Hmac<Sha1> },
    Gcm128(Box<Aes128Gcm>),
    Gcm256(Box<Aes256Gcm>),
}

impl Keys {
    pub(super) fn cm(key: [u8; 16], mac: [u8; 20]) -> Keys {
        // A key shorter than a block is padded here instead of being looked at there.
        let mut block = [0; 64];
        block.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        Keys::Cm { cipher: Box::new(Aes128Enc::new(&key.into())), mac: Hmac::new(&block.into()) }
    }

    pub(super) fn gcm128(key: [u8; 16]) -> Keys {
        Keys::Gcm128(Box::new(Aes128Gcm::new(&key.into())))
    }

    pub(super) fn gcm256(key: [u8; 32]) -> Keys {
        Keys::Gcm256(Box::new(Aes256Gcm::new(&key.into())))
    }
}

impl Sealer {
    pub(super) fn rtp(master: &MasterKey) -> Sealer {
        Sealer::new(master, [0, 1, 2], master.suite.rtp_tag(), 0)
    }

    pub(super) fn rtcp(master: &MasterKey) -> Sealer {
        Sealer::new(master, [3, 4, 5], master.suite.rtcp_tag(), 4)
    }

    /// Labels of encryption key, authentication key and salt (RFC 3711 §4.3.2).
    fn new(master: &MasterKey, [encryption, authentication, salting]: [u8; 3], tag: usize, index: usize) -> Sealer {
        let keys = match master.suite {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                Keys::cm(derive(master, encryption), derive(master, authentication))
            }
            Suite::AeadAes128Gcm => Keys::gcm128(derive(master, encryption)),
            Suite::AeadAes256Gcm => Keys::gcm256(derive(master, encryption)),
        };
        let mut salt: [u8; 14] = derive(master, salting);
        // What is derived for a salt of 12 bytes ends there.
        salt.iter_mut().skip(master.suite.salt_len()).for_each(|byte| *byte = 0);
        Sealer { keys, salt, tag, index }
    }

    /// `None`: no room.
    pub(super) fn seal(&self, buffer: &mut [u8], length: usize, packet: &Packet) -> Option<usize> {
        let sealed = length + self.tag + self.index;
        let (body, rest) = buffer.get_mut(..sealed)?.split_at_mut_checked(length)?;
        let (header, payload) = body.split_at_mut_checked(packet.header)?;
        match &self.keys {
            Keys::Cm { cipher, mac } => {
                self.apply(cipher, payload, packet);
                let tag = self.mac(mac, body, packet);
                let (word, place) = rest.split_at_mut_checked(self.index)?;
                word.copy_from_slice(packet.word().get(..self.index)?);
                place.copy_from_slice(tag.get(..self.tag)?);
            }
            Keys::Gcm128(cipher) => self.seal_gcm(&**cipher, header, payload, rest, packet)?,
            Keys::Gcm256(cipher) => self.seal_gcm(&**cipher, header, payload, rest, packet)?,
        }
        Some(sealed)
    }

    pub(super) fn open(&self, buffer: &mut [u8], length: usize, packet: &Packet) -> Result<usize, Failure> {
        let opened = length.checked_sub(self.tag + self.index).ok_or(Failure::Malformed)?;
        let (body, rest) =
            buffer.get_mut(..length).and_then(|all| all.split_at_mut_checked(opened)).ok_or(Failure::Malformed)?;
        if body.len() < packet.header {
            return Err(Failure::Malformed);
        }
        let (header, payload) = body.split_at_mut(packet.header);
        match &self.keys {
            Keys::Cm { cipher, mac } => {
                let given = rest.get(self.index..).unwrap_or_default();
                let tag = self.mac(mac, body, packet);
                if !bool::from(tag.get(..self.tag).unwrap_or_default().ct_eq(given)) {
                    return Err(Failure::Auth);
                }
                self.apply(cipher, body.get_mut(packet.header..).unwrap_or_default(), packet);
            }
            Keys::Gcm128(cipher) => self.open_gcm(&**cipher, header, payload, rest, packet)?,
            Keys::Gcm256(cipher) => self.open_gcm(&**cipher, header, payload, rest, packet)?,
        }
        Ok(opened)
    }

    /// Index of an SRTCP packet, and whether it is encrypted.
    pub(super) fn index(&self, packet: &[u8]) -> Option<(u32, bool)> {
        // The word stands before the tag of HMAC, and behind that of GCM (RFC 7714 §9.2).
        let behind = if matches!(self.keys, Keys::Cm { .. }) { self.tag + 4 } else { 4 };
        let word = be32(packet, packet.len().checked_sub(behind).filter(|at| *at >= 8)?);
        Some((word & 0x7fff_ffff, word >> 31 == 1))
    }

    /// RFC 3711 §4.1.1.
    fn apply(&self, cipher: &Aes128Enc, payload: &mut [u8], packet: &Packet) {
        let mut iv = [0; 16];
        iv.iter_mut().zip(self.salt).for_each(|(to, from)| *to = from);
        xor(&mut iv, 4..8, &packet.ssrc.to_be_bytes());
        xor(&mut iv, 6..14, &packet.index.to_be_bytes());
        Ctr128BE::from_core(CtrCore::inner_iv_init(cipher, &iv.into())).apply_keystream(payload);
    }

    /// RFC 3711 §4.2, over the packet and the word.
    fn mac(&self, mac: &Hmac<Sha1>, body: &[u8], packet: &Packet) -> [u8; 20] {
        let mut mac = mac.clone();
        mac.update(body);
        mac.update(&packet.word());
        mac.finalize().into_bytes().into()
    }

    /// RFC 7714 §8.1, §9.1.
    fn nonce(&self, packet: &Packet) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce.iter_mut().zip(self.salt).for_each(|(to, from)| *to = from);
        xor(&mut nonce, 2..6, &packet.ssrc.to_be_bytes());
        xor(&mut nonce, 4..12, &packet.index.to_be_bytes());
        nonce
    }

    fn seal_gcm<C: AeadInOut<NonceSize = Nonce, TagSize = aes_gcm::aead::consts::U16>>(
        &self,
        cipher: &C,
        header: &[u8],
        payload: &mut [u8],
        rest: &mut [u8],
        packet: &Packet,
    ) -> Option<()> {
        let (place, word) = rest.split_at_mut_checked(self.tag)?;
        word.copy_from_slice(packet.word().get(..self.index)?);
        let mut aad = Aad::new();
        let aad = if packet.is_rtcp { aad.join(header, word) } else { header };
        let tag = cipher.encrypt_inout_detached(&self.nonce(packet).into(), aad, payload.into()).ok()?;
        place.copy_from_slice(&tag);
        Some(())
    }

    fn open_gcm<C: AeadInOut<NonceSize = Nonce, TagSize = aes_gcm::aead::consts::U16>>(
        &self,
        cipher: &C,
        header: &[u8],
        payload: &mut [u8],
        rest: &[u8],
        packet: &Packet,
    ) -> Result<(), Failure> {
        let (tag, word) = rest.split_at_checked(self.tag).ok_or(Failure::Malformed)?;
        let tag = Tag::try_from(tag).map_err(|_| Failure::Malformed)?;
        let nonce = self.nonce(packet).into();
        let mut aad = Aad::new();
        let aad = if packet.is_rtcp { aad.join(header, word) } else { header };
        cipher.decrypt_inout_detached(&nonce, aad, payload.into(), &tag).map_err(|_| Failure::Auth)
    }
}

type Nonce = aes_gcm::aead::consts::U12;

/// Eight bytes of SRTCP that stay readable, and the word with its index.
struct Aad([u8; 12]);

impl Aad {
    fn new() -> Aad {
        Aad([0; 12])
    }

    fn join(&mut self, header: &[u8], word: &[u8]) -> &[u8] {
        self.0.iter_mut().zip(header.iter().chain(word)).for_each(|(to, from)| *to = *from);
        &self.0
    }
}

/// RFC 3711 §4.3.1 with a derivation rate of 0; the longer key of AES-256 in the same way (RFC 6188 §3).
pub(super) fn derive<const N: usize>(master: &MasterKey, label: u8) -> [u8; N] {
    let mut iv = [0; 16];
    iv.iter_mut().zip(master.salt()).for_each(|(to, from)| *to = from);
    xor(&mut iv, 7..8, &[label]);
    let mut out = [0; N];
    if let Ok(cipher) = Aes256Enc::new_from_slice(master.key()) {
        Ctr128BE::from_core(CtrCore::inner_iv_init(&cipher, &iv.into())).apply_keystream(&mut out);
    } else if let Ok(cipher) = Aes128Enc::new_from_slice(master.key()) {
        Ctr128BE::from_core(CtrCore::inner_iv_init(&cipher, &iv.into())).apply_keystream(&mut out);
    }
    out
}

fn xor(into: &mut [u8], at: Range<usize>, with: &[u8]) {
    into.get_mut(at).unwrap_or_default().iter_mut().zip(with).for_each(|(to, from)| *to ^= *from);
}
