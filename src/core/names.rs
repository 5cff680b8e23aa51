//! Host names that certificates may be for, each under a number: [`Flow`](crate::core::agent::Flow) and
//! [`Hop`](crate::core::locate::Hop) carry the number, so that they stay small. Only names of the configuration are
//! here: nothing that a message or DNS says can add one.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Config, Source};
use crate::core::agent::NameId;
use crate::wire::sip::Uri;

/// See the module. A name keeps its number over reloads, so that connections stay what they are.
#[derive(Clone, Debug, Default)]
pub struct Names {
    names: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, NameId>,
}

impl Names {
    /// The names of a configuration.
    pub fn new(config: &Config) -> Names {
        Names::default().after(config)
    }

    /// These names, and those that only `config` has.
    pub fn after(&self, config: &Config) -> Names {
        let mut names = self.clone();
        for trunk in &config.trunks {
            for source in &trunk.sources {
                if let Source::Tls(name) = source {
                    names.add(name);
                }
            }
        }
        for uri in config.companies.iter().flat_map(|company| &company.forward_to) {
            if let Ok(uri) = Uri::parse(uri) {
                names.add(uri.host);
            }
        }
        names
    }

    /// The number of a host name, or of an address in text. Case and a final dot do not matter.
    pub fn id(&self, name: &str) -> Option<NameId> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.ids.get(&*name.to_ascii_lowercase()).copied();
        }
        self.ids.get(name).copied()
    }

    /// The name, in lower case.
    pub fn get(&self, id: NameId) -> Option<&Arc<str>> {
        self.names.get(usize::try_from(id.0).ok()?)
    }

    fn add(&mut self, name: &str) {
        if self.id(name).is_some() {
            return;
        }
        let Ok(id) = u32::try_from(self.names.len()) else { return };
        let name: Arc<str> = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase().into();
        self.names.push(Arc::clone(&name));
        self.ids.insert(name, NameId(id));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, "", Path::new("")).expect("good")
    }

    fn text(name: &str, host: &str) -> String {
        format!(
            "[[trunk]]\nname = \"t\"\nmatch = [\"192.0.2.1\", \"tls:{name}\"]\n\
             [[company]]\nname = \"c\"\nforward_to = [\"sip:1@{host}\", \"sip:2@192.0.2.9\"]\n"
        )
    }

    #[test]
    fn a_name_keeps_its_number_over_reloads() {
        let first = Names::new(&config(&text("sbc.Carrier.example", "PBX.example")));
        let known = ["sbc.carrier.example", "pbx.example", "192.0.2.9"].map(|name| first.id(name).expect(name));
        assert_eq!(known, [NameId(0), NameId(1), NameId(2)]);
        assert_eq!(first.id("Pbx.Example."), Some(NameId(1)));
        assert_eq!(first.id("192.0.2.1"), None, "a source is no name");
        let second = first.after(&config(&text("other.example", "pbx.example")));
        assert_eq!(second.id("pbx.example"), Some(NameId(1)));
        assert_eq!(second.id("other.example"), Some(NameId(3)));
        assert_eq!(second.get(NameId(0)).map(|name| &**name), Some("sbc.carrier.example"), "connections may have it");
        assert_eq!(second.get(NameId(4)), None);
    }
}
