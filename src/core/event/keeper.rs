//! What is told of pools that manage themselves, and of the numbers in them.

use serde::{Deserialize, Serialize};

use crate::core::keeper::money::Money;
use crate::ids::E164;
use crate::time::Wall;

/// One thing that happened to a pool or to one of its numbers. The state of every pool is what these events say, so a
/// restart reads them and goes on where it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum KeeperEvent {
    /// A window of counting closed.
    Counted(CountedData),
    /// A shortage that is no spike began, or is over.
    Shortage(ShortageData),
    /// Growth by itself was switched on or off.
    GrowthSwitched(SwitchedData),
    /// Numbers are being got. Written before anybody is asked for them.
    GrowthOrdered(OrderedData),
    /// Numbers came.
    Grown(GrownData),
    /// None came, or none were asked for; the reason says why.
    GrowthRefused(GrowthRefusedData),
    /// A number is on its way out: it is not given to visitors any more, and calls to it go where they went.
    NumberLeaving(NumberData),
    /// It is gone.
    NumberLeft(NumberData),
    /// It is not given to visitors for a while.
    NumberRested(NumberData),
    /// It is given to visitors again.
    NumberReturned(NumberData),
    /// It stands somewhere as if it were the company's own.
    NumberLeaked(NumberData),
    /// A call of ours was placed to it.
    NumberTested(TestedData),
    /// A letter was taken by the mail server.
    NoticeSent(NoticeData),
    /// It was not, for as long as letters are tried.
    NoticeFailed(NoticeData),
}

/// `data` of `leaseline.pool.counted`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedData {
    pub pool: String,
    pub company: String,
    pub from: Wall,
    pub for_ms: u64,
    /// Visitors who did not have a number already and asked for one.
    pub visits: u64,
    /// Of those: got a number that was nobody's, one that was held for another, one that others see too, one of their
    /// source, the overflow number, none.
    pub free: u64,
    pub soft_held: u64,
    pub shared: u64,
    pub source_static: u64,
    pub overflow: u64,
    pub without: u64,
    /// Most numbers on pages at once.
    pub busy_max: u64,
    /// Mean time on the page of visits that ended.
    pub page_ms: u64,
    /// Minutes in which somebody got no number of their own.
    pub minutes_short: u64,
    /// Calls that ended, and those whose number was on the pages of several visitors when they came.
    #[serde(default)]
    pub calls: u64,
    #[serde(default)]
    pub calls_contended: u64,
}

/// `data` of `leaseline.pool.shortage`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShortageData {
    pub pool: String,
    pub company: String,
    /// False: it began. True: it is over.
    pub over: bool,
    /// So many of the last windows were short,
    pub short: u64,
    /// of so many.
    pub of: u64,
    /// Share of visits without a number of their own in the worst of them, 0 to 1.
    pub worst: f64,
    /// Numbers of the pool, and how many it should have.
    pub numbers: u64,
    pub planned: u64,
}

/// `data` of `leaseline.pool.growth_switched`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchedData {
    pub pool: String,
    pub company: String,
    pub enabled: bool,
    /// `configuration`.
    pub by: String,
    /// `stock`, or the provider's name.
    pub source: String,
    pub numbers_max: u64,
    pub per_day_max: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spend_max: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub currency: Option<String>,
}

/// `data` of `leaseline.pool.growth_ordered`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedData {
    /// The provider's idempotency key.
    pub order_id: String,
    pub pool: String,
    pub company: String,
    /// `stock`, or the provider's name.
    pub source: String,
    /// Numbers wanted.
    pub count: u64,
    /// Numbers of the pool, and how many it should have.
    pub numbers: u64,
    pub planned: u64,
    /// `shortage` or `forecast`.
    pub reason: String,
    /// No more than this for one number a month.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit_price_max: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub currency: Option<String>,
}

/// `data` of `leaseline.pool.grown`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrownData {
    pub order_id: String,
    pub pool: String,
    pub company: String,
    pub source: String,
    pub numbers: Vec<E164>,
    /// Of one number a month, and of all of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit_price: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub total: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub currency: Option<String>,
    pub reason: String,
    /// Numbers of the pool now.
    pub size: u64,
}

/// `data` of `leaseline.pool.growth_refused`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrowthRefusedData {
    /// Absent: nobody was asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order_id: Option<String>,
    pub pool: String,
    pub company: String,
    pub source: String,
    /// Stable code: `no_stock`, `limit_size`, `limit_day`, `limit_spend`, `price_too_high`, `provider_failed`,
    /// `provider_answer_bad`, `provider_refused`, or the provider's own (`country_not_served`, …).
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// Numbers that were missing.
    pub wanted: u64,
    /// Not before this is it tried again.
    pub again_at: Wall,
}

/// `data` of `leaseline.number.leaving`, `.left`, `.rested`, `.returned` and `.leaked`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberData {
    pub number: E164,
    pub pool: String,
    pub company: String,
    /// Stable code. Leaving: `not_needed`. Rested: `background_calls`. Returned: `quiet`, `needed`. Leaked: `calls_burst`,
    /// `calls_without_visitors`, `seen_on_page`.
    pub reason: String,
    /// Calls that speak for it.
    pub calls: u64,
    /// The page that shows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page: Option<String>,
}

/// `data` of `leaseline.number.tested`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestedData {
    pub number: E164,
    pub pool: String,
    pub company: String,
    /// The call came back to us.
    pub good: bool,
    /// Stable code of what did not go well: `not_returned`, `not_placed`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Final SIP status of the call that went out, when there was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sip_status: Option<u16>,
    /// From our INVITE to the one that came back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after_ms: Option<u64>,
}

/// `data` of `leaseline.notice.sent` and `.failed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeData {
    /// Of the letter; it stands in its Message-ID, too.
    pub notice_id: String,
    /// `grown`, `growth_refused`, `number_leaked`, `number_rested` or `numbers_untested`.
    pub kind: String,
    pub pool: String,
    /// People who got it.
    pub recipients: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

impl KeeperEvent {
    /// The CloudEvents `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            KeeperEvent::Counted(_) => "leaseline.pool.counted",
            KeeperEvent::Shortage(_) => "leaseline.pool.shortage",
            KeeperEvent::GrowthSwitched(_) => "leaseline.pool.growth_switched",
            KeeperEvent::GrowthOrdered(_) => "leaseline.pool.growth_ordered",
            KeeperEvent::Grown(_) => "leaseline.pool.grown",
            KeeperEvent::GrowthRefused(_) => "leaseline.pool.growth_refused",
            KeeperEvent::NumberLeaving(_) => "leaseline.number.leaving",
            KeeperEvent::NumberLeft(_) => "leaseline.number.left",
            KeeperEvent::NumberRested(_) => "leaseline.number.rested",
            KeeperEvent::NumberReturned(_) => "leaseline.number.returned",
            KeeperEvent::NumberLeaked(_) => "leaseline.number.leaked",
            KeeperEvent::NumberTested(_) => "leaseline.number.tested",
            KeeperEvent::NoticeSent(_) => "leaseline.notice.sent",
            KeeperEvent::NoticeFailed(_) => "leaseline.notice.failed",
        }
    }

    /// What it is about: a pool, a number or a letter.
    pub fn subject(&self) -> &str {
        match self {
            KeeperEvent::Counted(data) => &data.pool,
            KeeperEvent::Shortage(data) => &data.pool,
            KeeperEvent::GrowthSwitched(data) => &data.pool,
            KeeperEvent::GrowthOrdered(data) => &data.pool,
            KeeperEvent::Grown(data) => &data.pool,
            KeeperEvent::GrowthRefused(data) => &data.pool,
            KeeperEvent::NumberLeaving(data)
            | KeeperEvent::NumberLeft(data)
            | KeeperEvent::NumberRested(data)
            | KeeperEvent::NumberReturned(data)
            | KeeperEvent::NumberLeaked(data) => data.number.as_str(),
            KeeperEvent::NumberTested(data) => data.number.as_str(),
            KeeperEvent::NoticeSent(data) | KeeperEvent::NoticeFailed(data) => &data.notice_id,
        }
    }

    /// Reads `data` of an event of this type; `None`: the type is none of these.
    pub(super) fn read<'a, E>(kind: &str, read: impl Reads<'a, E>) -> Option<Result<KeeperEvent, E>> {
        Some(match kind {
            "leaseline.pool.counted" => read.data().map(KeeperEvent::Counted),
            "leaseline.pool.shortage" => read.data().map(KeeperEvent::Shortage),
            "leaseline.pool.growth_switched" => read.data().map(KeeperEvent::GrowthSwitched),
            "leaseline.pool.growth_ordered" => read.data().map(KeeperEvent::GrowthOrdered),
            "leaseline.pool.grown" => read.data().map(KeeperEvent::Grown),
            "leaseline.pool.growth_refused" => read.data().map(KeeperEvent::GrowthRefused),
            "leaseline.number.leaving" => read.data().map(KeeperEvent::NumberLeaving),
            "leaseline.number.left" => read.data().map(KeeperEvent::NumberLeft),
            "leaseline.number.rested" => read.data().map(KeeperEvent::NumberRested),
            "leaseline.number.returned" => read.data().map(KeeperEvent::NumberReturned),
            "leaseline.number.leaked" => read.data().map(KeeperEvent::NumberLeaked),
            "leaseline.number.tested" => read.data().map(KeeperEvent::NumberTested),
            "leaseline.notice.sent" => read.data().map(KeeperEvent::NoticeSent),
            "leaseline.notice.failed" => read.data().map(KeeperEvent::NoticeFailed),
            _ => return None,
        })
    }
}

/// Reads the `data` of one event as whatever type it has.
pub(super) trait Reads<'a, E> {
    fn data<T: Deserialize<'a>>(&self) -> Result<T, E>;
}

/// One of every kind, for tests of what every event must be.
#[cfg(test)]
pub(crate) fn every() -> Vec<KeeperEvent> {
    let text = || Some("text".to_owned());
    let (pool, company) = ("web".to_owned(), "acme".to_owned());
    let number = E164::parse("+442079460001").expect("a number");
    let data = NumberData {
        number: number.clone(),
        pool: pool.clone(),
        company: company.clone(),
        reason: "calls_burst".into(),
        calls: 5,
        page: text(),
    };
    let notice = NoticeData {
        notice_id: "grown-1".into(),
        kind: "grown".into(),
        pool: pool.clone(),
        recipients: 1,
        reason: text(),
    };
    vec![
        KeeperEvent::Counted(CountedData { pool: pool.clone(), company: company.clone(), ..CountedData::default() }),
        KeeperEvent::Shortage(ShortageData {
            pool: pool.clone(),
            company: company.clone(),
            over: false,
            short: 3,
            of: 24,
            worst: 0.25,
            numbers: 10,
            planned: 16,
        }),
        KeeperEvent::GrowthSwitched(SwitchedData {
            pool: pool.clone(),
            company: company.clone(),
            enabled: true,
            by: "configuration".into(),
            source: "stock".into(),
            numbers_max: 100,
            per_day_max: 10,
            spend_max: Some(Money(1)),
            currency: text(),
        }),
        KeeperEvent::GrowthOrdered(OrderedData {
            order_id: "1".into(),
            pool: pool.clone(),
            company: company.clone(),
            source: "stock".into(),
            count: 6,
            numbers: 10,
            planned: 16,
            reason: "shortage".into(),
            unit_price_max: Some(Money(12_000)),
            currency: text(),
        }),
        KeeperEvent::Grown(GrownData {
            order_id: "1".into(),
            pool: pool.clone(),
            company: company.clone(),
            source: "stock".into(),
            numbers: vec![number.clone()],
            unit_price: Some(Money(12_000)),
            total: Some(Money(12_000)),
            currency: text(),
            reason: "shortage".into(),
            size: 11,
        }),
        KeeperEvent::GrowthRefused(GrowthRefusedData {
            order_id: text(),
            pool: pool.clone(),
            company: company.clone(),
            source: "stock".into(),
            reason: "no_stock".into(),
            detail: text(),
            wanted: 6,
            again_at: Wall(1_000_000),
        }),
        KeeperEvent::NumberLeaving(data.clone()),
        KeeperEvent::NumberLeft(data.clone()),
        KeeperEvent::NumberRested(data.clone()),
        KeeperEvent::NumberReturned(data.clone()),
        KeeperEvent::NumberLeaked(data),
        KeeperEvent::NumberTested(TestedData {
            number,
            pool,
            company,
            good: false,
            reason: text(),
            sip_status: Some(404),
            after_ms: Some(7),
        }),
        KeeperEvent::NoticeSent(notice.clone()),
        KeeperEvent::NoticeFailed(notice),
    ]
}
