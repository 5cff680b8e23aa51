//! Visits, from what is journaled of leases. A visit begins with a lease, with another campaign on the same lease, or when
//! somebody comes back to it after a while.

use rusqlite::{OptionalExtension, params};

use super::super::names::Origin;
use super::super::tally::day;
use super::{Place, Step};
use crate::core::lease::{Class, Device, Lease};
use crate::limits;

/// What of a lease was journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Granted,
    Renewed,
    /// The visitor left, or was heard of no more.
    Ended,
}

/// Somebody who comes back to a lease after so long has come again.
const AGAIN_US: i64 = 30 * 60 * 1_000_000;

/// The newest visit of a lease.
struct Visit {
    no: i64,
    origin_id: i64,
    last_at: i64,
    page: Option<String>,
}

impl Step<'_> {
    pub(super) fn lease(&mut self, lease: &Lease, sign: Sign) -> rusqlite::Result<()> {
        let place = self.place(&lease.company, &lease.pool)?;
        let origin = self.names.origin(self.connection, &Origin::of_session(&lease.session))?;
        let visit = self.newest_visit(&lease.lease_id.to_string())?;
        let seen = lease.seen_at.0;
        let visit = match visit {
            Some(visit) if sign == Sign::Ended => Some(visit),
            // A renewal that only says that others see the number, too, is no visit.
            Some(visit) if visit.origin_id == origin && seen - visit.last_at < AGAIN_US => Some(visit),
            None if sign == Sign::Ended => None,
            _ => {
                let started = if sign == Sign::Granted { lease.granted_at.0 } else { seen };
                Some(self.begin(lease, &place, origin, started)?)
            }
        };
        let Some(visit) = visit else { return Ok(()) };
        let ended = (sign == Sign::Ended).then(|| lease.left_at().0);
        let page = lease.session.client.get("page").map(|page| clipped(page, limits::INDEX_URL));
        let set = "UPDATE visits SET last_at = MAX(last_at, ?2), ended_at = ?3, is_shared = MAX(is_shared, ?4),
                   device = ?5, region = ?6, page = COALESCE(?7, page), click_ids = COALESCE(?8, click_ids)
                   WHERE visit_no = ?1";
        self.connection.prepare_cached(set)?.execute(params![
            visit.no,
            seen,
            ended,
            lease.shared,
            device(lease.page.device),
            lease.page.region.as_deref().unwrap_or_default(),
            page,
            click_ids(lease),
        ])?;
        if let Some(page) = page.filter(|page| visit.page.as_ref() != Some(page)) {
            self.note(visit.no, self.at.0, "page", Some(&page))?;
        }
        Ok(())
    }

    pub(super) fn signal(&mut self, lease: &Lease, signal: &str) -> rusqlite::Result<()> {
        self.lease(lease, Sign::Renewed)?;
        match self.newest_visit(&lease.lease_id.to_string())? {
            Some(visit) => self.note(visit.no, self.at.0, signal, None),
            None => Ok(()),
        }
    }

    /// Key and region of the newest visit of a lease.
    pub(super) fn visit_of_lease(&self, lease: &str) -> rusqlite::Result<Option<(i64, String)>> {
        let find = "SELECT visit_no, region FROM visits WHERE lease_id = ?1 ORDER BY visit_no DESC LIMIT 1";
        self.connection.prepare_cached(find)?.query_row([lease], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    /// The visitor's row; made where there is none.
    pub(super) fn visitor(&mut self, company: i64, id: &str, at: i64) -> rusqlite::Result<i64> {
        let find = "SELECT visitor_no FROM visitors WHERE company_id = ?1 AND visitor_id = ?2";
        let known =
            self.connection.prepare_cached(find)?.query_row(params![company, id], |row| row.get(0)).optional()?;
        if let Some(no) = known {
            return Ok(no);
        }
        let no = self.names.next(self.connection, "visitors", "visitor_no")?;
        let add = "INSERT INTO visitors (visitor_no, company_id, visitor_id, first_at, last_at, visits)
                   VALUES (?1, ?2, ?3, ?4, ?4, 0)";
        self.connection.prepare_cached(add)?.execute(params![no, company, id, at])?;
        Ok(no)
    }

    /// Takes out who it was. How many visits there were, and from where, stays.
    pub(super) fn forget_visitor(&mut self, visitor: i64) -> rusqlite::Result<()> {
        let texts = [
            "DELETE FROM visit_signals WHERE visit_no IN (SELECT visit_no FROM visits WHERE visitor_no = ?1)",
            "UPDATE visits SET visitor_no = NULL, lease_id = '', region = '', landing_page = NULL, referrer = NULL,
               page = NULL, click_ids = NULL WHERE visitor_no = ?1",
            "UPDATE callers SET visitor_no = NULL WHERE visitor_no = ?1",
            "UPDATE leads SET visitor_no = NULL WHERE visitor_no = ?1",
            "DELETE FROM visitor_joins WHERE visitor_no = ?1 OR other_no = ?1",
            "DELETE FROM visitor_users WHERE visitor_no = ?1",
            "DELETE FROM visitors WHERE visitor_no = ?1",
        ];
        for text in texts {
            self.connection.prepare_cached(text)?.execute([visitor])?;
        }
        Ok(())
    }

    fn begin(&mut self, lease: &Lease, place: &Place, origin: i64, started: i64) -> rusqlite::Result<Visit> {
        let visitor = self.visitor(place.company.id, &lease.visitor_id, started)?;
        let count = "UPDATE visitors SET visits = visits + 1, last_at = MAX(last_at, ?2) WHERE visitor_no = ?1";
        self.connection.prepare_cached(count)?.execute(params![visitor, started])?;
        let no = self.names.next(self.connection, "visits", "visit_no")?;
        let (of, _) = place.company.calendar.day_and_hour(crate::time::Wall(started));
        let add =
            "INSERT INTO visits (visit_no, visitor_no, company_id, pool_id, site, lease_id, number, origin_id, day,
                   started_at, last_at, class, is_shared, device, region, landing_page, referrer, click_ids)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
        let session = &lease.session;
        self.connection.prepare_cached(add)?.execute(params![
            no,
            visitor,
            place.company.id,
            place.pool,
            lease.site,
            lease.lease_id.to_string(),
            lease.number.as_str(),
            origin,
            of,
            started,
            class(lease.class),
            lease.shared,
            device(lease.page.device),
            lease.page.region.as_deref().unwrap_or_default(),
            session.landing_page.as_ref().map(|page| clipped(page, limits::INDEX_URL)),
            session.referrer.as_ref().map(|page| clipped(page, limits::INDEX_URL)),
            click_ids(lease),
        ])?;
        for node in self.names.nodes(self.connection, place.company.id, place.pool, origin)? {
            self.tally.days.at((node, of))[day::VISITS] += 1.0;
        }
        self.count_visitor(visitor, no, place, (origin, of))?;
        Ok(Visit { no, origin_id: origin, last_at: started, page: None })
    }

    fn newest_visit(&self, lease: &str) -> rusqlite::Result<Option<Visit>> {
        let find =
            "SELECT visit_no, origin_id, last_at, page FROM visits WHERE lease_id = ?1 ORDER BY visit_no DESC LIMIT 1";
        let visit = |row: &rusqlite::Row<'_>| {
            Ok(Visit { no: row.get(0)?, origin_id: row.get(1)?, last_at: row.get(2)?, page: row.get(3)? })
        };
        self.connection.prepare_cached(find)?.query_row([lease], visit).optional()
    }

    fn note(&self, visit: i64, at: i64, kind: &str, detail: Option<&str>) -> rusqlite::Result<()> {
        let add = "INSERT INTO visit_signals (visit_no, at, kind, detail)
                   SELECT ?1, ?2, ?3, ?4 WHERE (SELECT COUNT(*) FROM visit_signals WHERE visit_no = ?1) < ?5";
        let most = limits::INDEX_SIGNALS as i64;
        self.connection.prepare_cached(add)?.execute(params![visit, at, kind, detail, most])?;
        Ok(())
    }
}

fn click_ids(lease: &Lease) -> Option<String> {
    let ids = &lease.session.click_ids;
    (!ids.is_empty()).then(|| serde_json::to_string(ids).ok()).flatten()
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Free => "free",
        Class::SoftHeld => "soft_held",
        Class::Shared => "shared",
        Class::SourceStatic => "source_static",
        Class::Overflow => "overflow",
    }
}

fn device(device: Device) -> &'static str {
    match device {
        Device::Unknown => "unknown",
        Device::Mobile => "mobile",
        Device::Tablet => "tablet",
        Device::Desktop => "desktop",
    }
}

fn clipped(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
