//! What `leaseline check` adds to the configuration, as comments of TOML: what is accepted from each trunk and what may go
//! out through it, and where each pool's calls go.

use std::fmt::Write as _;

use super::encryption;
use crate::config::{
    Codecs, Config, DialledIn, DisplayRule, IdentitySource, Passage, StirForward, StirVerify, Timer, TransferMode,
    Trunk,
};
use crate::core::agent::Reliable;
use crate::core::auth::digest::Algorithm;
use crate::core::b2bua::Settings;
use crate::core::catalogue::warnings;
use crate::core::{number, route};
use crate::ids::E164;

/// The comments.
pub(in crate::cli) fn explain(config: &Config) -> String {
    let mut text = String::new();
    let settings = Settings::new(std::sync::Arc::new(config.clone()), config.sip.listen.clone());
    let example = config.pools.first().and_then(|pool| pool.numbers.first());
    for trunk in &config.trunks {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# trunk {}: calls from {}", trunk.name, callers(trunk));
        for (what, line) in lines(trunk, config, example) {
            let _ = writeln!(text, "#   {what:<8} {line}");
        }
    }
    for company in &config.companies {
        for line in encryption::of_company(company, settings.names()) {
            let _ = writeln!(text, "# media of {} to {line}", company.name);
        }
    }
    for pool in &config.pools {
        let company = config.companies.iter().find(|company| company.name == pool.company);
        let (Some(company), Some(number)) = (company, pool.numbers.first()) else { continue };
        let targets = route::targets(&company.forward_to, number, None, settings.names());
        let uris: Vec<&str> = targets.iter().map(|target| target.uri.as_str()).collect();
        let count = pool.numbers.len();
        let rules = match company.rules.len() {
            0 => String::new(),
            1 => ", after 1 rule".to_owned(),
            n => format!(", after {n} rules"),
        };
        let hours = if company.schedule.is_some() { ", in its hours" } else { "" };
        let decide = company.decide.as_ref();
        let decide = decide.map(|rules| format!(", unless {} says otherwise", rules.url)).unwrap_or_default();
        let strategy = company.strategy.as_str();
        let _ = writeln!(
            text,
            "# pool {}: {count} from {number}: {} ({strategy}{rules}{hours}{decide})",
            pool.name,
            uris.join(", ")
        );
    }
    for warning in warnings(config) {
        let _ = writeln!(text, "# warning: {warning}");
    }
    text
}

/// Who may call over this trunk.
fn callers(trunk: &Trunk) -> String {
    let mut who: Vec<String> = Vec::new();
    if !trunk.sources.is_empty() {
        who.push(trunk.sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    }
    if let Some(register) = &trunk.register {
        who.push(format!("where {} leads, once we are registered there", register.registrar));
    }
    if let Some(login) = &trunk.login {
        let users: Vec<&str> = login.users.iter().map(|user| user.user.as_str()).collect();
        who.push(format!("any address that logs in as {}", users.join(", ")));
    }
    if who.is_empty() { "nobody: it is a way out only".to_owned() } else { who.join("; ") }
}

/// One line a subject.
fn lines(trunk: &Trunk, config: &Config, example: Option<&E164>) -> Vec<(&'static str, String)> {
    let mut lines = vec![("limits", limits(trunk, config)), ("number", dialled(trunk, example))];
    lines.push(("caller", caller(trunk)));
    if trunk.stir.verify != StirVerify::Off {
        let require = trunk.stir.verify == StirVerify::Require;
        let what = if require { "must be vouched for (STIR), else refused" } else { "STIR is verified, for the event" };
        lines.push(("", what.to_owned()));
    }
    lines.push(("audio", audio(trunk, config)));
    lines.extend(encryption::of_trunk(trunk, config).map(|line| ("media", line)));
    lines.push(("timers", timers(config)));
    lines.push(("passes", passes(trunk)));
    if let Some(login) = &trunk.login {
        let algorithms: Vec<&str> =
            login.algorithms.iter().map(|hash| Algorithm { hash: *hash, session: false }.name()).collect();
        lines.push(("login", format!("realm \"{}\", {}", login.realm, algorithms.join(", "))));
    }
    if let Some(register) = &trunk.register {
        let every = register.expires.as_secs();
        lines.push(("register", format!("as {} at {}, for {every} s", register.aor, register.registrar)));
    }
    if let Some(probe) = &trunk.probe {
        lines.push(("probe", format!("OPTIONS every {} s", probe.every.as_secs())));
    }
    lines.push(("way out", way_out(trunk, config)));
    lines
}

fn limits(trunk: &Trunk, config: &Config) -> String {
    let rate =
        |calls: u32, what: &str| if calls == 0 { String::new() } else { format!(", {calls} new ones a second{what}") };
    let own = rate(trunk.calls_per_second_max, "");
    let source = rate(config.sip.defence.source_calls_per_second_max, " from one address");
    let nat = if trunk.nat { "; behind NAT" } else { "" };
    let transports: Vec<&str> = trunk.transports.names().collect();
    let over = if trunk.transports.is_limited() { format!("; over {}", transports.join(", ")) } else { String::new() };
    format!("{} calls at once{own}{source}{over}{nat}", trunk.calls_max)
}

fn dialled(trunk: &Trunk, example: Option<&E164>) -> String {
    let place = match trunk.dialled_in {
        DialledIn::RequestUri if trunk.register.is_some() => "the Request-URI, or To when that is our Contact",
        DialledIn::RequestUri => "the Request-URI",
        DialledIn::To => "To",
        DialledIn::PCalledPartyId => "P-Called-Party-ID",
        DialledIn::Diversion => "Diversion",
    };
    let forms = example.map(|number| forms(trunk, number)).unwrap_or_default();
    format!("read in {place}{forms}")
}

fn caller(trunk: &Trunk) -> String {
    let rules = &trunk.identity;
    let name = |source: &IdentitySource| match source {
        IdentitySource::Asserted => "P-Asserted-Identity",
        IdentitySource::RemoteParty => "Remote-Party-ID",
        IdentitySource::Preferred => "P-Preferred-Identity",
        IdentitySource::From => "From",
    };
    let is_heard = |source: &&IdentitySource| trunk.trust_identity || **source == IdentitySource::From;
    let sources: Vec<&str> = rules.sources.iter().filter(is_heard).map(name).collect();
    let trust = if trunk.trust_identity { "believed" } else { "not believed" };
    let withheld = if rules.withheld_refused { "refused with 433" } else { "taken" };
    let display = match &rules.display {
        DisplayRule::Keep => "kept",
        DisplayRule::Strip => "dropped",
        DisplayRule::Replace(_) => "replaced",
    };
    let from = if sources.is_empty() { "nowhere".to_owned() } else { sources.join(", then ") };
    format!("{trust}: {from}; withheld ones are {withheld}; names are {display}")
}

fn audio(trunk: &Trunk, config: &Config) -> String {
    let all = match config.media.codecs {
        Codecs::Recordable => {
            "PCMU, PCMA, G722, opus and telephone-event; an offer without any of these codecs is refused with 488"
        }
        Codecs::Any => "whatever is offered; recorded when it is PCMU, PCMA, G722 or opus",
    };
    match trunk.codecs.join(", ") {
        none if none.is_empty() => all.to_owned(),
        own => format!("of {own}: {all}"),
    }
}

fn timers(config: &Config) -> String {
    let dialogs = &config.sip.dialogs;
    let reliable = match dialogs.reliable {
        Reliable::Off => "Require: 100rel is refused",
        Reliable::Supported => "100rel with those who can",
        Reliable::Required => "100rel is required",
    };
    let expires = dialogs.session_expires.as_secs();
    let session = match dialogs.timer {
        Timer::Off => "no session timer".to_owned(),
        Timer::Supported => format!("session timer when asked for, at least {} s", dialogs.min_se.as_secs()),
        Timer::Wanted => format!("session timer of {expires} s wanted, at least {} s", dialogs.min_se.as_secs()),
    };
    format!("{reliable}; {session}; a call ends after {} s", config.sip.call_length_max.as_secs())
}

fn passes(trunk: &Trunk) -> String {
    let within = &trunk.within;
    let passage = |passage| match passage {
        Passage::Relay => "crosses",
        Passage::Absorb => "is swallowed",
        Passage::Refuse => "is refused",
    };
    let refer = if within.transfer == TransferMode::Relay { "crosses to companies that relay" } else { "is refused" };
    let headers = match trunk.headers.pass.as_slice() {
        [] => String::new(),
        names => format!("; headers {}", names.join(", ")),
    };
    let (info, message) = (passage(within.info), passage(within.message));
    format!("INFO {info}, MESSAGE {message}, REFER {refer}{headers}; keys by {}", within.dtmf.as_str())
}

fn way_out(trunk: &Trunk, config: &Config) -> String {
    let every = config.companies.iter().flat_map(|company| company.every_destination());
    let count = every.filter(|one| one.trunk.as_ref().is_some_and(|own| own.name == trunk.name)).count();
    let address = trunk.address.as_deref().unwrap_or("each destination's own host");
    let login = trunk.credentials.as_ref().map(|own| format!(", logs in as {}", own.user)).unwrap_or_default();
    let sent: Vec<&str> = [
        (trunk.identity.send_asserted, "P-Asserted-Identity"),
        (trunk.identity.send_remote_party, "Remote-Party-ID"),
        (trunk.identity.diversion, "Diversion"),
        (trunk.identity.history_info, "History-Info"),
        (trunk.stir.forward != StirForward::Drop || trunk.stir.signer.is_some(), "Identity"),
    ]
    .into_iter()
    .filter(|(is_sent, _)| *is_sent)
    .map(|(_, name)| name)
    .collect();
    let sent = if sent.is_empty() { String::new() } else { format!(", with {}", sent.join(", ")) };
    let redirects = if trunk.redirects { "followed" } else { "refused" };
    match count {
        0 => "no destination uses it".to_owned(),
        1 => format!("{address} for 1 destination{login}{sent}; 3xx are {redirects}"),
        n => format!("{address} for {n} destinations{login}{sent}; 3xx are {redirects}"),
    }
}

/// Ways of writing a number that this trunk may use: those that are read back as the number.
fn forms(trunk: &Trunk, number: &E164) -> String {
    let digits = number.digits();
    let display = number::display(number);
    let national = display.split_once(' ').map(|(_, rest)| format!("0{}", rest.replace([' ', '-'], "")));
    let forms = [Some(number.as_str().to_owned()), Some(digits.to_owned()), Some(format!("00{digits}")), national];
    let is_read = |text: &String| {
        let text = format!("{}{text}", trunk.prefix);
        number::candidates(&text, trunk.country.as_deref(), &trunk.prefix).contains(number)
    };
    let forms: Vec<String> =
        forms.into_iter().flatten().filter(is_read).map(|text| format!("{}{text}", trunk.prefix)).collect();
    format!("; {number} may be dialled as {}", forms.join(", "))
}
