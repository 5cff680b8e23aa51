//! Tables of a trunk, as they will be used.

use super::super::{
    DisplayRule, HeaderRules, IdentityRules, IdentitySource, LoginUser, NumberFormat, ReasonHeader, Rewrite,
    StirForward, StirRules, StirVerify, Trunk,
};
use super::{MASK, Writer, quoted};
use crate::core::auth::digest::{Algorithm, Hash};

/// Keys and tables of the trunk that speak of identity.
pub(super) fn write(out: &mut Writer, trunk: &Trunk) {
    out.list("codecs", trunk.codecs.iter());
    out.option("media_encryption", trunk.media_encryption.map(|encryption| encryption.as_str()));
    out.list("transports", trunk.transports.names());
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
    out.text("redirects", super::follow(trunk.redirects));
    super::within::of_trunk(out, &trunk.within);
    write_identity(out, &trunk.identity);
    write_headers(out, &trunk.headers);
    write_stir(out, &trunk.stir);
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

fn write_headers(out: &mut Writer, rules: &HeaderRules) {
    out.table("[trunk.headers]");
    out.list("pass", &rules.pass);
    out.map("add", rules.add.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    out.list("drop", &rules.drop);
    let one = |rule: &Rewrite| {
        let [header, pattern, replace] = [&rule.header, rule.pattern.as_str(), &rule.replace].map(quoted);
        format!("{{ header = {header}, match = {pattern}, replace = {replace} }}")
    };
    out.plain("rewrite", format_args!("[{}]", rules.rewrite.iter().map(one).collect::<Vec<_>>().join(", ")));
}

fn write_stir(out: &mut Writer, rules: &StirRules) {
    out.table("[trunk.stir]");
    let verify = match rules.verify {
        StirVerify::Off => "off",
        StirVerify::Tag => "tag",
        StirVerify::Require => "require",
    };
    out.text("verify", verify);
    out.option("trusted_file", rules.trusted_file.as_ref().map(|file| file.display()));
    out.map("certificate_file", rules.certificate_file.iter().map(|(url, file)| (url.as_str(), file.as_str())));
    out.list("fetch_hosts", rules.store.hosts());
    out.text("fetch_timeout", super::duration_text(rules.fetch_timeout));
    out.plain("verstat", rules.verstat);
    let forward = match rules.forward {
        StirForward::Drop => "drop",
        StirForward::Pass => "pass",
        StirForward::Div => "div",
    };
    out.text("forward", forward);
    let attest = rules.signer.as_ref().and_then(|signer| signer.attest());
    out.text("sign", attest.map_or("off", |attest| attest.as_str()));
    out.option("key_file", rules.key_file.as_ref().map(|file| file.display()));
    out.option("certificate_url", rules.signer.as_ref().map(|signer| signer.certificate_url()));
}

pub(super) fn write_login(out: &mut Writer, trunk: &Trunk) {
    let Some(login) = &trunk.login else { return };
    out.table("[trunk.login]");
    let one = |user: &LoginUser| format!("{{ user = {}, password = {} }}", quoted(&user.user), quoted(MASK));
    out.plain("users", format_args!("[{}]", login.users.iter().map(one).collect::<Vec<_>>().join(", ")));
    out.text("realm", &login.realm);
    out.list("algorithms", login.algorithms.iter().map(|hash: &Hash| Algorithm { hash: *hash, session: false }.name()));
}
