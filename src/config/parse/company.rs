//! `[[company]]`: whose numbers these are, and where their calls go.

use super::super::check::Marks;
use super::super::read::{Reader, Section};
use super::super::{Company, destination};
use super::defence::company_limits;
use super::{MINUTE, SECOND, duration, named};
use crate::limits;

pub(super) fn company<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Option<Company> {
    let name = named(r, s, marks);
    let forward_to = r.list(s, "forward_to", |text| destination::parse(text).map(|_| text.to_owned()));
    let forward_to =
        r.required(s, "forward_to", forward_to, "the company's destinations, like [\"sip:{number}@192.0.2.20\"]");
    if let Some(n) = forward_to.as_ref().map(Vec::len).filter(|n| *n == 0 || *n > limits::DESTINATIONS) {
        let message = format!("`forward_to` has {n} destinations; write 1 to {}", limits::DESTINATIONS);
        r.problem(s.place(), message);
    }
    let forward_to = forward_to.unwrap_or_default();
    marks.items = forward_to.iter().enumerate().map(|(i, (_, place))| (i, place.clone())).collect();
    let status = |text: &toml::de::DeValue<'_>| {
        let code = text.as_integer().and_then(|n| n.as_str().parse::<u16>().ok());
        code.filter(|code| (400..700).contains(code))
            .ok_or_else(|| "must be SIP statuses from 400 to 699, like [486]".to_owned())
    };
    let final_statuses = r.get(s, "final_statuses", |value| {
        let array = value.as_array().ok_or_else(|| "must be a list of SIP statuses, like [486]".to_owned())?;
        array.iter().map(|item| status(item.get_ref())).collect::<Result<Vec<u16>, String>>()
    });
    let company = Company {
        forward_to: forward_to.into_iter().map(|(text, _)| text).collect(),
        ring_timeout: duration(r, s, "ring_timeout", SECOND, 10 * MINUTE).or(30 * SECOND),
        final_statuses: final_statuses.or(Vec::new()),
        nat: r.boolean(s, "nat").or(false),
        recording: r.boolean(s, "recording").optional(),
        limits: company_limits(r, s),
        name: name?,
    };
    Some(company)
}
