//! Answers for those who do not see numbers whole: whatever JSON a handler gives is masked on its way out, so that no
//! handler can forget to.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::problem::Problem;
use crate::core::mask;
use crate::limits;

/// Masks an answer in JSON, or in lines of JSON; others are as they were. Streams mask each event by themselves.
pub(super) async fn response(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_json = kind.starts_with(b"application/json");
    let is_lines = kind.starts_with(b"application/x-ndjson");
    if !is_json && !is_lines {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = match axum::body::to_bytes(body, limits::HTTP_MASKED).await {
        Ok(body) => body,
        Err(error) => return Problem::internal("answer_broken", &error).into_response(),
    };
    let masked = if is_lines {
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| masked(line).map(|line| line + "\n")).collect::<Result<String, _>>()
    } else {
        masked(&body)
    };
    match masked {
        Ok(text) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(text))
        }
        Err(error) => Problem::internal("answer_broken", &error).into_response(),
    }
}

/// One object as text.
pub(super) fn masked(text: &[u8]) -> serde_json::Result<String> {
    let mut value: Value = serde_json::from_slice(text)?;
    mask::value(&mut value);
    Ok(value.to_string())
}
