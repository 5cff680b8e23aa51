//! Destinations of calls, as they will be used.

use super::super::export::{Export, ExportKind, FileFormat, FilePlace, Filter, MetrikaUpload, Notices, OAuth};
use super::super::value::{duration_text, share_text};
use super::{MASK, Writer, archive};
use crate::core::event::AttributionKind;

pub(super) fn write(out: &mut Writer, export: &Export) {
    out.table("[[export]]");
    out.text("name", &export.name);
    out.text("kind", export.kind.name());
    out.option("company", export.company.as_ref());
    out.option("url", export.url.as_ref());
    out.plain("allow_private", export.allow_private);
    out.plain("history", export.history);
    if matches!(
        export.kind,
        ExportKind::Metrika(_) | ExportKind::Google(_) | ExportKind::Meta(_) | ExportKind::Files(_)
    ) {
        out.text("every", duration_text(export.every));
    }
    write_kind(out, &export.kind);
    write_filter(out, &export.filter);
    if let ExportKind::Files(files) = &export.kind
        && let FilePlace::Storage(storage) = &files.place
    {
        out.table("[export.storage]");
        archive::write_storage(out, storage);
    }
}

fn write_kind(out: &mut Writer, kind: &ExportKind) {
    match kind {
        ExportKind::Ga4(ga4) => {
            out.text("measurement_id", &ga4.measurement_id);
            out.text("api_secret", MASK);
            out.text("event", &ga4.event);
        }
        ExportKind::Metrika(metrika) => {
            out.plain("counter", metrika.counter);
            out.text("token", MASK);
            let upload = MetrikaUpload::ALL.iter().find(|(_, upload)| *upload == metrika.upload);
            out.text("upload", upload.map_or("", |(name, _)| name));
            out.option("goal", metrika.goal.as_ref());
        }
        ExportKind::Google(google) => {
            write_oauth(out, &google.oauth);
            out.text("customer", &google.customer);
            out.option("login_customer", google.login_customer.as_ref());
            out.text("conversion_action", &google.conversion_action);
        }
        ExportKind::Meta(meta) => {
            out.text("dataset", &meta.dataset);
            out.text("token", MASK);
            out.text("version", &meta.version);
            out.text("event", &meta.event);
        }
        ExportKind::Bitrix24(bitrix) => {
            write_oauth(out, &bitrix.oauth);
            out.text("extension", &bitrix.extension);
            out.option("source", bitrix.source.as_ref());
            out.plain("create", bitrix.create);
            out.plain("recordings", bitrix.recordings);
        }
        ExportKind::Amocrm(amocrm) => {
            write_oauth(out, &amocrm.oauth);
            out.text("source", &amocrm.source);
            out.map("fields", amocrm.fields.iter().map(|(name, id)| (name.as_str(), id.as_str())));
            out.option("link", amocrm.link.as_ref());
        }
        ExportKind::Webhook(webhook) => {
            out.option("secret", webhook.secret.as_ref().map(|_| MASK));
            out.map("headers", webhook.headers.keys().map(|name| (name.as_str(), MASK)));
            out.text("content_type", &webhook.content_type);
            out.option("template", webhook.template.as_ref());
        }
        ExportKind::Callrail(callrail) => {
            out.text("secret", MASK);
            out.text("account", &callrail.account);
        }
        ExportKind::Mail(mail) => {
            out.list("to", &mail.to);
            write_notices(out, &mail.notices);
        }
        ExportKind::Telegram(telegram) => {
            out.text("token", MASK);
            out.text("chat", &telegram.chat);
            write_notices(out, &telegram.notices);
        }
        ExportKind::Files(files) => {
            let format = FileFormat::ALL.iter().find(|(_, format)| *format == files.format);
            out.text("format", format.map_or("", |(name, _)| name));
            out.plain("numbers", files.numbers);
            if let FilePlace::Folder(folder) = &files.place {
                out.text("folder", folder.display());
            }
        }
    }
}

fn write_oauth(out: &mut Writer, oauth: &OAuth) {
    out.text("client_id", &oauth.client_id);
    out.text("client_secret", MASK);
    out.text("refresh_token", MASK);
    out.option("token_url", oauth.token_url.as_ref());
    out.option("redirect_uri", oauth.redirect_uri.as_ref());
}

fn write_notices(out: &mut Writer, notices: &Notices) {
    out.plain("missed", notices.missed);
    out.plain("shortage", notices.shortage);
    out.option("digest_at", notices.digest_at.map(|at| format!("{:02}:{:02}", at / 60, at % 60)));
    out.text("time_zone", &notices.zone);
    out.plain("numbers", notices.numbers);
    out.map("templates", notices.templates.iter().map(|(name, text)| (name.as_str(), text.as_str())));
}

fn write_filter(out: &mut Writer, filter: &Filter) {
    out.table("[export.filter]");
    out.plain("qualified", filter.qualified);
    if filter.confidence > 0.0 {
        out.text("confidence", share_text(filter.confidence));
    }
    out.plain("consent", filter.consent);
    out.list("labels", &filter.labels);
    out.list("not_labels", &filter.not_labels);
    out.plain("first_call", filter.first_call);
    let name = |kind: &AttributionKind| match kind {
        AttributionKind::Visitor => "visitor",
        AttributionKind::Static => "static",
        AttributionKind::None => "none",
    };
    out.list("attribution", filter.attribution.iter().map(name));
    out.text("wait", duration_text(filter.wait));
}
