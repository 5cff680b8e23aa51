//! The SIP messages of a call as a ladder: the caller's side, us, the company's side.

use maud::{Markup, html};

use super::view::View;
use crate::ids::Side;
use crate::io::http::messages::{has_description, start_line};
use crate::io::messages::{Kept, Message};
use crate::io::signalling::Seen;

/// Every message with its arrow; its text opens.
pub(super) fn ladder(view: &View, kept: &Kept) -> Markup {
    let first = kept.messages.first().map_or(view.now, |message| message.at);
    html! {
        div.ladder {
            div.ends aria-hidden="true" {
                span { (view.t("side-caller")) } span { "Leaseline" } span { (view.t("side-company")) }
            }
            ol { @for message in &kept.messages { (rung(view, message, message.at.millis_since(first))) } }
            @if kept.left_out > 0 { p.soft { (view.tn("ladder-left-out", kept.left_out)) } }
        }
    }
}

fn rung(view: &View, message: &Message, after_ms: u64) -> Markup {
    let from_left =
        matches!((message.side, message.seen), (Side::Caller, Seen::Received) | (Side::Company, Seen::Sent));
    let (side, other) = match message.side {
        Side::Caller => ("caller", view.t("side-caller")),
        Side::Company => ("company", view.t("side-company")),
    };
    let (from, to) =
        if message.seen == Seen::Received { (other.as_ref(), "Leaseline") } else { ("Leaseline", other.as_ref()) };
    let line = start_line(&message.bytes);
    let mood = line.get(..3).and_then(|status| status.parse::<u16>().ok()).map_or("", |status| match status {
        100..300 => "fine",
        300..400 => "",
        _ => "refused",
    });
    html! {
        li class={ "rung " (side) " " (if from_left { "right" } else { "left" }) } {
            details {
                summary {
                    span.at.mono { (format!("{}.{:03}", after_ms / 1_000, after_ms % 1_000)) }
                    span.visually-hidden { (from) " → " (to) ": " }
                    span class={ "arrow " (mood) } { span.line.mono { (line) } @if has_description(&message.bytes) { span.tag { "SDP" } } }
                }
                p.soft { (message.flow.transport.to_string()) " " (message.flow.local) " ↔ " (message.flow.remote) }
                pre.json tabindex="0" { (String::from_utf8_lossy(&message.bytes)) }
            }
        }
    }
}
