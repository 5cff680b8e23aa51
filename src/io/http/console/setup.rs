//! The page behind a one-time link: somebody chooses a password, and at the first start who the owner is. The link stands
//! behind the `#`, so no server's log has it; a script puts it into the form, and without one it is pasted there.

use axum::extract::Request;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use super::catalogue::Form;
use super::frame::Page;
use super::said::field;
use super::view::View;
use crate::io::http::problem::Problem;
use crate::io::http::{body, session, setup};
use crate::limits;

/// `GET /setup#LINK`.
pub(super) async fn page(view: View) -> Response {
    shown(&view, "", "", None)
}

/// `POST /setup`: 303 to the console, signed in.
pub(super) async fn post(view: View, request: Request) -> Result<Response, Problem> {
    let form: Form = body::read(request).await?;
    let view = view.at("/setup");
    let caller = view.who()?.clone();
    let (link, user) = (field(&form, "link"), field(&form, "user"));
    // Who pastes the whole address has pasted the link.
    let link = link.rsplit_once('#').map_or(link, |(_, link)| link);
    let password = form.get("password").cloned().unwrap_or_default();
    let named = Some(user.to_owned()).filter(|user| !user.is_empty());
    match setup::take(&view.state, &caller, link, named, password).await {
        Ok(cookie) => Ok(session::signed(&view.state, Redirect::to("/").into_response(), &cookie, &caller)),
        Err(problem) => Ok(shown(&view, link, user, Some(&problem))),
    }
}

fn shown(view: &View, link: &str, user: &str, problem: Option<&Problem>) -> Response {
    let title = view.t("setup-title");
    // Of a link that is known it is known whether it is for somebody; an unknown one says nothing of anybody.
    let for_first = view.state.people.link_for(link).is_none_or(|of| of.is_none());
    let body = html! {
        div.sheet.pad.sign-in {
            h1 { (title) }
            (view.alert(problem))
            p #said.bad-text role="alert" hidden data-unknown=(view.word("problem", "unknown_link")) {}
            form #setup method="post" action="/setup" {
                label #link-field { span { (view.t("setup-link")) }
                    input.mono type="text" name="link" value=(link) autocomplete="off" autocapitalize="none" spellcheck="false" required; }
                @if for_first {
                    label #first { span { (view.t("setup-name")) }
                        input type="text" name="user" value=(user) autocomplete="username" maxlength="64" autocapitalize="none"
                            spellcheck="false"; small { (view.t("setup-name-hint")) } }
                }
                label { span { (view.t("setup-password")) }
                    input type="password" name="password" autocomplete="new-password" minlength=(limits::PASSWORD_MIN)
                        maxlength=(limits::PASSWORD_MAX) required; small { (view.t("setup-hint")) } }
                div.buttons { button.primary type="submit" { (view.t("setup-go")) } }
            }
        }
    };
    view.answer(Page { title: &title, nav: "", scripts: &["setup.js"], body }, problem)
}
