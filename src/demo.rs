//! `leaseline demo`: the daemon on its configuration plus a company phone and a caller of its own, so that a newcomer
//! sees a whole tracked call with nothing else installed.

pub mod steps;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::Config;
use crate::core::event::{Body, CallData};
use crate::core::locate::Names;
use crate::core::route;
use crate::daemon::{Daemon, Options};
use crate::ids::E164;
use crate::io::clock;
use crate::io::http::{Demo, DemoStep};
use crate::phone::{self, AnswerOptions, CallOptions, Over, Sound};
use crate::wire::codec::g711::Law;

/// The demo's callers: mobile numbers reserved for fiction, of which the last three digits are missing here.
const CALLERS: &str = "+447700900";
/// How long the demo's caller talks.
const TALK: Duration = Duration::from_secs(5);
/// A call of the demo is over by then.
const PATIENCE: Duration = Duration::from_secs(60);
/// The visit that the demo's own call comes from.
const VISIT: &str =
    "utm_source=yandex-direct&utm_medium=cpc&utm_campaign=kitchens&utm_term=oak+kitchen&yclid=1234567890";

/// How the demo runs.
#[derive(Debug, Default)]
pub struct DemoOptions {
    /// End after the demo's own call.
    pub once: bool,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Start(#[from] crate::daemon::StartError),
    #[error("the demo wants a company with a destination like sip:+442079460999@127.0.0.1:5080, and a site")]
    NoCompany,
    #[error("the company phone cannot listen on {0}: {1}")]
    Phone(SocketAddr, io::Error),
    #[error("the demo's own call did not come through: {0}")]
    Call(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs the demo until it is told to stop.
pub async fn run(config: Config, options: DemoOptions) -> Result<(), DemoError> {
    let company = company_phone(&config).ok_or(DemoError::NoCompany)?;
    let site = config.sites.first().map(|site| site.name.clone()).ok_or(DemoError::NoCompany)?;
    let dial = Arc::new(OnceLock::<Dialler>::new());
    let dialler = Arc::clone(&dial);
    let demo = Arc::new(Demo::new(move |number| match dialler.get() {
        Some(dialler) => dialler.dial(&number),
        None => Err("the demo is still starting".to_owned()),
    }));
    answer(company).await?;
    let daemon = Daemon::start(config, Options { demo: Some(Arc::clone(&demo)), ..Options::default() }).await?;
    let udp = daemon.listeners().iter().find(|listener| listener.transport == rsip::Transport::Udp);
    let to = udp.map(|listener| listener.address).ok_or(DemoError::NoCompany)?;
    let _ = dial.set(Dialler { to, demo: Arc::clone(&demo) });
    let base = format!("http://{}", daemon.http());
    say(format_args!(
        "Leaseline is running, with a company phone on {company}.\n\n\
         The company's page  {base}/demo?{VISIT}\n\
         The console         {base}/\n"
    ));
    let result = own_call(&daemon, &demo, &base, &site).await;
    match result {
        Ok(()) if options.once => {
            daemon.shut_down(std::future::ready(())).await;
            Ok(())
        }
        Ok(()) => {
            say(format_args!("\nOpen the company's page, see the number change, press Call. Ctrl-C ends the demo."));
            Ok(daemon.until_signalled().await?)
        }
        Err(error) => {
            daemon.shut_down(std::future::ready(())).await;
            Err(error)
        }
    }
}

/// Where the first company's first destination is, when it is an address of this machine's.
fn company_phone(config: &Config) -> Option<SocketAddr> {
    let company = config.companies.first()?;
    let any = E164::parse("+442079460000")?;
    Some(route::targets(&company.forward_to, &any, None, &Names::default()).first()?.literal()?.remote)
}

/// The company's phone: rings a second, answers, and talks until the caller hangs up.
async fn answer(listen: SocketAddr) -> Result<(), DemoError> {
    let options = AnswerOptions {
        listen,
        over: Over::Udp,
        sound: Sound::COMPANY,
        record: None,
        ring: Duration::from_secs(1),
        status: None,
        early_media: false,
        talk: None,
        calls: None,
    };
    let (ready, listening) = tokio::sync::oneshot::channel();
    let (failed, failure) = tokio::sync::oneshot::channel();
    on_thread("company-phone", move || async move {
        let mut ready = Some(ready);
        let told = move |address: SocketAddr| {
            if let Some(ready) = ready.take() {
                let _ = ready.send(address);
            }
        };
        if let Err(error) = phone::answer(&options, std::future::pending::<()>(), told, |_| {}).await {
            let _ = failed.send(error);
        }
    })?;
    tokio::select! {
        Ok(_) = listening => Ok(()),
        Ok(error) = failure => Err(DemoError::Phone(listen, error)),
        else => Err(DemoError::Phone(listen, io::Error::other("the phone ended"))),
    }
}

/// Phones live on threads of their own: they keep time for their audio, and the daemon's tasks must not disturb them.
fn on_thread<F: Future<Output = ()>>(name: &str, phone: impl FnOnce() -> F + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(phone()))?;
    Ok(())
}

/// The demo's caller.
struct Dialler {
    to: SocketAddr,
    demo: Arc<Demo>,
}

impl Dialler {
    /// Starts a call and returns at once.
    fn dial(&self, number: &E164) -> Result<(), String> {
        let caller = caller_of(number);
        let options = CallOptions {
            number: number.as_str().to_owned(),
            to: self.to,
            over: Over::Udp,
            from: caller.clone(),
            sound: Sound::CALLER,
            record: None,
            talk: TALK,
            ring_max: Duration::from_secs(30),
            laws: vec![Law::A, Law::Mu],
        };
        let step = |step: &str, text: String| DemoStep {
            at: clock::wall(),
            step: step.to_owned(),
            from: "phone".to_owned(),
            to: "leaseline".to_owned(),
            text,
            data: None,
        };
        self.demo.step(step("dial", format!("{caller} dials {number}")));
        let demo = Arc::clone(&self.demo);
        let call = move || async move {
            let failed = match phone::call(&options, std::future::pending::<()>(), |_| {}).await {
                Ok(report) if report.answered => return,
                Ok(report) => format!("not answered: {} {}", report.status, report.reason),
                Err(error) => format!("the call could not be placed: {error}"),
            };
            demo.step(step("failed", failed));
        };
        on_thread("caller-phone", call).map_err(|error| error.to_string())
    }
}

/// Each number is called by a phone of its own: who calls twice is known by their number, whatever page is open.
fn caller_of(number: &E164) -> String {
    let text = number.as_str();
    format!("{CALLERS}{}", text.get(text.len().saturating_sub(3)..).unwrap_or("123"))
}

/// One whole tracked call: page → number → call → recording → event, printed as it happens.
async fn own_call(daemon: &Daemon, demo: &Demo, base: &str, site: &str) -> Result<(), DemoError> {
    let failed = |what: &str| DemoError::Call(what.to_owned());
    let number = visit(base, site).await.map_err(|error| DemoError::Call(format!("no number: {error}")))?;
    say(format_args!(
        "One tracked call, by itself\n\n  a visitor from Yandex.Direct, campaign “kitchens”, is shown {number}"
    ));
    let journal = daemon.journal();
    let mut follow = journal.follow(journal.last_seq());
    let (_, mut steps) = demo.watch();
    demo.call(number).map_err(DemoError::Call)?;
    let start = clock::wall();
    let ended = async {
        loop {
            tokio::select! {
                step = steps.recv() => if let Ok(step) = step {
                    print_step(&step, start);
                    if step.step == "failed" {
                        return Err(DemoError::Call(step.text));
                    }
                },
                records = follow.next(64) => for record in records? {
                    if let Ok((_, event)) = record.event()
                        && let Body::CallEnded(data) = event.body
                    {
                        return Ok(data);
                    }
                },
            }
        }
    };
    let data = tokio::time::timeout(PATIENCE, ended).await.map_err(|_| failed("no call.ended within a minute"))??;
    while let Ok(step) = steps.try_recv() {
        print_step(&step, start);
    }
    print_result(&data, daemon);
    Ok(())
}

/// What the page's script does: asks for a number.
async fn visit(base: &str, site: &str) -> Result<E164, String> {
    // The phone, the page and the daemon are one process here; a proxy of the environment has no place between them.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
    let body = json!({
        "site": site,
        "session": {
            "landing_page": format!("{base}/demo?{VISIT}"),
            "referrer": "https://yandex.example/",
            "utm": { "source": "Yandex.Direct", "medium": "cpc", "campaign": "kitchens", "term": "oak kitchen" },
            "click_ids": { "yclid": "1234567890" },
        },
    });
    let sent = client.post(format!("{base}/v1/leases")).header("Origin", base).json(&body).send().await;
    let answer: Value = sent.map_err(|error| error.to_string())?.json().await.map_err(|error| error.to_string())?;
    let number = answer.get("number").and_then(Value::as_str).and_then(E164::parse);
    number.ok_or_else(|| answer.to_string())
}

fn print_step(step: &DemoStep, start: crate::time::Wall) {
    if step.step == "dial" || step.step == "event" {
        return;
    }
    let seconds = f64::from(u32::try_from(step.at.millis_since(start)).unwrap_or(u32::MAX)) / 1_000.0;
    let arrow = if step.to.is_empty() { "" } else { "→" };
    say(format_args!("  {seconds:>6.3}  {:<9} {arrow} {:<9}  {}", step.from, step.to, step.text));
}

fn print_result(data: &CallData, daemon: &Daemon) {
    let attribution = &data.attribution;
    let utm = |key: &str| attribution.session.as_ref().and_then(|s| s.utm.get(key)).map_or("-", String::as_str);
    say(format_args!(
        "\n  outcome      {} ({}), rang {:.1} s, talked {:.1} s",
        data.outcome.map_or("", |outcome| outcome.as_str()),
        data.reason.as_deref().unwrap_or(""),
        data.ring_ms as f64 / 1_000.0,
        data.talk_ms as f64 / 1_000.0,
    ));
    say(format_args!(
        "  attribution  {} · {} · {}, visitor {}, {:.0} % sure ({})",
        utm("source"),
        utm("campaign"),
        utm("term"),
        attribution.visitor_id.as_deref().unwrap_or("unknown"),
        attribution.confidence * 100.0,
        attribution.method,
    ));
    if let Some(media) = &data.media {
        say(format_args!(
            "  media        {}, caller {} packets ({} lost), company {} packets ({} lost)",
            media.codec.as_deref().unwrap_or("none"),
            media.caller.received,
            media.caller.lost,
            media.company.received,
            media.company.lost,
        ));
    }
    let config = daemon.config();
    let folder = &config.node.data_dir;
    if let Some(path) = data.recording.as_ref().and_then(|recording| recording.path.as_deref()) {
        say(format_args!("  recording    {}", folder.join(path).display()));
        say(format_args!("  sidecar      {}", folder.join(path).with_extension("json").display()));
    }
    say(format_args!("  events       {}", show(&folder.join("events.jsonl"))));
    say(format_args!("  journal      {}", show(&folder.join("journal"))));
    say(format_args!("\n  leaseline verify {}", show(folder)));
}

fn show(path: &Path) -> std::path::Display<'_> {
    path.display()
}

/// To stdout. A reader that has gone away is not an error.
fn say(text: std::fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}
