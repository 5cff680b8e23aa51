//! What signalling looks up: whose number is this, and whose packet. Built from a configuration and swapped whole when
//! that is read again.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::config::{Company, Config, KnownCaller, Pool, Source, Trunk};
use crate::core::agent::{Flow, NameId};
use crate::core::auth::server::Users;
use crate::core::locate::Names;
use crate::ids::E164;
use crate::time::Wall;

/// Numbers and trunks of one configuration. Immutable.
#[derive(Debug)]
pub struct Directory {
    numbers: HashMap<E164, Owner, foldhash::fast::RandomState>,
    /// Numbers of shared stocks: who may have had them.
    shared: HashMap<E164, Arc<[Owner]>, foldhash::fast::RandomState>,
    /// By number; of several, those of a company first.
    callers: HashMap<E164, Vec<Arc<KnownCaller>>, foldhash::fast::RandomState>,
    trunks: HashMap<IpNet, Arc<Trunk>, foldhash::fast::RandomState>,
    /// Prefix lengths that occur, longest first, of IPv4 and of IPv6.
    lengths: [Vec<u8>; 2],
    by_address: HashMap<SocketAddr, Arc<Trunk>, foldhash::fast::RandomState>,
    by_name: HashMap<NameId, Arc<Trunk>, foldhash::fast::RandomState>,
    users: Option<Users>,
    /// Some trunk may not use every transport.
    bars_transports: bool,
}

/// Whose a number is.
#[derive(Clone, Debug)]
pub struct Owner {
    pub company: Arc<Company>,
    pub pool: Arc<Pool>,
}

impl Directory {
    /// Builds the tables. A pool whose company does not exist is left out (the configuration's checks refuse it).
    pub fn new(config: &Config) -> Directory {
        Directory::with(config, &Names::default())
    }

    /// The same with the numbers that the names of certificates have already.
    pub fn with(config: &Config, names: &Names) -> Directory {
        let companies: HashMap<&str, &Arc<Company>> = config.companies.iter().map(|c| (c.name.as_str(), c)).collect();
        let total = config.pools.iter().map(|pool| pool.numbers.len()).sum();
        let mut numbers = HashMap::with_capacity_and_hasher(total, foldhash::fast::RandomState::default());
        for pool in &config.pools {
            let Some(company) = companies.get(pool.company.as_str()) else { continue };
            for number in &pool.numbers {
                let owner = Owner { company: Arc::clone(company), pool: Arc::clone(pool) };
                numbers.insert(number.clone(), owner);
            }
        }
        let shared = sharers(config, &companies);
        let mut callers: HashMap<E164, Vec<Arc<KnownCaller>>, _> =
            HashMap::with_capacity_and_hasher(config.callers.len(), foldhash::fast::RandomState::default());
        for caller in &config.callers {
            callers.entry(caller.number.clone()).or_default().push(Arc::clone(caller));
        }
        let mut trunks = HashMap::with_hasher(foldhash::fast::RandomState::default());
        let (mut by_address, mut by_name) = (HashMap::default(), HashMap::default());
        let mut lengths = [Vec::new(), Vec::new()];
        for (source, trunk) in config.trunks.iter().flat_map(|t| t.sources.iter().map(move |source| (source, t))) {
            let trunk = Arc::clone(trunk);
            match source {
                Source::Network(net) => {
                    let of_family = if net.addr().is_ipv4() { &mut lengths[0] } else { &mut lengths[1] };
                    of_family.push(net.prefix_len());
                    trunks.insert(net.trunc(), trunk);
                }
                Source::Address(address) => drop(by_address.insert(*address, trunk)),
                Source::Tls(name) => {
                    if let Some(name) = names.id(name) {
                        by_name.insert(name, trunk);
                    }
                }
            }
        }
        for of_family in &mut lengths {
            of_family.sort_unstable_by(|a, b| b.cmp(a));
            of_family.dedup();
        }
        let bars_transports = config.trunks.iter().any(|trunk| trunk.transports.is_limited());
        let users = Users::of(config);
        Directory { numbers, shared, callers, trunks, lengths, by_address, by_name, users, bars_transports }
    }

    /// Whose number this is; `None`: none of ours.
    pub fn owner_of(&self, number: &E164) -> Option<&Owner> {
        self.numbers.get(number)
    }

    /// Whose number it is for this caller. A number of a shared stock goes from one company to another, and who called
    /// it before still means the first: `called_before` says when a company's number was last dialled by them, if ever.
    pub fn owner_for(&self, number: &E164, called_before: impl Fn(&str) -> Option<Wall>) -> Option<&Owner> {
        let shared = self.shared.get(number).map(|owners| &**owners).unwrap_or_default();
        let last = |owner: &&Owner| called_before(&owner.company.name);
        let before = shared.iter().filter(|owner| last(owner).is_some()).max_by_key(last);
        let owner = self.owner_of(number);
        match before {
            // The pool may have changed within the company.
            Some(before) => owner.filter(|owner| owner.company.name == before.company.name).or(Some(before)),
            None => owner,
        }
    }

    /// The trunk that a packet from `source` belongs to, by the longest prefix. An IPv4-mapped IPv6 address is its IPv4
    /// address. Nothing in a message has a say in this.
    pub fn trunk_for(&self, source: IpAddr) -> Option<&Arc<Trunk>> {
        let source = source.to_canonical();
        let of_family = if source.is_ipv4() { &self.lengths[0] } else { &self.lengths[1] };
        of_family.iter().find_map(|length| self.trunks.get(&IpNet::new(source, *length).ok()?.trunc()))
    }

    /// The trunk that a message belongs to: by the verified name of its connection, else by its exact source, else by
    /// the network. None when it came over a transport that its trunk may not use.
    pub fn trunk_of(&self, flow: &Flow) -> Option<&Arc<Trunk>> {
        self.named_by(flow).filter(|trunk| trunk.transports.allows(flow.transport))
    }

    /// Some trunk may not use every transport: else nobody needs to ask.
    pub fn bars_transports(&self) -> bool {
        self.bars_transports
    }

    /// The same, whatever it came over.
    pub fn named_by(&self, flow: &Flow) -> Option<&Arc<Trunk>> {
        let by_name = flow.name.and_then(|name| self.by_name.get(&name));
        let by_address = || {
            // Most configurations name no port: nothing is hashed then.
            if self.by_address.is_empty() { None } else { self.by_address.get(&flow.remote) }
        };
        by_name.or_else(by_address).or_else(|| self.trunk_for(flow.remote.ip()))
    }

    /// Whether a trunk sends from one port of this address.
    pub fn has_port_at(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.by_address.keys().any(|address| address.ip() == source)
    }

    /// Whether a trunk may come from any address, known by its certificate only.
    pub fn has_names(&self) -> bool {
        !self.by_name.is_empty()
    }

    /// Whether this is the name of a trunk's certificate.
    pub fn is_trunk_name(&self, name: NameId) -> bool {
        self.by_name.contains_key(&name)
    }

    /// Who may log in; `None`: nobody.
    pub fn users(&self) -> Option<&Users> {
        self.users.as_ref()
    }

    /// What is known of a caller: by the company that is called, else by all.
    pub fn caller(&self, number: &str, company: &str) -> Option<&Arc<KnownCaller>> {
        if self.callers.is_empty() {
            return None;
        }
        let known = self.callers.get(&E164::parse(number)?)?;
        let of_company = known.iter().find(|caller| caller.company.as_deref() == Some(company));
        of_company.or_else(|| known.iter().find(|caller| caller.company.is_none()))
    }

    /// How many numbers are known.
    pub fn number_count(&self) -> usize {
        self.numbers.len()
    }
}

/// Owners by number of a shared stock: one for each company that takes from it.
fn sharers(
    config: &Config,
    companies: &HashMap<&str, &Arc<Company>>,
) -> HashMap<E164, Arc<[Owner]>, foldhash::fast::RandomState> {
    let mut shared = HashMap::default();
    for stock in &config.keeping.stocks {
        let mut owners: Vec<Owner> = Vec::new();
        for pool in &config.pools {
            let grow = config.keeping.grow.get(&pool.name).and_then(|grow| grow.shared_stock.as_ref());
            let takes = grow.is_some_and(|taken| taken.name == stock.name);
            if let Some(company) = companies.get(pool.company.as_str()).filter(|_| takes)
                && !owners.iter().any(|owner| owner.company.name == pool.company)
            {
                owners.push(Owner { company: Arc::clone(company), pool: Arc::clone(pool) });
            }
        }
        let owners: Arc<[Owner]> = owners.into();
        // One company's own has no strangers.
        if owners.len() > 1 {
            shared.extend(stock.numbers.iter().map(|number| (number.clone(), Arc::clone(&owners))));
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TEXT: &str = r#"
[[trunk]]
name = "wide"
match = ["10.0.0.0/8", "2001:db8::/32"]
[[trunk]]
name = "narrow"
match = ["10.1.0.0/16", "::ffff:192.0.2.1", "2001:db8:7::/48"]
[[company]]
name = "acme"
forward_to = ["sip:600@10.0.0.9"]
[[pool]]
name = "print"
company = "acme"
kind = "static"
numbers = ["+442079460500..+442079460503"]
channel = { source = "print" }
"#;

    #[test]
    fn sources_find_their_trunk() {
        let directory = Directory::new(&Config::parse(TEXT, "", Path::new("")).expect("good"));
        for (source, trunk) in [
            ("10.0.0.1", Some("wide")),
            ("10.255.255.255", Some("wide")),
            ("11.0.0.0", None),
            ("9.255.255.255", None),
            ("10.1.0.0", Some("narrow")),
            ("10.1.255.255", Some("narrow")),
            ("10.2.0.0", Some("wide")),
            ("::ffff:10.1.2.3", Some("narrow")),
            ("192.0.2.1", Some("narrow")),
            ("::ffff:192.0.2.1", Some("narrow")),
            ("192.0.2.2", None),
            ("2001:db8::1", Some("wide")),
            ("2001:db8:7::1", Some("narrow")),
            ("2001:db9::1", None),
            ("::1", None),
            ("::", None),
            ("0.0.0.0", None),
        ] {
            let found = directory.trunk_for(source.parse().expect("an address")).map(|t| t.name.as_str());
            assert_eq!(found, trunk, "{source}");
        }
    }

    #[test]
    fn a_port_and_a_name_stand_before_networks() {
        let text = "[[trunk]]\nname = \"net\"\nmatch = [\"10.0.0.0/8\"]\n\
                    [[trunk]]\nname = \"port\"\nmatch = [\"10.0.0.7:5070\", \"[2001:db8::1]:5070\"]\n\
                    [[trunk]]\nname = \"tls\"\nmatch = [\"tls:sbc.carrier.example\"]\n";
        let config = Config::parse(text, "", Path::new("")).expect("good");
        let names = Names::of(["sbc.carrier.example"]);
        let directory = Directory::with(&config, &names);
        let name = names.id("sbc.carrier.example");
        for (remote, name, trunk) in [
            ("10.0.0.7:5060", None, Some("net")),
            ("10.0.0.7:5070", None, Some("port")),
            ("[2001:db8::1]:5070", None, Some("port")),
            ("[2001:db8::1]:5060", None, None),
            ("10.0.0.7:5070", name, Some("tls")),
            ("192.0.2.1:40000", name, Some("tls")),
            ("192.0.2.1:40000", Some(NameId(77)), None),
            ("10.0.0.1:40000", Some(NameId(77)), Some("net")),
        ] {
            let remote: SocketAddr = remote.parse().expect("an address");
            let flow = Flow { transport: rsip::Transport::Tls, local: remote, remote, connection: 1, name };
            assert_eq!(directory.trunk_of(&flow).map(|t| t.name.as_str()), trunk, "{flow:?}");
        }
        assert!(directory.has_names() && name.is_some_and(|name| directory.is_trunk_name(name)));
    }

    #[test]
    fn everybody_is_somebody_only_when_asked_for() {
        let text = "[[trunk]]\nname = \"all\"\nmatch = [\"0.0.0.0/0\"]\nmatch_any = true\n";
        let directory = Directory::new(&Config::parse(text, "", Path::new("")).expect("good"));
        assert!(directory.trunk_for(IpAddr::from([203, 0, 113, 9])).is_some());
        assert!(directory.trunk_for("2001:db8::1".parse().expect("an address")).is_none());
        let nobody = Directory::new(&Config::parse("", "", Path::new("")).expect("good"));
        assert!(nobody.trunk_for(IpAddr::from([127, 0, 0, 1])).is_none());
    }

    #[test]
    fn numbers_find_their_owner() {
        let directory = Directory::new(&Config::parse(TEXT, "", Path::new("")).expect("good"));
        assert_eq!(directory.number_count(), 4);
        let owner = |text: &str| directory.owner_of(&E164::parse(text).expect("a number"));
        assert_eq!(
            owner("+442079460503").map(|o| (o.company.name.as_str(), o.pool.name.as_str())),
            Some(("acme", "print"))
        );
        assert!(owner("+442079460504").is_none());
    }
}
