//! Keys of what has a name: companies, pools, origins, and the places of an origin in the two trees of reports (of its
//! company, and of its pool). Given out here and kept in memory; a batch that fails forgets them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::settings::{Calendar, Settings};
use crate::core::event::{Attribution, AttributionKind, Session};
use crate::core::source::{Source, folded};
use crate::limits;

/// The source of calls of which nobody knows where they came from.
pub const UNKNOWN: &str = "(unknown)";
/// What has so many names that no more are kept.
const OTHER: &str = "(other)";

/// Where a visit or a call came from, as reports name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Origin([String; 5]);

/// Levels of a tree below its root: source, medium, campaign, content, term.
pub(super) const LEVELS: usize = 5;

/// Nodes of an origin: root to term in the company's tree, then the same in the pool's.
pub(super) type Nodes = [i64; 2 * (LEVELS + 1)];

impl Origin {
    /// Of a visit.
    pub(super) fn of_session(session: &Session) -> Origin {
        let Source { source, medium, campaign } = Source::of(session);
        let of = |key: &str| session.utm.get(key).map(|value| folded(value)).unwrap_or_default();
        Origin::new([source, medium, campaign, of("content"), of("term")])
    }

    /// Of a call: the visit's, the static channel's, or unknown.
    pub(super) fn of_call(attribution: &Attribution) -> Origin {
        match (attribution.kind, &attribution.session, &attribution.channel) {
            (AttributionKind::Visitor, Some(session), _) => Origin::of_session(session),
            (AttributionKind::Static, _, Some(channel)) => {
                let of = |key: &str| channel.get(key).map(|value| folded(value)).unwrap_or_default();
                Origin::new(["source", "medium", "campaign", "content", "term"].map(of))
            }
            _ => Origin::unknown(),
        }
    }

    pub(super) fn unknown() -> Origin {
        Origin::new([UNKNOWN, "", "", "", ""].map(str::to_owned))
    }

    pub(super) fn new(parts: [String; 5]) -> Origin {
        Origin(parts.map(|part| match part.char_indices().nth(limits::INDEX_NAME) {
            Some((end, _)) => part.get(..end).unwrap_or_default().to_owned(),
            None => part,
        }))
    }

    /// What stands for it when there are more than so many.
    fn coarser(&self) -> Option<(Origin, i64)> {
        let [source, rest @ ..] = &self.0;
        let is_coarse = rest.iter().all(|part| part == OTHER);
        match is_coarse {
            true if source == OTHER => None,
            true => Some((Origin([OTHER; 5].map(str::to_owned)), 2 * limits::INDEX_ORIGINS)),
            false => {
                Some((Origin([source.as_str(), OTHER, OTHER, OTHER, OTHER].map(str::to_owned)), limits::INDEX_ORIGINS))
            }
        }
    }

    pub(super) fn is_direct(&self) -> bool {
        self.0[0] == "direct" && self.0[1] == "none"
    }
}

/// A company, as the projector needs it.
#[derive(Clone, Debug)]
pub(super) struct Company {
    pub(super) id: i64,
    pub(super) calendar: Calendar,
}

/// The keys. See the module.
#[derive(Debug, Default)]
pub(super) struct Names {
    companies: HashMap<String, Company>,
    pools: HashMap<(i64, String), (i64, i64)>,
    origins: HashMap<Origin, i64>,
    direct: HashMap<i64, bool>,
    nodes: HashMap<(i64, i64, i64), Nodes>,
    next: HashMap<&'static str, i64>,
}

impl Names {
    /// The next key of a table.
    pub(super) fn next(&mut self, connection: &Connection, table: &'static str, key: &str) -> rusqlite::Result<i64> {
        let next = match self.next.get(table) {
            Some(next) => *next,
            None => {
                let highest = format!("SELECT COALESCE(MAX({key}), 0) FROM {table}");
                connection.query_row(&highest, [], |row| row.get::<_, i64>(0))? + 1
            }
        };
        self.next.insert(table, next + 1);
        Ok(next)
    }

    pub(super) fn company(
        &mut self,
        connection: &Connection,
        settings: &Settings,
        name: &str,
    ) -> rusqlite::Result<Company> {
        if let Some(company) = self.companies.get(name) {
            return Ok(company.clone());
        }
        let find = "SELECT company_id, time_zone FROM companies WHERE name = ?1";
        let known: Option<(i64, String)> =
            connection.query_row(find, [name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (id, time_zone) = match known {
            Some(known) => known,
            None => {
                let time_zone = settings.time_zone(name).to_owned();
                let id = self.next(connection, "companies", "company_id")?;
                let add = "INSERT INTO companies (company_id, name, time_zone) VALUES (?1, ?2, ?3)";
                connection.execute(add, params![id, name, time_zone])?;
                (id, time_zone)
            }
        };
        let company = Company { id, calendar: Calendar::of(&time_zone) };
        self.companies.insert(name.to_owned(), company.clone());
        Ok(company)
    }

    /// Key and threshold of a pool.
    pub(super) fn pool(
        &mut self,
        connection: &Connection,
        settings: &Settings,
        (company, company_id): (&str, i64),
        name: &str,
    ) -> rusqlite::Result<(i64, i64)> {
        let key = (company_id, name.to_owned());
        if let Some(pool) = self.pools.get(&key) {
            return Ok(*pool);
        }
        let find = "SELECT pool_id, quality_ms FROM pools WHERE company_id = ?1 AND name = ?2";
        let known =
            connection.query_row(find, params![company_id, name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let pool = match known {
            Some(pool) => pool,
            None => {
                let quality_ms = settings.quality_ms(company, name);
                let id = self.next(connection, "pools", "pool_id")?;
                let add = "INSERT INTO pools (pool_id, company_id, name, quality_ms) VALUES (?1, ?2, ?3, ?4)";
                connection.execute(add, params![id, company_id, name, quality_ms])?;
                (id, quality_ms)
            }
        };
        self.pools.insert(key, pool);
        Ok(pool)
    }

    pub(super) fn origin(&mut self, connection: &Connection, origin: &Origin) -> rusqlite::Result<i64> {
        if let Some(id) = self.origins.get(origin) {
            return Ok(*id);
        }
        let find = "SELECT origin_id FROM origins WHERE source = ?1 AND medium = ?2 AND campaign = ?3 AND content = ?4
                    AND term = ?5";
        let known: Option<i64> =
            connection.prepare_cached(find)?.query_row(origin.0.each_ref(), |row| row.get(0)).optional()?;
        let id = match known {
            Some(id) => id,
            None => {
                let id = self.next(connection, "origins", "origin_id")?;
                // Whoever makes links makes names: beyond so many only the source is kept, and then nothing.
                if let Some(coarse) = origin.coarser().filter(|coarse| id > coarse.1) {
                    self.next.insert("origins", id);
                    return self.origin(connection, &coarse.0);
                }
                let add = "INSERT INTO origins (origin_id, source, medium, campaign, content, term)
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                let [source, medium, campaign, content, term] = &origin.0;
                connection.execute(add, params![id, source, medium, campaign, content, term])?;
                id
            }
        };
        if self.origins.len() >= limits::INDEX_CACHE {
            self.origins.clear();
        }
        self.origins.insert(origin.clone(), id);
        Ok(id)
    }

    /// Whether nothing said where this came from.
    pub(super) fn is_direct(&mut self, connection: &Connection, origin: i64) -> rusqlite::Result<bool> {
        if let Some(is_direct) = self.direct.get(&origin) {
            return Ok(*is_direct);
        }
        let is_direct = self.read_origin(connection, origin)?.is_direct();
        if self.direct.len() >= limits::INDEX_CACHE {
            self.direct.clear();
        }
        self.direct.insert(origin, is_direct);
        Ok(is_direct)
    }

    /// Nodes of an origin; made where there are none.
    pub(super) fn nodes(
        &mut self,
        connection: &Connection,
        company: i64,
        pool: i64,
        origin: i64,
    ) -> rusqlite::Result<Nodes> {
        let key = (company, pool, origin);
        if let Some(nodes) = self.nodes.get(&key) {
            return Ok(*nodes);
        }
        let names = self.read_origin(connection, origin)?;
        let mut nodes = [0; 2 * (LEVELS + 1)];
        for (tree, pool) in [0, pool].into_iter().enumerate() {
            let mut parent = 0;
            for level in 0..=LEVELS {
                let name = level.checked_sub(1).and_then(|at| names.0.get(at)).map_or("", String::as_str);
                parent = self.node(connection, (company, pool), (level, parent), name)?;
                nodes[tree * (LEVELS + 1) + level] = parent;
            }
        }
        if self.nodes.len() >= limits::INDEX_CACHE {
            self.nodes.clear();
        }
        self.nodes.insert(key, nodes);
        Ok(nodes)
    }

    fn node(
        &mut self,
        connection: &Connection,
        (company, pool): (i64, i64),
        (level, parent): (usize, i64),
        name: &str,
    ) -> rusqlite::Result<i64> {
        let find = "SELECT node_id FROM nodes WHERE parent_id = ?1 AND company_id = ?2 AND pool_id = ?3 AND name = ?4";
        let known: Option<i64> = connection
            .prepare_cached(find)?
            .query_row(params![parent, company, pool, name], |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        let id = self.next(connection, "nodes", "node_id")?;
        let add =
            "INSERT INTO nodes (node_id, company_id, pool_id, level, parent_id, name) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        connection.prepare_cached(add)?.execute(params![id, company, pool, level as i64, parent, name])?;
        Ok(id)
    }

    fn read_origin(&self, connection: &Connection, origin: i64) -> rusqlite::Result<Origin> {
        let find = "SELECT source, medium, campaign, content, term FROM origins WHERE origin_id = ?1";
        connection
            .prepare_cached(find)?
            .query_row([origin], |row| Ok(Origin([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?])))
    }

    /// After a batch that was not written: nothing is known.
    pub(super) fn clear(&mut self) {
        *self = Names::default();
    }
}
