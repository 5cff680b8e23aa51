//! `[trunk.identity]`.

use super::super::super::read::{Reader, Section};
use super::super::super::trunk::{DisplayRule, IdentityRules, IdentitySource};
use super::super::super::value;
use super::super::{choice, small};
use crate::ids::E164;
use crate::limits;

pub(super) fn identity<'t>(r: &mut Reader<'t>, trunk: &mut Section<'_, 't>) -> IdentityRules {
    let mut s = r.section(trunk, "identity");
    let default = IdentityRules::default();
    let sources = r.list(&mut s, "sources", source).optional();
    let sources = sources.map(|all| all.into_iter().map(|(source, _)| source).collect::<Vec<_>>());
    let send = r.list(&mut s, "send", sent).optional();
    let sends =
        |what: Sent, default: bool| send.as_ref().map_or(default, |all| all.iter().any(|(sent, _)| *sent == what));
    let rules = IdentityRules {
        sources: sources.filter(|all| !all.is_empty()).unwrap_or(default.sources),
        display: display(r, &mut s),
        withheld_refused: choice(r, &mut s, "withheld", &[("accept", false), ("refuse", true)]).unwrap_or(false),
        send_asserted: sends(Sent::Asserted, default.send_asserted),
        send_remote_party: sends(Sent::RemoteParty, default.send_remote_party),
        assert_from: r.boolean(&mut s, "assert_from").or(default.assert_from),
        trusted: r.boolean(&mut s, "trusted").or(default.trusted),
        fallback: r.text(&mut s, "fallback", fallback).or(None),
        domain: r.text(&mut s, "domain", domain).or(None),
        diversion: r.boolean(&mut s, "diversion").or(default.diversion),
        history_info: r.boolean(&mut s, "history_info").or(default.history_info),
        display_bytes_max: r
            .integer(&mut s, "display_bytes_max", 0..limits::DISPLAY_NAME as u64 + 1)
            .optional()
            .map_or(default.display_bytes_max, small),
        ascii: r.boolean(&mut s, "ascii").or(default.ascii),
    };
    r.end(s);
    rules
}

fn display<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> DisplayRule {
    let ways = [("keep", DisplayWay::Keep), ("strip", DisplayWay::Strip), ("replace", DisplayWay::Replace)];
    let way = choice(r, s, "display", &ways).unwrap_or(DisplayWay::Keep);
    let unless_empty = |text: &str| match text {
        "" => Ok(String::new()),
        text => value::printable(text, limits::DISPLAY_NAME),
    };
    let text = r.text(s, "display_text", unless_empty).or(String::new());
    match way {
        DisplayWay::Keep => DisplayRule::Keep,
        DisplayWay::Strip => DisplayRule::Strip,
        DisplayWay::Replace => {
            if text.is_empty() {
                r.problem(s.place(), "`display = \"replace\"` needs `display_text`, the name that is shown");
            }
            DisplayRule::Replace(text)
        }
    }
}

#[derive(Clone, Copy)]
enum DisplayWay {
    Keep,
    Strip,
    Replace,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Asserted,
    RemoteParty,
}

fn sent(text: &str) -> Result<Sent, String> {
    match text {
        "pai" => Ok(Sent::Asserted),
        "rpid" => Ok(Sent::RemoteParty),
        _ => Err(format!("`{}` is not one of \"pai\", \"rpid\"", text.escape_debug())),
    }
}

fn source(text: &str) -> Result<IdentitySource, String> {
    match text {
        "pai" => Ok(IdentitySource::Asserted),
        "rpid" => Ok(IdentitySource::RemoteParty),
        "ppi" => Ok(IdentitySource::Preferred),
        "from" => Ok(IdentitySource::From),
        _ => Err(format!("`{}` is not one of \"pai\", \"rpid\", \"ppi\", \"from\"", text.escape_debug())),
    }
}

fn fallback(text: &str) -> Result<Option<E164>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let how = "write it like \"+442079460000\"";
    E164::parse(text).map(Some).ok_or_else(|| format!("`{}` is not a number; {how}", text.escape_debug()))
}

fn domain(text: &str) -> Result<Option<String>, String> {
    let is_address = || text.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    match text {
        "" => Ok(None),
        host if value::is_host_name(host) || is_address() => Ok(Some(host.to_owned())),
        _ => Err(format!("`{}` is not a host name", text.escape_debug())),
    }
}
