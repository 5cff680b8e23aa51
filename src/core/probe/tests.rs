//! The rule as a table, and when rounds come. The ladders stand with the flows.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::config::Config;
use crate::core::b2bua::{B2bua, Input};
use crate::core::lease::LeaseTable;

#[test]
fn what_each_answer_means() {
    let mut table = String::new();
    let mut last = String::new();
    for (heard, status) in (200..700).map(|status| (true, status)).chain([(false, 408), (false, 503)]) {
        let (verdict, advice) = judge(status, heard, None);
        let line = format!("{:?} {} {advice:?}", verdict.standing, verdict.reason.unwrap_or("-"));
        if line != last || !heard {
            let _ = writeln!(table, "{} {status}…  {line}", if heard { "heard" } else { "ours " });
            last = line;
        }
    }
    let (_, advice) = judge(503, true, Some(Duration::from_secs(90)));
    let _ = writeln!(table, "heard 503, Retry-After: 90  {advice:?}");
    insta::assert_snapshot!(table);
}

fn settings(trunks: &[(&str, &str)]) -> Arc<Settings> {
    let mut text = "[sip]\nlisten = [\"udp://127.0.0.1:5060\"]\n".to_owned();
    for (i, (name, more)) in trunks.iter().enumerate() {
        let at = format!("127.0.{}.{}", 1 + i / 200, 1 + i % 200);
        let _ = writeln!(text, "[[trunk]]\nname = \"{name}\"\nmatch = [\"{at}\"]\naddress = \"sip:{at}\"\n{more}");
    }
    let config = Config::parse(&text, "test.toml", Path::new("")).unwrap_or_else(|problems| panic!("{problems}"));
    let listeners = config.sip.listen.clone();
    Arc::new(Settings::new(Arc::new(config), listeners))
}

const EVERY_MINUTE: &str = "[trunk.probe]\nevery = \"60s\"\n";

struct Clock {
    now: Now,
    us: B2bua,
    /// Seconds since the start of every OPTIONS that is no repetition, and to whom.
    asked: Vec<(f64, std::net::SocketAddr)>,
    states: Vec<ProbeState>,
    branches: HashSet<String>,
}

impl Clock {
    fn new(settings: Arc<Settings>) -> Clock {
        let now = Now { mono: Mono(0), wall: Wall(1_795_000_000_000_000) };
        let us = B2bua::new(settings, Arc::new(LeaseTable::new()), [7; 32]);
        Clock { now, us, asked: Vec::new(), states: Vec::new(), branches: HashSet::new() }
    }

    fn input(&mut self, input: Input) {
        self.us.handle(self.now, input);
        while let Some(output) = self.us.poll_output() {
            match output {
                Output::Send(transmit) => {
                    let message = Message::parse(transmit.bytes).expect("ours");
                    let branch = message.top_via().expect("a Via").branch().expect("a branch").to_owned();
                    if self.branches.insert(branch) {
                        let at = self.now.mono.since(Mono(0)).as_secs_f64();
                        self.asked.push((at, transmit.flow.remote));
                    }
                }
                Output::Probe(state) => self.states.push(state),
                _ => {}
            }
        }
    }

    fn run(&mut self, seconds: u64) {
        let until = self.now.mono + Duration::from_secs(seconds);
        while let Some((at, _)) = self.us.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.after(at.since(self.now.mono));
            self.input(Input::Timeout);
        }
        self.now = self.now.after(until.since(self.now.mono));
    }
}

#[test]
fn many_trunks_are_not_asked_together() {
    let names: Vec<String> = (0..300).map(|i| format!("t{i}")).collect();
    let trunks: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), EVERY_MINUTE)).collect();
    let mut clock = Clock::new(settings(&trunks));
    clock.run(60);
    assert_eq!(clock.asked.len(), 300, "each once");
    let mut by_second = [0; 61];
    for (at, _) in &clock.asked {
        by_second[*at as usize] += 1;
    }
    assert!(by_second.iter().all(|count| *count <= 20), "{by_second:?}");
    clock.run(3_600);
    let of_one: Vec<f64> =
        clock.asked.iter().filter(|(_, to)| to.ip().to_string() == "127.0.1.1").map(|(at, _)| *at).collect();
    let gaps: Vec<f64> = of_one.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (60.0..66.001).contains(gap)), "{gaps:?}");
}

#[test]
fn a_reload_changes_who_is_asked_and_a_drain_ends_it() {
    let mut clock = Clock::new(settings(&[("a", EVERY_MINUTE), ("b", EVERY_MINUTE), ("c", "")]));
    clock.run(70);
    assert_eq!(clock.us.counts().probes, 2);
    let since = clock.us.poll_timeout();
    clock.input(Input::Reload(settings(&[("a", EVERY_MINUTE), ("b", EVERY_MINUTE), ("c", "")])));
    assert_eq!(clock.us.poll_timeout(), since, "nothing has changed");
    clock.input(Input::Reload(settings(&[("a", "[trunk.probe]\nevery = \"10s\"\n"), ("b", ""), ("c", EVERY_MINUTE)])));
    let gone: Vec<&str> =
        clock.states.iter().filter(|state| state.state == "gone").map(|state| state.trunk.as_str()).collect();
    assert_eq!(gone, ["a", "b"], "a begins anew");
    assert_eq!(clock.us.counts().probes, 2);
    clock.input(Input::Drain);
    clock.asked.clear();
    clock.input(Input::Reload(settings(&[("a", EVERY_MINUTE)])));
    clock.run(600);
    assert_eq!((clock.us.counts().probes, clock.asked.len()), (0, 0));
    assert_eq!(clock.us.counts().agent, Default::default());
    assert_eq!(clock.us.poll_timeout(), None);
}

#[test]
fn who_leads_to_ourselves_is_not_asked() {
    let ours = "[sip]\nlisten = [\"udp://127.0.0.1:5060\"]\n[[trunk]]\nname = \"a\"\nmatch = [\"127.0.0.9\"]\n\
                address = \"sip:127.0.0.1\"\n[trunk.probe]\n";
    let config = Config::parse(ours, "test.toml", Path::new("")).unwrap_or_else(|problems| panic!("{problems}"));
    let listeners = config.sip.listen.clone();
    let mut clock = Clock::new(Arc::new(Settings::new(Arc::new(config), listeners)));
    clock.run(40);
    assert!(clock.asked.is_empty());
    assert_eq!(clock.states.last().and_then(|state| state.last_error), Some("unusable"));
}
