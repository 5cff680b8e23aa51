//! Logs to stderr. Writing never waits: when the reader of stderr stops, lines are dropped and counted, and calls go
//! on.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::Log;
use crate::limits;

/// Keeps the writer's thread; lines still waiting are written when it is dropped, as far as the reader takes them.
#[derive(Debug)]
pub struct LogGuard {
    writer: NonBlocking,
    done: Receiver<()>,
}

impl LogGuard {
    /// Lines that were dropped since the start because the reader of stderr did not keep up.
    pub fn dropped(&self) -> u64 {
        self.writer.dropped.load(Ordering::Relaxed)
    }

    /// The same count for others to read (metrics).
    pub fn dropped_counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.writer.dropped)
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        // A reader that has stopped must not stop us as well: a second, then the rest is lost.
        let mut end = Some(Line::End);
        for _ in 0..100 {
            if let Some(Err(TrySendError::Full(back))) = end.take().map(|line| self.writer.lines.try_send(line)) {
                end = Some(back);
            }
            if !matches!(self.done.recv_timeout(Duration::from_millis(10)), Err(RecvTimeoutError::Timeout)) {
                break;
            }
        }
    }
}

/// Sends `tracing` to stderr. The environment variable `LEASELINE_LOG` wins over the configured filter; a filter that
/// cannot be read becomes `info` with a warning. Only the first call in a process has an effect on `tracing`.
pub fn start(log: &Log) -> LogGuard {
    start_to(log, std::env::var("LEASELINE_LOG").ok(), io::stderr())
}

fn start_to(log: &Log, environment: Option<String>, out: impl Write + Send + 'static) -> LogGuard {
    let (writer, guard) = non_blocking(out);
    let text = environment.as_deref().unwrap_or(&log.filter);
    let (filter, bad) = match EnvFilter::try_new(text) {
        Ok(filter) => (filter, None),
        Err(e) => (EnvFilter::new("info"), Some(e)),
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    let set = if log.json {
        tracing::subscriber::set_global_default(subscriber.json().flatten_event(true).finish())
    } else {
        tracing::subscriber::set_global_default(subscriber.finish())
    };
    if let (Ok(()), Some(e)) = (set, bad) {
        tracing::warn!(filter = text, error = %e, "the log filter cannot be read; using `info`");
    }
    guard
}

/// A line appears at most so much later.
const REST: Duration = Duration::from_millis(10);

enum Line {
    Text(Vec<u8>),
    End,
}

/// Hands whole lines to a thread that writes them.
#[derive(Clone, Debug)]
struct NonBlocking {
    lines: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

fn non_blocking(mut out: impl Write + Send + 'static) -> (NonBlocking, LogGuard) {
    let (lines, queue) = sync_channel(limits::LOG_LINES);
    let (over, done) = sync_channel(1);
    let dropped = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&dropped);
    let run = move || {
        let mut told = 0;
        while let Some(line) = next(&queue) {
            let Line::Text(text) = line else { break };
            // A closed stderr is not a reason to stop anything: nobody is there to be told.
            let _ = out.write_all(&text);
            let missing = count.load(Ordering::Relaxed);
            if missing > told {
                let _ = writeln!(out, "({} log lines dropped: the reader was too slow)", missing - told);
                told = missing;
            }
        }
        let _ = out.flush();
        let _ = over.send(());
    };
    if let Err(e) = std::thread::Builder::new().name("log".to_owned()).spawn(run) {
        // Without the thread every line is dropped and counted; say so once, the only way left.
        eprintln!("leaseline: no thread for the log ({e}); nothing is logged");
    }
    let writer = NonBlocking { lines, dropped };
    (writer.clone(), LogGuard { writer, done })
}

/// The next line. After the last one the thread rests a little before it waits: a busy daemon says something every
/// millisecond, and waking this thread for each line costs the one that speaks more than the line itself.
fn next(queue: &Receiver<Line>) -> Option<Line> {
    queue.try_recv().ok().or_else(|| {
        std::thread::sleep(REST);
        queue.recv().ok()
    })
}

impl Write for NonBlocking {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match self.lines.try_send(Line::Text(text.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for NonBlocking {
    type Writer = NonBlocking;
    fn make_writer(&'a self) -> NonBlocking {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;

    /// A stderr whose reader has stopped: `write` waits until it may go on.
    struct Stopped {
        go: std::sync::mpsc::Receiver<()>,
        got: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stopped {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            self.got.lock().expect("not poisoned").extend_from_slice(text);
            Ok(text.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stops_costs_lines_and_no_time() {
        let (release, go) = channel();
        let got = Arc::new(Mutex::new(Vec::new()));
        let (mut writer, guard) = non_blocking(Stopped { go, got: Arc::clone(&got) });
        let extra = 500;
        for i in 0..limits::LOG_LINES + extra {
            writer.write_all(format!("line {i}\n").as_bytes()).expect("never fails");
        }
        // One line may be in the writer's hands.
        let dropped = guard.dropped();
        assert!((extra as u64 - 1..=extra as u64).contains(&dropped), "{dropped}");
        drop(release);
        drop(guard);
        let text = String::from_utf8(got.lock().expect("not poisoned").clone()).expect("UTF-8");
        assert!(text.starts_with("line 0\n"), "{text}");
        assert!(text.contains("log lines dropped"), "{text}");
    }
}
