//! Where a caller's number is from tells two visitors apart who share a number.

use std::sync::Arc;
use std::time::Duration;

use leaseline::config::Config;
use leaseline::core::b2bua::{B2bua, Settings};
use leaseline::core::event::{Attribution, Body, Session};
use leaseline::core::lease::{Change, Class, Device, Lease, LeaseTable, Page};
use leaseline::ids::{E164, LeaseId};

use crate::world::phone::{Answering, Calling, Phone};
use crate::world::{CARRIER, CONFIG, SHOP, World};

const FILE: &str = "АВС/ DEF;От;До;Емкость;Оператор;Регион\n495;0;9999999;10000000;ПАО;г. Москва\n\
                    812;0;9999999;10000000;ПАО;г. Санкт-Петербург\n";
const POOL: &str = r#"
[regions]
russia = ["ABC.csv"]
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
"#;

/// What a call from this number is taken for, while a visitor in Moscow and one in Saint Petersburg see the number.
fn called_from(number: &str) -> Attribution {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ABC.csv"), FILE).unwrap();
    let config = Config::parse(&format!("{CONFIG}{POOL}"), "test.toml", folder.path()).unwrap();
    let listeners = config.sip.listen.clone();
    let settings = Arc::new(Settings::new(Arc::new(config), listeners));
    let mut world = World::with_settings(7, Arc::clone(&settings));
    let table = Arc::new(LeaseTable::new());
    for (at, region) in [(1, "RU-MOW"), (2, "RU-SPE")] {
        let lease = Lease {
            lease_id: LeaseId(u128::from(at)),
            pool: "web".into(),
            company: "acme".into(),
            site: "shop".into(),
            number: E164::parse("+442079460000").unwrap(),
            visitor_id: format!("in {region}"),
            session: Arc::new(Session::default()),
            granted_at: world.now.wall,
            seen_at: world.now.wall,
            expires_at: world.now.wall + Duration::from_secs(90),
            released_at: None,
            hold_until: world.now.wall + Duration::from_secs(1_800),
            shared: true,
            class: Class::Free,
            page: Page { device: Device::Mobile, region: Some(region.into()), ..Page::default() },
        };
        table.apply(&Change::Active(Arc::new(lease)), at);
    }
    world.us = B2bua::new(settings, table, [7; 32]);
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(Answering::default()));
    world.dial(Calling {
        request_uri: "sip:+442079460000@203.0.113.1".into(),
        from: Some(format!("<sip:{number}@192.0.2.10>")),
        ..Calling::default()
    });
    world.pass(Duration::from_secs(30));
    let ended = world.events.iter().find_map(|event| match &event.body {
        Body::CallEnded(data) => Some(data.attribution.clone()),
        _ => None,
    });
    ended.unwrap()
}

#[test]
fn p04_caller_region_tells_visitors_apart_who_share_a_number() {
    for (number, visitor, other) in
        [("+74951234567", "in RU-MOW", "in RU-SPE"), ("+78121234567", "in RU-SPE", "in RU-MOW")]
    {
        let attribution = called_from(number);
        let share = |id: &str| {
            let of = attribution.candidates.iter().find(|one| one.visitor_id == id);
            of.map_or(0.0, |one| one.probability)
        };
        assert!(share(visitor) > 0.8 && share(visitor) > 5.0 * share(other), "{number}: {attribution:?}");
        let evidence = &attribution.candidates[0].evidence;
        assert!(evidence.iter().any(|one| one == "the caller's number is of the visitor's region"), "{evidence:?}");
    }
    // A country says nothing about two of the same.
    let attribution = called_from("+79161234567");
    let shares: Vec<f64> = attribution.candidates.iter().map(|one| one.probability).collect();
    assert!((shares[0] - shares[1]).abs() < 0.01, "{attribution:?}");
}
