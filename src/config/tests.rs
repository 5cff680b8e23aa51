//! The configuration as operators meet it.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

fn read(text: &str) -> Result<Config, Problems> {
    Config::parse(text, "leaseline.toml", Path::new(""))
}

/// A good configuration to spoil.
const GOOD: &str = r#"[node]
id = "edge-1"
[sip]
listen = ["udp://127.0.0.1:5060", "tcp://127.0.0.1:5060"]
[http]
listen = "127.0.0.1:8080"
[[trunk]]
name = "carrier"
match = ["127.0.0.0/8"]
[[company]]
name = "acme"
forward_to = ["sip:+442079460999@127.0.0.1:5080"]
[[site]]
name = "acme-site"
company = "acme"
origins = ["http://127.0.0.1:8080"]
[[pool]]
name = "acme-web"
company = "acme"
site = "acme-site"
kind = "dynamic"
numbers = ["+442079460000..+442079460099"]
hold = "30m"
[[pool]]
name = "acme-billboard"
company = "acme"
kind = "static"
numbers = ["+442079460500"]
channel = { source = "billboard" }
[[sink]]
kind = "jsonl"
"#;

/// The example of the contract.
const CONTRACT: &str = r#"
[node]
id = "edge-1"
data_dir = "leaseline-data"

[sip]
listen = ["udp://127.0.0.1:5060", "tcp://127.0.0.1:5060"]     # also tls://, IPv6 as udp://[::1]:5060

[media]
address = "127.0.0.1"          # bound, and put into SDP; `advertise` when behind NAT
ports = "20000-29999"

[recording]
enabled = true

[http]
listen = "127.0.0.1:8080"

[[trunk]]                      # who may send us calls, and a way out
name = "carrier"
match = ["127.0.0.0/8"]

[[company]]
name = "acme"
forward_to = ["sip:+442079460999@127.0.0.1:5080"]             # tried in order; {number} and {caller} may stand in it

[[site]]
name = "acme-site"
company = "acme"
origins = ["http://127.0.0.1:8080", "http://localhost:8080"]

[[pool]]
name = "acme-web"
company = "acme"
site = "acme-site"
kind = "dynamic"
numbers = ["+442079460000..+442079460099"]
hold = "30m"

[[pool]]
name = "acme-billboard"
company = "acme"
kind = "static"
numbers = ["+442079460500"]
channel = { source = "billboard", medium = "offline", campaign = "ring road" }

[[sink]]
kind = "jsonl"                 # <data_dir>/events.jsonl
[[sink]]
kind = "webhook"
url = "http://127.0.0.1:9000/hook"
secret = "…"
"#;

#[test]
fn the_builtin_configuration_is_the_contracts_example() {
    let builtin = Config::builtin();
    let contract = read(CONTRACT).expect("good");
    assert_eq!(builtin.sinks.len(), 1, "the built-in default has only the file of events");
    let without_sinks = |config: Config| Config { sinks: Vec::new(), ..config }.effective_toml();
    assert_eq!(without_sinks(builtin), without_sinks(contract.clone()));
    assert!(matches!(&contract.sinks[0], Sink::Jsonl { path, .. } if path == Path::new("leaseline-data/events.jsonl")));
    assert!(matches!(&contract.sinks[1], Sink::Webhook { allow_private: true, .. }));
}

#[test]
fn defaults_are_the_builtin_values() {
    // What the file leaves commented must be what the parser does without it.
    let bare = read("").expect("an empty file is a node that nobody calls");
    let builtin = Config::builtin();
    assert_eq!(bare.sip.listen, builtin.sip.listen);
    assert_eq!(bare.media.ports, builtin.media.ports);
    assert_eq!(bare.http.listen, builtin.http.listen);
    assert_eq!(bare.node.data_dir, builtin.node.data_dir);
    assert_eq!(bare.recording.enabled, builtin.recording.enabled);
    assert_eq!(bare.sip.calls_max, 2500);
}

/// Keys whose value names a file that must exist.
fn needs_a_file(line: &str) -> bool {
    let files = ["certificate = ", "key = ", "ca = ", "timestamp_roots = ", "database = "];
    line.contains("_file =") || line.ends_with(".wav\"") || files.iter().any(|key| line.starts_with(key))
}

/// The built-in file with every commented key switched on, except the ones that exclude another.
pub(super) fn all_on() -> String {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') && !needs_a_file(rest) => {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    BUILTIN.lines().map(on).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_key_stands_in_the_builtin_file() {
    let text = all_on();
    let config = read(&text).unwrap_or_else(|problems| panic!("the commented keys are not good:\n{problems}"));
    assert!(config.lease_feed.is_some());
    let mut section = String::new();
    let mut written = BTreeSet::new();
    for line in BUILTIN.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
            written.insert(section.clone());
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        {
            written.insert(format!("{section}.{key}"));
            // Keys of the tables in a list.
            let tables = line.contains("= [{").then(|| line.split(['{', ',', '}']).skip(1));
            for inner in tables.into_iter().flatten().filter_map(|part| part.split_once(" = ")) {
                written.insert(format!("{section}.{key}.{}", inner.0.trim()));
            }
        }
    }
    // Both lists may hold every key; each shows the ones that fit it.
    let lists = ["busy", "no_answer", "rule", "decide"].map(|table| format!("company.{table}.forward_to."));
    // Excluded by `refuse`, which the file shows.
    written.extend(["company.closed.forward_to".to_owned(), "company.closed.strategy".to_owned()]);
    for name in written.clone() {
        let inner = lists.iter().find_map(|list| name.strip_prefix(list.as_str()));
        written.extend(inner.iter().flat_map(|key| lists.each_ref().map(|list| format!("{list}{key}"))));
    }
    // The same table twice; the file shows its keys once.
    for name in written.clone() {
        written.extend(name.strip_prefix("pool.conditions.").map(|key| format!("site.worth.{key}")));
    }
    let known = parse::known_keys(&text);
    assert_eq!(known.difference(&written).collect::<Vec<_>>(), Vec::<&String>::new(), "known, but not in the file");
    assert_eq!(written.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "in the file, but not known");
}

#[test]
fn commented_values_are_the_defaults() {
    // Values that are examples, because the default is "none" or depends on the machine.
    let examples = [
        "advertise",
        "user_agent",
        "address6",
        "address",
        "threads",
        "token",
        "trusted_proxies",
        "url",
        "country",
        "user",
        "password",
        "realm",
        "[trunk.credentials]",
        "registrar",
        "contacts",
        "expires",
        "recording",
        "secret",
        "headers",
        "kind",
        "allow_private",
        "stale_after",
        "name",
        "match_any",
        "origins",
        "certificate",
        "key",
        "ca",
        "number",
        "company",
        "note",
        "[[caller]]",
        "certificate_url",
        "media_encryption",
        "siprec",
        "timestamp_url",
        "timestamp_roots",
        "exclude",
        "staff_secret",
        "title",
        "static_pools",
        "overflow_pool",
        "database",
        "score_card",
    ];
    let on = |line: &str| match line.strip_prefix('#') {
        Some(rest)
            if rest.starts_with(|c: char| c.is_ascii_lowercase())
                && !rest.contains("_file =")
                && !rest.ends_with(".wav\"")
                && !examples.contains(&rest.split(" = ").next().unwrap_or_default()) =>
        {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    // A table that is commented out whole, up to the next empty line, is an example too.
    let mut in_example = false;
    let text: Vec<String> = BUILTIN
        .lines()
        .map(|line| {
            in_example = line.starts_with("#[") || in_example && !line.is_empty();
            if in_example { line.to_owned() } else { on(line) }
        })
        .collect();
    let config = read(&text.join("\n")).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.effective_toml(), Config::builtin().effective_toml());
}

#[test]
fn the_effective_configuration_reads_back_to_itself() {
    for text in [BUILTIN, CONTRACT, &all_on(), GOOD, ""] {
        let effective = read(text).expect("good").effective_toml();
        let again = read(&effective).unwrap_or_else(|problems| panic!("{problems}\n{effective}"));
        assert_eq!(again.effective_toml(), effective);
    }
}

#[test]
fn secrets_are_masked() {
    let config = read(&all_on()).expect("good");
    let shown = format!("{}{config:?}", config.effective_toml());
    for secret in ["a long random text", "the allocator's token", "Bearer"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

/// Their secrets are ours to show and the operator's to replace.
#[test]
fn examples_are_good_once_their_secrets_are_replaced() {
    const SECRET: &str = "a long random text";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("read");
        if text.contains(SECRET) {
            let problems = Config::parse(&text, "example", &folder).expect_err("an example's secret");
            let told =
                |problem: &Problem| problem.message.contains("text of an example") && !problem.message.contains(SECRET);
            assert!(problems.problems.iter().all(told), "{problems}");
        }
        let text = text.replace(SECRET, "vX7-29q.kluKa");
        Config::parse(&text, "example", &folder).unwrap_or_else(|problems| panic!("{}: {problems}", path.display()));
        count += 1;
    }
    assert!(count >= 3);
}

/// Row I02: what stands for a secret in the built-in configuration is none where others can come in, whichever key it is.
#[test]
fn i02_no_text_of_an_example_is_a_secret_beyond_loopback() {
    // Every secret may stand in a file instead; what it is shown with is known.
    let lines = || BUILTIN.lines().map(|line| line.trim_start_matches('#')).filter_map(|line| line.split_once(" = "));
    let is_secret = |key: &str| {
        let is_named_so = ["secret", "token", "password", "_key"].iter().any(|end| key.ends_with(end));
        is_named_so && lines().any(|(other, _)| other.strip_suffix("_file") == Some(key))
    };
    let mut keys = std::collections::BTreeSet::new();
    for (key, value) in lines().filter(|(key, _)| is_secret(key)) {
        let shown = value.trim().trim_matches('"');
        assert!(super::read::PLACEHOLDERS.contains(&shown), "{key} = {value}");
        keys.insert(key);
    }
    assert!(keys.len() >= 9, "{keys:?}");

    let open = "[sip]\nlisten = [\"udp://192.0.2.5:5060\"]\n[media]\naddress = \"192.0.2.5\"\n";
    for (secret, is_good) in
        [("a long random text", false), (" the key itself ", false), ("…", false), ("vX7-29q.kluKa", true)]
    {
        let archive = format!(
            "[[archive]]\nkind = \"s3\"\nname = \"s3\"\nendpoint = \"https://s3.example.com\"\nbucket = \"calls\"\n\
             region = \"us-east-1\"\naccess_key = \"AK\"\nsecret_key = \"{secret}\"\n"
        );
        let read = read(&format!("{open}{archive}"));
        let problems = read.as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert_eq!(read.is_ok(), is_good, "{secret}: {problems}");
        assert!(is_good || problems.contains("archive[0].secret_key: is the text of an example"), "{problems}");
        super::Config::parse(&archive, "test", Path::new("."))
            .unwrap_or_else(|problems| panic!("on loopback nobody is kept out: {problems}"));
    }
    // What everybody tries first lets nobody in, either: not as a phone, and not as a page of our own.
    for (user, password, is_good) in
        [("office", "Admin", false), ("office", "office", false), ("office", "kluKa", true)]
    {
        let users = format!("users = [{{ user = \"{user}\", password = \"{password}\" }}]");
        let text = format!("{open}[[trunk]]\nname = \"pbx\"\n[trunk.login]\n{users}\n");
        let read = read(&text);
        assert_eq!(read.is_ok(), is_good, "{password}");
        assert!(read.err().is_none_or(|problems| problems.to_string().contains("everybody tries first")));
    }
}

#[test]
fn the_readmes_example_is_good() {
    let readme = include_str!("../../README.md");
    let example = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    read(example).unwrap_or_else(|problems| panic!("{problems}"));
}

/// What one change of [`GOOD`] gives: text to replace, replacement, line, key, words of the message.
const SPOILED: &[(&str, &str, usize, &str, &str)] = &[
    ("id = \"edge-1\"", "id = 7", 2, "node.id", "must be a text"),
    ("id = \"edge-1\"", "idd = \"edge-1\"", 2, "node.idd", "did you mean `id`?"),
    ("[node]", "[knode]", 1, "knode", "did you mean `node`?"),
    ("[node]\nid = \"edge-1\"", "node = 1\n", 1, "node", "must be a table"),
    ("id = \"edge-1\"", "drain = 30", 2, "node.drain", "must be a text"),
    ("id = \"edge-1\"", "drain = \"30\"", 2, "node.drain", "\"30s\""),
    ("udp://127.0.0.1:5060", "udp://0.0.0.0:5060", 4, "sip.listen[0]", "sip.advertise"),
    ("udp://127.0.0.1:5060", "tls://127.0.0.1:5061", 4, "sip.listen[0]", "sip.tls.certificate"),
    ("udp://127.0.0.1:5060", "wss://127.0.0.1:5061", 4, "sip.listen[0]", "sip.tls.certificate"),
    ("udp://127.0.0.1:5060", "ws://127.0.0.1:5060", 4, "sip.listen[1]", "is taken by"),
    ("udp://127.0.0.1:5060", "sctp://127.0.0.1:5060", 4, "sip.listen[0]", "is one of udp, tcp, tls, ws, wss"),
    (
        "\"udp://127.0.0.1:5060\"",
        "{ url = \"udp://127.0.0.1:5060\", port = \"1\" }",
        4,
        "sip.listen[0].port",
        "unknown key",
    ),
    ("\"udp://127.0.0.1:5060\"", "{ advertise = \"203.0.113.7\" }", 4, "sip.listen[0].url", "is missing"),
    (
        "\"udp://127.0.0.1:5060\"",
        "{ url = \"udp://127.0.0.1:5060\", advertise = \"a b\" }",
        4,
        "sip.listen[0].advertise",
        "host",
    ),
    ("tcp://127.0.0.1:5060", "udp://127.0.0.1:5060", 4, "sip.listen[1]", "twice"),
    ("[\"udp://127.0.0.1:5060\", \"tcp://127.0.0.1:5060\"]", "[]", 4, "sip.listen", "is empty"),
    ("[http]\nlisten = \"127.0.0.1:8080\"", "[http]\nlisten = \"0.0.0.0:8080\"", 6, "http.listen", "http.token"),
    ("[http]\nlisten = \"127.0.0.1:8080\"", "[http]\nlisten = \"127.0.0.1:5060\"", 6, "http.listen", "SIP over TCP"),
    ("[http]", "[media]\nports = \"20001-20004\"\n[http]", 6, "media.ports", "four ports"),
    ("[http]", "[media]\nports = \"5000-5999\"\n[http]", 6, "media.ports", "5060"),
    ("[http]", "[media]\naddress = \"0.0.0.0\"\n[http]", 6, "media.address", "media.advertise"),
    ("match = [\"127.0.0.0/8\"]", "match = [\"0.0.0.0/0\"]", 9, "trunk[0].match[0]", "match_any"),
    ("match = [\"127.0.0.0/8\"]", "match = [\"::ffff:0:0/96\"]", 9, "trunk[0].match[0]", "match_any"),
    ("match = [\"127.0.0.0/8\"]", "match = []", 7, "trunk[0]", "nobody could call"),
    ("match = [\"127.0.0.0/8\"]\n", "", 7, "trunk[0].match", "is missing"),
    ("match = [\"127.0.0.0/8\"]", "match = [\"carrier.example\"]", 9, "trunk[0].match[0]", "not an address"),
    ("match = [\"127.0.0.0/8\"]", "match = [\"127.0.0.1/8\"]", 9, "trunk[0].match[0]", "127.0.0.0/8"),
    ("match = [\"127.0.0.0/8\"]", "match = [\"10.0.0.1\", \"10.0.0.1\"]", 9, "trunk[0].match[1]", "already"),
    ("@127.0.0.1:5080", "@127.0.0.1:5060", 12, "company[0].forward_to[0]", "this node itself"),
    ("@127.0.0.1:5080", "@pbx.example;transport=tls", 12, "company[0].forward_to[0]", "no tls://"),
    ("sip:+442079460999@127.0.0.1:5080", "sips:a@pbx.example", 12, "company[0].forward_to[0]", "no tls://"),
    ("[http]", "[sip.dns]\nservers = [\"ns.example\"]\n[http]", 6, "sip.dns.servers[0]", "is not a server"),
    ("[http]", "[sip.dns]\ntimeout = \"5s\"\n[http]", 6, "sip.dns.timeout", "\"2s\""),
    ("@127.0.0.1:5080", "@localhost", 12, "company[0].forward_to[0]", "this node itself"),
    ("+442079460999@", "+442079460500@", 12, "company[0].forward_to[0]", "acme-billboard"),
    ("sip:+442079460999@127.0.0.1:5080", "sip:{who}@pbx", 12, "company[0].forward_to[0]", "braces"),
    ("forward_to = [\"sip:+442079460999@127.0.0.1:5080\"]\n", "", 10, "company[0].forward_to", "is missing"),
    ("name = \"acme\"\n", "name = \"a b\"\n", 11, "company[0].name", "is not a name"),
    (
        "[\"sip:+442079460999@127.0.0.1:5080\"]",
        "[{ trunk = \"nobody\", number = \"+442079460999\" }]",
        12,
        "company[0].forward_to[0]",
        "no trunk `nobody`",
    ),
    (
        "[\"sip:+442079460999@127.0.0.1:5080\"]",
        "[{ trunk = \"carrier\", number = \"+442079460999\" }]",
        12,
        "company[0].forward_to[0]",
        "has no `address`",
    ),
    (
        "[\"sip:+442079460999@127.0.0.1:5080\"]",
        "[{ number = \"+442079460999\" }]",
        12,
        "company[0].forward_to[0]",
        "needs `uri`",
    ),
    (
        "[\"sip:+442079460999@127.0.0.1:5080\"]",
        "[{ uri = \"sip:a@192.0.2.1\", number = \"+442079460999\" }]",
        12,
        "company[0].forward_to[0].number",
        "keep one",
    ),
    (
        "[\"sip:+442079460999@127.0.0.1:5080\"]",
        "[{ uri = \"sip:a@192.0.2.1\", wait = 2 }]",
        12,
        "company[0].forward_to[0].wait",
        "unknown key",
    ),
    ("match = [\"127.0.0.0/8\"]", "match = [\"127.0.0.1\"]\naddress = \"sip:a@b\"", 10, "trunk[0].address", "a user"),
    (
        "name = \"acme-site\"\ncompany = \"acme\"",
        "name = \"acme-site\"\ncompany = \"acne\"",
        15,
        "site[0].company",
        "no company `acne`",
    ),
    ("origins = [\"http://127.0.0.1:8080\"]", "origins = [\"*\"]", 16, "site[0].origins[0]", "any page"),
    ("site = \"acme-site\"\n", "", 17, "pool[0]", "needs `site`"),
    ("site = \"acme-site\"\n", "site = \"else\"\n", 20, "pool[0].site", "no site `else`"),
    ("kind = \"dynamic\"", "kind = \"dinamic\"", 21, "pool[0].kind", "\"static\", \"dynamic\""),
    ("..+442079460099", "..+4420794600990", 22, "pool[0].numbers[0]", "different lengths"),
    ("+442079460000..+442079460099", "+1000000..+2000000", 22, "pool[0].numbers[0]", "at most 1000000"),
    ("hold = \"30m\"", "hold = \"4m\"", 23, "pool[0].hold", "\"5m\""),
    ("name = \"acme-billboard\"", "name = \"acme-web\"", 25, "pool[1].name", "name of pool[0]"),
    ("[\"+442079460500\"]", "[\"+442079460050\"]", 28, "pool[1].numbers[0]", "pool `acme-web` too"),
    ("[\"+442079460500\"]", "[\"442079460500\"]", 28, "pool[1].numbers[0]", "must begin with `+`"),
    ("channel = { source = \"billboard\" }\n", "", 24, "pool[1]", "needs `channel`"),
    ("source = \"billboard\"", "source = \"a\\r\\nVia: b\"", 29, "pool[1].channel.source", "control character"),
    ("kind = \"jsonl\"", "kind = \"webhook\"\nurl = \"http://127.0.0.1:9000\"", 30, "sink[0].secret", "is missing"),
    ("kind = \"jsonl\"", "kind = \"jsonl\"\nurl = \"http://127.0.0.1:9000\"", 32, "sink[0].url", "unknown key"),
    ("kind = \"jsonl\"", "kind = \"jsonl\"\n[[sink]]\nkind = \"jsonl\"", 32, "sink[1].name", "name of sink[0]"),
    ("[[sink]]", "[log]\nfilter = \"a=b=c\"\n[[sink]]", 31, "log.filter", "not a log filter"),
    (
        "kind = \"jsonl\"",
        "kind = \"webhook\"\nurl = \"http://127.0.0.1:9000\"\nsecret_file = \"no/such\"",
        33,
        "sink[0].secret_file",
        "cannot open",
    ),
    ("[[sink]]", "[sink]", 30, "sink", "[[sink]]"),
    ("match = [\"127.0.0.0/8\"]", "match = [\"127.0.0.0/8\"]\n[trunk.probe]", 10, "trunk[0].probe", "nobody to ask"),
    (
        "match = [\"127.0.0.0/8\"]",
        "match = [\"127.0.0.0/8\"]\naddress = \"sip:192.0.2.9\"\n[trunk.probe]\nevery = \"1s\"",
        12,
        "trunk[0].probe.every",
        "must be from",
    ),
    (
        "match = [\"127.0.0.0/8\"]",
        "match = [\"127.0.0.0/8\"]\naddress = \"sip:192.0.2.9\"\n[trunk.probe]\nevery = \"5s\"\ntimeout = \"6s\"",
        11,
        "trunk[0].probe",
        "longer than `every`",
    ),
    ("[[sink]]", "[[siprec]]\nname = \"a\"\n[[sink]]", 30, "siprec[0].uri", "is missing"),
    ("[[sink]]", "[[siprec]]\nname = \"a\"\nuri = []\n[[sink]]", 32, "siprec[0].uri", "write 1 to 4"),
    (
        "[[sink]]",
        "[[siprec]]\nname = \"a\"\nuri = [\"sip:{number}@192.0.2.6\"]\n[[sink]]",
        32,
        "siprec[0].uri[0]",
        "one address for all calls",
    ),
    (
        "[[sink]]",
        "[[siprec]]\nname = \"a\"\nuri = [\"sip:127.0.0.1\"]\n[[sink]]",
        32,
        "siprec[0].uri[0]",
        "this node itself",
    ),
    ("[[sink]]", "[[siprec]]\nname = \"a\"\nuri = [\"sips:192.0.2.6\"]\n[[sink]]", 32, "siprec[0].uri[0]", "no tls://"),
    (
        "[[sink]]",
        "[[siprec]]\nname = \"a\"\nuri = [\"sip:192.0.2.6\"]\ntrunk = \"x\"\n[[sink]]",
        33,
        "siprec[0].trunk",
        "no trunk `x`",
    ),
    ("[[sink]]", "[[ears]]\nname = \"a\"\n[[sink]]", 30, "ears[0].kind", "is missing"),
    (
        "[[sink]]",
        "[[ears]]\nname = \"a\"\nkind = \"asterisk\"\naddress = \"192.0.2.6\"\nuser = \"u\"\nsecret = \"s\"\n[[sink]]",
        33,
        "ears[0].address",
        "not a host with a port",
    ),
    (
        "[[sink]]",
        "[[ears]]\nname = \"a\"\nkind = \"asterisk\"\nuser = \"u\"\naddress = \"192.0.2.6:5038\"\n[[sink]]",
        30,
        "ears[0]",
        "needs `secret`",
    ),
    (
        "[[sink]]",
        "[[ears]]\nname = \"a\"\nkind = \"asterisk\"\nsecret = \"u\"\naddress = \"192.0.2.6:5038\"\n[[sink]]",
        30,
        "ears[0]",
        "needs `user`",
    ),
    (
        "[[sink]]",
        "[[ears]]\nname = \"a\"\nkind = \"freeswitch\"\nsecret = \"u\"\nuser = \"u\"\naddress = \"pbx:8021\"\n[[sink]]",
        30,
        "ears[0]",
        "knows none",
    ),
    ("[[sink]]", "[[ears]]\nname = \"a\"\nkind = \"http\"\nsecret = \"u\"\n[[sink]]", 30, "ears[0]", "comes to us"),
    ("[[sink]]", "[[ears]]\nname = \"carrier\"\nkind = \"http\"\n[[sink]]", 31, "ears[0].name", "name of a trunk"),
    (
        "[[sink]]",
        "[[ears]]\nname = \"a\"\nkind = \"http\"\ncompany = \"b\"\n[[sink]]",
        33,
        "ears[0].company",
        "no company `b`",
    ),
    ("[[pool]]", "siprec = \"a\"\n[[pool]]", 17, "site[0].siprec", "unknown key"),
    ("name = \"acme\"", "name = \"acme\"\nsiprec = \"a\"", 12, "company[0].siprec", "no recorder `a`"),
    ("[http]", "[hygiene]\nconfidence = \"2\"\n[http]", 6, "hygiene.confidence", "not a share"),
    ("[http]", "[notify]\nto = [\"x\"]\n[http]", 6, "notify.to[0]", "not an address of mail"),
    (
        "[http]",
        "[notify.smtp]\nhost = \"m.example\"\nuser = \"a\"\nfrom = \"a@b.example\"\n[http]",
        5,
        "notify.smtp",
        "one of `user` and `password`",
    ),
    ("[http]", "[self_test]\nfrom = \"020\"\n[http]", 6, "self_test.from", "must begin with"),
    ("[http]", "[self_test]\nto = \"carrier\"\n[http]", 6, "self_test.to", "not HOST:PORT"),
    (
        "[[sink]]",
        "[[provider]]\nname = \"stock\"\nurl = \"http://a.example\"\nsecret = \"x\"\n[[sink]]",
        30,
        "provider[0]",
        "is taken",
    ),
];

#[test]
fn each_mistake_has_its_place() {
    read(GOOD).expect("good before it is spoiled");
    for (from, to, line, key, words) in SPOILED {
        assert!(GOOD.contains(from), "{from}");
        let problems = match read(&GOOD.replacen(from, to, 1)) {
            Ok(_) => panic!("`{to}` was accepted"),
            Err(problems) => problems.problems,
        };
        assert_eq!(problems.len(), 1, "{to}: {problems:?}");
        let problem = &problems[0];
        assert_eq!((problem.line, problem.key.as_str()), (*line, *key), "{to}: {problem}");
        assert!(problem.message.contains(words), "{to}: {problem}");
    }
}

/// D09: what is dialled at a trunk is one canonical number, or a mistake at load.
#[test]
fn numbers_of_destinations_are_canonical() {
    let at = |number: &str| {
        let trunk = "match = [\"192.0.2.0/24\"]\naddress = \"sip:192.0.2.9;transport=tcp\"";
        let entry = format!("[{{ trunk = \"carrier\", number = \"{number}\" }}]");
        let text = GOOD.replacen("match = [\"127.0.0.0/8\"]", trunk, 1);
        read(&text.replacen("[\"sip:+442079460999@127.0.0.1:5080\"]", &entry, 1))
            .map(|config| config.companies[0].forward_to[0].uri.clone())
    };
    for text in ["+442079460999", "+44 20 7946-0999", "+44 (20) 7946.0999"] {
        assert_eq!(at(text).expect("a number"), "sip:+442079460999@192.0.2.9;transport=tcp", "{text}");
    }
    assert_eq!(at("{number}").expect("as dialled"), "sip:{number}@192.0.2.9;transport=tcp");
    let long = "9".repeat(200);
    for text in [
        "+４４２０７９４６０９９９",
        "%2B442079460999",
        "00442079460999",
        "+44207946,,999",
        "+442079460999;postd=1",
        &long,
    ] {
        assert!(at(text).is_err(), "{text}");
    }
    // A number of ours would come back.
    assert!(at("+442079460500").expect_err("a loop").to_string().contains("acme-billboard"));
}

/// The trunk that a destination goes out through: named, by the host of its `address`, by its addresses.
#[test]
fn destinations_find_their_trunk() {
    let text = r#"
[[trunk]]
name = "wide"
match = ["192.0.2.0/24"]
[[trunk]]
name = "narrow"
match = ["192.0.2.8/29"]
[[trunk]]
name = "carrier"
match = ["198.51.100.1"]
address = "sip:sbc.carrier.example;transport=tcp"
[[company]]
name = "acme"
forward_to = ["sip:1@192.0.2.1", "sip:1@192.0.2.9", "sip:1@SBC.carrier.example", "sip:1@203.0.113.77",
  { uri = "sip:1@192.0.2.9", trunk = "carrier" }]
"#;
    let config = read(text).unwrap_or_else(|problems| panic!("{problems}"));
    let found = config.companies[0].forward_to.iter().map(|d| (d.trunk.as_ref().map(|t| t.name.as_str()), d.proxy()));
    let proxy = Some("sip:sbc.carrier.example;transport=tcp");
    let expected =
        [(Some("wide"), None), (Some("narrow"), None), (Some("carrier"), None), (None, None), (Some("carrier"), proxy)];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let again = read(&config.effective_toml()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(again.effective_toml(), config.effective_toml());
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let mut text = GOOD.to_owned();
    for (from, to) in [
        ("id = \"edge-1\"", "idd = \"edge-1\""),
        ("udp://127.0.0.1:5060", "udp://localhost:5060"),
        ("match = [\"127.0.0.0/8\"]", "match = [\"0.0.0.0/0\"]"),
        ("hold = \"30m\"", "hold = \"1m\""),
        ("[\"+442079460500\"]", "[\"+442079460050\"]"),
        ("origins = [\"http://127.0.0.1:8080\"]", "origins = []"),
    ] {
        text = text.replacen(from, to, 1);
    }
    let problems = read(&text).expect_err("six mistakes");
    let lines: Vec<usize> = problems.problems.iter().map(|p| p.line).collect();
    assert_eq!(lines, [2, 4, 9, 13, 23, 28], "{problems}");
    let shown = problems.to_string();
    assert_eq!(shown.lines().count(), 6);
    assert!(shown.starts_with("leaseline.toml:2: node.idd: unknown key; did you mean `id`?"), "{shown}");
}

#[test]
fn errors_of_syntax_have_a_place() {
    let problems = read(&GOOD.replacen("id = \"edge-1\"", "id = \"edge-1", 1)).expect_err("a quote is missing");
    assert_eq!(problems.problems[0].line, 2, "{problems}");
    assert!(problems.problems[0].message.starts_with("not TOML: "), "{problems}");
}

#[test]
fn a_file_that_is_not_there_is_a_problem_too() {
    let problems = Config::load(Some(Path::new("no/such/leaseline.toml"))).expect_err("no file");
    let shown = problems.to_string();
    assert!(shown.starts_with("no/such/leaseline.toml: cannot open the configuration"), "{shown}");
}

#[test]
fn secrets_come_from_files_and_paths_start_at_the_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("hook"), "s3cret of the hook\n").expect("written");
    let file = folder.path().join("leaseline.toml");
    let sink = "[[sink]]\nkind = \"webhook\"\nurl = \"https://crm.example\"\nsecret_file = \"hook\"\n";
    let text = format!("[node]\ndata_dir = \"data\"\n{sink}");
    std::fs::write(&file, &text).expect("written");
    let config = Config::load(Some(&file)).expect("good");
    assert_eq!(config.node.data_dir, folder.path().join("data"));
    let Sink::Webhook { secret, allow_private, .. } = &config.sinks[0] else { panic!("a webhook") };
    assert_eq!(&*secret.0, "s3cret of the hook");
    assert!(!allow_private);

    std::fs::write(&file, format!("{text}secret = \"both\"\n")).expect("written");
    let problems = Config::load(Some(&file)).expect_err("both are given");
    assert!(problems.to_string().contains("are both given"), "{problems}");
}

proptest::proptest! {
    /// Whatever is written, the answer is a configuration or problems with a place; never a panic.
    #[test]
    fn no_text_panics(cut in 0..GOOD.len(), drop in 0..20_usize, insert in "[ -~\n]{0,12}") {
        let end = (cut + drop).min(GOOD.len());
        let text = format!("{}{insert}{}", &GOOD[..cut], &GOOD[end..]);
        if let Err(problems) = read(&text) {
            proptest::prop_assert!(!problems.problems.is_empty());
            let lines = text.lines().count() + 1;
            proptest::prop_assert!(problems.problems.iter().all(|p| (1..=lines).contains(&p.line) && p.column > 0));
        }
    }
}

#[test]
fn logins_are_checked_across_trunks() {
    let text = |rest: &str| {
        format!(
            "[[trunk]]\nname = \"a\"\n[trunk.login]\nusers = [{{ user = \"x\", password = \"one\" }}]\n\
             [[trunk]]\nname = \"b\"\n[trunk.login]\n{rest}\n"
        )
    };
    let good = read(&text("users = [{ user = \"y\", password = \"two\" }]")).expect("good");
    assert!(good.effective_toml().contains("users = [{ user = \"y\", password = \"…\" }]"));
    assert!(good.trunks.iter().all(|trunk| trunk.sources.is_empty()));
    for (rest, problem) in [
        ("users = [{ user = \"x\", password = \"two\" }]", "user `x` logs in to trunk `a` already"),
        ("users = [{ user = \"y\", password = \"two\" }]\nrealm = \"other\"", "must be those of trunk `a`"),
        ("users = [{ user = \"y\", password = \"two\" }]\nalgorithms = [\"MD5\"]", "must be those of trunk `a`"),
        ("users = [{ user = \"y\", password = \"two\" }]\nalgorithms = [\"MD5-sess\"]", "is not an algorithm"),
        ("users = [{ user = \"y\", password = \"two\" }]\nalgorithms = [\"MD5\", \"md5\"]", "each once"),
        ("users = []", "`users` has 0 users"),
        ("users = [\"y\"]", "must be a table"),
        ("users = [{ user = \"y\" }]", "trunk[1].login.users[0].password"),
        ("realm = \"leaseline\"", "trunk[1].login.users"),
    ] {
        let problems = read(&text(rest)).expect_err(rest).to_string();
        assert!(problems.contains(problem), "{rest}\n{problems}");
    }
}

#[test]
fn what_a_trunk_may_use_is_checked() {
    let trunk = |keys: &str| format!("[[trunk]]\nname = \"carrier\"\nmatch = [\"192.0.2.1\"]\n{keys}\n");
    for (keys, wrong) in [
        ("codecs = [\"PCMA\", \"pcmu\"]", ""),
        ("codecs = [\"telephone-event\"]", "is no codec"),
        ("codecs = [\"P C\"]", "is not a codec"),
        ("codecs = [\"G729\"]", "none of these is relayed"),
        ("transports = [\"udp\", \"tls\"]", ""),
        ("transports = []", "is empty"),
        ("transports = [\"sctp\"]", "is not one of"),
        ("transports = [\"tcp\"]\naddress = \"sip:192.0.2.1\"", "`address` leads over udp"),
        ("transports = [\"udp\"]\naddress = \"sip:sbc.example;transport=tcp\"", "`address` leads over tcp"),
        ("transports = [\"tcp\"]\naddress = \"sip:sbc.example\"", ""),
        (
            "transports = [\"tls\"]\n[trunk.register]\nregistrar = \"sip:192.0.2.1\"\nuser = \"a\"",
            "`register.registrar` leads over udp",
        ),
        ("[trunk.stir]\nfetch_hosts = [\"cr.example\", \"192.0.2.7:8443\"]", ""),
        ("[trunk.stir]\nfetch_hosts = [\"https://cr.example/\"]", "fetch_hosts[0]"),
        ("[trunk.stir]\nfetch_timeout = \"20s\"", "must be from"),
    ] {
        let said = read(&trunk(keys)).err().map(|problems| problems.to_string()).unwrap_or_default();
        assert_eq!(said.is_empty(), wrong.is_empty(), "{keys}: {said}");
        assert!(said.contains(wrong), "{keys}: {said}");
    }
    let relayed = format!("[media]\ncodecs = \"any\"\n{}", trunk("codecs = [\"G729\"]"));
    let config = read(&relayed).expect("any codec is relayed");
    assert_eq!(config.trunks[0].codecs.iter().map(|name| &**name).collect::<Vec<_>>(), ["G729"]);
}

/// What becomes of recordings: each mistake with its line and key.
#[test]
fn mistakes_in_what_becomes_of_recordings() {
    for (text, line, key, words) in [
        ("[recording]\nformat = \"mp3\"\n", 2, "recording.format", "is not one of \"pcm\", \"g711\""),
        ("[recording]\narchive_as = \"mp3\"\n", 2, "recording.archive_as", "is not one of \"flac\", \"opus\""),
        ("[recording]\ndisk_free_erase = \"lots\"\n", 2, "recording.disk_free_erase", "is not a size"),
        ("[recording]\ntimestamp_url = \"ftp://x\"\n", 2, "recording.timestamp_url", "http"),
        (
            "[recording]\ntimestamp_url = \"http://192.0.2.1/\"\ntimestamp_roots = \"none.pem\"\n",
            3,
            "recording.timestamp_roots",
            "none.pem",
        ),
        (
            "[[retention]]\nname = \"x\"\ndays = 1\npriority = \"high\"\n",
            4,
            "retention[0].priority",
            "is not one of \"normal\", \"low\"",
        ),
    ] {
        let problems = read(text).map(drop).expect_err(text).problems;
        let [problem] = problems.as_slice() else { panic!("{text}: {problems:?}") };
        assert_eq!((problem.line, problem.key.as_str()), (line, key), "{problem}");
        assert!(problem.message.contains(words), "{problem}");
    }
}

#[test]
fn files_of_regions_are_read_or_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("good.csv", "АВС/ DEF;От;До;Емкость;Оператор;Регион\n495;1;2;2;ПАО;г. Москва\n495;3;x;2;ПАО;г. Москва\n");
    write("bad.csv", "name;price\nshoe;5\n");
    let read = |text: &str| Config::parse(text, "test.toml", folder.path());
    let good = read("[regions]\nrussia = [\"good.csv\"]\n").unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(good.regions.numbers.of("+74950000001").as_deref(), Some("RU-MOW"));
    let warning = good.regions.warning().expect("a line is wrong");
    assert!(warning.contains("1 lines") && warning.contains("good.csv:3"), "{warning}");
    assert!(good.effective_toml().contains("good.csv"));
    for (text, line, key, message) in [
        ("[regions]\nrussia = [\"good.csv\", \"bad.csv\"]\n", 2, "regions.russia[1]", "has no range of numbers"),
        ("[regions]\n\nrussia = [\"none.csv\"]\n", 3, "regions.russia[0]", "cannot open"),
        ("[regions]\ndatabase = \"good.csv\"\n", 2, "regions.database", "MaxMind"),
        ("[regions]\ndatabase = \"none.mmdb\"\n", 2, "regions.database", "cannot open"),
        ("[regions]\ndatabase = \"\"\n", 2, "regions.database", "is not a path"),
    ] {
        let problems = read(text).expect_err(text).problems;
        let problem = &problems[0];
        assert_eq!((problem.line, problem.key.as_str()), (line, key), "{problem}");
        assert!(problem.message.contains(message), "{problem}");
    }
}
