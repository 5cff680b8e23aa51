//! Deterministic machines. Every machine has two doors: `handle…(now, input)` is the only way to change it, and
//! `poll_timeout()` says when to come back and why. Nothing here reads a clock, opens a socket or takes a lock
//! (`clippy.toml` bans the calls).

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod admission;
pub mod agent;
pub mod archive;
pub mod attempts;
pub mod attribution;
pub mod auth;
pub mod b2bua;
pub mod call;
pub mod catalogue;
pub mod credit;
pub mod decide;
pub mod defence;
pub mod dialog;
pub mod directory;
pub mod dtmf;
pub mod ears;
pub mod event;
pub mod export;
pub mod feed;
pub mod header_rules;
pub mod health;
pub mod hosts;
pub mod ice;
pub mod identity;
pub mod keeper;
pub mod labels;
pub mod latch;
pub mod lease;
pub mod locate;
pub mod mask;
pub mod media;
pub mod media_address;
pub mod media_quality;
pub mod number;
pub mod outbox;
pub mod player;
pub mod pool;
pub mod probe;
pub mod reason;
pub mod recorder;
pub mod region;
pub mod registration;
pub mod relay;
mod reports;
pub mod rights;
pub mod route;
pub mod secure;
pub mod session;
pub mod signature;
pub mod siprec;
pub mod sizing;
pub mod source;
pub mod stir;
pub mod transaction;
pub mod transcode;
