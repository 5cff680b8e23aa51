use proptest::prelude::*;

use super::*;

fn session(page: &str, referrer: &str) -> Session {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    completed(Session { landing_page: some(page), referrer: some(referrer), ..Session::default() })
}

/// `source / medium / campaign`, and who said it.
fn verdict(page: &str, referrer: &str) -> (String, SaidBy) {
    let (source, by) = Source::explained(&session(page, referrer));
    (format!("{} / {} / {}", source.source, source.medium, source.campaign), by)
}

#[test]
fn w02_a_visit_is_classified_by_parameters_then_clicks_then_referrer_then_direct() {
    use SaidBy::{ClickId, Nothing, Referrer, Utm};
    const SITE: &str = "https://www.shop.example/kitchens";
    let page = |query: &str| format!("{SITE}?{query}");
    let table: &[(&str, &str, &str, SaidBy)] = &[
        // Campaign parameters come before all else.
        (
            "utm_source=Yandex&utm_medium=CPC&utm_campaign=Kitchens&gclid=1",
            "https://www.google.com/",
            "yandex / cpc / kitchens",
            Utm,
        ),
        ("utm_source=newsletter", "https://www.google.com/", "newsletter / email / ", Utm),
        ("utm_source=vk&utm_campaign=spring", "", "vk / social / spring", Utm),
        ("utm_source=yadirect", "", "yadirect / cpc / ", Utm),
        ("utm_source=partner", "", "partner /  / ", Utm),
        ("utm_source=google&gclid=abc", "", "google / cpc / ", Utm),
        ("utm_source=+&utm_medium=banner", "", "direct / banner / ", Nothing),
        ("utm_campaign=sale", "https://news.example/a", "news.example / referral / sale", Referrer),
        // Click ids.
        ("gclid=EAIa", "https://www.google.com/", "google / cpc / ", ClickId),
        ("GCLID=EAIa", "", "google / cpc / ", ClickId),
        ("wbraid=1", "", "google / cpc / ", ClickId),
        ("yclid=123", "https://yandex.ru/search", "yandex / cpc / ", ClickId),
        ("msclkid=1", "", "bing / cpc / ", ClickId),
        ("ttclid=1", "", "tiktok / cpc / ", ClickId),
        ("fbclid=1", "https://l.facebook.com/", "facebook / social / ", ClickId),
        ("ysclid=1", "", "yandex / organic / ", ClickId),
        ("gclid=", "https://www.google.com/", "google / organic / ", Referrer),
        // The referrer.
        ("", "https://www.google.co.uk/", "google / organic / ", Referrer),
        ("", "https://yandex.kz/search/?text=x", "yandex / organic / ", Referrer),
        ("", "https://ya.ru/", "yandex / organic / ", Referrer),
        ("", "https://duckduckgo.com/", "duckduckgo / organic / ", Referrer),
        ("", "android-app://com.google.android.googlequicksearchbox/", "google / organic / ", Referrer),
        ("", "https://yabs.yandex.ru/count/x", "yandex / cpc / ", Referrer),
        ("", "https://lm.facebook.com/l.php", "facebook / social / ", Referrer),
        ("", "https://vk.com/away.php", "vk / social / ", Referrer),
        ("", "https://t.co/abc", "x / social / ", Referrer),
        ("", "https://mail.google.com/mail/u/0/", "gmail / email / ", Referrer),
        ("", "https://e.mail.ru/inbox", "mail.ru / email / ", Referrer),
        ("", "https://docs.google.com/x", "docs.google.com / referral / ", Referrer),
        ("", "https://www.Example.ORG:8443/page?q=1", "example.org / referral / ", Referrer),
        ("", "https://notvk.com/", "notvk.com / referral / ", Referrer),
        ("", "https://google.evil.example/", "google.evil.example / referral / ", Referrer),
        // Nothing, or the site itself.
        ("", "https://shop.example/cart", "direct / none / ", Nothing),
        ("", "", "direct / none / ", Nothing),
        ("", "not a url", "direct / none / ", Nothing),
        ("", "https://", "direct / none / ", Nothing),
    ];
    for (query, referrer, wanted, by) in table {
        assert_eq!(verdict(&page(query), referrer), ((*wanted).to_owned(), *by), "{query} {referrer}");
    }
}

#[test]
fn p14_parameters_are_read_in_every_writing_and_folded_by_one_rule() {
    let of = |query: &str, key: &str| session(&format!("https://shop.example/?{query}"), "").utm.get(key).cloned();
    for (query, wanted) in [
        ("utm_campaign=%D0%BA%D1%83%D1%85%D0%BD%D0%B8", "кухни"),
        ("utm_campaign=%EA%F3%F5%ED%E8", "кухни"),
        ("utm_campaign=%ea%f3%f5%ed%e8+%E2+%CC%EE%F1%EA%E2%E5", "кухни в Москве"),
        ("utm_campaign=%u043a%u0443%u0445%u043d%u0438", "кухни"),
        ("utm_campaign=кухни", "кухни"),
        ("UTM_Campaign=Kitchens", "Kitchens"),
        ("utm_campaign=50%", "50%"),
        ("utm_campaign=50%25+off", "50% off"),
        ("utm_campaign=%zz%1", "%zz%1"),
        ("utm_campaign=a=b", "a=b"),
        ("utm_campaign=first&utm_campaign=second", "first"),
        ("utm_campaign=x#utm_campaign=y", "x"),
        ("utm_campaign", ""),
    ] {
        assert_eq!(of(query, "campaign").as_deref(), Some(wanted), "{query}");
    }
    let all =
        session("https://shop.example/?utm_source=A&utm_medium=b&utm_campaign=c&utm_term=d&utm_content=e&utm_id=7", "");
    assert_eq!(
        all.utm.keys().map(String::as_str).collect::<Vec<_>>(),
        ["campaign", "content", "id", "medium", "source", "term"]
    );
    assert_eq!(all.utm["source"], "A", "what came is kept as it came");
    assert_eq!(folded("  Кухни \t В  МОСКВЕ "), "кухни в москве");
    assert_eq!(folded("yandex"), "yandex");
    // What the script sent is not touched.
    let mut said = session("https://shop.example/?utm_source=page", "");
    said.utm = [("source".to_owned(), "script".to_owned())].into();
    assert_eq!(completed(said).utm["source"], "script");
}

#[test]
fn p15_the_parameters_of_the_seed_are_read_with_their_spaces() {
    let page = "https://pizza.example/?utm_source=yandex&utm_medium=cpc&utm_campaign=msk\
                &utm_term=доставка пиццы&utm_content=12 345 678";
    let read = session(page, "");
    let wanted = [
        ("campaign", "msk"),
        ("content", "12 345 678"),
        ("medium", "cpc"),
        ("source", "yandex"),
        ("term", "доставка пиццы"),
    ];
    let got: Vec<(&str, &str)> = read.utm.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(got, wanted);
    let escaped = url::Url::parse(page).expect("a URL");
    assert_eq!(session(escaped.as_str(), "").utm, read.utm, "as a browser escapes it");
}

#[test]
fn p18_presets_name_the_usual_kinds_of_traffic() {
    let kinds = |query: &str, referrer: &str| -> Vec<&str> {
        let session = session(&format!("https://shop.example/?{query}"), referrer);
        let source = Source::of(&session);
        Traffic::ALL.iter().filter(|(_, traffic)| traffic.fits(&session, &source)).map(|(name, _)| *name).collect()
    };
    for (query, referrer, wanted) in [
        ("yclid=1", "", vec!["yandex_direct"]),
        ("utm_source=yandex&utm_medium=cpc", "", vec!["yandex_direct"]),
        ("utm_source=YaDirect", "", vec!["yandex_direct"]),
        ("utm_source=yandex&utm_medium=organic", "", vec!["organic"]),
        ("gclid=1", "", vec!["google_ads"]),
        ("utm_source=google&utm_medium=ppc", "", vec!["google_ads"]),
        ("", "https://www.google.com/", vec!["organic"]),
        ("", "https://vk.com/", vec!["social"]),
        ("", "https://news.example/", vec!["referral"]),
        ("", "https://mail.google.com/", vec!["email"]),
        ("utm_source=newsletter&utm_medium=email", "", vec!["email"]),
        ("", "", vec!["direct"]),
        ("utm_source=partner", "", vec![]),
    ] {
        assert_eq!(kinds(query, referrer), wanted, "{query} {referrer}");
    }
    assert_eq!(Traffic::ALL.map(|(name, traffic)| name == traffic.as_str()), [true; 7]);
}

proptest! {
    /// Any text is read, and classified once and for all.
    #[test]
    fn any_page_and_referrer_are_classified(
        page in "(https?://)?[ -~а-я%]{0,80}",
        query in "[%a-f0-9u+=&а-я_]{0,60}",
        referrer in ".{0,80}",
    ) {
        let read = session(&format!("{page}?utm_source={query}"), &referrer);
        let source = Source::of(&read);
        prop_assert_eq!(folded(&source.source), source.source.clone());
        prop_assert!(!source.source.is_empty());
        prop_assert_eq!(&completed(read.clone()), &read);
    }
}
