//! Links to PBXs that tell of their calls: a task each, which does what [`crate::core::ears::link`] says.

mod stream;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::config::{Config, Ear};
use crate::core::ears::link::{Input, Link, LinkState, Order};
use crate::core::ears::{Answer, Report};
use crate::io::clock;
use crate::io::metrics::Metrics;
use crate::io::signalling::Command;
use crate::limits;
use crate::time::Wall;

use stream::{Stream, connect};

/// How a PBX that tells of its calls stands.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    pub name: String,
    /// `asterisk`, `freeswitch` or `http`.
    pub kind: &'static str,
    pub address: Option<String>,
    /// `connecting`, `up` or `down`; `waiting` for one that comes to us and was not heard yet, else `heard`.
    pub state: &'static str,
    pub since: Option<Wall>,
    /// Stable code of why it is down.
    pub last_error: Option<&'static str>,
    /// Calls that began with its word, and its words on calls of ours, since the start.
    pub calls: u64,
    pub reports: u64,
    /// When the last of them came.
    pub last_report: Option<Wall>,
}

/// What is known of all of them; HTTP shows it.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<String, Standing>>);

impl Board {
    /// In the order of their names.
    pub fn list(&self) -> Vec<Standing> {
        self.lock().values().cloned().collect()
    }

    /// A report was answered. Counts it, here and in the metrics, when it is about a call of ours.
    pub fn on_answer(&self, metrics: &Metrics, report: (&str, crate::core::ears::Stage), answer: &Answer) {
        let Answer::Call(heard) = answer else { return };
        metrics.ears.reported(report.0, report.1, heard.is_new);
        if let Some(standing) = self.lock().get_mut(report.0) {
            standing.reports += 1;
            standing.calls += u64::from(heard.is_new);
            standing.last_report = Some(clock::wall());
            if standing.address.is_none() {
                standing.state = "heard";
            }
        }
    }

    fn on_state(&self, ear: &str, state: LinkState) {
        if let Some(standing) = self.lock().get_mut(ear) {
            standing.state = state.state;
            standing.since = Some(state.since);
            standing.last_error = state.reason.or(standing.last_error.filter(|_| state.state != "up"));
        }
    }

    /// Those of the configuration, and no others; what was counted of one goes on.
    fn configure(&self, ears: &[Arc<Ear>]) {
        let mut before = std::mem::take(&mut *self.lock());
        let standing = |ear: &Arc<Ear>| {
            let old = before.remove(&ear.name);
            let fresh = Standing {
                name: ear.name.clone(),
                kind: ear.kind.as_str(),
                address: ear.address.clone(),
                state: if ear.kind.is_link() { "connecting" } else { "waiting" },
                since: None,
                last_error: None,
                calls: 0,
                reports: 0,
                last_report: None,
            };
            let now = old.filter(|old| (old.kind, &old.address) == (fresh.kind, &fresh.address)).unwrap_or(fresh);
            (ear.name.clone(), now)
        };
        let now: BTreeMap<String, Standing> = ears.iter().map(standing).collect();
        *self.lock() = now;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All links.
#[derive(Debug)]
pub struct Ears {
    runtime: Handle,
    commands: mpsc::UnboundedSender<Command>,
    metrics: Arc<Metrics>,
    board: Arc<Board>,
    links: HashMap<String, Running>,
}

#[derive(Debug)]
struct Running {
    ear: Arc<Ear>,
    task: JoinHandle<()>,
}

impl Ears {
    /// None yet: [`Ears::apply`] makes them. Reports go to `commands`.
    pub fn new(
        runtime: Handle,
        commands: mpsc::UnboundedSender<Command>,
        metrics: Arc<Metrics>,
        board: Arc<Board>,
    ) -> Ears {
        Ears { runtime, commands, metrics, board, links: HashMap::new() }
    }

    /// Makes the configuration's links the ones that there are. Those that are the same go on; calls that were told of
    /// over one that is gone are not touched.
    pub fn apply(&mut self, config: &Config) {
        self.board.configure(&config.ears);
        let mut before = std::mem::take(&mut self.links);
        for ear in config.ears.iter().filter(|ear| ear.kind.is_link()) {
            let kept = before.remove(&ear.name);
            if let Some(running) = kept {
                if running.ear.is_same(ear) {
                    self.links.insert(ear.name.clone(), running);
                    continue;
                }
                self.end(&running);
            }
            let mut seed = [0; 8];
            // Without random bytes all links come back in the same moment, which is no harm.
            let _ = getrandom::fill(&mut seed);
            let link = Link::new(clock::now(), Arc::clone(ear), u64::from_le_bytes(seed));
            let parts = Parts {
                ear: Arc::clone(ear),
                commands: self.commands.clone(),
                metrics: Arc::clone(&self.metrics),
                board: Arc::clone(&self.board),
            };
            let task = self.runtime.spawn(async move { drop(parts.keep(link).await) });
            self.links.insert(ear.name.clone(), Running { ear: Arc::clone(ear), task });
        }
        for gone in before.into_values() {
            self.end(&gone);
            self.metrics.ears.up(&gone.ear.name, None);
        }
    }

    /// Ends every link.
    pub fn stop(&mut self) {
        for running in std::mem::take(&mut self.links).into_values() {
            running.task.abort();
        }
    }

    fn end(&self, running: &Running) {
        running.task.abort();
        // Signalling is gone: so are the calls.
        let _ = self.commands.send(Command::EarLost(running.ear.name.clone()));
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a link's task holds.
struct Parts {
    ear: Arc<Ear>,
    commands: mpsc::UnboundedSender<Command>,
    metrics: Arc<Metrics>,
    board: Arc<Board>,
}

/// The task's only end but that it is aborted: signalling is gone.
struct Gone;

type Connecting = std::pin::Pin<Box<dyn Future<Output = Result<Stream, &'static str>> + Send>>;

impl Parts {
    async fn keep(self, mut link: Link) -> Result<(), Gone> {
        let (mut stream, mut connecting): (Option<Stream>, Option<Connecting>) = (None, None);
        let mut buffer = vec![0; limits::EAR_READ];
        loop {
            let wait = link.poll_timeout().0.since(clock::mono());
            let mut orders = Vec::new();
            tokio::select! {
                () = tokio::time::sleep(wait) => link.handle(clock::now(), Input::Timeout, &mut orders),
                connected = arrival(&mut connecting) => {
                    connecting = None;
                    let input = match connected {
                        Ok(there) => { stream = Some(there); Input::Connected }
                        Err(why) => Input::Lost(why),
                    };
                    link.handle(clock::now(), input, &mut orders);
                }
                read = bytes(&mut stream, &mut buffer) => {
                    let input = match read {
                        Ok(0) | Err(_) => Input::Lost("closed"),
                        Ok(count) => Input::Bytes(buffer.get(..count).unwrap_or_default()),
                    };
                    link.handle(clock::now(), input, &mut orders);
                }
            }
            let mut orders = VecDeque::from(orders);
            while let Some(order) = orders.pop_front() {
                match order {
                    Order::Connect => {
                        stream = None;
                        connecting = Some(Box::pin(connect(Arc::clone(&self.ear))));
                    }
                    Order::Close => (stream, connecting) = (None, None),
                    Order::Send(bytes) => {
                        if !send(&mut stream, &bytes).await {
                            let mut more = Vec::new();
                            link.handle(clock::now(), Input::Lost("closed"), &mut more);
                            orders.extend(more);
                        }
                    }
                    Order::Report(report) => self.report(*report).await?,
                    Order::Lost => self.say(Command::EarLost(self.ear.name.clone()))?,
                    Order::Synced(alive) => self.say(Command::EarSynced(self.ear.name.clone(), alive))?,
                    Order::State(state) => self.on_state(state),
                }
            }
        }
    }

    /// Waits for signalling's answer: a PBX that says more than we can hear waits in its own queue.
    async fn report(&self, report: Report) -> Result<(), Gone> {
        let stage = report.stage;
        let (answer, answered) = oneshot::channel();
        self.say(Command::Hear(Box::new(report), answer))?;
        let answer = answered.await.map_err(|_| Gone)?;
        match &answer {
            Answer::Refused(code) => tracing::debug!(ear = self.ear.name, code, "a report is not taken"),
            Answer::Call(_) | Answer::Early => {}
        }
        self.board.on_answer(&self.metrics, (&self.ear.name, stage), &answer);
        Ok(())
    }

    fn say(&self, command: Command) -> Result<(), Gone> {
        self.commands.send(command).map_err(|_| Gone)
    }

    fn on_state(&self, state: LinkState) {
        let name = &self.ear.name;
        self.board.on_state(name, state);
        self.metrics.ears.up(name, Some(state.state == "up"));
        match state.reason {
            None => tracing::info!(ear = name, kind = self.ear.kind.as_str(), "the PBX is heard"),
            Some(reason) => {
                self.metrics.ears.lost(name, reason);
                let again = state.again.unwrap_or_default().as_millis();
                let address = self.ear.address.as_deref().unwrap_or_default();
                let hint = match reason {
                    "login_refused" => "check `user` and `secret`, and whom the PBX lets in",
                    "not_asterisk" | "not_freeswitch" => "something else listens there; check `address` and `kind`",
                    _ => "",
                };
                tracing::warn!(ear = name, address, reason, again_in_ms = again, hint, "the PBX is not heard");
            }
        }
    }
}

/// Ends when the connection is there, or is not; never without one under way.
async fn arrival(connecting: &mut Option<Connecting>) -> Result<Stream, &'static str> {
    match connecting {
        Some(connecting) => connecting.await,
        None => std::future::pending().await,
    }
}

async fn bytes(stream: &mut Option<Stream>, buffer: &mut [u8]) -> std::io::Result<usize> {
    match stream {
        Some(stream) => stream.read(buffer).await,
        None => std::future::pending().await,
    }
}

/// `false`: it did not leave.
async fn send(stream: &mut Option<Stream>, bytes: &[u8]) -> bool {
    let Some(stream) = stream else { return false };
    let sent = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    matches!(tokio::time::timeout(limits::EAR_CONNECT, sent).await, Ok(Ok(())))
}
