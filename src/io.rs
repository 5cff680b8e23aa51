//! Decisions → system calls: sockets, threads, files, HTTP. Thin, with few branches.

pub mod clock;
pub mod media;
pub mod systemd;
pub mod trace;
