//! `labels`, `stages`, `score_card` and `[[company.label_rule]]`.

use std::sync::Arc;

use super::super::company::{LabelRule, Work};
use super::super::read::{Found, Reader, Section};
use super::super::value;
use super::{DAY, MINUTE, SECOND, duration};
use crate::core::event::Outcome;
use crate::limits;

/// What a company says of its calls.
pub(super) fn work<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Work {
    let usual = Work::default();
    let mut words = |key, usual: Vec<String>| {
        let Found::Is(found, place) = r.list(s, key, |text| value::printable(text, limits::LABEL)) else {
            return usual;
        };
        if found.len() > limits::LABELS || found.is_empty() {
            r.problem(&place, format!("has {} words; write 1 to {}", found.len(), limits::LABELS));
        }
        found.into_iter().map(|(word, _)| word).collect()
    };
    let labels = words("labels", usual.labels);
    let stages = words("stages", usual.stages);
    let score_card = words("score_card", usual.score_card);
    let rules = rules(r, s, &labels);
    Work { labels, stages, score_card, rules }
}

fn rules<'t>(r: &mut Reader<'t>, company: &mut Section<'_, 't>, labels: &[String]) -> Vec<Arc<LabelRule>> {
    let mut rules: Vec<Arc<LabelRule>> = Vec::new();
    for mut s in r.sections(company, "label_rule") {
        let name = r.text(&mut s, "name", value::name);
        let name = r.required(&s, "name", name, "a name for it: the journal says which rule set a label");
        let label = r.text(&mut s, "label", |text| match labels.iter().find(|label| *label == text) {
            Some(label) => Ok(label.clone()),
            None => Err(format!("`{}` is not one of `labels`", text.escape_debug())),
        });
        let label = r.required(&s, "label", label, "one of the company's `labels`");
        let talk_min = duration(r, &mut s, "talk_min", SECOND, DAY).optional();
        let talk_max = duration(r, &mut s, "talk_max", SECOND, DAY).optional();
        let outcome = r.list(&mut s, "outcome", outcome).or(Vec::new());
        let hidden_caller = r.boolean(&mut s, "hidden_caller").optional();
        let calls_min = r.integer(&mut s, "calls_min", 1..limits::LABEL_CALLS as u64 + 1).optional();
        let within = duration(r, &mut s, "within", MINUTE, 7 * DAY).or(60 * MINUTE);
        let says_nothing = talk_min.is_none()
            && talk_max.is_none()
            && outcome.is_empty()
            && hidden_caller.is_none()
            && calls_min.is_none();
        if says_nothing {
            r.problem(
                s.place(),
                "fits every call; say `talk_min`, `talk_max`, `outcome`, `hidden_caller` or `calls_min`",
            );
        }
        if let (Some(name), Some(label)) = (name, label) {
            if rules.iter().any(|other| *other.name == *name) {
                r.problem(s.place(), format!("`{name}` is the name of another label rule of this company"));
            }
            rules.push(Arc::new(LabelRule {
                name: name.into(),
                label,
                talk_min,
                talk_max,
                outcome: outcome.into_iter().map(|(outcome, _)| outcome).collect(),
                hidden_caller,
                calls_min,
                within,
            }));
        }
        r.end(s);
    }
    if rules.len() > limits::RULES {
        r.problem(company.place(), format!("a company has at most {} label rules", limits::RULES));
        rules.clear();
    }
    rules
}

fn outcome(text: &str) -> Result<Outcome, String> {
    let all = [
        Outcome::Answered,
        Outcome::NoAnswer,
        Outcome::Busy,
        Outcome::Cancelled,
        Outcome::Rejected,
        Outcome::Failed,
        Outcome::Voicemail,
    ];
    let found = all.into_iter().find(|outcome| outcome.as_str() == text);
    found.ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|outcome| outcome.as_str()).collect();
        format!("`{}` is none of {}", text.escape_debug(), known.join(", "))
    })
}
