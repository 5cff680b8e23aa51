//! Leaseline: call tracking that a company can run itself.
//!
//! Three rings, and imports point inwards only:
//!
//! * [`wire`]: bytes ⇄ values. No I/O, no clock, no panic; output bounded by input.
//! * [`core`]: values → decisions. Deterministic machines: they are given the time, the bytes and a seed, and give
//!   back effects. They own no clock, socket, thread or lock.
//! * [`io`]: decisions → system calls. Thin.
//!
//! Beside the rings: [`config`] (TOML → typed values, all problems at once), [`limits`] (every bound and its reason),
//! [`ids`] and [`time`] (newtypes), [`cli`] (the command line), [`daemon`] (builds the parts and joins their channels),
//! [`phone`] (test phones), [`demo`] (daemon and phones in one), [`replay`] (captured calls), [`simulate`]
//! (attribution in a synthetic world).

pub mod cli;
pub mod config;
pub mod core;
pub mod daemon;
pub mod demo;
pub mod ids;
pub mod io;
pub mod limits;
pub mod phone;
pub mod replay;
pub mod simulate;
pub mod time;
pub mod wire;
