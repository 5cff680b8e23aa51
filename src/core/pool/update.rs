//! What a page learns of its visit after it has its number: identifiers of analytics come seconds late, and a visitor
//! goes from page to page.

use std::collections::BTreeMap;

use super::{Allocator, Output, Phase, Refused};
use crate::core::event::Session;
use crate::core::lease::bounded;
use crate::ids::LeaseId;
use crate::time::Now;

impl Allocator {
    /// Adds to the session of a lease, and is a sign of the visitor. A lease that is only held keeps its session: its
    /// visitor has left, and what comes now was sent before.
    pub fn update(&mut self, now: Now, id: LeaseId, session: Session, out: &mut Vec<Output>) -> Result<(), Refused> {
        if let Some(known) = self.displayed(id) {
            self.redisplay(now, id, Some(merged(known, bounded(session))), out);
            return Ok(());
        }
        let right = self.right_by_id(id)?;
        if matches!(self.rights[right].phase, Phase::OnPage { .. }) {
            let known = Session::clone(&self.rights[right].lease.session);
            self.touch(now, right, Some(merged(known, bounded(session))), out);
        }
        Ok(())
    }
}

/// What was known, and what is new. Where the visit came from changes only when the page says where from, and then
/// whole: a campaign is never put together from two.
fn merged(known: Session, new: Session) -> Session {
    let client_ids = joined(known.client_ids, new.client_ids);
    let client = joined(known.client, new.client);
    let sourced = !new.utm.is_empty() || !new.click_ids.is_empty();
    let moved = new.utm != known.utm || new.click_ids != known.click_ids;
    if sourced && moved {
        Session { client_ids, client, ..new }
    } else {
        Session {
            landing_page: known.landing_page.or(new.landing_page),
            referrer: known.referrer.or(new.referrer),
            utm: known.utm,
            click_ids: known.click_ids,
            client_ids,
            client,
            clicked_at: known.clicked_at.or(new.clicked_at),
        }
    }
}

fn joined(mut known: BTreeMap<String, String>, new: BTreeMap<String, String>) -> BTreeMap<String, String> {
    known.extend(new);
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Wall;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn late_identifiers_join_and_the_source_stays() {
        let known = Session {
            landing_page: Some("https://acme.example/".into()),
            utm: map(&[("source", "newsletter")]),
            client_ids: map(&[("ym", "1")]),
            client: map(&[("page", "/a"), ("screen", "1x1")]),
            clicked_at: Some(Wall(1)),
            ..Session::default()
        };
        let late = Session {
            landing_page: Some("https://acme.example/b".into()),
            client_ids: map(&[("ga", "2.3")]),
            client: map(&[("page", "/b")]),
            clicked_at: Some(Wall(2)),
            ..Session::default()
        };
        let both = merged(known.clone(), late);
        assert_eq!(both.landing_page, known.landing_page);
        assert_eq!(both.utm, known.utm);
        assert_eq!(both.client_ids, map(&[("ga", "2.3"), ("ym", "1")]));
        assert_eq!(both.client, map(&[("page", "/b"), ("screen", "1x1")]));
        assert_eq!(both.clicked_at, Some(Wall(1)));

        let other = Session { click_ids: map(&[("yclid", "7")]), clicked_at: Some(Wall(3)), ..Session::default() };
        let moved = merged(both, other);
        assert!(moved.utm.is_empty() && moved.landing_page.is_none(), "the new campaign, whole");
        assert_eq!((moved.click_ids, moved.clicked_at), (map(&[("yclid", "7")]), Some(Wall(3))));
        assert_eq!(moved.client_ids.len(), 2, "who it is, stays");
    }
}
