//! What a phone does within a call, by script: offers of every kind, with the back-off of RFC 3261 §14.1 when they
//! meet, INFO, MESSAGE, REFER and its NOTIFYs.

use std::net::SocketAddr;
use std::time::Duration;

use leaseline::time::Mono;
use leaseline::wire::sip::Message;

use super::{Act, Phone, Sent, direction_of, sdp};

/// One thing to do in a call.
#[derive(Clone, Debug)]
pub enum Do {
    /// Re-INVITE with this direction.
    Reinvite(&'static str),
    /// Re-INVITE with this whole description.
    Describe(String),
    /// Re-INVITE without a description: the other side makes the offer.
    Offerless,
    /// UPDATE with this direction, or without a description.
    Update(Option<&'static str>),
    /// Any method with header lines and a body of this type.
    Send(&'static str, Vec<(&'static str, String)>, Option<(&'static str, String)>),
    HangUp,
    /// The final response to the first INVITE once more.
    Again,
    /// CANCEL of a re-INVITE that waits.
    Cancel,
}

impl Phone {
    pub(super) fn script(&mut self, now: Mono, call: &str, script: &[(Duration, Do)]) {
        for (after, what) in script {
            self.act(now + *after, Act::Do { call: call.to_owned(), what: what.clone() });
        }
    }

    pub(super) fn by_the_clock(&mut self, now: Mono, call: &str, timed: &[(Duration, Do)]) {
        for (after, what) in timed {
            self.act(now + *after, Act::Timed { call: call.to_owned(), what: what.clone() });
        }
    }

    /// In the call when it is up, in its early dialog before, and not at all after.
    pub(super) fn on_time(&mut self, now: Mono, call: &str, what: Do) -> Sent {
        let is_unacked = self.unacked.iter().any(|pending| pending.call == call);
        let Some(dialog) = self.dialogs.get_mut(call) else { return Vec::new() };
        if matches!(what, Do::Again) {
            return self.answer_again(call);
        }
        // Who answered waits for the ACK (RFC 3261 §14.1, §15).
        if dialog.up && is_unacked {
            self.act(now + Duration::from_millis(100), Act::Timed { call: call.to_owned(), what });
            return Vec::new();
        }
        if dialog.up {
            return self.perform(now, call, what);
        }
        let has_dialog = !dialog.ours || dialog.remote.contains(";tag=");
        if !dialog.finals.is_empty() || !has_dialog {
            return Vec::new();
        }
        if !matches!(what, Do::HangUp) {
            return self.perform(now, call, what);
        }
        dialog.left = true;
        dialog.held.clear();
        self.unpracked.retain(|pending| pending.call != call);
        self.acts.retain(|_, act| !matches!(act, Act::Respond { call: of, .. } if of == call));
        self.request(now, call, "BYE", None, &[])
    }

    fn answer_again(&self, call: &str) -> Sent {
        let invite = self.dialogs.get(call).filter(|dialog| !dialog.ours).and_then(|dialog| dialog.invite.as_ref());
        let branch = invite.and_then(|invite| Some(invite.top_via().ok()?.branch()?.to_owned()));
        let given = branch.and_then(|branch| self.given.get(&(branch, "INVITE".to_owned())));
        given.and_then(|(given, to)| Some((*to, given.last()?.clone()))).into_iter().collect()
    }

    /// Does it now, on the call with this Call-ID.
    pub fn perform(&mut self, now: Mono, call: &str, what: Do) -> Sent {
        let me = self.me();
        let Some(dialog) = self.dialogs.get_mut(call).filter(|dialog| dialog.up || !dialog.confirmed) else {
            return Vec::new();
        };
        let mut described = |direction: &str| {
            dialog.sdp_version += 1;
            Some(("application/sdp", sdp(me, dialog.sdp_version, direction, "8 101")))
        };
        let (method, headers, body) = match &what {
            Do::HangUp => return self.hang_up(now, call),
            Do::Again => return self.answer_again(call),
            Do::Cancel => return self.cancel_reinvite(now, call),
            Do::Reinvite(direction) => ("INVITE", Vec::new(), described(direction)),
            Do::Describe(text) => ("INVITE", Vec::new(), Some(("application/sdp", text.clone()))),
            Do::Offerless => {
                let next = dialog.cseq + 1;
                dialog.offerless.insert(next);
                ("INVITE", Vec::new(), None)
            }
            Do::Update(direction) => ("UPDATE", Vec::new(), direction.and_then(described)),
            Do::Send(method, headers, body) => (*method, headers.clone(), body.clone()),
        };
        let is_offer = method == "INVITE" || method == "UPDATE";
        self.request_with(now, call, method, body, &headers, is_offer.then_some(what))
    }

    /// Final response to a request within the call.
    pub(super) fn on_final(&mut self, now: Mono, call: &str, method: &str, response: &Message, again: Option<Do>) {
        let status = response.status();
        let Some(dialog) = self.dialogs.get_mut(call) else { return };
        dialog.heard.push((method.to_owned(), status));
        if status < 300
            && method == "UPDATE"
            && let Some(direction) = direction_of(response)
        {
            dialog.heard_direction = direction;
        }
        if status != 491 || !dialog.up {
            return;
        }
        if let Some(what) = again {
            let owner = dialog.ours;
            self.serial += 1;
            let drawn = self.serial.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            // Who made the Call-ID waits longer.
            let wait = if owner { 2_100 + drawn % 1_900 } else { drawn % 2_000 };
            self.act(now + Duration::from_millis(wait), Act::Do { call: call.to_owned(), what });
        }
    }

    /// A request other than INVITE, ACK, CANCEL and BYE.
    pub(super) fn on_other(&mut self, from: SocketAddr, request: &Message, call: &str) -> Sent {
        let me = self.me();
        let method = request.method_token().to_owned();
        let offers_out = self.is_offering(call);
        let Some(dialog) = self.dialogs.get_mut(call) else { return self.reply(from, request, 481, None) };
        let body = String::from_utf8_lossy(&request.body()).into_owned();
        match method.as_str() {
            "UPDATE" if body.is_empty() => self.reply(from, request, 200, None),
            "UPDATE" if offers_out => self.reply(from, request, 491, None),
            "UPDATE" => {
                let status = dialog.answering.reinvite_status;
                if status >= 300 {
                    return self.reply(from, request, status, None);
                }
                let offered = direction_of(request).unwrap_or_default();
                let answer = dialog.answering.reinvite_direction.unwrap_or(answer_to(&offered));
                dialog.heard_direction = offered;
                dialog.sdp_version += 1;
                let text = sdp(me, dialog.sdp_version, answer, "8 101");
                self.reply(from, request, status, (status >= 200).then_some(text))
            }
            "NOTIFY" => {
                let state = request.header("Subscription-State").unwrap_or("").to_owned();
                dialog.notified.push(format!("{} | {state}", body.trim()));
                let done = dialog.answering.hangs_up_after_transfer && body.contains(" 200 ");
                let sent = self.reply(from, request, 200, None);
                if done {
                    self.act_soon(call);
                }
                sent
            }
            "INFO" if dialog.answering.mute_info => Vec::new(),
            "REFER" => {
                dialog.referred.push(request.header("Refer-To").unwrap_or("").to_owned());
                self.reply(from, request, 202, None)
            }
            _ => {
                dialog.received.push((method, body));
                self.reply(from, request, 200, None)
            }
        }
    }

    /// An offer of ours has no answer yet.
    pub(super) fn is_offering(&self, call: &str) -> bool {
        let settled = self.dialogs.get(call).is_some_and(|dialog| dialog.agreed && !dialog.confirmed);
        let offers = |pending: &super::Pending| (pending.invite && !settled) || pending.again.is_some();
        self.pending.iter().any(|pending| pending.call == call && offers(pending))
    }
}

pub(super) fn answer_to(offered: &str) -> &'static str {
    match offered {
        "sendonly" => "recvonly",
        "recvonly" => "sendonly",
        "inactive" => "inactive",
        _ => "sendrecv",
    }
}
