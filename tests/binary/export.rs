//! Every exporter through the real program: a visitor with consent and one without call, the destination fails, hangs up and
//! limits before it answers, and has the first one's call once.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::{Value, json};

use crate::contracts::{Amocrm, Bitrix24, Contract, Ga4, Google, Meta, Metrika, Webhook};
use crate::node::{NUMBER, Node, holds, until};
use crate::serving::Server;

/// A visitor's number; `consent` as the page says it.
fn lease(node: &Node, visitor: &str, consent: Option<&str>) -> String {
    let mut client = json!({ "page": "https://acme.example/" });
    if let Some(consent) = consent {
        client["consent"] = json!(consent);
    }
    let session = json!({
        "landing_page": "https://acme.example/?utm_source=google",
        "utm": { "source": "google", "campaign": visitor },
        "click_ids": { "gclid": format!("gclid-{visitor}"), "fbclid": "fb" },
        "client_ids": { "ga": "11.22", "ga_session": "33", "ym": "4455" },
        "client": client,
    });
    let body = json!({ "site": "site", "visitor_id": visitor, "session": session }).to_string();
    let (status, body) = node.request("POST /v1/leases", &body).unwrap();
    assert_eq!(status, 201, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["number"].as_str().unwrap().to_owned()
}

/// One with consent calls, one without, and one calls a static number.
fn drive<C: Contract + Default + 'static>(
    export: impl Fn(SocketAddr) -> String,
    asks_consent: bool,
    count: usize,
) -> (Node, Server<C>) {
    let server: Server<C> = Server::start(&[0, 429, 500]);
    let table = format!("[[export]]\nname = \"out\"\n{}", export(server.address));
    let node = Node::started(&table);
    node.answering();
    for (visitor, consent) in [("agreed", Some("ads")), ("refused", None)] {
        let number = lease(&node, visitor, consent);
        let report = node.report(node.call(&number, Duration::from_millis(300)));
        assert!(report.answered, "{report:?}\n{}", node.log());
    }
    node.report(node.call(NUMBER, Duration::from_millis(300)));
    node.wait_for_events("call.ended", 3);
    let calls = if asks_consent { 1 } else { 3 };
    holds(&format!("{calls} calls are counted\n{}", node.log()), || server.counted().len() >= count);
    let sent = node.wait_for_events("export.sent", calls);
    assert_eq!(sent.len(), calls, "{sent:?}");
    holds("nothing is left", || {
        let exports = node.json("/v1/exports");
        let one = &exports["exports"][0];
        let sent = one["deliveries"]["sent"].as_u64().unwrap_or(0);
        one["lag"] == 0 && one["deliveries"]["pending"] == 0 && sent >= calls as u64
    });
    assert_eq!(server.counted().len(), count, "{:?}", server.counted());
    assert_eq!(server.contract.lock().unwrap().refused(), Vec::<String>::new());
    let log = node.json("/v1/exports/out/deliveries?state=sent");
    let of_calls = |line: &&Value| line["action"] != "ring";
    assert_eq!(log["deliveries"].as_array().unwrap().iter().filter(of_calls).count(), calls);
    (node, server)
}

#[test]
fn r05_ga4_has_the_call_of_the_visitor_who_agreed() {
    let export = |address| {
        format!("kind = \"ga4\"\nurl = \"http://{address}\"\nmeasurement_id = \"G-TEST\"\napi_secret = \"ga secret\"\n")
    };
    let (node, _server) = drive::<Ga4>(export, true, 1);
    // A dry run shows the differences of another filter, and Google's own validation of one.
    let body = r#"{"filter":{"confidence":1.0,"not_labels":[]}}"#;
    let (status, said) = node.request("POST /v1/exports/out/dry-run", body).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((status, said["removed"].as_array().map(Vec::len)), (200, Some(1)), "{said}");
    let (_, said) = node.request("POST /v1/exports/out/dry-run", r#"{"validate":true}"#).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["validation"]["answer"]["validationMessages"], json!([]), "{said}");
    let body = r#"{"filter":{"consent":false}}"#;
    assert_eq!(node.request("POST /v1/exports/out/dry-run", body).unwrap().0, 400);
    assert_eq!(node.request("POST /v1/exports/nobody/replay", "{}").unwrap().0, 404);
}

#[test]
fn r05_metrika_has_the_call_of_the_visitor_who_agreed() {
    let export = |address| {
        format!(
            "kind = \"metrika\"\nurl = \"http://{address}\"\ncounter = 4242\ntoken = \"metrika token\"\nevery = \"0s\"\n"
        )
    };
    drop(drive::<Metrika>(export, true, 1));
}

#[test]
fn r05_google_has_the_call_of_the_visitor_who_agreed() {
    let export = |address| {
        format!(
            "kind = \"google\"\nurl = \"http://{address}\"\ntoken_url = \"http://{address}/token\"\n\
             client_id = \"client\"\nclient_secret = \"client secret\"\nrefresh_token = \"refresh-0\"\n\
             customer = \"123-456-7890\"\nconversion_action = \"987\"\nevery = \"0s\"\n"
        )
    };
    let (node, server) = drive::<Google>(export, true, 1);
    let (_, said) = node.request("POST /v1/exports/out/dry-run", r#"{"validate":true}"#).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["validation"]["status"], 200, "{said}");
    // One lock at a time.
    let validated = server.contract.lock().unwrap().validated;
    assert_eq!((validated, server.counted().len()), (1, 1));
}

#[test]
fn r05_meta_has_the_call_of_the_visitor_who_agreed() {
    let export = |address| {
        format!(
            "kind = \"meta\"\nurl = \"http://{address}\"\ndataset = \"123456\"\ntoken = \"meta token\"\nevery = \"0s\"\n"
        )
    };
    drop(drive::<Meta>(export, true, 1));
}

fn oauth(address: SocketAddr, path: &str) -> String {
    format!(
        "url = \"http://{address}\"\ntoken_url = \"http://{address}{path}\"\nclient_id = \"client\"\n\
         client_secret = \"client secret\"\nrefresh_token = \"refresh-0\"\n"
    )
}

#[test]
fn r05_bitrix24_has_every_call_with_its_recording() {
    let export = |address| {
        format!("kind = \"bitrix24\"\nextension = \"101\"\nrecordings = true\n{}", oauth(address, "/oauth/token/"))
    };
    let (_node, server) = drive::<Bitrix24>(export, false, 3);
    let contract = server.contract.lock().unwrap();
    assert_eq!(contract.records.len(), 3, "each with its sound");
    assert_eq!(contract.traces.len(), 3, "each with its source");
}

#[test]
fn r05_amocrm_has_every_call_and_the_deal_of_the_caller_once() {
    let export = |address| {
        format!(
            "kind = \"amocrm\"\nredirect_uri = \"https://app.example/back\"\nfields = {{ source = \"12\" }}\n{}",
            oauth(address, "/oauth2/access_token")
        )
    };
    // Three calls of one caller: one deal.
    let (_node, server) = drive::<Amocrm>(export, false, 4);
    assert_eq!(server.contract.lock().unwrap().leads.len(), 1);
}

#[test]
fn r05_a_webhook_of_ones_own_has_every_call_as_its_template_says() {
    let template =
        r#"{\"phone\": {{ call.caller | tojson }}, \"from\": {{ call.attribution.session.utm.source | tojson }}}"#;
    let export = |address| {
        format!(
            "kind = \"webhook\"\nurl = \"http://{address}/hook\"\nsecret = \"hook secret\"\ntemplate = \"{template}\"\n"
        )
    };
    let (_node, server) = drive::<Webhook>(export, false, 3);
    let contract = server.contract.lock().unwrap();
    let from = |wanted: &str| contract.got.values().filter(|body| body["from"] == wanted).count();
    assert_eq!(from("google"), 2);
    assert!(contract.got.values().all(|body| body["phone"] == "+442079460990"), "{:?}", contract.got);
}

#[test]
fn r06_files_have_every_call_once_with_the_version_of_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    let table = |format: &str| {
        format!(
            "[[export]]\nname = \"lake-{format}\"\nkind = \"files\"\nformat = \"{format}\"\nevery = \"0s\"\n\
             folder = \"{}\"\n",
            folder.path().display()
        )
    };
    let tables: String = ["csv", "xlsx", "parquet"].map(table).concat();
    let mut node = Node::started(&tables);
    node.answering();
    for _ in 0..2 {
        node.report(node.call(NUMBER, Duration::from_millis(300)));
    }
    node.wait_for_events("export.sent", 6);
    // Killed and started again, it writes nothing anew.
    node.signal(nix::sys::signal::Signal::SIGKILL);
    node.wait_for_end();
    node.start();
    node.report(node.call(NUMBER, Duration::from_millis(300)));
    node.wait_for_events("export.sent", 9);
    let files = || {
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<_> = names.filter(|path| !path.to_string_lossy().ends_with(".part")).collect();
        names.sort();
        names
    };
    let of = |ending: &str| {
        files().into_iter().filter(|path| path.extension().is_some_and(|e| e == ending)).collect::<Vec<_>>()
    };
    let rows = until("three rows of CSV", || {
        let mut rows = Vec::new();
        for file in of("csv") {
            assert!(file.file_name().unwrap().to_string_lossy().starts_with("lake-csv-v1-"), "{file:?}");
            let mut reader = csv::Reader::from_path(&file).unwrap();
            let header = reader.headers().unwrap().clone();
            let at = |name: &str| header.iter().position(|column| column == name).unwrap();
            for record in reader.records() {
                let record = record.unwrap();
                rows.push((record[at("schema_version")].to_owned(), record[at("call_id")].to_owned()));
                assert_eq!(&record[at("source")], "billboard");
            }
        }
        (rows.len() >= 3).then_some(rows)
    });
    let ids: std::collections::BTreeSet<_> = rows.iter().map(|(_, id)| id.clone()).collect();
    assert_eq!((rows.len(), ids.len()), (3, 3));
    assert!(rows.iter().all(|(version, _)| version == "1"));
    // The others can be opened by what reads their kind.
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let count = |path: &std::path::PathBuf| {
        let file = std::fs::File::open(path).unwrap();
        SerializedFileReader::new(file).unwrap().metadata().file_metadata().num_rows()
    };
    assert_eq!(of("parquet").iter().map(count).sum::<i64>(), 3);
    assert!(of("xlsx").iter().all(|path| std::fs::read(path).unwrap().starts_with(b"PK")));
    node.stop();
}

#[test]
fn a_missed_call_is_a_letter_and_after_a_crash_not_two() {
    let (mail, letters) = crate::keeper::mail_server();
    let mut node = Node::started(&format!(
        "[[export]]\nname = \"letters\"\nkind = \"mail\"\nto = [\"shop@example.com\"]\nmissed = true\n\
         [notify]\nto = [\"ops@example.com\"]\n[notify.smtp]\nhost = \"{}\"\nport = {}\nsecurity = \"off\"\n\
         from = \"leaseline@example.com\"\n",
        mail.ip(),
        mail.port()
    ));
    // Nobody is there: the call is missed.
    node.report(node.call(NUMBER, Duration::from_millis(300)));
    let letter = letters.recv_timeout(Duration::from_secs(30)).expect("a letter");
    for words in ["To: shop@example.com", "Subject: Missed call to acme", "Message-ID: <"] {
        assert!(letter.contains(words), "{words}: {letter}");
    }
    assert!(!letter.contains("+442079460990"), "the caller's number is masked: {letter}");
    until("it is written down", || {
        let log = node.json("/v1/exports/letters/deliveries");
        log["deliveries"].as_array()?.iter().find(|delivery| delivery["state"] == "sent").map(|_| ())
    });
    node.signal(nix::sys::signal::Signal::SIGKILL);
    node.wait_for_end();
    node.start();
    node.answering();
    node.honest_call();
    node.stop();
    assert!(letters.try_recv().is_err(), "one letter");
}

/// Addresses of the inside, names that lead there, and other schemes.
#[test]
fn i04_exports_do_not_reach_into_the_network() {
    for (url, why) in [
        ("http://169.254.169.254/latest/meta-data", "link-local"),
        ("http://0.0.0.0/", "unspecified"),
        ("http://[::ffff:127.0.0.1]/", "hidden IPv4"),
        ("http://2130706433.example@127.0.0.1/", "password in a URL"),
        ("file:///etc/passwd", "not a URL of http"),
    ] {
        let node = Node::new(&format!("[[export]]\nname = \"out\"\nkind = \"webhook\"\nurl = \"{url}\"\n"));
        let (code, said) = node.refuses_to_start();
        assert!(code != Some(0) && said.contains(why), "{url}: {said}");
    }
    // A name that leads inside is refused when it is looked up.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let node = Node::started(&format!(
        "[[export]]\nname = \"out\"\nkind = \"webhook\"\nurl = \"http://localhost:{port}/\"\nallow_private = false\n"
    ));
    node.answering();
    node.report(node.call(NUMBER, Duration::from_millis(200)));
    holds("refused", || node.json("/v1/exports")["exports"][0]["last_failure"] == "address_refused");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came");
}

/// Answers that never end, and that are no answers.
#[test]
fn i05_a_destination_that_drips_costs_the_others_nothing() {
    let endless = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = endless.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in endless.incoming() {
            std::thread::spawn(move || -> std::io::Result<()> {
                let mut stream = stream?;
                stream.write_all(b"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                loop {
                    stream.write_all(b"1000\r\n")?;
                    stream.write_all(&[b'x'; 0x1000])?;
                    stream.write_all(b"\r\n")?;
                }
            });
        }
    });
    let good: Server<Webhook> = Server::start(&[]);
    let node = Node::started(&format!(
        "[[export]]\nname = \"endless\"\nkind = \"webhook\"\nurl = \"http://{address}/\"\n\
         [[export]]\nname = \"good\"\nkind = \"webhook\"\nurl = \"http://{}/\"\nsecret = \"hook secret\"\n",
        good.address
    ));
    node.answering();
    node.report(node.call(NUMBER, Duration::from_millis(200)));
    holds("the good one has it", || good.counted().len() == 1);
    holds("the bad one failed", || node.json("/v1/exports")["exports"][0]["last_failure"] == "status_500");
}
