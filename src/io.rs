//! Decisions → system calls: sockets, threads, files, HTTP. Thin, with few branches.

pub mod allocator;
pub mod archive;
pub mod calls;
pub mod catalogue;
pub mod certificates;
pub mod clock;
pub mod deciders;
pub mod dns;
pub mod hep;
pub mod http;
pub mod journal;
pub mod keeper;
pub mod lease_feed;
pub mod media;
pub mod messages;
pub mod metrics;
pub mod model;
pub mod recordings;
pub mod signalling;
pub mod sinks;
pub mod sip_stream;
pub mod sip_tls;
pub mod systemd;
pub mod trace;
