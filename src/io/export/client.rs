//! Does what a conversation asks for: requests, letters, files. Bounded in time and size; every address is judged before it
//! is connected to ([`crate::io::sinks::guard`]), redirects are not followed, bodies are not inflated.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, redirect};
use tokio::sync::oneshot;

use crate::config::Config;
use crate::config::export::{Export, ExportKind, FilePlace};
use crate::core::export::{Answer, Ask, Request};
use crate::core::keeper::Letter;
use crate::ids::CallId;
use crate::io::archive::{s3, write_whole_as};
use crate::io::clock;
use crate::io::keeper::Mailer;
use crate::io::recordings;
use crate::io::sinks::guard::{Guard, GuardedResolver, Refused};
use crate::io::sinks::{failure_code, retry_after};
use crate::limits;

/// A request with a body beyond this may take [`LONG`].
const LARGE: usize = 256 * 1024;
const LONG: Duration = Duration::from_secs(120);

/// The way to one destination.
#[derive(Debug)]
pub(super) struct Client {
    way: Way,
    data_dir: PathBuf,
    files: Option<Files>,
    mailer: Mutex<Mailer>,
}

#[derive(Debug)]
enum Way {
    Net {
        http: reqwest::Client,
        allow_private: bool,
    },
    /// Stands in for the network.
    #[cfg(test)]
    Scripted(Scripted),
}

#[cfg(test)]
pub(super) type Script = dyn FnMut(&Request) -> Answer + Send;

#[cfg(test)]
pub(super) struct Scripted(Mutex<Box<Script>>);

#[cfg(test)]
impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

#[derive(Debug)]
enum Files {
    Folder(PathBuf),
    Storage(Arc<s3::Store>),
}

/// Why an export's way cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BadClient {
    #[error("HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("storage: {0}")]
    Storage(String),
    #[error("folder of the files: {0}")]
    Folder(#[from] io::Error),
}

impl Client {
    pub(super) fn new(export: &Export, data_dir: &Path) -> Result<Client, BadClient> {
        // Another part of the daemon may have chosen it already; the first choice stands.
        let _chosen_before = rustls::crypto::ring::default_provider().install_default();
        let mut files = None;
        let mut allow_private = export.allow_private;
        if let ExportKind::Files(settings) = &export.kind {
            files = Some(match &settings.place {
                FilePlace::Folder(folder) => {
                    std::fs::create_dir_all(folder)?;
                    Files::Folder(folder.clone())
                }
                FilePlace::Storage(storage) => {
                    allow_private |= crate::config::names_private_address(&storage.endpoint);
                    let guard = Guard::new(&storage.endpoint, allow_private)?;
                    Files::Storage(Arc::new(s3::Store::guarded(storage, guard).map_err(BadClient::Storage)?))
                }
            });
        }
        if let Some(url) = &export.url {
            Guard::new(url, allow_private)?;
        }
        let guard = Guard::of_names(allow_private);
        let http = reqwest::Client::builder()
            .user_agent(concat!("Leaseline/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(GuardedResolver::system(guard)))
            .connect_timeout(limits::SINK_TIMEOUT)
            .build()?;
        let way = Way::Net { http, allow_private };
        Ok(Client { way, data_dir: data_dir.to_owned(), files, mailer: Mutex::default() })
    }

    #[cfg(test)]
    pub(super) fn scripted(export: &Export, data_dir: &Path, script: Box<Script>) -> Client {
        let way = Way::Scripted(Scripted(Mutex::new(script)));
        Client { way, ..Client::new(export, data_dir).expect("a client") }
    }

    pub(super) async fn ask(&self, ask: Ask, config: &Config) -> Answer {
        match ask {
            Ask::Http(request) => self.request(request).await,
            Ask::Mail(letter) => self.letter(letter, config).await,
            Ask::File { name, body } => self.file(name, body).await,
            Ask::Recording(call) => self.recording(&call).await,
        }
    }

    pub(super) async fn request(&self, request: Request) -> Answer {
        let (http, allow_private) = match &self.way {
            Way::Net { http, allow_private } => (http, *allow_private),
            #[cfg(test)]
            Way::Scripted(script) => return (script.0.lock().unwrap_or_else(PoisonError::into_inner))(&request),
        };
        if Guard::new(&request.url, allow_private).is_err() {
            return Answer::Failed("address_refused".to_owned());
        }
        let time = if request.body.len() > LARGE { LONG } else { limits::SINK_TIMEOUT };
        match tokio::time::timeout(time, send(http, request)).await {
            Ok(answer) => answer,
            Err(_) => Answer::Failed("timeout".to_owned()),
        }
    }

    async fn letter(&self, letter: Letter, config: &Config) -> Answer {
        let (done, answer) = oneshot::channel();
        // Nobody waits any more: the letter went or did not.
        let told = move |sent| drop(done.send(sent));
        self.mailer.lock().unwrap_or_else(PoisonError::into_inner).send(config, letter, told);
        match answer.await {
            Ok(Ok(_)) => came(250, Vec::new()),
            Ok(Err(code)) if code == "mail_refused" || code == "mail_address_bad" => came(422, code.into_bytes()),
            Ok(Err(code)) => Answer::Failed(code),
            Err(_) => Answer::Failed("mail_failed".to_owned()),
        }
    }

    async fn file(&self, name: String, body: Vec<u8>) -> Answer {
        match &self.files {
            Some(Files::Folder(folder)) => {
                let path = folder.join(name);
                written(tokio::task::spawn_blocking(move || put(&path, &body)).await)
            }
            Some(Files::Storage(storage)) => {
                let path = self.data_dir.join("exports").join(format!("{name}.upload"));
                let local = path.clone();
                let done = written(tokio::task::spawn_blocking(move || put(&local, &body)).await);
                if done.status() != 200 {
                    return done;
                }
                let stored = tokio::time::timeout(LONG, storage.put(&name, &path, None)).await;
                let _a_rest_is_overwritten = tokio::fs::remove_file(&path).await;
                match stored {
                    Ok(Ok(_)) => came(200, Vec::new()),
                    Ok(Err(s3::Failure::Status(status))) => came(status, Vec::new()),
                    Ok(Err(failure)) => Answer::Failed(failure.to_string()),
                    Err(_) => Answer::Failed("timeout".to_owned()),
                }
            }
            None => came(404, Vec::new()),
        }
    }

    /// 404 when there is none that can be handed over: erased, encrypted, too large.
    async fn recording(&self, call: &str) -> Answer {
        let (data_dir, id) = (self.data_dir.clone(), call.parse::<CallId>());
        let Ok(id) = id else { return came(404, Vec::new()) };
        let read = tokio::task::spawn_blocking(move || -> io::Result<Option<Vec<u8>>> {
            let Some(path) = recordings::sealed(&data_dir, id) else { return Ok(None) };
            let file = std::fs::File::open(path)?;
            let mut bytes = Vec::new();
            file.take(limits::EXPORT_RECORDING + 1).read_to_end(&mut bytes)?;
            Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= limits::EXPORT_RECORDING))
        });
        match read.await {
            Ok(Ok(Some(bytes))) => came(200, bytes),
            _ => came(404, Vec::new()),
        }
    }
}

fn came(status: u16, body: Vec<u8>) -> Answer {
    Answer::Came { status, retry_after: None, body }
}

async fn send(http: &reqwest::Client, request: Request) -> Answer {
    let method = Method::from_bytes(request.method.as_bytes()).unwrap_or(Method::POST);
    let mut builder = http.request(method, request.url).body(request.body);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let mut response = match builder.send().await {
        Ok(response) => response,
        Err(error) => return Answer::Failed(failure_code(&error).to_owned()),
    };
    let status = response.status().as_u16();
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, clock::wall()));
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(_) => return Answer::Failed("answer_broken".to_owned()),
        }
        // An answer that is longer says nothing more to us.
        if body.len() > limits::SINK_REPLY {
            body.truncate(limits::SINK_REPLY);
            break;
        }
    }
    Answer::Came { status, retry_after: asked, body }
}

fn written(done: Result<io::Result<()>, tokio::task::JoinError>) -> Answer {
    match done {
        Ok(Ok(())) => came(200, Vec::new()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a file of an export cannot be written");
            let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            Answer::Failed(if full { "disk_full" } else { "write_error" }.to_owned())
        }
        Err(_) => Answer::Failed("write_error".to_owned()),
    }
}

/// Whole or not at all; one that is there stays, for it has the same rows.
fn put(path: &Path, body: &[u8]) -> io::Result<()> {
    if path.exists() { Ok(()) } else { write_whole_as(path, body, 0o640) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::put;

    #[test]
    fn a_file_of_an_export_is_written_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls_1-9.csv");
        put(&path, b"a,b\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        // The same rows once more, after a crash: what is there stays.
        put(&path, b"other").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"a,b\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(put(&folder.path().join("no folder").join("calls.csv"), b"").is_err());
    }
}
