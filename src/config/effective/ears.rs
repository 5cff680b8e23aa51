//! `[[ears]]`.

use super::super::ears::{AnsweredWhen, Ear};
use super::{Glob, MASK, Writer};

pub(super) fn write(out: &mut Writer, ear: &Ear) {
    out.table("[[ears]]");
    out.text("name", &ear.name);
    out.text("kind", ear.kind.as_str());
    out.option("address", ear.address.as_ref());
    out.option("user", ear.user.as_ref());
    out.option("secret", ear.secret.as_ref().map(|_| MASK));
    if ear.kind.is_link() {
        out.plain("tls", ear.tls);
    }
    out.option("ca", ear.ca.as_ref().map(|ca| ca.file.display()));
    for (key, globs) in [("contexts", &ear.contexts), ("trunks", &ear.trunks), ("numbers", &ear.numbers)] {
        if !globs.is_empty() {
            out.list(key, globs.iter().map(Glob::as_str));
        }
    }
    out.option("company", ear.company.as_ref());
    out.option("country", ear.country.as_ref());
    if ear.answered != AnsweredWhen::default() {
        out.text("answered", ear.answered.as_str());
    }
}
