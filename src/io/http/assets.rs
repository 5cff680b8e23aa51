//! The page script and our own pages: files compiled into the binary.

use std::sync::OnceLock;

use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

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

static PAGE_SCRIPT: Asset = asset("leaseline.js", SCRIPT, include_bytes!("../../web/leaseline.js"));
static CONSOLE: Asset = asset("console.html", HTML, include_bytes!("../../web/console.html"));
static DEMO: Asset = asset("demo.html", HTML, include_bytes!("../../web/demo.html"));
static OPENAPI: Asset = asset("openapi.json", "application/json", include_bytes!("../../web/openapi.json"));

/// What `/assets/{file}` knows.
static ASSETS: [Asset; 7] = [
    asset("base.css", CSS, include_bytes!("../../web/base.css")),
    asset("ui.js", SCRIPT, include_bytes!("../../web/ui.js")),
    asset("console.css", CSS, include_bytes!("../../web/console.css")),
    asset("console.js", SCRIPT, include_bytes!("../../web/console.js")),
    asset("demo.css", CSS, include_bytes!("../../web/demo.css")),
    asset("demo.js", SCRIPT, include_bytes!("../../web/demo.js")),
    asset("icon.svg", "image/svg+xml", include_bytes!("../../web/icon.svg")),
];

/// `GET /leaseline.js`: any site may include it, with an integrity check too.
pub(super) async fn page_script(headers: HeaderMap) -> Response {
    let mut response = PAGE_SCRIPT.answer(&headers, "public, max-age=300");
    let answered = response.headers_mut();
    answered.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answered.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
    response
}

/// `GET /`.
pub(super) async fn console(headers: HeaderMap) -> Response {
    CONSOLE.answer(&headers, "no-cache")
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
