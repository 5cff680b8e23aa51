//! Tables of a trunk, as they will be used.

use super::super::{DisplayRule, IdentityRules, IdentitySource, NumberFormat, ReasonHeader, Trunk};
use super::Writer;

/// Keys and tables of the trunk that speak of identity.
pub(super) fn write(out: &mut Writer, trunk: &Trunk) {
    let format = match trunk.number_format {
        NumberFormat::E164 => "e164",
        NumberFormat::Plain => "plain",
        NumberFormat::National => "national",
        NumberFormat::International => "international",
    };
    out.text("number_format", format);
    let reasons = match trunk.reason_header {
        ReasonHeader::Off => "off",
        ReasonHeader::Requests => "requests",
        ReasonHeader::Responses => "responses",
        ReasonHeader::Codes => "codes",
    };
    out.text("reason_header", reasons);
    write_identity(out, &trunk.identity);
}

fn write_identity(out: &mut Writer, rules: &IdentityRules) {
    out.table("[trunk.identity]");
    let source = |source: &IdentitySource| match source {
        IdentitySource::Asserted => "pai",
        IdentitySource::RemoteParty => "rpid",
        IdentitySource::Preferred => "ppi",
        IdentitySource::From => "from",
    };
    out.list("sources", rules.sources.iter().map(source));
    let (display, text) = match &rules.display {
        DisplayRule::Keep => ("keep", ""),
        DisplayRule::Strip => ("strip", ""),
        DisplayRule::Replace(text) => ("replace", text.as_str()),
    };
    out.text("display", display);
    out.text("display_text", text);
    out.text("withheld", if rules.withheld_refused { "refuse" } else { "accept" });
    let sent = [(rules.send_asserted, "pai"), (rules.send_remote_party, "rpid")];
    out.list("send", sent.iter().filter(|(is_sent, _)| *is_sent).map(|(_, name)| name));
    out.plain("assert_from", rules.assert_from);
    out.plain("trusted", rules.trusted);
    out.text("fallback", rules.fallback.as_ref().map_or("", |number| number.as_str()));
    out.text("domain", rules.domain.as_deref().unwrap_or_default());
    out.plain("diversion", rules.diversion);
    out.plain("history_info", rules.history_info);
    out.plain("display_bytes_max", rules.display_bytes_max);
    out.plain("ascii", rules.ascii);
}
