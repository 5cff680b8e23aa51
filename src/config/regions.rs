//! What tells regions: files that the operator supplies.

use std::path::PathBuf;
use std::sync::Arc;

use crate::core::region::{AddressRegions, Regions};

/// Where callers and visitors are from. Read with the configuration, and again with it.
#[derive(Clone, Debug, Default)]
pub struct RegionRules {
    /// The Russian regulator's ranges of numbers.
    pub russia: Vec<PathBuf>,
    /// Addresses of the network, in MaxMind's format.
    pub database: Option<PathBuf>,
    /// What `russia` says; countries without it.
    pub numbers: Arc<Regions>,
    /// What `database` says.
    pub addresses: Option<Arc<AddressRegions>>,
}

impl RegionRules {
    /// What the files had that was not used.
    pub fn warning(&self) -> Option<String> {
        let skipped = self.numbers.skipped();
        (!skipped.is_none()).then(|| format!("regions.russia: {skipped}"))
    }
}
