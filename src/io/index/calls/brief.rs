//! Many calls in a few words each: for pages by number, and for sums of what other programs ask for.

use super::{Filter, Found};
use crate::ids::CallId;
use crate::io::index::{IndexError, Reader};
use crate::limits;
use crate::time::Wall;

/// A call in a few words.
#[derive(Clone, Debug, PartialEq)]
pub struct Brief {
    pub call_id: CallId,
    pub started_at: Wall,
    pub source: String,
    pub medium: String,
    pub campaign: String,
    pub term: String,
    pub first: bool,
    pub missed: bool,
}

impl Reader<'_> {
    /// The calls that fit, newest first; `most` of them at most.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn brief(&self, filter: &Filter, most: usize) -> Result<Vec<Brief>, IndexError> {
        let mut filter = Filter { limit: Some(limits::CALLS_PAGE), ..filter.clone() };
        let mut briefs = Vec::new();
        loop {
            let (found, next) = self.search(&filter)?;
            briefs.extend(found.into_iter().map(brief));
            if briefs.len() >= most || next.is_none() {
                briefs.truncate(most);
                return Ok(briefs);
            }
            filter.cursor = next;
        }
    }
}

fn brief(found: Found) -> Brief {
    Brief {
        call_id: found.call_id,
        started_at: Wall(found.started_at),
        source: found.facts.source,
        medium: found.facts.medium,
        campaign: found.facts.campaign,
        term: found.facts.term,
        first: found.facts.first.unwrap_or(true),
        missed: found.facts.missed,
    }
}
