//! `[[company]]`: whose numbers these are, and where their calls go.

use super::super::check::Marks;
use super::super::read::{Reader, Section};
use super::super::{Company, MediaEncryption, Ways, value};
use super::decide::decide;
use super::defence::company_limits;
use super::destinations::ways;
use super::rule::rules;
use super::schedule::{closed, schedule};
use super::{MINUTE, SECOND, choice, duration, named, prompts, within};
use crate::limits;

pub(super) fn company<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Option<Company> {
    let name = named(r, s, marks);
    let time_zone = r.text(s, "time_zone", time_zone).optional();
    let said = r.text(s, "currency", currency).optional();
    let Ways { forward_to, strategy } = ways(r, s, marks);
    let status = |text: &toml::de::DeValue<'_>| {
        let code = text.as_integer().and_then(|n| n.as_str().parse::<u16>().ok());
        code.filter(|code| (400..700).contains(code))
            .ok_or_else(|| "must be SIP statuses from 400 to 699, like [486]".to_owned())
    };
    let mut statuses = |key| {
        let list = r.get(s, key, |value| {
            let array = value.as_array().ok_or_else(|| "must be a list of SIP statuses, like [486]".to_owned())?;
            array.iter().map(|item| status(item.get_ref())).collect::<Result<Vec<u16>, String>>()
        });
        list.or(Vec::new())
    };
    let (final_statuses, retry_statuses) = (statuses("final_statuses"), statuses("retry_statuses"));
    let ring_timeout = duration(r, s, "ring_timeout", SECOND, 10 * MINUTE).or(30 * SECOND);
    let total = duration(r, s, "ring_timeout_total", SECOND, 60 * MINUTE);
    let siprec = r.text(s, "siprec", value::name);
    marks.note("siprec", &siprec);
    let tracking = super::pool::tracking(r, s);
    let of_tracking = || tracking.currency.as_deref().and_then(|text| currency(text).ok());
    let schedule = schedule(r, s);
    let of_schedule = || schedule.as_ref().map(|schedule| schedule.zone.clone());
    let company = Company {
        time_zone: time_zone.or_else(of_schedule).unwrap_or_else(|| "UTC".to_owned()),
        currency: said.or_else(of_tracking).unwrap_or_else(|| "EUR".to_owned()),
        forward_to,
        strategy,
        busy: overflow(r, s, "busy", marks),
        no_answer: overflow(r, s, "no_answer", marks),
        closed: closed(r, s, marks),
        rules: rules(r, s, marks),
        // The last one that has destinations, as in `Company::every_destination`.
        decide: decide(r, s, marks),
        schedule,
        ring_timeout,
        ring_timeout_total: total.or(ring_timeout.max(limits::RING_TOTAL)),
        final_statuses,
        retry_statuses,
        nat: r.boolean(s, "nat").or(false),
        media_networks: super::trunk::media_networks(r, s, []),
        media_encryption: choice(r, s, "media_encryption", &MediaEncryption::ALL),
        recording: r.boolean(s, "recording").optional(),
        prompts: prompts::prompts(r, s),
        voicemail: prompts::voicemail(r, s),
        siprec_name: siprec.optional(),
        siprec: None,
        transfer: within::of_company(r, s),
        limits: company_limits(r, s),
        tracking,
        work: super::work::work(r, s),
        name: name?,
    };
    Some(company)
}

fn time_zone(text: &str) -> Result<String, String> {
    let known = jiff::tz::TimeZone::get(text).is_ok();
    known
        .then(|| text.to_owned())
        .ok_or_else(|| format!("`{}` is not a time zone; write it like \"Europe/London\"", text.escape_debug()))
}

fn currency(text: &str) -> Result<String, String> {
    let is_code = text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase());
    is_code.then(|| text.to_owned()).ok_or_else(|| "must be a code of ISO 4217, like EUR".to_owned())
}

/// `[company.busy]`, `[company.no_answer]`: destinations that come after the others.
fn overflow<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, key: &'static str, marks: &mut Marks) -> Option<Ways> {
    let mut table = r.section(s, key);
    let is_there = table.is_present();
    let ways = ways(r, &mut table, marks);
    r.end(table);
    is_there.then_some(ways)
}
