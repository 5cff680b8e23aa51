//! Yandex.Metrika: uploads of calls and of conversions.

use serde_json::{Value, json};

use super::{Contract, Got, Said, empty, said};

/// It knows no id of a row: every file that arrives counts.
#[derive(Default)]
pub struct Metrika {
    uploads: Vec<Upload>,
    refused: Vec<String>,
}

struct Upload {
    calls: bool,
    comment: String,
    rows: Vec<String>,
}

const CALLS: &str =
    "DateTime,StaticCall,Price,Currency,PhoneNumber,TalkDuration,HoldDuration,CallMissed,FirstTimeCaller,Tag,URL";
const CONVERSIONS: &str = "Target,DateTime,Price,Currency";

/// The one file of a multipart body.
fn file(got: &Got) -> Option<String> {
    let boundary = got.header("content-type").strip_prefix("multipart/form-data; boundary=")?;
    let text = std::str::from_utf8(&got.body).ok()?;
    let part = text.strip_prefix(&format!("--{boundary}\r\n"))?.strip_suffix(&format!("\r\n--{boundary}--\r\n"))?;
    let (head, csv) = part.split_once("\r\n\r\n")?;
    head.contains("form-data; name=\"file\"; filename=").then(|| csv.to_owned())
}

fn rows(csv: &str, columns: &str) -> Result<Vec<String>, &'static str> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header: Vec<String> = reader.headers().map_err(|_| "header")?.iter().map(str::to_owned).collect();
    let (id, rest) = header.split_first().ok_or("header")?;
    if !["UserId", "ClientId", "Yclid"].contains(&id.as_str()) || rest.join(",") != columns {
        return Err("columns");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|_| "csv")?;
        let field =
            |name: &str| header.iter().position(|h| h == name).and_then(|at| record.get(at)).unwrap_or_default();
        let flag = |name: &str| matches!(field(name), "0" | "1");
        let number = |name: &str| field(name).parse::<u64>().is_ok();
        let id = record.get(0).unwrap_or_default();
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
            return Err("id");
        }
        if field("DateTime").parse::<u64>().map_or(true, |time| time > now || time < 1_000_000_000) {
            return Err("DateTime: Unix time, not in the future");
        }
        if !field("Price").is_empty() && (field("Price").parse::<f64>().is_err() || field("Currency").len() != 3) {
            return Err("Price and Currency");
        }
        if columns == CALLS {
            if !flag("StaticCall") || !flag("CallMissed") || !flag("FirstTimeCaller") {
                return Err("flags");
            }
            if !number("TalkDuration") || !number("HoldDuration") {
                return Err("durations");
            }
            if !field("PhoneNumber").is_empty() && !field("PhoneNumber").starts_with('+') {
                return Err("PhoneNumber");
            }
        } else if field("Target").is_empty() {
            return Err("Target");
        }
        rows.push(id.to_owned());
    }
    if rows.is_empty() { Err("no rows") } else { Ok(rows) }
}

impl Metrika {
    fn show(&self, at: usize) -> Value {
        let upload = &self.uploads[at];
        json!({
            "id": at + 1,
            "source_quantity": upload.rows.len(),
            "line_quantity": upload.rows.len(),
            "linked_quantity": upload.rows.len(),
            "status": "PROCESSED",
            "comment": upload.comment,
        })
    }
}

impl Contract for Metrika {
    fn answer(&mut self, got: &Got) -> Said {
        if got.header("authorization") != "OAuth metrika token" {
            let error = json!({ "error_type": "invalid_token", "message": "Invalid oauth_token" });
            return said(401, &json!({ "errors": [error], "code": 401 }));
        }
        let Some(path) = got.path.strip_prefix("/management/v1/counter/4242/offline_conversions/") else {
            return empty(404);
        };
        match (got.method.as_str(), path) {
            ("POST", "upload_calls" | "upload") => {
                let calls = path == "upload_calls";
                let columns = if calls { CALLS } else { CONVERSIONS };
                match file(got).ok_or("multipart").and_then(|csv| rows(&csv, columns)) {
                    Ok(rows) => {
                        let comment = got.query.get("comment").cloned().unwrap_or_default();
                        self.uploads.push(Upload { calls, comment, rows });
                        let mut uploading = self.show(self.uploads.len() - 1);
                        uploading["status"] = json!("PREPARED");
                        said(200, &json!({ "uploading": uploading }))
                    }
                    Err(problem) => {
                        self.refused.push(problem.to_owned());
                        let error = json!({ "error_type": "invalid_uploading", "message": problem });
                        said(400, &json!({ "errors": [error], "code": 400, "message": problem }))
                    }
                }
            }
            ("GET", "calls_uploadings" | "uploadings") => {
                let calls = path == "calls_uploadings";
                let of_kind = (0..self.uploads.len()).filter(|at| self.uploads[*at].calls == calls);
                said(200, &json!({ "uploadings": of_kind.map(|at| self.show(at)).collect::<Vec<_>>() }))
            }
            ("GET", path) => {
                let id = path.rsplit('/').next().and_then(|id| id.parse::<usize>().ok()).unwrap_or(0);
                match id.checked_sub(1).filter(|at| *at < self.uploads.len()) {
                    Some(at) => said(200, &json!({ "uploading": self.show(at) })),
                    None => empty(404),
                }
            }
            _ => empty(405),
        }
    }

    fn counted(&self) -> Vec<String> {
        self.uploads.iter().flat_map(|upload| upload.rows.clone()).collect()
    }

    fn refused(&self) -> &[String] {
        &self.refused
    }
}
