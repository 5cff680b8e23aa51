//! What an auditor needs of recordings, as pure decisions: the Merkle tree of a day, its manifest, the signature on it,
//! and what may be erased when. Files and clocks are `io::archive`'s.

pub mod disk;
pub mod forget;
pub mod manifest;
pub mod merkle;
pub mod retention;
pub mod sign;
pub mod timestamp;
