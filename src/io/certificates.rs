//! Fetches the certificates of STIR that a call names, when `[trunk.stir] fetch_hosts` has their host: https only, from
//! judged addresses, bounded in size and time, and never from another host than the one that was allowed.

use std::time::Duration;

use reqwest::header::CACHE_CONTROL;
use reqwest::{Client, StatusCode, redirect};
use url::Url;

use crate::core::stir::Answer;
use crate::io::sinks::guard::{Guard, GuardedResolver};
use crate::limits;

/// Redirects of one host that are followed.
const REDIRECTS: usize = 2;

/// Why there is no certificate. Stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure(pub &'static str);

/// The https client, made with the first certificate that is wanted.
#[derive(Clone, Debug, Default)]
pub struct Fetcher {
    client: Option<Client>,
}

impl Fetcher {
    /// What stands at this URL. Whether it may be asked was decided before; it is judged again as an address here.
    ///
    /// # Errors
    /// `address_refused`, `no_client`, `timeout`, `connect_failed`, `status`, `too_large`.
    pub async fn fetch(&mut self, url: &str) -> Result<Answer, Failure> {
        let url = Url::parse(url).map_err(|_| Failure("address_refused"))?;
        let guard = Guard::new(&url, false).map_err(|_| Failure("address_refused"))?;
        let client = match &self.client {
            Some(client) => client.clone(),
            None => self.client.insert(client(guard).map_err(|_| Failure("no_client"))?).clone(),
        };
        match tokio::time::timeout(limits::STIR_FETCH, get(&client, url)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure("timeout")),
        }
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
            assert_eq!(Fetcher::default().fetch(url).await, Err(Failure("address_refused")), "{url}");
        }
    }
}
