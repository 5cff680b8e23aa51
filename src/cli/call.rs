//! `leaseline call`: one test call.

use std::path::PathBuf;
use std::time::Duration;

use super::{Exit, complain, interrupted, ladder, say, small_runtime};
use crate::config::Tls;
use crate::phone::{self, CallOptions, Over, Secured, Sound, Step};
use crate::wire::codec::g711::Law;

/// Place one test call and print the ladder of messages, the media figures and the result.
///
/// Exit 0 when it was answered, 1 when it was not, 2 when it could not be placed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The number to dial, as it goes into the Request-URI.
    #[arg(value_parser = user)]
    number: String,
    /// Where to send the call.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5060")]
    to: String,
    /// How to send it.
    #[arg(long, value_enum, value_name = "NAME", default_value_t)]
    transport: Transport,
    /// Authorities whose certificates are believed, PEM; without it, the system's.
    #[arg(long, value_name = "FILE.pem")]
    ca: Option<PathBuf>,
    /// The caller's number.
    #[arg(long, value_name = "NUMBER", default_value = "+442079460990", value_parser = user)]
    from: String,
    /// Play this file instead of the built-in voice.
    #[arg(long, value_name = "FILE.wav")]
    play: Option<PathBuf>,
    /// Record what the far side says.
    #[arg(long, value_name = "FILE.wav")]
    record: Option<PathBuf>,
    /// Hang up after so long a talk.
    #[arg(long = "for", value_name = "DURATION", default_value = "5s", value_parser = crate::config::parse_duration)]
    talk: Duration,
    /// Give up after so long without an answer.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::config::parse_duration)]
    ring_max: Duration,
    /// Offer only this codec: PCMU or PCMA.
    #[arg(long, value_name = "NAME", value_parser = codec)]
    codec: Option<Law>,
    /// Print {"steps":[…],"report":{…}} at the end instead of the ladder.
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: Args) -> Exit {
    match small_runtime() {
        Ok(runtime) => runtime.block_on(place(args)).unwrap_or_else(|message| {
            complain(message);
            Exit::CouldNot
        }),
        Err(exit) => exit,
    }
}

async fn place(args: Args) -> Result<Exit, String> {
    let options = CallOptions {
        to: resolve(&args.to).await?,
        over: over(&args)?,
        number: args.number,
        from: args.from,
        sound: sound(args.play, Sound::CALLER)?,
        record: args.record,
        talk: args.talk,
        ring_max: args.ring_max,
        laws: args.codec.map_or_else(|| vec![Law::Mu, Law::A], |law| vec![law]),
    };
    let mut steps = Vec::new();
    let on_step = |step: &Step| {
        if args.json { steps.push(step.clone()) } else { ladder::print(step) }
    };
    let result = phone::call(&options, interrupted(), on_step).await;
    let report = result.map_err(|e| format!("the call could not be placed: {e}"))?;
    if args.json {
        say(serde_json::json!({ "steps": steps, "report": report }));
    } else {
        say(format_args!("media: {}", ladder::figures(&report.media)));
        say(match (report.answered, report.reason.as_str()) {
            (true, _) => {
                format!("answered, {:.1} s of talk, ended by {}", report.talk_ms as f64 / 1000.0, report.ended_by)
            }
            (false, "") if report.status == 503 => format!("nobody listens on {}", args.to),
            (false, "") => format!("no answer from {}", args.to),
            (false, reason) => format!("not answered: {} {reason}", report.status),
        });
    }
    // Without a single word from the far side the call was not placed at all.
    Ok(match (report.answered, report.reason.is_empty() && report.ringing_after_ms.is_none()) {
        (true, _) => Exit::Done,
        (false, true) => Exit::CouldNot,
        (false, false) => Exit::Bad,
    })
}

/// How a test phone's messages travel.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum Transport {
    #[default]
    Udp,
    Tcp,
    Tls,
}

fn over(args: &Args) -> Result<Over, String> {
    Ok(match args.transport {
        Transport::Udp => Over::Udp,
        Transport::Tcp => Over::Tcp,
        Transport::Tls => {
            let name = args.to.rsplit_once(':').map_or(args.to.as_str(), |(host, _)| host);
            let name = name.trim_matches(['[', ']']).to_owned();
            Over::Tls(Box::new(Secured { rules: Tls::of_files(None, args.ca.clone())?, name }))
        }
    })
}

/// A file to play, or the built-in voice.
pub(super) fn sound(file: Option<PathBuf>, built_in: Sound) -> Result<Sound, String> {
    let Some(path) = file else { return Ok(built_in) };
    phone::read_wav(&path).map_err(|e| format!("{}: {e}", path.display()))
}

pub(super) async fn resolve(text: &str) -> Result<std::net::SocketAddr, String> {
    let mut found = tokio::net::lookup_host(text).await.map_err(|e| format!("`{text}`: {e}"))?;
    found.next().ok_or_else(|| format!("`{text}` has no address"))
}

/// A number or another user of a SIP URI that needs no escapes.
fn user(text: &str) -> Result<String, String> {
    let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '(' | ')')).collect();
    let good = |b: u8| b.is_ascii_alphanumeric() || b"+-_.*".contains(&b);
    if (1..=64).contains(&plain.len()) && plain.bytes().all(good) {
        return Ok(plain);
    }
    Err("write a number like +442079460000 or a short name".to_owned())
}

fn codec(text: &str) -> Result<Law, String> {
    Law::of_name(text).ok_or_else(|| "write PCMU or PCMA".to_owned())
}
