//! The world is as its description says.
