//! People: when they come, what they read, whether and when they call, and that they come back.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::{Call, CallId, DAY, Dials, HOUR, Happening, Kind, Ms, Regions, Visit, VisitId, What, World, ms};
use crate::core::lease::Device;
use crate::ids::E164;
use crate::simulate::density::{happens, pick, poisson, unit};
use crate::simulate::spec::{SourceKind, Spec};

/// A page says that it is still there so often.
const BEAT: f64 = 30.0;
/// Nobody calls surer than this.
const CALL_MAX: f64 = 0.6;
/// A call from the page is not made before.
const FIRST_LOOK: f64 = 5.0;
/// Nothing takes longer than a day, neither a visit nor a call.
const LONG: f64 = 86_400.0;
/// How long a call rings that nobody answers.
const RINGS: f64 = 25.0;

/// Fills the world with everybody who comes within its time.
pub(super) fn populate(world: &mut World, spec: &Spec, seed: u64) {
    let arrivals = arrivals(world, spec, &mut super::generator(seed, 1));
    let regions = Regions::new(spec);
    let propensity = propensity(spec, &mut super::generator(seed, 2));
    let rng = super::generator(seed, 3);
    let mut maker = Maker { world, spec, regions, propensity, rng };
    for (at, campaign) in arrivals {
        maker.person(at, campaign);
    }
}

/// First visits: when and of which campaign. An inhomogeneous Poisson process, constant within each hour.
fn arrivals(world: &World, spec: &Spec, rng: &mut ChaCha8Rng) -> Vec<(Ms, u16)> {
    let arrivals = &spec.arrivals;
    // Who comes back makes up the rest of the visits.
    let first = spec.visits_per_day * (1.0 - spec.returns.share);
    let mean_week: f64 = arrivals.week.iter().sum::<f64>() / 7.0;
    let all_hours: f64 = arrivals.hours.iter().sum();
    let mut found = Vec::new();
    for (index, campaign) in world.campaigns.iter().enumerate() {
        let bursts = bursts(world.length, spec, campaign.name.is_some(), rng);
        for hour in 0..world.length / HOUR {
            let of_day = arrivals.hours[(hour % 24) as usize] / all_hours;
            let of_week = arrivals.week[(hour / 24 % 7) as usize] / mean_week;
            let is_burst = bursts.iter().any(|(from, to)| (*from..*to).contains(&(hour * HOUR)));
            let factor = if is_burst { arrivals.burst_factor } else { 1.0 };
            let visits = poisson(first * campaign.share * of_day * of_week * factor, rng);
            found.extend((0..visits).map(|_| (hour * HOUR + ms(unit(rng) * 3_600.0), index as u16)));
        }
    }
    found.sort_unstable();
    found
}

/// Bursts start at full hours of the day.
fn bursts(length: Ms, spec: &Spec, is_campaign: bool, rng: &mut ChaCha8Rng) -> Vec<(Ms, Ms)> {
    if !is_campaign {
        return Vec::new();
    }
    let many = poisson(spec.arrivals.bursts * length as f64 / (30 * DAY) as f64, rng);
    let mut burst = || {
        let day = (unit(rng) * (length / DAY) as f64) as Ms;
        let hour = pick(&spec.arrivals.hours, rng) as Ms;
        let from = day * DAY + hour * HOUR;
        (from, from + ms(spec.arrivals.burst_length.draw(rng)).max(HOUR))
    };
    (0..many).map(|_| burst()).collect()
}

/// The factor that makes [`crate::simulate::spec::Calls::per_visit`] true on average.
fn propensity(spec: &Spec, rng: &mut ChaCha8Rng) -> f64 {
    const DRAWS: usize = 20_000;
    let weights: Vec<f64> = spec.source.iter().map(|source| source.share).collect();
    let mut draw = || {
        let source = &spec.source[pick(&weights, rng)];
        source.calls * spec.visit.time.draw(rng).powf(spec.calls.engagement)
    };
    let mean = (0..DRAWS).map(|_| draw()).sum::<f64>() / DRAWS as f64;
    if mean > 0.0 { spec.calls.per_visit / mean } else { 0.0 }
}

struct Maker<'a> {
    world: &'a mut World,
    spec: &'a Spec,
    regions: Regions,
    propensity: f64,
    rng: ChaCha8Rng,
}

struct Person {
    home: usize,
    caller: Option<E164>,
    caller_region: Option<Arc<str>>,
}

/// A call that a visit leads to.
enum Intent {
    /// So many seconds into the time in sight.
    OnPage { at: f64, way: Way },
    /// So many seconds after leaving.
    After { by: f64, kind: Kind },
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Taps the number.
    Tap,
    /// Leaves the page for the dialler and types.
    Types,
    /// With another telephone, beside the page.
    Beside,
}

/// Where something interrupts the time in sight.
enum Mark {
    NextPage,
    Background(f64),
    IdleTap,
    Copy,
    Call(Way),
}

impl Maker<'_> {
    fn person(&mut self, at: Ms, campaign: u16) {
        let serial = self.world.people;
        self.world.people += 1;
        let home = pick(&self.regions.weights, &mut self.rng);
        let (caller, caller_region) = self.telephone(home, serial);
        let person = Person { home, caller, caller_region };
        let mut device = self.device();
        let (mut cookie, mut blocked) = self.arrive(device);
        let (mut at, mut campaign) = (at, campaign);
        let mut touch = self.world.visits.len() as VisitId;
        loop {
            let end = self.visit(&person, at, cookie, campaign, touch, device, blocked);
            if !happens(self.spec.returns.share, &mut self.rng) {
                return;
            }
            at = end + ms(self.spec.returns.after.draw(&mut self.rng)).max(60_000);
            if at >= self.world.length {
                return;
            }
            let is_direct = self.come_back(&mut campaign);
            let next = self.world.visits.len() as VisitId;
            let way = unit(&mut self.rng);
            let same = self.spec.returns.same_cookie;
            if way >= same {
                if way >= same + self.spec.returns.lost_cookie {
                    device = if device == Device::Desktop { Device::Mobile } else { Device::Desktop };
                }
                (cookie, blocked) = self.arrive(device);
                if is_direct {
                    campaign = self.direct().unwrap_or(campaign);
                }
            }
            // A direct visit of the same cookie keeps the source that brought it first.
            if way >= same || !is_direct {
                touch = next;
            }
        }
    }

    /// A new cookie on this device.
    fn arrive(&mut self, device: Device) -> (u32, bool) {
        let losses = &self.spec.losses;
        let share = if device == Device::Desktop { losses.blocked_desktop } else { losses.blocked_mobile };
        let cookie = self.world.cookies.len() as u32;
        self.world.cookies.push(self.world.people - 1);
        (cookie, happens(share, &mut self.rng))
    }

    fn device(&mut self) -> Device {
        let devices = &self.spec.devices;
        let draw = unit(&mut self.rng);
        match draw {
            _ if draw < devices.mobile => Device::Mobile,
            _ if draw < devices.mobile + devices.tablet => Device::Tablet,
            _ => Device::Desktop,
        }
    }

    fn telephone(&mut self, home: usize, serial: u32) -> (Option<E164>, Option<Arc<str>>) {
        let regions = &self.spec.regions;
        let draw = unit(&mut self.rng);
        let elsewhere = pick(&self.regions.weights, &mut self.rng);
        let is_withheld = happens(self.spec.calls.withheld, &mut self.rng);
        let region = match draw {
            _ if draw < regions.caller_unknown => None,
            _ if draw < regions.caller_unknown + (1.0 - regions.caller_unknown) * regions.caller_right => Some(home),
            _ => Some(elsewhere),
        };
        if is_withheld {
            return (None, None);
        }
        let caller = super::caller(region.map_or(0, |region| region + 1), serial);
        (caller, region.map(|region| Arc::clone(&self.regions.codes[region])))
    }

    fn placed(&mut self, home: usize) -> Option<Arc<str>> {
        let regions = &self.spec.regions;
        let (unknown, right) = (regions.address_unknown, regions.address_right);
        let draw = unit(&mut self.rng);
        let elsewhere = pick(&self.regions.weights, &mut self.rng);
        let region = match draw {
            _ if draw < unknown => return None,
            _ if draw < unknown + (1.0 - unknown) * right => home,
            _ => elsewhere,
        };
        Some(Arc::clone(&self.regions.codes[region]))
    }

    /// Where the next visit comes from; whether directly.
    fn come_back(&mut self, campaign: &mut u16) -> bool {
        let draw = unit(&mut self.rng);
        let returns = &self.spec.returns;
        if draw < returns.direct {
            return true;
        }
        if draw >= returns.direct + returns.same_source {
            let shares: Vec<f64> = self.world.campaigns.iter().map(|campaign| campaign.share).collect();
            *campaign = pick(&shares, &mut self.rng) as u16;
        }
        false
    }

    fn direct(&self) -> Option<u16> {
        let is_direct = |campaign: &super::Campaign| campaign.kind == SourceKind::Direct;
        self.world.campaigns.iter().position(is_direct).map(|index| index as u16)
    }

    /// One visit and all calls that come of it. Returns when the visitor has left.
    #[allow(clippy::too_many_arguments)]
    fn visit(
        &mut self,
        person: &Person,
        at: Ms,
        cookie: u32,
        campaign: u16,
        touch: VisitId,
        device: Device,
        blocked: bool,
    ) -> Ms {
        let id = self.world.visits.len() as VisitId;
        let region = self.placed(person.home);
        self.world.visits.push(Visit { cookie, campaign, touch, device, region });
        self.world.blocked_visits += u32::from(blocked);
        let mut time = self.spec.visit.time.draw(&mut self.rng).clamp(1.0, LONG);
        let intent = self.intent(campaign, time, device);
        let mut marks = self.marks(time, device);
        if let Some(Intent::OnPage { at, way }) = &intent {
            // Reads at least until the call; beside the page, during most of it too.
            time = time.max(at + 1.0);
            marks.push((*at, Mark::Call(*way)));
            if *way == Way::Beside && happens(self.spec.calls.copy, &mut self.rng) {
                let before = self.spec.calls.copy_lead.draw(&mut self.rng);
                marks.push(((at - before).max(1.0).min(*at), Mark::Copy));
            }
        }
        marks.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let end = self.walk(person, id, at, time, marks, device, blocked);
        if let Some(Intent::After { by, kind }) = intent {
            let mut at = end + ms(by);
            if kind == Kind::Late {
                at = self.awake(at);
            }
            self.ring(person, at, id, kind, Dials::Seen(id), blocked);
        }
        end
    }

    fn intent(&mut self, campaign: u16, time: f64, device: Device) -> Option<Intent> {
        let calls = &self.spec.calls;
        let source = &self.spec.source[usize::from(self.world.source_of(campaign))];
        let probability = (self.propensity * source.calls * time.powf(calls.engagement)).min(CALL_MAX);
        if !happens(probability, &mut self.rng) {
            return None;
        }
        let draw = unit(&mut self.rng);
        if draw < calls.on_page {
            let at = time * unit(&mut self.rng).powf(calls.on_page_power);
            let at = if at.is_finite() { at.clamp(FIRST_LOOK, LONG) } else { LONG };
            let way = match device {
                Device::Mobile if happens(calls.tap, &mut self.rng) => Way::Tap,
                Device::Mobile => Way::Types,
                _ => Way::Beside,
            };
            Some(Intent::OnPage { at, way })
        } else if draw < calls.on_page + calls.soon {
            Some(Intent::After { by: calls.soon_after.draw(&mut self.rng), kind: Kind::Soon })
        } else {
            Some(Intent::After { by: calls.late_after.draw(&mut self.rng), kind: Kind::Late })
        }
    }

    /// What interrupts a visit of so much time, without the call.
    fn marks(&mut self, time: f64, device: Device) -> Vec<(f64, Mark)> {
        let visit = &self.spec.visit;
        let mut marks = Vec::new();
        while happens(visit.next_page, &mut self.rng) {
            marks.push((time * unit(&mut self.rng), Mark::NextPage));
        }
        if happens(visit.background, &mut self.rng) {
            let pause = visit.background_time.draw(&mut self.rng);
            marks.push((time * unit(&mut self.rng), Mark::Background(pause)));
        }
        if device == Device::Mobile && happens(visit.idle_tap, &mut self.rng) {
            marks.push((time * unit(&mut self.rng), Mark::IdleTap));
        }
        marks
    }

    /// Goes through the visit and says what its pages say.
    #[allow(clippy::too_many_arguments)]
    fn walk(
        &mut self,
        person: &Person,
        id: VisitId,
        at: Ms,
        time: f64,
        marks: Vec<(f64, Mark)>,
        device: Device,
        blocked: bool,
    ) -> Ms {
        let lost_close = match device {
            Device::Desktop => self.spec.losses.closes_desktop,
            _ => self.spec.losses.closes_mobile,
        };
        let mut page = Page { clock: at, since_beat: 0.0, seen: 0.0 };
        self.say(page.clock, What::Open(id), blocked);
        for (offset, mark) in marks {
            self.read(&mut page, offset, id, blocked);
            match mark {
                Mark::NextPage => {
                    if !happens(lost_close, &mut self.rng) {
                        self.say(page.clock, What::Close(id), blocked);
                    }
                    page.resume(0.3 + unit(&mut self.rng));
                    self.say(page.clock, What::Open(id), blocked);
                }
                Mark::Background(pause) => self.away(&mut page, id, pause, blocked),
                Mark::IdleTap => {
                    self.say(page.clock, What::Tap(id), blocked);
                    page.resume(0.5);
                    let pause = 1.0 + 4.0 * unit(&mut self.rng);
                    self.away(&mut page, id, pause, blocked);
                }
                Mark::Copy => self.say(page.clock, What::Copy(id), blocked),
                Mark::Call(way) => {
                    let is_over = self.call(person, &mut page, id, way, blocked);
                    if is_over {
                        return page.clock;
                    }
                }
            }
        }
        self.read(&mut page, time, id, blocked);
        if !happens(lost_close, &mut self.rng) {
            self.say(page.clock, What::Close(id), blocked);
        }
        page.clock
    }

    /// The call that the visitor makes now. Whether nobody comes back to the page.
    fn call(&mut self, person: &Person, page: &mut Page, id: VisitId, way: Way, blocked: bool) -> bool {
        if way == Way::Beside {
            let talk = self.ring(person, page.clock, id, Kind::OnPage, Dials::Seen(id), blocked);
            self.read(page, page.seen + talk, id, blocked);
            page.seen -= talk;
            return false;
        }
        let lead = if way == Way::Tap {
            self.say(page.clock, What::Tap(id), blocked);
            self.spec.calls.tap_lead.draw(&mut self.rng)
        } else {
            4.0 + 12.0 * unit(&mut self.rng)
        };
        let to_dialler = (0.3 + 1.2 * unit(&mut self.rng)).min(lead);
        let at = page.clock + ms(lead);
        page.resume(to_dialler);
        self.say(page.clock, What::Hidden(id), blocked);
        let talk = self.ring(person, at, id, Kind::OnPage, Dials::Seen(id), blocked);
        page.resume(lead - to_dialler + talk);
        if !happens(self.spec.calls.reads_on, &mut self.rng) {
            return true;
        }
        self.say(page.clock, What::Visible(id), blocked);
        false
    }

    /// In sight until `offset`.
    fn read(&mut self, page: &mut Page, offset: f64, id: VisitId, blocked: bool) {
        let mut left = (offset - page.seen).max(0.0);
        page.seen = page.seen.max(offset);
        while page.since_beat + left >= BEAT {
            let step = BEAT - page.since_beat;
            page.clock += ms(step);
            page.since_beat = 0.0;
            left -= step;
            if !happens(self.spec.losses.beats, &mut self.rng) {
                self.say(page.clock, What::Beat(id), blocked);
            }
        }
        page.clock += ms(left);
        page.since_beat += left;
    }

    /// Out of sight, and back.
    fn away(&mut self, page: &mut Page, id: VisitId, pause: f64, blocked: bool) {
        self.say(page.clock, What::Hidden(id), blocked);
        page.resume(pause);
        self.say(page.clock, What::Visible(id), blocked);
    }

    fn say(&mut self, at: Ms, what: What, blocked: bool) {
        if !blocked {
            self.world.happenings.push(Happening { at, what });
        }
    }

    /// A call, and those that follow from it. Returns how long it takes, in seconds.
    fn ring(&mut self, person: &Person, at: Ms, visit: VisitId, kind: Kind, dials: Dials, blocked: bool) -> f64 {
        if at >= self.world.length {
            return 0.0;
        }
        let id = self.world.calls.len() as CallId;
        if blocked {
            self.world.blocked_calls += 1;
        } else {
            let (caller, region) = (person.caller.clone(), person.caller_region.clone());
            self.world.calls.push(Call { caller, region, dials, visit: Some(visit), kind });
            self.world.happenings.push(Happening { at, what: What::Call(id) });
        }
        let calls = &self.spec.calls;
        if happens(calls.missed, &mut self.rng) {
            if happens(calls.redial, &mut self.rng) {
                let at = at + ms(RINGS + calls.redial_after.draw(&mut self.rng));
                self.ring(person, at, visit, Kind::Redial, Dials::Again(id), blocked);
            }
            return RINGS;
        }
        let talk = calls.talk.draw(&mut self.rng).min(LONG);
        if happens(calls.again, &mut self.rng) {
            let at = at + ms(talk + calls.again_after.draw(&mut self.rng));
            let at = self.awake(at);
            self.ring(person, at, visit, Kind::Again, Dials::Again(id), blocked);
        }
        talk
    }

    /// This time, or one in the first three hours that people are awake again.
    fn awake(&mut self, at: Ms) -> Ms {
        let [from, to] = self.spec.calls.awake;
        let hour = (at % DAY) as f64 / HOUR as f64;
        if (from..to).contains(&hour) {
            return at;
        }
        let day = if hour < from { at / DAY } else { at / DAY + 1 };
        day * DAY + ms(3_600.0 * (from + unit(&mut self.rng) * 3.0f64.min(to - from)))
    }
}

/// Where a visit stands.
struct Page {
    clock: Ms,
    /// Seconds in sight since the last beat.
    since_beat: f64,
    /// Seconds in sight since the beginning.
    seen: f64,
}

impl Page {
    /// Time passes that the page is not in sight; beats start anew.
    fn resume(&mut self, seconds: f64) {
        self.clock += ms(seconds);
        self.since_beat = 0.0;
    }
}
