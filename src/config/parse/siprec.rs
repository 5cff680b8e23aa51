//! `[[siprec]]`: third parties' recorders, and the companies that use them.

use std::sync::Arc;

use super::super::check::Marks;
use super::super::read::{Found, Reader, Section};
use super::super::{Company, Siprec, Trunk, destination, value};
use super::{DAY, MINUTE, SECOND, duration, named};
use crate::limits;

pub(super) fn siprec<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Option<Siprec> {
    let name = named(r, s, marks);
    let uris = match r.list(s, "uri", uri) {
        Found::Is(uris, place) => {
            if uris.is_empty() || uris.len() > limits::SIPREC_PLACES {
                let message = format!("has {} places; write 1 to {}", uris.len(), limits::SIPREC_PLACES);
                r.problem(&place, message);
            }
            Some(uris)
        }
        found => r.required(s, "uri", found, "where the recorder is, like [\"sip:srs@192.0.2.60\"]"),
    };
    let trunk = r.text(s, "trunk", value::name);
    marks.note("trunk", &trunk);
    let retries = r.integer(s, "retries", 0..limits::SIPREC_RETRIES + 1).or(3);
    let siprec = Siprec {
        trunk_name: trunk.optional(),
        trunk: None,
        answer_timeout: duration(r, s, "answer_timeout", SECOND, MINUTE / 2).or(5 * SECOND),
        retries: u32::try_from(retries).unwrap_or(0),
        retry_after: duration(r, s, "retry_after", SECOND, DAY).or(5 * SECOND),
        uris: uris?.into_iter().map(|(uri, place)| (marks.destinations.push(place), uri).1).collect(),
        name: name?,
    };
    Some(siprec)
}

fn uri(text: &str) -> Result<String, String> {
    destination::parse(text)?;
    if text.contains('{') {
        return Err("has a place for a number; a recorder has one address for all calls".to_owned());
    }
    Ok(text.to_owned())
}

/// Finds the trunk of every recorder.
pub(super) fn through_trunks(
    r: &mut Reader<'_>,
    recorders: &mut [Siprec],
    marks: &[Marks],
    trunks: &[Arc<Trunk>],
    trunks_lost: bool,
) {
    for (recorder, marks) in recorders.iter_mut().zip(marks.iter().filter(|marks| !marks.lost)) {
        let Some(name) = &recorder.trunk_name else { continue };
        recorder.trunk = trunks.iter().find(|trunk| trunk.name == *name).cloned();
        if recorder.trunk.is_none() && !trunks_lost {
            let message = format!("there is no trunk `{name}`; add a [[trunk]] or correct the name");
            r.problem(marks.key("trunk"), message);
        }
    }
}

/// Finds the recorder of every company that names one.
pub(super) fn of_companies(
    r: &mut Reader<'_>,
    companies: &mut [Company],
    marks: &[Marks],
    recorders: &[Arc<Siprec>],
    recorders_lost: bool,
) {
    for (company, marks) in companies.iter_mut().zip(marks.iter().filter(|marks| !marks.lost)) {
        let Some(name) = &company.siprec_name else { continue };
        company.siprec = recorders.iter().find(|recorder| recorder.name == *name).cloned();
        if company.siprec.is_none() && !recorders_lost {
            let message = format!("there is no recorder `{name}`; add a [[siprec]] or correct the name");
            r.problem(marks.key("siprec"), message);
        }
    }
}
