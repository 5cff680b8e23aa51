//! `[[company]]`: whose numbers these are, and where their calls go.

mod decide;
mod rule;
mod schedule;
mod work;

use std::sync::Arc;
use std::time::Duration;

use super::{MediaEncryption, Siprec, TransferRules, Trunk};

pub use decide::{Decide, Fallback};
pub use rule::{During, Glob, Rule, When};
pub use schedule::{Schedule, Span, Then};
pub use work::{LabelRule, Work};

/// Whose numbers these are, and where their calls go.
#[derive(Clone, Debug)]
pub struct Company {
    pub name: String,
    /// Of the IANA database: its days and hours are those of reports. Default: the clocks of its schedule, else UTC.
    pub time_zone: String,
    /// ISO 4217, of its reports; default: the one of `tracking`, else EUR.
    pub currency: String,
    pub forward_to: Vec<Arc<Destination>>,
    /// How they are tried; default: in order.
    pub strategy: Strategy,
    /// When every destination was busy: these, in order, before the caller hears it.
    pub busy: Option<Ways>,
    /// When nobody answered, or nobody could be reached.
    pub no_answer: Option<Ways>,
    /// When calls are taken; none: always.
    pub schedule: Option<Schedule>,
    /// What happens outside these hours; none: refused with 480.
    pub closed: Option<Then>,
    /// The first that fits a call says where it goes.
    pub rules: Vec<Arc<Rule>>,
    /// Ringing time per attempt; default 30 s.
    pub ring_timeout: Duration,
    /// Ringing time of the whole call; default 2 min, or `ring_timeout` when that is longer.
    pub ring_timeout_total: Duration,
    /// Statuses after which the next address of the same destination is tried, as after 503; default none.
    pub retry_statuses: Vec<u16>,
    /// Statuses of a destination that end the hunt at once; default none. 600, 603, 604 and 606 always do.
    pub final_statuses: Vec<u16>,
    pub nat: bool,
    /// Where media of its destinations may be sent before any has come from there, beside the addresses of their
    /// signalling and what their trunk says.
    pub media_networks: super::MediaNetworks,
    /// How media towards destinations is protected that say nothing of it themselves.
    pub media_encryption: Option<MediaEncryption>,
    /// Overrides `[recording] enabled`.
    pub recording: Option<bool>,
    /// What is played in its calls.
    pub prompts: super::Prompts,
    /// Takes messages; none: nobody does.
    pub voicemail: Option<super::Voicemail>,
    /// The recorder that it names.
    pub siprec_name: Option<String>,
    /// A third party's recorder that is sent a copy of its calls; none: nobody is.
    pub siprec: Option<Arc<Siprec>>,
    /// How its PBX may send callers on.
    pub transfer: TransferRules,
    pub limits: super::CompanyLimits,
    /// What it may use of number tracking, and what it pays.
    pub tracking: super::Tracking,
    /// Who is asked where each call goes; none: nobody, the route decides.
    pub decide: Option<Decide>,
    /// What people, and rules, say of its calls.
    pub work: Work,
}

impl Company {
    /// Every destination that stands anywhere in this company, in the order in which they are read.
    pub fn every_destination(&self) -> impl Iterator<Item = &Arc<Destination>> {
        let overflow = [&self.busy, &self.no_answer].into_iter().flatten();
        let thens = self.closed.iter().chain(self.rules.iter().map(|rule| &rule.then));
        let more = overflow.chain(thens.filter_map(Then::ways)).flat_map(|ways| &ways.forward_to);
        let decided = self.decide.iter().flat_map(|decide| &decide.forward_to);
        self.forward_to.iter().chain(more).chain(decided)
    }

    /// How media towards this destination of it is protected.
    pub fn media_encryption(&self, destination: &Destination) -> MediaEncryption {
        let of_trunk = || destination.trunk.as_ref().and_then(|trunk| trunk.media_encryption);
        destination.media_encryption.or_else(of_trunk).or(self.media_encryption).unwrap_or_default()
    }

    /// This company with what the catalogue has of `other`: where its calls go, by which clocks, the words of its people, and
    /// what it may use and pays.
    #[must_use]
    pub fn routed_as(&self, other: &Company) -> Company {
        let Company { time_zone, currency, forward_to, strategy, busy, no_answer, schedule, closed, rules, .. } =
            other.clone();
        Company {
            time_zone,
            currency,
            forward_to,
            strategy,
            busy,
            no_answer,
            schedule,
            closed,
            rules,
            ring_timeout: other.ring_timeout,
            ring_timeout_total: other.ring_timeout_total,
            retry_statuses: other.retry_statuses.clone(),
            final_statuses: other.final_statuses.clone(),
            tracking: other.tracking.clone(),
            work: other.work.clone(),
            ..self.clone()
        }
    }

    /// Its destinations go out through these trunks, where they have the names of its own. Of a company that was just read:
    /// what others hold, too, stays as it is.
    pub fn go_through(&mut self, trunks: &[Arc<Trunk>]) {
        for destination in self.every_destination_mut() {
            let same = destination.trunk.as_ref().and_then(|own| trunks.iter().find(|trunk| trunk.name == own.name));
            if let Some(trunk) = same.cloned() {
                Arc::make_mut(destination).trunk = Some(trunk);
            }
        }
    }

    /// Some list of it is tried by who was idle longest.
    pub(super) fn needs_idle_times(&self) -> bool {
        let overflow = [&self.busy, &self.no_answer].into_iter().flatten();
        let thens = self.closed.iter().chain(self.rules.iter().map(|rule| &rule.then));
        let more = overflow.chain(thens.filter_map(Then::ways)).map(|ways| ways.strategy);
        std::iter::once(self.strategy).chain(more).any(|strategy| strategy == Strategy::LongestIdle)
    }

    /// Some rule of it asks whether the caller spoke to somebody before.
    pub fn asks_for_known(&self) -> bool {
        self.rules.iter().any(|rule| rule.when.known.is_some())
    }

    pub(super) fn every_destination_mut(&mut self) -> impl Iterator<Item = &mut Arc<Destination>> {
        let overflow = [&mut self.busy, &mut self.no_answer].into_iter().flatten();
        // While a configuration is read nobody else has its rules.
        let rules = self.rules.iter_mut().filter_map(|rule| Some(&mut Arc::get_mut(rule)?.then));
        let more = overflow.chain(self.closed.iter_mut().chain(rules).filter_map(Then::ways_mut));
        let decided = self.decide.iter_mut().flat_map(|decide| &mut decide.forward_to);
        self.forward_to.iter_mut().chain(more.flat_map(|ways| &mut ways.forward_to)).chain(decided)
    }
}

/// Destinations, and how they are tried.
#[derive(Clone, Debug)]
pub struct Ways {
    pub forward_to: Vec<Arc<Destination>>,
    pub strategy: Strategy,
}

/// How the destinations of a list are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// One after another, as written.
    #[default]
    Order,
    /// All at once; who answers first has the call.
    Parallel,
    /// One after another, in an order drawn by weight.
    Weighted,
    /// One after another, beginning behind the one that the last call began with.
    RoundRobin,
    /// One after another, the one first whose last call ended longest ago.
    LongestIdle,
}

impl Strategy {
    pub const ALL: [(&'static str, Strategy); 5] = [
        ("order", Strategy::Order),
        ("parallel", Strategy::Parallel),
        ("weighted", Strategy::Weighted),
        ("round_robin", Strategy::RoundRobin),
        ("longest_idle", Strategy::LongestIdle),
    ];

    /// As the configuration and the events write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Strategy::Order => "order",
            Strategy::Parallel => "parallel",
            Strategy::Weighted => "weighted",
            Strategy::RoundRobin => "round_robin",
            Strategy::LongestIdle => "longest_idle",
        }
    }
}

/// Where a call may go: one entry of `forward_to`.
#[derive(Clone, Debug)]
pub struct Destination {
    /// In events, and what a decision names.
    pub name: Option<String>,
    /// Its name, else its URI as written.
    pub label: Arc<str>,
    /// Its calls are counted under this key, which is the same after a reload; none: nobody asks for the count.
    pub counted: Option<Arc<str>>,
    /// Request-URI; `{number}` and `{caller}` may stand in it.
    pub uri: String,
    /// The trunk that was named.
    pub trunk_name: Option<String>,
    /// The number that was written instead of a URI: it is dialled at the trunk's address.
    pub number: Option<String>,
    /// The trunk that it goes out through: the one named, else the one whose `address` has this host, else the one whose
    /// `match` holds this address.
    pub trunk: Option<Arc<Trunk>>,
    /// Share of a weighted draw; 0: only when no other is left.
    pub weight: u32,
    /// Calls at once; a full destination is passed over.
    pub calls_max: Option<usize>,
    /// Instead of the company's.
    pub ring_timeout: Option<Duration>,
    /// Whether it may send a call on by 3xx; none: as its trunk says.
    pub redirects: Option<bool>,
    /// How its media is protected; none: as its trunk says, else as the company does.
    pub media_encryption: Option<MediaEncryption>,
}

impl Destination {
    /// A destination that is nothing but a URI, as a plain text in `forward_to` is.
    pub fn plain(uri: &str) -> Destination {
        Destination {
            name: None,
            label: Arc::from(uri),
            counted: None,
            uri: uri.to_owned(),
            trunk_name: None,
            number: None,
            trunk: None,
            weight: 1,
            calls_max: None,
            ring_timeout: None,
            redirects: None,
            media_encryption: None,
        }
    }

    /// Whether its redirections are followed.
    pub fn follows(&self) -> bool {
        self.redirects.unwrap_or_else(|| self.trunk.as_ref().is_some_and(|trunk| trunk.redirects))
    }

    /// Where its next hop is looked up: at the trunk's `address` when the trunk was named and has one (an outbound proxy),
    /// else at the URI itself.
    pub fn proxy(&self) -> Option<&str> {
        self.trunk_name.as_ref().and(self.trunk.as_ref())?.address.as_deref()
    }
}
