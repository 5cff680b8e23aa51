//! Decisions → system calls: sockets, threads, files, HTTP. Thin, with few branches.

pub mod metrics;
pub mod allocator;
pub mod lease_feed;
pub mod calls;
pub mod journal;
pub mod sinks;
