//! The agent in virtual time: ladders between two agents, and hand-written messages.

mod calls;
mod races;
mod rules;
mod world;
