//! A number of a shared stock, when it has gone from one company to another.

use std::sync::Arc;
use std::time::Duration;

use leaseline::config::Config;
use leaseline::core::b2bua::{Input, Settings};
use leaseline::ids::E164;

use crate::heard;
use crate::world::phone::{Answering, Calling, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};

const POOLS: &str = r#"
[[site]]
name = "shop"
company = "acme"
origins = ["https://acme.example"]
[[pool]]
name = "web"
company = "acme"
site = "shop"
kind = "dynamic"
numbers = ["+442079460000"]
[pool.grow]
enabled = true
shared_stock = "city"
[[company]]
name = "other"
forward_to = ["sip:other@198.51.100.2:5060"]
[[site]]
name = "second"
company = "other"
origins = ["https://other.example"]
[[pool]]
name = "second"
company = "other"
site = "second"
kind = "dynamic"
numbers = ["+442079460001"]
[pool.grow]
enabled = true
shared_stock = "city"
[[stock]]
name = "city"
numbers = ["+442079460600"]
"#;

/// The settings when the keeper has put the number of the stock into this pool, or into none.
fn while_in(pool: Option<&str>) -> Arc<Settings> {
    let mut config = Config::parse(
        &format!("{}{POOLS}", CONFIG.replace("country", "siprec = true\ncountry")),
        "test.toml",
        std::path::Path::new(""),
    )
    .unwrap();
    for one in &mut config.pools {
        if Some(one.name.as_str()) == pool {
            Arc::make_mut(one).numbers.push(E164::parse("+442079460600").unwrap());
        }
    }
    let listeners = config.sip.listen.clone();
    Arc::new(Settings::new(Arc::new(config), listeners))
}

/// The company that a call from this number is for; none: it was refused.
fn called_by(world: &mut World, caller: &str) -> Option<String> {
    let before = world.ended().len();
    world.dial(Calling {
        request_uri: "sip:+442079460600@203.0.113.1".into(),
        from: Some(format!("<sip:{caller}@192.0.2.10>")),
        ..Calling::default()
    });
    world.pass(Duration::from_secs(60));
    let ended = world.ended();
    assert!(ended.len() <= before + 1);
    ended.get(before).map(|call| format!("{} {}", call.company, call.forwarded_to.as_deref().unwrap_or_default()))
}

#[test]
fn p20_nor_does_a_late_call_that_somebody_else_carries() {
    let mut world = World::with_settings(7, while_in(Some("web")));
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(Answering::default()));
    world.add(OFFICE, Phone::new(Answering::default()));
    assert!(called_by(&mut world, "+442079460111").is_some_and(|company| company.starts_with("acme")));
    world.input(Input::Reload(while_in(Some("second"))));
    let mut copied_from = |caller: &str| {
        world.dial(heard::copy_of(&format!("sip:{caller}@sbc.example"), "tel:+442079460600"));
        world.pass(Duration::from_secs(60));
        let ended = world.ended();
        ended.last().map(|call| format!("{} {}", call.company, call.via.as_deref().unwrap_or_default()))
    };
    let by = |company: &str| Some(format!("{company} siprec"));
    assert_eq!(copied_from("+442079460111"), by("acme"), "they called acme by it");
    assert_eq!(copied_from("+442079460112"), by("other"), "somebody new");
}

#[test]
fn p20_a_late_call_never_reaches_a_stranger() {
    let mut world = World::with_settings(7, while_in(Some("web")));
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(Answering::default()));
    world.add(OFFICE, Phone::new(Answering::default()));
    let (acme, other) =
        (Some("acme sip:sales@198.51.100.1:5060".into()), Some("other sip:other@198.51.100.2:5060".into()));
    assert_eq!(called_by(&mut world, "+442079460111"), acme);
    world.input(Input::Reload(while_in(Some("second"))));
    assert_eq!(called_by(&mut world, "+442079460111"), acme, "they called acme by it");
    assert_eq!(called_by(&mut world, "+442079460112"), other, "somebody new");
    world.input(Input::Reload(while_in(Some("web"))));
    assert_eq!(called_by(&mut world, "+442079460112"), other);
    world.input(Input::Reload(while_in(None)));
    assert_eq!(called_by(&mut world, "+442079460112"), other, "between two companies");
    assert_eq!(called_by(&mut world, "+442079460113"), None, "nobody's number yet");
}
