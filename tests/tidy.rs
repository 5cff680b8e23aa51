//! The rules of this repository that no compiler checks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below a folder, as (path from the root, text). Files that are not UTF-8 are left out.
fn files(folder: &str, wanted: impl Fn(&Path) -> bool) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() {
                if !matches!(name.as_str(), "target" | ".git" | "leaseline-data") {
                    folders.push(path);
                }
            } else if wanted(&path)
                && let Ok(text) = fs::read_to_string(&path)
            {
                let shown = path.strip_prefix(root()).expect("below the root").display().to_string();
                found.push((shown, text));
            }
        }
    }
    found.sort();
    found
}

fn rust(folder: &str) -> Vec<(String, String)> {
    let sources = files(folder, |path| path.extension().is_some_and(|e| e == "rs"));
    assert!(!sources.is_empty(), "no sources in {folder}");
    sources
}

/// The lines of a ring (its folder and the file that names its modules) before its tests: number, text without comment.
fn ring(name: &str) -> Vec<(String, usize, String)> {
    let mut lines = Vec::new();
    for (file, text) in rust("src") {
        let inside = file == format!("src/{name}.rs") || file.starts_with(&format!("src/{name}/"));
        // Files of tests may use more: they stand beside the ring, not in it.
        let tests = file.contains("/tests/") || file.ends_with("/tests.rs");
        if !inside || tests {
            continue;
        }
        for (i, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("#[cfg(test)]") {
                break;
            }
            let code = line.split("//").next().unwrap_or_default();
            lines.push((file.clone(), i + 1, code.to_owned()));
        }
    }
    lines
}

/// Lines of a ring that hold one of the words.
fn breaches(name: &str, words: &[&str]) -> Vec<String> {
    let holds = |code: &str| words.iter().any(|word| code.contains(word));
    let lines = ring(name).into_iter().filter(|(_, _, code)| holds(code));
    lines.map(|(file, line, code)| format!("{file}:{line}: {}", code.trim())).collect()
}

const NOTHING: &[String] = &[];

#[test]
fn imports_point_inwards() {
    let of_ours = ["config", "core", "daemon", "ids", "io", "time", "cli", "phone"].map(|m| format!("crate::{m}"));
    let words: Vec<&str> = of_ours.iter().map(String::as_str).collect();
    assert_eq!(breaches("wire", &words), NOTHING, "`wire` imports nothing of ours but `limits`");
    let outer = ["crate::io", "crate::daemon", "crate::cli", "crate::phone"];
    assert_eq!(breaches("core", &outer), NOTHING, "`core` imports `wire`, never `io`");
}

#[test]
fn inner_rings_own_no_effects() {
    let words = [
        "Instant::now",
        "SystemTime",
        "thread::spawn",
        "thread::sleep",
        "tokio::",
        "std::net::UdpSocket",
        "UdpSocket::",
        "TcpStream",
        "TcpListener",
        "Mutex<",
        "RwLock<",
        "std::fs",
        "std::process",
        "getrandom",
        "rand::rng(",
        "println!",
    ];
    for name in ["wire", "core"] {
        assert_eq!(breaches(name, &words), NOTHING, "`{name}` owns no clock, socket, thread, lock or file");
    }
}

/// The one file that speaks to the kernel without a wrapper.
const UNSAFE_FILE: &str = "src/io/media/driver/uring.rs";

#[test]
fn unsafe_is_in_one_file_with_a_reason_at_each_block() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    assert!(manifest.contains("unsafe_code = \"deny\""));
    let word = ["un", "safe "].concat();
    let permission = ["allow(un", "safe_code)"].concat();
    for (file, text) in rust("src") {
        let lines: Vec<&str> = text.lines().collect();
        if file != UNSAFE_FILE {
            let code = lines.iter().filter(|line| !line.trim_start().starts_with("//"));
            assert!(code.into_iter().all(|line| !line.contains(&word) && !line.contains(&permission)), "{file}");
            continue;
        }
        for (i, _) in lines.iter().enumerate().filter(|(_, l)| l.contains(&word) && !l.trim_start().starts_with("//")) {
            // The comment may have a few lines.
            let reason = lines[i.saturating_sub(5)..i].iter().any(|line| line.contains("// SAFETY: "));
            assert!(reason, "{file}:{}: no reason", i + 1);
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    // Written apart, so that this file does not find itself.
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["HA", "CK"], ["unimple", "mented!"], ["to", "do!("], ["db", "g!("]]
            .map(|parts| parts.concat());
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "config", "systemd"] {
        for (file, text) in files(folder, |path| !path.extension().is_some_and(|e| e == "pcap" || e == "snap")) {
            for (i, line) in text.lines().enumerate() {
                // As whole words: the letters inside an identifier or a template of `mktemp` are none.
                let mut words = line.split(|c: char| !(c.is_alphanumeric() || "!(_".contains(c)));
                let is_mark = |word: &str| marks.iter().any(|m| word == m || m.contains('!') && word.starts_with(m));
                if words.any(is_mark) {
                    found.push(format!("{file}:{}: {}", i + 1, line.trim()));
                }
            }
        }
    }
    assert_eq!(found, NOTHING);
}

#[test]
fn no_path_of_one_machine() {
    let homes = [["/ho", "me/"], ["/ro", "ot/"], ["/wo", "rk/"], ["/Us", "ers/"]].map(|parts| parts.concat());
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "config", "systemd", "pcap-fixtures", ".ci"] {
        for (file, text) in files(folder, |_| true) {
            for (i, line) in text.lines().enumerate() {
                let hit = |home: &String| {
                    line.match_indices(home.as_str()).any(|(at, _)| {
                        // The path's start, not the middle of a URL or of another path.
                        line[..at].chars().next_back().is_none_or(|c| !(c.is_alphanumeric() || "./-_".contains(c)))
                    })
                };
                if homes.iter().any(hit) {
                    found.push(format!("{file}:{}: {}", i + 1, line.trim()));
                }
            }
        }
    }
    assert_eq!(found, NOTHING);
}

/// The file in the middle is the one that rots.
#[test]
fn files_stay_small() {
    const LINES: usize = 900;
    // `cargo fmt` holds code to 120; a comment may be a word longer.
    const WIDTH: usize = 140;
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for (file, text) in files(folder, |path| path.extension().is_some_and(|e| e == "rs")) {
            let lines = text.lines().count();
            if lines > LINES {
                found.push(format!("{file} has {lines} lines; split it"));
            }
            // Messages of other protocols keep their own lines.
            let long = |line: &str| line.chars().count() > WIDTH && !line.contains("\\r\\n");
            let long = text.lines().enumerate().filter(|(_, line)| long(line));
            found.extend(long.map(|(i, _)| format!("{file}:{} is longer than {WIDTH}", i + 1)));
        }
    }
    assert_eq!(found, NOTHING);
}

#[test]
fn modules_say_what_they_are_for() {
    let silent = rust("src").into_iter().filter(|(file, text)| !file.contains("/tests") && !text.starts_with("//!"));
    assert_eq!(silent.map(|(file, _)| file).collect::<Vec<_>>(), NOTHING);
}

/// Whoever refuses a call at the door names a code of the one table, with its status.
#[test]
fn refusals_are_in_the_table() {
    let table = fs::read_to_string(root().join("src/core/admission/codes.rs")).expect("the table");
    // However its lines are broken.
    let table = table.split_whitespace().collect::<String>();
    let mut found = Vec::new();
    for (file, line, code) in ring("core") {
        for (at, call) in
            ["Reject::new(", "Reject::later(", "Reject::listed("].iter().flat_map(|c| code.match_indices(c))
        {
            let arguments = &code[at + call.len()..];
            // A code that is passed on has no quotes here.
            let Some(name) = arguments.split(')').next().and_then(|inside| inside.split('"').nth(1)) else { continue };
            let status: String = arguments.chars().take_while(char::is_ascii_digit).collect();
            if !table.contains(&format!("code(\"{name}\",{status}")) {
                found.push(format!("{file}:{line}: {status} {name}"));
            }
        }
    }
    assert_eq!(found, NOTHING, "not in src/core/admission/codes.rs");
}

#[test]
fn dependencies_have_a_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let section =
        manifest.split("\n[dependencies]\n").nth(1).and_then(|rest| rest.split("\n[").next()).expect("a section");
    let mut reason = false;
    for line in section.lines() {
        // One reason may stand above a group of lines that belong together.
        match line.trim() {
            "" => reason = false,
            comment if comment.starts_with('#') => reason = true,
            dependency => assert!(reason, "no reason above `{dependency}`"),
        }
    }
}

#[test]
fn every_fixture_is_in_the_manifest() {
    let folder = root().join("pcap-fixtures");
    let Ok(text) = fs::read_to_string(folder.join("manifest.toml")) else {
        let captures = files("pcap-fixtures", |_| true);
        assert!(captures.is_empty(), "captures without a manifest: {captures:?}");
        return;
    };
    let manifest: toml::Table = text.parse().expect("the manifest is TOML");
    let mut named = BTreeSet::new();
    collect_captures(&toml::Value::Table(manifest), &mut named);
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(&folder).expect("the folder") {
        let path: PathBuf = entry.expect("an entry").path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with(".pcap") || name.ends_with(".pcapng") {
            there.insert(name);
        }
    }
    assert_eq!(there, named, "captures in the folder, and captures in the manifest");
}

/// Every text and key of the manifest that names a capture.
fn collect_captures(value: &toml::Value, found: &mut BTreeSet<String>) {
    let is_capture = |text: &str| text.ends_with(".pcap") || text.ends_with(".pcapng");
    match value {
        toml::Value::String(text) if is_capture(text) => drop(found.insert(text.clone())),
        toml::Value::Array(items) => items.iter().for_each(|item| collect_captures(item, found)),
        toml::Value::Table(table) => {
            found.extend(table.keys().filter(|key| is_capture(key)).cloned());
            table.values().for_each(|value| collect_captures(value, found));
        }
        _ => {}
    }
}
