//! Bounds of media, its relay and its recording.

use std::time::Duration;

use super::SRTP_TRAILER;

/// Longest datagram of a media port: a packet, and what protects it.
pub const MEDIA_DATAGRAM: usize = RTP_PACKET + SRTP_TRAILER;
/// Calls that are transcoded at once, G.711 alone not counted: Opus both ways costs near a hundredth of a core a call.
/// Beyond it a call whose sides have no codec in common gets 488, as if `media.transcode` were false.
pub const TRANSCODED_CALLS: usize = 200;
/// Largest RTP or RTCP packet relayed: an Ethernet frame's payload.
pub const RTP_PACKET: usize = 1_472;
/// A media port rests so long after its call, so that a peer that goes on sending does not reach the next call.
pub const PORT_QUARANTINE: Duration = Duration::from_secs(5);
/// The least rest, when all other ports are taken or resting.
pub const PORT_QUARANTINE_MIN: Duration = Duration::from_millis(500);
/// Port pairs that rest or are free with open sockets, for the next calls.
pub const KEPT_PAIRS: usize = 4_096;
/// Packets in sequence from one source before NAT mode believes it.
pub const LATCH_PACKETS: u8 = 5;
/// They must come within this time.
pub const LATCH_WINDOW: Duration = Duration::from_millis(1_500);
/// Without a packet for so long a key is no longer pressed: four times the longest usual interval (RFC 4733 §2.5.1.2).
pub const DTMF_END_LOST: Duration = Duration::from_millis(200);
/// How long the API waits for a media thread to pause a recording.
pub const PAUSE_ANSWER: Duration = Duration::from_secs(5);
/// Longest prompt, and its largest file.
pub const PROMPT: Duration = Duration::from_secs(10 * 60);
pub const PROMPT_FILE: u64 = 128 << 20;
/// Prompts of one call that its event lists.
pub const PROMPTS: usize = 64;
/// The same key of one side, told in two ways within this time, is one key: INFO takes its way through a whole trunk.
pub const DTMF_SAME: Duration = Duration::from_millis(500);
/// Digits of one call that its event lists.
pub const DTMF_DIGITS: usize = 256;
/// Keys of one sequence follow each other within this time.
pub const DTMF_SEQUENCE: Duration = Duration::from_secs(3);
/// Who tapped the number is dialling it or about to: it stays on their page so long, even when the page is gone.
pub const TAP_PIN: Duration = Duration::from_secs(600);
/// A recording waits so long for packets that come late or out of order before it writes a stretch. With
/// [`RECORDER_BLOCK`] it is what a crash can cost: under a second.
pub const RECORDER_REORDER: Duration = Duration::from_millis(400);
/// A recording is written in blocks of so much: two or three writes a second and call.
pub const RECORDER_BLOCK: Duration = Duration::from_millis(400);
/// Samples of one channel held in memory, in front of what is written: reorder window, block, one largest packet and
/// slack for a driver that comes late. 8000 a second.
pub const RECORDER_BUFFER: usize = 3 * 8_000;
/// Streams (SSRCs) of one side followed at once; a new one replaces the one that was quiet longest.
pub const RECORDER_STREAMS: usize = 4;
/// Packets of one stream held back until its place on the timeline is clear: a burst after a stall of two seconds.
pub const RECORDER_HELD: usize = 128;
/// Gaps listed of one channel; what comes after is summed in one entry. Keeps an event under 64 KiB.
pub const RECORDER_GAPS: usize = 256;
/// Longest recording: a day and a half are 4.1 GB at 8000 Hz, just below where the sizes of RIFF end; what has more bytes
/// a second becomes RF64 there.
pub const RECORDING_LENGTH: Duration = Duration::from_secs(36 * 3600);
/// Bytes of packets that a media thread collects before the recorder gets them: about 1,500 G.711 packets.
pub const TAP_ARENA: usize = 256 * 1024;
/// Packets of one such buffer, for codecs with small packets.
pub const TAP_PACKETS: usize = 4_096;
/// Age at which a buffer goes out though it is not full: short beside the second that a killed process may lose.
pub const TAP_INTERVAL: Duration = Duration::from_millis(80);
/// Buffers of one media thread (16 MiB when all are in use): 5 s of a stuck recorder with few calls, 1 s with 1,000.
pub const TAP_BUFFERS: usize = 64;
/// Messages on their way to the recorder from all media threads.
pub const TAP_QUEUE: usize = 1_024;
/// Messages about calls that wait on one media thread for a stuck recorder; then new recordings are refused.
pub const TAP_BACKLOG: usize = 4_096;
/// A learned source must be quiet for so long before another one of the same IP may take its place.
pub const LATCH_QUIET: Duration = Duration::from_millis(1_500);
/// The same for RTCP, which comes about every 5 s (RFC 3550 §6.2): three reports are missing.
pub const LATCH_QUIET_RTCP: Duration = Duration::from_secs(15);
/// Sources of one IP that are watched while none is learned: the party, and a few that disturb.
pub const LATCH_CANDIDATES: usize = 4;
/// RTP packets a second that one leg may have relayed: packets of 5 ms, and 10 ms with telephone events between.
pub const LEG_PACKETS_PER_SECOND: u32 = 250;
/// How many of them may come at once: what a network holds up for 2 s with packets of 20 ms.
pub const LEG_PACKETS_BURST: u32 = 100;
/// RTCP packets a second of one leg; RFC 3550 §6.2 allows one in 5 s, RFC 4585 early feedback more.
pub const LEG_RTCP_PER_SECOND: u32 = 10;
/// How many of them may come at once.
pub const LEG_RTCP_BURST: u32 = 20;
/// While a side is on hold nobody need talk: the call is given so long.
pub const SILENCE_ON_HOLD: Duration = Duration::from_secs(3_600);
/// A side from which media should come is noted as silent after this time.
pub const SILENCE_NOTED: Duration = Duration::from_secs(20);
/// Receive buffer of a media socket: 1.3 s of G.711 (the kernel counts its own overhead too).
pub const MEDIA_RECEIVE_BUFFER: usize = 64 * 1024;
/// Longest sound that a test phone plays, and longest silence on its tape.
pub const PHONE_AUDIO: Duration = Duration::from_secs(600);
/// Calls at once of a test phone that answers.
pub const PHONE_CALLS: usize = 1_000;
