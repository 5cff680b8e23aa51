//! Keys of `[[site]]` that say which visits get a number.

use super::super::super::read::{Found, Reader, Section};
use super::super::super::{Secret, Track, Visits, value};
use super::super::{DAY, MINUTE, choice_found, duration};
use super::conditions;
use crate::limits;

/// Which visits of the site get a number.
pub(in super::super) fn visits<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Visits {
    let default = Visits::default();
    let exclude = r.list(s, "exclude", value::network);
    if let Found::Is(list, place) = &exclude
        && list.len() > limits::SITE_EXCLUDED
    {
        r.problem(place, format!("has more than {} networks", limits::SITE_EXCLUDED));
    }
    let staff_secret = r.secret(s, "staff_secret", "staff_secret_file").optional().map(Secret);
    let staff_for = duration(r, s, "staff_for", MINUTE, 400 * DAY).or(default.staff_for);
    let bots = r.boolean(s, "bots").or(default.bots);
    let per_address = r.integer(s, "leases_per_address_max", 0..1_000_001).optional();
    let score_min = r.integer(s, "score_min", 0..101);
    let track = choice_found(r, s, "track", &Track::ALL);
    let worth = conditions::tables(r, s, "worth", limits::POOL_CONDITIONS);
    let (track, place) = match track {
        Found::Is(track, place) => (track, place),
        Found::Absent | Found::Bad => (Track::All, s.place().clone()),
    };
    if track == Track::Rule && worth.is_empty() {
        r.problem(&place, "`track = \"rule\"` needs [[site.worth]]: what makes a visit worth a number?");
    }
    Visits {
        exclude: exclude.or(Vec::new()).into_iter().map(|(net, _)| net).collect(),
        staff_secret,
        staff_for,
        bots,
        leases_per_address_max: per_address
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default.leases_per_address_max),
        track,
        worth,
        score_min: score_min.optional().and_then(|n| u32::try_from(n).ok()).unwrap_or(default.score_min),
    }
}
