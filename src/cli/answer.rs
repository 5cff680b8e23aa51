//! `leaseline answer`: a test phone that answers.

use std::path::PathBuf;
use std::time::Duration;

use super::call::{Transport, resolve, sound};
use super::{Exit, complain, interrupted, ladder, say, small_runtime};
use crate::config::Tls;
use crate::phone::{self, AnswerOptions, Over, Secured, Sound, Step};

/// A test phone that answers: 180, then 200, a built-in voice, and a ladder of what happens.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where calls come in.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5080")]
    listen: String,
    /// How calls come in.
    #[arg(long, value_enum, value_name = "NAME", default_value_t)]
    transport: Transport,
    /// The phone's certificate, PEM; TLS needs it.
    #[arg(long, value_name = "FILE.pem", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, value_name = "FILE.pem", requires = "certificate")]
    key: Option<PathBuf>,
    /// Play this file instead of the built-in voice.
    #[arg(long, value_name = "FILE.wav")]
    play: Option<PathBuf>,
    /// Record what the caller says; later calls get a number before the extension.
    #[arg(long, value_name = "FILE.wav")]
    record: Option<PathBuf>,
    /// Ring so long before the answer.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = crate::config::parse_duration)]
    ring: Duration,
    /// Refuse with this status instead: 486, 603, ….
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(300..700))]
    status: Option<u16>,
    /// Ring with 183 and sound.
    #[arg(long)]
    early_media: bool,
    /// Hang up after so long a talk; without it, the caller hangs up.
    #[arg(long = "for", value_name = "DURATION", value_parser = crate::config::parse_duration)]
    talk: Option<Duration>,
    /// End after so many calls; without it, on SIGINT or SIGTERM.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    calls: Option<u64>,
    /// One JSON object a step.
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: Args) -> Exit {
    let result = match small_runtime() {
        Ok(runtime) => runtime.block_on(serve(args)),
        Err(exit) => return exit,
    };
    match result {
        Ok(()) => Exit::Done,
        Err(message) => {
            complain(message);
            Exit::CouldNot
        }
    }
}

async fn serve(args: Args) -> Result<(), String> {
    let over = match args.transport {
        Transport::Udp => Over::Udp,
        Transport::Tcp => Over::Tcp,
        Transport::Tls => {
            let identity = args.certificate.zip(args.key).ok_or("TLS needs --certificate and --key")?;
            Over::Tls(Box::new(Secured { rules: Tls::of_files(Some(identity), None)?, name: String::new() }))
        }
    };
    let options = AnswerOptions {
        listen: resolve(&args.listen).await?,
        over,
        sound: sound(args.play, Sound::COMPANY)?,
        record: args.record,
        ring: args.ring,
        status: args.status,
        early_media: args.early_media,
        talk: args.talk,
        calls: args.calls,
    };
    let on_step = |step: &Step| {
        if args.json { say(serde_json::json!(step)) } else { ladder::print(step) }
    };
    let ready = |address| complain(format_args!("answering on {address}"));
    let result = phone::answer(&options, interrupted(), ready, on_step).await;
    result.map_err(|e| format!("cannot answer on {}: {e}", args.listen))
}
