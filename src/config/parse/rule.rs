//! `[[company.rule]]`.

use std::sync::Arc;

use super::super::check::Marks;
use super::super::read::{Found, Reader, Section};
use super::super::{During, Glob, Rule, Then, When, value};
use super::destinations::optional_ways;
use super::schedule::refusal;
use super::{choice, prompts};
use crate::limits;

/// The rules of a company, in order.
pub(super) fn rules<'t>(r: &mut Reader<'t>, company: &mut Section<'_, 't>, marks: &mut Marks) -> Vec<Arc<Rule>> {
    let sections = r.sections(company, "rule");
    if let Some(last) = sections.get(limits::RULES) {
        r.problem(last.place(), format!("a company has at most {} rules", limits::RULES));
        return Vec::new();
    }
    let mut rules: Vec<Arc<Rule>> = Vec::new();
    for mut s in sections {
        let rule = rule(r, &mut s, marks);
        if let Some(rule) = rule {
            if rules.iter().any(|other| other.name == rule.name) {
                r.problem(s.place(), format!("`{}` is the name of another rule of this company", rule.name));
            }
            rules.push(Arc::new(rule));
        }
        r.end(s);
    }
    rules
}

fn rule<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Option<Rule> {
    let name = r.text(s, "name", value::name);
    let name = r.required(s, "name", name, "a name for it, as events show it");
    let mut w = r.section(s, "when");
    let mut globs = |key| patterns(r, &mut w, key, glob);
    let when = When {
        source: globs("source"),
        medium: globs("medium"),
        campaign: globs("campaign"),
        pool: globs("pool"),
        number: globs("number"),
        caller: globs("caller"),
        region: patterns(r, &mut w, "region", region),
        known: r.boolean(&mut w, "known").optional(),
        hours: choice(r, &mut w, "hours", &During::ALL).unwrap_or_default(),
    };
    if !w.is_present() && s.is_present() {
        r.problem(s.place(), "needs `when`, like { campaign = \"kitchen*\" }; `when = {}` is every call");
    }
    r.end(w);
    let recording = r.boolean(s, "recording").optional();
    let (announcement, whisper) = (prompts::sound(r, s, "announcement"), prompts::sound(r, s, "whisper"));
    let is_about = recording.is_some() || announcement.is_some() || whisper.is_some();
    let refuse = refusal(r, s);
    let forward = optional_ways(r, s, marks);
    let then = match (refuse, forward) {
        (Some(status), None) => Then::Refuse(status),
        (None, Some(ways)) => Then::Forward(ways),
        (None, None) if when.known == Some(true) || is_about => Then::Usual,
        (Some(_), Some(_)) => {
            r.problem(s.place(), "`forward_to` and `refuse` are both given; keep one of them");
            return None;
        }
        (None, None) => {
            r.problem(
                s.place(),
                "needs `forward_to`, `refuse`, `recording`, `announcement` or `whisper`: what becomes of these calls?",
            );
            return None;
        }
    };
    Some(Rule { name: Arc::from(name?), when, then, recording, announcement, whisper })
}

/// One text or a list of them.
pub(super) fn patterns<'t, T>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    key: &'static str,
    read: fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let found = r.get(s, key, |value| match (value.as_str(), value.as_array()) {
        (Some(text), _) => Ok(vec![read(text)?]),
        (None, Some(array)) if array.len() <= limits::RULE_PATTERNS => {
            let item = |item: &toml::Spanned<toml::de::DeValue<'_>>| match item.get_ref().as_str() {
                Some(text) => read(text),
                None => Err("must hold texts in quotes".to_owned()),
            };
            array.iter().map(item).collect()
        }
        (None, Some(_)) => Err(format!("has more than {} patterns", limits::RULE_PATTERNS)),
        (None, None) => Err("must be a text in quotes, or a list of them".to_owned()),
    });
    if let Found::Is(list, place) = &found
        && list.is_empty()
    {
        r.problem(place, "is empty and would fit nothing; take it out or write what fits");
    }
    found.or(Vec::new())
}

fn glob(text: &str) -> Result<Glob, String> {
    if text.is_empty() {
        return Err("an empty pattern fits nothing; `*` is any text".to_owned());
    }
    value::printable(text, 256).map(|text| Glob::new(&text))
}

fn region(text: &str) -> Result<String, String> {
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok(text.to_owned());
    }
    Err(format!("`{}` is not a region; write two capital letters of ISO 3166, like \"GB\"", text.escape_debug()))
}
