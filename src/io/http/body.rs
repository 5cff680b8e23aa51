//! Request bodies and queries, read within bounds.

use std::collections::BTreeMap;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_stream::StreamExt;

use super::problem::Problem;
use crate::limits;

/// Reads a body as JSON. Pages send it as `text/plain`, so that no preflight is needed and `sendBeacon` may carry it;
/// a form's fields are read as texts. An empty body is an empty object.
pub(super) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    read_up_to(request, limits::HTTP_BODY).await
}

/// The same, of a body of at most so many bytes.
pub(super) async fn read_up_to<T: DeserializeOwned>(request: Request, most: usize) -> Result<T, Problem> {
    let is_form = is_form(&request)?;
    let bytes = bytes(request, most).await?;
    if is_form {
        let fields = url::form_urlencoded::parse(&bytes);
        let object = fields.map(|(key, value)| (key.into_owned(), Value::String(value.into_owned()))).collect();
        return serde_json::from_value(Value::Object(object)).map_err(|error| bad(&error));
    }
    if is_too_deep(&bytes) {
        let detail = format!("JSON may be nested {} deep here.", limits::HTTP_JSON_DEPTH);
        return Err(Problem::bad_request("json_too_deep", detail));
    }
    let bytes = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}".as_slice() } else { &bytes };
    serde_json::from_slice(bytes).map_err(|error| bad(&error))
}

/// The query's parameters, each at most once and each of the ones the route knows.
pub(super) fn query<const N: usize>(request: &Request, known: [&str; N]) -> Result<[Option<String>; N], Problem> {
    let mut values = [const { None }; N];
    let pairs = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    for (key, value) in pairs {
        let Some(at) = known.iter().position(|name| *name == key) else {
            let detail = format!("This route knows the parameters: {}.", known.join(", "));
            return Err(Problem::bad_request("unknown_parameter", detail));
        };
        if values[at].replace(value.into_owned()).is_some() {
            return Err(Problem::bad_request("repeated_parameter", format!("`{}` stands twice.", known[at])));
        }
    }
    // A form sends its empty fields too; they ask for nothing.
    Ok(values.map(|value| value.filter(|value| !value.is_empty())))
}

/// Fields of a form with a file in it (`multipart/form-data`, RFC 7578), by name, or of a plain one; of a name that stands
/// twice the last one that is not empty counts.
pub(super) async fn fields(request: Request, most: usize) -> Result<BTreeMap<String, Vec<u8>>, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = kind
        .trim_start()
        .strip_prefix("multipart/form-data")
        .and_then(|rest| rest.split(';').find_map(|part| part.trim().strip_prefix("boundary=")))
        .map(|boundary| boundary.trim_matches('"').to_owned());
    let is_form = boundary.is_some() || is_form(&request)?;
    let bytes = bytes(request, most).await?;
    let mut fields = BTreeMap::new();
    let mut keep = |name: String, value: Vec<u8>| {
        if !value.is_empty() || !fields.contains_key(&name) {
            fields.insert(name, value);
        }
    };
    match boundary {
        Some(boundary) => parts(&bytes, &boundary).into_iter().for_each(|(name, value)| keep(name, value)),
        None if is_form => url::form_urlencoded::parse(&bytes)
            .for_each(|(name, value)| keep(name.into_owned(), value.into_owned().into_bytes())),
        None => {}
    }
    Ok(fields)
}

/// The parts between boundaries that have a name.
fn parts(bytes: &[u8], boundary: &str) -> Vec<(String, Vec<u8>)> {
    let mark = format!("--{boundary}").into_bytes();
    let find = |within: &[u8], wanted: &[u8]| within.windows(wanted.len()).position(|window| window == wanted);
    let mut found = Vec::new();
    let mut rest = match find(bytes, &mark) {
        Some(at) if !boundary.is_empty() => bytes.get(at + mark.len()..).unwrap_or_default(),
        _ => return found,
    };
    let end = [b"\r\n", mark.as_slice()].concat();
    while let Some(at) = find(rest, &end) {
        let (part, after) = rest.split_at(at);
        rest = after.get(end.len()..).unwrap_or_default();
        let Some(head_end) = find(part, b"\r\n\r\n") else { continue };
        let (head, value) = part.split_at(head_end);
        let head = String::from_utf8_lossy(head);
        let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"));
        let name = disposition.and_then(|line| line.split(';').find_map(|part| part.trim().strip_prefix("name=")));
        if let Some(name) = name {
            found.push((name.trim_matches('"').to_owned(), value.get(4..).unwrap_or_default().to_vec()));
        }
    }
    found
}

/// A parameter in its type.
pub(super) fn number<T: std::str::FromStr>(value: Option<String>, name: &str) -> Result<Option<T>, Problem> {
    value.map(|text| text.parse().map_err(|_| bad_parameter(name, "a number"))).transpose()
}

pub(super) fn bad_parameter(name: &str, wanted: &str) -> Problem {
    Problem::bad_request("bad_parameter", format!("`{name}` must be {wanted}."))
}

/// `limit` within 1 to [`limits::HTTP_PAGE`].
pub(super) fn limit(value: Option<String>, default: usize) -> Result<usize, Problem> {
    match number::<usize>(value, "limit")? {
        None => Ok(default),
        Some(0) => Err(bad_parameter("limit", "at least 1")),
        Some(limit) => Ok(limit.min(limits::HTTP_PAGE)),
    }
}

fn is_form(request: &Request) -> Result<bool, Problem> {
    let Some(given) = request.headers().get(header::CONTENT_TYPE) else { return Ok(false) };
    let name = given.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match name.as_str() {
        "application/json" | "text/plain" => Ok(false),
        "application/x-www-form-urlencoded" => Ok(true),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send application/json, text/plain with JSON in it, or a form.",
        )),
    }
}

/// A body as it is, of at most so many bytes.
pub(super) async fn bytes(request: Request, most: usize) -> Result<Vec<u8>, Problem> {
    tokio::time::timeout(limits::HTTP_BODY_TIME, collect(request, most)).await.map_err(|_| {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", "The body did not arrive within ten seconds.")
    })?
}

async fn collect(request: Request, most: usize) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        let detail = format!("A body may have {most} bytes here.");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    };
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > most as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    let mut stream = request.into_body().into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Problem::bad_request("body_broken", "The body ended before its time."))?;
        if body.len() + chunk.len() > most {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn bad(error: &serde_json::Error) -> Problem {
    let code = if error.is_data() { "bad_field" } else { "bad_json" };
    Problem::bad_request(code, error.to_string())
}

/// Counts brackets outside of strings, so that the reader behind it never recurses deep.
fn is_too_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    bytes.iter().any(|byte| {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > limits::HTTP_JSON_DEPTH
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_form_with_a_file_are_read_and_what_is_broken_is_left_out() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"company\"\r\n\r\nacme\r\n--x\r\n\
            content-disposition: form-data; name=\"file\"; filename=\"a;b.csv\"\r\nContent-Type: text/csv\r\n\r\n\
            day,source\r\n1,--y\r\n\r\n--x\r\nnothing\r\n--x--\r\n";
        let read = parts(body.as_bytes(), "x");
        let texts: Vec<_> = read.iter().map(|(n, v)| (n.as_str(), std::str::from_utf8(v).unwrap())).collect();
        assert_eq!(texts, [("company", "acme"), ("file", "day,source\r\n1,--y\r\n")]);
        for broken in ["", "--x", "--x\r\n\r\nvalue", "--x--"] {
            assert_eq!(parts(broken.as_bytes(), "x"), []);
        }
        assert_eq!(parts(body.as_bytes(), ""), []);
    }

    #[test]
    fn depth_counts_brackets_but_not_those_in_texts() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(!is_too_deep(deep(limits::HTTP_JSON_DEPTH).as_bytes()));
        assert!(is_too_deep(deep(limits::HTTP_JSON_DEPTH + 1).as_bytes()));
        assert!(!is_too_deep(format!(r#"{{"a":"\"{}"}}"#, "[".repeat(100)).as_bytes()));
        assert!(is_too_deep(format!(r#"{{"a\"":{}"#, "[".repeat(100)).as_bytes()));
        assert!(!is_too_deep("[],".repeat(1_000).as_bytes()));
    }
}
