//! Decisions → system calls: sockets, threads, files, HTTP. Thin, with few branches.

pub mod metrics;
pub mod allocator;
pub mod lease_feed;
