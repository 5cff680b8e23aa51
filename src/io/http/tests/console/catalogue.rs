//! The forms of the catalogue: a field for every key, what is wrong beside it, nothing saved before its diff was seen.

use super::*;

/// What a hidden field of the page holds.
fn hidden(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    unescaped(page.split(&start).nth(1).unwrap_or_else(|| panic!("no {name}: {page}")).split('"').next().unwrap())
}

fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// The lines of a diff.
fn lines(page: &str) -> Vec<String> {
    let list = page.split("<ul class=\"diff\">").nth(1).unwrap_or_else(|| panic!("no diff: {page}"));
    let items = list.split("</ul>").next().unwrap().split("<li class=\"mono\">").skip(1);
    items.map(|item| unescaped(item.trim_end_matches("</li>"))).collect()
}

impl World {
    /// Posts an entry's form: status and page.
    async fn edited(&self, part: &str, name: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let page = self.see(&format!("/catalogue/edit?part={part}&name={name}"), &[]).await.1;
        let tag = hidden(&page, "tag");
        let mut all = vec![("part", part), ("name", name), ("tag", tag.as_str())];
        all.extend_from_slice(fields);
        let answer = self.send("/catalogue/diff", &all).await;
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    /// Saves what the page of a diff shows.
    async fn saved(&self, diff: &str) {
        let json = diff.split("name=\"json\"").nth(1).and_then(|rest| rest.split_once('>')).unwrap().1;
        let json = unescaped(json.split("</textarea").next().unwrap());
        let answer = self.send("/catalogue/save", &[("tag", &hidden(diff, "tag")), ("json", &json)]).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/catalogue?saved=1"));
    }
}

#[tokio::test]
async fn an_entry_has_a_labelled_field_for_each_key_and_no_json() {
    let world = world_changing(CONFIG);
    for (lang, label) in [("en", "Hold after the visit"), ("ru", "Удержание после посещения")] {
        let cookie = format!("leaseline_lang={lang}");
        let page = world.see("/catalogue/edit?part=pools&name=acme-web", &[("cookie", &cookie)]).await.1;
        assert!(page.contains(label) && !page.contains("name=\"json\""), "{page}");
        let ids: Vec<&str> = page.split(" for=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(ids.len() > 40, "{ids:?}");
        for id in ids {
            assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
        }
    }
    let text = world.see("/catalogue/edit?part=pools&name=acme-web&as=text", &[]).await.1;
    assert!(text.contains("name=\"json\""));
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_what_was_typed_stays() {
    let world = world_changing(CONFIG);
    let bad = [
        ("e.numbers", "+442079460500\r\n12 bananas"),
        ("e.priority", "<b>high"),
        ("e.conditions[4].hours", "9 to 5"),
        ("e.conditions[4].time_zone", "Europe/London"),
        ("e.grow.window", "soon"),
    ];
    let (status, page) = world.edited("pools", "acme-web", &bad).await;
    assert_eq!(status, 422);
    let after = |id: &str| page.split(&format!(" id=\"{id}\"")).nth(1).unwrap_or_else(|| panic!("no {id}: {page}"));
    let field = |id: &str| after(id).split("<div class=\"field\"").next().unwrap().to_owned();
    for (id, kept) in [
        ("e.numbers", "12 bananas</textarea>"),
        ("e.priority", "value=\"&lt;b&gt;high\""),
        ("e.conditions[0].hours", "9 to 5</textarea>"),
        ("e.grow.window", "value=\"soon\""),
    ] {
        let field = field(id);
        assert!(field.contains(kept) && field.contains("aria-invalid=\"true\""), "{id}: {field}");
        assert!(field.contains("class=\"bad-text\" role=\"alert\""), "{id}: {field}");
    }
    assert!(!page.contains("<b>high"));
    assert!(!field("e.hold").contains("bad-text"));

    // The same by hand is refused too, and the text stays.
    let (status, page) = world.edited("pools", "acme-web", &[("json", r#"{"name":"acme-web","colour":"red"}"#)]).await;
    assert_eq!(status, 422);
    assert!(page.contains("unknown key") && page.contains("colour"), "{page}");
}

#[tokio::test]
async fn a_form_is_saved_after_its_diff_and_only_what_was_changed_changes() {
    let world = world_changing(CONFIG);
    let (status, page) = world.edited("pools", "acme-web", &[]).await;
    assert!(status == 200 && !page.contains("class=\"diff\""), "nothing was changed: {page}");
    let fields = [
        ("e.title", "All <traffic>"),
        ("e.traffic:boxes", "1"),
        ("e.traffic[organic]", "1"),
        ("e.overflow_pool", "acme-billboard"),
        ("e.conditions[0].device:boxes", "1"),
        ("e.conditions[0].device[mobile]", "1"),
    ];
    let (status, page) = world.edited("pools", "acme-web", &fields).await;
    assert_eq!(status, 200, "{page}");
    let wanted = [
        r#"pool acme-web: conditions: none → [{"device":["mobile"]}]"#,
        r#"pool acme-web: overflow_pool: none → "acme-billboard""#,
        r#"pool acme-web: title: none → "All <traffic>""#,
        r#"pool acme-web: traffic: none → ["organic"]"#,
    ];
    assert_eq!(lines(&page), wanted);
    world.saved(&page).await;
    let pool = world.state.config.load().pools.iter().find(|pool| pool.name == "acme-web").cloned().unwrap();
    assert_eq!(pool.rules.title.as_deref(), Some("All <traffic>"));
    assert_eq!((pool.rules.traffic.len(), pool.rules.conditions.len()), (1, 1));

    let (_, page) = world.edited("tracking", "acme", &[("e.number_price", "1.50")]).await;
    assert_eq!(lines(&page), [r#"company acme: number_price: none → "1.50""#]);
    world.saved(&page).await;
    let (_, page) = world.edited("tracking", "acme", &[("e.number_price", "")]).await;
    assert_eq!(lines(&page), [r#"company acme: number_price: "1.50" → none"#]);
}

#[tokio::test]
async fn entries_are_added_and_removed_when_nothing_hangs_on_them() {
    let world = world_changing(CONFIG);
    let site = [("e.name", "shop"), ("e.company", "acme"), ("e.origins", "https://shop.example")];
    let (_, page) = world.edited("sites", "", &[site[0], site[1], site[2], ("e.staff_secret", "a secret text")]).await;
    assert_eq!(lines(&page), ["site shop: added"]);
    world.saved(&page).await;
    let form = world.see("/catalogue/edit?part=sites&name=shop", &[]).await.1;
    assert!(form.contains("value=\"…\"") && !form.contains("a secret text"));
    let (_, page) = world.edited("sites", "shop", &[("e.staff_secret", "…"), ("e.score_min", "50")]).await;
    assert_eq!(lines(&page), ["site shop: score_min: none → 50"]);
    world.saved(&page).await;
    let secret = |world: &World| {
        let config = world.state.config.load();
        let site = config.sites.iter().find(|site| site.name == "shop").unwrap();
        site.visits.staff_secret.clone().unwrap().0
    };
    assert_eq!(&*secret(&world), "a secret text", "the mask came back and the secret stayed");

    let (status, page) = world.edited("sites", "acme-site", &[("remove", "1")]).await;
    assert_eq!(status, 422, "its pool needs it");
    assert!(page.contains("there is no site") || page.contains("acme-site"), "{page}");
    let (_, page) = world.edited("sites", "shop", &[("remove", "1")]).await;
    assert_eq!(lines(&page), ["site shop: removed"]);
}

#[tokio::test]
async fn rows_are_added_and_moved_before_anything_is_saved() {
    let world = world_changing(CONFIG);
    let rows = [("e.conditions[0].medium", "cpc"), ("e.conditions[1].medium", "organic")];
    let (status, page) = world.edited("pools", "acme-web", &[rows[0], rows[1], ("more", "1")]).await;
    assert_eq!(status, 200);
    assert!(page.contains("id=\"e.conditions[2].medium\"") && page.contains(">organic</textarea>"), "{page}");
    let (_, page) = world.edited("pools", "acme-web", &[rows[0], rows[1], ("up", "conditions[1]")]).await;
    let first = page.split(" id=\"e.conditions[0].medium\"").nth(1).unwrap().split("</textarea>").next().unwrap();
    assert!(first.ends_with(">organic"), "{first}");
    let (_, page) = world.edited("pools", "acme-web", &[rows[0], rows[1], ("drop", "conditions[0]")]).await;
    assert!(page.contains(">organic</textarea>") && !page.contains(">cpc</textarea>"), "{page}");
    assert_eq!(world.state.config.load().pools[0].rules.conditions.len(), 0);
}

#[tokio::test]
async fn a_companys_calls_are_routed_by_a_form_and_come_back() {
    let world = world_changing(CONFIG);
    let uri = |world: &World, name: &str| {
        let config = world.state.config.load();
        let company = config.companies.iter().find(|company| company.name == name).cloned();
        company.map(|company| company.forward_to.iter().map(|to| to.uri.clone()).collect::<Vec<_>>())
    };
    let page = world.see("/catalogue/edit?part=companies&name=acme", &[]).await.1;
    assert!(page.contains("value=\"sip:+442079460999@127.0.0.1:5080\"") && !page.contains("name=\"json\""), "{page}");
    let bad = [("e.forward_to[0].uri", "mailto:a"), ("e.rule[0].name", "late"), ("e.schedule.monday", "9 to 5")];
    let (status, page) = world.edited("companies", "acme", &bad).await;
    assert_eq!(status, 422);
    for id in ["e.forward_to[0].uri", "e.schedule.monday"] {
        let field = page.split(&format!(" id=\"{id}\"")).nth(1).unwrap_or_else(|| panic!("no {id}: {page}"));
        let field = field.split("<details").next().unwrap().split("<div class=\"field\"").next().unwrap();
        assert!(field.contains("bad-text") || page.contains("role=\"alert\""), "{id}: {field}");
    }
    assert!(page.contains("mailto:a") && page.contains("9 to 5") && page.contains("needs `forward_to`"), "{page}");

    let good = [
        ("e.forward_to[0].uri", "sip:a@192.0.2.1"),
        ("e.forward_to[1].trunk", "carrier"),
        ("e.forward_to[1].uri", "sip:b@192.0.2.2"),
        ("e.strategy", "parallel"),
        ("e.ring_timeout", "9s"),
    ];
    let (status, page) = world.edited("companies", "acme", &good).await;
    assert_eq!(status, 200, "{page}");
    let found = lines(&page);
    assert!(found.iter().all(|line| line.starts_with("company acme: ")) && found.len() == 3, "{found:?}");
    world.saved(&page).await;
    assert_eq!(uri(&world, "acme"), Some(vec!["sip:a@192.0.2.1".to_owned(), "sip:b@192.0.2.2".to_owned()]));
    assert_eq!(uri(&world, "other").unwrap().len(), 1, "the others are as they were");

    let fresh = [("e.name", "fresh"), ("e.forward_to[0].uri", "sip:f@192.0.2.3")];
    let (_, page) = world.edited("companies", "", &fresh).await;
    assert_eq!(lines(&page), ["company fresh: added"]);
    world.saved(&page).await;
    assert!(uri(&world, "fresh").is_some());
    let (_, page) = world.edited("companies", "fresh", &[("remove", "1")]).await;
    assert_eq!(lines(&page), ["company fresh: removed"]);
    world.saved(&page).await;
    assert!(uri(&world, "fresh").is_none());

    let back = world.see("/catalogue/versions/0", &[]).await.1;
    let rolled = world.send("/catalogue/rollback", &[("to", "0"), ("tag", &hidden(&back, "tag"))]).await;
    assert_eq!(rolled.status, 303);
    assert_eq!(uri(&world, "acme"), Some(vec!["sip:+442079460999@127.0.0.1:5080".to_owned()]));
}
