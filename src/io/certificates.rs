//! Fetches the certificates of STIR that a call names, when `[trunk.stir] fetch_hosts` has their host: https only, from
//! judged addresses, bounded in size and time, and never from another host than the one that was allowed.

use std::time::Duration;

use reqwest::header::CACHE_CONTROL;
use reqwest::{Client, StatusCode, redirect};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use url::Url;

use crate::core::stir::Answer;
use crate::io::signalling::Command;
use crate::io::sinks::guard::{Guard, GuardedResolver};
use crate::limits;

/// Redirects of one host that are followed.
const REDIRECTS: usize = 2;

/// Why there is no certificate. Stable: `address_refused`, `no_client`, `timeout`, `connect_failed`, `status`, `too_large`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failure(&'static str);

/// Fetches on the runtime of the web: a handshake of TLS takes longer than a whole call's signalling may. Who asks bounds
/// how many are under way.
#[derive(Debug)]
pub struct Certificates {
    runtime: Handle,
    commands: mpsc::UnboundedSender<Command>,
    /// Made with the first certificate that is wanted.
    client: Option<Client>,
}

impl Certificates {
    pub fn new(runtime: Handle, commands: mpsc::UnboundedSender<Command>) -> Certificates {
        Certificates { runtime, commands, client: None }
    }

    /// Gets what stands at this URL. Never waits; [`Command::Fetched`] answers.
    pub fn fetch(&mut self, url: Box<str>) {
        let commands = self.commands.clone();
        let request = self.prepare(&url);
        self.runtime.spawn(async move {
            let answer = match request {
                Ok((client, parsed)) => get(&client, parsed).await,
                Err(failure) => Err(failure),
            };
            if let Err(Failure(code)) = &answer {
                tracing::warn!(%url, code, "no certificate");
            }
            // Signalling is gone: nobody wants to know.
            drop(commands.send(Command::Fetched(url, answer.ok())));
        });
    }

    /// Whether the host may be asked was decided before; a literal address is judged here, a name's addresses when they
    /// are known.
    fn prepare(&mut self, url: &str) -> Result<(Client, Url), Failure> {
        let url = Url::parse(url).map_err(|_| Failure("address_refused"))?;
        let guard = Guard::new(&url, false).map_err(|_| Failure("address_refused"))?;
        let client = match &self.client {
            Some(client) => client.clone(),
            None => self.client.insert(client(guard).map_err(|_| Failure("no_client"))?).clone(),
        };
        Ok((client, url))
    }
}

fn client(guard: Guard) -> reqwest::Result<Client> {
    // Another part of the daemon may have chosen it already; the first choice stands.
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("Leaseline/", env!("CARGO_PKG_VERSION")))
        .https_only(true)
        .dns_resolver(GuardedResolver::system(guard))
        .redirect(redirect::Policy::custom(|attempt| match may_follow(attempt.previous(), attempt.url()) {
            true => attempt.follow(),
            false => attempt.stop(),
        }))
        .no_proxy()
        .connect_timeout(limits::STIR_FETCH)
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(1)
        .build()
}

/// Only to the same scheme, host and port.
fn may_follow(previous: &[Url], next: &Url) -> bool {
    let same = |first: &Url| first.origin() == next.origin() && next.username().is_empty() && next.password().is_none();
    previous.len() <= REDIRECTS && previous.first().is_some_and(same)
}

async fn get(client: &Client, url: Url) -> Result<Answer, Failure> {
    tokio::time::timeout(limits::STIR_FETCH, read(client, url)).await.unwrap_or(Err(Failure("timeout")))
}

async fn read(client: &Client, url: Url) -> Result<Answer, Failure> {
    let sent = client.get(url).header("accept", "application/pem-certificate-chain, */*;q=0.1").send().await;
    let mut response = sent.map_err(|_| Failure("connect_failed"))?;
    if response.status() != StatusCode::OK {
        return Err(Failure("status"));
    }
    let cache_control = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| Failure("connect_failed"))? {
        if body.len() + chunk.len() > limits::STIR_FETCH_BYTES {
            return Err(Failure("too_large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { body: body.into(), cache_control })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_where_they_were_allowed() {
        let url = |text: &str| Url::parse(text).expect(text);
        let first = url("https://cr.example/a");
        for (next, follows) in [
            ("https://cr.example/b", true),
            ("https://cr.example:443/b", true),
            ("https://cr.example:8443/b", false),
            ("http://cr.example/b", false),
            ("https://x@cr.example/b", false),
            ("https://evil.example/b", false),
            ("https://169.254.169.254/latest", false),
        ] {
            assert_eq!(may_follow(std::slice::from_ref(&first), &url(next)), follows, "{next}");
        }
        let many = vec![first.clone(); REDIRECTS + 1];
        assert!(!may_follow(&many, &first), "not for ever");
    }

    #[tokio::test]
    async fn addresses_of_no_host_are_not_asked() {
        for url in ["https://169.254.169.254/x", "https://[::ffff:10.0.0.1]/x", "https://0.0.0.0/x", "nonsense"] {
            let (commands, _answers) = mpsc::unbounded_channel();
            let refused = Certificates::new(Handle::current(), commands).prepare(url).err();
            assert_eq!(refused, Some(Failure("address_refused")), "{url}");
        }
    }
}
