//! `[trunk.probe]`: a trunk that is asked, now and then, whether it is there.

use std::time::Duration;

use super::super::super::read::{Reader, Section};
use super::super::super::{Probe, value};
use super::super::{MINUTE, duration};

const SECOND: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);

/// `leads_somewhere`: the trunk has an address or a registrar, to which a question can go.
pub(super) fn probe<'t>(r: &mut Reader<'t>, trunk: &mut Section<'_, 't>, leads_somewhere: bool) -> Option<Probe> {
    let mut s = r.section(trunk, "probe");
    let every = duration(r, &mut s, "every", 5 * SECOND, 60 * MINUTE).or(30 * SECOND);
    let timeout = duration(r, &mut s, "timeout", SECOND, 30 * SECOND).or(TIMEOUT);
    let (place, is_present) = (s.place().clone(), s.is_present());
    r.end(s);
    if !is_present {
        return None;
    }
    if timeout > every {
        let every = value::duration_text(every);
        r.problem(&place, format!("`timeout` is longer than `every`: at most \"{every}\" fits"));
    }
    if !leads_somewhere {
        r.problem(&place, "there is nobody to ask: write `address`, the way to the trunk, or [trunk.register]");
    }
    Some(Probe { every, timeout })
}
