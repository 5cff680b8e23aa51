//! `GET /v1/calls/{id}/recording`: the WAV, whole or by `Range` (RFC 9110 §14). The file is found by the call's id alone:
//! no path comes from outside, and no link is followed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use age::stream::StreamReader;
use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio_stream::wrappers::ReceiverStream;

use super::access::Caller;
use super::problem::Problem;
use super::stream::Pieces;
use super::{AppState, archive, body, calls};
use crate::ids::CallId;
use crate::io::recordings::{Locked, crypt};
use crate::time::Wall;

/// `GET /v1/calls/{id}/recording[?download=1&reason=…]`; who hears it is written down first (`recording.played`).
pub(super) async fn recording(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<axum::extract::Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let id = calls::call_id(id)?;
    let [download, reason] = body::query(&request, ["download", "reason"])?;
    let in_header = || request.headers().get("x-reason").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let reason = reason.or_else(in_header).map(|reason| archive::reason(&reason)).transpose()?;
    let (data_dir, identity) = (state.data_dir.clone(), state.config.load().recording.keep.identity_file.clone());
    let opened = tokio::task::spawn_blocking(move || open(&data_dir, id, identity.as_deref())).await;
    let mut ending = "wav";
    let (mut source, length, modified) = match opened.map_err(io::Error::other).and_then(|opened| opened) {
        Ok(Found::Sealed { source, length, modified }) => (source, length, modified),
        Ok(Found::Packed { source, length, modified, ending: packed }) => {
            ending = packed;
            (source, length, modified)
        }
        Ok(Found::Moved) => {
            let detail = "The recording is kept in an archive elsewhere, and not on this node any more.";
            return Err(Problem::new(StatusCode::CONFLICT, "recording_moved", detail));
        }
        Ok(Found::Locked(why)) => {
            let detail = format!("The recording is encrypted, and this node cannot open it: {why}.");
            return Err(Problem::new(StatusCode::CONFLICT, "recording_encrypted", detail));
        }
        Ok(Found::Growing) => {
            let detail = "The call is being recorded; its file is sealed when it ends.";
            return Err(Problem::new(StatusCode::CONFLICT, "recording_in_progress", detail));
        }
        Ok(Found::Erased) => {
            return Err(Problem::new(StatusCode::GONE, "recording_erased", "The recording of this call was erased."));
        }
        Ok(Found::Nothing) => return Err(Problem::not_found("no_recording", "There is no recording of this call.")),
        Err(error) => return Err(Problem::internal("recording_unreadable", &error)),
    };

    let tag =
        HeaderValue::from_str(&format!("\"{length:x}-{modified:x}\"")).unwrap_or(HeaderValue::from_static("\"\""));
    let kind = if download.is_some() { "attachment" } else { "inline" };
    let mut headers = HeaderMap::new();
    let kind_of_file = match ending {
        "flac" => "audio/flac",
        "opus" => "audio/ogg; codecs=opus",
        _ => "audio/wav",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind_of_file));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::ETAG, tag.clone());
    if let Ok(disposition) = HeaderValue::from_str(&format!("{kind}; filename=\"{id}.{ending}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    let asked = request.headers();
    if asked.get(header::IF_NONE_MATCH).is_some_and(|known| names(known, &tag)) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let (status, first, count) = match asked_for(request.method(), asked, &tag, length) {
        Asked::Whole => (StatusCode::OK, 0, length),
        Asked::Part { first, last } => {
            headers.insert(header::CONTENT_RANGE, content_range(&format!("bytes {first}-{last}/{length}")));
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
        }
        Asked::Outside => {
            let detail = format!("The file has {length} bytes.");
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail);
            let mut response = problem.into_response();
            response.headers_mut().insert(header::CONTENT_RANGE, content_range(&format!("bytes */{length}")));
            return Ok(response);
        }
    };
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    if request.method() == Method::HEAD {
        return Ok((status, headers).into_response());
    }
    archive::heard(&state, id, &caller, reason, download.is_some())?;
    let unreadable = |error: io::Error| Problem::internal("recording_unreadable", &error);
    let body = match &mut source {
        Source::Plain(file) => {
            file.seek(SeekFrom::Start(first)).map_err(unreadable)?;
            let file = file.try_clone().map_err(unreadable)?;
            Body::from_stream(Pieces { file: tokio::fs::File::from_std(file), left: count })
        }
        Source::Encrypted(_) => Body::from_stream(read_apart(source, first, count)),
    };
    Ok((status, headers, body).into_response())
}

/// Reads the WAV of a call, encrypted or not, with what else is given its length; `None`: there is none here that can be
/// read. Nobody hears it, so nothing is written down.
pub(super) async fn sound<T: Send + 'static>(
    state: &AppState,
    id: CallId,
    read: impl FnOnce(Source, u64) -> io::Result<T> + Send + 'static,
) -> Option<T> {
    let (data_dir, identity) = (state.data_dir.clone(), state.config.load().recording.keep.identity_file.clone());
    let read = move || match open(&data_dir, id, identity.as_deref())? {
        Found::Sealed { source, length, .. } => read(source, length).map(Some),
        _ => Ok(None),
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::warn!(call = %id, %error, "recording cannot be read");
            None
        }
        Err(_) => None,
    }
}

/// What there is of a call's recording.
enum Found {
    Sealed {
        source: Source,
        length: u64,
        modified: i64,
    },
    /// The `.part` of a call in progress.
    Growing,
    /// As FLAC or Opus.
    Packed {
        source: Source,
        length: u64,
        modified: i64,
        ending: &'static str,
    },
    /// Its sidecar is here, and its sound elsewhere.
    Moved,
    /// Encrypted, and not for this node.
    Locked(Locked),
    /// There is a tombstone.
    Erased,
    Nothing,
}

/// Where the bytes come from.
pub(super) enum Source {
    Plain(File),
    Encrypted(Box<StreamReader<File>>),
}

impl Source {
    fn from(&mut self, at: u64) -> io::Result<&mut dyn Read> {
        match self {
            Source::Plain(file) => file.seek(SeekFrom::Start(at)).map(|_| file as &mut dyn Read),
            Source::Encrypted(reader) => reader.seek(SeekFrom::Start(at)).map(|_| &mut **reader as &mut dyn Read),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::Plain(file) => file.read(buffer),
            Source::Encrypted(reader) => reader.read(buffer),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Source::Plain(file) => file.seek(to),
            Source::Encrypted(reader) => reader.seek(to),
        }
    }
}

/// The bytes of a source that takes its time, read where blocking is allowed and a little ahead.
fn read_apart(mut source: Source, first: u64, count: u64) -> ReceiverStream<io::Result<Bytes>> {
    let (pieces, stream) = tokio::sync::mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let mut left = count;
        let mut next = || -> io::Result<Option<Bytes>> {
            let from = source.from(first + (count - left))?;
            let mut piece = Vec::new();
            from.take(left.min(64 * 1024)).read_to_end(&mut piece)?;
            left -= piece.len() as u64;
            match (piece.is_empty(), left) {
                (true, 0) => Ok(None),
                (true, _) => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(Some(piece.into())),
            }
        };
        // Whoever does not listen any more is not read for.
        while let Some(piece) = next().transpose() {
            let failed = piece.is_err();
            if pieces.blocking_send(piece).is_err() || failed {
                break;
            }
        }
    });
    ReceiverStream::new(stream)
}

/// Looks in the folder of the day on which the call began, and of the next: a recording begins at the answer.
fn open(data_dir: &Path, id: CallId, identity: Option<&Path>) -> io::Result<Found> {
    let began = Wall(i64::try_from(id.0 >> 80).unwrap_or(0).saturating_mul(1_000));
    for day in [began, began + Duration::from_secs(24 * 3_600)] {
        let folder = folder(data_dir, day);
        match open_file(&folder.join(format!("{id}.wav"))) {
            Ok((file, length, modified)) => {
                return Ok(Found::Sealed { source: Source::Plain(file), length, modified });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let encrypted = folder.join(format!("{id}.wav.age"));
        match open_file(&encrypted) {
            Ok((file, _, modified)) => {
                let Some(identity) = identity else { return Ok(Found::Locked(Locked::WrongIdentity)) };
                return match crypt::open(file, &data_dir.join(crypt::key_file(&encrypted, id)), identity) {
                    Ok(mut reader) => {
                        let length = reader.seek(SeekFrom::End(0))?;
                        Ok(Found::Sealed { source: Source::Encrypted(Box::new(reader)), length, modified })
                    }
                    Err(Locked::Io(error)) => Err(error),
                    Err(locked) => Ok(Found::Locked(locked)),
                };
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        for ending in ["flac", "opus"] {
            match open_file(&folder.join(format!("{id}.{ending}"))) {
                Ok((file, length, modified)) => {
                    return Ok(Found::Packed { source: Source::Plain(file), length, modified, ending });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if folder.join(format!("{id}.wav.part")).try_exists()? {
            return Ok(Found::Growing);
        }
        if folder.join(format!("{id}.erased")).try_exists()? || folder.join(format!("{id}.erasing")).try_exists()? {
            return Ok(Found::Erased);
        }
        if folder.join(format!("{id}.json")).try_exists()? {
            return Ok(Found::Moved);
        }
    }
    Ok(Found::Nothing)
}

/// `<data_dir>/recordings/YYYY/MM/DD` (CONTRACT §5).
fn folder(data_dir: &Path, day: Wall) -> PathBuf {
    let (year, month, day) = day.date();
    data_dir.join("recordings").join(format!("{year:04}")).join(format!("{month:02}")).join(format!("{day:02}"))
}

fn open_file(path: &Path) -> io::Result<(File, u64, i64)> {
    // Neither a link that somebody put there nor a pipe that would block.
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok((file, meta.len(), meta.mtime().wrapping_mul(1_000_000_000).wrapping_add(meta.mtime_nsec())))
}

/// What a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    /// Both inclusive.
    Part {
        first: u64,
        last: u64,
    },
    Outside,
}

/// What a request asks for. Only of GET a range is one (RFC 9110 §14.2), and only while the file is the one that was seen.
fn asked_for(method: &Method, headers: &HeaderMap, tag: &HeaderValue, length: u64) -> Asked {
    let is_seen = headers.get(header::IF_RANGE).is_none_or(|seen| seen == tag);
    let mut ranges = headers.get_all(header::RANGE).iter();
    match (ranges.next().and_then(|range| range.to_str().ok()), ranges.next()) {
        (Some(range), None) if *method == Method::GET && is_seen => read_range(range, length),
        _ => Asked::Whole,
    }
}

/// One range of bytes. Several at once, other units and what is no range at all get the whole file, as the RFC allows.
fn read_range(text: &str, length: u64) -> Asked {
    let digits = |text: &str| {
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
    };
    let of_bytes = text.trim().split_once('=').filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes"));
    // A list may have empty elements (§5.6.1.2).
    let mut list = of_bytes.map_or("", |(_, list)| list).split(',').map(str::trim).filter(|range| !range.is_empty());
    let (Some(range), None) = (list.next(), list.next()) else { return Asked::Whole };
    let Some(range) = range.split_once('-') else { return Asked::Whole };
    let (first, last) = match range {
        ("", suffix) => match digits(suffix) {
            Some(0) => return Asked::Outside,
            Some(count) => (length.saturating_sub(count), length.saturating_sub(1)),
            None => return Asked::Whole,
        },
        (first, "") => match digits(first) {
            Some(first) => (first, length.saturating_sub(1)),
            None => return Asked::Whole,
        },
        (first, last) => match (digits(first), digits(last)) {
            (Some(first), Some(last)) if first <= last => (first, last.min(length.saturating_sub(1))),
            _ => return Asked::Whole,
        },
    };
    if first >= length { Asked::Outside } else { Asked::Part { first, last } }
}

fn names(list: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(list), Ok(tag)) = (list.to_str(), tag.to_str()) else { return false };
    list.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == "*" || one == tag)
}

fn content_range(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("bytes */*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part = |first, last| Asked::Part { first, last };
        for (text, wanted) in [
            ("bytes=0-99", part(0, 99)),
            ("bytes=100-", part(100, 999)),
            ("bytes=-100", part(900, 999)),
            ("bytes=-5000", part(0, 999)),
            ("bytes=990-5000", part(990, 999)),
            ("bytes=999-999", part(999, 999)),
            ("bytes=1000-", Asked::Outside),
            ("bytes=-0", Asked::Outside),
            ("bytes=99999999999999999999-", Asked::Outside),
            ("bytes=0-99999999999999999999", part(0, 999)),
            ("bytes=5-", part(5, 999)),
            ("Bytes=0-0", part(0, 0)),
            (" bytes= 0-1 , ,", part(0, 1)),
            // No ranges, §14.1.1: may be ignored, §14.2.
            ("bytes=5-4", Asked::Whole),
            ("bytes=9-1", Asked::Whole),
            ("bytes=2000-1000", Asked::Whole),
            ("bytes=0-1,5-6", Asked::Whole),
            ("bytes=5000-,6000-", Asked::Whole),
            ("bytes=0 - 1", Asked::Whole),
            ("bytes=0-1-2", Asked::Whole),
            ("bytes", Asked::Whole),
            ("bytes=", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("items=0-1", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(read_range(text, 1_000), wanted, "{text}");
        }
        assert_eq!(read_range("bytes=0-", 0), Asked::Outside, "an empty file has no first byte");
        assert_eq!(read_range("bytes=-1", 0), Asked::Outside);
    }
}
