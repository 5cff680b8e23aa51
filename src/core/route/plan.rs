//! Which destinations a call gets: the company's hours, then its rules, the first that fits, then its own list.

use std::sync::Arc;

use rand_core::Rng;

use super::hours::{Hours, hours};
use super::{Desk, Known, Target, targets};
use crate::config::{Company, Destination, During, Glob, Rule, Sound, Strategy, Then, Ways, When};
use crate::core::admission::Reject;
use crate::core::attribution;
use crate::core::event::Attribution;
use crate::core::locate::Names;
use crate::core::number;
use crate::ids::E164;
use crate::time::Wall;

/// A call, as far as its way depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub company: &'a Company,
    pub pool: &'a str,
    pub number: &'a E164,
    pub caller: Option<&'a str>,
    pub attribution: &'a Attribution,
    pub at: Wall,
}

/// Where the company wants a call, and why.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    pub hours: Hours,
    /// The rule that fits; none: the company's own list.
    pub rule: Option<&'a Arc<Rule>>,
    /// The destination that this caller spoke to before, when the rule asks for it: it goes first.
    pub before: Option<&'a Arc<Destination>>,
    pub way: Way<'a>,
    /// Whether the call is recorded, by the first rule that fits and says so.
    pub recording: Option<bool>,
    /// Of the first rule that fits and has one.
    pub announcement: Option<&'a Arc<Sound>>,
    pub whisper: Option<&'a Arc<Sound>>,
}

#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    Forward(&'a [Arc<Destination>], Strategy),
    /// Final status for the caller, and the stable code.
    Refuse(u16, &'static str),
}

/// A choice with its destinations in order and their placeholders filled.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The caller is refused, by the company's hours or by a rule.
    pub refused: Option<Reject>,
    pub targets: Vec<Target>,
    pub strategy: Strategy,
    /// So many targets, from the first on, ring together; at most one: none do.
    pub parallel: usize,
    pub hours: Hours,
    pub rule: Option<Arc<str>>,
    /// What the rules say of recording, and what they have to be played.
    pub recording: Option<bool>,
    pub announcement: Option<Arc<Sound>>,
    pub whisper: Option<Arc<Sound>>,
    /// The first target is the one that the caller spoke to before.
    pub is_known: bool,
}

/// Looks at hours and rules. Changes nothing, so that `leaseline route` asks the same.
pub fn choose<'a>(question: &Question<'a>, known: &Known) -> Choice<'a> {
    let company = question.company;
    let now = hours(company.schedule.as_ref(), question.at);
    let before = before(question, known);
    let mut fitting = company.rules.iter().filter(|rule| fits(&rule.when, question, now, before.is_some()));
    let recording = fitting.clone().find_map(|rule| rule.recording);
    let announcement = fitting.clone().find_map(|rule| rule.announcement.as_ref());
    let whisper = fitting.clone().find_map(|rule| rule.whisper.as_ref());
    let rule = fitting.find(|rule| rule.leads());
    let usual = || match (&company.closed, now.is_open()) {
        (_, true) => Way::Forward(&company.forward_to, company.strategy),
        (Some(Then::Forward(Ways { forward_to, strategy })), false) => Way::Forward(forward_to, *strategy),
        (Some(Then::Refuse(status)), false) => Way::Refuse(*status, "company_closed"),
        (Some(Then::Usual) | None, false) => Way::Refuse(480, "company_closed"),
    };
    let way = match rule.map(|rule| &rule.then) {
        Some(Then::Forward(Ways { forward_to, strategy })) => Way::Forward(forward_to, *strategy),
        Some(Then::Refuse(status)) => Way::Refuse(*status, "rule_refused"),
        Some(Then::Usual) | None => usual(),
    };
    let wants_known = rule.is_some_and(|rule| rule.when.known == Some(true));
    Choice { hours: now, rule, before: before.filter(|_| wants_known), way, recording, announcement, whisper }
}

impl Choice<'_> {
    /// Puts the destinations in order; a turn is used up by this.
    pub fn plan(&self, question: &Question<'_>, desk: &mut Desk, names: &Names, random: &mut impl Rng) -> Plan {
        let (list, strategy, refused) = match self.way {
            Way::Forward(list, strategy) => (list, strategy, None),
            Way::Refuse(status, code) => (&[][..], Strategy::Order, Some(Reject::new(status, code))),
        };
        let (number, caller) = (question.number, question.caller);
        let mut targets = match strategy {
            Strategy::Order | Strategy::Parallel => targets(list, number, caller, names),
            _ => targets(&desk.arrange(&question.company.name, list, strategy, random), number, caller, names),
        };
        if let Some(before) = self.before.filter(|_| refused.is_none()) {
            targets.retain(|target| target.destination.label != before.label);
            let first = super::targets(std::slice::from_ref(before), number, caller, names);
            targets.splice(0..0, first);
        }
        // Who was spoken to before is asked alone.
        let parallel = if strategy == Strategy::Parallel && self.before.is_none() { targets.len() } else { 0 };
        Plan {
            refused,
            targets,
            strategy,
            parallel,
            hours: self.hours,
            rule: self.rule.map(|rule| Arc::clone(&rule.name)),
            recording: self.recording,
            announcement: self.announcement.cloned(),
            whisper: self.whisper.cloned(),
            is_known: self.before.is_some(),
        }
    }
}

/// The destination that answered this caller last, when it is still one of the company's.
fn before<'a>(question: &Question<'a>, known: &Known) -> Option<&'a Arc<Destination>> {
    if !question.company.asks_for_known() {
        return None;
    }
    let label = known.destination(&question.company.name, question.caller?)?;
    question.company.every_destination().find(|destination| destination.label == *label)
}

fn fits(when: &When, question: &Question<'_>, now: Hours, is_known: bool) -> bool {
    let in_time = match when.hours {
        During::Open => now.is_open(),
        During::Closed => !now.is_open(),
        During::Any => true,
    };
    let of = |name| attribution::field(question.attribution, name);
    let source = |list: &[Glob], name| list.is_empty() || of(name).is_some_and(|value| any(list, &value));
    in_time
        && when.known.is_none_or(|known| known == is_known)
        && (when.pool.is_empty() || any(&when.pool, question.pool))
        && (when.number.is_empty() || any(&when.number, question.number.as_str()))
        && (when.caller.is_empty() || question.caller.is_some_and(|caller| any(&when.caller, caller)))
        && (when.region.is_empty() || region_fits(&when.region, question.caller))
        && source(&when.source, "source")
        && source(&when.medium, "medium")
        && source(&when.campaign, "campaign")
}

fn any(list: &[Glob], text: &str) -> bool {
    list.iter().any(|glob| glob.fits(text))
}

fn region_fits(list: &[String], caller: Option<&str>) -> bool {
    let region = caller.and_then(E164::parse).and_then(|number| number::region(&number));
    region.is_some_and(|region| list.contains(&region))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const RULES: &str = r#"
[[company]]
name = "acme"
forward_to = [{ name = "desk", uri = "sip:desk@192.0.2.1" }, { name = "anna", uri = "sip:anna@192.0.2.1" }]
[company.schedule]
time_zone = "Europe/London"
monday = ["09:00-18:00"]
[company.closed]
forward_to = ["sip:mailbox@192.0.2.1"]
[[company.rule]]
name = "nuisance"
when = { caller = ["+4477009009*"], hours = "any" }
refuse = 603
[[company.rule]]
name = "again"
when = { known = true }
[[company.rule]]
name = "kitchens"
when = { source = "google", campaign = ["kitchen*", "bath*"] }
forward_to = ["sip:kitchens@192.0.2.1"]
[[company.rule]]
name = "abroad"
when = { region = ["FR", "DE"] }
forward_to = ["sip:export@192.0.2.1"]
[[company.rule]]
name = "night-number"
when = { number = "+442079460501", hours = "closed" }
forward_to = ["sip:night@192.0.2.1"]
"#;

    fn channel(source: &str, campaign: &str) -> Attribution {
        let pairs = [("source", source), ("campaign", campaign)];
        let channel = pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Attribution { channel: Some(Arc::new(channel)), ..Attribution::default() }
    }

    /// What the rules say, in one line.
    fn told(known: &Known, number: &str, caller: Option<&str>, attribution: &Attribution, at: &str) -> String {
        let config = Config::parse(RULES, "", Path::new("")).unwrap_or_else(|problems| panic!("{problems}"));
        let number = E164::parse(number).expect("a number");
        let at = Wall::parse_rfc3339(at).expect("a time");
        let question =
            Question { company: &config.companies[0], pool: "web", number: &number, caller, attribution, at };
        let choice = choose(&question, known);
        let rule = choice.rule.map_or("-", |rule| &*rule.name).to_owned();
        let hours = choice.hours.as_str();
        let way = match choice.way {
            Way::Refuse(status, code) => format!("{status} {code}"),
            Way::Forward(list, _) => {
                let first = choice.before.or(list.first()).map_or("", |one| &*one.label);
                first.to_owned()
            }
        };
        format!("{hours} {rule}: {way}")
    }

    #[test]
    fn the_first_rule_that_fits() {
        let (open, shut) = ("2026-11-23T10:00:00Z", "2026-11-23T20:00:00Z");
        let nothing = Attribution::default();
        let ann = Some("+447700100123");
        let mut table = String::new();
        for (number, caller, attribution, at) in [
            ("+442079460500", ann, &nothing, open),
            ("+442079460500", ann, &nothing, shut),
            ("+442079460501", ann, &nothing, shut),
            ("+442079460501", ann, &nothing, open),
            ("+442079460500", Some("+447700900999"), &nothing, open),
            ("+442079460500", Some("+447700900999"), &nothing, shut),
            ("+442079460500", None, &channel("google", "Kitchens 2026"), open),
            ("+442079460500", None, &channel("google", "garden"), open),
            ("+442079460500", None, &channel("bing", "kitchens"), open),
            ("+442079460500", None, &channel("google", "bathrooms"), shut),
            ("+442079460500", Some("+33142685300"), &nothing, open),
            ("+442079460500", Some("+33142685300"), &channel("google", "kitchen"), open),
            ("+442079460500", Some("anonymous"), &nothing, open),
        ] {
            let told = told(&Known::default(), number, caller, attribution, at);
            let campaign = attribution.channel.as_ref().and_then(|channel| channel.get("campaign"));
            table += &format!(
                "{number} {:<14} {:<14} {} -> {told}\n",
                caller.unwrap_or("-"),
                campaign.map_or("-", String::as_str),
                at.get(11..16).unwrap_or("")
            );
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn who_spoke_to_somebody_before_gets_them_first() {
        let open = "2026-11-23T10:00:00Z";
        let mut known = Known::default();
        let nothing = Attribution::default();
        known.remember("acme", "+447700100123", Arc::from("anna"));
        known.remember("acme", "+447700100124", Arc::from("somebody who left"));
        let ask = |caller| told(&known, "+442079460500", Some(caller), &nothing, open);
        assert_eq!(ask("+447700100123"), "open again: anna");
        assert_eq!(ask("+447700100124"), "open -: desk");
        assert_eq!(ask("+447700100125"), "open -: desk");
    }
}
