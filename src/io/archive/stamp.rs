//! Closed days get a time stamp (RFC 3161): an authority elsewhere says that the manifest's head existed at a time, so that
//! not even whoever has the signing key can close a day of long ago anew.
//!
//! Nothing waits for it. A day is closed and signed as ever; a task asks the authority afterwards and again, with growing
//! pauses, until it has answered. The whole answer is kept in the manifest, beside the text that it is about, and is not
//! part of what is signed.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, redirect};
use tokio::sync::watch;

use super::{Archive, days};
use crate::config::TimeAuthority;
use crate::core::archive::manifest::{Manifest, Timestamp};
use crate::core::archive::timestamp::{self, RESPONSE_MAX, Stamp};
use crate::core::event::{Body, DayStampedData};
use crate::io::clock;
use crate::io::recordings::names::{self, MANIFEST};
use crate::limits;

/// Why there is no stamp yet. The text is a stable code.
#[derive(Debug, thiserror::Error)]
enum NotYet {
    #[error("timestamp_unreachable")]
    Unreachable,
    #[error("timestamp_status_{0}")]
    Status(u16),
    #[error(transparent)]
    Bad(#[from] timestamp::Bad),
    #[error("disk: {0}")]
    Disk(#[from] std::io::Error),
}

/// Asks for stamps until it is stopped.
pub(super) async fn run(archive: Arc<Archive>, rules: TimeAuthority, mut stop: watch::Receiver<bool>) {
    // Another part of the daemon may have chosen it already; the first choice stands.
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .user_agent(concat!("Leaseline/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(limits::SINK_TIMEOUT)
        .timeout(limits::SINK_TIMEOUT * 2)
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return tracing::error!(%error, "days get no time stamps"),
    };
    let mut pause = limits::TIMESTAMP_PAUSE;
    let mut all = true;
    loop {
        let left = archive.stamp_days(&client, &rules, all).await;
        all = left > 0;
        let wait = if left == 0 { limits::TIMESTAMP_PAUSE_MAX } else { pause };
        pause = if left == 0 { limits::TIMESTAMP_PAUSE } else { (pause * 2).min(limits::TIMESTAMP_PAUSE_MAX) };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = archive.day_closed.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Archive {
    /// Asks for a stamp of every closed day that has none; `all`: not only of the newest. Gives how many have none still.
    async fn stamp_days(&self, client: &Client, rules: &TimeAuthority, all: bool) -> usize {
        let mut left = 0;
        let mut folders = names::days(&self.recordings());
        folders.retain(|folder| folder.join(MANIFEST).exists());
        if !all {
            folders.drain(..folders.len().saturating_sub(limits::ARCHIVE_DAYS_WATCHED));
        }
        for folder in folders {
            let manifest = match days::load(&folder) {
                Ok(manifest) if manifest.timestamp.is_none() && manifest.flaws(None).is_empty() => manifest,
                _ => continue,
            };
            match self.stamp_day(client, rules, &folder, &manifest).await {
                Ok(()) => {
                    self.figures.stamps.inc();
                }
                Err(error) => {
                    left += 1;
                    self.figures.stamp_failures.inc();
                    tracing::warn!(day = manifest.day, code = %error, "this day has no time stamp yet");
                }
            }
            if left >= limits::ARCHIVE_DAYS_WATCHED {
                // The authority is away: it is not asked for every day there is.
                break;
            }
        }
        self.figures.stamps_left.set(i64::try_from(left).unwrap_or(i64::MAX));
        left
    }

    async fn stamp_day(
        &self,
        client: &Client,
        rules: &TimeAuthority,
        folder: &Path,
        manifest: &Manifest,
    ) -> Result<(), NotYet> {
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).map_err(std::io::Error::other)?;
        let text = manifest.head.as_bytes();
        let question = timestamp::request(text, nonce).ok_or(timestamp::Bad::Unreadable)?;
        let answer = ask(client, rules, question).await?;
        let stamp = timestamp::check(&answer, text, Some(nonce), rules.roots.as_ref())?;
        let kept = Timestamp { head: manifest.head.clone(), response: STANDARD.encode(&answer) };
        self.keep_stamp(folder, kept, stamp)?;
        Ok(())
    }

    /// Puts a stamp into the manifest as it stands now: it may have changed while the authority was asked.
    fn keep_stamp(&self, folder: &Path, kept: Timestamp, stamp: Stamp) -> std::io::Result<()> {
        let turn = self.turn();
        let mut manifest = days::load(folder)?;
        if manifest.timestamp.is_some() || !manifest.had_head(&kept.head) {
            return Ok(());
        }
        manifest.timestamp = Some(kept);
        days::save(folder, &manifest)?;
        drop(turn);
        let Stamp { at, by, serial, is_trusted } = stamp;
        tracing::info!(day = manifest.day, %at, by, "the day has its time stamp");
        let data = DayStampedData { day: manifest.day.clone(), at, by, serial, trusted: is_trusted };
        self.tell(clock::wall(), manifest.day, Body::ArchiveDayStamped(data));
        Ok(())
    }
}

async fn ask(client: &Client, rules: &TimeAuthority, question: Vec<u8>) -> Result<Vec<u8>, NotYet> {
    let request = client.post(rules.url.clone()).header(CONTENT_TYPE, "application/timestamp-query").body(question);
    let mut answer = request.send().await.map_err(|_| NotYet::Unreachable)?;
    if !answer.status().is_success() {
        return Err(NotYet::Status(answer.status().as_u16()));
    }
    let mut bytes = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|_| NotYet::Unreachable)? {
        if bytes.len() + part.len() > RESPONSE_MAX {
            return Err(timestamp::Bad::Unreadable.into());
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}
