//! The fields of an entry on the page: a label, a control, what it is for, and what is wrong with it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::{Value, json};

use super::entry::{BOXES, FIELD, join, texts, written};
use super::fields::{DESTINATION, Field, Group, Kind, Of, Part};
use crate::config::PoolKind;
use crate::io::http::console::parts::options;
use crate::io::http::console::view::View;

/// What is wrong, by the path of a key within the entry.
pub(super) type Wrong = (String, String);

/// The controls of one entry.
pub(super) struct Controls<'a> {
    view: &'a View,
    wrong: &'a [Wrong],
    /// Those of `wrong` that stand beside a field.
    placed: RefCell<BTreeSet<usize>>,
}

impl<'a> Controls<'a> {
    pub(super) fn new(view: &'a View, wrong: &'a [Wrong]) -> Controls<'a> {
        Controls { view, wrong, placed: RefCell::default() }
    }

    /// Every group of the entry; the first is open, and so is each that has something to say.
    pub(super) fn groups(&self, part: &Part, entry: &Value) -> Markup {
        html! {
            @for (i, group) in part.groups.iter().enumerate() {
                details.group open[i == 0 || self.is_of_interest(group, entry)] {
                    summary { (self.view.t(group.title)) }
                    (self.fields(part.scope, group.fields, "", entry))
                }
            }
        }
    }

    /// What is wrong and stands beside no field. To be asked when all of them are made.
    pub(super) fn elsewhere(&self) -> Vec<String> {
        let placed = self.placed.borrow();
        let rest = self.wrong.iter().enumerate().filter(|(i, _)| !placed.contains(i));
        rest.map(|(_, (path, message))| if path.is_empty() { message.clone() } else { format!("{path}: {message}") })
            .collect()
    }

    fn is_of_interest(&self, group: &Group, entry: &Value) -> bool {
        let of = |field: &Field| {
            let is_wrong = |(path, _): &Wrong| within(path, field.key);
            !entry[field.key].is_null() || self.wrong.iter().any(is_wrong)
        };
        group.fields.iter().any(of)
    }

    fn fields(&self, scope: &str, fields: &'static [Field], at: &str, entry: &Value) -> Markup {
        html! {
            div.fields { @for field in fields { (self.field(scope, field, &join(at, field.key), &entry[field.key])) } }
        }
    }

    fn field(&self, scope: &str, field: &'static Field, path: &str, value: &Value) -> Markup {
        let text = format!("{scope}-{}", field.key.replace('_', "-"));
        let label = self.view.word("field", &text);
        let help = self.view.lang.find(&format!("help-{text}"), &[]);
        let name = format!("{FIELD}{path}");
        let list = |inner: &str, fields: &'static [Field]| {
            html! {
                fieldset { legend { (label) }
                    @if let Some(help) = &help { p.soft { (help) } }
                    (self.complaints(path, true).1)
                    (self.rows(inner, fields, path, value))
                }
            }
        };
        match &field.kind {
            Kind::Table(inner, fields) | Kind::Whole(inner, fields) => html! {
                fieldset { legend { (label) }
                    @if let Some(help) = &help { p.soft { (help) } }
                    (self.complaints(path, true).1)
                    (self.fields(inner, fields, path, value))
                }
            },
            Kind::Tables(inner, fields) => list(inner, fields),
            Kind::Destinations => list("destination", DESTINATION),
            Kind::Choices(choices) => {
                let each = choices.iter().map(|code| ((*code).to_owned(), self.view.word("choice", code)));
                self.boxes(path, &label, help.as_deref(), value, each.collect())
            }
            Kind::Names(of) => {
                let each = self.names(*of).into_iter().map(|name| (name.clone(), Cow::from(name)));
                self.boxes(path, &label, help.as_deref(), value, each.collect())
            }
            Kind::Check(usual) => {
                let (is_wrong, complaints) = self.complaints(path, false);
                html! {
                    div.field {
                        input type="hidden" name={ (name) (BOXES) } value="1";
                        label.radio {
                            input type="checkbox" name=(name) value="1" checked[value.as_bool().unwrap_or(*usual)]
                                aria-invalid=[is_wrong.then_some("true")];
                            span { strong { (label) } @if let Some(help) = help { small { (help) } } }
                        }
                        (complaints)
                    }
                }
            }
            Kind::Text
            | Kind::Secret
            | Kind::Number
            | Kind::Lines
            | Kind::Statuses
            | Kind::Pairs
            | Kind::Choice(_)
            | Kind::Name(_)
            | Kind::YesNo => {
                let (is_wrong, complaints) = self.complaints(path, false);
                let said = format!("{name}:said");
                let control = self.control(field, &name, &written(&field.kind, value), is_wrong, &said);
                html! {
                    div.field {
                        label for=(name) { span { (label) } }
                        (control)
                        div id=(said) { @if let Some(help) = help { small { (help) } } (complaints) }
                    }
                }
            }
        }
    }

    fn control(&self, field: &Field, name: &str, value: &str, is_wrong: bool, said: &str) -> Markup {
        let invalid = is_wrong.then_some("true");
        let choose = |choices: Vec<(String, Cow<'_, str>)>| {
            let nothing = match field.usual {
                "" => Cow::from("–"),
                usual => self.view.ta("field-usual", &[("usual", (&*self.view.word("choice", usual)).into())]),
            };
            // What was written stays written, also when it is none of these.
            let unknown = (!value.is_empty() && !choices.iter().any(|(code, _)| code == value))
                .then(|| (value, Cow::from(value)));
            let each = choices.iter().map(|(code, word)| (code.as_str(), Cow::from(&**word)));
            html! {
                select id=(name) name=(name) aria-invalid=[invalid] aria-describedby=(said) {
                    (options(Some(value), std::iter::once(("", nothing)).chain(each).chain(unknown)))
                }
            }
        };
        match &field.kind {
            Kind::Choice(choices) => {
                choose(choices.iter().map(|code| ((*code).to_owned(), self.view.word("choice", code))).collect())
            }
            Kind::Name(of) => choose(self.names(*of).into_iter().map(|name| (name.clone(), Cow::from(name))).collect()),
            Kind::YesNo => {
                choose(vec![("true".to_owned(), self.view.t("yes")), ("false".to_owned(), self.view.t("no"))])
            }
            Kind::Lines | Kind::Pairs => html! {
                textarea.mono id=(name) name=(name) rows=(value.lines().count().clamp(2, 12)) spellcheck="false"
                    aria-invalid=[invalid] aria-describedby=(said) { (value) }
            },
            kind => html! {
                input type="text" id=(name) name=(name) value=(value) placeholder=[Some(field.usual).filter(|usual| !usual.is_empty())]
                    inputmode=[matches!(kind, Kind::Number).then_some("numeric")] autocomplete="off" spellcheck="false"
                    aria-invalid=[invalid] aria-describedby=(said);
            },
        }
    }

    fn boxes(
        &self,
        path: &str,
        label: &str,
        help: Option<&str>,
        value: &Value,
        mut choices: Vec<(String, Cow<'_, str>)>,
    ) -> Markup {
        let chosen = texts(value);
        // What is written stays written, also when it is none of these.
        for code in &chosen {
            if !choices.iter().any(|(known, _)| known == code) {
                choices.push(((*code).to_owned(), Cow::from((*code).to_owned())));
            }
        }
        html! {
            fieldset.checks { legend { (label) }
                input type="hidden" name={ (FIELD) (path) (BOXES) } value="1";
                @if choices.is_empty() { span.soft { (self.view.t("catalogue-none")) } }
                @for (code, word) in &choices {
                    label { input type="checkbox" name={ (FIELD) (path) "[" (code) "]" } value="1"
                        checked[chosen.contains(&code.as_str())]; (word) }
                }
                @if let Some(help) = help { small { (help) } }
                (self.complaints(path, false).1)
            }
        }
    }

    /// The rows of a list, and an empty one. A row that is not alone is closed as long as nothing is wrong in it.
    fn rows(&self, scope: &str, fields: &'static [Field], path: &str, value: &Value) -> Markup {
        let rows = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let count = rows.len();
        let is_wrong = |at: &str| self.wrong.iter().any(|(of, _)| within(of, at));
        html! {
            @for (i, row) in rows.iter().enumerate() {
                @let at = format!("{path}[{i}]");
                @let row = if row.is_string() { json!({ "uri": row }) } else { row.clone() };
                details.row open[count == 1 || is_wrong(&at)] {
                    summary { (i + 1) ". " (self.in_short(scope, &row)) }
                    (self.complaints(&at, true).1)
                    (self.fields(scope, fields, &at, &row))
                    div.buttons {
                        @if i > 0 { button type="submit" name="up" value=(at) { (self.view.t("row-up")) } }
                        button type="submit" name="drop" value=(at) { (self.view.t("row-drop")) }
                    }
                }
            }
            details.row open[count == 0 && path == "forward_to"] {
                summary { (self.view.t("row-add")) }
                (self.fields(scope, fields, &format!("{path}[{count}]"), &Value::Null))
                button type="submit" name="more" value="1" { (self.view.t("row-more")) }
            }
        }
    }

    /// What tells a row from the others: its name or URI, else the first of what it says.
    fn in_short(&self, scope: &str, row: &Value) -> String {
        if let Some(name) = row["name"].as_str().or(row["uri"].as_str()) {
            return name.to_owned();
        }
        let label = |key: &str| self.view.word("field", &format!("{scope}-{}", key.replace('_', "-")));
        let said = row.as_object().into_iter().flatten().take(3);
        let parts =
            said.map(|(key, value)| format!("{}: {}", label(key), written(&Kind::Lines, value).replace('\n', ", ")));
        parts.collect::<Vec<_>>().join(" · ")
    }

    /// What is wrong with this path: with it alone, else with what is within, too.
    fn complaints(&self, path: &str, alone: bool) -> (bool, Markup) {
        let is_of = |of: &str| if alone { of == path } else { within(of, path) };
        let found: Vec<&Wrong> = self
            .wrong
            .iter()
            .enumerate()
            .filter(|(_, (of, _))| is_of(of))
            .map(|(i, wrong)| {
                self.placed.borrow_mut().insert(i);
                wrong
            })
            .collect();
        (!found.is_empty(), html! { @for (_, message) in found { p.bad-text role="alert" { (message) } } })
    }

    fn names(&self, of: Of) -> Vec<String> {
        let config = &self.view.config;
        match of {
            Of::Companies => config.companies.iter().map(|company| company.name.clone()).collect(),
            Of::Sites => config.sites.iter().map(|site| site.name.clone()).collect(),
            Of::StaticPools => {
                let pools = config.pools.iter().filter(|pool| pool.kind == PoolKind::Static);
                pools.map(|pool| pool.name.clone()).collect()
            }
            Of::Providers => config.keeping.providers.iter().map(|provider| provider.name.clone()).collect(),
            Of::Trunks => config.trunks.iter().map(|trunk| trunk.name.clone()).collect(),
            Of::Stocks => config.keeping.stocks.iter().map(|stock| stock.name.clone()).collect(),
        }
    }
}

/// Whether a path is that of this key or lies within it.
fn within(path: &str, key: &str) -> bool {
    path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
