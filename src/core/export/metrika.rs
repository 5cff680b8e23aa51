//! Yandex.Metrika: offline calls and offline conversions, as files of CSV; through its goals, Yandex.Direct.
//!
//! Documented at yandex.com/dev/metrika (offline_conversions: `upload_calls`, `calls_uploading(s)`, `upload`,
//! `uploading(s)`). One type of id a file, which both the older and the newer form of the contract take. The contract has
//! no id of ours in a row, so a file is made sure of by its `comment`: before one whose answer was lost is sent again, the
//! list of uploads is asked. Whether that list shows an upload at once could not be verified. Calls of static numbers have
//! no visitor who could have agreed and are not sent (`StaticCall` is 0 throughout).

use serde_json::{Value, json};
use url::Url;

use super::plan::{Consent, consent_of};
use super::{Action, Answer, At, Delivery, Done, Looked, Memo, Pace, Request, Step, Told, Traits, below};
use crate::config::export::{Metrika, MetrikaUpload};
use crate::time::Wall;

const BASE: &str = "https://api-metrika.yandex.net";
/// A visit further back is not linked, in milliseconds.
const AGE_MAX: u64 = 21 * 86_400_000;
const ROWS: usize = 1_000;
/// Types of id, the better first: column, and where the page has it.
const IDS: [&str; 2] = ["ClientId", "Yclid"];
const BOUNDARY: &str = "leaseline-7f93d1c04be25a68";

#[derive(Debug)]
pub struct Destination {
    metrika: Metrika,
    url: Option<Url>,
}

impl Destination {
    pub fn new(metrika: Metrika, url: Option<Url>) -> Destination {
        Destination { metrika, url }
    }

    fn is_calls(&self) -> bool {
        self.metrika.upload == MetrikaUpload::Calls
    }

    fn at(&self, path: &str) -> Url {
        let path = format!("management/v1/counter/{}/offline_conversions/{path}", self.metrika.counter);
        below(self.url.as_ref(), BASE, &path)
    }

    fn authorised(&self, request: Request) -> Request {
        request.header("authorization", format!("OAuth {}", self.metrika.token.0))
    }

    fn list(&self) -> Request {
        let url = self.at(if self.is_calls() { "calls_uploadings" } else { "uploadings" });
        self.authorised(Request::new("GET", url))
    }

    fn upload(&self, batch: &[Delivery], id: &str, comment: &str) -> Request {
        let mut url = self.at(if self.is_calls() { "upload_calls" } else { "upload" });
        url.query_pairs_mut().append_pair("comment", comment);
        if let (true, Some(goal)) = (self.is_calls(), &self.metrika.goal) {
            url.query_pairs_mut().append_pair("new_goal_name", goal);
        }
        let rows = batch.iter().filter_map(|delivery| Some((delivery.told()?, id_of(delivery.told()?)?)));
        let rows = rows.filter(|(_, (kind, _))| *kind == id);
        let csv = match self.metrika.upload {
            MetrikaUpload::Calls => calls(rows, id),
            MetrikaUpload::Conversions => conversions(rows, id, self.metrika.goal.as_deref().unwrap_or_default()),
        };
        let mut request = Request::new("POST", url);
        request.body = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"calls.csv\"\r\n\
             Content-Type: text/csv; charset=utf-8\r\n\r\n{csv}\r\n--{BOUNDARY}--\r\n"
        )
        .into_bytes();
        self.authorised(request.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}")))
    }

    /// The first file that is not uploaded yet: asked for, or sent.
    fn next(&self, batch: &[Delivery], memo: &mut Memo, unsure: bool) -> Step {
        let has =
            |id: &str| batch.iter().filter_map(Delivery::told).any(|told| id_of(told).is_some_and(|(k, _)| k == id));
        let Some(id) = IDS.into_iter().find(|id| has(id) && !memo.talk.contains_key(*id)) else {
            let look = IDS.iter().filter_map(|id| memo.talk.get(*id)?.as_str().map(str::to_owned)).collect();
            let detail = format!("{} rows", batch.len());
            return Step::Done(Done { status: "uploaded".into(), detail, look, refused: Vec::new() });
        };
        memo.talk.insert("asks".into(), json!(if unsure { "list" } else { "upload" }));
        memo.talk.insert("id".into(), json!(id));
        Step::ask(if unsure { self.list() } else { self.upload(batch, id, &comment(memo, id)) })
    }
}

impl super::Destination for Destination {
    fn traits(&self) -> Traits {
        let (action, pace) = (Action::Conversion, Pace::per_second(5, 5));
        Traits { action, batch: ROWS, parallel: 1, pace, rings: false, label: false, value: false, retraction: false }
    }

    fn fits(&self, told: &Told, _action: Action, now: Wall) -> Result<(), &'static str> {
        if id_of(told).is_none() {
            return Err("no_client_id");
        }
        if now.millis_since(told.call.started_at) > AGE_MAX {
            return Err("too_old");
        }
        Ok(())
    }

    fn step(&self, batch: &[Delivery], memo: &mut Memo, answer: Option<&Answer>, _at: &At<'_>) -> Step {
        let Some(answer) = answer else {
            // Something may have arrived in an attempt before this one.
            let unsure = memo.attempts > 0 || memo.text("asks") == "upload";
            return self.next(batch, memo, unsure);
        };
        if let Some(trouble) = answer.trouble() {
            return trouble;
        }
        let (said, id) = (answer.json(), memo.text("id").to_owned());
        let uploading = match memo.text("asks") {
            "list" => {
                let comment = comment(memo, &id);
                let uploadings = said["uploadings"].as_array();
                uploadings.and_then(|list| list.iter().find(|one| one["comment"] == comment.as_str())).cloned()
            }
            _ => Some(said["uploading"].clone()),
        };
        match uploading {
            Some(uploading) => {
                let Some(reference) = reference(&uploading) else { return Step::again("answer_bad") };
                memo.talk.insert(id, json!(reference));
                memo.talk.insert("asks".into(), Value::Null);
                self.next(batch, memo, memo.attempts > 0)
            }
            // It did not arrive.
            None => {
                memo.talk.insert("asks".into(), json!("upload"));
                Step::ask(self.upload(batch, &id, &comment(memo, &id)))
            }
        }
    }

    fn look(&self, reference: &str, _at: &At<'_>) -> Option<Request> {
        let path = if self.is_calls() { "calls_uploading" } else { "uploading" };
        Some(self.authorised(Request::new("GET", self.at(&format!("{path}/{reference}")))))
    }

    fn looked(&self, answer: &Answer) -> Looked {
        let uploading = answer.json()["uploading"].clone();
        let status = uploading["status"].as_str().unwrap_or_default();
        if answer.status() != 200 || !matches!(status, "PROCESSED" | "LINKAGE_FAILURE") {
            return Looked::Later;
        }
        let count = |key: &str| uploading[key].as_u64();
        let linked = count("linked_quantity").or(count("line_quantity")).zip(count("source_quantity"));
        Looked::Over { detail: status.to_owned(), linked }
    }
}

fn comment(memo: &Memo, id: &str) -> String {
    format!("leaseline {} {id}", memo.batch)
}

fn reference(uploading: &Value) -> Option<String> {
    uploading["id"].as_u64().map(|id| id.to_string())
}

/// Type and value of the id that the visit is found by.
fn id_of(told: &Told) -> Option<(&'static str, &str)> {
    told.client("ym").map(|id| ("ClientId", id)).or_else(|| told.click("yclid").map(|id| ("Yclid", id)))
}

fn calls<'a>(rows: impl Iterator<Item = (&'a Told, (&'static str, &'a str))>, id: &str) -> String {
    let mut csv = format!(
        "{id},DateTime,StaticCall,Price,Currency,PhoneNumber,TalkDuration,HoldDuration,CallMissed,FirstTimeCaller,Tag,URL\n"
    );
    for (told, (_, value)) in rows {
        let call = &told.call;
        let amount = told.value.as_ref();
        let page = told.session().and_then(|session| {
            session.client.get("page").or(session.landing_page.as_ref()).filter(|_| !session.client.is_empty())
        });
        // The number is more than analytics needs.
        let phone = call.caller.as_ref().filter(|_| consent_of(call) == Consent::Advertising);
        let flag = |is: bool| if is { "1" } else { "0" }.to_owned();
        let fields = [
            value.to_owned(),
            call.started_at.seconds().to_string(),
            flag(false),
            amount.map(super::Amount::decimal).unwrap_or_default(),
            amount.map(|amount| amount.currency.clone()).unwrap_or_default(),
            phone.cloned().unwrap_or_default(),
            (call.talk_ms / 1_000).to_string(),
            (call.ring_ms / 1_000).to_string(),
            flag(!told.is_answered()),
            flag(told.first_call),
            told.label.clone().unwrap_or_default(),
            page.cloned().unwrap_or_default(),
        ];
        line(&mut csv, &fields);
    }
    csv
}

fn conversions<'a>(rows: impl Iterator<Item = (&'a Told, (&'static str, &'a str))>, id: &str, goal: &str) -> String {
    let mut csv = format!("{id},Target,DateTime,Price,Currency\n");
    for (told, (_, value)) in rows {
        let amount = told.value.as_ref();
        let fields = [
            value.to_owned(),
            goal.to_owned(),
            told.call.started_at.seconds().to_string(),
            amount.map(super::Amount::decimal).unwrap_or_default(),
            amount.map(|amount| amount.currency.clone()).unwrap_or_default(),
        ];
        line(&mut csv, &fields);
    }
    csv
}

/// One record of RFC 4180.
fn line(csv: &mut String, fields: &[String]) {
    let quoted = |field: &String| match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.clone(),
    };
    csv.push_str(&fields.iter().map(quoted).collect::<Vec<_>>().join(","));
    csv.push('\n');
}
