//! What the journal says, taken in: calls as they stand, and the deliveries that follow. One transaction a portion, with the
//! place in the journal, so that nothing is taken twice.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::pen::Pen;
use super::store::{CallRow, Store, StoreError};
use crate::config::export::{Export, ExportKind, Notices};
use crate::config::{Config, PoolRules};
use crate::core::event::CallData;
use crate::core::event::keeper::ShortageData;
use crate::core::event::work::{ConsentData, LabelledData, ValuedData};
use crate::core::export::plan::{Consent, Given, Planned, first_wish, ring};
use crate::core::export::{Action, Amount, Destination, Notice, Told, Traits, Wish, files, plan, wish};
use crate::io::journal::Record;
use crate::limits;
use crate::time::Wall;

/// What intake goes by.
#[derive(Clone, Copy)]
pub(super) struct Intake<'a> {
    pub(super) export: &'a Export,
    pub(super) destination: &'a dyn Destination,
    pub(super) config: &'a Config,
    pub(super) now: Wall,
}

type Result<T> = std::result::Result<T, StoreError>;

impl Intake<'_> {
    /// Takes these records in. What cannot be read is passed over: somebody else's, or a newer version's.
    pub(super) fn take(&self, store: &Store, records: &[Record]) -> Result<()> {
        let Some(last) = records.last() else { return Ok(()) };
        store.transaction(|pen| {
            let begin = pen.kept::<u64>("begin")?.unwrap_or(0);
            for record in records {
                self.record(pen, record, record.seq > begin)?;
            }
            pen.keep("cursor", &last.seq)
        })
    }

    /// Calls whose wait is over, the digest of the day before, what is too old to be kept.
    pub(super) fn tick(&self, store: &Store) -> Result<()> {
        store.transaction(|pen| {
            for mut row in pen.overdue(self.now)? {
                let seq = row.seq;
                self.replan(pen, &mut row, seq)?;
                pen.save_call(&row)?;
            }
            if let Some(notices) = self.notices() {
                self.digest(pen, notices)?;
            }
            // Once an hour: it looks at everything.
            let hour = self.now.seconds() / 3_600;
            if pen.kept::<u64>("forgot")? != Some(hour) {
                pen.forget(self.now - limits::EXPORT_KEEP)?;
                pen.keep("forgot", &hour)?;
            }
            Ok(())
        })
    }

    fn record(&self, pen: &Pen<'_>, record: &Record, fresh: bool) -> Result<()> {
        let Ok(head) = record.head() else { return Ok(()) };
        match &*head.kind {
            "leaseline.call.started" if fresh && self.destination.traits().rings => {
                if let Some(call) = data::<CallData>(record).filter(|call| self.is_ours(&call.company)) {
                    self.started(pen, call, record.seq)?;
                }
            }
            "leaseline.call.ended" => {
                if let Some(call) = data::<CallData>(record).filter(|call| self.is_ours(&call.company)) {
                    self.ended(pen, call, record.seq, fresh)?;
                }
            }
            "leaseline.call.labelled" => {
                if let Some(labelled) = data::<LabelledData>(record) {
                    self.change(pen, &labelled.call_id.to_string(), record.seq, |row| row.label = labelled.label)?;
                }
            }
            "leaseline.call.valued" => {
                if let Some(valued) = data::<ValuedData>(record) {
                    let value = Amount { minor: valued.value, currency: valued.currency };
                    self.change(pen, &valued.call_id.to_string(), record.seq, |row| row.value = Some(value))?;
                }
            }
            "leaseline.contact.consented" => {
                if let Some(said) = data::<ConsentData>(record).filter(|said| self.is_ours(&said.company)) {
                    pen.opt_out(&said.company, &said.phone, !said.consent)?;
                    for mut row in pen.calls_of(&said.company, &said.phone)? {
                        self.replan(pen, &mut row, record.seq)?;
                        pen.save_call(&row)?;
                    }
                }
            }
            "leaseline.pool.shortage" if fresh => {
                if self.notices().is_some_and(|notices| notices.shortage)
                    && let Some(shortage) = data::<ShortageData>(record)
                    && self.is_ours(&shortage.company)
                    && !shortage.over
                {
                    let id = format!("shortage-{}-{}", shortage.pool, record.seq);
                    let notice = Notice { kind: "shortage".into(), values: json!(shortage) };
                    pen.add(&notice.delivery(id, record.seq, self.now), None)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn is_ours(&self, company: &str) -> bool {
        self.export.company.as_ref().is_none_or(|ours| ours == company)
    }

    fn notices(&self) -> Option<&Notices> {
        match &self.export.kind {
            ExportKind::Mail(mail) => Some(&mail.notices),
            ExportKind::Telegram(telegram) => Some(&telegram.notices),
            _ => None,
        }
    }

    fn started(&self, pen: &Pen<'_>, call: CallData, seq: u64) -> Result<()> {
        let filter = &self.export.filter;
        // What is only known at the end cannot be waited for while it rings.
        let early = !filter.qualified && !filter.first_call && filter.labels.is_empty();
        let given = self.given(pen, &call)?;
        if !early || first_wish(filter, &call, given).is_err() {
            return Ok(());
        }
        let mut row = new_row(call, seq, false);
        let told = self.told(&row);
        if self.destination.fits(&told, Action::Ring, self.now).is_ok() {
            let delivery = ring(&mut row.planned, told, seq, self.now);
            pen.add(&delivery, None)?;
            pen.save_call(&row)?;
        }
        Ok(())
    }

    fn ended(&self, pen: &Pen<'_>, call: CallData, seq: u64, fresh: bool) -> Result<()> {
        let first_call = match &call.caller {
            Some(caller) => pen.is_first(caller_hash(&call.company, caller))?,
            None => true,
        };
        if !fresh {
            return Ok(());
        }
        let mut row = match pen.call(&call.call_id.to_string())? {
            Some(row) => CallRow { call, seq, first_call, ..row },
            None => new_row(call, seq, first_call),
        };
        match self.notices() {
            Some(notices) => self.missed(pen, notices, &row)?,
            None => self.replan(pen, &mut row, seq)?,
        }
        pen.save_call(&row)
    }

    fn change(&self, pen: &Pen<'_>, call: &str, seq: u64, change: impl FnOnce(&mut CallRow)) -> Result<()> {
        // One that is not known ended before this export began, or is forgotten.
        let Some(mut row) = pen.call(call)? else { return Ok(()) };
        change(&mut row);
        if row.call.ended_at.is_some() && self.notices().is_none() {
            self.replan(pen, &mut row, seq)?;
        }
        pen.save_call(&row)
    }

    /// Makes the delivery that follows from how the call stands now, if any.
    fn replan(&self, pen: &Pen<'_>, row: &mut CallRow, seq: u64) -> Result<()> {
        let traits = self.destination.traits();
        let told = self.told(row);
        let wish = wish(&self.export.filter, &told, self.given(pen, &row.call)?, self.now);
        row.until = match wish {
            Wish::Wait(until) => Some(until),
            Wish::Send | Wish::No(_) => None,
        };
        let sends = wish == Wish::Send;
        let mut planned = row.planned.clone();
        if plan(&mut planned, &traits, sends, told.clone(), seq, self.now).is_none() {
            return Ok(());
        }
        // What was not tried yet is taken back: the destination has what it had before that.
        if let Some(first) = pen.cancel(&row.call.call_id.to_string(), self.now)? {
            let before = first.told().and_then(|told| told.before.clone());
            if before.is_none() && row.planned.has.is_some() {
                row.planned.generation = row.planned.generation.saturating_sub(1);
            }
            row.planned.has = before;
        }
        self.deliver(pen, row, &traits, sends, told, seq)
    }

    fn deliver(
        &self,
        pen: &Pen<'_>,
        row: &mut CallRow,
        traits: &Traits,
        sends: bool,
        told: Told,
        seq: u64,
    ) -> Result<()> {
        let mut planned = row.planned.clone();
        let Some(delivery) = plan(&mut planned, traits, sends, told, seq, self.now) else { return Ok(()) };
        let fits = delivery.told().map_or(Ok(()), |told| self.destination.fits(told, delivery.action, self.now));
        match fits {
            Ok(()) => {
                row.planned = planned;
                pen.add(&delivery, None)
            }
            Err(code) => {
                // It has what it had; the next attempt has another number.
                row.planned = Planned { count: planned.count, ..row.planned.clone() };
                pen.add(&delivery, Some(code))
            }
        }
    }

    pub(super) fn told(&self, row: &CallRow) -> Told {
        told(self.config, row)
    }

    fn given(&self, pen: &Pen<'_>, call: &CallData) -> Result<Given> {
        let opted_out = pen.is_opted_out(&call.company, call.caller.as_deref())?;
        Ok(Given { opted_out, needs: needs(&self.export.kind) })
    }

    fn missed(&self, pen: &Pen<'_>, notices: &Notices, row: &CallRow) -> Result<()> {
        let call = &row.call;
        let given = self.given(pen, call)?;
        if !notices.missed || call.answered_at.is_some() || first_wish(&self.export.filter, call, given).is_err() {
            return Ok(());
        }
        let told = self.told(row);
        let caller = call.caller.as_deref();
        let caller = caller.map(|caller| if notices.numbers { caller.to_owned() } else { files::masked(caller) });
        let values = json!({
            "company": call.company,
            "pool": call.pool,
            "number": call.number,
            "caller": caller,
            "caller_name": call.caller_name,
            "at": in_zone(call.started_at, &notices.zone),
            "ring_seconds": call.ring_ms / 1_000,
            "outcome": call.outcome.map(|outcome| outcome.as_str().replace('_', " ")),
            "source": told.campaign("source"),
            "campaign": told.campaign("campaign"),
            "first_call": row.first_call,
            "call_id": call.call_id,
        });
        let id = format!("{}.missed", call.call_id);
        pen.add(&Notice { kind: "missed".into(), values }.delivery(id, row.seq, self.now), None)
    }

    /// The figures of the day before, once the minute of the day has come.
    fn digest(&self, pen: &Pen<'_>, notices: &Notices) -> Result<()> {
        let (Some(at), Ok(zone)) = (notices.digest_at, TimeZone::get(&notices.zone)) else { return Ok(()) };
        let Ok(now) = jiff::Timestamp::from_microsecond(self.now.0) else { return Ok(()) };
        let local = now.to_zoned(zone.clone());
        let minute = u32::from(local.hour().unsigned_abs()) * 60 + u32::from(local.minute().unsigned_abs());
        let Ok(yesterday) = local.date().yesterday() else { return Ok(()) };
        let day = yesterday.to_string();
        if minute < at || pen.kept::<String>("digest")?.is_some_and(|told| told >= day) {
            return Ok(());
        }
        let bound =
            |date: jiff::civil::Date| date.to_zoned(zone.clone()).map(|at| Wall(at.timestamp().as_microsecond()));
        let (Ok(from), Ok(until)) = (bound(yesterday), bound(local.date())) else { return Ok(()) };
        // The first one after the start of an export would tell of a day it did not see.
        if pen.kept::<String>("digest")?.is_some() {
            let rows = pen.calls_between(from, until)?;
            let values = self.figures(&day, &rows);
            let notice = Notice { kind: "digest".into(), values };
            pen.add(&notice.delivery(format!("digest-{day}"), 0, self.now), None)?;
        }
        pen.keep("digest", &day)
    }

    fn figures(&self, day: &str, rows: &[CallRow]) -> Value {
        let count = |wanted: &dyn Fn(&CallRow) -> bool| rows.iter().filter(|row| wanted(row)).count();
        let mut sources: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
        for row in rows {
            let told = self.told(row);
            *sources.entry(told.campaign("source").unwrap_or("unknown").to_owned()).or_default() += 1;
        }
        let mut sources: Vec<(String, u64)> = sources.into_iter().collect();
        sources.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sources.truncate(10);
        json!({
            "day": day,
            "company": self.export.company,
            "calls": rows.len(),
            "answered": count(&|row| row.call.answered_at.is_some()),
            "missed": count(&|row| row.call.answered_at.is_none()),
            "qualified": count(&|row| self.told(row).qualified),
            "first": count(&|row| row.first_call),
            "talk_minutes": rows.iter().map(|row| row.call.talk_ms).sum::<u64>() / 60_000,
            "sources": sources.iter().map(|(source, calls)| json!({ "source": source, "calls": calls })).collect::<Vec<_>>(),
        })
    }
}

/// A call as destinations are told of it.
pub(super) fn told(config: &Config, row: &CallRow) -> Told {
    let pool = config.pools.iter().find(|pool| pool.name == row.call.pool);
    let quality = pool.map_or(PoolRules::QUALITY_TALK, |pool| pool.rules.quality_talk());
    Told {
        call: row.call.clone(),
        qualified: u128::from(row.call.talk_ms) >= quality.as_millis() && row.call.answered_at.is_some(),
        first_call: row.first_call,
        label: row.label.clone(),
        value: row.value.clone(),
        before: None,
    }
}

/// The least that a visitor must have agreed to.
pub(super) fn needs(kind: &ExportKind) -> Consent {
    match kind {
        ExportKind::Google(_) | ExportKind::Meta(_) => Consent::Advertising,
        _ => Consent::Analytics,
    }
}

fn new_row(call: CallData, seq: u64, first_call: bool) -> CallRow {
    CallRow { call, seq, first_call, label: None, value: None, planned: Planned::default(), until: None }
}

fn data<'a, T: Deserialize<'a>>(record: &'a Record) -> Option<T> {
    #[derive(Deserialize)]
    struct Outer<T> {
        data: T,
    }
    serde_json::from_str::<Outer<T>>(&record.event).ok().map(|outer| outer.data)
}

/// Stands for a caller of a company: enough to know them again, and no number.
fn caller_hash(company: &str, caller: &str) -> i64 {
    let hash = Sha256::digest(format!("{company}\n{caller}"));
    hash.iter().take(8).fold(0_i64, |n, byte| n << 8 | i64::from(*byte))
}

fn in_zone(at: Wall, zone: &str) -> Cow<'static, str> {
    let zoned = jiff::Timestamp::from_microsecond(at.0).ok().zip(TimeZone::get(zone).ok());
    zoned.map_or(Cow::Borrowed(""), |(at, zone)| at.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string().into())
}
