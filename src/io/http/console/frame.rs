//! The frame of every page: head, navigation, switches of language and theme; and the pages that tell of a problem.

use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::text::Lang;
use super::view::{Theme, View};
use crate::io::http::live::Phase;

/// One entry of the navigation: path and text.
type Entry = (&'static str, &'static str);

/// The navigation, in groups.
pub(super) const NAV: [(&str, &[Entry]); 6] = [
    (
        "nav-work",
        &[
            ("/", "nav-overview"),
            ("/calls", "nav-calls"),
            ("/live", "nav-live"),
            ("/missed", "nav-missed"),
            ("/contacts", "nav-contacts"),
        ],
    ),
    (
        "nav-reports",
        &[
            ("/sources", "nav-sources"),
            ("/channels", "nav-channels"),
            ("/models", "nav-models"),
            ("/repeat", "nav-repeat"),
            ("/hours", "nav-hours"),
            ("/regions", "nav-regions"),
            ("/agents", "nav-agents"),
            ("/quality", "nav-quality"),
            ("/costs", "nav-costs"),
        ],
    ),
    ("nav-numbers-group", &[("/pools", "nav-pools"), ("/numbers", "nav-numbers"), ("/planner", "nav-planner")]),
    (
        "nav-set-up",
        &[("/channels/new", "nav-new-channel"), ("/catalogue", "nav-catalogue"), ("/install", "nav-install")],
    ),
    (
        "nav-system",
        &[("/exports", "nav-exports"), ("/health", "nav-health"), ("/events", "nav-events"), ("/audit", "nav-audit")],
    ),
    ("nav-people", &[("/users", "nav-users"), ("/tokens", "nav-tokens")]),
];

/// What a page is.
pub(super) struct Page<'a> {
    pub title: &'a str,
    /// Path of its entry in the navigation.
    pub nav: &'a str,
    /// Scripts beyond `console.js`.
    pub scripts: &'a [&'a str],
    pub body: Markup,
}

impl View {
    /// The page as an answer; only its body when a part is wanted.
    pub(super) fn show(&self, page: Page<'_>) -> Response {
        if self.is_part {
            return page.body.into_response();
        }
        let theme = match self.theme {
            Theme::System => None,
            theme => Some(theme.code()),
        };
        let markup = html! {
            (DOCTYPE)
            html lang=(self.lang.code()) data-theme=[theme] {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="robots" content="noindex";
                    meta name="color-scheme" content="light dark";
                    title { (page.title) " · Leaseline" }
                    link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/assets/base.css";
                    link rel="stylesheet" href="/assets/console.css";
                    script type="module" src="/assets/console.js" {}
                    @for script in page.scripts { script type="module" src={ "/assets/" (script) } {} }
                }
                body {
                    a.skip href="#main" { (self.t("skip")) }
                    (self.top(&page))
                    div.columns {
                        nav.side aria-label=(self.t("nav-label")) { (self.entries(page.nav)) }
                        main #main tabindex="-1" { (page.body) }
                    }
                    (self.keys())
                }
            }
        };
        markup.into_response()
    }

    fn top(&self, page: &Page<'_>) -> Markup {
        let signed_in = self.user().is_some();
        let health = match self.state.readiness.get() {
            Phase::Ready => ("good", self.t("health-ready")),
            Phase::Starting => ("warn", self.t("health-starting")),
            Phase::Draining => ("bad", self.t("health-draining")),
        };
        html! {
            header.top {
                a.brand href="/" { img src="/assets/icon.svg" width="26" height="26" alt=""; "Leaseline" }
                @if signed_in {
                    span.soft.node { (self.config.node.id) }
                    span class={ "tag " (health.0) } { (health.1) }
                    form.search role="search" action="/calls" {
                        label.visually-hidden for="search" { (self.t("search-label")) }
                        input #search type="search" name="q" placeholder=(self.t("search-hint"))
                            value=(self.asked("q").unwrap_or_default());
                    }
                }
                div.switches { (self.switches()) }
                @if signed_in {
                    details.menu {
                        summary { (self.t("menu")) }
                        nav aria-label=(self.t("nav-label-phone")) { (self.entries(page.nav)) }
                    }
                }
            }
        }
    }

    /// Of language and theme; without JavaScript as with it.
    fn switches(&self) -> Markup {
        let here = self.link(&[]);
        html! {
            form.switch method="post" action="/preferences" {
                input type="hidden" name="back" value=(here);
                fieldset {
                    legend.visually-hidden { (self.t("switch-language")) }
                    @for lang in Lang::ALL {
                        button type="submit" name="lang" value=(lang.code()) lang=(lang.code()) title=(lang.name()) aria-label={
                            (lang.code().to_uppercase()) " – " (lang.name()) } aria-pressed=(self.lang == lang) {
                            (lang.code().to_uppercase()) }
                    }
                }
                fieldset {
                    legend.visually-hidden { (self.t("switch-theme")) }
                    @for theme in Theme::ALL {
                        @let name = self.word("theme", theme.code());
                        button type="submit" name="theme" value=(theme.code()) title=(name) aria-label=(name)
                            aria-pressed=(self.theme == theme) { (sign(theme)) }
                    }
                }
            }
            @if let Some(caller) = self.caller.as_ref().filter(|caller| caller.session.is_some()) {
                a.button.me href="/account" title=(self.t("account")) { (caller.name) }
                form.switch method="post" action="/sign-out" { button type="submit" { (self.t("sign-out")) } }
            }
        }
    }

    /// What whoever asks may open.
    fn entries(&self, here: &str) -> Markup {
        let may_open = |path: &str| self.user().is_some() && super::right_of(path).is_none_or(|right| self.may(right));
        html! {
            @for (group, entries) in NAV {
                @let open: Vec<&Entry> = entries.iter().filter(|(path, _)| may_open(path)).collect();
                @if !open.is_empty() {
                    p.group { (self.t(group)) }
                    ul {
                        @for (path, key) in open {
                            li { a href=(path) aria-current=[(*path == here).then_some("page")] { (self.t(key)) } }
                        }
                    }
                }
            }
            @if self.state.demo.is_some() { ul { li { a href="/demo" { (self.t("nav-demo")) } } } }
        }
    }

    /// The keys of the keyboard, shown by `?`.
    fn keys(&self) -> Markup {
        let keys = [
            ("?", "key-help"),
            ("/", "key-search"),
            ("g o", "nav-overview"),
            ("g c", "nav-calls"),
            ("g l", "nav-live"),
            ("g p", "nav-pools"),
            ("j / k", "key-rows"),
            ("[ / ]", "key-pages"),
        ];
        html! {
            dialog #keys aria-labelledby="keys-title" {
                h2 #keys-title { (self.t("keys-title")) }
                dl.keys-list { @for (key, text) in keys { div { dt { kbd { (key) } } dd { (self.t(text)) } } } }
                form method="dialog" { button.primary type="submit" { (self.t("close")) } }
            }
        }
    }
}

fn sign(theme: Theme) -> Markup {
    html! {
        svg.sign viewBox="0 0 16 16" aria-hidden="true" {
            @match theme {
                Theme::System => { circle.ring cx="8" cy="8" r="6" {} path.full d="M8 2a6 6 0 0 1 0 12z" {} },
                Theme::Light => {
                    circle.full cx="8" cy="8" r="3.2" {}
                    path.ring d="M8 1v2M8 13v2M1 8h2M13 8h2M3 3l1.5 1.5M11.5 11.5 13 13M3 13l1.5-1.5M11.5 4.5 13 3" {}
                },
                Theme::Dark => { path.full d="M13.5 10A6 6 0 0 1 6 2.5a6 6 0 1 0 7.5 7.5z" {} },
            }
        }
    }
}
