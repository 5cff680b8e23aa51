//! The connection to a PBX: TCP, or TLS over it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::Ear;
use crate::io::sip_tls;

/// See the module.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// # Errors
/// Stable code: `unreachable`, `bad_address`, or one of TLS.
pub(super) async fn connect(ear: Arc<Ear>) -> Result<Stream, &'static str> {
    let address = ear.address.as_deref().ok_or("bad_address")?;
    let tcp = TcpStream::connect(address).await.map_err(|_| "unreachable")?;
    // Orders are short and answers are waited for; that it cannot be set costs milliseconds.
    let _ = tcp.set_nodelay(true);
    if !ear.tls {
        return Ok(Stream::Plain(tcp));
    }
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| "bad_address")?;
    let client = client(&ear).map_err(|_| "tls_failed")?;
    let tls = TlsConnector::from(Arc::new(client)).connect(name, tcp).await;
    tls.map(|tls| Stream::Tls(Box::new(tls))).map_err(|error| sip_tls::reason(&error))
}

fn client(ear: &Ear) -> Result<ClientConfig, rustls::Error> {
    let roots = match &ear.ca {
        None => sip_tls::system_roots(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            // The configuration was refused if one could not be read.
            roots.add_parsable_certificates(ca.certificates.iter().cloned());
            Arc::new(roots)
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(client.with_root_certificates(roots).with_no_client_auth())
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Stream::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
