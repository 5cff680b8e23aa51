//! Probes of trunks, within signalling.

use std::sync::Arc;

use super::B2bua;
use crate::core::probe::{self, Probes};
use crate::time::Now;

impl B2bua {
    /// Does something with the probes.
    pub(super) fn on_probes(&mut self, now: Now, act: impl FnOnce(&mut Probes, &mut probe::Ctx<'_>)) {
        let settings = Arc::clone(&self.settings);
        let mut ctx = probe::Ctx {
            now,
            agent: &mut self.agent,
            settings: &settings,
            health: &mut self.health,
            out: &mut self.out,
        };
        act(&mut self.probes, &mut ctx);
    }
}
