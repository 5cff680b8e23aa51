//! A pool grows to the size that its visits ask for, within its limits; and gives back what it does not need.

use std::time::Duration;

use super::Keeper;
use super::letter;
use super::money::Money;
use super::order::{self, Answer, Order};
use super::pool::{Added, DAY, OpenOrder, PoolBook};
use crate::config::keeper::Grow;
use crate::core::event::Event;
use crate::core::event::keeper::{
    GrownData, GrowthRefusedData, KeeperEvent, NumberData, OrderedData, ShortageData, SwitchedData,
};
use crate::core::number;
use crate::ids::E164;
use crate::time::Wall;

/// What events call numbers that the configuration has in stock.
pub(super) const STOCK: &str = "stock";
const FAILED: &str = "provider_failed";
/// First pause after a provider that failed; doubled each time.
const AGAIN: Duration = Duration::from_secs(5);
const AGAIN_MAX: Duration = Duration::from_secs(900);
/// A provider that fails for so long has failed, which is told once a day; its order stands.
const GIVE_UP: Duration = Duration::from_secs(86_400);
/// What could not be had is tried again after so long.
const TOMORROW: Duration = Duration::from_secs(86_400);
/// An answer that the journal did not take is asked for again after so long.
const LOST: Duration = Duration::from_secs(120);

impl Keeper {
    /// Tells of shortages and of the switch, and orders.
    pub(super) fn grow(&mut self, now: Wall, name: &str, out: &mut Vec<KeeperEvent>) {
        let Some(book) = self.pools.get(name).filter(|book| book.is_there) else { return };
        let Some(rules) = book.rules.clone() else {
            // The table was taken out of the configuration: that switches growth off, too.
            if book.enabled {
                let data = SwitchedData { enabled: false, ..switched(name, &book.company, &Grow::off()) };
                out.push(KeeperEvent::GrowthSwitched(data));
            }
            return;
        };
        if book.enabled != rules.enabled {
            out.push(KeeperEvent::GrowthSwitched(switched(name, &book.company, &rules)));
        }
        let trend = book.trend(&rules, now);
        let is_short = trend.short >= rules.short_windows;
        let active = self.active(name);
        let Some(book) = self.pools.get(name) else { return };
        // What was seen counts for more than what was computed.
        let planned = match is_short {
            true => book.planned(&rules, now, 1.0).max(active + 1),
            false => active,
        };
        if is_short != book.is_short && (is_short || trend.short == 0) {
            out.push(KeeperEvent::Shortage(ShortageData {
                pool: name.to_owned(),
                company: book.company.clone(),
                over: !is_short,
                short: trend.short as u64,
                of: trend.of as u64,
                worst: trend.worst,
                numbers: active as u64,
                planned: planned as u64,
            }));
        }
        if !rules.enabled {
            return;
        }
        if book.order.is_some() {
            return self.take_from_stock(now, name, &rules, out);
        }
        let forecast = forecast_factor(&rules, now).map_or(0, |factor| book.planned(&rules, now, factor));
        let (needed, reason) = if planned >= forecast { (planned, "shortage") } else { (forecast, "forecast") };
        if needed > active {
            self.order(now, name, &rules, needed, active, reason, out);
        }
    }

    /// Numbers that are on their way out stay; what is missing then is ordered, as far as the limits allow.
    #[allow(clippy::too_many_arguments)] // One decision, and what it is made of.
    fn order(
        &mut self,
        now: Wall,
        name: &str,
        rules: &Grow,
        needed: usize,
        active: usize,
        reason: &str,
        out: &mut Vec<KeeperEvent>,
    ) {
        let mut missing = needed - active;
        let back: Vec<NumberData> = self.numbers.leaving(name).take(missing).collect();
        missing -= back.len();
        out.extend(
            back.into_iter()
                .map(|data| KeeperEvent::NumberReturned(NumberData { reason: "needed".to_owned(), ..data })),
        );
        let order_id = self.draw_id();
        let Some(book) = self.pools.get(name) else { return };
        if missing == 0 || book.again_at.as_ref().is_some_and(|(at, _)| now < *at) {
            return;
        }
        let (stocked, provider) = (self.stock_of(rules).count(), rules.provider.clone());
        let Some(book) = self.pools.get(name) else { return };
        let grown: usize = book.grown.iter().filter(|(at, _)| *at + DAY > now).map(|(_, count)| *count).sum();
        let (year, month, _) = now.date();
        let spent = book.spent.get(&(year, month)).copied().unwrap_or_default();
        let affordable = match (rules.spend_max, rules.price) {
            (Some(most), Some(price)) => Money(most.0.saturating_sub(spent.0)).pays_for(price),
            _ => usize::MAX,
        };
        let limits = [
            (rules.numbers_max.saturating_sub(book.size()), "limit_size"),
            (rules.per_day_max.saturating_sub(grown), "limit_day"),
            (affordable, "limit_spend"),
        ];
        let source = if stocked > 0 || provider.is_none() { STOCK.to_owned() } else { provider.unwrap_or_default() };
        let available = if source == STOCK { (stocked, "no_stock") } else { (usize::MAX, "") };
        let (most, limit) = limits.into_iter().chain([available]).min_by_key(|(most, _)| *most).unwrap_or_default();
        if most == 0 {
            out.push(KeeperEvent::GrowthRefused(GrowthRefusedData {
                order_id: None,
                pool: name.to_owned(),
                company: book.company.clone(),
                source,
                reason: limit.to_owned(),
                detail: None,
                wanted: missing as u64,
                again_at: now + TOMORROW,
            }));
            return;
        }
        out.push(KeeperEvent::GrowthOrdered(OrderedData {
            order_id,
            pool: name.to_owned(),
            company: book.company.clone(),
            source,
            count: missing.min(most) as u64,
            numbers: active as u64,
            planned: needed as u64,
            reason: reason.to_owned(),
            unit_price_max: rules.price,
            currency: rules.currency.clone(),
        }));
    }

    /// An order to the stock is filled as soon as the journal has it.
    fn take_from_stock(&mut self, now: Wall, name: &str, rules: &Grow, out: &mut Vec<KeeperEvent>) {
        let Some(order) = self.pools.get(name).and_then(|book| book.order.as_ref()) else { return };
        if order.data.source != STOCK {
            return;
        }
        let data = order.data.clone();
        let numbers: Vec<E164> = self.stock_of(rules).take(usize::try_from(data.count).unwrap_or(usize::MAX)).collect();
        let event = match numbers.is_empty() {
            true => refused(&data, "no_stock", None, now),
            false => self.came(&data, numbers, rules.price, rules.currency.clone()),
        };
        out.push(event);
    }

    /// Numbers of the stock that are nobody's yet.
    fn stock_of<'a>(&'a self, rules: &'a Grow) -> impl Iterator<Item = E164> + 'a {
        let shared = rules.shared_stock.iter().flat_map(|stock| &stock.numbers);
        rules.stock.iter().chain(shared).filter(|number| !self.pools.values().any(|book| book.has(number))).cloned()
    }

    /// Numbers that visitors may get.
    fn active(&self, name: &str) -> usize {
        let size = self.pools.get(name).map_or(0, PoolBook::size);
        // What only listens will be a number of the pool without being ordered again.
        size.saturating_sub(self.numbers.out_of(name))
    }

    /// Requests to providers that are due. Each is under way until [`Keeper::answered`].
    pub fn orders(&mut self, now: Wall) -> Vec<Order> {
        let mut orders = Vec::new();
        for book in self.pools.values_mut() {
            let country = book.numbers.first().and_then(number::region);
            let Some(order) = &mut book.order else { continue };
            if order.data.source == STOCK || order.flying || now < order.due {
                continue;
            }
            order.flying = true;
            orders.push(Order {
                order_id: order.data.order_id.clone(),
                provider: order.data.source.clone(),
                body: order::order(&order.data, country).to_string(),
            });
        }
        orders.extend(self.numbers.releases(now));
        orders
    }

    /// What a provider said.
    pub fn answered(&mut self, now: Wall, order_id: &str, answer: Answer, out: &mut Vec<Event>) {
        if let Some(event) = self.numbers.release_answered(now, order_id, &answer) {
            return self.tell(now, event, out);
        }
        let found = self
            .pools
            .iter_mut()
            .find(|(_, book)| book.order.as_ref().is_some_and(|order| order.data.order_id == order_id));
        let Some((name, book)) = found else { return };
        let (name, rules) = (name.clone(), book.rules.clone());
        let may_tell = book.again_at.as_ref().is_none_or(|(at, _)| now >= *at);
        let Some(order) = &mut book.order else { return };
        let is_old = may_tell && now >= order.since + GIVE_UP;
        order.flying = false;
        order.attempts = order.attempts.saturating_add(1);
        order.due = now + LOST;
        let data = order.data.clone();
        let event = match answer {
            Answer::Later(pause) => {
                order.due = now + pause;
                is_old.then(|| refused(&data, FAILED, Some("not yet".to_owned()), now))
            }
            Answer::Failed(code) => {
                order.due = now + AGAIN.saturating_mul(1 << order.attempts.saturating_sub(1).min(12)).min(AGAIN_MAX);
                is_old.then(|| refused(&data, FAILED, Some(code), now))
            }
            Answer::Empty => Some(refused(&data, "no_stock", None, now)),
            Answer::Refused { code, detail } => Some(refused(&data, &code, detail, now)),
            Answer::Numbers { numbers, unit_price, currency } => {
                let dear = unit_price.zip(data.unit_price_max).is_some_and(|(price, most)| price > most);
                let strange = currency.is_some() && data.currency.is_some() && currency != data.currency;
                let known = |number: &E164| self.pools.values().any(|book| book.has(number));
                let mut fresh: Vec<E164> = Vec::new();
                for number in numbers {
                    if !known(&number) && !fresh.contains(&number) && (fresh.len() as u64) < data.count {
                        fresh.push(number);
                    }
                }
                let price = unit_price.or(rules.and_then(|rules| rules.price));
                let currency = currency.or(data.currency.clone());
                Some(match fresh.is_empty() {
                    _ if dear || strange => refused(&data, "price_too_high", unit_price.map(|p| p.to_string()), now),
                    true => refused(&data, "provider_answer_bad", Some("no number that is new".into()), now),
                    false => self.came(&data, fresh, price, currency),
                })
            }
        };
        if let Some(event) = event {
            tracing::debug!(pool = name, kind = event.kind(), "a provider answered");
            self.tell(now, event, out);
        }
    }

    fn came(
        &self,
        order: &OrderedData,
        numbers: Vec<E164>,
        price: Option<Money>,
        currency: Option<String>,
    ) -> KeeperEvent {
        let size = self.pools.get(&order.pool).map_or(0, |book| book.size()) + numbers.len();
        KeeperEvent::Grown(GrownData {
            order_id: order.order_id.clone(),
            pool: order.pool.clone(),
            company: order.company.clone(),
            source: order.source.clone(),
            unit_price: price,
            total: price.map(|price| price.times(numbers.len())),
            currency: currency.filter(|_| price.is_some()),
            numbers,
            reason: order.reason.clone(),
            size: size as u64,
        })
    }

    /// Added numbers that were not needed for long are on their way out.
    pub(super) fn shrink(&mut self, now: Wall, name: &str, out: &mut Vec<KeeperEvent>) {
        let Some(book) = self.pools.get(name).filter(|book| book.is_there) else { return };
        let Some(rules) = book.rules.clone().filter(|rules| !rules.shrink_after.is_zero()) else { return };
        let quiet_since = now - rules.shrink_after;
        if book.is_short || book.order.is_some() || book.since > quiet_since || forecast_factor(&rules, now).is_some() {
            return;
        }
        let Some(needed) = book.needed_lately(&rules, now, rules.shrink_after) else { return };
        let active = self.active(name);
        let Some(book) = self.pools.get(name) else { return };
        let surplus = active.saturating_sub(needed.max(1));
        // The newest go first: the oldest are known to most people.
        let spare =
            book.added.iter().rev().filter(|added| added.at <= quiet_since && !self.numbers.is_leaving(&added.number));
        out.extend(spare.take(surplus).map(|added| {
            KeeperEvent::NumberLeaving(NumberData {
                number: added.number.clone(),
                pool: name.to_owned(),
                company: book.company.clone(),
                reason: "not_needed".to_owned(),
                calls: 0,
                page: None,
            })
        }));
    }

    pub(super) fn ordered(&mut self, at: Wall, data: &OrderedData) {
        if let Some(book) = self.book(&data.pool) {
            // A journal that lagged may have got the decision twice: one order counts, and nobody is asked for the other.
            if book.order.is_some() || at < book.since {
                return;
            }
            let order = OpenOrder { data: data.clone(), since: at, attempts: 0, due: at, flying: false };
            book.order = Some(order);
        }
    }

    pub(super) fn grown(&mut self, at: Wall, data: &GrownData) {
        let Some(book) = self.book(&data.pool) else { return };
        // An answer that the journal took late may have been asked for, and told, twice.
        if book.order.as_ref().is_none_or(|order| order.data.order_id != data.order_id) {
            return;
        }
        book.order = None;
        book.again_at = None;
        book.since = at;
        for number in &data.numbers {
            if !book.added.iter().any(|added| added.number == *number) {
                book.added.push(Added { number: number.clone(), at, source: data.source.clone() });
            }
        }
        book.grown.retain(|(when, _)| *when + DAY > at);
        book.grown.push_back((at, data.numbers.len()));
        let (year, month, _) = at.date();
        let spent = book.spent.entry((year, month)).or_default();
        *spent = spent.plus(data.total.unwrap_or_default());
        while book.spent.len() > 12 {
            book.spent.pop_first();
        }
        self.changes += 1;
        self.notices.add(at, letter::grown(data));
    }

    pub(super) fn growth_refused(&mut self, at: Wall, data: &GrowthRefusedData) {
        let Some(book) = self.book(&data.pool) else { return };
        let is_of_order = book.order.as_ref().is_some_and(|order| Some(&order.data.order_id) == data.order_id.as_ref());
        // Whose answers were lost may have given numbers: only it can say, so it is asked until it does.
        if is_of_order && data.reason != FAILED {
            book.order = None;
        }
        book.again_at = Some((data.again_at, data.reason.clone()));
        self.notices.add(at, letter::refused(at, data));
    }

    /// A number is gone.
    pub(super) fn left(&mut self, data: &NumberData) {
        if let Some(book) = self.book(&data.pool) {
            book.added.retain(|added| added.number != data.number);
        }
        self.numbers.gone(&data.number);
        self.changes += 1;
    }
}

impl Grow {
    /// As if the table were there and switched off.
    fn off() -> Grow {
        Grow {
            enabled: false,
            window: Duration::from_secs(3_600),
            short_windows: 1,
            windows: 1,
            threshold: 1.0,
            visits_min: 1,
            blocking: 0.01,
            respect_hold: false,
            numbers_max: 0,
            per_day_max: 0,
            spend_max: None,
            stock: Vec::new(),
            shared_stock: None,
            provider: None,
            price: None,
            currency: None,
            listen: Duration::ZERO,
            shrink_after: Duration::ZERO,
            quiet: Duration::ZERO,
            notify: Vec::new(),
            forecasts: Vec::new(),
        }
    }
}

fn switched(pool: &str, company: &str, rules: &Grow) -> SwitchedData {
    let has_stock = !rules.stock.is_empty() || rules.shared_stock.is_some();
    SwitchedData {
        pool: pool.to_owned(),
        company: company.to_owned(),
        enabled: rules.enabled,
        by: "configuration".to_owned(),
        source: rules.provider.clone().filter(|_| !has_stock).unwrap_or_else(|| STOCK.to_owned()),
        numbers_max: rules.numbers_max as u64,
        per_day_max: rules.per_day_max as u64,
        spend_max: rules.spend_max,
        currency: rules.currency.clone(),
    }
}

fn refused(order: &OrderedData, reason: &str, detail: Option<String>, now: Wall) -> KeeperEvent {
    KeeperEvent::GrowthRefused(GrowthRefusedData {
        order_id: Some(order.order_id.clone()),
        pool: order.pool.clone(),
        company: order.company.clone(),
        source: order.source.clone(),
        reason: reason.to_owned(),
        detail,
        wanted: order.count,
        again_at: now + TOMORROW,
    })
}

/// The greatest factor that is stated for today or, so that the pool is ready in time, for tomorrow.
fn forecast_factor(rules: &Grow, now: Wall) -> Option<f64> {
    let day = |at: Wall| {
        let (year, month, day) = at.date();
        format!("{year:04}-{month:02}-{day:02}")
    };
    let days = [day(now), day(now + DAY)];
    let due = rules.forecasts.iter().filter(|forecast| days.iter().any(|day| forecast.is_for(day)));
    due.map(|forecast| forecast.factor).max_by(f64::total_cmp)
}
