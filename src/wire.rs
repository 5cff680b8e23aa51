//! Bytes ⇄ values. The contract of this ring: no I/O, no clock, no panic on any input, and output whose size is
//! bounded by the input's. Imports nothing of ours but [`crate::limits`].

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod codec;
pub mod dns;
pub mod hep;
pub mod multipart;
pub mod pcap;
pub mod rs_metadata;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod sdp_streams;
pub mod sip;
pub mod sound;
pub mod srtp;
pub mod stun;
pub mod wav;
