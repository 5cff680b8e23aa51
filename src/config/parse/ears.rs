//! `[[ears]]`.

use super::super::check::Marks;
use super::super::ears::{AnsweredWhen, Ear, EarKind};
use super::super::read::{Found, Reader, Section};
use super::super::tls::Authorities;
use super::super::{Company, Glob, Secret, value};
use super::{choice, choice_found, named};
use crate::limits;

pub(super) fn ear<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Option<Ear> {
    let name = named(r, s, marks);
    let kind = choice_found(r, s, "kind", &EarKind::ALL);
    let kind = r.required(s, "kind", kind, "\"asterisk\", \"freeswitch\" or \"http\"");
    let address = r.text(s, "address", host_and_port);
    marks.note("address", &address);
    // What was written wrongly was said to be.
    let address_is_bad = matches!(address, Found::Bad);
    let user = r.text(s, "user", word);
    let user_is_bad = matches!(user, Found::Bad);
    marks.note("user", &user);
    let secret = r.secret(s, "secret", "secret_file");
    let secret_is_bad = matches!(secret, Found::Bad);
    let tls = r.boolean(s, "tls").or(false);
    let ca = super::path(r, s, "ca").and_then(|file| match Authorities::read(file) {
        Ok(ca) => Some(ca),
        Err(message) => {
            r.problem(s.place(), message);
            None
        }
    });
    let mut globs = |key| {
        let found = r.list(s, key, glob).or(Vec::new());
        found.into_iter().map(|(glob, _)| glob).collect::<Vec<Glob>>()
    };
    let (contexts, trunks, numbers) = (globs("contexts"), globs("trunks"), globs("numbers"));
    for (key, list) in [("contexts", &contexts), ("trunks", &trunks), ("numbers", &numbers)] {
        if list.len() > limits::EAR_PATTERNS {
            r.problem(s.place(), format!("`{key}` has more than {} patterns", limits::EAR_PATTERNS));
        }
    }
    let company = r.text(s, "company", value::name);
    marks.note("company", &company);
    let ear = Ear {
        address: address.optional(),
        user: user.optional(),
        secret: secret.optional().map(Secret),
        tls,
        ca,
        contexts,
        trunks,
        numbers,
        company: company.optional(),
        country: r.text(s, "country", value::country).optional(),
        answered: choice(r, s, "answered", &AnsweredWhen::ALL).unwrap_or_default(),
        kind: kind?,
        name: name?,
    };
    fits(r, s, &ear, [address_is_bad, user_is_bad, secret_is_bad]);
    Some(ear)
}

/// What its kind needs, and nothing else. `are_bad`: address, user and secret.
fn fits(r: &mut Reader<'_>, s: &Section<'_, '_>, ear: &Ear, are_bad: [bool; 3]) {
    let [address_is_bad, user_is_bad, secret_is_bad] = are_bad;
    let kind = ear.kind.as_str();
    if ear.kind == EarKind::Http {
        let link = [
            ("address", ear.address.is_some()),
            ("user", ear.user.is_some()),
            ("secret", ear.secret.is_some()),
            ("tls", ear.tls),
            ("contexts", !ear.contexts.is_empty()),
            ("trunks", !ear.trunks.is_empty()),
        ];
        for (key, _) in link.into_iter().filter(|(_, is_there)| *is_there) {
            r.problem(s.place(), format!("`{key}` is of links that we make; a PBX of kind \"http\" comes to us"));
        }
    } else {
        if ear.address.is_none() && !address_is_bad {
            r.problem(s.place(), format!("needs `address`, where the {kind} listens, like \"192.0.2.20:5038\""));
        }
        if ear.secret.is_none() && !secret_is_bad {
            r.problem(s.place(), "needs `secret` (or `secret_file`)");
        }
        if (ear.kind == EarKind::Asterisk) != ear.user.is_some() && !user_is_bad {
            let needs = if ear.user.is_none() {
                "needs `user`, a user of manager.conf"
            } else {
                "has a `user`; the event socket knows none"
            };
            r.problem(s.place(), needs);
        }
    }
    if ear.ca.is_some() && !ear.tls {
        r.problem(s.place(), "has a `ca` and no `tls = true`");
    }
}

/// Companies that ears name are there.
pub(super) fn of_companies(r: &mut Reader<'_>, ears: &[Ear], marks: &[Marks], companies: &[Company]) {
    for (ear, marks) in ears.iter().zip(marks.iter().filter(|marks| !marks.lost)) {
        if let Some(name) = &ear.company
            && !companies.iter().any(|company| company.name == *name)
        {
            r.problem(
                marks.key("company"),
                format!("there is no company `{name}`; add a [[company]] or correct the name"),
            );
        }
    }
}

fn host_and_port(text: &str) -> Result<String, String> {
    let how = "write it like \"192.0.2.20:5038\", \"pbx.example.com:8021\" or \"[2001:db8::20]:5038\"";
    let bad = || format!("`{}` is not a host with a port; {how}", text.escape_debug());
    if text.parse::<std::net::SocketAddr>().is_ok_and(|address| address.port() != 0) {
        return Ok(text.to_owned());
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
    if is_port && value::is_host_name(host) { Ok(text.to_owned()) } else { Err(bad()) }
}

/// One line, or another order could stand in it.
fn word(text: &str) -> Result<String, String> {
    match text {
        "" => Err("is empty".to_owned()),
        text => value::printable(text, 64),
    }
}

fn glob(text: &str) -> Result<Glob, String> {
    match text {
        "" => Err("is empty".to_owned()),
        text => value::printable(text, 128).map(|text| Glob::new(&text)),
    }
}
