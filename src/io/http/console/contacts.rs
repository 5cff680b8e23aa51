//! Contacts: the customer base with where each first came from and whether they may be called; as a file for calling people.

use std::borrow::Cow;

use axum::extract::Request;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::account::here;
use super::catalogue::Form;
use super::format::masked;
use super::frame::Page;
use super::parts::{empty, field as input, heading, options, sheet};
use super::said::field;
use super::view::{View, address};
use super::work::consent_tag;
use crate::core::mask;
use crate::core::rights::Right;
use crate::io::http::calls::{scope, unanswered};
use crate::io::http::problem::Problem;
use crate::io::http::{body, work};
use crate::io::index::{Consent, Contact, ContactFilter, Place, UNKNOWN};

/// Contacts of a page.
const ROWS: usize = 50;

/// `GET /contacts`.
pub(super) async fn page(view: View) -> Result<Response, Problem> {
    shown(&view, None).await
}

async fn shown(view: &View, problem: Option<&Problem>) -> Result<Response, Problem> {
    let text = |name: &str| view.asked(name).map(str::to_owned);
    // Whoever may ask for a number digit by digit has it in the end.
    let q = text("q").filter(|q| view.shows_numbers() || !q.contains(|c: char| c.is_ascii_digit()));
    let filter = ContactFilter {
        scope: view
            .caller
            .as_ref()
            .map_or_else(|| Some(Vec::new()), |caller| scope(caller.rights.companies(Right::Calls))),
        company: text("company"),
        q,
        consent: view.asked("consent").and_then(Consent::parse),
        source: text("source"),
        cursor: view.asked("cursor").and_then(Place::parse),
        limit: ROWS,
    };
    let found = view.state.index.ask(move |reader| reader.contacts(&filter)).await.map_err(unanswered)?;
    let title = view.t("nav-contacts");
    let kept = view.query.iter().filter(|(key, _)| ["company", "q", "source"].contains(&key.as_str()));
    let file = [("format", "csv")].into_iter().chain(kept.map(|(key, value)| (key.as_str(), value.as_str())));
    let next = found.next.map(Place::written);
    let body = html! {
        (heading(&title, html! {
            @if view.has_right(Right::Export) { a.button href=(address("/v1/contacts", file)) { (view.t("contacts-csv")) } }
        }))
        (view.notice())
        (view.alert(problem))
        (filters(view))
        @if found.contacts.is_empty() { (empty(&view.t("contacts-none"), html! { a href="/contacts" { (view.t("filters-clear")) } })) }
        @else { (table(view, &found.contacts)) }
        p.more {
            @if view.asked("cursor").is_some() { a.button rel="prev" href=(view.link(&[("cursor", None)])) { (view.t("newest")) } }
            @if let Some(next) = &next { a.button rel="next" href=(view.link(&[("cursor", Some(next))])) { (view.t("older")) } }
        }
        @if view.has_right(Right::Export) { p.soft { (view.t("contacts-csv-hint")) } }
    };
    Ok(view.answer(Page { title: &title, nav: "/contacts", scripts: &[], body }, problem))
}

fn filters(view: &View) -> Markup {
    let any = || ("", view.t("any"));
    let companies = view.companies_with(Right::Calls).into_iter().map(|name| (name, Cow::from(name)));
    let states = Consent::ALL.map(|state| (state.as_str(), view.word("consent", state.as_str())));
    let value = |name: &str| view.asked(name).unwrap_or_default().to_owned();
    html! {
        form.filters method="get" action="/contacts" {
            (input(&view.t("contacts-q"), "q", "search", &value("q")))
            label { span { (view.t("work-consent")) } select name="consent" { (options(view.asked("consent"),
                std::iter::once(any()).chain(states))) } }
            (input(&view.t("filter-source"), "source", "text", &value("source")))
            label { span { (view.t("filter-company")) } select name="company" { (options(view.asked("company"),
                std::iter::once(any()).chain(companies))) } }
            div.buttons { button.primary type="submit" { (view.t("filters-apply")) }
                a.button href="/contacts" { (view.t("filters-clear")) } }
        }
    }
}

fn table(view: &View, contacts: &[Contact]) -> Markup {
    sheet(
        &view.t("nav-contacts"),
        html! {
            table.contacts {
                thead { tr { th scope="col" { (view.t("contact")) } th scope="col" { (view.t("contact-first")) } th scope="col" {
                    (view.t("contact-last")) } th.num scope="col" { (view.t("nav-calls")) } th.num scope="col" { (view.t("contact-leads")) }
                    th                     scope="col" { (view.t("work-consent")) } } }
                tbody { @for contact in contacts { (row(view, contact)) } }
            }
        },
    )
}

fn row(view: &View, contact: &Contact) -> Markup {
    let is_whole = view.shows_numbers();
    let name = contact
        .name
        .as_deref()
        .map(|name| if is_whole { name.to_owned() } else { name.chars().take(1).chain(['…']).collect() });
    let email = contact.email.as_deref().map(|email| if is_whole { email.to_owned() } else { mask::email(email) });
    let source = if contact.source == UNKNOWN { view.t("origin-unknown").into_owned() } else { contact.source.clone() };
    let words: Vec<&str> =
        [source.as_str(), &contact.medium, &contact.campaign].into_iter().filter(|word| !word.is_empty()).collect();
    let figure = |n: i64| view.lang.figure(u64::try_from(n).unwrap_or(0));
    let may = is_whole && view.has_right_in(Right::Work, &contact.company);
    html! {
        tr {
            th.c-contact scope="row" {
                @if let Some(phone) = &contact.phone {
                    @if is_whole { a.mono href=(address("/calls", [("caller", phone.as_str())].into_iter())) { (phone) } }
                    @else { span.mono { (masked(phone)) } }
                }
                @if let Some(name) = &name { small { (name) } }
                @if let Some(email) = &email { small.mono { (email) } }
            }
            td.c-first { (words.join(" · ")) small { (view.time(contact.first_at)) } }
            td.c-last { (view.time(contact.last_at)) @if !contact.region.is_empty() { small { (contact.region) } } }
            td.num { (figure(contact.calls)) }
            td.num { (figure(contact.leads)) }
            td.c-consent {
                (consent_tag(view, Consent::of(contact.consent)))
                @if let Some(phone) = contact.phone.as_ref().filter(|_| may) {
                    form.inline method="post" action="/contacts/consent" {
                        input type="hidden" name="company" value=(contact.company);
                        input type="hidden" name="phone" value=(phone);
                        input type="hidden" name="back" value=(view.link(&[("done", None)]));
                        @if contact.consent != Some(true) { button.plain type="submit" name="consent" value="true" {
                            (view.t("consent-give")) } }
                        @if contact.consent != Some(false) { button.plain type="submit" name="consent" value="false" {
                            (view.t("consent-take")) } }
                    }
                }
            }
        }
    }
}

/// `POST /contacts/consent`: back to the list as it was.
pub(super) async fn set_consent(view: View, request: Request) -> Result<Response, Problem> {
    let form: Form = body::read(request).await?;
    let view = view.at("/contacts");
    let caller = view.who()?.clone();
    let given = field(&form, "consent").parse::<bool>();
    let outcome = match given {
        Ok(given) => {
            work::set_consent(&view.state, &caller, field(&form, "company"), field(&form, "phone"), given).await
        }
        Err(_) => Err(body::bad_parameter("consent", "true or false")),
    };
    match outcome {
        Ok(_) => Ok(Redirect::to(here(field(&form, "back"))).into_response()),
        Err(problem) if problem.status.as_u16() == 404 => Err(problem),
        Err(problem) => shown(&view, Some(&problem)).await,
    }
}
