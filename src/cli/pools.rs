//! `leaseline pools`: which pool a visit gets its number from, and why.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Exit, complain, load, say};
use crate::config::{Config, parse_duration};
use crate::core::catalogue::{Check, Explanation, Question, Staff, warnings};
use crate::core::lease::Device;
use crate::io::clock;

/// Explain which pool a visit would get its number from: a dry run that leases nothing. Without URL: the pools, and what
/// is odd about them.
///
/// Exit 0 when the visit would see a number of ours, 1 when it would see the real one, 64 when the site is not there.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address of the landing page with its parameters, in quotes.
    url: Option<String>,
    /// The site; without it, the first one.
    #[arg(long, value_name = "NAME")]
    site: Option<String>,
    /// Where the visitor came from.
    #[arg(long, value_name = "URL")]
    referrer: Option<String>,
    /// mobile, tablet or desktop.
    #[arg(long, value_parser = device)]
    device: Option<Device>,
    /// Where the visitor is, in ISO 3166: GB, GB-LND.
    #[arg(long)]
    region: Option<String>,
    /// Of the browser: en, en-GB.
    #[arg(long)]
    language: Option<String>,
    /// The visitor's address, for what the site excludes, and for the region where `[regions]` has a database.
    #[arg(long)]
    address: Option<IpAddr>,
    /// The browser's name, for crawlers.
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// The visitor was here before.
    #[arg(long)]
    returning: bool,
    /// Another time than now, like 2026-11-22T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Print a link instead that marks a browser as staff's; it is good for so long, like 7d.
    #[arg(long, value_name = "FOR", conflicts_with = "json", value_parser = parse_duration)]
    staff_link: Option<Duration>,
    /// The configuration; without it, the built-in one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the explanation as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: Args) -> Exit {
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let Some(site) = args.site.clone().or_else(|| config.sites.first().map(|site| site.name.clone())) else {
        complain("the configuration has no [[site]]");
        return Exit::Usage;
    };
    if let Some(good_for) = args.staff_link {
        return staff_link(&config, &site, args.url.as_deref(), good_for);
    }
    if args.url.is_none() && args.referrer.is_none() && !args.json {
        return list(&config);
    }
    let json = args.json;
    let question = Question {
        site,
        url: args.url,
        referrer: args.referrer,
        device: args.device.unwrap_or_default(),
        region: args.region,
        language: args.language,
        address: args.address,
        user_agent: args.user_agent,
        returning: args.returning,
        at: args.at,
        ..Question::default()
    };
    match question.answer(&config, clock::wall()) {
        Err(none) => {
            complain(none);
            Exit::Usage
        }
        Ok(explained) => {
            if json {
                say(serde_json::json!(explained));
            } else {
                tell(&explained);
            }
            if explained.verdict == "real_number" { Exit::Bad } else { Exit::Done }
        }
    }
}

fn tell(explained: &Explanation) {
    let visit = &explained.visit;
    let said = serde_json::json!(visit.said_by);
    let said = said.as_str().unwrap_or_default().replace('_', " ");
    let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let source = &visit.source;
    say(format_args!("source    {} (said by: {said})", source.source));
    say(format_args!("medium    {}", or_none(&source.medium)));
    say(format_args!("campaign  {}", or_none(&source.campaign)));
    if let Some(score) = &explained.score {
        let parts: Vec<String> = score.parts.iter().map(|(reason, points)| format!("{points} {reason}")).collect();
        say(format_args!("score     {} of 100: {}", score.points, parts.join(", ")));
    }
    let verdict = match explained.verdict {
        "number" => "a number of the first of these pools that has one",
        "static" => "a static number",
        _ => "the real number",
    };
    let reason = explained.reason.map(|code| format!(" ({code})")).unwrap_or_default();
    say(format_args!("shows     {verdict}{reason}\n"));
    for (place, pool) in explained.pools.iter().enumerate() {
        let place = if pool.fits { format!("{}.", place + 1) } else { "-".to_owned() };
        let title = pool.title.as_ref().map(|title| format!(" ({title})")).unwrap_or_default();
        say(format_args!("{place:<3} {}{title}: {}", pool.pool, pool.because));
        for Check { key, wanted, found, holds } in &pool.checks {
            let mark = if *holds { "yes" } else { "no " };
            say(format_args!("      {mark} {key}: wants {wanted}; is {found}"));
        }
    }
    match &explained.without_a_number {
        Some(behind) => say(format_args!("\nWithout a number left: {} of pool {}", behind.number, behind.pool)),
        None => say("\nWithout a number left: the real number"),
    }
}

fn list(config: &Config) -> Exit {
    for pool in &config.pools {
        let rules = &pool.rules;
        let kind = if pool.kind == crate::config::PoolKind::Static { "static" } else { "dynamic" };
        let traffic: Vec<&str> = rules.traffic.iter().map(|traffic| traffic.as_str()).collect();
        let asks = match (traffic.is_empty(), rules.conditions.len()) {
            _ if kind == "static" => "its channel".to_owned(),
            (true, 0) => "every visit".to_owned(),
            (false, 0) => traffic.join(", "),
            (true, n) => format!("{n} tables of conditions"),
            (false, n) => format!("{} with {n} tables of conditions", traffic.join(", ")),
        };
        let (name, count) = (&pool.name, pool.numbers.len());
        say(format_args!("{name:<24} {kind:<8} {count:>7} numbers  priority {:<6} {asks}", rules.priority));
    }
    for warning in warnings(config) {
        complain(format_args!("warning: {warning}"));
    }
    Exit::Done
}

/// The page's script hands what is in the link to the server, which marks the browser.
fn staff_link(config: &Config, site: &str, url: Option<&str>, good_for: Duration) -> Exit {
    let Some(site) = config.sites.iter().find(|one| one.name == site) else {
        complain("no site of this name is configured");
        return Exit::Usage;
    };
    let Some(secret) = &site.visits.staff_secret else {
        complain(format_args!("site {} has no `staff_secret`", site.name));
        return Exit::Usage;
    };
    let page = url.or(site.origins.first().map(String::as_str)).unwrap_or_default();
    let joint = if page.contains('?') { '&' } else { '?' };
    let proof = Staff::new(&secret.0).proof(clock::wall() + good_for);
    say(format_args!("{page}{joint}leaseline_staff={proof}"));
    Exit::Done
}

fn device(text: &str) -> Result<Device, String> {
    match text {
        "mobile" => Ok(Device::Mobile),
        "tablet" => Ok(Device::Tablet),
        "desktop" => Ok(Device::Desktop),
        _ => Err("it is one of mobile, tablet, desktop".to_owned()),
    }
}
