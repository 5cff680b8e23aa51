//! `[[export]]`: destinations of calls.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::super::check::Marks;
use super::super::export::{
    Amocrm, Bitrix24, Callrail, Export, ExportKind, FileFormat, FilePlace, Files, Filter, Ga4, Google, Mail, Meta,
    Metrika, MetrikaUpload, Notices, OAuth, Telegram, Webhook,
};
use super::super::read::{Found, Reader, Section};
use super::super::{Company, S3, Secret, value};
use super::keeper::addresses;
use super::web::{http_header, names_private_address};
use super::{DAY, choice, choice_found, duration, named};
use crate::core::event::AttributionKind;
use crate::core::export::template;
use crate::limits;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ga4,
    Metrika,
    Google,
    Meta,
    Bitrix24,
    Amocrm,
    Webhook,
    Callrail,
    Mail,
    Telegram,
    Files,
}

const KINDS: [(&str, Kind); 11] = [
    ("ga4", Kind::Ga4),
    ("metrika", Kind::Metrika),
    ("google", Kind::Google),
    ("meta", Kind::Meta),
    ("bitrix24", Kind::Bitrix24),
    ("amocrm", Kind::Amocrm),
    ("webhook", Kind::Webhook),
    ("callrail", Kind::Callrail),
    ("mail", Kind::Mail),
    ("telegram", Kind::Telegram),
    ("files", Kind::Files),
];

/// Keys that only some kinds have: which of them belong here is not known without a kind.
const KEYS: [&str; 46] = [
    "measurement_id",
    "api_secret",
    "api_secret_file",
    "event",
    "counter",
    "token",
    "token_file",
    "upload",
    "goal",
    "client_id",
    "client_secret",
    "client_secret_file",
    "refresh_token",
    "refresh_token_file",
    "token_url",
    "redirect_uri",
    "customer",
    "login_customer",
    "conversion_action",
    "dataset",
    "version",
    "extension",
    "source",
    "create",
    "recordings",
    "fields",
    "link",
    "secret",
    "secret_file",
    "headers",
    "content_type",
    "template",
    "template_file",
    "account",
    "to",
    "chat",
    "missed",
    "shortage",
    "digest_at",
    "time_zone",
    "numbers",
    "templates",
    "format",
    "folder",
    "storage",
    "every",
];

/// One table.
pub(super) fn export<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Option<Export> {
    let name = named(r, s, marks);
    let kind = choice_found(r, s, "kind", &KINDS);
    let kind = r.required(s, "kind", kind, "what it is: \"ga4\", \"webhook\", \"files\", …");
    let company = r.text(s, "company", value::name);
    marks.note("company", &company);
    let company = company.optional();
    let url = r.text(s, "url", value::http_url).optional();
    let allow_private = r.boolean(s, "allow_private").optional();
    let history = r.boolean(s, "history").or(false);
    let Some(kind) = kind else {
        KEYS.into_iter().for_each(|key| drop(r.get(s, key, |_| Ok(()))));
        drop(filter(r, s, None));
        return None;
    };
    let usual = match kind {
        Kind::Metrika => Duration::from_secs(900),
        Kind::Files => Duration::from_secs(3_600),
        Kind::Google | Kind::Meta => Duration::from_secs(60),
        _ => Duration::ZERO,
    };
    let every = match kind {
        Kind::Metrika | Kind::Files | Kind::Google | Kind::Meta => {
            duration(r, s, "every", Duration::ZERO, DAY).or(usual)
        }
        _ => usual,
    };
    let settings = match kind {
        Kind::Ga4 => ga4(r, s),
        Kind::Metrika => metrika(r, s),
        Kind::Google => google(r, s),
        Kind::Meta => meta(r, s),
        Kind::Bitrix24 => bitrix24(r, s),
        Kind::Amocrm => amocrm(r, s),
        Kind::Webhook => webhook(r, s),
        Kind::Callrail => callrail(r, s),
        Kind::Mail => mail(r, s),
        Kind::Telegram => telegram(r, s),
        Kind::Files => files(r, s),
    };
    if url.is_none() && matches!(kind, Kind::Webhook | Kind::Callrail | Kind::Bitrix24 | Kind::Amocrm) {
        let hint = "where requests go, like \"https://crm.example.com/hook\"";
        r.required(s, "url", Found::<()>::Absent, hint);
        return None;
    }
    let filter = filter(r, s, Some(kind));
    let allow_private = allow_private.unwrap_or_else(|| url.as_ref().is_some_and(names_private_address));
    Some(Export { name: name?, company, url, allow_private, history, every, filter, kind: settings? })
}

/// What only shows once all tables are read.
pub(super) fn of_companies(r: &mut Reader<'_>, exports: &[Export], marks: &[Marks], companies: &[Company], mail: bool) {
    for (export, marks) in exports.iter().zip(marks.iter().filter(|marks| !marks.lost)) {
        if let Some(name) = &export.company
            && !companies.iter().any(|company| company.name == *name)
        {
            r.problem(marks.key("company"), format!("the company `{name}` is not there"));
        }
        if matches!(export.kind, ExportKind::Mail(_)) && !mail {
            r.problem(&marks.name, "letters need a mail server; set `[notify.smtp]`");
        }
    }
}

fn filter<'t>(r: &mut Reader<'t>, export: &mut Section<'_, 't>, kind: Option<Kind>) -> Filter {
    let mut s = r.section(export, "filter");
    let advertising = matches!(kind, Some(Kind::Ga4 | Kind::Metrika | Kind::Google | Kind::Meta));
    let usual = Filter::default();
    let kinds =
        [("visitor", AttributionKind::Visitor), ("static", AttributionKind::Static), ("none", AttributionKind::None)];
    let attribution = r.list(&mut s, "attribution", |text| {
        let found = kinds.iter().find(|(name, _)| *name == text);
        found.map(|(_, kind)| *kind).ok_or_else(|| "is not one of \"visitor\", \"static\", \"none\"".to_owned())
    });
    let usual_kinds = if advertising { vec![AttributionKind::Visitor] } else { usual.attribution };
    let label = |text: &str| value::printable(text, limits::EXPORT_LABEL);
    let texts =
        |found: Found<Vec<(String, _)>>| found.optional().map(|l| l.into_iter().map(|(text, _)| text).collect());
    let filter = Filter {
        qualified: r.boolean(&mut s, "qualified").or(false),
        confidence: r.text(&mut s, "confidence", value::share).or(0.0),
        consent: match r.boolean(&mut s, "consent") {
            Found::Is(false, place) if advertising => {
                r.problem(&place, "cannot be false here: advertising and analytics get nobody who did not agree");
                true
            }
            found => found.or(advertising),
        },
        labels: texts(r.list(&mut s, "labels", label)).unwrap_or_default(),
        not_labels: texts(r.list(&mut s, "not_labels", label)).unwrap_or(usual.not_labels),
        first_call: r.boolean(&mut s, "first_call").or(false),
        attribution: attribution.optional().map_or(usual_kinds, |l| l.into_iter().map(|(kind, _)| kind).collect()),
        wait: duration(r, &mut s, "wait", Duration::ZERO, 90 * DAY).or(usual.wait),
    };
    r.end(s);
    filter
}

fn word<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, key: &'static str, hint: &str) -> Option<String> {
    let found = r.text(s, key, |text| match text {
        "" => Err("is empty".to_owned()),
        text => value::printable(text, 256),
    });
    r.required(s, key, found, hint)
}

fn token<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, hint: &str) -> Option<Secret> {
    let token = r.secret(s, "token", "token_file");
    r.required(s, "token", token, hint).map(Secret)
}

fn ga4<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<ExportKind> {
    let measurement_id = word(r, s, "measurement_id", "the stream's, like \"G-XXXXXXX\"");
    let api_secret = r.secret(s, "api_secret", "api_secret_file");
    let api_secret = r.required(s, "api_secret", api_secret, "the stream's secret (or `api_secret_file`)");
    // Measurement Protocol: letters, digits and _, a letter first, at most 40.
    let event = r.text(s, "event", |text| {
        let good = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && text.len() <= 40;
        if good { Ok(text.to_owned()) } else { Err("is not the name of an event: 40 letters, digits and _".to_owned()) }
    });
    let event = event.or("phone_call".to_owned());
    Some(ExportKind::Ga4(Ga4 { measurement_id: measurement_id?, api_secret: Secret(api_secret?), event }))
}

fn metrika<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<ExportKind> {
    let counter = r.integer(s, "counter", 1..u64::from(u32::MAX));
    let counter = r.required(s, "counter", counter, "the number of the counter");
    let token = token(r, s, "an OAuth token that may write (or `token_file`)");
    let upload = choice(r, s, "upload", &MetrikaUpload::ALL).unwrap_or_default();
    let goal = r.text(s, "goal", |text| value::printable(text, 255)).optional();
    if upload == MetrikaUpload::Conversions && goal.is_none() {
        r.problem(
            s.place(),
            "`upload = \"conversions\"` needs `goal`: the identifier of the goal of the kind JavaScript event",
        );
        return None;
    }
    Some(ExportKind::Metrika(Metrika { counter: counter?, token: token?, upload, goal }))
}

fn oauth<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<OAuth> {
    let client_id = word(r, s, "client_id", "the application's id");
    let client_secret = r.secret(s, "client_secret", "client_secret_file");
    let client_secret = r.required(s, "client_secret", client_secret, "the application's secret (or its `_file`)");
    let refresh_token = r.secret(s, "refresh_token", "refresh_token_file");
    let refresh_token = r.required(s, "refresh_token", refresh_token, "the first refresh token (or its `_file`)");
    let token_url = r.text(s, "token_url", value::http_url).optional();
    Some(OAuth {
        client_id: client_id?,
        client_secret: Secret(client_secret?),
        refresh_token: Secret(refresh_token?),
        token_url,
        redirect_uri: None,
    })
}

fn digits(text: &str) -> Result<String, String> {
    let plain: String = text.chars().filter(|c| *c != '-').collect();
    let good = (1..=20).contains(&plain.len()) && plain.bytes().all(|b| b.is_ascii_digit());
    if good { Ok(plain) } else { Err(format!("`{}` is not a number of digits", text.escape_debug())) }
}

fn google<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<ExportKind> {
    let oauth = oauth(r, s);
    let customer = r.text(s, "customer", digits);
    let customer = r.required(s, "customer", customer, "the account that gets conversions, like \"123-456-7890\"");
    let login_customer = r.text(s, "login_customer", digits).optional();
    let action = r.text(s, "conversion_action", digits);
    let action = r.required(s, "conversion_action", action, "the id of the conversion action");
    Some(ExportKind::Google(Google { oauth: oauth?, customer: customer?, login_customer, conversion_action: action? }))
}

fn meta<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<ExportKind> {
    let dataset = r.text(s, "dataset", digits);
    let dataset = r.required(s, "dataset", dataset, "the id of the dataset (pixel)");
    let token = token(r, s, "a token of the Conversions API (or `token_file`)");
    let version = r.text(s, "version", |text| {
        let good = text.strip_prefix('v').is_some_and(|n| n.parse::<f32>().is_ok());
        if good { Ok(text.to_owned()) } else { Err("is not a version of the Graph API, like \"v23.0\"".to_owned()) }
    });
    let event = r.text(s, "event", |text| value::printable(text, 50)).or("Lead".to_owned());
    let version = version.or("v23.0".to_owned());
    Some(ExportKind::Meta(Meta { dataset: dataset?, token: token?, version, event }))
}

fn bitrix24<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<ExportKind> {
    let oauth = oauth(r, s);
    let extension = word(r, s, "extension", "the internal number of whoever the calls are shown to, like \"101\"");
    let source = r.text(s, "source", |text| value::printable(text, 64)).optional();
    let create = r.boolean(s, "create").or(true);
    let recordings = r.boolean(s, "recordings").or(false);
    Some(ExportKind::Bitrix24(Bitrix24 { oauth: oauth?, extension: extension?, source, create, recordings }))
}

fn amocrm<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<ExportKind> {
    let mut oauth = oauth(r, s);
    let redirect = word(r, s, "redirect_uri", "the application's redirect URI, as it is registered");
    if let Some(oauth) = &mut oauth {
        oauth.redirect_uri = redirect;
    }
    let source = r.text(s, "source", |text| value::printable(text, 255)).or("Leaseline".to_owned());
    let fields = r.map(s, "fields", |name, id| value::name(name).and_then(|_| digits(id)).map(drop));
    let link = r.text(s, "link", value::http_url).optional();
    Some(ExportKind::Amocrm(Amocrm { oauth: oauth?, source, fields: fields.or(BTreeMap::new()), link }))
}

fn webhook<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<ExportKind> {
    let secret = r.secret(s, "secret", "secret_file").optional().map(Secret);
    let headers = r.map(s, "headers", http_header).or(BTreeMap::new());
    let headers = headers.into_iter().map(|(name, value)| (name, Secret(value.into()))).collect();
    let content_type = r.text(s, "content_type", |text| value::printable(text, 128));
    let content_type = content_type.or("application/json".to_owned());
    let good = |text: &str| template::check(text).map(|()| text.to_owned());
    let inline = r.text(s, "template", good);
    let base = r.relative("");
    let filed = r.text(s, "template_file", |file| good(&template_file(&base.join(file))?));
    let template = inline.optional().or(filed.optional());
    Some(ExportKind::Webhook(Webhook { secret, headers, content_type, template }))
}

fn template_file(path: &std::path::Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.len();
    if size > limits::EXPORT_TEMPLATE as u64 {
        return Err(format!("{} has more than {} bytes", path.display(), limits::EXPORT_TEMPLATE));
    }
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn callrail<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<ExportKind> {
    let secret = r.secret(s, "secret", "secret_file");
    let secret = r.required(s, "secret", secret, "the key that signs requests (or `secret_file`)");
    let account = r.text(s, "account", value::name).or("leaseline".to_owned());
    Some(ExportKind::Callrail(Callrail { secret: Secret(secret?), account }))
}

fn notices<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Notices {
    let zone = r.text(s, "time_zone", |text| match TimeZone::get(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!("`{}` is not a time zone; write it like \"Europe/London\"", text.escape_debug())),
    });
    let digest_at = r.text(s, "digest_at", minute);
    Notices {
        missed: r.boolean(s, "missed").or(true),
        shortage: r.boolean(s, "shortage").or(true),
        digest_at: digest_at.optional(),
        zone: zone.or("UTC".to_owned()),
        numbers: r.boolean(s, "numbers").or(false),
        templates: r
            .map(s, "templates", |name, text| match name {
                "missed" | "shortage" | "digest" => template::check(text),
                _ => Err("is none of `missed`, `shortage`, `digest`".to_owned()),
            })
            .or(BTreeMap::new()),
    }
}

/// `HH:MM` as minutes of the day.
fn minute(text: &str) -> Result<u32, String> {
    let parts = text.split_once(':').and_then(|(h, m)| Some((h.parse::<u32>().ok()?, m.parse::<u32>().ok()?)));
    let good = parts.filter(|(hour, minute)| *hour < 24 && *minute < 60 && text.len() == 5);
    good.map(|(hour, minute)| hour * 60 + minute).ok_or_else(|| "is not a time of the day, like \"08:30\"".to_owned())
}

fn mail<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<ExportKind> {
    let to = addresses(r, s, "to");
    if to.is_empty() {
        r.problem(s.place(), "`to` is missing: who gets the letters, like [\"shop@example.com\"]");
    }
    Some(ExportKind::Mail(Mail { to, notices: notices(r, s) }))
}

fn telegram<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<ExportKind> {
    let token = token(r, s, "the bot's token (or `token_file`)");
    let chat = word(r, s, "chat", "the id of the chat, like \"-1001234567890\"");
    let notices = notices(r, s);
    Some(ExportKind::Telegram(Telegram { token: token?, chat: chat?, notices }))
}

fn files<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<ExportKind> {
    let format = choice(r, s, "format", &FileFormat::ALL).unwrap_or_default();
    let numbers = r.boolean(s, "numbers").or(true);
    let folder: Option<PathBuf> = super::path(r, s, "folder");
    let storage = storage(r, s);
    let place = match (folder, storage) {
        (Some(folder), None) => FilePlace::Folder(folder),
        (None, Some(storage)) => FilePlace::Storage(Box::new(storage)),
        _ => {
            r.problem(s.place(), "needs one of `folder` and `[export.storage]`: where files are put");
            return None;
        }
    };
    Some(ExportKind::Files(Files { format, place, numbers }))
}

fn storage<'t>(r: &mut Reader<'t>, export: &mut Section<'_, 't>) -> Option<S3> {
    let mut s = r.section(export, "storage");
    let is_there = s.is_present();
    let storage = super::archive::storage(r, &mut s, "export".to_owned(), false);
    r.end(s);
    storage.filter(|_| is_there)
}
