//! Steps and figures of test phones, for people.

use super::say;
use crate::phone::{Figures, Step, What};

/// Prints one step as a line of a ladder.
pub(super) fn print(step: &Step) {
    let with_sdp = |line: &str, sdp: bool| if sdp { format!("{line}  [SDP]") } else { line.to_owned() };
    let text = match &step.what {
        What::Sent { line, sdp } => format!("──▶ {}", with_sdp(line, *sdp)),
        What::Received { line, sdp } => format!("◀── {}", with_sdp(line, *sdp)),
        What::Invited { number, caller } => format!("    call for {number} from {caller}"),
        What::Ringing { early_media: true } => "    ringing, with sound".to_owned(),
        What::Ringing { early_media: false } => "    ringing".to_owned(),
        What::Talking => "    talking".to_owned(),
        What::Ended(call) => {
            let talk = call.talk_ms as f64 / 1000.0;
            format!("    over after {talk:.1} s of talk, ended by {}; {}", call.ended_by, figures(&call.media))
        }
    };
    say(format_args!("{:9.3}  {text}", step.at.as_secs_f64()));
}

/// Media figures in one line.
pub(super) fn figures(media: &Figures) -> String {
    format!(
        "sent {} packets, received {}, lost {}, jitter {:.1} ms",
        media.sent, media.received, media.lost, media.jitter_ms
    )
}
