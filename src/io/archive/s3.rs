//! Objects of an S3-compatible storage: put, look, delete. Requests are signed with SigV4; an object counts as stored only
//! when the storage itself names the hash of what it has.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use reqwest::header::{CONTENT_LENGTH, ETAG};
use reqwest::{Client, ClientBuilder, Response, StatusCode, redirect};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use sha2::Sha256;

use crate::config::S3;
use crate::io::sinks::guard::{Guard, GuardedResolver};
use crate::limits;

/// A signed request is good for so long.
const SIGNED_FOR: Duration = Duration::from_secs(900);
/// Header in which the hash goes, and in which the storage says what it has.
const CHECKSUM: &str = "x-amz-checksum-sha256";

/// One bucket, and how to ask for it.
#[derive(Debug)]
pub(in crate::io) struct Store {
    bucket: Bucket,
    credentials: Credentials,
    client: Client,
    /// Stands in front of every name.
    prefix: String,
}

/// Why a request did not do what it was to do. The text is a stable code.
#[derive(Debug, thiserror::Error)]
pub(in crate::io) enum Failure {
    #[error("unreachable")]
    Unreachable,
    #[error("status_{0}")]
    Status(u16),
    /// What the storage has is not what it was given.
    #[error("wrong_checksum")]
    WrongChecksum,
    /// The file here is not what it was.
    #[error("changed_file")]
    ChangedFile,
    #[error("disk: {0}")]
    Disk(#[from] io::Error),
}

/// A file as it is to be stored.
#[derive(Debug)]
struct Whole {
    size: u64,
    sha256: [u8; 32],
    md5: [u8; 16],
}

impl Store {
    /// # Errors
    /// A sentence that says what is wrong with the configuration.
    pub(super) fn new(rules: &S3) -> Result<Store, String> {
        Store::build(rules, Client::builder())
    }

    /// The same, with addresses judged before they are connected to.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the configuration.
    pub(in crate::io) fn guarded(rules: &S3, guard: Guard) -> Result<Store, String> {
        Store::build(rules, Client::builder().dns_resolver(Arc::new(GuardedResolver::system(guard))))
    }

    fn build(rules: &S3, client: ClientBuilder) -> Result<Store, String> {
        // Another part of the daemon may have chosen it already; the first choice stands.
        let _chosen_before = rustls::crypto::ring::default_provider().install_default();
        let style = if rules.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let bucket = Bucket::new(rules.endpoint.clone(), style, rules.bucket.clone(), rules.region.clone());
        let client = client
            .user_agent(concat!("Leaseline/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(limits::SINK_TIMEOUT)
            .timeout(limits::UPLOAD_TIMEOUT)
            .build();
        Ok(Store {
            bucket: bucket.map_err(|bad| bad.to_string())?,
            credentials: Credentials::new(&*rules.access_key, &*rules.secret_key.0),
            client: client.map_err(|bad| bad.to_string())?,
            prefix: rules.prefix.clone(),
        })
    }

    /// Where an object of this name is, without a signature.
    pub(super) fn url(&self, name: &str) -> String {
        self.bucket.object_url(&self.object(name)).to_string()
    }

    fn object(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Stores a file, and asks what was stored. `sha256`: what the file must have (hexadecimal digits); nothing is sent
    /// when it has something else. Gives size and hash.
    pub(in crate::io) async fn put(
        &self,
        name: &str,
        file: &Path,
        sha256: Option<&str>,
    ) -> Result<(u64, String), Failure> {
        let path = file.to_path_buf();
        let whole = tokio::task::spawn_blocking(move || read(&path)).await.map_err(io::Error::other)??;
        let hash = crate::core::archive::merkle::hex(&whole.sha256);
        if sha256.is_some_and(|said| said != hash) {
            return Err(Failure::ChangedFile);
        }
        // A storage that has it already, from a run that was cut short, is not sent it again.
        if !self.is_stored(name, &whole).await? {
            self.send(name, file, &whole).await?;
            if !self.is_stored(name, &whole).await? {
                return Err(Failure::WrongChecksum);
            }
        }
        Ok((whole.size, hash))
    }

    async fn send(&self, name: &str, file: &Path, whole: &Whole) -> Result<(), Failure> {
        let object = self.object(name);
        let checksum = STANDARD.encode(whole.sha256);
        let mut action = self.bucket.put_object(Some(&self.credentials), &object);
        action.headers_mut().insert(CHECKSUM, checksum.as_str());
        let url = action.sign(SIGNED_FOR);
        let body = tokio::fs::File::open(file).await?;
        let request = self.client.put(url).header(CHECKSUM, &checksum).header(CONTENT_LENGTH, whole.size).body(body);
        good(request.send().await).map(drop)
    }

    /// Does the storage name the hash of this file? One that does not know SHA-256 names the MD5 as ETag.
    async fn is_stored(&self, name: &str, whole: &Whole) -> Result<bool, Failure> {
        let object = self.object(name);
        let mut action = self.bucket.head_object(Some(&self.credentials), &object);
        action.headers_mut().insert("x-amz-checksum-mode", "ENABLED");
        let url = action.sign(SIGNED_FOR);
        let answer = match good(self.client.head(url).header("x-amz-checksum-mode", "ENABLED").send().await) {
            Err(Failure::Status(404)) => return Ok(false),
            other => other?,
        };
        let text = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let size = text(CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
        let same = match text(CHECKSUM) {
            Some(checksum) => checksum == STANDARD.encode(whole.sha256),
            None => text(ETAG.as_str())
                .is_some_and(|tag| tag.trim_matches('"') == crate::core::archive::merkle::hex(&whole.md5)),
        };
        Ok(same && size == Some(whole.size))
    }

    /// Deletes an object; one that is not there is deleted.
    pub(super) async fn delete(&self, name: &str) -> Result<(), Failure> {
        let object = self.object(name);
        let url = self.bucket.delete_object(Some(&self.credentials), &object).sign(SIGNED_FOR);
        match good(self.client.delete(url).send().await) {
            Err(Failure::Status(404)) => Ok(()),
            other => other.map(drop),
        }
    }
}

/// What came back, if it is a success. A signed URL is as good as a password for its time: errors do not show it.
fn good(sent: Result<Response, reqwest::Error>) -> Result<Response, Failure> {
    let response = sent.map_err(|_| Failure::Unreachable)?;
    match response.status() {
        StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => Ok(response),
        other => Err(Failure::Status(other.as_u16())),
    }
}

fn read(path: &Path) -> io::Result<Whole> {
    use std::io::Read as _;
    let mut file = std::fs::File::open(path)?;
    let (mut sha256, mut md5, mut size) = (Sha256::new(), Md5::new(), 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..count).filter(|part| !part.is_empty()) else { break };
        sha256.update(part);
        md5.update(part);
        size += count as u64;
    }
    Ok(Whole { size, sha256: sha256.finalize().into(), md5: md5.finalize().into() })
}
