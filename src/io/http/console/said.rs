//! Forms: who sends them, what a page says after one was sent, and what it says when it was not taken.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::catalogue::Form;
use super::frame::Page;
use super::view::{View, address};
use crate::core::rights::Right;
use crate::io::http::access::Caller;
use crate::io::http::problem::Problem;

/// Codes whose detail tells more than the words for the code.
const TELLING: [&str; 8] = [
    "bad_field",
    "bad_parameter",
    "bad_csv",
    "bad_json",
    "too_many_rows",
    "unknown_label",
    "unknown_stage",
    "unknown_criterion",
];

impl View {
    /// Who sends a form.
    ///
    /// # Errors
    /// Nobody is signed in; the guard lets such a request come to open pages only.
    pub(super) fn who(&self) -> Result<&Caller, Problem> {
        self.caller.as_ref().ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "token_required", "Sign in first."))
    }

    /// Whoever asks may do this somewhere.
    pub(super) fn has_right(&self, right: Right) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.authorised && caller.rights.may(right))
    }

    /// Whoever asks may do this in this company.
    pub(super) fn has_right_in(&self, right: Right, company: &str) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.authorised && caller.rights.may_in(right, company))
    }

    /// Names of the companies in which whoever asks may do this.
    pub(super) fn companies_with(&self, right: Right) -> Vec<&str> {
        let names = self.config.companies.iter().map(|company| company.name.as_str());
        names.filter(|name| self.has_right_in(right, name)).collect()
    }

    /// The same view at the page that a form stands on.
    pub(super) fn at(mut self, path: &str) -> View {
        path.clone_into(&mut self.path);
        self.query.clear();
        self
    }

    /// Why a form was not taken.
    pub(super) fn alert(&self, problem: Option<&Problem>) -> Markup {
        html! {
            @if let Some(problem) = problem {
                div.problem role="alert" {
                    p.bad-text { strong { (self.refusal(problem.code)) }
                        @if let Some(seconds) = problem.retry_after { " " (self.tn("wait-seconds", seconds)) } }
                    @if TELLING.contains(&problem.code) { p lang="en" { (problem.detail) } }
                }
            }
        }
    }

    /// Words for why a form was not taken; what is asked in an address and is not good has others.
    fn refusal(&self, code: &str) -> Cow<'static, str> {
        let own = self.lang.find(&format!("refused-{}", code.replace('_', "-")), &[]);
        own.unwrap_or_else(|| self.word("problem", code))
    }

    /// What was done, when this page is where a form led to.
    pub(super) fn notice(&self) -> Markup {
        let said = self.asked("done").and_then(|code| self.lang.find(&format!("done-{code}"), &[]));
        html! { @if let Some(said) = said { p.notice role="status" { (said) } } }
    }

    /// A page with a form; the status says whether the form was taken.
    pub(super) fn answer(&self, page: Page<'_>, problem: Option<&Problem>) -> Response {
        let Some(problem) = problem else { return self.show(page) };
        let status = match problem.status {
            StatusCode::TOO_MANY_REQUESTS => StatusCode::TOO_MANY_REQUESTS,
            status if status.is_server_error() => status,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut response = (status, self.show(page)).into_response();
        if let Some(seconds) = problem.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A field of a form, without the blanks around it.
pub(super) fn field<'f>(form: &'f Form, name: &str) -> &'f str {
    form.get(name).map(|text| text.trim()).unwrap_or_default()
}

/// The names behind this prefix: of boxes that were ticked.
pub(super) fn ticked(form: &Form, prefix: &str) -> Vec<String> {
    form.keys().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect()
}

/// 303 to a page of ours, which says what was done.
pub(super) fn done(path: &str, what: &str) -> Response {
    Redirect::to(&address(path, [("done", what)].into_iter())).into_response()
}
