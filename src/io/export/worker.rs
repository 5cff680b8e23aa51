//! One export's task: takes the journal in, forms batches, leads conversations, tells the journal what came of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinSet};

use super::client::Client;
use super::intake::Intake;
use super::store::{Batch, Look, State, Store, StoreError, Verdict};
use crate::config::Config;
use crate::config::export::Export;
use crate::core::event::work::{ExportData, WorkEvent};
use crate::core::event::{Body, Event};
use crate::core::export::pace::Bucket;
use crate::core::export::talk::{Talk, take_token, token_wanted};
use crate::core::export::{Action, Answer, Ask, At, Delivery, Destination, Done, Looked, Step};
use crate::core::outbox::{Delivered, Outbox, Rules, Verdict as Due};
use crate::io::clock;
use crate::io::journal::Journal;
use crate::limits;
use crate::time::Mono;

/// What a task is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Run,
    /// Send what can be sent now, then end.
    Drain,
    Stop,
}

/// Figures for others to read.
#[derive(Debug, Default)]
pub(super) struct Status {
    failures: AtomicU32,
    last: Mutex<Option<String>>,
}

impl Status {
    pub(super) fn show(&self) -> (u32, Option<String>) {
        (self.failures.load(Ordering::Relaxed), self.last.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn failed(&self, failures: u32, code: &str) {
        self.failures.store(failures, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(code.to_owned());
    }
}

/// Why a task stops: nothing that could be done about it now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("journal: {0}")]
    Journal(std::io::Error),
    #[error("a test ended it here")]
    #[cfg_attr(not(test), allow(dead_code, reason = "only tests end it so"))]
    Tripped,
}

/// Ends everything at the n-th step, as a kill would; in tests.
#[derive(Clone, Debug, Default)]
pub(super) struct Trip {
    #[cfg(test)]
    pub(super) left: Option<Arc<std::sync::atomic::AtomicI64>>,
}

impl Trip {
    #[cfg(test)]
    pub(super) fn step(&self) -> Result<(), Stopped> {
        let tripped = self.left.as_ref().is_some_and(|left| left.fetch_sub(1, Ordering::SeqCst) <= 1);
        if tripped { Err(Stopped::Tripped) } else { Ok(()) }
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)] // the twin in tests uses both
    fn step(&self) -> Result<(), Stopped> {
        Ok(())
    }
}

pub(super) struct Worker {
    pub(super) export: Arc<Export>,
    pub(super) destination: Arc<dyn Destination>,
    pub(super) store: Arc<Store>,
    pub(super) client: Arc<Client>,
    pub(super) journal: Journal,
    pub(super) status: Arc<Status>,
    pub(super) config: Box<dyn Fn() -> Arc<Config> + Send + Sync>,
    pub(super) wake: Arc<Notify>,
    pub(super) trip: Trip,
}

/// How a conversation ended.
struct Ended {
    batch: Batch,
    step: Step,
}

type Flown = (u64, Result<Option<Ended>, Stopped>);

/// A stop that comes from the file or the journal is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// Waits, digests and uploads are looked at so often.
const TICK: Duration = Duration::from_secs(15);

impl Worker {
    /// Until told to stop, or, told to drain, until nothing more can be sent soon.
    pub(super) async fn run(self, mut order: watch::Receiver<Order>) {
        let worker = Arc::new(self);
        loop {
            match worker.clone().work(&mut order).await {
                Ok(()) | Err(Stopped::Tripped) => return,
                Err(error) => tracing::error!(export = worker.export.name, %error, "the export rests"),
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                changed = order.changed() => if changed.is_err() || *order.borrow() != Order::Run { return },
            }
        }
    }

    pub(super) async fn work(self: Arc<Self>, order: &mut watch::Receiver<Order>) -> Result<(), Stopped> {
        let traits = self.destination.traits();
        let rules = Rules { parallel: traits.parallel, window: limits::EXPORT_WINDOW, ..Rules::default() };
        let seed = self.export.name.bytes().fold(7, |seed: u64, byte| seed.rotate_left(8) ^ u64::from(byte));
        let mut outbox = Outbox::new(rules, 0, seed);
        let bucket = Arc::new(Mutex::new(Bucket::new(traits.pace)));
        let mut flying: JoinSet<Flown> = JoinSet::new();
        let mut batch_of: HashMap<Id, u64> = HashMap::new();
        let mut last = self.journal.watch();
        let mut tick_at = Mono(0);
        loop {
            let newest = *last.borrow_and_update();
            let behind = self.take_in(newest).await?;
            if clock::mono() >= tick_at {
                self.tick().await?;
                tick_at = clock::mono() + TICK;
            }
            let hurry = *order.borrow() != Order::Run;
            let gathering = self.form(hurry).await?;
            self.fill(&mut outbox).await?;
            while let Some(n) = outbox.poll_delivery(clock::mono()) {
                let task = flying.spawn(self.clone().fly(n, Arc::clone(&bucket)));
                batch_of.insert(task.id(), n);
            }
            self.tell().await?;
            let told = *order.borrow_and_update();
            let hopeless = flying.is_empty() && outbox.failures() > 0;
            if told == Order::Stop || told == Order::Drain && !behind && (outbox.waiting() == 0 || hopeless) {
                return Ok(());
            }
            let due = outbox.poll_timeout().map(|(at, _)| at);
            let wake = due.into_iter().chain([tick_at]).chain(gathering).min().unwrap_or(tick_at);
            let wake = if behind { clock::mono() } else { wake };
            tokio::select! {
                Some(joined) = flying.join_next_with_id() => {
                    let (n, ended) = match joined {
                        Ok((id, flown)) => { batch_of.remove(&id); flown }
                        Err(error) => {
                            let n = batch_of.remove(&error.id()).unwrap_or_default();
                            tracing::error!(export = self.export.name, %error, "a conversation panicked");
                            outbox.on_result(clock::mono(), n, Delivered::No { retry_after: None });
                            continue;
                        }
                    };
                    self.settle(&mut outbox, n, ended?).await?;
                }
                changed = last.changed() => if changed.is_err() { return Ok(()) },
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(clock::instant(wake)) => {}
                changed = order.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    /// Takes a portion of the journal in. True: there is more.
    async fn take_in(self: &Arc<Self>, newest: u64) -> Result<bool, Stopped> {
        let worker = Arc::clone(self);
        blocking(move || {
            let after: u64 = worker.store.kept("cursor")?.unwrap_or(0);
            if after >= newest {
                return Ok(false);
            }
            let records = worker.journal.read(after, limits::EXPORT_INTAKE).map_err(Stopped::Journal)?;
            let Some(last) = records.last().map(|record| record.seq) else { return Ok(false) };
            worker.trip.step()?;
            let config = (worker.config)();
            worker.intake(&config).take(&worker.store, &records)?;
            worker.trip.step()?;
            Ok(last < newest)
        })
        .await
    }

    fn intake<'a>(&'a self, config: &'a Config) -> Intake<'a> {
        Intake { export: &self.export, destination: &*self.destination, config, now: clock::wall() }
    }

    async fn tick(self: &Arc<Self>) -> Result<(), Stopped> {
        let worker = Arc::clone(self);
        let looks = blocking(move || {
            let config = (worker.config)();
            worker.intake(&config).tick(&worker.store)?;
            Ok(worker.store.looks(clock::wall())?)
        })
        .await?;
        for look in looks {
            self.look(look).await?;
        }
        Ok(())
    }

    /// Forms the batches that are due. Gives when the next one is.
    async fn form(self: &Arc<Self>, hurry: bool) -> Result<Option<Mono>, Stopped> {
        let worker = Arc::clone(self);
        let every = if hurry { Duration::ZERO } else { self.export.every };
        let max = self.destination.traits().batch;
        blocking(move || {
            let now = clock::now();
            let oldest = worker.store.transaction(|pen| pen.form_batches(max, now.wall - every, now.wall))?;
            Ok(oldest.map(|made| now.mono + Duration::from_millis((made + every).millis_since(now.wall) + 1)))
        })
        .await
    }

    async fn fill(self: &Arc<Self>, outbox: &mut Outbox) -> Result<(), Stopped> {
        if outbox.room() == 0 {
            return Ok(());
        }
        let (worker, after, room) = (Arc::clone(self), outbox.newest(), outbox.room());
        let batches = blocking(move || Ok(worker.store.open_batches(after, room)?)).await?;
        for (n, subject) in batches {
            outbox.push(clock::mono(), n, &subject);
        }
        Ok(())
    }

    /// One conversation. `None`: there was nothing left to say.
    async fn fly(self: Arc<Self>, n: u64, bucket: Arc<Mutex<Bucket>>) -> Flown {
        let ended = self.converse(n, &bucket).await;
        (n, ended)
    }

    async fn converse(self: &Arc<Self>, n: u64, bucket: &Mutex<Bucket>) -> Result<Option<Ended>, Stopped> {
        let worker = Arc::clone(self);
        self.trip.step()?;
        let begun = blocking(move || Ok((worker.store.begin(n)?, worker.store.tokens()?))).await?;
        let (Some(batch), tokens) = begun else { return Ok(None) };
        if batch.deliveries.is_empty() {
            return Ok(Some(Ended { batch, step: Step::done("nothing_left") }));
        }
        let call = match batch.deliveries.as_slice() {
            [one] => one.told().map(|told| told.call.call_id.to_string()),
            _ => None,
        };
        let mut talk = Talk::new(Arc::clone(&self.destination), batch.deliveries.clone(), batch.memo.clone(), tokens);
        let mut answer = None;
        loop {
            let before = (talk.memo.clone(), talk.tokens.clone());
            let step = talk.next(answer.take(), clock::wall());
            if before != (talk.memo.clone(), talk.tokens.clone()) {
                self.trip.step()?;
                let (worker, call) = (Arc::clone(self), call.clone());
                let (memo, tokens) = (talk.memo.clone(), talk.tokens.clone());
                blocking(move || Ok(worker.store.save_memo(n, call.as_deref(), &memo, &tokens)?)).await?;
            }
            let Step::Ask(ask) = step else { return Ok(Some(Ended { batch, step })) };
            if matches!(*ask, Ask::Http(_) | Ask::Mail(_)) {
                in_turn(bucket).await;
            }
            self.trip.step()?;
            answer = Some(self.client.ask(*ask, &(self.config)()).await);
            self.trip.step()?;
        }
    }

    async fn settle(self: &Arc<Self>, outbox: &mut Outbox, n: u64, ended: Option<Ended>) -> Result<(), Stopped> {
        let now = clock::mono();
        let Some(Ended { batch, step }) = ended else {
            outbox.on_result(now, n, Delivered::Yes);
            return Ok(());
        };
        self.trip.step()?;
        match step {
            Step::Done(done) => {
                self.done(batch, done).await?;
                outbox.on_result(now, n, Delivered::Yes);
                self.status.failures.store(0, Ordering::Relaxed);
            }
            Step::Refused { code, detail } => {
                tracing::warn!(export = self.export.name, code, "refused by the destination");
                self.refused(batch, code, detail).await?;
                // It answered: others may go.
                outbox.on_result(now, n, Delivered::Yes);
            }
            Step::Again { code, after } => {
                match outbox.on_result(now, n, Delivered::No { retry_after: after }) {
                    Due::Dead { attempts } => {
                        tracing::error!(export = self.export.name, code, attempts, "given up: a dead letter");
                        self.bury(batch, code.clone()).await?;
                        outbox.bury(now, n);
                    }
                    _ => self.note(n, code.clone()).await?,
                }
                if outbox.failures() == 1 {
                    tracing::warn!(export = self.export.name, code, "the destination fails");
                }
                self.status.failed(outbox.failures(), &code);
            }
            // A conversation ends with something else.
            Step::Ask(_) => drop(outbox.on_result(now, n, Delivered::No { retry_after: None })),
        }
        self.trip.step()
    }

    async fn done(self: &Arc<Self>, batch: Batch, done: Done) -> Result<(), Stopped> {
        let worker = Arc::clone(self);
        blocking(move || {
            let now = clock::wall();
            Ok(worker.store.transaction(|pen| {
                for (at, delivery) in batch.deliveries.iter().enumerate() {
                    let verdict = match done.refused.iter().find(|(place, _)| *place == at) {
                        Some((_, code)) => verdict(State::Rejected, code, ""),
                        None => verdict(State::Sent, &done.status, &done.detail),
                    };
                    pen.settle(&delivery.id, &verdict, now)?;
                }
                for reference in &done.look {
                    pen.add_look(reference, batch.n, now + limits::EXPORT_LOOK_EVERY / 6)?;
                }
                pen.close(batch.n)
            })?)
        })
        .await
    }

    async fn refused(self: &Arc<Self>, batch: Batch, code: String, detail: String) -> Result<(), Stopped> {
        let worker = Arc::clone(self);
        blocking(move || {
            let now = clock::wall();
            Ok(worker.store.transaction(|pen| match batch.deliveries.as_slice() {
                [one] => {
                    pen.settle(&one.id, &verdict(State::Rejected, &code, &detail), now)?;
                    pen.close(batch.n)
                }
                _ => pen.split(batch.n, now),
            })?)
        })
        .await
    }

    async fn bury(self: &Arc<Self>, batch: Batch, code: String) -> Result<(), Stopped> {
        let worker = Arc::clone(self);
        blocking(move || {
            let now = clock::wall();
            Ok(worker.store.transaction(|pen| {
                for delivery in &batch.deliveries {
                    pen.settle(&delivery.id, &verdict(State::Dead, &code, "given up"), now)?;
                }
                pen.close(batch.n)
            })?)
        })
        .await
    }

    async fn note(self: &Arc<Self>, n: u64, code: String) -> Result<(), Stopped> {
        let worker = Arc::clone(self);
        blocking(move || Ok(worker.store.transaction(|pen| pen.note(n, &code))?)).await
    }

    /// Tells the journal what was settled. Told twice after a crash in between, with the same delivery id.
    async fn tell(self: &Arc<Self>) -> Result<(), Stopped> {
        let worker = Arc::clone(self);
        blocking(move || {
            loop {
                let untold = worker.store.transaction(|pen| pen.untold(100))?;
                if untold.is_empty() {
                    return Ok(());
                }
                for (delivery, state, code, detail) in &untold {
                    if let Some(event) = event_of(&worker.export.name, delivery, *state, code, detail) {
                        worker.trip.step()?;
                        worker.journal.append(event);
                    }
                }
                if !worker.journal.flush(Duration::from_secs(5)) {
                    // The disk refuses; the next turn tells it again.
                    return Ok(());
                }
                worker.trip.step()?;
                worker.store.transaction(|pen| untold.iter().try_for_each(|(delivery, ..)| pen.told(&delivery.id)))?;
            }
        })
        .await
    }

    /// Asks what became of an upload.
    async fn look(self: &Arc<Self>, look: Look) -> Result<(), Stopped> {
        let now = clock::wall();
        let mut tokens = self.store.tokens()?;
        if let Some(request) = token_wanted(&*self.destination, &mut tokens, now) {
            let answer = self.client.request(request).await;
            let taken = take_token(&mut tokens, &answer, now).is_ok();
            self.store.save_tokens(&tokens)?;
            if !taken {
                return self.looked(look, Looked::Later).await;
            }
        }
        let at = At { now, token: tokens.access.as_deref() };
        let found = match self.destination.look(&look.reference, &at) {
            Some(request) => match self.client.request(request).await {
                Answer::Failed(_) => Looked::Later,
                answer => self.destination.looked(&answer),
            },
            None => Looked::Over { detail: String::new(), linked: None },
        };
        self.looked(look, found).await
    }

    async fn looked(self: &Arc<Self>, look: Look, found: Looked) -> Result<(), Stopped> {
        let worker = Arc::clone(self);
        blocking(move || {
            let now = clock::wall();
            let (next, linked) = match &found {
                Looked::Later if look.tries < limits::EXPORT_LOOKS => (Some(now + limits::EXPORT_LOOK_EVERY), None),
                Looked::Later => (None, None),
                Looked::Over { detail, linked } => {
                    let said = linked.map(|(linked, of)| format!("{linked} of {of} linked")).unwrap_or_default();
                    let data = ExportData {
                        destination: worker.export.name.clone(),
                        delivery_id: look.reference.clone(),
                        call_id: None,
                        action: Action::Conversion.as_str().to_owned(),
                        status: detail.clone(),
                        detail: said,
                    };
                    let body = Body::Work(Box::new(WorkEvent::ExportLinked(data)));
                    worker.journal.append(Event { time: now, subject: look.reference.clone(), body });
                    (None, *linked)
                }
            };
            tracing::debug!(export = worker.export.name, batch = look.batch, "looked after an upload");
            Ok(worker.store.transaction(|pen| pen.looked(&look.reference, next, linked))?)
        })
        .await
    }
}

fn verdict(state: State, code: &str, detail: &str) -> Verdict {
    Verdict { state, code: code.to_owned(), detail: detail.to_owned() }
}

/// What the journal is told; nothing of calls that only rang, and of words for people.
fn event_of(export: &str, delivery: &Delivery, state: State, code: &str, detail: &str) -> Option<Event> {
    if matches!(delivery.action, Action::Ring | Action::Notice) {
        return None;
    }
    let call = delivery.told()?.call.call_id;
    let data = ExportData {
        destination: export.to_owned(),
        delivery_id: delivery.id.clone(),
        call_id: Some(call),
        action: delivery.action.as_str().to_owned(),
        status: code.to_owned(),
        detail: detail.to_owned(),
    };
    let event = match state {
        State::Sent if delivery.action == Action::Retraction => WorkEvent::ExportRetracted(data),
        State::Sent => WorkEvent::ExportSent(data),
        State::Rejected | State::Dead => WorkEvent::ExportRejected(data),
        State::Pending | State::Cancelled | State::Skipped => return None,
    };
    Some(Event { time: clock::wall(), subject: call.to_string(), body: Body::Work(Box::new(event)) })
}

/// Waits for a place in the destination's pace.
async fn in_turn(bucket: &Mutex<Bucket>) {
    loop {
        let free_at = match bucket.lock().unwrap_or_else(PoisonError::into_inner).take(clock::mono()) {
            Ok(()) => return,
            Err(at) => at,
        };
        tokio::time::sleep_until(clock::instant(free_at)).await;
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Stopped> + Send + 'static) -> Result<T, Stopped> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Stopped::Journal(std::io::Error::other(error)))?
}
