//! Conversations with every destination.
