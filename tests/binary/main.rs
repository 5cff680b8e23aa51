//! The real program, attacked, killed and starved, between real sockets. Each test has loopback addresses of its own;
//! waits are for events, with a deadline.
#![allow(clippy::unwrap_used)] // a test's way to fail

mod certificates;
mod crash;
mod decide;
mod hostile;
mod life;
mod limits;
mod node;
mod router;
mod secure;
mod sinks;
mod stream;
