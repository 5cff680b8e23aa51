//! `[[company]]`: whose numbers these are, and where their calls go.

use super::super::Company;
use super::super::check::Marks;
use super::super::read::{Reader, Section};
use super::defence::company_limits;
use super::destinations::destinations;
use super::{MINUTE, SECOND, duration, named, within};

pub(super) fn company<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Option<Company> {
    let name = named(r, s, marks);
    let forward_to = destinations(r, s, marks);
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
        forward_to,
        ring_timeout: duration(r, s, "ring_timeout", SECOND, 10 * MINUTE).or(30 * SECOND),
        final_statuses: final_statuses.or(Vec::new()),
        nat: r.boolean(s, "nat").or(false),
        recording: r.boolean(s, "recording").optional(),
        transfer: within::of_company(r, s),
        limits: company_limits(r, s),
        name: name?,
    };
    Some(company)
}
