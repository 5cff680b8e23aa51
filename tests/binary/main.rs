//! The real program, attacked, killed and starved, between real sockets. Each test has loopback addresses of its own;
//! waits are for events, with a deadline.
#![allow(clippy::unwrap_used)] // a test's way to fail

mod archive;
mod browser;
mod catalogue;
mod certificates;
mod codecs;
mod connections;
#[path = "../contracts/mod.rs"]
mod contracts;
mod crash;
mod decide;
mod disk;
mod ears;
mod export;
mod fraud;
mod hostile;
mod keeper;
mod large;
mod learning;
mod life;
mod limits;
mod line;
mod node;
mod oidc;
mod papers;
mod pause;
mod people;
mod prompts;
mod races;
mod rebuild;
mod router;
mod secrets;
mod secure;
mod serving;
mod simulate;
mod sinks;
mod starved;
mod stream;
mod websocket;
