//! The tables. Plain types and plain constraints, so that another SQL database could take them word for word: times are
//! microseconds since 1970 in UTC, days are whole days since 1970 on the company's own calendar, flags are 0 and 1, money
//! is in minor units. Keys are given out by the projector, not by the database. `WITHOUT ROWID` is SQLite's word for a table
//! that lies in the order of its key, so that the rows of a span lie side by side; elsewhere it is left out.
//!
//! What is personal stands in `callers`, `visitors`, `visitor_joins`, `visitor_users`, `visits`, `visit_signals`, `leads`,
//! `comments` and the columns `caller_id`, `caller_name`, `visitor_no` and `visit_no` of `calls`; `audit` has the names of
//! users; the rest is figures.

/// Another one: the index is made anew.
pub(super) const VERSION: &str = "3";

/// Tables with what the projector itself looks up.
pub(super) const TABLES: &str = r"
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS companies (
  company_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, time_zone TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pools (
  pool_id INTEGER PRIMARY KEY, company_id INTEGER NOT NULL, name TEXT NOT NULL, quality_ms BIGINT NOT NULL,
  UNIQUE (company_id, name));
CREATE TABLE IF NOT EXISTS origins (
  origin_id INTEGER PRIMARY KEY, source TEXT NOT NULL, medium TEXT NOT NULL, campaign TEXT NOT NULL,
  content TEXT NOT NULL, term TEXT NOT NULL,
  UNIQUE (source, medium, campaign, content, term));
CREATE TABLE IF NOT EXISTS nodes (
  node_id INTEGER PRIMARY KEY, company_id INTEGER NOT NULL, pool_id INTEGER NOT NULL, level INTEGER NOT NULL,
  parent_id INTEGER NOT NULL, name TEXT NOT NULL,
  UNIQUE (parent_id, company_id, pool_id, name));

CREATE TABLE IF NOT EXISTS callers (
  caller_id INTEGER PRIMARY KEY, company_id INTEGER NOT NULL, phone TEXT NOT NULL, name TEXT, region TEXT NOT NULL,
  origin_id INTEGER NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL, calls INTEGER NOT NULL,
  visitor_no INTEGER, consent INTEGER,
  UNIQUE (company_id, phone));
CREATE TABLE IF NOT EXISTS visitors (
  visitor_no INTEGER PRIMARY KEY, company_id INTEGER NOT NULL, visitor_id TEXT NOT NULL, first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL, visits INTEGER NOT NULL,
  UNIQUE (company_id, visitor_id));
CREATE TABLE IF NOT EXISTS visitor_joins (
  visitor_no INTEGER NOT NULL, other_no INTEGER NOT NULL, how TEXT NOT NULL, by_user TEXT NOT NULL, at BIGINT NOT NULL,
  PRIMARY KEY (visitor_no, other_no)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS visitor_users (
  company_id INTEGER NOT NULL, user_key TEXT NOT NULL, visitor_no INTEGER NOT NULL,
  PRIMARY KEY (company_id, user_key, visitor_no)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS users_of_visitor ON visitor_users (visitor_no);
CREATE TABLE IF NOT EXISTS visits (
  visit_no INTEGER PRIMARY KEY, visitor_no INTEGER, company_id INTEGER NOT NULL, pool_id INTEGER NOT NULL,
  site TEXT NOT NULL, lease_id TEXT NOT NULL, number TEXT NOT NULL, origin_id INTEGER NOT NULL, day INTEGER NOT NULL,
  started_at BIGINT NOT NULL, last_at BIGINT NOT NULL, ended_at BIGINT, class TEXT NOT NULL, is_shared INTEGER NOT NULL,
  device TEXT NOT NULL, region TEXT NOT NULL, landing_page TEXT, referrer TEXT, page TEXT, click_ids TEXT);
CREATE INDEX IF NOT EXISTS visits_of_visitor ON visits (visitor_no, started_at);
CREATE INDEX IF NOT EXISTS visits_of_lease ON visits (lease_id);
CREATE TABLE IF NOT EXISTS visit_signals (
  visit_no INTEGER NOT NULL, at BIGINT NOT NULL, kind TEXT NOT NULL, detail TEXT);
CREATE INDEX IF NOT EXISTS signals_of_visit ON visit_signals (visit_no, at);

CREATE TABLE IF NOT EXISTS calls (
  call_no INTEGER PRIMARY KEY, call_id TEXT NOT NULL UNIQUE, company_id INTEGER NOT NULL, pool_id INTEGER NOT NULL,
  number TEXT NOT NULL, caller_id INTEGER, caller_name TEXT, visitor_no INTEGER, visit_no INTEGER,
  origin_id INTEGER NOT NULL, kind TEXT NOT NULL, method TEXT NOT NULL, confidence DOUBLE PRECISION NOT NULL,
  contention INTEGER NOT NULL, trunk TEXT NOT NULL, phase TEXT NOT NULL, outcome TEXT,
  started_at BIGINT NOT NULL, answered_at BIGINT, ended_at BIGINT, day INTEGER NOT NULL, hour INTEGER NOT NULL,
  ring_ms BIGINT NOT NULL, talk_ms BIGINT NOT NULL, is_missed INTEGER NOT NULL, is_quality INTEGER NOT NULL,
  is_waiting INTEGER NOT NULL, ordinal INTEGER NOT NULL, caller_region TEXT NOT NULL, visitor_region TEXT NOT NULL,
  agent TEXT NOT NULL, label TEXT, score INTEGER, deal_id TEXT, reached_at BIGINT, reached_by TEXT,
  recording TEXT NOT NULL, truth INTEGER, is_joined INTEGER NOT NULL, first_seq BIGINT NOT NULL,
  state_seq BIGINT NOT NULL, sealed_seq BIGINT, is_erased INTEGER NOT NULL,
  is_forgotten INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS calls_of_caller ON calls (caller_id, started_at);
CREATE INDEX IF NOT EXISTS calls_of_visitor ON calls (visitor_no, started_at);
CREATE TABLE IF NOT EXISTS call_events (call_no INTEGER NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (call_no, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attributions (
  call_no INTEGER NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL, kind TEXT NOT NULL, method TEXT NOT NULL,
  confidence DOUBLE PRECISION NOT NULL, model TEXT NOT NULL, origin_id INTEGER NOT NULL, visitor_no INTEGER,
  PRIMARY KEY (call_no, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS touches (
  call_no INTEGER NOT NULL, part INTEGER NOT NULL, place INTEGER NOT NULL, share DOUBLE PRECISION NOT NULL,
  origin_id INTEGER NOT NULL, before_s BIGINT NOT NULL,
  PRIMARY KEY (call_no, part, place)) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS comments (
  comment_id TEXT PRIMARY KEY, call_no INTEGER NOT NULL, by_user TEXT NOT NULL, at BIGINT NOT NULL, at_ms BIGINT,
  body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS comments_of_call ON comments (call_no);
CREATE TABLE IF NOT EXISTS scores (
  call_no INTEGER PRIMARY KEY, at BIGINT NOT NULL, by_user TEXT NOT NULL, agent TEXT NOT NULL, score INTEGER NOT NULL,
  card TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deals (
  company_id INTEGER NOT NULL, deal_id TEXT NOT NULL, call_no INTEGER NOT NULL, at BIGINT NOT NULL,
  by_user TEXT NOT NULL, stage TEXT NOT NULL, value_minor BIGINT NOT NULL, currency TEXT NOT NULL,
  PRIMARY KEY (company_id, deal_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deals_of_call ON deals (call_no);
CREATE TABLE IF NOT EXISTS leads (
  lead_id TEXT PRIMARY KEY, company_id INTEGER NOT NULL, site TEXT NOT NULL, kind TEXT NOT NULL, at BIGINT NOT NULL,
  visitor_no INTEGER, caller_id INTEGER, email TEXT, name TEXT, consent INTEGER NOT NULL, origin_id INTEGER NOT NULL,
  seq BIGINT NOT NULL);
CREATE INDEX IF NOT EXISTS leads_of_visitor ON leads (visitor_no);
CREATE INDEX IF NOT EXISTS leads_of_caller ON leads (caller_id);
CREATE INDEX IF NOT EXISTS leads_of_email ON leads (email COLLATE NOCASE);
CREATE TABLE IF NOT EXISTS costs (
  company_id INTEGER NOT NULL, day INTEGER NOT NULL, origin_id INTEGER NOT NULL, currency TEXT NOT NULL,
  import_id TEXT NOT NULL, cost BIGINT NOT NULL, clicks BIGINT NOT NULL, impressions BIGINT NOT NULL,
  PRIMARY KEY (company_id, day, origin_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS exports (
  delivery_id TEXT PRIMARY KEY, destination TEXT NOT NULL, call_no INTEGER, action TEXT NOT NULL, state TEXT NOT NULL,
  status TEXT NOT NULL, detail TEXT NOT NULL, day INTEGER NOT NULL, at BIGINT NOT NULL, seq BIGINT NOT NULL);
CREATE INDEX IF NOT EXISTS exports_of_call ON exports (call_no);
CREATE TABLE IF NOT EXISTS audit (
  seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, kind TEXT NOT NULL, by_user TEXT NOT NULL, subject TEXT NOT NULL,
  company_id INTEGER, detail TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS pool_windows (
  pool_id INTEGER NOT NULL, at BIGINT NOT NULL, day INTEGER NOT NULL, for_ms BIGINT NOT NULL, visits BIGINT NOT NULL,
  free BIGINT NOT NULL, soft_held BIGINT NOT NULL, shared BIGINT NOT NULL, source_static BIGINT NOT NULL,
  overflow BIGINT NOT NULL, without BIGINT NOT NULL, busy_max BIGINT NOT NULL, page_ms BIGINT NOT NULL,
  minutes_short BIGINT NOT NULL, calls BIGINT NOT NULL, calls_contended BIGINT NOT NULL,
  PRIMARY KEY (pool_id, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pool_events (
  seq BIGINT PRIMARY KEY, pool_id INTEGER NOT NULL, at BIGINT NOT NULL, kind TEXT NOT NULL, number TEXT NOT NULL,
  reason TEXT NOT NULL, amount BIGINT NOT NULL);
CREATE INDEX IF NOT EXISTS pool_events_of_pool ON pool_events (pool_id, at);

CREATE TABLE IF NOT EXISTS node_days (
  node_id INTEGER NOT NULL, day INTEGER NOT NULL, visits BIGINT NOT NULL, calls BIGINT NOT NULL,
  answered BIGINT NOT NULL, answered_soon BIGINT NOT NULL, missed BIGINT NOT NULL, quality BIGINT NOT NULL,
  first_calls BIGINT NOT NULL, repeat_calls BIGINT NOT NULL, talk_ms BIGINT NOT NULL, ring_ms BIGINT NOT NULL,
  leads BIGINT NOT NULL, static_calls BIGINT NOT NULL, static_joined BIGINT NOT NULL,
  PRIMARY KEY (node_id, day)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node_reach (
  node_id INTEGER NOT NULL, day INTEGER NOT NULL, before_day INTEGER NOT NULL, visitors BIGINT NOT NULL,
  callers BIGINT NOT NULL,
  PRIMARY KEY (node_id, day, before_day)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node_money (
  node_id INTEGER NOT NULL, day INTEGER NOT NULL, currency TEXT NOT NULL, cost BIGINT NOT NULL, clicks BIGINT NOT NULL,
  impressions BIGINT NOT NULL, revenue BIGINT NOT NULL, deals BIGINT NOT NULL,
  PRIMARY KEY (node_id, day, currency)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node_credit (
  node_id INTEGER NOT NULL, day INTEGER NOT NULL, look_back INTEGER NOT NULL, is_quality INTEGER NOT NULL,
  last DOUBLE PRECISION NOT NULL, first DOUBLE PRECISION NOT NULL, last_non_direct DOUBLE PRECISION NOT NULL,
  linear DOUBLE PRECISION NOT NULL, time_decay DOUBLE PRECISION NOT NULL, position DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (node_id, day, look_back, is_quality)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node_labels (
  node_id INTEGER NOT NULL, day INTEGER NOT NULL, label TEXT NOT NULL, calls BIGINT NOT NULL,
  PRIMARY KEY (node_id, day, label)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pool_hours (
  pool_id INTEGER NOT NULL, day INTEGER NOT NULL, hour INTEGER NOT NULL, calls BIGINT NOT NULL,
  answered BIGINT NOT NULL, missed BIGINT NOT NULL, ring_ms BIGINT NOT NULL,
  PRIMARY KEY (pool_id, day, hour)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pool_ordinals (
  pool_id INTEGER NOT NULL, day INTEGER NOT NULL, ordinal INTEGER NOT NULL, calls BIGINT NOT NULL,
  PRIMARY KEY (pool_id, day, ordinal)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pool_regions (
  pool_id INTEGER NOT NULL, day INTEGER NOT NULL, caller_region TEXT NOT NULL, visitor_region TEXT NOT NULL,
  calls BIGINT NOT NULL,
  PRIMARY KEY (pool_id, day, caller_region, visitor_region)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pool_agents (
  pool_id INTEGER NOT NULL, day INTEGER NOT NULL, agent TEXT NOT NULL, answered BIGINT NOT NULL, missed BIGINT NOT NULL,
  talk_ms BIGINT NOT NULL, ring_ms BIGINT NOT NULL, scored BIGINT NOT NULL, score_sum BIGINT NOT NULL,
  PRIMARY KEY (pool_id, day, agent)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pool_confidence (
  pool_id INTEGER NOT NULL, day INTEGER NOT NULL, bin INTEGER NOT NULL, kind TEXT NOT NULL, calls BIGINT NOT NULL,
  confidence_sum DOUBLE PRECISION NOT NULL, checked BIGINT NOT NULL, checked_sum DOUBLE PRECISION NOT NULL,
  hits BIGINT NOT NULL,
  PRIMARY KEY (pool_id, day, bin, kind)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pool_reached (
  pool_id INTEGER NOT NULL, day INTEGER NOT NULL, bucket INTEGER NOT NULL, calls BIGINT NOT NULL,
  wait_ms BIGINT NOT NULL,
  PRIMARY KEY (pool_id, day, bucket)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS export_days (
  destination TEXT NOT NULL, company_id INTEGER NOT NULL, day INTEGER NOT NULL, action TEXT NOT NULL,
  state TEXT NOT NULL, deliveries BIGINT NOT NULL,
  PRIMARY KEY (destination, company_id, day, action, state)) WITHOUT ROWID;
";

/// What only readers need: made when the past has been taken in.
pub(super) const INDEXES: &str = r"
CREATE INDEX IF NOT EXISTS calls_by_time ON calls (started_at);
CREATE INDEX IF NOT EXISTS calls_of_company ON calls (company_id, started_at);
CREATE INDEX IF NOT EXISTS calls_of_pool ON calls (pool_id, started_at);
CREATE INDEX IF NOT EXISTS calls_of_number ON calls (number, started_at);
CREATE INDEX IF NOT EXISTS calls_of_origin ON calls (origin_id, started_at);
CREATE INDEX IF NOT EXISTS calls_by_outcome ON calls (outcome, started_at);
CREATE INDEX IF NOT EXISTS calls_by_label ON calls (label, started_at);
CREATE INDEX IF NOT EXISTS calls_waiting ON calls (is_waiting, started_at);
CREATE INDEX IF NOT EXISTS calls_by_phase ON calls (phase, started_at);
CREATE INDEX IF NOT EXISTS callers_by_phone ON callers (phone);
CREATE INDEX IF NOT EXISTS callers_by_first ON callers (first_at);
CREATE INDEX IF NOT EXISTS audit_by_time ON audit (at);
CREATE INDEX IF NOT EXISTS exports_by_time ON exports (at);
CREATE INDEX IF NOT EXISTS leads_by_time ON leads (company_id, at);
";
