//! Deterministic machines. Every machine has two doors: `handle…(now, input)` is the only way to change it, and
//! `poll_timeout()` says when to come back and why. Nothing here reads a clock, opens a socket or takes a lock
//! (`clippy.toml` bans the calls).

pub mod agent;
pub mod attribution;
pub mod event;
pub mod feed;
pub mod lease;
pub mod media;
pub mod number;
pub mod pool;
pub mod outbox;
