//! A stock that pools of two companies take from.

use super::*;
use crate::core::lease::Lease;

/// Behind the keys of the first pool: the second company with a pool of its own, and the stock.
const CITY: &str = r#"
enabled = true
shared_stock = "city"
shrink_after = "7d"
quiet = "3d"
[[company]]
name = "other"
forward_to = ["sip:desk@127.0.0.1:5081"]
[[site]]
name = "second-site"
company = "other"
origins = ["http://localhost:81"]
[[pool]]
name = "second"
company = "other"
site = "second-site"
kind = "dynamic"
numbers = ["+442079460100..+442079460103"]
[pool.grow]
enabled = true
shared_stock = "city"
per_day_max = 50
[[stock]]
name = "city"
numbers = ["+442079460600..+442079460609"]
quarantine = "10d"
"#;

impl World {
    /// Numbers that each of the pools was given.
    fn given(&self) -> [Vec<String>; 2] {
        let grown = self.told("pool.grown");
        ["web", "second"].map(|pool| {
            let of_pool = grown.iter().filter(|grown| grown["pool"] == pool);
            of_pool
                .flat_map(|grown| grown["numbers"].as_array().cloned().unwrap_or_default())
                .map(|number| number.as_str().unwrap_or_default().to_owned())
                .collect()
        })
    }

    /// Three hours of shortage in the second pool.
    fn short_second(&mut self) {
        for _ in 0..3 {
            for _ in 0..200 {
                self.visits += 1;
                let events = visit(self.visits, "c", self.now, 3 * MINUTE).map(|body| {
                    let second = |lease: Arc<Lease>| Arc::new(Lease { pool: "second".into(), ..(*lease).clone() });
                    let body = match body {
                        Body::LeaseGranted(lease) => Body::LeaseGranted(second(lease)),
                        Body::LeaseReleased(lease) => Body::LeaseReleased(second(lease)),
                        body => body,
                    };
                    Event { time: self.now, subject: String::new(), body }
                });
                self.write(events.into());
            }
            self.keeper.count(self.now, "second", 40, 4);
            self.pass(HOUR);
        }
    }
}

#[test]
fn p20_a_number_goes_to_another_company_only_after_its_quarantine() {
    let mut world = World::new(CITY);
    world.short_morning();
    let [first, second] = world.given();
    assert_eq!((first.len(), second.len()), (10, 0), "all that the stock has");
    world.short_second();
    assert_eq!(world.given()[1], Vec::<String>::new(), "nobody's number is taken away");
    assert_eq!(world.told("pool.growth_refused")[0]["reason"], "no_stock");
    // A quiet week: the first company gives them back, and they are routed to it for ten days without a call.
    for _ in 0..8 * 24 {
        world.hour(4, 0);
    }
    assert_eq!(world.told("number.leaving").len(), 10);
    world.pass(4 * DAY);
    assert_eq!(world.told("number.left").len(), 0, "`quiet` would be over");
    world.call(&first[0], "+442079460111", true);
    world.restart();
    world.pass(7 * DAY);
    assert_eq!(world.told("number.left").len(), 9, "all but the one that was called");
    world.short_second();
    let second = world.given()[1].clone();
    assert!(!second.is_empty() && second.iter().all(|number| first[1..].contains(number)), "{second:?}");
}

#[test]
fn p20_a_stock_is_checked_as_a_whole() {
    let bad = |grow: &str| {
        let text = format!("{}{}", config_text(""), grow);
        Config::parse(&text, "test", Path::new("")).expect_err("bad").to_string()
    };
    let stock = |rest: &str| format!("[[stock]]\nname = \"city\"\n{rest}\n");
    assert!(bad(&stock("numbers = [\"+442079460001\"]")).contains("+442079460001 stands elsewhere, too"));
    assert!(bad(&stock("")).contains("has no numbers"));
    let twice = stock("numbers = [\"+442079460600\"]") + &stock("numbers = [\"+442079460601\"]");
    assert!(bad(&twice).contains("the name `city` is taken"));
    let unknown = Config::parse(&config_text("shared_stock = \"nowhere\""), "test", Path::new(""));
    assert!(unknown.expect_err("bad").to_string().contains("there is no stock `nowhere`"));
    let both = CITY.replace("shrink_after", "stock = [\"+442079460600\"]\nshrink_after");
    let both = Config::parse(&config_text(&both), "test", Path::new(""));
    assert!(both.expect_err("bad").to_string().contains("+442079460600 stands elsewhere, too"));
    let shown = config(CITY).effective_toml();
    assert!(shown.contains("shared_stock = \"city\"") && shown.contains("quarantine = \"10d\""), "{shown}");
}
