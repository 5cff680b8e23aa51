//! Contacts: who called, or left a number or an address; where they first came from, and whether they may be called.
//!
//! A telephone number is one contact of each company that it called. Leads without a number are contacts by their e-mail
//! address. Both stand in one order, the newest first.

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};
use serde::Serialize;

use super::{IndexError, Reader};
use crate::core::source::folded;
use crate::limits;
use crate::time::Wall;

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contact {
    pub company: String,
    pub phone: Option<String>,
    /// The newest of their leads.
    pub email: Option<String>,
    pub name: Option<String>,
    /// Of the number, ISO 3166.
    pub region: String,
    /// Of the first call or lead.
    pub source: String,
    pub medium: String,
    pub campaign: String,
    pub first_at: Wall,
    pub last_at: Wall,
    pub calls: i64,
    pub leads: i64,
    /// They may be called and written to, or said that they do not want it; `null`: nobody asked.
    pub consent: Option<bool>,
}

/// Which contacts; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactFilter {
    /// Companies that may be seen at all; none: every one.
    pub scope: Option<Vec<String>>,
    pub company: Option<String>,
    /// Digits: part of the number. Other text: part of the name or of the address.
    pub q: Option<String>,
    pub consent: Option<Consent>,
    pub source: Option<String>,
    /// `next` of the page before.
    pub cursor: Option<Place>,
    /// Contacts on the page, at most [`limits::HTTP_PAGE`].
    pub limit: usize,
}

/// What a contact said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    Given,
    Refused,
    Unknown,
}

impl Consent {
    pub const ALL: [Consent; 3] = [Consent::Given, Consent::Refused, Consent::Unknown];

    pub const fn as_str(self) -> &'static str {
        match self {
            Consent::Given => "given",
            Consent::Refused => "refused",
            Consent::Unknown => "unknown",
        }
    }

    pub fn parse(text: &str) -> Option<Consent> {
        Consent::ALL.into_iter().find(|consent| consent.as_str() == text)
    }

    pub fn of(consent: Option<bool>) -> Consent {
        match consent {
            Some(true) => Consent::Given,
            Some(false) => Consent::Refused,
            None => Consent::Unknown,
        }
    }
}

/// A place in the list: when the contact was first seen, whether it has a number, and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    at: i64,
    has_number: bool,
    key: i64,
}

impl Place {
    /// As it stands in a cursor.
    pub fn written(self) -> String {
        format!("{}-{}-{}", self.at, u8::from(self.has_number), self.key)
    }

    pub fn parse(text: &str) -> Option<Place> {
        let mut parts = text.split('-');
        let (at, kind, key) = (parts.next()?, parts.next()?, parts.next()?);
        let has_number = match kind {
            "0" => false,
            "1" => true,
            _ => return None,
        };
        let whole = |text: &str| text.parse::<i64>().ok().filter(|figure| *figure >= 0);
        let place = Place { at: whole(at)?, has_number, key: whole(key)? };
        parts.next().is_none().then_some(place)
    }
}

/// A page of contacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contacts {
    pub contacts: Vec<Contact>,
    /// `cursor` of the next page; none: this is the last one.
    pub next: Option<Place>,
}

/// Of `callers p` with `companies m` and `origins o`: in the order of [`contact`], the key last.
const OF_CALLER: &str = "m.name, p.phone,
  (SELECT l.email FROM leads l WHERE l.caller_id = p.caller_id AND l.email IS NOT NULL ORDER BY l.at DESC LIMIT 1),
  COALESCE(p.name, (SELECT l.name FROM leads l WHERE l.caller_id = p.caller_id AND l.name IS NOT NULL
    ORDER BY l.at DESC LIMIT 1)),
  p.region, o.source, o.medium, o.campaign, p.first_at,
  MAX(p.last_at, COALESCE((SELECT MAX(l.at) FROM leads l WHERE l.caller_id = p.caller_id), p.last_at)),
  p.calls, (SELECT COUNT(*) FROM leads l WHERE l.caller_id = p.caller_id), p.consent, p.caller_id";
const JOINS: &str = "FROM callers p JOIN companies m ON m.company_id = p.company_id
  JOIN origins o ON o.origin_id = p.origin_id WHERE p.phone GLOB '+[0-9]*'";

/// Leads without a number, by address.
const OF_LEADS: &str = "WITH d AS (SELECT company_id, LOWER(email) AS address, MIN(seq) AS seq, MIN(at) AS first_at,
    MAX(at) AS last_at, COUNT(*) AS leads, MAX(consent) AS consent, MAX(name) AS name
    FROM leads WHERE caller_id IS NULL AND email IS NOT NULL GROUP BY 1, 2)
  SELECT m.name, NULL, d.address, d.name, '', o.source, o.medium, o.campaign, d.first_at, d.last_at, 0, d.leads,
    NULLIF(d.consent, 0), d.seq
  FROM d JOIN leads l ON l.seq = d.seq JOIN companies m ON m.company_id = d.company_id
  JOIN origins o ON o.origin_id = l.origin_id WHERE 1 = 1";

impl Reader<'_> {
    /// A page of contacts, those first seen last at the top.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn contacts(&self, filter: &ContactFilter) -> Result<Contacts, IndexError> {
        let limit = filter.limit.clamp(1, limits::HTTP_PAGE);
        let companies = self.companies(filter.scope.as_deref(), filter.company.as_deref())?;
        if companies.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Contacts { contacts: Vec::new(), next: None });
        }
        let mut found = self.of_callers(filter, companies.as_deref(), limit + 1)?;
        found.extend(self.of_leads(filter, companies.as_deref(), limit + 1)?);
        found.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        let is_more = found.len() > limit;
        found.truncate(limit);
        let next = if is_more { found.last().map(|(place, _)| *place) } else { None };
        Ok(Contacts { contacts: found.into_iter().map(|(_, contact)| contact).collect(), next })
    }

    /// The contact with this number.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn contact(&self, company: &str, phone: &str) -> Result<Option<Contact>, IndexError> {
        let text = format!("SELECT {OF_CALLER} {JOINS} AND m.name = ? AND p.phone = ?");
        let values = [Value::Text(company.to_owned()), Value::Text(phone.to_owned())];
        Ok(self.rows(&text, &values, true)?.pop().map(|(_, contact)| contact))
    }

    fn of_callers(
        &self,
        filter: &ContactFilter,
        companies: Option<&[i64]>,
        limit: usize,
    ) -> Result<Vec<(Place, Contact)>, IndexError> {
        let (mut text, mut values) = (format!("SELECT {OF_CALLER} {JOINS}"), Vec::new());
        if let Some(companies) = companies {
            text.push_str(&format!(" AND p.company_id IN ({})", keys(companies)));
        }
        match filter.consent {
            None => {}
            Some(Consent::Given) => text.push_str(" AND p.consent = 1"),
            Some(Consent::Refused) => text.push_str(" AND p.consent = 0"),
            Some(Consent::Unknown) => text.push_str(" AND p.consent IS NULL"),
        }
        if let Some(source) = &filter.source {
            text.push_str(" AND o.source = ?");
            values.push(Value::Text(folded(source)));
        }
        match asked(filter) {
            Asked::Nothing => {}
            Asked::Digits(like) => {
                text.push_str(" AND p.phone LIKE ?");
                values.push(like);
            }
            Asked::Words(like) => {
                text.push_str(
                    " AND (p.name LIKE ? ESCAPE '\\' OR EXISTS (SELECT 1 FROM leads l WHERE l.caller_id = p.caller_id
                      AND (l.name LIKE ? ESCAPE '\\' OR l.email LIKE ? ESCAPE '\\')))",
                );
                values.extend([like.clone(), like.clone(), like]);
            }
        }
        if let Some(place) = filter.cursor {
            text.push_str(" AND p.first_at <= ? AND (p.first_at, 1, p.caller_id) < (?, ?, ?)");
            values.extend([place.at, place.at, i64::from(place.has_number), place.key].map(Value::Integer));
        }
        text.push_str(&format!(" ORDER BY p.first_at DESC, p.caller_id DESC LIMIT {limit}"));
        self.rows(&text, &values, true)
    }

    fn of_leads(
        &self,
        filter: &ContactFilter,
        companies: Option<&[i64]>,
        limit: usize,
    ) -> Result<Vec<(Place, Contact)>, IndexError> {
        let (mut text, mut values) = (OF_LEADS.to_owned(), Vec::new());
        if let Some(companies) = companies {
            text.push_str(&format!(" AND d.company_id IN ({})", keys(companies)));
        }
        match filter.consent {
            None => {}
            Some(Consent::Given) => text.push_str(" AND d.consent = 1"),
            // A form without the tick says nothing; only a number can be taken off the list.
            Some(Consent::Refused) => return Ok(Vec::new()),
            Some(Consent::Unknown) => text.push_str(" AND d.consent = 0"),
        }
        if let Some(source) = &filter.source {
            text.push_str(" AND o.source = ?");
            values.push(Value::Text(folded(source)));
        }
        match asked(filter) {
            Asked::Nothing => {}
            Asked::Digits(_) => return Ok(Vec::new()),
            Asked::Words(like) => {
                text.push_str(" AND (d.name LIKE ? ESCAPE '\\' OR d.address LIKE ? ESCAPE '\\')");
                values.extend([like.clone(), like]);
            }
        }
        if let Some(place) = filter.cursor {
            text.push_str(" AND (d.first_at, 0, d.seq) < (?, ?, ?)");
            values.extend([place.at, i64::from(place.has_number), place.key].map(Value::Integer));
        }
        text.push_str(&format!(" ORDER BY d.first_at DESC, d.seq DESC LIMIT {limit}"));
        self.rows(&text, &values, false)
    }

    fn rows(&self, text: &str, values: &[Value], has_number: bool) -> Result<Vec<(Place, Contact)>, IndexError> {
        let mut statement = self.connection.prepare_cached(text)?;
        let rows = statement.query_map(params_from_iter(values), |row| contact(row, has_number))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn contact(row: &Row<'_>, has_number: bool) -> rusqlite::Result<(Place, Contact)> {
    let first_at: i64 = row.get(8)?;
    let place = Place { at: first_at, has_number, key: row.get(13)? };
    let contact = Contact {
        company: row.get(0)?,
        phone: row.get(1)?,
        email: row.get(2)?,
        name: row.get(3)?,
        region: row.get(4)?,
        source: row.get(5)?,
        medium: row.get(6)?,
        campaign: row.get(7)?,
        first_at: Wall(first_at),
        last_at: Wall(row.get(9)?),
        calls: row.get(10)?,
        leads: row.get(11)?,
        consent: row.get(12)?,
    };
    Ok((place, contact))
}

enum Asked {
    Nothing,
    Digits(Value),
    Words(Value),
}

fn asked(filter: &ContactFilter) -> Asked {
    let Some(q) = filter.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) else { return Asked::Nothing };
    let digits: String = q.chars().filter(char::is_ascii_digit).collect();
    if !digits.is_empty() && !q.chars().any(char::is_alphabetic) {
        return Asked::Digits(Value::Text(format!("%{digits}%")));
    }
    let escaped = q.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    Asked::Words(Value::Text(format!("%{escaped}%")))
}

fn keys(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is_one() {
        let place = Place { at: 1_790_000_000_000_000, has_number: true, key: 7 };
        assert_eq!(Place::parse(&place.written()), Some(place));
        for bad in ["", "1", "1-1", "1-2-3", "1-1-1-1", "x-1-1", "1-1--1", "9999999999999999999999-1-1"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
