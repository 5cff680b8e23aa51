//! Copies of calls that somebody else carries, at the door (RFC 7866, server): whose they are, and which stream is whose.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rand_core::Rng;

use super::{B2bua, Output, Refused, panic_text};
use crate::config::{Company, Pool, PoolKind, Trunk};
use crate::core::admission::{Ask, Reject};
use crate::core::agent::{Extra, Flow, LegId};
use crate::core::attribution;
use crate::core::call::offer::description;
use crate::core::event::CallData;
use crate::core::siprec::heard::{Heard, HeardCtx, NewHeard, speakers};
use crate::core::{media, media_address, number, route};
use crate::ids::{E164, Side};
use crate::time::Now;
use crate::wire::rs_metadata::Speaker;
use crate::wire::sdp_streams::{self, Stream};
use crate::wire::sip::{Message, Uri};

/// The number of ours that was dialled, and whose it is.
type Owned = (E164, Arc<Company>, Arc<Pool>);

/// Whether this INVITE begins a recording session.
pub(super) fn is_recording(request: &Message) -> bool {
    request.list("Require").any(|option| option.eq_ignore_ascii_case("siprec"))
}

impl B2bua {
    /// A recording session's INVITE of a trunk becomes a heard call, or is refused.
    pub(super) fn begin_heard(
        &mut self,
        now: Now,
        leg: LegId,
        request: &Message,
        flow: Flow,
        trunk: &Arc<Trunk>,
        dialled: &str,
    ) {
        if !trunk.siprec {
            let headers = vec![("Unsupported".into(), "siprec".to_owned())];
            self.agent.turn_away(now, leg, 420, Extra { headers, ..Extra::default() });
            return self
                .out
                .push_back(Output::Refused(Refused { code: "bad_extension", trunk: Some(Arc::clone(trunk)) }));
        }
        match self.admit_heard(now, leg, request, flow, trunk, dialled) {
            Ok(facts) => {
                self.own_leg(leg, facts.data.call_id, Side::Caller);
                self.drive_heard(now, Box::new(Heard::new(facts)), |heard, ctx| heard.start(ctx));
            }
            Err(reject) => self.turn_away(now, leg, Some(trunk), dialled, reject),
        }
    }

    fn admit_heard(
        &mut self,
        now: Now,
        leg: LegId,
        request: &Message,
        flow: Flow,
        trunk: &Arc<Trunk>,
        dialled: &str,
    ) -> Result<NewHeard, Reject> {
        let settings = Arc::clone(&self.settings);
        self.admission.node_has_room(now.mono, &settings.config)?;
        let unreadable = Reject::new(488, "bad_session_description");
        let body = description(request).ok_or(unreadable)?;
        let streams = sdp_streams::read(&body).map_err(|_| unreadable)?;
        let usable = |stream: &Stream| {
            let recordable = |audio: &crate::wire::sdp::Audio| {
                let may = media_address::is_acceptable(audio.rtp, settings.own_media()).is_ok();
                may && audio.formats.iter().any(|format| format.is_codec() && media::is_recordable(&format.name))
            };
            stream.audio.as_ref().is_some_and(recordable)
        };
        let usable: Vec<usize> =
            streams.iter().enumerate().filter(|(_, stream)| usable(stream)).map(|(slot, _)| slot).collect();
        if usable.is_empty() {
            return Err(Reject::new(488, "no_common_codec"));
        }
        let speakers = speakers(request);
        let calls = &self.attributor.calls;
        let owned = |text: &str, caller: Option<&str>| -> Option<Owned> {
            let written = number::candidates(text, trunk.country.as_deref(), &trunk.prefix);
            written.into_iter().find_map(|number: E164| {
                let before = |company: &str| calls.dialled(company, caller?, &number);
                let owner = settings.directory.owner_for(&number, before)?;
                let (company, pool) = (owner.company.clone(), owner.pool.clone());
                Some((number, company, pool))
            })
        };
        let caller_of = |speaker: &Speaker| {
            let text = user(&speaker.names.first()?.aor)?;
            let read = number::candidates(&text, trunk.country.as_deref(), &trunk.prefix).into_iter().next();
            read.map(|number| number.as_str().to_owned())
        };
        // The one with a number of ours was called; of a shared one, whom the other called by it before decides.
        let other = |at: usize| speakers.iter().enumerate().find(|(index, _)| *index != at).map(|(_, one)| one);
        let of_speaker = |at: usize| {
            let caller = other(at).and_then(caller_of);
            speakers[at].names.iter().find_map(|name| owned(&user(&name.aor)?, caller.as_deref()))
        };
        let called = (0..speakers.len()).find_map(|at| Some((at, of_speaker(at)?)));
        let caller = match &called {
            Some((at, _)) => other(*at),
            None => speakers.first(),
        };
        let caller_number = caller.and_then(caller_of);
        let (at, owned) = match called {
            Some((at, owned)) => (Some(at), owned),
            None => (None, owned(dialled, caller_number.as_deref()).ok_or(Reject::new(404, "number_unknown"))?),
        };
        let (number, company, pool) = owned;
        let slots = slots(&streams, &usable, caller, at.and_then(|at| speakers.get(at)));
        let name = caller.and_then(|one| one.names.first());
        let channel = pool.channel.as_ref().filter(|_| pool.kind == PoolKind::Static);
        let caller_region = caller_number.as_deref().and_then(|number| settings.regions.of(number));
        let who = attribution::Question {
            company: &company.name,
            number: &number,
            caller: caller_number.as_deref(),
            caller_region: caller_region.as_deref(),
            channel,
            memory: settings.config.attribution.memory,
        };
        let told = self.told_of(now, &company, &number, caller_number.as_deref(), None);
        let answer = self.attributor.decide(&self.leases, now.wall, &who);
        let attribution = told.as_ref().map_or_else(|| answer.attribution.clone(), |told| told.attribution.clone());
        let ask = Ask {
            trunk,
            source: flow.remote.ip(),
            company: &company,
            pool: &pool,
            number: &number,
            caller: caller_number.as_deref(),
            destination: None,
            is_costly: false,
        };
        let admitted = self.admission.check(now, &settings.config, &ask)?;
        let is_told = told.is_some();
        let (call_id, started_at) = match told {
            Some(told) => (told.call_id, told.started_at),
            None => {
                self.attributor.learn(now.wall, &who, &answer);
                (self.call_id(now), now.wall)
            }
        };
        self.take_over(call_id, &trunk.name);
        let known = caller_number.as_deref().and_then(|caller| settings.directory.caller(caller, &company.name));
        let usual = company.recording.unwrap_or(settings.config.recording.enabled);
        let recorded = pool.recording.unwrap_or(usual) && known.is_none_or(|known| known.recording);
        let data = CallData {
            company: company.name.clone(),
            pool: pool.name.clone(),
            caller_reason: caller_number.is_none().then(|| "unreadable".to_owned()),
            caller_name: known.map(|known| known.name.clone()).or_else(|| name?.name.clone()),
            caller_note: known.and_then(|known| known.note.clone()),
            caller: caller_number,
            trunk: trunk.name.clone(),
            via: Some("siprec".into()),
            ..CallData::new(call_id, number, attribution, started_at)
        };
        let session_id = self.random.next_u64();
        Ok(NewHeard {
            admitted,
            leg,
            trunk: Arc::clone(trunk),
            flow,
            data,
            is_told,
            recorded,
            streams,
            slots,
            speakers,
            session_id,
        })
    }

    /// Does this to a heard call and puts it where it belongs then. An error of ours inside it ends that call alone.
    pub(super) fn drive_heard(
        &mut self,
        now: Now,
        mut heard: Box<Heard>,
        act: impl FnOnce(&mut Heard, &mut HeardCtx<'_>),
    ) {
        let settings = Arc::clone(&self.settings);
        let mut ctx = HeardCtx { now, agent: &mut self.agent, settings: &settings, out: &mut self.out };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| act(&mut heard, &mut ctx))) {
            tracing::error!(call = %heard.id(), panic = panic_text(panic.as_ref()), "a call crashed and is ended");
            heard.cut_off(&mut ctx);
        }
        if let Some(answered) = heard.data().answered_at {
            self.admission.answered(answered, heard.admitted_mut());
        }
        let id = heard.id();
        if heard.is_ended() {
            self.disarm(id);
            self.legs.remove(&heard.leg());
            self.remember_passed(now, heard.data());
            let ended = heard.data().ended_at.unwrap_or(now.wall);
            self.admission.release(Now { wall: ended, ..now }, &heard.into_admitted());
        } else {
            self.arm(id, heard.poll_timeout());
            self.heard.insert(id, heard);
        }
    }
}

/// Which stream is whose: as the metadata says who sends which label, else by order, the caller first.
fn slots(
    streams: &[Stream],
    usable: &[usize],
    caller: Option<&Speaker>,
    called: Option<&Speaker>,
) -> [Option<usize>; 2] {
    let sent_by = |speaker: Option<&Speaker>| {
        let labels = &speaker?.sends;
        let sends = |slot: &&usize| {
            let label = streams.get(**slot).and_then(|stream| stream.label.as_ref());
            label.is_some_and(|label| labels.contains(label))
        };
        usable.iter().find(sends).copied()
    };
    let (mut caller, company) = (sent_by(caller), sent_by(called));
    // A mixed stream is one stream of both: it stands in the caller's channel.
    if caller == company {
        caller = caller.filter(|_| usable.len() < 2);
        let next = |taken: Option<usize>| usable.iter().copied().find(|slot| Some(*slot) != taken);
        return match caller {
            Some(mixed) => [Some(mixed), None],
            None => [next(None), next(next(None))],
        };
    }
    let other = |taken: Option<usize>| usable.iter().copied().find(|slot| Some(*slot) != taken);
    [caller.or_else(|| other(company)), company.or_else(|| other(caller))]
}

fn user(aor: &str) -> Option<String> {
    route::user_of(&Uri::parse(aor).ok()?)
}
