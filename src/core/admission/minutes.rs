//! Minutes that each company has talked today (UTC), running calls included: the daily budget. What was talked before a
//! restart comes from the journal's ends of calls.

use std::collections::HashMap;
use std::time::Duration;

use crate::core::event::{Body, Event};
use crate::time::Wall;

const DAY: i64 = 86_400_000_000;

/// Talk of one day, by company, as the journal tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    day: i64,
    by_company: HashMap<String, i64>,
}

impl Spent {
    /// Takes note of what ended; of the newest day only.
    pub fn observe(&mut self, event: &Event) {
        let Body::CallEnded(data) = &event.body else { return };
        let (Some(answered), Some(ended)) = (data.answered_at, data.ended_at) else { return };
        let day = ended.0.div_euclid(DAY);
        if day < self.day {
            return;
        }
        if day > self.day {
            self.by_company.clear();
            self.day = day;
        }
        let talked = ended.0 - answered.0.max(day * DAY).min(ended.0);
        if let Some(sum) = self.by_company.get_mut(&data.company) {
            *sum += talked;
        } else {
            self.by_company.insert(data.company.clone(), talked);
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Minutes {
    by_company: HashMap<Box<str>, Talked>,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Talked {
    day: i64,
    /// Of calls that are over.
    ended: i64,
    running: i64,
    /// Sum of when in this day the running calls began, so that what they have talked needs no walk over them. From
    /// midnight: the sum of five thousand times since the epoch is more than 63 bits hold.
    began: i64,
}

impl Talked {
    /// A new day begins with what still runs.
    fn turn(&mut self, now: Wall) {
        let day = now.0.div_euclid(DAY);
        if day > self.day {
            *self = Talked { day, ended: 0, began: 0, ..*self };
        }
    }

    /// Since this day's midnight. A clock that was set back into yesterday begins today.
    fn of_day(&self, at: Wall) -> i64 {
        (at.0 - self.day * DAY).max(0)
    }
}

impl Minutes {
    pub(super) fn restore(&mut self, spent: Spent) {
        for (company, ended) in spent.by_company {
            let talked = Talked { day: spent.day, ended, ..Talked::default() };
            self.by_company.insert(company.into(), talked);
        }
    }

    pub(super) fn begin(&mut self, company: &str, now: Wall) {
        if !self.by_company.contains_key(company) {
            self.by_company.insert(company.into(), Talked::default());
        }
        if let Some(talked) = self.by_company.get_mut(company) {
            talked.turn(now);
            talked.running += 1;
            talked.began += talked.of_day(now);
        }
    }

    pub(super) fn end(&mut self, company: &str, began: Wall, now: Wall) {
        let Some(talked) = self.by_company.get_mut(company) else { return };
        talked.turn(now);
        let began = talked.of_day(began);
        talked.running -= 1;
        talked.began -= began;
        talked.ended += (talked.of_day(now) - began).max(0);
    }

    /// Whether the company has talked less than `most` today.
    ///
    /// # Errors
    /// The time until tomorrow.
    pub(super) fn within(&mut self, company: &str, now: Wall, most: Duration) -> Result<(), Duration> {
        let Some(talked) = self.by_company.get_mut(company) else { return Ok(()) };
        talked.turn(now);
        let spent = talked.ended + (talked.running * talked.of_day(now) - talked.began).max(0);
        if u128::try_from(spent).unwrap_or(0) < most.as_micros() {
            return Ok(());
        }
        let tomorrow = (talked.day + 1) * DAY - now.0;
        Err(Duration::from_micros(u64::try_from(tomorrow).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::CallData;
    use crate::core::event::cloud::tests::{call, event};

    const MINUTE: i64 = 60_000_000;

    fn noon() -> i64 {
        20_000 * DAY + DAY / 2
    }

    #[test]
    fn as_many_calls_as_there_can_be_have_a_sum() {
        let mut minutes = Minutes::default();
        let late = 20_000 * DAY + DAY - MINUTE;
        for _ in 0..crate::limits::CALLS {
            minutes.begin("acme", Wall(late));
        }
        let talked = crate::limits::CALLS as u64 * 60;
        let after = Wall(late + MINUTE - 1);
        assert_eq!(minutes.within("acme", after, Duration::from_secs(talked)), Ok(()));
        assert!(minutes.within("acme", after, Duration::from_secs(talked - 1)).is_err());
        for _ in 0..crate::limits::CALLS {
            minutes.end("acme", Wall(late), Wall(late + 2 * MINUTE));
        }
        // Half of it was yesterday's.
        assert_eq!(minutes.within("acme", Wall(late + 2 * MINUTE), Duration::from_secs(talked + 1)), Ok(()));
        assert!(minutes.within("acme", Wall(late + 2 * MINUTE), Duration::from_secs(talked)).is_err());
    }

    #[test]
    fn running_calls_count_and_midnight_begins_anew() {
        let mut minutes = Minutes::default();
        let most = Duration::from_secs(600);
        minutes.begin("acme", Wall(noon()));
        minutes.begin("acme", Wall(noon() + MINUTE));
        assert_eq!(minutes.within("acme", Wall(noon() + 5 * MINUTE), most), Ok(()));
        let spent = minutes.within("acme", Wall(noon() + 6 * MINUTE), most);
        assert_eq!(spent, Err(Duration::from_secs(12 * 3_600 - 360)), "five and six are eleven");
        assert_eq!(minutes.within("other", Wall(noon() + 6 * MINUTE), most), Ok(()), "others go on");
        minutes.end("acme", Wall(noon()), Wall(noon() + 6 * MINUTE));
        assert!(minutes.within("acme", Wall(noon() + 6 * MINUTE), most).is_err());
        // The other call runs past midnight: what it talked yesterday is forgotten.
        let midnight = 20_001 * DAY;
        assert_eq!(minutes.within("acme", Wall(midnight + 9 * MINUTE), most), Ok(()));
        assert!(minutes.within("acme", Wall(midnight + 10 * MINUTE), most).is_err());
        minutes.end("acme", Wall(noon() + MINUTE), Wall(midnight + 12 * MINUTE));
        let talked = minutes.by_company["acme"];
        assert_eq!((talked.running, talked.began, talked.ended), (0, 0, 12 * MINUTE));
    }

    #[test]
    fn the_journal_gives_back_what_was_talked_today() {
        let ended = |answered: i64, ended: i64| {
            let data = CallData { answered_at: Some(Wall(answered)), ended_at: Some(Wall(ended)), ..call(1) };
            event(1, Body::CallEnded(Box::new(data)))
        };
        let mut spent = Spent::default();
        spent.observe(&ended(noon() - DAY, noon() - DAY + 50 * MINUTE));
        spent.observe(&ended(noon() - DAY / 2 - 3 * MINUTE, noon() - DAY / 2 + 4 * MINUTE));
        spent.observe(&ended(noon(), noon() + 5 * MINUTE));
        let mut minutes = Minutes::default();
        minutes.restore(spent);
        let now = Wall(noon() + 10 * MINUTE);
        assert_eq!(minutes.within("acme", now, Duration::from_secs(541)), Ok(()), "four after midnight and five");
        assert!(minutes.within("acme", now, Duration::from_secs(540)).is_err());
        assert_eq!(minutes.within("acme", Wall(noon() + DAY), Duration::from_secs(1)), Ok(()));
    }
}
