//! Secrets: without good ones nothing is open to others (row I02), who has none learns nothing of the node (I16), and no
//! secret of any kind stands where people look: logs, events, metrics, pages, the checked configuration, arguments (I17).

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use nix::sys::signal::Signal;
use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::browser::{Page, ask, browse, send};
use crate::node::{NUMBER, Node, PROGRAM, holds};
use crate::papers::{Authority, Paper, ip, server_config};

// ── I02 ──

#[test]
fn i02_without_a_good_secret_nothing_is_open_to_others() {
    let http = |rest: &str| format!("[http]\nlisten = \"0.0.0.0:8080\"\n{rest}");
    let phone = |password: &str| {
        format!(
            "[sip]\nlisten = [\"udp://192.0.2.7:5060\"]\n[[trunk]]\nname = \"pbx\"\n[trunk.login]\n\
             users = [{{ user = \"office\", password = \"{password}\" }}]\n"
        )
    };
    let example = "is the text of an example, which everybody knows";
    for (extra, words) in [
        (http(""), "http.listen: `0.0.0.0:8080` is open to others"),
        (http("").replace("0.0.0.0", "[::]"), "http.listen: `[::]:8080` is open to others"),
        (http("").replace("0.0.0.0", "[::ffff:192.0.2.7]"), "is open to others"),
        (http("token = \"\"\n"), "http.token: is empty"),
        (http("token_file = \"nothing\"\n"), "http.token_file: "),
        (http("token_file = \"away\"\n"), "http.token_file: cannot open"),
        (http("token = \"a long random text\"\n"), example),
        (http("token = \"Secret \"\n"), "is one that everybody tries first"),
        (
            http("token = \"vX7-29q.kluKa\"\n[[http.user]]\nname = \"anna\"\ntoken = \"changeme\"\n"),
            "everybody tries first",
        ),
        (http("token = \"vX7-29q.kluKa\"\n[[http.user]]\nname = \"anna\"\ntoken = \"\"\n"), "token: is empty"),
        (phone("a long random text"), example),
        (phone("…"), example),
        (phone("office"), "the password of user `office` is one that everybody tries first"),
        (phone(""), "password: is empty"),
    ] {
        let node = Node::new(&extra);
        fs::write(node.dir.path().join("nothing"), "\n").unwrap();
        let (code, said) = node.refuses_to_start();
        assert!(code == Some(64) && said.contains(words), "{extra}: {code:?} {said}");
        assert!(!node.data().join("journal").exists(), "it was not even begun: {extra}");
    }
}

#[test]
fn i02_nobody_is_there_before_somebody_is_made() {
    let mut node = Node::new("");
    node.extra = format!("[http]\nlisten = \"{}:8080\"\nsign_in = true\n", node.address);
    node.write_config();
    node.start();
    let at = node.http_at();
    for user in ["admin", "root", "leaseline", "owner", "local", "token", ""] {
        for password in ["admin", "password", "leaseline", "changeme", ""] {
            let page = send(at, "POST /v1/session", "", &json!({ "user": user, "password": password }));
            assert!(page.status >= 400 && page.cookie("leaseline_session").is_none(), "{user}: {page:?}");
        }
    }
    for given in ["Bearer ", "Bearer undefined", "Bearer null", "Bearer a long random text", "Basic YWRtaW46YWRtaW4="] {
        assert_eq!(ask(at, "GET /v1/calls", &[("Authorization", given)], "").status, 401, "{given}");
    }
    assert_eq!(browse(at, "/v1/calls", "leaseline_session=").status, 401);
    for link in ["", "setup", "0"] {
        let page = send(at, "POST /v1/setup", "", &json!({ "link": link, "user": "x", "password": "a long password" }));
        assert!(page.status >= 400, "{page:?}");
    }
    assert!(node.events_of("user.changed").is_empty());
}

// ── I16 ──

const TOKEN: &str = "vX7-29q.kluKa";

fn with_token(more: &str) -> Node {
    let mut node = Node::new("");
    node.extra = format!("[http]\nlisten = \"{}:8080\"\ntoken = \"{TOKEN}\"\n{more}", node.address);
    node
}

fn paths_of(at: SocketAddr, method: &str) -> Vec<String> {
    let document = browse(at, "/v1/openapi.json", "").json();
    let paths = document["paths"].as_object().unwrap().iter().filter(|(_, item)| item.get(method).is_some());
    paths.map(|(path, _)| path.clone()).collect()
}

#[test]
fn i16_who_has_no_token_learns_nothing_of_the_node() {
    let mut node = with_token("");
    node.write_config();
    node.start();
    let at = node.http_at();
    let version = env!("CARGO_PKG_VERSION");
    // What anybody may have, and still: neither a name nor a version of what runs here.
    let open =
        ["/healthz", "/readyz", "/v1/session", "/session", "/sign-in", "/setup", "/v1/openapi.json", "/leaseline.js"];
    // Where other programs have such pages, and ours have them or could have them.
    let pages = [
        "/",
        "/health",
        "/events",
        "/audit",
        "/exports",
        "/users",
        "/tokens",
        "/catalogue",
        "/install",
        "/metrics",
        "/v1/config",
        "/v1/debug",
        "/v1/status",
        "/v1/version",
        "/version",
        "/debug",
        "/debug/pprof/",
        "/debug/vars",
        "/status",
        "/httpstatus",
        "/server-status",
        "/nginx_status",
        "/stub_status",
        "/info",
        "/env",
        "/actuator",
        "/actuator/env",
        "/admin",
        "/console",
        "/config",
        "/config.toml",
        "/leaseline.toml",
        "/users.json",
        "/journal",
        "/.env",
        "/.git/config",
        "/swagger",
        "/docs",
        "/ws",
        "/demo",
        "/v1/../metrics",
        "//metrics",
        "/metrics/",
        "/METRICS",
        "/v1/trace",
        "/assets/../users.json",
    ];
    let asked: BTreeSet<String> = paths_of(at, "get").into_iter().chain(pages.map(str::to_owned)).collect();
    let mut closed = 0;
    for path in asked.iter().map(String::as_str).chain(open) {
        let path = path.replace("{id}", "1").replace(['{', '}'], "");
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            let page = ask(at, &format!("{method} {path}"), &[], "");
            for (name, value) in page.headers() {
                let tells =
                    ["server", "via", "x-powered-by", "x-version", "x-runtime"].contains(&&*name.to_lowercase());
                assert!(!tells && !value.contains(version), "{method} {path}: {name}: {value}");
            }
            assert!(!page.body.contains(version) && !page.body.contains("rustc"), "{method} {path}: {}", page.body);
            let is_open =
                open.contains(&path.as_str()) || path.starts_with("/v1/session") || path.starts_with("/leaseline");
            if method == "GET" && !is_open && !path.starts_with("/assets") {
                // A page of the console sends to the sign-in.
                assert!(matches!(page.status, 303 | 400 | 401 | 403 | 404 | 405), "{path}: {page:?}");
                assert!(
                    page.status != 303 || page.header("location").unwrap().starts_with("/sign-in"),
                    "{path}: {page:?}"
                );
                closed += 1;
            }
        }
    }
    assert!(closed > 60, "{closed}");
    assert_eq!(browse(at, "/healthz", "").json(), json!({ "status": "alive", "version": null }));
    // Who has the token is told.
    let bearer = [("Authorization", format!("Bearer {TOKEN}"))];
    let bearer: Vec<(&str, &str)> = bearer.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(ask(at, "GET /healthz", &bearer, "").json()["version"], version);
    assert_eq!(ask(at, "GET /metrics", &bearer, "").status, 200);
}

// ── I17 ──

/// Every secret of these tests has this in it.
const CANARY: &str = "CANARY";

fn canary(what: &str) -> String {
    format!("{CANARY}{what}Qk7")
}

/// How a canary would look: as it is, and in base64 from wherever it begins.
fn signs() -> Vec<String> {
    let coded = ["", "x", "xx"].map(|before| STANDARD_NO_PAD.encode(format!("{before}{CANARY}")));
    // Without the characters that depend on what stands beside it.
    let coded = [coded[0][..8].to_owned(), coded[1][2..9].to_owned(), coded[2][3..10].to_owned()];
    [CANARY.to_owned()].into_iter().chain(coded).collect()
}

fn clean(what: &str, text: &str, signs: &[String]) {
    for sign in signs {
        if let Some(at) = text.find(sign.as_str()) {
            let around: String = text[..at].chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
            let after: String = text[at..].chars().take(120).collect();
            panic!("a secret stands in {what}: {around}{after}");
        }
    }
}

/// A destination that takes nobody, and says back all that it was told.
fn echo(heard: &Arc<Mutex<String>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let heard = Arc::clone(heard);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || while answer(&stream, &heard).is_ok_and(|goes_on| goes_on) {});
        }
    });
    at
}

fn answer(mut stream: &std::net::TcpStream, heard: &Mutex<String>) -> std::io::Result<bool> {
    let mut reader = BufReader::new(stream);
    let mut all = String::new();
    let mut length = 0;
    loop {
        let from = all.len();
        if reader.read_line(&mut all)? == 0 {
            return Ok(false);
        }
        let line = all[from..].trim().to_lowercase();
        if let Some(given) = line.strip_prefix("content-length: ") {
            length = given.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    all.push_str(&String::from_utf8_lossy(&body));
    heard.lock().unwrap().push_str(&all);
    let path = all.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, said) = if path.contains("token") && !path.contains("sendMessage") {
        let tokens =
            json!({ "access_token": canary("access"), "refresh_token": canary("rotated"), "expires_in": 3600 });
        (200, tokens.to_string())
    } else {
        (401, all)
    };
    write!(
        stream,
        "HTTP/1.1 {status} Said\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{said}",
        said.len()
    )?;
    Ok(true)
}

/// The same of a PBX and of a mail server: greets, and refuses by saying back what it heard.
fn lines<S: Read + Write>(stream: S, greeting: &str, heard: &Mutex<String>, reply: impl Fn(&str) -> String) {
    let mut reader = BufReader::new(stream);
    let _ = reader.get_mut().write_all(greeting.as_bytes());
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        heard.lock().unwrap().push_str(&line);
        let said = reply(line.trim());
        if reader.get_mut().write_all(said.as_bytes()).and_then(|()| reader.get_mut().flush()).is_err() {
            return;
        }
        line.clear();
    }
}

fn pbx(greeting: &'static str, reply: fn(&str) -> String, heard: &Arc<Mutex<String>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let heard = Arc::clone(heard);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || lines(stream, greeting, &heard, reply));
        }
    });
    at
}

fn mail(paper: &Paper, heard: &Arc<Mutex<String>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let (heard, config) = (Arc::clone(heard), server_config(paper));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (heard, config) = (Arc::clone(&heard), Arc::clone(&config));
            std::thread::spawn(move || {
                let stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                lines(stream, "220 mail.example ESMTP\r\n", &heard, |line| match line {
                    _ if line.starts_with("EHLO") => "250-mail.example\r\n250 AUTH PLAIN LOGIN\r\n".to_owned(),
                    _ => format!("535 5.7.8 {line} is wrong\r\n"),
                });
            });
        }
    });
    at
}

/// All that has a secret, all of it led to `echo`; each secret's canary is in the set.
struct Everything {
    text: String,
    secrets: BTreeSet<String>,
    dir: PathBuf,
}

impl Everything {
    /// In place.
    fn one(&mut self, key: &str, what: &str) -> String {
        self.secrets.insert(canary(what));
        format!("{key} = \"{}\"\n", canary(what))
    }

    /// In a file of its own.
    fn filed(&mut self, key: &str, what: &str) -> String {
        self.secrets.insert(canary(what));
        fs::write(self.dir.join(what), canary(what)).unwrap();
        format!("{key}_file = \"{what}\"\n")
    }

    fn add(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn exports(&mut self, at: SocketAddr) {
        let oauth = |own: &mut Everything, name: &str| {
            let secret = own.one("client_secret", &format!("{name}client"));
            let refresh = own.filed("refresh_token", &format!("{name}refresh"));
            format!("token_url = \"http://{at}/{name}/token\"\nclient_id = \"client\"\n{secret}{refresh}")
        };
        let tables = [
            ("ga4", format!("measurement_id = \"G-TEST\"\n{}", self.one("api_secret", "ga4"))),
            ("metrika", format!("counter = 4242\nevery = \"0s\"\n{}", self.filed("token", "metrika"))),
            (
                "google",
                format!(
                    "customer = \"123-456-7890\"\nconversion_action = \"987\"\nevery = \"0s\"\n{}",
                    oauth(self, "google")
                ),
            ),
            ("meta", format!("dataset = \"123456\"\nevery = \"0s\"\n{}", self.one("token", "meta"))),
            ("bitrix24", format!("extension = \"101\"\n{}", oauth(self, "bitrix"))),
            ("amocrm", format!("redirect_uri = \"https://app.example/back\"\n{}", oauth(self, "amocrm"))),
            ("webhook", {
                let header = canary("exportheader");
                self.secrets.insert(header.clone());
                format!("headers = {{ Authorization = \"Bearer {header}\" }}\n{}", self.one("secret", "exporthook"))
            }),
            ("callrail", self.one("secret", "callrail")),
            ("telegram", format!("chat = \"-100\"\nmissed = true\n{}", self.one("token", "telegram"))),
        ];
        for (kind, rest) in tables {
            let filter = if kind == "telegram" {
                ""
            } else {
                "[export.filter]\nattribution = [\"visitor\", \"static\", \"none\"]\n"
            };
            self.add(&format!(
                "[[export]]\nname = \"{kind}\"\nkind = \"{kind}\"\nurl = \"http://{at}/{kind}\"\n{rest}{filter}"
            ));
        }
        let (access, secret) = (self.one("access_key", "lakename"), self.filed("secret_key", "lakekey"));
        self.add(&format!(
            "[[export]]\nname = \"lake\"\nkind = \"files\"\nformat = \"csv\"\nevery = \"0s\"\n[export.storage]\n\
             endpoint = \"http://{at}\"\nbucket = \"lake\"\nregion = \"r\"\npath_style = true\n{access}{secret}\
             [[export]]\nname = \"letters\"\nkind = \"mail\"\nto = [\"shop@example.com\"]\nmissed = true\n"
        ));
    }
}

/// Secrets that only sign, or whose place nobody comes to here: nobody hears them.
const UNHEARD: [&str; 15] = [
    "hook",
    "exporthook",
    "callrail",
    "decide",
    "provider",
    "lakekey",
    "archivekey",
    "hep",
    "staff",
    "login",
    "register",
    "credentials",
    "httptoken",
    "httpuser",
    "oidc",
];

fn everything(node: &Node, heard: &Arc<Mutex<String>>, paper: &Paper, ca: &Authority) -> Everything {
    let dir = node.dir.path().to_owned();
    let mut all = Everything { text: String::new(), secrets: BTreeSet::new(), dir };
    let (address, at) = (node.address, echo(heard));
    let asterisk = pbx(
        "Asterisk Call Manager/9.0.0\r\n",
        |line| match line {
            "" => "Response: Error\r\nMessage: no\r\n\r\n".to_owned(),
            _ => String::new(),
        },
        heard,
    );
    let freeswitch = pbx(
        "Content-Type: auth/request\n\n",
        |line| match line {
            "" => String::new(),
            _ => format!("Content-Type: command/reply\nReply-Text: -ERR {line} is wrong\n\n"),
        },
        heard,
    );
    let mail = mail(paper, heard);
    fs::write(all.dir.join("ca.pem"), ca.pem()).unwrap();

    let (token, anna) = (all.one("token", "httptoken"), all.filed("token", "httpuser"));
    let oidc = all.one("client_secret", "oidc");
    all.add(&format!(
        "[http]\nlisten = \"{address}:8080\"\n{token}[[http.user]]\nname = \"anna\"\n{anna}[http.oidc]\n\
         issuer = \"http://{at}\"\nclient_id = \"leaseline\"\n{oidc}public_url = \"http://localhost:8080\"\n"
    ));
    all.add("[log]\nfilter = \"trace\"\n[sip.tls]\ncertificate = \"paper.pem\"\nkey = \"paper.key\"\n");
    all.add("[media.dtls]\ncertificate = \"paper.pem\"\nkey = \"paper.key\"\n");
    all.add("[recording]\ndisk_free_min = \"1MiB\"\n");
    let hep = all.one("password", "hep");
    all.add(&format!("[trace.hep]\naddress = \"{address}:9060\"\n{hep}"));
    let (register, credentials, login) =
        (all.one("password", "register"), all.filed("password", "credentials"), canary("login"));
    all.secrets.insert(login.clone());
    all.add(&format!(
        "[[trunk]]\nname = \"carrier\"\nmatch = [\"127.0.0.1/32\"]\ncountry = \"GB\"\n[trunk.stir]\nsign = \"A\"\n\
         key_file = \"paper.key\"\ncertificate_url = \"https://cr.example/ours.pem\"\n\
         [[trunk]]\nname = \"upstream\"\naddress = \"sip:{address}:5099\"\n[trunk.register]\n\
         registrar = \"sip:{address}:5099\"\nuser = \"acme\"\n{register}[trunk.credentials]\nuser = \"acme\"\n{credentials}\
         [[trunk]]\nname = \"pbx\"\n[trunk.login]\nusers = [{{ user = \"office\", password = \"{login}\" }}]\n"
    ));
    let (ami, esl) = (all.one("secret", "ami"), all.filed("secret", "esl"));
    all.secrets.remove(&canary("ami"));
    all.add(&format!(
        "[[ears]]\nname = \"office\"\nkind = \"asterisk\"\naddress = \"{asterisk}\"\nuser = \"leaseline\"\n{ami}\
         [[ears]]\nname = \"branch\"\nkind = \"freeswitch\"\naddress = \"{freeswitch}\"\n{esl}"
    ));
    let (decide, header) = (all.one("secret", "decide"), canary("decideheader"));
    all.secrets.insert(header.clone());
    all.add(&format!(
        "[[company]]\nname = \"acme\"\nforward_to = [\"sip:sales@{address}:5080\"]\n[company.decide]\n\
         url = \"http://{at}/decide\"\n{decide}headers = {{ Authorization = \"Bearer {header}\" }}\n"
    ));
    let staff = all.one("staff_secret", "staff");
    all.add(&format!("[[site]]\nname = \"site\"\ncompany = \"acme\"\norigins = [\"http://localhost\"]\n{staff}"));
    let (provider, header) = (all.one("secret", "provider"), canary("providerheader"));
    all.add(&format!(
        "[[provider]]\nname = \"numbers\"\nurl = \"http://{at}/orders\"\n{provider}headers = {{ X-Key = \"{header}\" }}\n"
    ));
    let smtp = all.filed("password", "smtp");
    all.add(&format!(
        "[notify]\nto = [\"ops@example.com\"]\n[notify.smtp]\nhost = \"{}\"\nport = {}\nsecurity = \"tls\"\n\
         user = \"leaseline\"\n{smtp}from = \"leaseline@example.com\"\nca = \"ca.pem\"\n",
        mail.ip(),
        mail.port()
    ));
    let (hook, header) = (all.one("secret", "hook"), canary("hookheader"));
    all.secrets.insert(header.clone());
    all.add(&format!(
        "[[sink]]\nkind = \"jsonl\"\n[[sink]]\nkind = \"webhook\"\nurl = \"http://{at}/hook\"\n{hook}\
         headers = {{ Authorization = \"Bearer {header}\" }}\n"
    ));
    all.exports(at);
    let (access, secret) = (all.filed("access_key", "archivename"), all.one("secret_key", "archivekey"));
    all.add(&format!(
        "[[archive]]\nkind = \"s3\"\nname = \"far\"\nendpoint = \"http://{at}\"\nbucket = \"calls\"\nregion = \"r\"\n\
         path_style = true\n{access}{secret}"
    ));
    all
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Every page that links lead to.
fn crawl(at: SocketAddr, cookie: &str) -> Vec<(String, Page)> {
    let mut waiting = vec!["/".to_owned()];
    let mut seen: BTreeSet<String> = waiting.iter().cloned().collect();
    let mut pages = Vec::new();
    while let Some(path) = waiting.pop() {
        let page = browse(at, &path, cookie);
        for link in page.body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let link = link.split('#').next().unwrap_or_default().replace("&amp;", "&");
            // One view of a screen is enough.
            let screen = link.split('?').next().unwrap_or_default().to_owned();
            if screen.starts_with('/') && !screen.starts_with("//") && seen.insert(screen) {
                waiting.push(link);
            }
        }
        pages.push((path, page));
    }
    pages
}

fn check(node: &Node) -> String {
    let done = Command::new(PROGRAM).args(["check", "--config"]).arg(node.config_path()).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

fn arguments() -> String {
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    all.map(|line| String::from_utf8_lossy(&line).into_owned()).collect::<Vec<_>>().join("\n")
}

#[test]
fn i17_no_secret_stands_where_people_look() {
    let heard = Arc::new(Mutex::new(String::new()));
    let ca = Authority::new();
    let paper = ca.issue(&[ip([127, 0, 0, 1].into())]);
    let mut node = Node::new("");
    paper.write(node.dir.path(), "paper");
    let all = everything(&node, &heard, &paper, &ca);
    node.extra = all.text.clone();
    node.write_config();
    let effective = check(&node);
    assert!(effective.contains("[[archive]]") && effective.contains('…'), "{effective}");
    node.start();
    let at = node.http_at();

    // People with secrets of their own, right and wrong ones.
    let token = canary("httptoken");
    let bearer = format!("Bearer {token}");
    let program = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let password = canary("password and more");
    let boris = json!({ "name": "boris", "roles": ["owner@*"], "password": password }).to_string();
    assert_eq!(ask(at, "POST /v1/users", &program, &boris).status, 201);
    let wrong = json!({ "user": "boris", "password": canary("wrong password"), "code": canary("code") });
    assert_eq!(send(at, "POST /v1/session", "", &wrong).status, 401);
    assert_eq!(ask(at, "GET /v1/calls", &[("Authorization", &format!("Bearer {}", canary("bearer")))], "").status, 401);
    assert_eq!(browse(at, &format!("/v1/calls?token={}", canary("address")), "").status, 401);
    assert_eq!(browse(at, "/v1/calls", &format!("leaseline_session={}", canary("cookie"))).status, 401);
    assert!(send(at, "POST /v1/setup", "", &json!({ "link": canary("link"), "password": password })).status >= 400);
    let signed = send(at, "POST /v1/session", "", &json!({ "user": "boris", "password": password }));
    assert_eq!(signed.status, 204, "{signed:?}");
    let session = signed.cookie("leaseline_session").unwrap();
    let cookie = format!("leaseline_session={session}");
    let factor = send(at, "POST /v1/session/totp", &cookie, &Value::Null).json();
    let made = json!({ "name": "robot", "scopes": ["calls"] });
    let made = send(at, "POST /v1/tokens", &cookie, &made).json();
    let mut added = Command::new(PROGRAM)
        .args(["user", "add", "clara", "--role", "agent@acme", "--password-stdin", "--config"])
        .arg(node.config_path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    added.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    let seen = arguments();
    let added = added.wait_with_output().unwrap();
    assert!(added.status.success(), "{added:?}");
    assert!(browse(at, "/v1/session/oidc", "").status >= 300);

    // One that nobody takes, and one of a visitor; both are told to everybody.
    node.report(node.call(NUMBER, Duration::from_millis(300)));
    node.answering();
    let visit = json!({ "site": "site", "visitor_id": "v", "session": {
        "landing_page": "https://acme.example/?utm_source=google", "utm": { "source": "google" },
        "click_ids": { "gclid": "g", "fbclid": "f" }, "client_ids": { "ga": "11.22", "ga_session": "33", "ym": "4455" },
        "client": { "page": "https://acme.example/", "consent": "ads" } } });
    let lease = ask(at, "POST /v1/leases", &program, &visit.to_string()).json();
    let report = node.report(node.call(lease["number"].as_str().unwrap(), Duration::from_millis(300)));
    assert!(report.answered, "{report:?}");
    node.wait_for_events("call.ended", 2);
    for secret in all.secrets.iter().filter(|secret| !UNHEARD.iter().any(|what| **secret == canary(what))) {
        // It is used, so what is looked for below could have come out.
        let coded = STANDARD_NO_PAD.encode(format!("\0leaseline\0{secret}"));
        holds(&format!("{secret} is used\n{}", heard.lock().unwrap()), || {
            let heard = heard.lock().unwrap();
            heard.contains(secret.as_str()) || heard.contains(&coded)
        });
    }

    // What people see.
    let mut signs = signs();
    signs.push(session.clone());
    signs.extend([&factor["secret"], &made["token"]].map(|text| text.as_str().unwrap().to_owned()));
    signs.extend(paper.key.lines().filter(|line| !line.starts_with('-')).map(str::to_owned));
    let signs = &signs;
    let clean = |what: &str, text: &str| clean(what, text, signs);
    let mut looked = 0;
    for (path, page) in crawl(at, &cookie) {
        assert!(page.status < 500, "{path}: {page:?}");
        clean(&path, &page.head);
        // Who sets up a second factor sees it, until it is confirmed.
        let own = factor["secret"].as_str().filter(|_| path == "/account").unwrap_or("\0");
        clean(&path, &page.body.replace(own, ""));
        looked += 1;
    }
    assert!(looked > 25, "{looked}");
    let calls = ask(at, "GET /v1/calls", &program, "").json();
    let call = calls["calls"][0]["call_id"].as_str().unwrap();
    for path in paths_of(at, "get").into_iter().filter(|path| path != "/v1/feed/leases") {
        let path = path.replace("{id}", call).replace("{name}", "telegram").replace("{report}", "exports");
        let page = ask(at, &format!("GET {path}"), &program[..1], "");
        clean(&path, &page.body);
    }
    for name in
        ["ga4", "metrika", "google", "meta", "bitrix24", "amocrm", "webhook", "callrail", "telegram", "lake", "letters"]
    {
        let page = ask(at, &format!("GET /v1/exports/{name}/deliveries"), &program[..1], "");
        assert_eq!(page.status, 200, "{page:?}");
        clean(name, &page.body);
        clean(name, &browse(at, &format!("/exports/log?export={name}"), &cookie).body);
    }
    clean("what `check` prints", &effective);
    clean("arguments", &seen);
    clean("arguments", &arguments());
    clean("what `user add` prints", &format!("{added:?}"));
    node.stop();
    clean("the log", &node.log());

    // What is kept: the journal, events, recordings, lists. Beside key files only the tokens that a destination has given are
    // secrets that must be kept; they are, in the export's own file, which nobody else reads.
    let mut kept = Vec::new();
    files(&node.data(), &mut kept);
    assert!(kept.iter().any(|path| path.ends_with("events.jsonl")));
    for path in kept.iter().filter(|path| !path.starts_with(node.data().join("keys"))) {
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        let is_export = path.starts_with(node.data().join("exports"));
        let text = if is_export { text.replace(&canary("rotated"), "").replace(&canary("access"), "") } else { text };
        let others = fs::metadata(path).unwrap().permissions().mode() & 0o077;
        assert_eq!(others, 0, "{}: {others:o}", path.display());
        clean(&path.display().to_string(), &text);
    }
}

/// A node that follows another one's leases shows its token as little; nor does a reload with a mistake.
#[test]
fn i17_the_token_of_a_feed_and_a_reload_with_a_mistake_show_no_secret() {
    let heard = Arc::new(Mutex::new(String::new()));
    let (at, token) = (echo(&heard), canary("feed"));
    let good =
        format!("[log]\nfilter = \"trace\"\n[lease_feed]\nurl = \"http://{at}/v1/feed/leases\"\ntoken = \"{token}\"\n");
    let mut node = Node::started(&good);
    holds("it is used", || heard.lock().unwrap().contains(&token));
    let uri = format!("sip:x:{}@127.0.0.1", canary("reload"));
    node.extra = format!("{good}[[siprec]]\nname = \"x\"\nuri = [\"{uri}\"]\n");
    node.write_config();
    node.signal(Signal::SIGHUP);
    holds("it is refused", || node.log().contains("a password in a URI"));
    let metrics = node.get("/metrics").unwrap().1;
    node.stop();
    for (what, text) in [("the log", node.log()), ("metrics", metrics), ("`check`", check(&node))] {
        clean(what, &text, &signs());
    }
}

/// A mistake in a configuration is shown with its place, and not with the secret that stands there.
#[test]
fn i17_mistakes_beside_a_secret_do_not_show_it() {
    let secret = canary("mistake");
    let signs = signs();
    let hook = "[[sink]]\nkind = \"webhook\"\nurl = \"https://example.com/\"\nsecret = \"s\"\n";
    for text in [
        format!("[http]\ntoken = \"{secret}\n"),
        format!("[http]\ntoken = {secret}\n"),
        format!("[http]\ntoken = \"{secret}\" \"{secret}\"\n"),
        format!("[http]\ntoken = [\"{secret}\"]\n"),
        format!("[http]\ntokn = \"{secret}\"\n"),
        format!("[http]\ntoken = \"{secret}\\u0007\"\n"),
        format!("[http]\ntoken = \"{secret}\"\ntoken_file = \"nothing\"\n"),
        format!("[http]\ntoken = \"{secret}\"\ntoken = \"{secret}\"\n"),
        format!(
            "[http]\ntoken = \"x\"\n[[http.user]]\nname = \"a\"\ntoken = \"{secret}\"\n[[http.user]]\nname = \"b\"\ntoken = \"{secret}\"\n"
        ),
        format!("[http]\n\"{secret}\n"),
        format!("[[sink]]\nkind = \"webhook\"\nurl = \"http://x:{secret}@example.com/\"\nsecret = \"{secret}\"\n"),
        format!("[[sink]]\nkind = \"webhook\"\nurl = \"ftp://x:{secret}@example.com/\"\nsecret = \"{secret}\"\n"),
        format!("[[sink]]\nkind = \"webhook\"\nurl = \"http://x:{secret}@exa mple.com/\"\nsecret = \"{secret}\"\n"),
        format!("{hook}headers = {{ Authorization = \"{secret}\\u0007\" }}\n"),
        format!("{hook}headers = {{ Host = \"{secret}\" }}\n"),
        format!("[[trunk]]\nname = \"x\"\naddress = \"sip:x:{secret}@192.0.2.9\"\n"),
        format!("[[trunk]]\nname = \"x\"\n[trunk.register]\nregistrar = \"sip:x:{secret}@192.0.2.9\"\nuser = \"x\"\n"),
        format!("[[company]]\nname = \"x\"\nforward_to = [\"sip:x:{secret}@192.0.2.9\"]\n"),
        format!("[[company]]\nname = \"x\"\nforward_to = [\"sip:x:{secret}@{{host}}\"]\n"),
        format!("[[siprec]]\nname = \"x\"\nuri = [\"sip:x:{secret}@192.0.2.9\"]\n"),
        format!(
            "[[ears]]\nname = \"x\"\nkind = \"freeswitch\"\naddress = \"x:{secret}@192.0.2.9:8021\"\nsecret = \"s\"\n"
        ),
        format!("[[trunk]]\nname = \"x\"\n[trunk.login]\nusers = [\"office:{secret}\"]\n"),
        format!("[[trunk]]\nname = \"x\"\n[trunk.login]\nusers = [{{ user = \"office\", pasword = \"{secret}\" }}]\n"),
    ] {
        let node = Node::new("");
        fs::write(node.config_path(), &text).unwrap();
        let (code, said) = node.refuses_to_start();
        assert_eq!(code, Some(64), "{text}: {said}");
        clean(&text.replace(&secret, "…"), &said, &signs);
        clean(&text.replace(&secret, "…"), &check(&node), &signs);
    }
}
