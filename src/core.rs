//! Deterministic machines. Every machine has two doors: `handle…(now, input)` is the only way to change it, and
//! `poll_timeout()` says when to come back and why. Nothing here reads a clock, opens a socket or takes a lock
//! (`clippy.toml` bans the calls).

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod agent;
pub mod dialog;
pub mod directory;
pub mod event;
pub mod lease;
pub mod media;
pub mod recorder;
pub mod transaction;
