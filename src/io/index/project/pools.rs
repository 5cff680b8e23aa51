//! Pools and their numbers over time, as their keeper counts them.

use rusqlite::params;

use super::Step;
use super::calls::whole;
use crate::core::event::keeper::{CountedData, KeeperEvent, NumberData};

impl Step<'_> {
    pub(super) fn keeper(&mut self, event: &KeeperEvent) -> rusqlite::Result<()> {
        match event {
            KeeperEvent::Counted(window) => self.window(window),
            KeeperEvent::Shortage(data) => {
                let kind = if data.over { "shortage_over" } else { "shortage" };
                self.pool_event((&data.company, &data.pool), kind, ("", ""), whole(data.planned))
            }
            KeeperEvent::GrowthSwitched(data) => {
                let kind = if data.enabled { "growth_on" } else { "growth_off" };
                self.pool_event((&data.company, &data.pool), kind, ("", &data.by), whole(data.numbers_max))
            }
            KeeperEvent::GrowthOrdered(data) => {
                self.pool_event((&data.company, &data.pool), "ordered", ("", &data.reason), whole(data.count))
            }
            KeeperEvent::Grown(data) => {
                self.pool_event((&data.company, &data.pool), "grown", ("", &data.reason), whole(data.size))
            }
            KeeperEvent::GrowthRefused(data) => {
                self.pool_event((&data.company, &data.pool), "growth_refused", ("", &data.reason), whole(data.wanted))
            }
            KeeperEvent::NumberLeaving(data) => self.number(data, "leaving"),
            KeeperEvent::NumberLeft(data) => self.number(data, "left"),
            KeeperEvent::NumberRested(data) => self.number(data, "rested"),
            KeeperEvent::NumberReturned(data) => self.number(data, "returned"),
            KeeperEvent::NumberLeaked(data) => self.number(data, "leaked"),
            KeeperEvent::NumberTested(data) => {
                let kind = if data.good { "tested" } else { "test_failed" };
                let reason = data.reason.as_deref().unwrap_or_default();
                let took = data.after_ms.map_or(0, whole);
                self.pool_event((&data.company, &data.pool), kind, (data.number.as_str(), reason), took)
            }
            KeeperEvent::NoticeSent(_) | KeeperEvent::NoticeFailed(_) => Ok(()),
        }
    }

    fn number(&mut self, data: &NumberData, kind: &str) -> rusqlite::Result<()> {
        let place = (data.company.as_str(), data.pool.as_str());
        self.pool_event(place, kind, (data.number.as_str(), &data.reason), whole(data.calls))
    }

    fn window(&mut self, data: &CountedData) -> rusqlite::Result<()> {
        let place = self.place(&data.company, &data.pool)?;
        let (day, _) = place.company.calendar.day_and_hour(data.from);
        let add = "INSERT INTO pool_windows (pool_id, at, day, for_ms, visits, free, soft_held, shared, source_static,
                   overflow, without, busy_max, page_ms, minutes_short, calls, calls_contended)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
                   ON CONFLICT (pool_id, at) DO NOTHING";
        self.connection.prepare_cached(add)?.execute(params![
            place.pool,
            data.from.0,
            day,
            whole(data.for_ms),
            whole(data.visits),
            whole(data.free),
            whole(data.soft_held),
            whole(data.shared),
            whole(data.source_static),
            whole(data.overflow),
            whole(data.without),
            whole(data.busy_max),
            whole(data.page_ms),
            whole(data.minutes_short),
            whole(data.calls),
            whole(data.calls_contended),
        ])?;
        Ok(())
    }

    fn pool_event(
        &mut self,
        (company, pool): (&str, &str),
        kind: &str,
        (number, reason): (&str, &str),
        amount: i64,
    ) -> rusqlite::Result<()> {
        let place = self.place(company, pool)?;
        let add = "INSERT INTO pool_events (seq, pool_id, at, kind, number, reason, amount)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (seq) DO NOTHING";
        let values = params![self.seq, place.pool, self.at.0, kind, number, reason, amount];
        self.connection.prepare_cached(add)?.execute(values)?;
        Ok(())
    }
}
