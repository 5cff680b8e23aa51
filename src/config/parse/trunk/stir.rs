//! `[trunk.stir]`.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::super::super::read::{Reader, Section};
use super::super::super::trunk::{StirForward, StirRules, StirVerify};
use super::super::super::value;
use super::super::{MILLISECOND, SECOND, choice, duration, path};
use crate::core::stir::{Attest, Signer, Store};
use crate::limits;

pub(super) fn stir<'t>(r: &mut Reader<'t>, trunk: &mut Section<'_, 't>) -> StirRules {
    let mut s = r.section(trunk, "stir");
    let verify = [("off", StirVerify::Off), ("tag", StirVerify::Tag), ("require", StirVerify::Require)];
    let forward = [("drop", StirForward::Drop), ("pass", StirForward::Pass), ("div", StirForward::Div)];
    let attest = [("off", None), ("A", Some(Attest::Full)), ("B", Some(Attest::Partial)), ("C", Some(Attest::Gateway))];
    let verify = choice(r, &mut s, "verify", &verify).unwrap_or_default();
    let forward = choice(r, &mut s, "forward", &forward).unwrap_or_default();
    let attest = choice(r, &mut s, "sign", &attest).flatten();
    let mut store = Store::default();
    let trusted_file = path(r, &mut s, "trusted_file");
    if let Some(file) = &trusted_file
        && let Err(message) = bytes_of(file).and_then(|pem| store.add_roots(&pem))
    {
        r.problem(s.place(), format!("`trusted_file` {message}"));
    }
    let base = r.relative("");
    let certificate_file = r.map(&mut s, "certificate_file", |url, file| {
        certificate_url(url)?;
        store.add_chain(url, &bytes_of(&base.join(file))?)
    });
    let certificate_file = certificate_file.optional().unwrap_or_default();
    if certificate_file.len() > limits::STIR_CERTIFICATES {
        r.problem(s.place(), format!("`certificate_file` has more than {} entries", limits::STIR_CERTIFICATES));
    }
    let hosts = r.list(&mut s, "fetch_hosts", value::host_port).or(Vec::new());
    if hosts.len() > limits::STIR_HOSTS {
        r.problem(
            s.place(),
            format!("`fetch_hosts` has {} hosts; at most {} are read", hosts.len(), limits::STIR_HOSTS),
        );
    }
    hosts.iter().for_each(|(host, _)| store.allow_host(host));
    let fetch_timeout = duration(r, &mut s, "fetch_timeout", 100 * MILLISECOND, 10 * SECOND);
    let fetch_timeout = fetch_timeout.or(StirRules::default().fetch_timeout);
    let key_file = path(r, &mut s, "key_file");
    let url = r.text(&mut s, "certificate_url", certificate_url).optional();
    let verstat = r.boolean(&mut s, "verstat").or(false);
    let signs = attest.is_some() || forward == StirForward::Div;
    let signer = match (&key_file, &url) {
        (Some(file), Some(url)) => {
            let text = bytes_of(file).and_then(|pem| String::from_utf8(pem).map_err(|_| "is not PEM".to_owned()));
            match text.and_then(|pem| Signer::new(&pem, url, attest)) {
                Ok(signer) => Some(Arc::new(signer)),
                Err(message) => {
                    r.problem(s.place(), format!("`key_file` {message}"));
                    None
                }
            }
        }
        (None, _) if !signs => None,
        _ => {
            r.problem(s.place(), "signing needs both `key_file` and `certificate_url`");
            None
        }
    };
    if verify != StirVerify::Off && trusted_file.is_none() {
        r.problem(s.place(), "`verify` needs `trusted_file`, the roots that certificates must lead to");
    }
    r.end(s);
    let store = Arc::new(store);
    StirRules { verify, store, trusted_file, certificate_file, fetch_timeout, forward, verstat, signer, key_file }
}

/// An address that stands in a header between `<` and `>`.
fn certificate_url(text: &str) -> Result<String, String> {
    let url = value::http_url(text)?;
    let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"\\".contains(&b));
    match url.scheme() == "https" && is_plain {
        true => Ok(text.to_owned()),
        false => Err("must be an https URL, as it stands in `info` and `x5u`".to_owned()),
    }
}

fn bytes_of(file: &Path) -> Result<Vec<u8>, String> {
    let shown = file.display();
    let open = std::fs::File::open(file).map_err(|e| format!("cannot open {shown}: {e}"))?;
    let mut bytes = Vec::new();
    let read = open.take(limits::STIR_FILE + 1).read_to_end(&mut bytes);
    let read = read.map_err(|e| format!("cannot read {shown}: {e}"))?;
    match read as u64 > limits::STIR_FILE {
        true => Err(format!("{shown} has more than {} bytes", limits::STIR_FILE)),
        false => Ok(bytes),
    }
}
