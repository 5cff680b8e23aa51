//! Whether a site is set up: the snippet was seen, numbers are found and given out, a call came, its recording plays, its
//! event went out.

use axum::response::Response;
use maud::{Markup, html};

use super::frame::Page;
use super::parts::{heading, tag};
use super::view::View;
use crate::config::{PoolKind, Site};
use crate::core::event::RecordingState;
use crate::io::http::assets::versioned_script_path;
use crate::io::http::problem::Problem;
use crate::io::index::{CallView, Filter};
use crate::limits;

/// `GET /install`.
pub(super) async fn page(view: View) -> Result<Response, Problem> {
    let site = match view.asked("site") {
        Some(name) => view.config.sites.iter().find(|site| site.name == name),
        None => view.config.sites.first(),
    };
    let title = view.t("nav-install");
    let checks = match site {
        Some(site) => Some(checks(&view, site).await?),
        None => None,
    };
    let body = html! {
        (heading(&title, html! {}))
        @if view.config.sites.len() > 1 {
            p.presets { @for known in &view.config.sites {
                a.chip href=(super::view::address("/install", [("site", known.name.as_str())].into_iter()))
                    aria-current=[site.is_some_and(|site| site.name == known.name).then_some("true")] { (known.name) }
            } }
        }
        @match site {
            Some(site) => { (snippet(&view, site)) h2 { (view.t("install-checks")) } @if let Some(checks) = &checks { (checks) } },
            None => { p { (view.t("install-no-site")) } },
        }
    };
    Ok(view.show(Page { title: &title, nav: "/install", scripts: &["poll.js"], body }))
}

/// What goes into the pages of this site.
pub(super) fn snippet(view: &View, site: &Site) -> Markup {
    let number = view
        .config
        .pools
        .iter()
        .find(|pool| pool.kind == PoolKind::Dynamic && pool.site.as_deref() == Some(&*site.name))
        .and_then(|pool| pool.numbers.first());
    let host = view.config.http.listen.to_string();
    let text = format!(
        "<script src=\"//{host}/leaseline.js\" data-site=\"{}\" data-number=\"{}\" async></script>",
        site.name,
        view.t("install-your-number")
    );
    html! {
        section.sheet.pad {
            h2 { (view.t("install-snippet")) }
            p { (view.t("install-where")) }
            pre.json #snippet tabindex="0" { (text) }
            p.buttons { button type="button" data-copy="snippet" data-done=(view.t("copied")) { (view.t("copy")) } }
            p.soft { (view.t("install-version")) " " code { (versioned_script_path()) } }
            @if number.is_none() { p.bad-text { (view.t("install-no-pool")) } }
        }
    }
}

/// One thing that must be so: its text, whether it is, and what was seen.
struct Check {
    key: &'static str,
    holds: bool,
    seen: String,
}

/// The list; it is asked for again while the page is open.
pub(super) async fn checks(view: &View, site: &Site) -> Result<Markup, Problem> {
    let checks = look(view, site).await?;
    let done = checks.iter().filter(|check| check.holds).count();
    let part = super::view::address("/install/checks", [("site", site.name.as_str())].into_iter());
    Ok(html! {
        div data-poll=(part) aria-live="polite" {
            p.soft { (view.ta("install-done", &[("done", (&done.to_string()).into()), ("all", (&checks.len().to_string()).into())])) }
            ol.checks-list { @for check in &checks {
                li {
                    @if check.holds { (tag("good", &view.t("check-yes"))) } @else { (tag("warn", &view.t("check-not-yet"))) }
                    div { strong { (view.t(check.key)) } @if !check.seen.is_empty() { p.soft { (check.seen) } } @else { p.soft {
                        (view.word("hint", check.key)) } } }
                }
            } }
        }
    })
}

/// `GET /install/checks`: the list alone.
pub(super) async fn part(view: View) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("unknown_site", "No site of this name is configured.");
    let site = view
        .asked("site")
        .and_then(|name| view.config.sites.iter().find(|site| site.name == name))
        .ok_or_else(unknown)?;
    let body = checks(&view, site).await?;
    if view.is_part {
        return Ok(view.show(Page { title: "", nav: "", scripts: &[], body }));
    }
    let title = view.t("install-checks");
    let body = html! { (heading(&title, html! {})) (body) };
    Ok(view.show(Page { title: &title, nav: "/install", scripts: &["poll.js"], body }))
}

async fn look(view: &View, site: &Site) -> Result<Vec<Check>, Problem> {
    let pools: Vec<&str> = view
        .config
        .pools
        .iter()
        .filter(|pool| match &pool.site {
            Some(name) => *name == site.name,
            None => pool.company == site.company,
        })
        .map(|pool| pool.name.as_str())
        .collect();
    let states = view.state.allocator.pools();
    let granted: u64 = states.iter().filter(|pool| pools.contains(&&*pool.name)).map(|pool| pool.granted).sum();
    let leases = view.state.allocator.leases();
    let own = || leases.iter().map(|(_, lease)| lease).filter(|lease| lease.site == site.name);
    let seen = own().map(|lease| lease.seen_at).max();
    let tapped = own().filter(|lease| lease.page.tapped_at.is_some()).count() as u64;
    let own = Filter { limit: Some(limits::CALLS_PAGE), company: Some(site.company.clone()), ..Filter::default() };
    let calls = view.found(own).await?.calls;
    let calls: Vec<&CallView> = calls.iter().filter(|call| pools.contains(&&*call.call.pool)).collect();
    let heard = calls.iter().find(|call| {
        call.call.recording.as_ref().is_some_and(|recording| {
            matches!(recording.state, RecordingState::Complete | RecordingState::Degraded) && recording.path.is_some()
        })
    });
    let at = |call: &CallView| view.lang.moment(call.call.started_at, view.now, &view.zone);
    Ok(vec![
        Check {
            key: "check-snippet",
            holds: seen.is_some() || granted > 0,
            seen: seen
                .map(|at| {
                    view.ta("check-seen-at", &[("at", (&view.lang.moment(at, view.now, &view.zone)).into())])
                        .into_owned()
                })
                .unwrap_or_default(),
        },
        Check {
            key: "check-numbers",
            holds: granted > 0,
            seen: if granted > 0 { view.tn("check-granted", granted).into_owned() } else { String::new() },
        },
        Check {
            key: "check-tap",
            holds: tapped > 0,
            seen: if tapped > 0 { view.tn("check-tapped", tapped).into_owned() } else { String::new() },
        },
        Check {
            key: "check-call",
            holds: !calls.is_empty(),
            seen: calls.first().map(|call| at(call)).unwrap_or_default(),
        },
        Check { key: "check-recording", holds: heard.is_some(), seen: heard.map(|call| at(call)).unwrap_or_default() },
        Check {
            key: "check-export",
            holds: !view.config.sinks.is_empty() && calls.iter().any(|call| !call.in_progress),
            seen: if view.config.sinks.is_empty() {
                String::new()
            } else {
                view.tn("check-sinks", view.config.sinks.len() as u64).into_owned()
            },
        },
    ])
}
