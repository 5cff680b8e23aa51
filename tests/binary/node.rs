//! One running program with its files, and phones around it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use leaseline::phone::{self, AnswerOptions, CallOptions, CallReport, Over, Sound, Step, What};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

pub(crate) const NUMBER: &str = "+442079460500";
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_leaseline");

/// Longest wait for anything. Ample: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until there is something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not within {} s: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn holds(what: &str, mut look: impl FnMut() -> bool) {
    until(what, || look().then_some(()));
}

/// Tests that count real time in media, or load the machine, run one after the other.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Node {
    pub(crate) address: Ipv4Addr,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) extra: String,
    pub(crate) child: Option<Child>,
    /// Before the program's own arguments: `prlimit …`.
    pub(crate) wrapper: Vec<String>,
    runtime: Runtime,
}

impl Node {
    /// Not yet running. `extra`: more configuration; a table of the base's that stands there replaces it.
    pub(crate) fn new(extra: &str) -> Node {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let third = NEXT.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        let [_, a, b, _] = (pid % 50_000).to_be_bytes();
        let _ = a;
        // 127.16.… to 127.215.…: one test binary, one second byte; one node, one third byte.
        let second = 16 + u8::try_from(pid % 200).unwrap();
        let address = Ipv4Addr::new(127, second, third, 1 + b % 200);
        let node = Node {
            address,
            dir: tempfile::tempdir().unwrap(),
            extra: extra.to_owned(),
            child: None,
            wrapper: Vec::new(),
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
        };
        node.write_config();
        node
    }

    pub(crate) fn started(extra: &str) -> Node {
        let mut node = Node::new(extra);
        node.start();
        node
    }

    pub(crate) fn sip(&self) -> SocketAddr {
        SocketAddr::new(self.address.into(), 5060)
    }

    pub(crate) fn http_at(&self) -> SocketAddr {
        SocketAddr::new(self.address.into(), 8080)
    }

    /// Where the company's phone listens.
    pub(crate) fn company(&self) -> SocketAddr {
        SocketAddr::new(self.address.into(), 5080)
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.dir.path().join("leaseline.toml")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn base_config(&self) -> String {
        let address = self.address;
        let data = self.data();
        let data = data.display();
        let mut tables = vec![
            ("[node]", format!("id = \"test\"\ndata_dir = \"{data}\"\ndrain = \"20s\"\n")),
            ("[sip]", format!("listen = [\"udp://{address}:5060\", \"tcp://{address}:5060\"]\n")),
            ("[media]", format!("address = \"{address}\"\nports = \"20000-20399\"\nthreads = 1\n")),
            ("[recording]", "disk_free_min = \"1MiB\"\n".to_owned()),
            ("[http]", format!("listen = \"{address}:8080\"\n")),
            ("[[trunk]]", "name = \"carrier\"\nmatch = [\"127.0.0.1/32\"]\ncountry = \"GB\"\n".to_owned()),
            ("[[company]]", format!("name = \"acme\"\nforward_to = [\"sip:sales@{address}:5080\"]\n")),
            ("[[site]]", "name = \"site\"\ncompany = \"acme\"\norigins = [\"http://localhost\"]\n".to_owned()),
            (
                "[[pool]]",
                format!(
                    "name = \"web\"\ncompany = \"acme\"\nsite = \"site\"\nkind = \"dynamic\"\n\
                     numbers = [\"+442079460000..+442079460009\"]\n[[pool]]\nname = \"board\"\ncompany = \"acme\"\n\
                     kind = \"static\"\nnumbers = [\"{NUMBER}\"]\nchannel = {{ source = \"billboard\" }}\n"
                ),
            ),
            ("[[sink]]", "kind = \"jsonl\"\n".to_owned()),
        ];
        tables.retain(|(name, _)| !self.extra.contains(&format!("{name}\n")));
        tables.into_iter().map(|(name, body)| format!("{name}\n{body}")).collect::<String>() + &self.extra
    }

    pub(crate) fn write_config(&self) {
        fs::write(self.config_path(), self.base_config()).unwrap();
    }

    fn command(&self) -> Command {
        let mut words = self.wrapper.clone();
        words.push(PROGRAM.to_owned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("run").arg("--config").arg(self.config_path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).env_remove("LEASELINE_LOG");
        command
    }

    /// Starts the program and waits until it takes calls.
    pub(crate) fn start(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.log_path()).unwrap();
        self.start_with(log.into());
    }

    /// The same with stderr elsewhere than in the log file.
    pub(crate) fn start_with(&mut self, stderr: Stdio) {
        self.child = Some(self.command().stderr(stderr).spawn().unwrap());
        let end = Instant::now() + PATIENCE;
        while self.get("/readyz").is_none_or(|(status, _)| status != 200) {
            let over = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(over.is_none() && Instant::now() < end, "not ready ({over:?}):\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs the program to its end, which must come by itself. Gives exit code and stderr.
    pub(crate) fn refuses_to_start(&self) -> (Option<i32>, String) {
        let mut child = self.command().stderr(Stdio::piped()).spawn().unwrap();
        let end = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > end {
                let _ = child.kill();
                panic!("it started");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut text = String::new();
        child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        (child.wait().unwrap().code(), text)
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
    }

    /// The exit code, once it has ended.
    pub(crate) fn wait_for_end(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let status = until("the program ends", || child.try_wait().unwrap());
        status.code()
    }

    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        assert_eq!(self.wait_for_end(), Some(0), "{}", self.log());
        assert!(!self.log().contains("panicked"), "{}", self.log());
    }

    /// Open descriptors of the running program.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    // ── what it says ──

    pub(crate) fn request(&self, head: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect_timeout(&self.http_at(), Duration::from_secs(5)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        let length = body.len();
        write!(
            stream,
            "{head} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}",
            self.http_at()
        )
        .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let status = text.split(' ').nth(1)?.parse().ok()?;
        Some((status, text.split_once("\r\n\r\n")?.1.to_owned()))
    }

    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        self.request(&format!("GET {path}"), "")
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).unwrap_or_else(|| panic!("no answer to {path}\n{}", self.log()));
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// A visitor's lease.
    pub(crate) fn lease(&self, visitor: &str) -> Value {
        let body =
            format!(r#"{{"site":"site","visitor_id":"{visitor}","session":{{"utm":{{"source":"{visitor}"}}}}}}"#);
        let (status, body) = self.request("POST /v1/leases", &body).unwrap();
        assert_eq!(status, 201, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Value of the first metric line that begins so.
    pub(crate) fn metric(&self, start: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics")?;
        text.lines().find_map(|line| line.strip_prefix(start)?.trim().parse().ok())
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.data().join("events.jsonl")).unwrap_or_default();
        // A line that is being written has no end yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }

    /// `data` of the events of this type, in order.
    pub(crate) fn events_of(&self, kind: &str) -> Vec<Value> {
        let kind = format!("leaseline.{kind}");
        self.events().into_iter().filter(|event| event["type"] == kind.as_str()).map(|e| e["data"].clone()).collect()
    }

    pub(crate) fn wait_for_events(&self, kind: &str, count: usize) -> Vec<Value> {
        until(&format!("{count} × {kind}\n{}", self.log()), || {
            Some(self.events_of(kind)).filter(|found| found.len() >= count)
        })
    }

    pub(crate) fn live_calls(&self) -> usize {
        let live = self.json("/v1/calls/live");
        live["calls"].as_array().or(live.as_array()).map_or(0, Vec::len)
    }

    pub(crate) fn verify(&self) -> (Option<i32>, String) {
        let done = Command::new(PROGRAM).arg("verify").arg(self.data()).output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    }

    // ── phones ──

    /// The company's phone: answers at once, until the node is dropped.
    pub(crate) fn answering(&self) {
        self.answering_at(self.company());
    }

    /// A phone there that does the same.
    pub(crate) fn answering_at(&self, listen: SocketAddr) {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let options = AnswerOptions {
            listen,
            over: Over::Udp,
            sound: Sound::COMPANY,
            record: None,
            ring: Duration::ZERO,
            status: None,
            early_media: false,
            talk: None,
            calls: None,
        };
        self.runtime.spawn(async move {
            let tell = move |_| ready.send(()).unwrap();
            phone::answer(&options, std::future::pending(), tell, |_| {}).await.unwrap();
        });
        is_ready.recv_timeout(PATIENCE).expect("the company's phone listens");
    }

    /// A caller's phone calls; the report comes when the call is over.
    pub(crate) fn call(&self, number: &str, talk: Duration) -> Calling {
        let options = CallOptions {
            number: number.to_owned(),
            to: self.sip(),
            over: Over::Udp,
            from: "+442079460990".to_owned(),
            sound: Sound::CALLER,
            record: None,
            talk,
            ring_max: Duration::from_secs(20),
            laws: vec![leaseline::wire::codec::g711::Law::A],
        };
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let heard = Arc::new(AtomicBool::new(false));
        let hears = Arc::clone(&heard);
        let task = self.runtime.spawn(async move {
            let stop = async move { drop(stopped.await) };
            let step = move |step: &Step| {
                if step.what == What::Talking {
                    hears.store(true, Ordering::SeqCst);
                }
            };
            phone::call(&options, stop, step).await.unwrap()
        });
        Calling { task, stop, heard }
    }

    pub(crate) fn report(&self, calling: Calling) -> CallReport {
        let Calling { task, stop, .. } = calling;
        let report = self.runtime.block_on(async { tokio::time::timeout(PATIENCE * 2, task).await });
        drop(stop);
        report.expect("the call ends").unwrap()
    }

    /// A short call that must go well, recorded.
    pub(crate) fn honest_call(&self) {
        let before = self.events_of("call.ended").len();
        let report = self.report(self.call(NUMBER, Duration::from_millis(700)));
        assert!(report.answered, "{report:?}\n{}", self.log());
        assert!(report.media.received > 10, "audio comes back: {report:?}");
        let ended = self.wait_for_events("call.ended", before + 1).pop().unwrap();
        assert_eq!(
            (&ended["outcome"], &ended["recording"]["state"]),
            (&"answered".into(), &"complete".into()),
            "{ended}"
        );
    }
}

/// A call that a phone is making.
pub(crate) struct Calling {
    task: JoinHandle<CallReport>,
    stop: tokio::sync::oneshot::Sender<()>,
    /// The phone has heard the answer.
    heard: Arc<AtomicBool>,
}

impl Calling {
    /// The phone hangs up, once it knows that it was answered or refused: the node knows before.
    pub(crate) fn hang_up(self, node: &Node) -> CallReport {
        holds("the phone hears how it was answered", || self.is_over() || self.heard.load(Ordering::SeqCst));
        let Calling { task, stop, .. } = self;
        let _ = stop.send(());
        let report = node.runtime.block_on(async { tokio::time::timeout(PATIENCE, task).await });
        report.expect("the call ends").unwrap()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
            // A test that ended well ends a program that was well.
            assert!(std::thread::panicking() || !self.log().contains("panicked"), "{}", self.log());
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("last words of {}:\n{}", self.address, tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

pub(crate) fn wavs(data: &Path) -> Vec<PathBuf> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "wav" || e == "part") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&data.join("recordings"), &mut found);
    found
}
