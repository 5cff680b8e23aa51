//! Uploads against a storage of our own that checks every signature itself.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use hmac::{Hmac, Mac as _};
use http_body_util::BodyExt as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::super::upload::Uploads;
use super::*;
use crate::core::archive::merkle::hex;
use crate::core::event::cloud::tests as events;
use crate::core::event::{CallData, RecordingSummary};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// What the storage has, and how it behaves.
#[derive(Debug, Default)]
struct Shelf {
    objects: BTreeMap<String, Vec<u8>>,
    /// Requests that came, as method and path.
    seen: Vec<String>,
    /// So many requests are answered 503 first.
    refuse: usize,
    /// What is put next loses its last byte.
    spoil: bool,
    /// Requests whose signature was not right.
    forged: usize,
    /// Answers HEAD without a checksum, as storages do that do not know SHA-256.
    old: bool,
}

#[derive(Clone, Debug)]
struct Storage {
    shelf: Arc<Mutex<Shelf>>,
    /// Counts requests, so that a test can wait for them.
    count: Arc<watch::Sender<usize>>,
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// AWS Signature Version 4 of a presigned URL, written from its description and not from the code under test.
fn is_signed(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let mut pairs: Vec<(&str, &str)> =
        uri.query().unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    let given: HashMap<&str, String> = pairs
        .iter()
        .map(|(name, value)| {
            (*name, url::form_urlencoded::parse(format!("x={value}").as_bytes()).next().unwrap().1.into())
        })
        .collect();
    pairs.retain(|(name, _)| *name != "X-Amz-Signature");
    pairs.sort_unstable();
    let query = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let Some(signed) = given.get("X-Amz-SignedHeaders") else { return false };
    let lines: String = signed
        .split(';')
        .map(|name| format!("{name}:{}\n", headers.get(name).map_or("", |value| value.to_str().unwrap())))
        .collect();
    // A checksum that travels with a file must be one of the things that are signed.
    if headers.contains_key("x-amz-checksum-sha256") && !signed.contains("x-amz-checksum-sha256") {
        return false;
    }
    let request = format!("{method}\n{}\n{query}\n{lines}\n{signed}\nUNSIGNED-PAYLOAD", uri.path());
    let (date, credential) = (&given["X-Amz-Date"], &given["X-Amz-Credential"]);
    let Some((key, scope)) = credential.split_once('/') else { return false };
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let mut secret = format!("AWS4{SECRET}").into_bytes();
    for part in scope.split('/') {
        secret = mac(&secret, part);
    }
    key == KEY && scope.ends_with("/eu-test-1/s3/aws4_request") && given["X-Amz-Signature"] == hex(&mac(&secret, &text))
}

async fn serve(State(storage): State<Storage>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = body.collect().await.unwrap().to_bytes();
    let path = parts.uri.path().to_owned();
    let response = {
        let mut shelf = storage.shelf.lock().unwrap();
        shelf.seen.push(format!("{} {path}", parts.method));
        answer(&mut shelf, &parts.method, &parts.uri, &parts.headers, &path, &body)
    };
    storage.count.send_modify(|count| *count += 1);
    response
}

fn answer(shelf: &mut Shelf, method: &Method, uri: &Uri, headers: &HeaderMap, path: &str, body: &Bytes) -> Response {
    if !is_signed(method, uri, headers) {
        shelf.forged += 1;
        return StatusCode::FORBIDDEN.into_response();
    }
    if shelf.refuse > 0 {
        shelf.refuse -= 1;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    match *method {
        Method::PUT => {
            if headers.get("x-amz-checksum-sha256").unwrap().to_str().unwrap() != base64(&Sha256::digest(body)) {
                return StatusCode::BAD_REQUEST.into_response();
            }
            let mut bytes = body.to_vec();
            if std::mem::take(&mut shelf.spoil) {
                bytes.pop();
            }
            shelf.objects.insert(path.to_owned(), bytes);
            StatusCode::OK.into_response()
        }
        Method::HEAD => match shelf.objects.get(path) {
            None => StatusCode::NOT_FOUND.into_response(),
            Some(bytes) => {
                let mut answer = HeaderMap::new();
                answer.insert("etag", format!("\"{}\"", hex(&md5::Md5::digest(bytes))).parse().unwrap());
                answer.insert("content-length", bytes.len().into());
                if !shelf.old {
                    answer.insert("x-amz-checksum-sha256", base64(&Sha256::digest(bytes)).parse().unwrap());
                }
                answer.into_response()
            }
        },
        Method::DELETE => {
            shelf.objects.remove(path);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

struct Setting {
    world: World,
    archive: Arc<Archive>,
    storage: Storage,
}

/// A world whose archive is the storage.
async fn setting(extra: &str) -> Setting {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let storage = Storage { shelf: Arc::default(), count: Arc::new(watch::Sender::new(0)) };
    let app = axum::Router::new().fallback(serve).with_state(storage.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let rules = format!(
        "[[archive]]\nname = \"cold\"\nkind = \"s3\"\nendpoint = \"http://{address}\"\nbucket = \"calls\"\n\
         region = \"eu-test-1\"\nprefix = \"edge 1/\"\naccess_key = \"{KEY}\"\nsecret_key = \"{SECRET}\"\n{extra}"
    );
    let mut world = world(&rules);
    let archive = Arc::clone(&world.archive);
    world.round(0);
    Setting { world, archive, storage }
}

impl Setting {
    fn ended(&self, day: u32, n: u32) {
        let path = self.world.file(day, n, "wav");
        let sha256 = crate::io::recordings::hash(fs::File::open(&path).unwrap()).unwrap();
        let path = path.strip_prefix(self.world.data()).unwrap().display().to_string();
        let recording = RecordingSummary { path: Some(path), sha256: Some(sha256), ..RecordingSummary::default() };
        let data = CallData { recording: Some(recording), ..events::call(call(day, n).0) };
        self.archive.tell(START, String::new(), Body::CallEnded(Box::new(data)));
    }

    /// The name of a file there.
    fn object(&self, path: &Path) -> String {
        format!("/calls/edge%201/{}", path.strip_prefix(self.world.data()).unwrap().display())
    }

    fn stored(&self, path: &Path) -> Option<Vec<u8>> {
        self.storage.shelf.lock().unwrap().objects.get(&self.object(path)).cloned()
    }

    /// Waits until requests have made it so.
    async fn until(&self, what: &str, good: impl Fn(&Setting) -> bool) {
        let mut count = self.storage.count.subscribe();
        let wait = async {
            while !good(self) {
                count.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), wait).await;
        assert!(waited.is_ok(), "{what}: {:?}", self.storage.shelf.lock().unwrap().seen);
    }
}

#[tokio::test]
async fn what_is_recorded_is_stored_once_and_what_is_erased_is_deleted() {
    let mut s = setting("").await;
    (0..2).for_each(|n| s.world.plant(0, n));
    let uploads = Uploads::start(&s.archive).unwrap();
    (0..2).for_each(|n| s.ended(0, n));
    let files =
        [s.world.file(0, 0, "wav"), s.world.file(0, 0, "json"), s.world.file(0, 1, "wav"), s.world.file(0, 1, "json")];
    s.until("all four", |s| files.iter().all(|file| s.stored(file).is_some())).await;
    assert!(files.iter().all(|file| s.stored(file) == Some(fs::read(file).unwrap())));
    s.world.round(2);
    let manifest = s.world.day(0).join("manifest.json");
    s.until("the manifest", |s| s.stored(&manifest).is_some()).await;
    assert!(files.iter().all(|file| file.exists()), "they stay here too");

    s.archive.erase(&Subject::Call(call(0, 1)), "anna", "art. 17", false).unwrap();
    // The manifest is stored after the objects are gone; it may have been there before, for its day.
    let gone = |s: &Setting| files[2..].iter().all(|file| s.stored(file).is_none());
    s.until("deleted there", |s| gone(s) && s.stored(&manifest) == fs::read(&manifest).ok()).await;
    assert!(s.stored(&files[0]).is_some());
    uploads.stop().await;
    assert_eq!(s.storage.shelf.lock().unwrap().forged, 0, "every request was signed");
    let archived = s.world.events("recording.archived");
    assert_eq!((archived.len(), &archived[0]["archive"]), (2, &json!("cold")));
    // Several are sent at once: whichever is there first is told first.
    let is_told = |file| archived.iter().any(|data| data["path"].as_str().unwrap().ends_with(&s.object(file)));
    assert!(is_told(&files[0]) && is_told(&files[2]), "{archived:?}");

    // A second start asks, and sends nothing again.
    let puts = |s: &Setting| s.storage.shelf.lock().unwrap().seen.iter().filter(|seen| seen.starts_with("PUT")).count();
    let before = puts(&s);
    fs::remove_file(s.world.data().join("archive/cold.cursor")).unwrap();
    let heads = *s.storage.count.borrow();
    let uploads = Uploads::start(&s.archive).unwrap();
    s.until("the storage is asked", |s| *s.storage.count.borrow() >= heads + 3).await;
    uploads.stop().await;
    assert_eq!(puts(&s), before);
}

#[tokio::test]
async fn what_the_storage_refuses_or_spoils_is_sent_again() {
    let s = setting("").await;
    s.world.plant(0, 1);
    {
        let mut shelf = s.storage.shelf.lock().unwrap();
        (shelf.refuse, shelf.spoil, shelf.old) = (1, true, true);
    }
    let uploads = Uploads::start(&s.archive).unwrap();
    s.ended(0, 1);
    let file = s.world.file(0, 1, "wav");
    s.until("the whole file", |s| s.stored(&file) == fs::read(&file).ok()).await;
    uploads.stop().await;
    let seen = s.storage.shelf.lock().unwrap().seen.join("\n");
    assert_eq!(
        seen.matches(&format!("PUT {}", s.object(&file))).count(),
        2,
        "the spoilt one, and the good one: {seen}"
    );
}

#[tokio::test]
async fn a_file_that_is_not_what_was_sealed_is_not_sent() {
    let s = setting("").await;
    s.world.plant(0, 1);
    s.world.plant(0, 2);
    s.ended(0, 1);
    s.ended(0, 2);
    let file = s.world.file(0, 1, "wav");
    fs::write(&file, "something else").unwrap();
    let uploads = Uploads::start(&s.archive).unwrap();
    let next = s.world.file(0, 2, "wav");
    s.until("the next one", |s| s.stored(&next).is_some()).await;
    uploads.stop().await;
    assert_eq!(s.stored(&file), None);
    assert_eq!(s.world.events("archive.alarm")[0]["code"], "upload_failing");
}

#[tokio::test]
async fn this_disk_lets_go_only_of_what_the_storage_has() {
    let mut s = setting("keep_local = false\n").await;
    (0..3).for_each(|n| s.world.plant(0, n));
    s.archive.hold(call(0, 2), "anna", "case 7").unwrap();
    s.world.round(2);
    let uploads = Uploads::start(&s.archive).unwrap();
    let manifest = s.world.day(0).join("manifest.json");
    s.until("the day", |s| s.stored(&manifest).is_some()).await;
    uploads.stop().await;
    for n in 0..2 {
        let file = s.world.file(0, n, "wav");
        assert!(!file.exists() && s.stored(&file).is_some(), "{n}");
        assert!(s.world.file(0, n, "json").exists(), "the sidecar stays");
    }
    assert!(s.world.file(0, 2, "wav").exists(), "what is held stays here too");
    assert_eq!(s.world.verify(), [""; 0]);
    let erased = s.archive.erase(&Subject::Caller("+442079460901".into()), "anna", "x", false).unwrap();
    assert_eq!(erased.erased, [call(0, 1)]);
    let uploads = Uploads::start(&s.archive).unwrap();
    let file = s.world.file(0, 1, "wav");
    s.until("deleted there", |s| s.stored(&file).is_none()).await;
    uploads.stop().await;
}

#[test]
fn what_an_archive_needs_is_asked_for() {
    let bad = |text: &str| Config::parse(text, "f", Path::new("")).unwrap_err().to_string();
    let text = bad("[[archive]]\nkind = \"s3\"\n");
    for key in ["endpoint", "bucket", "access_key", "secret_key"] {
        assert!(text.contains(&format!("archive[0].{key}: is missing")), "{text}");
    }
    assert!(bad("[[archive]]\nkind = \"tape\"\n").contains("is not one of"));
}
