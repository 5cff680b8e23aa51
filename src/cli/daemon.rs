//! The running daemon's API, for commands that ask it.

use super::Exit;
use crate::config::Config;

/// Why a command failed, and its exit code.
pub(super) type Failed = (String, Exit);

/// See the module.
pub(super) struct Daemon {
    base: String,
    token: Option<std::sync::Arc<str>>,
    client: reqwest::Client,
}

impl Daemon {
    /// Where the configuration says, or at `url`.
    pub(super) fn new(url: Option<&str>, config: &Config) -> Result<Daemon, Failed> {
        // A second install is refused and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(crate::limits::SINK_TIMEOUT).build();
        let client = client.map_err(|e| (format!("cannot start: {e}"), Exit::CouldNot))?;
        let base = url.map_or_else(|| format!("http://{}", config.http.listen), str::to_owned);
        Ok(Daemon { base: base.trim_end_matches('/').to_owned(), token: config.http.token.clone(), client })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Vec<u8>, Failed> {
        self.ask(self.client.get(format!("{}{path}", self.base))).await
    }

    /// Sends JSON. Takes as long as it takes: an erasure reads every sidecar there is.
    pub(super) async fn post(&self, path: &str, body: &serde_json::Value) -> Result<Vec<u8>, Failed> {
        let request = self.client.post(format!("{}{path}", self.base)).timeout(crate::limits::ERASURE_PATIENCE);
        self.ask(request.json(body)).await
    }

    async fn ask(&self, mut request: reqwest::RequestBuilder) -> Result<Vec<u8>, Failed> {
        let unreachable = |e: reqwest::Error| {
            (format!("cannot ask the daemon at {}: {}", self.base, e.without_url()), Exit::CouldNot)
        };
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("the daemon refused");
        let exit = if status.as_u16() == 404 { Exit::Bad } else { Exit::CouldNot };
        Err((format!("{detail} ({status})"), exit))
    }
}
