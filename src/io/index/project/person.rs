//! Visitors who are one person: other browsers and devices, told together.
//!
//! A browser is a visitor; a person may have several. They are joined by what says so: a link between two sites that
//! carried the id, a user of the site who signed in with both, two forms with the same telephone or address, or somebody
//! who knows. Each join stands with how it came about and can be taken back.

use rusqlite::params;

use super::Step;
use crate::core::event::work::{IdentifiedData, JoinData};
use crate::limits;

/// How a join came about; what a browser did by itself is no deed of anybody's.
const LINK: &str = "link";
const USER: &str = "user";
const FORM: &str = "form";

impl Step<'_> {
    /// What a visitor was and did stays theirs: only what is told together changes.
    pub(super) fn person(&mut self, data: &JoinData, together: bool) -> rusqlite::Result<()> {
        let company = self.names.company(self.connection, self.settings, &data.company)?.id;
        let one = self.visitor(company, &data.visitor_id, self.at.0)?;
        let other = self.visitor(company, &data.other_id, self.at.0)?;
        if one == other {
            return Ok(());
        }
        if together {
            self.pair(one, other, &data.how, &data.by)?;
        } else {
            let take = "DELETE FROM visitor_joins WHERE visitor_no = ?1 AND other_no = ?2
                        OR visitor_no = ?2 AND other_no = ?1";
            self.connection.prepare_cached(take)?.execute(params![one, other])?;
        }
        if data.how == LINK {
            return Ok(());
        }
        let kind = if together { "visitor_joined" } else { "visitor_parted" };
        self.audit(kind, &data.by, &data.visitor_id, &data.other_id)
    }

    /// A user of the site signed in: all browsers of theirs are one person. A browser that several users sign in with is
    /// nobody's: it would make strangers one.
    pub(super) fn identified(&mut self, data: &IdentifiedData) -> rusqlite::Result<()> {
        let company = self.names.company(self.connection, self.settings, &data.company)?.id;
        let visitor = self.visitor(company, &data.visitor_id, self.at.0)?;
        let add = "INSERT INTO visitor_users (company_id, user_key, visitor_no) VALUES (?1, ?2, ?3)
                   ON CONFLICT (company_id, user_key, visitor_no) DO NOTHING";
        if self.connection.prepare_cached(add)?.execute(params![company, data.user, visitor])? == 0 {
            // They were known to be, and may have been parted since.
            return Ok(());
        }
        let users = "SELECT COUNT(*) FROM visitor_users WHERE visitor_no = ?1";
        if self.connection.prepare_cached(users)?.query_row([visitor], |row| row.get::<_, i64>(0))? > 1 {
            let apart = "DELETE FROM visitor_joins WHERE how = ?2 AND (visitor_no = ?1 OR other_no = ?1)";
            self.connection.prepare_cached(apart)?.execute(params![visitor, USER])?;
            return Ok(());
        }
        let find = "SELECT u.visitor_no FROM visitor_users u
                    WHERE u.company_id = ?1 AND u.user_key = ?2 AND u.visitor_no <> ?3
                      AND (SELECT COUNT(*) FROM visitor_users o WHERE o.visitor_no = u.visitor_no) = 1
                    ORDER BY u.visitor_no DESC LIMIT ?4";
        self.pair_all(visitor, find, params![company, data.user, visitor, limits::VISITOR_IDS as i64], USER)
    }

    /// Somebody left a telephone or an address: whoever left the same from another browser is the same person.
    pub(super) fn same_form(
        &mut self,
        company: i64,
        visitor: i64,
        caller: Option<i64>,
        email: Option<&str>,
    ) -> rusqlite::Result<()> {
        let most = limits::VISITOR_IDS as i64;
        if let Some(caller) = caller {
            let find = "SELECT DISTINCT visitor_no FROM leads WHERE company_id = ?1 AND caller_id = ?2
                          AND visitor_no IS NOT NULL AND visitor_no <> ?3 ORDER BY visitor_no DESC LIMIT ?4";
            self.pair_all(visitor, find, params![company, caller, visitor, most], FORM)?;
        }
        if let Some(email) = email {
            let find = "SELECT DISTINCT visitor_no FROM leads WHERE company_id = ?1 AND email = ?2 COLLATE NOCASE
                          AND visitor_no IS NOT NULL AND visitor_no <> ?3 ORDER BY visitor_no DESC LIMIT ?4";
            self.pair_all(visitor, find, params![company, email, visitor, most], FORM)?;
        }
        Ok(())
    }

    fn pair_all(
        &mut self,
        visitor: i64,
        find: &str,
        values: &[&dyn rusqlite::ToSql],
        how: &str,
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(find)?;
        let others: Vec<i64> = statement.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?;
        others.into_iter().try_for_each(|other| self.pair(visitor, other, how, how))
    }

    /// Stands in both directions; how it came about first stays.
    fn pair(&mut self, one: i64, other: i64, how: &str, by: &str) -> rusqlite::Result<()> {
        let add = "INSERT INTO visitor_joins (visitor_no, other_no, how, by_user, at) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (visitor_no, other_no) DO NOTHING";
        for (one, other) in [(one, other), (other, one)] {
            self.connection.prepare_cached(add)?.execute(params![one, other, how, by, self.at.0])?;
        }
        Ok(())
    }
}
