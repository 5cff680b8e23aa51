//! Decisions → system calls: sockets, threads, files, HTTP. Thin, with few branches.

pub mod calls;
pub mod journal;
pub mod sinks;
