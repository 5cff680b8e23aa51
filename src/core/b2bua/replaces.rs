//! INVITE with Replaces (RFC 3891): from the company's side it may name a leg of a call in progress.

use std::sync::Arc;

use super::{B2bua, Output, Refused};
use crate::core::admission::Reject;
use crate::core::agent::{Extra, Flow, LegId};
use crate::core::call;
use crate::core::call::transfer::Replaces;
use crate::ids::Side;
use crate::time::Now;
use crate::wire::sip::Message;

impl B2bua {
    /// `true` when the INVITE was taken care of. A trunk's Replaces that names nothing of ours is a header like any other
    /// that we do not know.
    pub(super) fn on_replaces(&mut self, now: Now, leg: LegId, request: &Arc<Message>, flow: Flow) -> bool {
        let requires = request.list("Require").any(|option| option.eq_ignore_ascii_case("replaces"));
        let Some(value) = request.header("Replaces") else {
            if requires {
                self.turn_away_extension(now, leg);
            }
            return requires;
        };
        let replaces = Replaces::parse(value);
        let named = replaces.as_ref().and_then(|replaces| {
            let old = self.agent.find_dialog(&replaces.call_id, &replaces.to_tag, &replaces.from_tag)?;
            let (call, side) = *self.legs.get(&old)?;
            Some((replaces, old, call, side))
        });
        let is_trunk = self.logged_in.is_some() || self.settings.directory.trunk_of(&flow).is_some();
        let reject = match named {
            Some((replaces, old, call, Side::Company)) => {
                let input = call::Input::Replace { leg, old, replaces, request, flow };
                self.tell_call(now, call, input);
                return true;
            }
            // RFC 3891 §3: an early dialog that the other side began is not replaced.
            Some((.., call, Side::Caller))
                if self.calls.get(&call).is_some_and(|call| call.data().answered_at.is_none()) =>
            {
                Reject::new(481, "replaces_early_dialog")
            }
            // A caller must not be cut off by an INVITE.
            Some((.., Side::Caller)) => Reject::new(603, "replaces_caller"),
            None if is_trunk && requires => {
                self.turn_away_extension(now, leg);
                return true;
            }
            None if is_trunk => return false,
            None if replaces.is_none() => Reject::new(400, "replaces_malformed"),
            None => Reject::new(481, "replaces_unknown_dialog"),
        };
        self.turn_away(now, leg, None, "", reject);
        true
    }

    /// Callers' trunks replace nothing: there the option is one that we do not have (RFC 3261 §8.2.2.3).
    fn turn_away_extension(&mut self, now: Now, leg: LegId) {
        let headers = vec![("Unsupported".into(), "replaces".to_owned())];
        self.agent.turn_away(now, leg, 420, Extra { headers, ..Extra::default() });
        self.out.push_back(Output::Refused(Refused { code: "bad_extension", trunk: None }));
    }
}
