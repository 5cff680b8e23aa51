//! `[trunk.headers]`.

use super::super::super::read::{Reader, Section};
use super::super::super::trunk::{HeaderRules, Rewrite};
use super::super::super::value;
use crate::core::header_rules;
use crate::limits;

pub(super) fn headers<'t>(r: &mut Reader<'t>, trunk: &mut Section<'_, 't>) -> HeaderRules {
    let mut s = r.section(trunk, "headers");
    let pass = names(r, &mut s, "pass");
    let add = r.map(&mut s, "add", |name, text| {
        free_name(name)?;
        let text = value::printable(text, limits::HEADER_VALUE)?;
        header_rules::check_template(&text)
    });
    let drop = names(r, &mut s, "drop");
    let rewrite: Vec<Rewrite> =
        r.sections(&mut s, "rewrite").into_iter().filter_map(|section| rewrite(r, section)).collect();
    let add: Vec<(String, String)> = add.optional().unwrap_or_default().into_iter().collect();
    if [pass.len(), add.len(), drop.len(), rewrite.len()].iter().any(|n| *n > limits::HEADER_RULES) {
        r.problem(s.place(), format!("a list has more than {} entries", limits::HEADER_RULES));
    }
    r.end(s);
    HeaderRules { pass, add, drop, rewrite }
}

fn names<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, key: &'static str) -> Vec<String> {
    let names = r.list(s, key, free_name).optional().unwrap_or_default();
    names.into_iter().map(|(name, _)| name).collect()
}

fn rewrite<'t>(r: &mut Reader<'t>, mut s: Section<'_, 't>) -> Option<Rewrite> {
    let header = r.text(&mut s, "header", free_name);
    let header = r.required(&s, "header", header, "the name of the header, like \"X-Account\"");
    let pattern = r.text(&mut s, "match", |text| {
        // A pattern that compiles to more than this is no pattern of a person; matching is linear in any case.
        let built = regex::RegexBuilder::new(text).size_limit(1 << 18).build();
        built.map_err(|e| format!("is not a pattern ({})", e.to_string().replace('\n', " ")))
    });
    let pattern = r.required(&s, "match", pattern, "the pattern that is looked for, like \"^0\"");
    let replace = r.text(&mut s, "replace", |text| value::printable(text, limits::HEADER_VALUE));
    let replace = r.required(&s, "replace", replace, "the text that stands there instead, like \"+44\"");
    r.end(s);
    Some(Rewrite { header: header?, pattern: pattern?, replace: replace? })
}

/// A header that rules may speak of: none that forms a dialog, routes a message, describes the body or logs in.
fn free_name(text: &str) -> Result<String, String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
    if !(2..=64).contains(&text.len()) || !text.bytes().all(token) {
        return Err(format!("`{}` is not the long name of a header, like \"X-Account\"", text.escape_debug()));
    }
    if header_rules::is_ours(text) {
        return Err(format!("`{text}` belongs to the dialog, the route or the body; no rule may touch it"));
    }
    Ok(text.to_owned())
}
