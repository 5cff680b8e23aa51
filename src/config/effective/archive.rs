//! What becomes of recordings, as it will be used.

use super::super::value::duration_text;
use super::super::{Keep, S3};
use super::{MASK, Writer};

/// Name of the rule that `retention_days` makes.
const REST: &str = "retention_days";

pub(super) fn write_keep(out: &mut Writer, keep: &Keep) {
    out.text("signing_key_file", keep.signing_key_file.display());
    let rest = keep.retention.iter().find(|rule| rule.name == REST && rule.company.is_none() && rule.pool.is_none());
    out.plain("retention_days", rest.map_or(0, |rule| rule.days));
    out.plain("deletions_max", keep.deletions_max);
    out.list("recipients", &keep.recipients);
    out.option("identity_file", keep.identity_file.as_ref().map(|file| file.display()));
    out.text("archive_after", duration_text(keep.archive_after));
    out.text("archive_as", keep.archive_as.as_str());
    out.option("timestamp_url", keep.time_authority.as_ref().map(|authority| &authority.url));
    let roots = keep.time_authority.as_ref().and_then(|authority| authority.roots_file.as_ref());
    out.option("timestamp_roots", roots.map(|file| file.display()));
}

pub(super) fn write_retention(out: &mut Writer, keep: &Keep) {
    for rule in keep.retention.iter().filter(|rule| rule.name != REST) {
        out.table("[[retention]]");
        out.text("name", &rule.name);
        out.option("company", rule.company.as_ref());
        out.option("pool", rule.pool.as_ref());
        out.plain("days", rule.days);
        out.text("priority", if rule.low_priority { "low" } else { "normal" });
    }
}

pub(super) fn write_archives(out: &mut Writer, archives: &[S3]) {
    for archive in archives {
        out.table("[[archive]]");
        out.text("kind", "s3");
        out.text("name", &archive.name);
        write_storage(out, archive);
        out.plain("keep_local", archive.keep_local);
    }
}

pub(super) fn write_storage(out: &mut Writer, storage: &S3) {
    out.text("endpoint", &storage.endpoint);
    out.text("bucket", &storage.bucket);
    out.text("region", &storage.region);
    out.plain("path_style", storage.path_style);
    out.text("prefix", &storage.prefix);
    out.text("access_key", MASK);
    out.text("secret_key", MASK);
}
