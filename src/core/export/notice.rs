//! Words for people: a missed call, a shortage of numbers, the day before in figures; by mail or by a bot of Telegram.
//!
//! Telegram's interface is documented at core.telegram.org/bots/api (`sendMessage`, `parameters.retry_after`): a message a
//! second to a chat. It knows no id of ours, so a message whose answer was lost may come twice. Letters have a Message-ID.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{Action, Answer, Ask, At, Delivery, Item, Memo, Pace, Request, Step, Traits, below, template};
use crate::config::export::{Mail, Notices, Telegram};
use crate::core::keeper::Letter;

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// `missed`, `shortage` or `digest`.
    pub kind: String,
    /// What the template has.
    pub values: Value,
}

impl Notice {
    pub fn delivery(self, id: String, seq: u64, made_at: crate::time::Wall) -> Delivery {
        Delivery { event_id: id.clone(), id, action: Action::Notice, seq, made_at, item: Item::Notice(self) }
    }

    /// # Errors
    /// The template could not be rendered; what it says of why.
    fn text(&self, notices: &Notices) -> Result<String, String> {
        let usual = match self.kind.as_str() {
            "missed" => MISSED,
            "shortage" => SHORTAGE,
            _ => DIGEST,
        };
        template::render(notices.templates.get(&self.kind).map_or(usual, String::as_str), &self.values)
    }
}

const MISSED: &str = "Missed call to {{ company }}\n\n\
    From: {{ caller or \"number withheld\" }}\nTo: {{ number }} ({{ pool }})\nAt: {{ at }}\n\
    Rang for {{ ring_seconds }} s, {{ outcome }}\n{% if source %}Came from: {{ source }}{% if campaign %}, \
    {{ campaign }}{% endif %}\n{% endif %}";
const SHORTAGE: &str = "Too few numbers in the pool {{ pool }} of {{ company }}\n\n\
    {{ short }} of the last {{ of }} windows were short. The pool has {{ numbers }} numbers and should have \
    {{ planned }}.\n";
const DIGEST: &str = "Calls on {{ day }}{% if company %}, {{ company }}{% endif %}\n\n\
    Calls: {{ calls }}\nAnswered: {{ answered }}\nMissed: {{ missed }}\nQuality calls: {{ qualified }}\n\
    First calls: {{ first }}\nTalk: {{ talk_minutes }} min\n\
    {% if sources %}\n{% for row in sources %}{{ row.source }}: {{ row.calls }}\n{% endfor %}{% endif %}";

/// By mail.
#[derive(Debug)]
pub struct ByMail {
    mail: Mail,
}

impl ByMail {
    pub fn new(mail: Mail) -> ByMail {
        ByMail { mail }
    }
}

impl super::Destination for ByMail {
    fn traits(&self) -> Traits {
        notice_traits(Pace::per_second(1, 10))
    }

    fn step(&self, batch: &[Delivery], _memo: &mut Memo, answer: Option<&Answer>, _at: &At<'_>) -> Step {
        let Some((delivery, notice)) = notice(batch) else { return Step::refused("not_a_notice", "") };
        match answer {
            None => match notice.text(&self.mail.notices) {
                Ok(text) => {
                    let (subject, text) = text.split_once('\n').unwrap_or((&text, ""));
                    let subject: String = subject.chars().filter(|c| !c.is_control()).take(200).collect();
                    let (to, text) = (self.mail.to.clone(), text.trim_start_matches('\n').to_owned());
                    Step::Ask(Box::new(Ask::Mail(Letter { id: delivery.id.clone(), to, subject, text })))
                }
                Err(why) => Step::refused("template_failed", why),
            },
            Some(answer) => answer.trouble().unwrap_or_else(|| Step::done("taken")),
        }
    }
}

/// By a bot of Telegram.
#[derive(Debug)]
pub struct ByTelegram {
    telegram: Telegram,
    url: Option<Url>,
}

impl ByTelegram {
    pub fn new(telegram: Telegram, url: Option<Url>) -> ByTelegram {
        ByTelegram { telegram, url }
    }
}

/// Characters of one message.
const MESSAGE_MAX: usize = 4_096;

impl super::Destination for ByTelegram {
    fn traits(&self) -> Traits {
        notice_traits(Pace::per_second(1, 1))
    }

    fn step(&self, batch: &[Delivery], _memo: &mut Memo, answer: Option<&Answer>, _at: &At<'_>) -> Step {
        let Some((_, notice)) = notice(batch) else { return Step::refused("not_a_notice", "") };
        let Some(answer) = answer else {
            let text = match notice.text(&self.telegram.notices) {
                Ok(text) => text.chars().take(MESSAGE_MAX).collect::<String>(),
                Err(why) => return Step::refused("template_failed", why),
            };
            let path = format!("bot{}/sendMessage", self.telegram.token.0);
            let url = below(self.url.as_ref(), "https://api.telegram.org", &path);
            return Step::ask(Request::new("POST", url).json(&json!({ "chat_id": self.telegram.chat, "text": text })));
        };
        let said = answer.json();
        let asked = said["parameters"]["retry_after"].as_u64().map(Duration::from_secs);
        match answer.trouble() {
            Some(Step::Again { code, after }) => Step::Again { code, after: after.max(asked) },
            Some(trouble) => trouble,
            None if said["ok"] == true => Step::done("sent"),
            None => Step::again("answer_bad"),
        }
    }
}

fn notice_traits(pace: Pace) -> Traits {
    let action = Action::Notice;
    Traits { action, batch: 1, parallel: 1, pace, rings: false, label: false, value: false, retraction: false }
}

fn notice(batch: &[Delivery]) -> Option<(&Delivery, &Notice)> {
    let delivery = batch.first()?;
    match &delivery.item {
        Item::Notice(notice) => Some((delivery, notice)),
        Item::Call(_) => None,
    }
}
