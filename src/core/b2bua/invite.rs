//! An INVITE at the door: whose it is, what is decided before a call exists, and how the call begins.

use std::sync::Arc;

use rand_core::Rng;

use super::{B2bua, Settings, heard};
use crate::config::{PoolKind, Trunk};
use crate::core::admission::{Ask, Reject};
use crate::core::agent::{Flow, LegId};
use crate::core::attribution;
use crate::core::call::offer::{Stream, description, read_stream};
use crate::core::call::{Call, NewCall};
use crate::core::defence::fraud;
use crate::core::event::CallData;
use crate::core::route::Question;
use crate::core::{identity, number};
use crate::ids::{CallId, E164, Side};
use crate::time::Now;
use crate::wire::sdp::{Accepts, SdpError};
use crate::wire::sip::Message;

impl B2bua {
    pub(super) fn on_invite(&mut self, now: Now, leg: LegId, request: Arc<Message>, flow: Flow) {
        if self.on_replaces(now, leg, &request, flow) {
            return;
        }
        let logged_in = self.logged_in.take().map(|trunk| {
            let dialled = crate::core::route::dialled(&trunk, &request).unwrap_or_default();
            (trunk, dialled)
        });
        let Some((trunk, dialled)) = logged_in.or_else(|| self.trunk_of(&request, flow)) else {
            // A destination of ours that calls us: known, but nobody's trunk.
            return self.turn_away(now, leg, None, "", Reject::new(403, "not_a_trunk"));
        };
        if heard::is_recording(&request) {
            return self.begin_heard(now, leg, &request, flow, &trunk, &dialled);
        }
        let caller = (trunk, dialled);
        if !self.park(now, leg, &request, flow, &caller) {
            self.begin_call(now, leg, &request, flow, &caller);
        }
    }

    /// An INVITE of a trunk, with the number that it dials, becomes a call or is refused.
    pub(super) fn begin_call(
        &mut self,
        now: Now,
        leg: LegId,
        request: &Arc<Message>,
        flow: Flow,
        (trunk, dialled): &(Arc<Trunk>, String),
    ) {
        let settings = Arc::clone(&self.settings);
        if let Err(reject) = self.admission.node_has_room(now.mono, &settings.config) {
            return self.turn_away(now, leg, Some(trunk), "", reject);
        }
        match self.admit(now, leg, request, flow, trunk, dialled) {
            Ok(facts) => {
                self.own_leg(leg, facts.data.call_id, Side::Caller);
                self.drive(now, Box::new(Call::new(facts)), |call, ctx| call.start(ctx));
            }
            Err(reject) => self.turn_away(now, leg, Some(trunk), dialled, reject),
        }
    }

    /// Everything that is decided before a call exists.
    fn admit(
        &mut self,
        now: Now,
        leg: LegId,
        invite: &Arc<Message>,
        flow: Flow,
        trunk: &Arc<Trunk>,
        dialled: &str,
    ) -> Result<NewCall, Reject> {
        let settings = Arc::clone(&self.settings);
        let written = number::candidates(dialled, trunk.country.as_deref(), &trunk.prefix);
        // Whoever it is will be admitted below, or not; here it only matters whom they called before.
        let identity = identity::admit(trunk, invite);
        let caller = identity.as_ref().ok().and_then(|identity| identity.number.as_deref());
        let calls = &self.attributor.calls;
        let owned = written.into_iter().find_map(|number: E164| {
            let before = |company: &str| calls.dialled(company, caller?, &number);
            let owner = settings.directory.owner_for(&number, before)?.clone();
            Some((number, owner.company, owner.pool))
        });
        self.is_search(now, trunk, dialled, owned.is_some());
        let (number, company, pool) = owned.ok_or(Reject::new(404, "number_unknown"))?;
        let offer = read_offer(invite, trunk, &settings)?;
        let identity = identity?;
        let stir = identity.vouched(trunk, &self.certificates.fetched, invite, &number, now.wall)?;
        let channel = pool.channel.as_ref().filter(|_| pool.kind == PoolKind::Static);
        let caller_region = identity.number.as_deref().and_then(|number| settings.regions.of(number));
        let who = attribution::Question {
            company: &company.name,
            number: &number,
            caller: identity.number.as_deref(),
            caller_region: caller_region.as_deref(),
            channel,
            memory: settings.config.attribution.memory,
        };
        let told = self.told_of(now, &company, &number, identity.number.as_deref(), self.agent.sip_call_id(leg));
        let answer = self.attributor.decide(&self.leases, now.wall, &who);
        let attribution = told.as_ref().map_or_else(|| answer.attribution.clone(), |told| told.attribution.clone());
        let question = Question {
            company: &company,
            pool: &pool.name,
            number: &number,
            caller: identity.number.as_deref(),
            attribution: &attribution,
            at: now.wall,
        };
        let mut plan = self.desk.plan(&question, settings.names(), &mut self.random);
        let rules = &settings.config.fraud;
        let has_destination = !plan.targets.is_empty();
        plan.targets.retain_mut(|target| fraud::may_be_called(rules, &settings.directory, target));
        plan.parallel = plan.parallel.min(plan.targets.len());
        // Where a call goes that somebody else decides on is not known yet.
        let first = plan.targets.first().filter(|_| company.decide.is_none());
        let ask = Ask {
            trunk,
            source: flow.remote.ip(),
            company: &company,
            pool: &pool,
            number: &number,
            caller: identity.number.as_deref(),
            destination: first.map(|target| target.uri.as_str()),
            is_costly: first.is_some_and(|target| target.is_costly),
        };
        let admitted = if has_destination && plan.targets.is_empty() && company.decide.is_none() {
            Err(Reject::new(403, "destination_denied"))
        } else {
            self.admission.check(now, &settings.config, &ask)
        };
        let admitted = admitted.inspect_err(|reject| self.suspect(now, &ask, *reject))?;
        let is_told = told.is_some();
        let (call_id, started_at) = match told {
            Some(told) => (told.call_id, told.started_at),
            None => {
                self.attributor.learn(now.wall, &who, &answer);
                (self.call_id(now), now.wall)
            }
        };
        self.take_over(call_id, &trunk.name);
        let known = identity.number.as_deref().and_then(|caller| settings.directory.caller(caller, &company.name));
        // The nearest word counts; but who is known not to want it is never recorded.
        let usual = company.recording.unwrap_or(settings.config.recording.enabled);
        let recorded = plan.recording.or(pool.recording).unwrap_or(usual) && known.is_none_or(|known| known.recording);
        let data = CallData {
            company: company.name.clone(),
            pool: pool.name.clone(),
            caller: identity.number.clone(),
            caller_reason: identity.reason.map(str::to_owned),
            caller_name: known.map(|known| known.name.clone()).or_else(|| identity.display.clone()),
            caller_note: known.and_then(|known| known.note.clone()),
            privacy: (!identity.privacy.is_empty()).then(|| identity.privacy.to_string()),
            diversion: identity.diversions.clone(),
            trunk: trunk.name.clone(),
            stir,
            ..CallData::new(call_id, number, attribution, started_at)
        };
        Ok(NewCall {
            admitted,
            leg,
            trunk: Arc::clone(trunk),
            flow,
            invite: Arc::clone(invite),
            offer,
            identity,
            data,
            is_told,
            plan,
            caller_nat: trunk.nat,
            recorded,
            company,
            // RFC 7332 §4: a B2BUA counts the hop, or two of them call each other for ever.
            max_forwards: invite.max_forwards().ok().flatten().unwrap_or(70).saturating_sub(1),
            session_ids: [self.random.next_u64(), self.random.next_u64()],
            media_secret: settings.encrypts_media.then(|| {
                let mut secret = Box::new([0; 32]);
                self.random.fill_bytes(&mut *secret);
                secret
            }),
        })
    }

    /// Upper 48 bits: milliseconds since the epoch, so that ids sort by time; the rest is drawn.
    pub(super) fn call_id(&mut self, now: Now) -> CallId {
        let millis = u128::try_from(now.wall.0 / 1_000).unwrap_or(0) & 0xffff_ffff_ffff;
        let drawn = (u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64())) >> 48;
        CallId(millis << 80 | drawn)
    }
}

/// The offer of an INVITE, if it has one; 488 when there is nothing in it for us.
fn read_offer(invite: &Message, trunk: &Trunk, settings: &Settings) -> Result<Option<Stream>, Reject> {
    let Some(body) = description(invite) else { return Ok(None) };
    let accepts = trunk.media_encryption.unwrap_or_default().accepts();
    let accepts = Accepts { dtls: accepts.dtls && settings.fingerprint.is_some(), ..accepts };
    let read = read_stream(&body, settings.config.media.codecs, accepts);
    let read =
        read.and_then(|mut stream| if stream.limit(&trunk.codecs) { Ok(stream) } else { Err(SdpError::NoAudio) });
    read.map(Some).map_err(|error| {
        let code = match error {
            SdpError::NoAudio => "no_common_codec",
            SdpError::NotEncrypted => "media_not_encrypted",
            SdpError::Encrypted => "media_encryption_off",
            SdpError::NoKey => "no_media_key",
            _ => "bad_session_description",
        };
        Reject::new(488, code)
    })
}
