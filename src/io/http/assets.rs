//! The page script and our own pages: files compiled into the binary.

use std::sync::{LazyLock, OnceLock};

use axum::Json;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384};

use super::body;
use super::problem::Problem;

/// One embedded file.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    tag: OnceLock<HeaderValue>,
}

const fn asset(name: &'static str, kind: &'static str, bytes: &'static [u8]) -> Asset {
    Asset { name, kind, bytes, tag: OnceLock::new() }
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

static PAGE_SCRIPT: Asset = asset("leaseline.js", SCRIPT, include_bytes!("../../web/leaseline.min.js"));
/// The same, as `src/web/leaseline/build` compressed it.
static PAGE_SCRIPT_GZIP: &[u8] = include_bytes!("../../web/leaseline.min.js.gz");
/// One version of the page script for ever: `/leaseline.<first 16 digits of its SHA-256>.js`.
static VERSIONED_PATH: LazyLock<String> = LazyLock::new(|| {
    let hash: String = Sha256::digest(PAGE_SCRIPT.bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("/leaseline.{hash}.js")
});
static DEMO: Asset = asset("demo.html", HTML, include_bytes!("../../web/demo.html"));
static OPENAPI: Asset = asset("openapi.json", "application/json", include_bytes!("../../web/openapi.json"));

/// What `/assets/{file}` knows.
static ASSETS: [Asset; 11] = [
    asset("base.css", CSS, include_bytes!("../../web/base.css")),
    asset("ui.js", SCRIPT, include_bytes!("../../web/ui.js")),
    asset("console.css", CSS, include_bytes!("../../web/console/console.css")),
    asset("console.js", SCRIPT, include_bytes!("../../web/console/console.js")),
    asset("live.js", SCRIPT, include_bytes!("../../web/console/live.js")),
    asset("player.js", SCRIPT, include_bytes!("../../web/console/player.js")),
    asset("poll.js", SCRIPT, include_bytes!("../../web/console/poll.js")),
    asset("setup.js", SCRIPT, include_bytes!("../../web/setup.js")),
    asset("demo.css", CSS, include_bytes!("../../web/demo.css")),
    asset("demo.js", SCRIPT, include_bytes!("../../web/demo.js")),
    asset("icon.svg", "image/svg+xml", include_bytes!("../../web/icon.svg")),
];

/// `GET /leaseline.js`: any site may include it, with an integrity check too.
pub(super) async fn page_script(headers: HeaderMap) -> Response {
    script(&headers, "public, max-age=300")
}

/// Where this version of the script is, and will be while this version of the program runs.
pub(super) fn versioned_script_path() -> &'static str {
    &VERSIONED_PATH
}

/// `GET /leaseline.<hash>.js`: never changes, so it may be kept for ever and included with an integrity check.
pub(super) async fn versioned_script(headers: HeaderMap) -> Response {
    script(&headers, "public, max-age=31536000, immutable")
}

/// `GET /v1/script`: what to write into a page.
pub(super) async fn script_versions(request: Request) -> Result<Json<Value>, Problem> {
    let [] = body::query(&request, [])?;
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha384::digest(PAGE_SCRIPT.bytes));
    Ok(Json(json!({
        "path": "/leaseline.js",
        "versioned_path": versioned_script_path(),
        "integrity": format!("sha384-{hash}"),
        "bytes": PAGE_SCRIPT.bytes.len(),
        "bytes_gzip": PAGE_SCRIPT_GZIP.len(),
    })))
}

fn script(headers: &HeaderMap, cache: &'static str) -> Response {
    let mut response = PAGE_SCRIPT.answer(headers, cache);
    if response.status() == StatusCode::OK && takes_gzip(headers) {
        *response.body_mut() = PAGE_SCRIPT_GZIP.into();
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let answered = response.headers_mut();
    answered.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    answered.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answered.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
    response
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let said = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|line| line.split(',')).any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = quality.trim().strip_prefix("q=").is_some_and(|q| q.parse::<f32>() == Ok(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// `GET /demo`.
pub(super) async fn demo(headers: HeaderMap) -> Response {
    DEMO.answer(&headers, "no-cache")
}

/// `GET /v1/openapi.json`.
pub(super) async fn openapi(headers: HeaderMap) -> Response {
    OPENAPI.answer(&headers, "no-cache")
}

/// `GET /assets/{file}`.
pub(super) async fn asset_file(
    name: Result<Path<String>, axum::extract::rejection::PathRejection>,
    request: Request,
) -> Response {
    let found = name.ok().and_then(|Path(name)| ASSETS.iter().find(|asset| asset.name == name));
    match found {
        Some(asset) => asset.answer(request.headers(), "no-cache"),
        None => Problem::not_found("not_found", "There is no such file.").into_response(),
    }
}

impl Asset {
    fn answer(&self, asked: &HeaderMap, cache: &'static str) -> Response {
        let tag = self.tag.get_or_init(|| {
            let hash: String = Sha256::digest(self.bytes).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
            HeaderValue::from_str(&format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""))
        });
        let known = asked.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag);
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, self.kind)], self.bytes).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, tag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        response
    }
}
