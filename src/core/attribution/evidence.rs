//! Why somebody is a candidate, in words for people.

use super::weigh::{Part, Scale, Weighed, Why};

/// Everything that was weighed for this candidate, the strongest first.
pub(super) fn of(one: &Weighed, scale: &Scale) -> Vec<String> {
    let mut parts: Vec<&Part> = one.parts.iter().collect();
    parts.sort_by(|left, right| right.rate.total_cmp(&left.rate));
    let mut evidence: Vec<String> = parts.into_iter().map(text).collect();
    if one.is_active && scale.contention > 1 {
        evidence.push(format!("the number is on the pages of {} visitors", scale.contention));
    }
    if one.region > 1.0 {
        evidence.push("the caller's number is of the visitor's region".into());
    } else if one.region < 1.0 {
        evidence.push("the caller's number is of another region".into());
    }
    if one.history < 0.5 && !one.parts.iter().any(|part| matches!(part.why, Why::Again | Why::Renamed)) {
        evidence.push("earlier calls speak for somebody else".into());
    }
    evidence
}

fn text(part: &Part) -> String {
    let ago = span(part.age);
    match part.why {
        Why::Shown(_) => format!("on the page for {ago}"),
        Why::Left(..) => format!("left the page {ago} ago"),
        Why::Tapped => format!("tapped the number {ago} ago"),
        Why::Copied => format!("copied the number {ago} ago"),
        Why::Hidden => format!("the page went out of sight {ago} ago"),
        Why::Renamed => format!("this caller called {ago} ago and never saw the number as who they were taken for"),
        Why::Again => format!("this caller called {ago} ago and was taken for them"),
    }
}

/// `12 s`, `5 min`, `3 h`, `2 d`.
fn span(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
