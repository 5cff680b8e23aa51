//! The agent in virtual time: ladders between two agents, and hand-written messages.

mod calls;
mod challenge;
mod inside;
mod large;
mod property;
mod races;
mod reliable;
mod rules;
mod session;
mod standalone;
mod world;
