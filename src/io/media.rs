//! Media: ports, threads that relay, and the tap to the recorder.

pub mod tap;
