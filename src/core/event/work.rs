//! What people do with calls, and who may: labels, comments, scores, deals, leads, costs, consent; users, reports that
//! left the house, and what was exported to whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Session;
use crate::ids::CallId;

/// One thing that somebody did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum WorkEvent {
    /// A call got a label, or lost it.
    Labelled(LabelledData),
    /// A comment was written, changed or deleted.
    Commented(CommentedData),
    /// The agent's conduct of the call was scored.
    Scored(ScoredData),
    /// What the call is worth, and how far its deal is.
    Valued(ValuedData),
    /// A missed caller was called back, as somebody says; or was not after all.
    CalledBack(CalledBackData),
    /// A form, a chat: somebody who did not call.
    LeadReceived(Box<LeadData>),
    /// What advertising cost.
    CostImported(CostImportData),
    /// A contact may be called and written to, or may not.
    ContactConsented(ConsentData),
    /// Two visitors are one person: their histories are told together.
    VisitorJoined(JoinData),
    /// They are not, after all.
    VisitorParted(JoinData),
    /// A user of the site is this visitor.
    VisitorIdentified(IdentifiedData),
    /// A user, an API token or their rights changed.
    UserChanged(UserData),
    /// Somebody signed in.
    UserSignedIn(UserData),
    /// Somebody tried to and was refused.
    UserRefused(UserData),
    /// A report left as a file.
    ReportExported(ReportExportedData),
    /// A destination has it.
    ExportSent(ExportData),
    /// A destination did not want it.
    ExportRejected(ExportData),
    /// A destination was told that it does not hold any more.
    ExportRetracted(ExportData),
    /// A destination found whom it was about.
    ExportLinked(ExportData),
}

/// `data` of `leaseline.call.labelled`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelledData {
    pub call_id: CallId,
    pub company: String,
    /// A user of the API; `rule` when a rule set it.
    pub by: String,
    /// `null`: taken off.
    pub label: Option<String>,
    /// Name of the rule that set it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
}

/// `data` of `leaseline.call.commented`. The same `comment_id` again replaces the comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentedData {
    pub call_id: CallId,
    pub company: String,
    pub comment_id: String,
    pub by: String,
    /// Place in the recording.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at_ms: Option<u64>,
    /// Empty: deleted.
    pub text: String,
}

/// `data` of `leaseline.call.scored`. The next one replaces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoredData {
    pub call_id: CallId,
    pub company: String,
    pub by: String,
    /// Who spoke for the company.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agent: Option<String>,
    /// Criterion to points, 0 to 100.
    pub card: BTreeMap<String, u8>,
    /// Weighted mean of the card, 0 to 100.
    pub score: u8,
}

/// `data` of `leaseline.call.valued`. The next one replaces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValuedData {
    pub call_id: CallId,
    pub company: String,
    pub by: String,
    /// Of the CRM. Several calls may belong to one deal: its value counts once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deal_id: Option<String>,
    /// `new`, `in_progress`, `won`, `lost`, or a word of the company's own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stage: Option<String>,
    /// In minor units of the currency.
    pub value: i64,
    /// ISO 4217.
    pub currency: String,
}

/// `data` of `leaseline.call.called_back`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalledBackData {
    pub call_id: CallId,
    pub company: String,
    pub by: String,
    /// False: the mark is taken off.
    pub done: bool,
}

/// `data` of `leaseline.lead.received`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeadData {
    pub lead_id: String,
    /// `form`, `chat`, or a word of the sender's own.
    pub kind: String,
    pub company: String,
    /// Empty when no site is known.
    #[serde(default)]
    pub site: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub visitor_id: Option<String>,
    /// E.164 when it could be read as such, else as it came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// They agreed to be called and written to.
    pub consent: bool,
    pub session: Arc<Session>,
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// `data` of `leaseline.cost.imported`: one import, or a part of a long one (then several have the same `import_id`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostImportData {
    pub import_id: String,
    pub by: String,
    pub company: String,
    pub rows: Vec<CostRow>,
}

/// What one day of one advertisement cost. The same company, day, source, medium, campaign, content and term again replaces
/// the row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostRow {
    /// `2026-11-01`, in the company's time zone.
    pub day: String,
    pub source: String,
    #[serde(default)]
    pub medium: String,
    #[serde(default)]
    pub campaign: String,
    #[serde(default)]
    pub content: String,
    #[serde(default)]
    pub term: String,
    /// In minor units of the currency.
    pub cost: i64,
    /// ISO 4217.
    pub currency: String,
    #[serde(default)]
    pub clicks: u64,
    #[serde(default)]
    pub impressions: u64,
}

/// `data` of `leaseline.contact.consented`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentData {
    pub company: String,
    /// E.164.
    pub phone: String,
    /// False: they opted out, and nothing brings that back but their consent.
    pub consent: bool,
    pub by: String,
}

/// `data` of `leaseline.visitor.joined` and `.parted`. Both ids stay what they are, so what was joined can be parted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinData {
    pub company: String,
    pub visitor_id: String,
    /// The other one.
    pub other_id: String,
    /// `link`: followed from one of the company's sites to another. `by_hand`. (Those of a user or of two equal forms
    /// follow from their own events.)
    pub how: String,
    /// A user; of a link: `page`.
    pub by: String,
}

/// `data` of `leaseline.visitor.identified`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifiedData {
    pub company: String,
    pub visitor_id: String,
    /// Of the site's name for the user, see [`IdentifiedData::key`].
    pub user: String,
}

impl IdentifiedData {
    /// What stands for a user of a company's site: SHA-256 of both, hexadecimal. The site's own name, which may be an
    /// address or a telephone number, is written nowhere.
    pub fn key(company: &str, user: &str) -> String {
        use sha2::Digest as _;
        let hash = sha2::Sha256::new().chain_update(company).chain_update([0]).chain_update(user).finalize();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// `data` of `leaseline.user.changed`, `.signed_in` and `.refused`. Never a password, a token or a hash of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserData {
    /// Name of the user, or of the API token (`token:NAME`). Of a refused sign-in: as it was typed, shortened.
    pub user: String,
    /// Who did it; of a sign-in: the same.
    pub by: String,
    /// Stable code. Changed: `created`, `roles`, `password`, `totp_on`, `totp_off`, `disabled`, `enabled`, `deleted`,
    /// `sessions_ended`, `token_created`, `token_deleted`. Signed in: `password`, `oidc`, `setup`, `token`. Refused:
    /// `bad_credentials`, `bad_code`, `rate_limited`, `no_role`, `oidc_failed`.
    pub what: String,
    /// From where; empty: at the command line.
    #[serde(default)]
    pub address: String,
    /// The new rights, one a line: `marketer@acme`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub roles: Vec<String>,
}

/// `data` of `leaseline.report.exported`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportExportedData {
    pub by: String,
    /// `calls`, `contacts`, `sources`, ….
    pub report: String,
    /// `csv`, `xlsx`, `parquet`, `json`.
    pub format: String,
    pub rows: u64,
    /// The filter, as the query of the request.
    #[serde(default)]
    pub filter: String,
}

/// `data` of `leaseline.export.sent`, `.rejected`, `.retracted` and `.linked`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportData {
    /// Its name in the configuration.
    pub destination: String,
    pub delivery_id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub call_id: Option<CallId>,
    /// `conversion`, `call`, `adjustment` or `retraction`.
    pub action: String,
    /// What the destination answered: a status or a code of ours.
    pub status: String,
    #[serde(default)]
    pub detail: String,
}

impl WorkEvent {
    /// The CloudEvents `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            WorkEvent::Labelled(_) => "leaseline.call.labelled",
            WorkEvent::Commented(_) => "leaseline.call.commented",
            WorkEvent::Scored(_) => "leaseline.call.scored",
            WorkEvent::Valued(_) => "leaseline.call.valued",
            WorkEvent::CalledBack(_) => "leaseline.call.called_back",
            WorkEvent::LeadReceived(_) => "leaseline.lead.received",
            WorkEvent::CostImported(_) => "leaseline.cost.imported",
            WorkEvent::ContactConsented(_) => "leaseline.contact.consented",
            WorkEvent::VisitorJoined(_) => "leaseline.visitor.joined",
            WorkEvent::VisitorParted(_) => "leaseline.visitor.parted",
            WorkEvent::VisitorIdentified(_) => "leaseline.visitor.identified",
            WorkEvent::UserChanged(_) => "leaseline.user.changed",
            WorkEvent::UserSignedIn(_) => "leaseline.user.signed_in",
            WorkEvent::UserRefused(_) => "leaseline.user.refused",
            WorkEvent::ReportExported(_) => "leaseline.report.exported",
            WorkEvent::ExportSent(_) => "leaseline.export.sent",
            WorkEvent::ExportRejected(_) => "leaseline.export.rejected",
            WorkEvent::ExportRetracted(_) => "leaseline.export.retracted",
            WorkEvent::ExportLinked(_) => "leaseline.export.linked",
        }
    }

    /// What it is about: a call, a lead, an import, a phone, a visitor, a user, a report or a delivery.
    pub fn subject(&self) -> String {
        match self {
            WorkEvent::ExportSent(data)
            | WorkEvent::ExportRejected(data)
            | WorkEvent::ExportRetracted(data)
            | WorkEvent::ExportLinked(data) => {
                data.call_id.map_or_else(|| data.delivery_id.clone(), |call| call.to_string())
            }
            WorkEvent::LeadReceived(data) => data.lead_id.clone(),
            WorkEvent::CostImported(data) => data.import_id.clone(),
            WorkEvent::ContactConsented(data) => data.company.clone(),
            WorkEvent::VisitorJoined(data) | WorkEvent::VisitorParted(data) => data.visitor_id.clone(),
            WorkEvent::VisitorIdentified(data) => data.visitor_id.clone(),
            WorkEvent::UserChanged(data) | WorkEvent::UserSignedIn(data) | WorkEvent::UserRefused(data) => {
                data.user.clone()
            }
            WorkEvent::ReportExported(data) => data.report.clone(),
            _ => self.call_id().map(|call| call.to_string()).unwrap_or_default(),
        }
    }

    /// The call that it is about.
    pub fn call_id(&self) -> Option<CallId> {
        match self {
            WorkEvent::Labelled(data) => Some(data.call_id),
            WorkEvent::Commented(data) => Some(data.call_id),
            WorkEvent::Scored(data) => Some(data.call_id),
            WorkEvent::Valued(data) => Some(data.call_id),
            WorkEvent::CalledBack(data) => Some(data.call_id),
            WorkEvent::ExportSent(data)
            | WorkEvent::ExportRejected(data)
            | WorkEvent::ExportRetracted(data)
            | WorkEvent::ExportLinked(data) => data.call_id,
            _ => None,
        }
    }

    /// Reads `data` of an event of this type; `None`: the type is none of these.
    pub(super) fn read<'a, E>(kind: &str, read: impl super::keeper::Reads<'a, E>) -> Option<Result<WorkEvent, E>> {
        Some(match kind {
            "leaseline.call.labelled" => read.data().map(WorkEvent::Labelled),
            "leaseline.call.commented" => read.data().map(WorkEvent::Commented),
            "leaseline.call.scored" => read.data().map(WorkEvent::Scored),
            "leaseline.call.valued" => read.data().map(WorkEvent::Valued),
            "leaseline.call.called_back" => read.data().map(WorkEvent::CalledBack),
            "leaseline.lead.received" => read.data().map(Box::new).map(WorkEvent::LeadReceived),
            "leaseline.cost.imported" => read.data().map(WorkEvent::CostImported),
            "leaseline.contact.consented" => read.data().map(WorkEvent::ContactConsented),
            "leaseline.visitor.joined" => read.data().map(WorkEvent::VisitorJoined),
            "leaseline.visitor.parted" => read.data().map(WorkEvent::VisitorParted),
            "leaseline.visitor.identified" => read.data().map(WorkEvent::VisitorIdentified),
            "leaseline.user.changed" => read.data().map(WorkEvent::UserChanged),
            "leaseline.user.signed_in" => read.data().map(WorkEvent::UserSignedIn),
            "leaseline.user.refused" => read.data().map(WorkEvent::UserRefused),
            "leaseline.report.exported" => read.data().map(WorkEvent::ReportExported),
            "leaseline.export.sent" => read.data().map(WorkEvent::ExportSent),
            "leaseline.export.rejected" => read.data().map(WorkEvent::ExportRejected),
            "leaseline.export.retracted" => read.data().map(WorkEvent::ExportRetracted),
            "leaseline.export.linked" => read.data().map(WorkEvent::ExportLinked),
            _ => return None,
        })
    }
}

/// One of every kind, for tests of what every event must be.
#[cfg(test)]
pub(crate) fn every() -> Vec<WorkEvent> {
    let text = || Some("text".to_owned());
    let (call_id, company, by) = (CallId(1), "acme".to_owned(), "anna".to_owned());
    let user = UserData {
        user: "ben".into(),
        by: by.clone(),
        what: "roles".into(),
        address: "198.18.0.1".into(),
        roles: vec!["marketer@acme".into()],
    };
    let join = JoinData {
        company: "acme".into(),
        visitor_id: "v-1".into(),
        other_id: "v-2".into(),
        how: "by_hand".into(),
        by: "anna".into(),
    };
    let export = ExportData {
        destination: "ga4".into(),
        delivery_id: "d1".into(),
        call_id: Some(call_id),
        action: "conversion".into(),
        status: "204".into(),
        detail: String::new(),
    };
    let labelled = |label, rule| {
        WorkEvent::Labelled(LabelledData { call_id, company: "acme".into(), by: "anna".into(), label, rule })
    };
    vec![
        labelled(text(), None),
        labelled(text(), Some("spam".into())),
        labelled(None, None),
        WorkEvent::Commented(CommentedData {
            call_id,
            company: company.clone(),
            comment_id: "c1".into(),
            by: by.clone(),
            at_ms: Some(61_000),
            text: "asks for the price twice".into(),
        }),
        WorkEvent::Scored(ScoredData {
            call_id,
            company: company.clone(),
            by: by.clone(),
            agent: text(),
            card: [("greeting".to_owned(), 100), ("need".to_owned(), 50)].into(),
            score: 75,
        }),
        WorkEvent::Valued(ValuedData {
            call_id,
            company: company.clone(),
            by: by.clone(),
            deal_id: text(),
            stage: Some("won".into()),
            value: 1_234_500,
            currency: "GBP".into(),
        }),
        WorkEvent::CalledBack(CalledBackData { call_id, company: company.clone(), by: by.clone(), done: true }),
        WorkEvent::LeadReceived(Box::new(LeadData {
            lead_id: "l1".into(),
            kind: "form".into(),
            company: company.clone(),
            site: "acme-site".into(),
            visitor_id: text(),
            phone: Some("+442079460123".into()),
            email: Some("ann@acme.example".into()),
            name: text(),
            consent: true,
            session: Arc::new(Session { referrer: text(), ..Session::default() }),
            fields: [("product".to_owned(), "kitchen".to_owned())].into(),
        })),
        WorkEvent::CostImported(CostImportData {
            import_id: "i1".into(),
            by: by.clone(),
            company: company.clone(),
            rows: vec![CostRow {
                day: "2026-11-01".into(),
                source: "google".into(),
                cost: 12_345,
                currency: "GBP".into(),
                clicks: 10,
                ..CostRow::default()
            }],
        }),
        WorkEvent::ContactConsented(ConsentData { company, phone: "+442079460123".into(), consent: false, by }),
        WorkEvent::VisitorJoined(join.clone()),
        WorkEvent::VisitorParted(join),
        WorkEvent::VisitorIdentified(IdentifiedData {
            company: "acme".into(),
            visitor_id: "v-1".into(),
            user: IdentifiedData::key("acme", "customer-17"),
        }),
        WorkEvent::UserChanged(user.clone()),
        WorkEvent::UserSignedIn(user.clone()),
        WorkEvent::UserRefused(user),
        WorkEvent::ReportExported(ReportExportedData {
            by: "anna".into(),
            report: "contacts".into(),
            format: "csv".into(),
            rows: 12,
            filter: "company=acme".into(),
        }),
        WorkEvent::ExportSent(export.clone()),
        WorkEvent::ExportRejected(export.clone()),
        WorkEvent::ExportRetracted(export.clone()),
        WorkEvent::ExportLinked(export),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::{Body, cloud};
    use crate::ids::EventId;

    #[test]
    fn what_is_not_said_has_its_default_when_it_is_read() {
        let text = r#"{"specversion":"1.0","id":"00000000000000000000000000000009","source":"leaseline/a",
            "type":"leaseline.cost.imported","time":"2026-09-21T14:13:21.000Z","data":{"import_id":"i","by":"anna",
            "company":"acme","rows":[{"day":"2026-11-01","source":"google","cost":5,"currency":"GBP"}],"newer":1}}"#;
        let (_, event) = cloud::from_json(text).unwrap();
        let Body::Work(work) = event.body else { panic!("{event:?}") };
        let WorkEvent::CostImported(import) = *work else { panic!("{work:?}") };
        assert_eq!((&*import.rows[0].campaign, import.rows[0].clicks), ("", 0));
    }

    #[test]
    fn a_label_taken_off_is_null_and_not_absent() {
        let off =
            every().into_iter().find(|event| matches!(event, WorkEvent::Labelled(l) if l.label.is_none())).unwrap();
        let event = crate::core::event::Event {
            time: crate::time::Wall(1_790_000_000_000_000),
            subject: off.subject(),
            body: Body::Work(Box::new(off)),
        };
        let text = cloud::to_json(&event, EventId(9), "leaseline/a");
        assert!(text.contains(r#""label":null"#) && text.contains(r#""subject":"00000000000000000000000000000001""#));
    }
}
