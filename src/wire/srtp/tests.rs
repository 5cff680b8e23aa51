//! Published vectors, and what holds for every packet.

use proptest::prelude::*;

use super::cipher::Keys;
use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn key(suite: Suite, fill: u8) -> MasterKey {
    MasterKey::new(suite, &vec![fill; suite.key_len() + suite.salt_len()]).unwrap()
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, 8];
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 160]);
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

type Transform = fn(&mut Context, &mut [u8], usize) -> Result<usize, Failure>;

/// The packet with room behind it, transformed.
fn done(context: &mut Context, transform: Transform, packet: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + crate::limits::SRTP_TRAILER, 0xee);
    let length = transform(context, &mut buffer, packet.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

/// The keys of RFC 3711 §B.3.
fn b3() -> MasterKey {
    let bytes = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    MasterKey::new(Suite::AesCm128HmacSha1_80, &bytes).unwrap()
}

#[test]
fn keys_are_derived_as_in_rfc_3711_b3() {
    use super::cipher::derive;
    assert_eq!(derive::<16>(&b3(), 0).to_vec(), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(derive::<14>(&b3(), 2).to_vec(), hex("30CBBC08863D8C85D49DB34A9AE1"));
    let auth = hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4");
    assert_eq!(derive::<20>(&b3(), 1).to_vec(), auth);
}

/// The packets of libsrtp's own validation, with the keys of RFC 3711 §B.3.
#[test]
fn packets_of_the_reference_implementation() {
    let clear = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let sealed = hex("800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb");
    assert_eq!(done(&mut Context::new(&b3()), Context::protect_rtp, &clear).unwrap(), sealed);
    assert_eq!(done(&mut Context::new(&b3()), Context::unprotect_rtp, &sealed).unwrap(), clear);
    let clear = hex("81c8000bcafebabe abababababababababababababababab");
    let sealed = hex("81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798");
    assert_eq!(done(&mut Context::new(&b3()), Context::protect_rtcp, &clear).unwrap(), sealed);
    assert_eq!(done(&mut Context::new(&b3()), Context::unprotect_rtcp, &sealed).unwrap(), clear);
}

/// RFC 7714 §16.1.1, §16.2.1 and §17.1: session keys 00 01 02 …, salt "Quid pro quo".
#[test]
fn packets_of_rfc_7714() {
    let mut salt = [0; 14];
    salt[..12].copy_from_slice(b"Quid pro quo");
    let count: Vec<u8> = (0..32).collect();
    let short: [u8; 16] = count[..16].try_into().unwrap();
    let long: [u8; 32] = count[..].try_into().unwrap();
    let clear = hex("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
        69736120 696e2070 61727465 73207472 6573");
    let of_128 = hex("8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
        0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce");
    let of_256 = hex("8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238
        9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13");
    for (keys, sealed) in [(Keys::gcm128(short), of_128), (Keys::gcm256(long), of_256)] {
        let sealer = Sealer { keys, salt, tag: 16, index: 0 };
        let mut context = Context { rtp: sealer, ..Context::new(&key(Suite::AeadAes128Gcm, 1)) };
        assert_eq!(done(&mut context, Context::protect_rtp, &clear).unwrap(), sealed);
        context.streams.clear();
        assert_eq!(done(&mut context, Context::unprotect_rtp, &sealed).unwrap(), clear);
    }
    let clear = hex("81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
        deadbeef deadbeef deadbeef deadbeef deadbeef");
    let sealed = hex("81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
        c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4");
    let sealer = Sealer { keys: Keys::gcm128(short), salt, tag: 16, index: 4 };
    let mut context = Context { rtcp: sealer, ..Context::new(&key(Suite::AeadAes128Gcm, 1)) };
    assert_eq!(done(&mut context, Context::unprotect_rtcp, &sealed).unwrap(), clear);
    context.streams.clear();
    let mut stream = Stream::new(0x4d61_7273);
    (0..0x5d3).for_each(|_| {
        stream.next_rtcp();
    });
    context.streams.push(stream);
    assert_eq!(done(&mut context, Context::protect_rtcp, &clear).unwrap(), sealed);
}

#[test]
fn a_call_of_three_wraps_is_read_with_losses_and_late_packets() {
    for suite in Suite::ALL {
        let (mut ours, mut theirs) = (Context::new(&key(suite, 3)), Context::new(&key(suite, 3)));
        let mut late = None;
        for n in 0..15_000u32 {
            let clear = rtp(7, (n * 13 + 65_000) as u16, b"speech");
            let sealed = done(&mut ours, Context::protect_rtp, &clear).unwrap();
            match n % 97 {
                3 => late = Some((clear, sealed)),
                50..60 => {}
                _ => assert_eq!(done(&mut theirs, Context::unprotect_rtp, &sealed).unwrap(), clear, "{suite:?} {n}"),
            }
            if n % 97 == 8
                && let Some((clear, sealed)) = late.take()
            {
                assert_eq!(done(&mut theirs, Context::unprotect_rtp, &sealed).unwrap(), clear, "{suite:?} {n}");
            }
        }
    }
}

#[test]
fn no_packet_is_taken_twice_nor_sent_twice() {
    for suite in Suite::ALL {
        let (mut ours, mut theirs) = (Context::new(&key(suite, 3)), Context::new(&key(suite, 3)));
        let sealed: Vec<_> =
            (0..300).map(|n| done(&mut ours, Context::protect_rtp, &rtp(7, n, b"speech")).unwrap()).collect();
        for packet in &sealed {
            assert!(done(&mut theirs, Context::unprotect_rtp, packet).is_ok());
        }
        for packet in &sealed {
            assert_eq!(done(&mut theirs, Context::unprotect_rtp, packet), Err(Failure::Replay));
        }
        assert_eq!(done(&mut ours, Context::protect_rtp, &rtp(7, 299, b"other")), Err(Failure::Replay));
        assert_eq!(done(&mut ours, Context::protect_rtp, &rtp(7, 10, b"other")), Err(Failure::Replay));
        let report = hex("80c90001 00000007");
        let sealed = done(&mut ours, Context::protect_rtcp, &report).unwrap();
        assert_eq!(done(&mut theirs, Context::unprotect_rtcp, &sealed).unwrap(), report);
        assert_eq!(done(&mut theirs, Context::unprotect_rtcp, &sealed), Err(Failure::Replay));
    }
}

#[test]
fn streams_have_a_bound_and_forged_ones_take_no_place() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (mut ours, mut theirs) = (Context::new(&key(suite, 3)), Context::new(&key(suite, 3)));
    let mut forger = Context::new(&key(suite, 4));
    for ssrc in 0..1_000 {
        let packet = done(&mut forger, Context::protect_rtp, &rtp(ssrc % 60, (ssrc / 60) as u16, b"x")).unwrap();
        assert_eq!(done(&mut theirs, Context::unprotect_rtp, &packet), Err(Failure::Auth));
    }
    assert!(theirs.streams.is_empty());
    for ssrc in 0..100 {
        let packet = done(&mut ours, Context::protect_rtp, &rtp(ssrc, 1, b"x"));
        let expected = if ssrc < SRTP_STREAMS as u32 { None } else { Some(Failure::Streams) };
        assert_eq!(packet.err(), expected);
    }
}

#[test]
fn a_key_has_the_length_of_its_suite_and_is_not_shown() {
    for suite in Suite::ALL {
        let length = suite.key_len() + suite.salt_len();
        for wrong in [0, length - 1, length + 1, 200] {
            assert_eq!(MasterKey::new(suite, &vec![0xab; wrong]), None);
        }
        let shown = format!("{:?}", key(suite, 0xab));
        assert!(!shown.contains("171") && !shown.contains("ab"), "{shown}");
        assert_eq!(Suite::parse(&suite.as_str().to_lowercase()), Some(suite));
    }
}

fn packets() -> impl Strategy<Value = Vec<u8>> {
    let header = (0u8..16, any::<bool>(), 0u8..4, any::<u16>(), any::<u32>());
    (header, prop::collection::vec(any::<u8>(), 0..200)).prop_map(
        |((csrc, extended, words, sequence, ssrc), payload)| {
            let mut bytes = rtp(ssrc, sequence, &vec![0x11; 4 * usize::from(csrc)]);
            bytes[0] |= csrc | u8::from(extended) << 4;
            if extended {
                bytes.extend_from_slice(&[0xbe, 0xde, 0, words]);
                bytes.extend_from_slice(&vec![0x22; 4 * usize::from(words)]);
            }
            bytes.extend_from_slice(&payload);
            bytes
        },
    )
}

proptest! {
    #[test]
    fn what_is_protected_is_read(packet in packets(), suite in prop::sample::select(Suite::ALL.to_vec())) {
        let sealed = done(&mut Context::new(&key(suite, 9)), Context::protect_rtp, &packet).unwrap();
        prop_assert_eq!(sealed.len(), packet.len() + suite.rtp_tag());
        prop_assert_eq!(done(&mut Context::new(&key(suite, 9)), Context::unprotect_rtp, &sealed), Ok(packet));
    }

    #[test]
    fn one_changed_bit_is_seen(
        packet in packets(),
        suite in prop::sample::select(Suite::ALL.to_vec()),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut sealed = done(&mut Context::new(&key(suite, 9)), Context::protect_rtp, &packet).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(done(&mut Context::new(&key(suite, 9)), Context::unprotect_rtp, &sealed).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..80),
        suite in prop::sample::select(Suite::ALL.to_vec()),
        room in 0usize..24,
        is_version_2 in any::<bool>(),
    ) {
        if let (Some(first), true) = (bytes.first_mut(), is_version_2) {
            *first = *first & 0x3f | 0x80;
        }
        let length = bytes.len();
        bytes.resize(length + room, 0);
        let all: [Transform; 4] =
            [Context::protect_rtp, Context::unprotect_rtp, Context::protect_rtcp, Context::unprotect_rtcp];
        for transform in all {
            let mut context = Context::new(&key(suite, 9));
            if let Ok(changed) = transform(&mut context, &mut bytes.clone(), length) {
                prop_assert!(changed <= length + room);
            }
        }
    }
}
