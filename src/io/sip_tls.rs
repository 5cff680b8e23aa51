//! TLS of SIP connections (RFC 3261 §26.2, RFC 5922): whose certificate we show, whom we believe, and which of the
//! configuration's names a peer's certificate is for.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::{ClientCertificates, MinVersion, Tls};
use crate::core::agent::NameId;
use crate::core::b2bua::Settings;
use crate::limits;

/// Both sides of TLS, from one configuration. Replaced whole on reload; connections keep what they began with.
#[derive(Clone)]
pub struct Context {
    /// Absent without a certificate of our own.
    pub acceptor: Option<TlsAcceptor>,
    pub connector: TlsConnector,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("accepts", &self.acceptor.is_some()).finish_non_exhaustive()
    }
}

impl Context {
    /// # Errors
    /// Why these rules cannot be served.
    pub fn new(tls: &Tls) -> Result<Context, Error> {
        let provider = Arc::new(ring::default_provider());
        let roots = match &tls.ca {
            None => system_roots(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                // The configuration was refused if one could not be read.
                roots.add_parsable_certificates(ca.certificates.iter().cloned());
                Arc::new(roots)
            }
        };
        let versions = match tls.min_version {
            MinVersion::Tls12 => rustls::ALL_VERSIONS,
            MinVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let resolver = tls.identity.as_ref().map(|identity| SingleCertAndKey::from(Arc::clone(&identity.pair)));
        let resolver = resolver.map(Arc::new);
        let believed = Believed { roots, provider: Arc::clone(&provider) };
        let verifier = Arc::new(ServerVerifier { believed: believed.clone() });
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions)?;
        let client = client.dangerous().with_custom_certificate_verifier(verifier);
        let client = match &resolver {
            Some(resolver) => client.with_client_cert_resolver(Arc::clone(resolver) as Arc<_>),
            None => client.with_no_client_auth(),
        };
        let acceptor = resolver.map(|resolver| {
            let server = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions)?;
            let server = match tls.client_certificates {
                ClientCertificates::Off => server.with_no_client_auth(),
                // Without any authority there is nobody who could be believed; the verifier would refuse to be made.
                _ if believed.roots.is_empty() => {
                    return Err(Error::General("no authority is believed: set sip.tls.ca".into()));
                }
                asked => server.with_client_cert_verifier(Arc::new(ClientVerifier::new(believed, asked)?)),
            };
            Ok(TlsAcceptor::from(Arc::new(server.with_cert_resolver(resolver))))
        });
        Ok(Context { acceptor: acceptor.transpose()?, connector: TlsConnector::from(Arc::new(client)) })
    }
}

/// Read once: the store has some 150 certificates.
pub(super) fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let load = || {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a system certificate cannot be read");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        Arc::new(roots)
    };
    Arc::clone(ROOTS.get_or_init(load))
}

/// The configuration's name that a verified certificate is for (RFC 5922 §7.1): a `sip:` URI without user part, or a
/// DNS name; a trunk's name before any other. Wildcards are nobody's name (§7.2).
pub fn name_of(certificate: &CertificateDer<'_>, settings: &Settings) -> Option<NameId> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let hosts = certificate.valid_uri_names().filter_map(host_of_sip_uri);
    let names = hosts.chain(certificate.valid_dns_names()).take(limits::TLS_NAMES);
    let known: Vec<NameId> = names.filter_map(|name| settings.names().id(&name.to_ascii_lowercase())).collect();
    let of_trunk = known.iter().find(|name| settings.directory.is_trunk_name(**name));
    of_trunk.or(known.first()).copied()
}

/// Host of `sip:host` (RFC 5922 §7.1: a URI with a user part is a user's, not a domain's).
fn host_of_sip_uri(uri: &str) -> Option<&str> {
    let (scheme, host) = uri.split_once(':')?;
    let is_domain = scheme.eq_ignore_ascii_case("sip") && !host.is_empty() && !host.contains(['@', ';', '?', ':']);
    is_domain.then_some(host)
}

/// Why a handshake failed, as a stable code.
pub fn reason(error: &io::Error) -> &'static str {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::TimedOut => "handshake_timeout",
            _ => "handshake_closed",
        };
    };
    use CertificateError::{Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer};
    match error {
        Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => "tls_name_mismatch",
        Error::InvalidCertificate(Expired | ExpiredContext { .. }) => "tls_certificate_expired",
        Error::InvalidCertificate(UnknownIssuer) => "tls_unknown_authority",
        Error::InvalidCertificate(_) => "tls_bad_certificate",
        Error::NoCertificatesPresented => "tls_no_certificate",
        Error::AlertReceived(_) => "tls_refused_by_peer",
        Error::PeerIncompatible(_) => "tls_incompatible",
        _ => "tls_failed",
    }
}

/// Who is believed, and by which means.
#[derive(Clone, Debug)]
struct Believed {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl Believed {
    /// The certificate, when somebody we believe has signed it, one from the other.
    fn certificate<'a>(
        &self,
        end_entity: &'a CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ParsedCertificate<'a>, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        Ok(certificate)
    }
}

/// Signatures of a handshake are judged alike on both sides: by what the provider knows.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.believed.provider.signature_verification_algorithms;
            rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.believed.provider.signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.believed.provider.signature_verification_algorithms.supported_schemes()
        }
    };
}

/// Servers that we call: signed by somebody we believe, and for the name of the URI, as DNS name, address or SIP URI.
#[derive(Debug)]
struct ServerVerifier {
    believed: Believed,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = self.believed.certificate(end_entity, intermediates, now)?;
        verify_server_name(&certificate, server_name).or_else(|error| {
            let wanted = server_name.to_str();
            let parsed = webpki::EndEntityCert::try_from(end_entity).map_err(|_| error.clone())?;
            let mut hosts = parsed.valid_uri_names().filter_map(host_of_sip_uri).take(limits::TLS_NAMES);
            if hosts.any(|host| host.eq_ignore_ascii_case(&wanted)) { Ok(()) } else { Err(error) }
        })?;
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

/// Clients that connect to us. A SIP server shows its one certificate in both roles, and public authorities no longer
/// issue certificates for clients: one for servers is as good here, because the name in it is what counts.
#[derive(Debug)]
struct ClientVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    believed: Believed,
}

impl ClientVerifier {
    fn new(believed: Believed, asked: ClientCertificates) -> Result<Self, Error> {
        let Believed { roots, provider } = believed.clone();
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let builder = match asked {
            ClientCertificates::Required => builder,
            _ => builder.allow_unauthenticated(),
        };
        let inner = builder.build().map_err(|error| Error::General(error.to_string()))?;
        Ok(ClientVerifier { inner, believed })
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        use CertificateError::{InvalidPurpose, InvalidPurposeContext};
        match self.inner.verify_client_cert(end_entity, intermediates, now) {
            Err(Error::InvalidCertificate(InvalidPurpose | InvalidPurposeContext { .. })) => {
                self.believed.certificate(end_entity, intermediates, now)?;
                Ok(ClientCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    signatures!();
}
