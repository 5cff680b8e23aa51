//! Bounds of SIP messages, descriptions and sockets.

use std::time::Duration;

/// Largest request of ours that goes by UDP: the path's MTU is not known (RFC 3261 §18.1.1).
pub const SIP_DATAGRAM: usize = 1_300;
/// Who refused a TCP connection for a large request is sent such by UDP for so long.
pub const LARGE_REFUSED: Duration = Duration::from_secs(600);
/// Places that are remembered so.
pub const LARGE_REFUSALS: usize = 1_024;
/// Bytes of what ICMP quotes in which our branch must stand: a message has at most 576 (RFC 1812 §4.3.2.3) or, with IPv6,
/// 1,280 (RFC 4443 §2.4).
pub const BOUNCE_QUOTED: usize = 1_280;
/// A datagram that the kernel does not take is offered so often again before its destination counts as unreachable.
pub const SENDS: usize = 3;
/// ICMP errors of one socket read before its datagrams are looked at again.
pub const BOUNCES_PER_TURN: usize = 64;
/// Longest SIP message we read: what fits a UDP datagram.
pub const SIP_MESSAGE: usize = 65_535;
/// Start line and headers of one message. The largest torture message of RFC 4475 has 3.5 KB.
pub const SIP_HEAD: usize = 16 * 1024;
/// Body of one message.
pub const SIP_BODY: usize = 32 * 1024;
/// Header lines of one message (RFC 4475 `longreq`: 43).
pub const SIP_HEADERS: usize = 128;
/// Via values of one message: Max-Forwards starts at 70.
pub const SIP_VIAS: usize = 70;
/// One header line, unfolded.
pub const SIP_LINE: usize = 8 * 1024;
/// Call-ID, tag, branch, method, header name.
pub const SIP_TOKEN: usize = 256;
/// Dialogs that one INVITE of ours may end in: parallel forking reaches a handful of phones.
pub const SIP_FORKS: usize = 8;
/// Reliable provisional responses of one leg that wait behind the one without PRACK; a phone says a handful.
pub const PROVISIONALS_WAITING: usize = 8;
/// Requests of one leg's far side that wait for an answer at once; honest peers send one after the other.
pub const REQUESTS_WAITING: usize = 16;
/// Lines of one SDP body.
pub const SDP_LINES: usize = 512;
/// Media descriptions of one SDP body.
pub const SDP_MEDIA: usize = 8;
/// `a=crypto` lines of one media description that are read; phones offer two to six.
pub const SDP_CRYPTO: usize = 16;
/// Longest `a=mid` of a media description; browsers write one digit.
pub const SDP_MID: usize = 32;
/// Longest user fragment and longest password of ICE (RFC 8839 §5.4).
pub const ICE_SECRET: usize = 256;
/// Addresses of one party that ICE has proved and that are remembered: a browser on a machine with many interfaces tries a
/// few of them.
pub const ICE_PAIRS: usize = 8;
/// Without a proved check from an address for so long nothing more is sent there (RFC 7675 §5.1).
pub const ICE_CONSENT: Duration = Duration::from_secs(30);
/// Handshakes of one leg that may fail before no other is begun: forged pieces of one, from the address of the party, can
/// spoil a few.
pub const DTLS_TRIES: u8 = 16;
/// Streams (SSRC) with one SRTP key: one a phone, one more after each transfer. Each is remembered for replays.
pub const SRTP_STREAMS: usize = 64;
/// What SRTP and SRTCP put behind a packet: a tag of 16 bytes and an index of 4.
pub const SRTP_TRAILER: usize = 20;
/// Formats of one media description.
pub const SDP_FORMATS: usize = 64;
/// Shortest session interval there is (RFC 4028 §4).
pub const SESSION_EXPIRES_MIN: Duration = Duration::from_secs(90);
/// Longest session interval that is believed; a longer one would find no dead call.
pub const SESSION_EXPIRES_MAX: Duration = Duration::from_secs(24 * 3_600);
/// RFC 3261 §17.1.1.1.
pub const T1: Duration = Duration::from_millis(500);
/// RFC 3261 §17.1.2.2.
pub const T2: Duration = Duration::from_secs(4);
/// RFC 3261 §17.1.2.2.
pub const T4: Duration = Duration::from_secs(5);
/// Kernel buffer of a SIP socket: two seconds of 1,000 calls a second.
pub const SIP_SOCKET_BUFFER: usize = 8 * 1024 * 1024;
/// Datagrams read in one turn before timers and commands are looked at.
pub const DATAGRAMS_PER_TURN: usize = 64;
