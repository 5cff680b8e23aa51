//! What `leaseline check` says of encrypted media: where it is, and where its keys could be read on the way.

use std::fmt::Write as _;

use rsip::Transport;

use crate::config::{Company, Config, Destination, MediaEncryption, Trunk};
use crate::core::locate::{Names, Query};
use crate::wire::sip::Uri;

/// Of a trunk's own calls; none: nothing is encrypted.
pub(super) fn of_trunk(trunk: &Trunk, config: &Config) -> Option<String> {
    let encryption = trunk.media_encryption.filter(|encryption| *encryption != MediaEncryption::Off)?;
    let mut line = match encryption {
        MediaEncryption::Sdes => "SRTP with keys in SDP, else refused".to_owned(),
        MediaEncryption::Dtls => "SRTP with keys of a DTLS handshake, else refused".to_owned(),
        _ => "SRTP for those who offer it".to_owned(),
    };
    let listens = config.sip.listen.iter().map(|listener| listener.transport);
    let mut open: Vec<String> = Vec::new();
    for transport in listens.filter(|transport| !is_secret(*transport) && trunk.transports.allows(*transport)) {
        let name = transport.to_string().to_ascii_lowercase();
        if !open.contains(&name) {
            open.push(name);
        }
    }
    if !open.is_empty() {
        let danger = danger(encryption);
        let _ = write!(line, "; warning: over {} anybody on the way {danger}, use TLS", open.join(", "));
    }
    Some(line)
}

/// Of a company's destinations, one line each that is encrypted.
pub(super) fn of_company(company: &Company, names: &Names) -> Vec<String> {
    let line = |destination: &Destination| {
        let encryption = company.media_encryption(destination);
        if encryption == MediaEncryption::Off {
            return None;
        }
        let uri = destination.proxy().unwrap_or(&destination.uri).replace(['{', '}'], "");
        let query = Query::of(&Uri::parse(&uri).ok()?, names).ok()?;
        let is_secret = query.secure || query.transport.is_some_and(is_secret);
        let mut line = format!("{}: {}", destination.label, encryption.as_str());
        if !is_secret {
            let _ = write!(line, "; warning: anybody on the way {}, use TLS", danger(encryption));
        }
        Some(line)
    };
    company.every_destination().filter_map(|destination| line(destination)).collect()
}

/// What signalling in the open gives away.
const fn danger(encryption: MediaEncryption) -> &'static str {
    match encryption {
        MediaEncryption::Dtls => "can put its own fingerprint into SDP",
        _ => "reads the keys",
    }
}

const fn is_secret(transport: Transport) -> bool {
    matches!(transport, Transport::Tls | Transport::Wss)
}

#[cfg(test)]
mod tests {
    use super::super::explain::explain;
    use super::*;

    fn explained(trunk: &str, uri: &str) -> String {
        let text = crate::config::BUILTIN.replace("#codecs = []", trunk).replace(
            "\"sip:+442079460999@127.0.0.1:5080\"",
            &format!("{{ uri = \"{uri}\", media_encryption = \"sdes\" }}"),
        );
        explain(&Config::parse(&text, "test.toml", std::path::Path::new("")).expect("good"))
    }

    #[test]
    fn keys_in_the_open_are_named() {
        let text = explained("media_encryption = \"optional\"", "sip:desk@127.0.0.1:5080");
        assert!(text.contains("over udp, tcp anybody on the way reads the keys"), "{text}");
        assert!(text.contains("sip:desk@127.0.0.1:5080: sdes; warning"), "{text}");
        let secret = Destination {
            media_encryption: Some(MediaEncryption::Sdes),
            ..Destination::plain("sips:desk@pbx.example")
        };
        let mut company = Company::clone(&Config::builtin().companies[0]);
        company.forward_to = vec![std::sync::Arc::new(secret)];
        assert_eq!(of_company(&company, &Names::default()), ["sips:desk@pbx.example: sdes"]);
    }
}
