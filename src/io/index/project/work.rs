//! What people do with calls, and who did what: labels, comments, scores, deals, leads, costs, consent, users, exports.

use rusqlite::{OptionalExtension, params};

use super::super::names::{Nodes, Origin};
use super::super::settings::parse_day;
use super::super::tally::day;
use super::Step;
use super::calls::{Known, whole};
use super::outcome::{NEVER_REACHED, REACHED_LATER, REACHED_WITHIN_MIN};
use crate::core::event::work::{
    CalledBackData, CommentedData, ConsentData, CostImportData, CostRow, ExportData, LabelledData, LeadData,
    ScoredData, UserData, ValuedData, WorkEvent,
};
use crate::core::number;
use crate::core::source::folded;
use crate::ids::E164;
use crate::limits;

/// Stages of a deal whose value is revenue: none said, and won.
const WON: [&str; 2] = ["", "won"];

impl Step<'_> {
    pub(super) fn work(&mut self, event: &WorkEvent) -> rusqlite::Result<()> {
        let known = match event.call_id() {
            Some(call) => self.mention(call)?,
            None => None,
        };
        match (event, known) {
            (WorkEvent::Labelled(data), Some(known)) => self.labelled(&known, data),
            (WorkEvent::Commented(data), Some(known)) => self.commented(&known, data),
            (WorkEvent::Scored(data), Some(known)) => self.scored(&known, data),
            (WorkEvent::Valued(data), Some(known)) => self.valued(&known, data),
            (WorkEvent::CalledBack(data), Some(known)) => self.called_back(&known, data),
            (WorkEvent::LeadReceived(data), _) => self.lead(data),
            (WorkEvent::CostImported(data), _) => self.costs(data),
            (WorkEvent::ContactConsented(data), _) => self.consent(data),
            (WorkEvent::VisitorJoined(data), _) => self.person(data, true),
            (WorkEvent::VisitorParted(data), _) => self.person(data, false),
            (WorkEvent::VisitorIdentified(data), _) => self.identified(data),
            (WorkEvent::UserChanged(data), _) => self.user(data, "user"),
            (WorkEvent::UserSignedIn(data), _) => self.user(data, "signed_in"),
            (WorkEvent::UserRefused(data), _) => self.user(data, "refused"),
            (WorkEvent::ReportExported(data), _) => {
                let detail = format!("{} {} rows {}", data.format, data.rows, data.filter);
                self.audit("exported", &data.by, &data.report, &detail)
            }
            (WorkEvent::ExportSent(data), known) => self.export(data, known, "sent"),
            (WorkEvent::ExportRejected(data), known) => self.export(data, known, "rejected"),
            (WorkEvent::ExportRetracted(data), known) => self.export(data, known, "retracted"),
            (WorkEvent::ExportLinked(data), known) => self.export(data, known, "linked"),
            // Of a call that the journal does not know.
            _ => Ok(()),
        }
    }

    fn labelled(&mut self, known: &Known, data: &LabelledData) -> rusqlite::Result<()> {
        let label: Option<String> = data.label.as_ref().map(|label| label.chars().take(limits::INDEX_NAME).collect());
        let nodes = self.nodes_of(known)?;
        for (of, sign) in [(&known.label, -1.0), (&label, 1.0)] {
            let Some(of) = of else { continue };
            for node in nodes {
                self.tally.labels.add((node, known.day, of.clone()), [sign]);
            }
        }
        self.connection
            .prepare_cached("UPDATE calls SET label = ?2 WHERE call_no = ?1")?
            .execute(params![known.call_no, label])?;
        let by = data.rule.as_ref().map_or_else(|| data.by.clone(), |rule| format!("rule {rule}"));
        self.audit("labelled", &by, &data.call_id.to_string(), data.label.as_deref().unwrap_or_default())
    }

    fn commented(&mut self, known: &Known, data: &CommentedData) -> rusqlite::Result<()> {
        if data.text.is_empty() {
            let remove = "DELETE FROM comments WHERE comment_id = ?1";
            self.connection.prepare_cached(remove)?.execute([&data.comment_id])?;
        } else {
            let add =
                "INSERT INTO comments (comment_id, call_no, by_user, at, at_ms, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                       ON CONFLICT (comment_id) DO UPDATE SET by_user = excluded.by_user, at = excluded.at,
                         at_ms = excluded.at_ms, body = excluded.body";
            let at_ms = data.at_ms.map(whole);
            let values = params![data.comment_id, known.call_no, data.by, self.at.0, at_ms, data.text];
            self.connection.prepare_cached(add)?.execute(values)?;
        }
        let what = if data.text.is_empty() { "comment deleted" } else { "comment" };
        self.audit("commented", &data.by, &data.call_id.to_string(), what)
    }

    fn scored(&mut self, known: &Known, data: &ScoredData) -> rusqlite::Result<()> {
        let find = "SELECT agent, score FROM scores WHERE call_no = ?1";
        let before: Option<(String, i64)> = self
            .connection
            .prepare_cached(find)?
            .query_row([known.call_no], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let agent = data.agent.clone().unwrap_or_else(|| known.agent.clone());
        let score = i64::from(data.score);
        let mut count = |agent: &str, score: i64, sign: f64| {
            let key = (known.place_of.1, known.day, agent.to_owned());
            self.tally.agents.add(key, [0.0, 0.0, 0.0, 0.0, sign, sign * score as f64]);
        };
        if let Some((agent, score)) = before {
            count(&agent, score, -1.0);
        }
        count(&agent, score, 1.0);
        let add = "INSERT INTO scores (call_no, at, by_user, agent, score, card) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                   ON CONFLICT (call_no) DO UPDATE SET at = excluded.at, by_user = excluded.by_user,
                     agent = excluded.agent, score = excluded.score, card = excluded.card";
        let card = serde_json::to_string(&data.card).unwrap_or_default();
        self.connection.prepare_cached(add)?.execute(params![known.call_no, self.at.0, data.by, agent, score, card])?;
        self.connection
            .prepare_cached("UPDATE calls SET score = ?2 WHERE call_no = ?1")?
            .execute(params![known.call_no, score])?;
        self.audit("scored", &data.by, &data.call_id.to_string(), &score.to_string())
    }

    /// A deal is counted once, at the call that it was first told of.
    fn valued(&mut self, known: &Known, data: &ValuedData) -> rusqlite::Result<()> {
        let company = known.place_of.0;
        let deal = data.deal_id.clone().unwrap_or_else(|| format!("call {}", data.call_id));
        let find = "SELECT d.call_no, d.stage, d.value_minor, d.currency, c.company_id, c.pool_id, c.origin_id, c.day
                    FROM deals d JOIN calls c USING (call_no) WHERE d.company_id = ?1 AND d.deal_id = ?2";
        type Deal = (i64, String, i64, String, (i64, i64, i64, i64));
        let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Deal> {
            let place = (row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?);
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, place))
        };
        let before = self.connection.prepare_cached(find)?.query_row(params![company, deal], row).optional()?;
        let here = (known.place_of.0, known.place_of.1, known.origin_id, known.day);
        let (call_no, place) = before.as_ref().map_or((known.call_no, here), |before| (before.0, before.4));
        if let Some((_, stage, value, currency, place)) = &before {
            self.revenue(*place, stage, *value, currency, -1.0)?;
        }
        let stage = data.stage.clone().unwrap_or_default();
        self.revenue(place, &stage, data.value, &data.currency, 1.0)?;
        let add = "INSERT INTO deals (company_id, deal_id, call_no, at, by_user, stage, value_minor, currency)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                   ON CONFLICT (company_id, deal_id) DO UPDATE SET at = excluded.at, by_user = excluded.by_user,
                     stage = excluded.stage, value_minor = excluded.value_minor, currency = excluded.currency";
        self.connection.prepare_cached(add)?.execute(params![
            company,
            deal,
            call_no,
            self.at.0,
            data.by,
            stage,
            data.value,
            data.currency,
        ])?;
        self.connection
            .prepare_cached("UPDATE calls SET deal_id = ?2 WHERE call_no = ?1")?
            .execute(params![known.call_no, deal])?;
        let detail = format!("{} {} {stage}", data.value, data.currency);
        self.audit("valued", &data.by, &data.call_id.to_string(), detail.trim())
    }

    fn revenue(
        &mut self,
        (company, pool, origin, of): (i64, i64, i64, i64),
        stage: &str,
        value: i64,
        currency: &str,
        sign: f64,
    ) -> rusqlite::Result<()> {
        if !WON.contains(&stage) {
            return Ok(());
        }
        for node in self.names.nodes(self.connection, company, pool, origin)? {
            let row = [0.0, 0.0, 0.0, sign * value as f64, sign];
            self.tally.money.add((node, of, currency.to_owned()), row);
        }
        Ok(())
    }

    fn called_back(&mut self, known: &Known, data: &CalledBackData) -> rusqlite::Result<()> {
        let text = if data.done {
            "UPDATE calls SET is_waiting = 0, reached_at = ?2, reached_by = 'called_back'
             WHERE call_no = ?1 AND is_missed = 1 AND reached_at IS NULL
             RETURNING ended_at, started_at, ?2"
        } else {
            "UPDATE calls SET is_waiting = (caller_id IS NOT NULL), reached_at = NULL, reached_by = NULL
             WHERE call_no = ?1 AND is_missed = 1 AND reached_by = 'called_back'
             RETURNING ended_at, started_at,
               (SELECT MAX(at) FROM audit WHERE kind = 'called_back' AND subject = ?3 AND at <= ?2)"
        };
        let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(Option<i64>, i64, Option<i64>)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        };
        let mut statement = self.connection.prepare_cached(text)?;
        let subject = data.call_id.to_string();
        let changed = match data.done {
            true => statement.query_row(params![known.call_no, self.at.0], row),
            false => statement.query_row(params![known.call_no, self.at.0, subject], row),
        };
        if let Some((ended, started, reached)) = changed.optional()? {
            let waited_ms = (reached.unwrap_or(self.at.0) - ended.unwrap_or(started)).max(0) / 1_000;
            let within = REACHED_WITHIN_MIN.iter().position(|minutes| waited_ms <= minutes * 60_000);
            let bucket = within.map_or(REACHED_LATER, |at| at as i64);
            let sign = if data.done { 1.0 } else { -1.0 };
            let (pool, of) = (known.place_of.1, known.day);
            let before = if known.caller_id.is_some() { NEVER_REACHED } else { super::outcome::NOT_REACHABLE };
            self.tally.reached.add((pool, of, before), [-sign, 0.0]);
            self.tally.reached.add((pool, of, bucket), [sign, sign * waited_ms as f64]);
        }
        let kind = if data.done { "called_back" } else { "not_called_back" };
        self.audit(kind, &data.by, &subject, "")
    }

    fn lead(&mut self, data: &LeadData) -> rusqlite::Result<()> {
        let company = self.names.company(self.connection, self.settings, &data.company)?;
        let origin = self.names.origin(self.connection, &Origin::of_session(&data.session))?;
        let visitor = match &data.visitor_id {
            Some(id) => Some(self.visitor(company.id, id, self.at.0)?),
            None => None,
        };
        let caller = match data.phone.as_deref().filter(|phone| !phone.is_empty()) {
            Some(phone) => {
                let region = E164::parse(phone).and_then(|number| number::region(&number)).unwrap_or_default();
                Some(self.caller_of(company.id, phone, &region, origin, self.at.0)?)
            }
            None => None,
        };
        let add = "INSERT INTO leads (lead_id, company_id, site, kind, at, visitor_no, caller_id, email, name, consent,
                   origin_id, seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                   ON CONFLICT (lead_id) DO NOTHING";
        let added = self.connection.prepare_cached(add)?.execute(params![
            data.lead_id,
            company.id,
            data.site,
            data.kind,
            self.at.0,
            visitor,
            caller,
            data.email,
            data.name,
            data.consent,
            origin,
            self.seq,
        ])?;
        if added == 0 {
            return Ok(());
        }
        let (of, _) = company.calendar.day_and_hour(self.at);
        // A form belongs to no pool.
        let nodes = self.names.nodes(self.connection, company.id, 0, origin)?;
        for node in nodes.into_iter().take(nodes.len() / 2) {
            self.tally.days.at((node, of))[day::LEADS] += 1.0;
        }
        if let Some(visitor) = visitor {
            self.same_form(company.id, visitor, caller, data.email.as_deref())?;
        }
        let Some(caller) = caller else { return Ok(()) };
        if data.consent {
            let set = "UPDATE callers SET consent = 1, name = COALESCE(name, ?2) WHERE caller_id = ?1";
            self.connection.prepare_cached(set)?.execute(params![caller, data.name])?;
        }
        match visitor {
            Some(visitor) => {
                self.join(caller, visitor)?;
                self.told(caller, visitor)
            }
            None => Ok(()),
        }
    }

    /// A lead says which visitor has this number: attributions of their calls were right, or were not.
    fn told(&mut self, caller: i64, visitor: i64) -> rusqlite::Result<()> {
        let find = "SELECT call_id, confidence, visitor_no FROM calls WHERE caller_id = ?1 AND kind = 'visitor'
                    AND truth IS NULL AND phase = 'ended' ORDER BY started_at DESC LIMIT ?2";
        let mut statement = self.connection.prepare_cached(find)?;
        type Told = (String, f64, Option<i64>);
        let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Told> { Ok((row.get(0)?, row.get(1)?, row.get(2)?)) };
        let most = limits::INDEX_SIGHTS as i64;
        let calls: Vec<Told> = statement.query_map(params![caller, most], row)?.collect::<Result<_, _>>()?;
        for (call, confidence, by) in calls {
            let known = match call.parse() {
                Ok(call) => self.known(call)?,
                Err(_) => None,
            };
            if let Some(known) = known {
                self.check(&known, confidence, by == Some(visitor))?;
            }
        }
        Ok(())
    }

    fn costs(&mut self, data: &CostImportData) -> rusqlite::Result<()> {
        let company = self.names.company(self.connection, self.settings, &data.company)?;
        for row in &data.rows {
            self.cost(company.id, &data.import_id, row)?;
        }
        self.audit("costs", &data.by, &data.import_id, &format!("{} rows for {}", data.rows.len(), data.company))
    }

    fn cost(&mut self, company: i64, import: &str, row: &CostRow) -> rusqlite::Result<()> {
        let Some(of) = parse_day(&row.day) else { return Ok(()) };
        let parts = [&row.source, &row.medium, &row.campaign, &row.content, &row.term].map(|part| folded(part));
        let origin = self.names.origin(self.connection, &Origin::new(parts))?;
        let find = "SELECT cost, clicks, impressions, currency FROM costs WHERE company_id = ?1 AND day = ?2
                    AND origin_id = ?3";
        type Cost = (i64, i64, i64, String);
        let cost = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Cost> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        };
        let key = params![company, of, origin];
        let before = self.connection.prepare_cached(find)?.query_row(key, cost).optional()?;
        let now = (row.cost, whole(row.clicks), whole(row.impressions), row.currency.clone());
        let nodes = self.names.nodes(self.connection, company, 0, origin)?;
        for (cost, sign) in [(before.as_ref(), -1.0), (Some(&now), 1.0)] {
            let Some((cost, clicks, impressions, currency)) = cost else { continue };
            for node in nodes.into_iter().take(nodes.len() / 2) {
                let row = [sign * *cost as f64, sign * *clicks as f64, sign * *impressions as f64, 0.0, 0.0];
                self.tally.money.add((node, of, currency.clone()), row);
            }
        }
        let add = "INSERT INTO costs (company_id, day, origin_id, currency, import_id, cost, clicks, impressions)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                   ON CONFLICT (company_id, day, origin_id) DO UPDATE SET currency = excluded.currency,
                     import_id = excluded.import_id, cost = excluded.cost, clicks = excluded.clicks,
                     impressions = excluded.impressions";
        let (cost, clicks, impressions, currency) = now;
        let values = params![company, of, origin, currency, import, cost, clicks, impressions];
        self.connection.prepare_cached(add)?.execute(values)?;
        Ok(())
    }

    fn consent(&mut self, data: &ConsentData) -> rusqlite::Result<()> {
        let company = self.names.company(self.connection, self.settings, &data.company)?;
        let unknown = self.names.origin(self.connection, &Origin::unknown())?;
        let region = E164::parse(&data.phone).and_then(|number| number::region(&number)).unwrap_or_default();
        let caller = self.caller_of(company.id, &data.phone, &region, unknown, self.at.0)?;
        let set = "UPDATE callers SET consent = ?2 WHERE caller_id = ?1";
        self.connection.prepare_cached(set)?.execute(params![caller, data.consent])?;
        self.audit("consent", &data.by, &data.company, if data.consent { "given" } else { "taken back" })
    }

    fn user(&mut self, data: &UserData, kind: &str) -> rusqlite::Result<()> {
        let detail = format!("{} {} {}", data.what, data.address, data.roles.join(" "));
        self.audit(kind, &data.by, &data.user, detail.trim())
    }

    fn export(&mut self, data: &ExportData, known: Option<Known>, state: &str) -> rusqlite::Result<()> {
        let day = self.at.0.div_euclid(86_400_000_000);
        let add = "INSERT INTO exports (delivery_id, destination, call_no, action, state, status, detail, day, at, seq)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                   ON CONFLICT (delivery_id) DO UPDATE SET state = excluded.state, status = excluded.status,
                     detail = excluded.detail, at = excluded.at, seq = excluded.seq";
        let detail: String = data.detail.chars().take(limits::INDEX_URL).collect();
        self.connection.prepare_cached(add)?.execute(params![
            data.delivery_id,
            data.destination,
            known.as_ref().map(|known| known.call_no),
            data.action,
            state,
            data.status,
            detail,
            day,
            self.at.0,
            self.seq,
        ])?;
        let company = known.as_ref().map_or(0, |known| known.place_of.0);
        let key = (data.destination.clone(), company, day, data.action.clone(), state.to_owned());
        self.tally.exports.add(key, [1.0]);
        Ok(())
    }

    fn nodes_of(&mut self, known: &Known) -> rusqlite::Result<Nodes> {
        let (company, pool) = known.place_of;
        self.names.nodes(self.connection, company, pool, known.origin_id)
    }
}
