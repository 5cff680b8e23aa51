//! Audio codecs as tables and pure functions: payload bytes ⇄ 16-bit linear samples.

pub mod g711;
