//! Letters: what people are told of pools, in plain words; each exactly one.
//!
//! A letter follows from an event of the journal, and `notice.sent` says that it went. What is between the two after a
//! restart is sent then; should the mail server have taken it in the moment of a crash, it gets the same Message-ID again.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use super::Keeper;
use crate::core::event::Event;
use crate::core::event::keeper::{GrownData, GrowthRefusedData, KeeperEvent, NoticeData, NumberData};
use crate::core::number;
use crate::ids::E164;
use crate::limits;
use crate::time::Wall;

/// A letter that the mail server should take now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Makes its Message-ID.
    pub id: String,
    pub to: Vec<String>,
    pub subject: String,
    pub text: String,
}

/// A letter that is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) pool: String,
    pub(super) subject: String,
    pub(super) text: String,
}

#[derive(Debug, Default)]
pub(super) struct Notices {
    waiting: BTreeMap<String, Waiting>,
    /// Those that were sent or given up, lately.
    settled: VecDeque<String>,
}

#[derive(Debug)]
struct Waiting {
    notice: Notice,
    since: Wall,
    attempts: u32,
    /// `None`: under way.
    due: Option<Wall>,
}

/// A letter that could not be sent for so long is given up: by then it is no news.
const GIVE_UP: Duration = Duration::from_secs(86_400);
const AGAIN: Duration = Duration::from_secs(30);
const AGAIN_MAX: Duration = Duration::from_secs(1_800);

impl Notices {
    /// A letter that an event asks for.
    pub(super) fn add(&mut self, at: Wall, notice: Notice) {
        if self.settled.contains(&notice.id) || self.waiting.contains_key(&notice.id) {
            return;
        }
        if self.waiting.len() >= limits::LETTERS {
            // The oldest is the least of news.
            let oldest = self.waiting.iter().min_by_key(|(_, waiting)| waiting.since).map(|(id, _)| id.clone());
            oldest.map(|id| self.waiting.remove(&id));
        }
        self.waiting.insert(notice.id.clone(), Waiting { notice, since: at, attempts: 0, due: Some(at) });
    }

    /// It was sent, or given up.
    pub(super) fn settled(&mut self, _at: Wall, id: &str) {
        self.waiting.remove(id);
        if self.settled.len() >= limits::LETTERS {
            self.settled.pop_front();
        }
        self.settled.push_back(id.to_owned());
    }
}

impl Keeper {
    /// Letters that are due. Each is under way until [`Keeper::letter_done`].
    pub fn letters(&mut self, now: Wall) -> Vec<Letter> {
        self.notices.waiting.retain(|_, waiting| now < waiting.since + GIVE_UP + AGAIN_MAX);
        if self.keeping.notify.smtp.is_none() {
            return Vec::new();
        }
        let mut letters = Vec::new();
        for waiting in self.notices.waiting.values_mut() {
            let rules = self.pools.get(&waiting.notice.pool).and_then(|book| book.rules.as_ref());
            let own = rules.map(|rules| &rules.notify).filter(|to| !to.is_empty());
            let to = own.unwrap_or(&self.keeping.notify.to);
            if to.is_empty() || waiting.due.is_none_or(|due| now < due) {
                continue;
            }
            waiting.due = None;
            letters.push(Letter {
                id: waiting.notice.id.clone(),
                to: to.clone(),
                subject: waiting.notice.subject.clone(),
                text: waiting.notice.text.clone(),
            });
        }
        letters
    }

    /// What came of a letter: so many people's server took it, or the code of why none did.
    pub fn letter_done(&mut self, now: Wall, id: &str, done: Result<usize, String>, out: &mut Vec<Event>) {
        let Some(waiting) = self.notices.waiting.get_mut(id) else { return };
        let data = |recipients: usize, reason| NoticeData {
            notice_id: id.to_owned(),
            kind: waiting.notice.kind.to_owned(),
            pool: waiting.notice.pool.clone(),
            recipients: recipients as u64,
            reason,
        };
        let event = match done {
            Ok(recipients) => KeeperEvent::NoticeSent(data(recipients, None)),
            Err(reason) if now >= waiting.since + GIVE_UP => KeeperEvent::NoticeFailed(data(0, Some(reason))),
            Err(_) => {
                let pause = AGAIN.saturating_mul(1 << waiting.attempts.min(10)).min(AGAIN_MAX);
                waiting.attempts += 1;
                waiting.due = Some(now + pause);
                return;
            }
        };
        self.tell(now, event, out);
    }
}

/// Numbers came.
pub(super) fn grown(data: &GrownData) -> Notice {
    let count = data.numbers.len();
    let mut text = format!("Pool {} of {} has {count} new {}:\n\n", data.pool, data.company, plural(count));
    for number in &data.numbers {
        line(&mut text, format_args!("  {}", number::display(number)));
    }
    let currency = data.currency.as_deref().unwrap_or_default();
    text.push('\n');
    match (data.unit_price, data.total) {
        (Some(price), Some(total)) => {
            line(&mut text, format_args!("Price of one: {price} {currency} a month"));
            line(&mut text, format_args!("Together:     {total} {currency} a month"));
        }
        _ => line(&mut text, format_args!("Their price is not known here.")),
    }
    line(&mut text, format_args!("From:         {}", data.source));
    line(&mut text, format_args!("Reason:       {}", why(&data.reason)));
    line(&mut text, format_args!("The pool has {} numbers now.", data.size));
    line(&mut text, format_args!("\nOrder {}", data.order_id));
    Notice {
        id: format!("grown-{}", data.order_id),
        kind: "grown",
        pool: data.pool.clone(),
        subject: format!("Leaseline: {count} {} added to {}", plural(count), data.pool),
        text,
    }
}

/// None came.
pub(super) fn refused(at: Wall, data: &GrowthRefusedData) -> Notice {
    let (pool, company, wanted) = (&data.pool, &data.company, data.wanted);
    let needs =
        format!("Pool {pool} of {company} needs {wanted} more {}", plural(usize::try_from(wanted).unwrap_or(2)));
    let reason = match data.reason.as_str() {
        "no_stock" => format!("{} has none left. Please ask them for more, or name another source.", data.source),
        "limit_size" => "it has as many as `numbers_max` allows.".to_owned(),
        "limit_day" => "it got as many as `per_day_max` allows in 24 hours.".to_owned(),
        "limit_spend" => "`spend_max` of this month is spent.".to_owned(),
        "price_too_high" => format!("{} wants more for one than `price` allows.", data.source),
        "provider_failed" => format!("{} has not answered for a day. The order stands, and is repeated.", data.source),
        other => format!("{} refused: {other}.", data.source),
    };
    let mut text =
        format!("{needs}: visitors see the same numbers, and calls get the wrong source.\nNone were added: {reason}\n");
    if let Some(detail) = &data.detail {
        line(&mut text, format_args!("In its words: {detail}"));
    }
    line(&mut text, format_args!("\nIt is tried again after {}.", data.again_at));
    Notice {
        id: format!("refused-{pool}-{}", at.seconds()),
        kind: "growth_refused",
        pool: pool.clone(),
        subject: format!("Leaseline: {pool} needs numbers and gets none ({})", data.reason),
        text,
    }
}

/// Something is the matter with a number.
pub(super) fn about_number(kind: &'static str, at: Wall, data: &NumberData) -> Notice {
    let number = number::display(&data.number);
    let (pool, company) = (&data.pool, &data.company);
    let (subject, text) = match (kind, &data.page) {
        ("number_rested", _) => (
            format!("Leaseline: {number} rests"),
            format!(
                "{number} (pool {pool} of {company}) had {} calls of nobody we know in 24 hours. Visitors do not get it \
                 until that stops; calls to it go where they went.\n",
                data.calls
            ),
        ),
        (_, Some(page)) => (
            format!("Leaseline: {number} leaked"),
            format!(
                "{page} shows {number} (pool {pool} of {company}) as if it were the company's own: a saved copy of a page, \
                 or a cache. Calls from there are credited to whoever has the number.\n"
            ),
        ),
        (_, None) => (
            format!("Leaseline: {number} leaked"),
            format!(
                "{} calls in a row to {number} (pool {pool} of {company}) came from nobody who saw it ({}): it stands \
                 somewhere as if it were the company's own.\n",
                data.calls, data.reason
            ),
        ),
    };
    let id = format!("{kind}-{}-{}", data.number.digits(), at.seconds());
    Notice { id, kind, pool: pool.clone(), subject, text }
}

/// Numbers from which no call came back tonight.
pub(super) fn untested(night: &str, bad: &[(E164, String)], pool: &str) -> Notice {
    let mut text = format!("Test calls to {} {} did not come back:\n\n", bad.len(), plural(bad.len()));
    for (number, reason) in bad.iter().take(limits::LETTERS) {
        line(&mut text, format_args!("  {} ({reason})", number::display(number)));
    }
    text.push_str("\nWho calls them now reaches nobody. Please ask the carrier.\n");
    Notice {
        id: format!("untested-{night}"),
        kind: "numbers_untested",
        pool: pool.to_owned(),
        subject: format!("Leaseline: {} {} did not answer the test call", bad.len(), plural(bad.len())),
        text,
    }
}

fn why(reason: &str) -> &str {
    match reason {
        "shortage" => "visitors shared numbers again and again",
        "forecast" => "the forecast of the configuration",
        other => other,
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "number" } else { "numbers" }
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{words}");
}
