//! What signalling reads: the configuration, and what follows from it.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::{Config, Destination, Listener, MediaEncryption, Source, Trunk};
use crate::core::agent::Flow;
use crate::core::attribution::Model;
use crate::core::directory::Directory;
use crate::core::hosts::Hosts;
use crate::core::locate::{Names, Reach};
use crate::core::media_address::OwnMedia;
use crate::core::region::Regions;
use crate::wire::sdp::Fingerprint;
use crate::wire::sip::Uri;

/// What signalling reads; swapped whole on reload.
#[derive(Debug)]
pub struct Settings {
    pub config: Arc<Config>,
    pub directory: Directory,
    /// Where callers are from.
    pub regions: Arc<Regions>,
    /// Our listeners with their real addresses: bound ports, no wildcard.
    pub listeners: Vec<Listener>,
    /// Addresses of destinations that the configuration names literally.
    pub(super) destinations: HashSet<IpAddr>,
    own_media: OwnMedia,
    names: Names,
    pub(super) hosts: Hosts,
    /// The rules for destinations that belong to no trunk: every default.
    pub plain: Arc<Trunk>,
    /// Some leg may be encrypted.
    pub(super) encrypts_media: bool,
    /// Of the certificate that media threads show; `None`: they have none, and no leg has DTLS.
    pub fingerprint: Option<Fingerprint>,
    /// What attribution believes of callers.
    pub model: Arc<Model>,
}

impl Settings {
    pub fn new(config: Arc<Config>, listeners: Vec<Listener>) -> Settings {
        Settings::with(config, listeners, Names::default())
    }

    /// Those of a new configuration; names keep their numbers.
    pub fn successor(&self, config: Arc<Config>) -> Settings {
        let (fingerprint, model) = (self.fingerprint, Arc::clone(&self.model));
        Settings { fingerprint, model, ..Settings::with(config, self.listeners.clone(), self.names.clone()) }
    }

    /// With media threads that show the certificate of this fingerprint.
    #[must_use]
    pub fn with_fingerprint(self, fingerprint: Fingerprint) -> Settings {
        Settings { fingerprint: Some(fingerprint), ..self }
    }

    /// With what was learned of callers.
    #[must_use]
    pub fn with_model(self, model: Arc<Model>) -> Settings {
        Settings { model, ..self }
    }

    fn with(config: Arc<Config>, listeners: Vec<Listener>, mut names: Names) -> Settings {
        names.extend(hosts(&config).iter().map(String::as_str));
        // Places for numbers stand in user parts, where a URI has no braces.
        let host = |uri: &str| Uri::parse(&uri.replace(['{', '}'], "")).ok()?.host.parse::<IpAddr>().ok();
        let leads_to = |one: &Arc<Destination>| host(one.proxy().unwrap_or(&one.uri));
        let every = config.companies.iter().flat_map(|company| company.every_destination());
        let places = config.recorders.iter().flat_map(|recorder| &recorder.uris);
        let destinations = every.filter_map(leads_to).chain(places.filter_map(|uri| host(uri)));
        let is_encrypted = |encryption: Option<MediaEncryption>| encryption.unwrap_or_default() != MediaEncryption::Off;
        let of_companies = config.companies.iter().any(|company| {
            let mut every = company.every_destination();
            is_encrypted(company.media_encryption) || every.any(|one| is_encrypted(one.media_encryption))
        });
        let encrypts_media = of_companies || config.trunks.iter().any(|trunk| is_encrypted(trunk.media_encryption));
        Settings {
            encrypts_media,
            fingerprint: None,
            model: Arc::default(),
            directory: Directory::with(&config, &names),
            regions: Arc::clone(&config.regions.numbers),
            hosts: Hosts::new(&listeners, config.sip.advertise.as_deref()),
            listeners,
            destinations: destinations.map(|ip| ip.to_canonical()).collect(),
            own_media: OwnMedia::new(&config.media),
            names,
            plain: Arc::new(Trunk { large_requests: config.sip.large_requests, ..Trunk::bare("") }),
            config,
        }
    }

    /// The hosts that we call, by number.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// What DNS may lead us to.
    pub fn reach(&self) -> Reach {
        Reach::new(&self.listeners, self.config.sip.dns.private)
    }

    /// Our own media addresses, which no peer may name as theirs.
    pub fn own_media(&self) -> &OwnMedia {
        &self.own_media
    }

    /// Host (and port) under which the far side of `local` knows us.
    pub fn our_host(&self, flow: &Flow) -> String {
        self.hosts.of(flow.transport, flow.local).into_owned()
    }

    pub(super) fn tcp_listeners(&self) -> Vec<SocketAddr> {
        let tcp = self.listeners.iter().filter(|listener| listener.transport == rsip::Transport::Tcp);
        tcp.map(|listener| listener.address).collect()
    }

    /// One of our own listeners.
    pub fn is_ours(&self, address: SocketAddr) -> bool {
        self.listeners.iter().any(|listener| listener.address == address)
    }

    /// Somebody of the configuration has this address.
    pub fn is_known(&self, source: IpAddr) -> bool {
        self.is_peer(source) || self.directory.has_port_at(source)
    }

    /// A trunk or a destination sends from this address, whatever the port.
    pub(super) fn is_peer(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.directory.trunk_for(source).is_some() || self.destinations.contains(&source)
    }
}

/// Hosts that the configuration has us call, and names of those who call us.
fn hosts(config: &Config) -> Vec<String> {
    let host = |uri: &str| Some(Uri::parse(&uri.replace(['{', '}'], "")).ok()?.host.to_owned());
    let destinations = config.companies.iter().flat_map(|company| company.every_destination());
    let registrar = |trunk: &Arc<Trunk>| trunk.register.as_ref().map(|register| register.registrar.clone());
    let trunks = config.trunks.iter().flat_map(|trunk| [trunk.address.clone(), registrar(trunk)]).flatten();
    let known_by = config.trunks.iter().flat_map(|trunk| &trunk.sources).filter_map(|source| match source {
        Source::Tls(name) => Some(name.to_string()),
        Source::Network(_) | Source::Address(_) => None,
    });
    let fixed = trunks.filter_map(|uri| host(&uri)).chain(known_by);
    let recorders = config.recorders.iter().flat_map(|recorder| &recorder.uris).filter_map(|uri| host(uri));
    destinations.filter_map(|one| host(&one.uri)).chain(fixed).chain(recorders).collect()
}
