use super::sample::database;
use super::*;

const HEAD: &str = "АВС/ DEF;От;До;Емкость;Оператор;Регион;Территория ГАР;ИНН";

fn read(lines: &str) -> Regions {
    let mut reading = Reading::default();
    reading.file("ABC-3xx.csv", format!("{HEAD}\n{lines}").as_bytes()).unwrap();
    reading.finish()
}

fn of(regions: &Regions, number: &str) -> Option<String> {
    regions.of(number).map(|region| region.to_string())
}

fn code(name: &str) -> &'static str {
    match named(name) {
        Named::Subject(at) => SUBJECTS[usize::from(at)].0,
        Named::Country => "RU",
        Named::Unknown => "",
    }
}

#[test]
fn p04_caller_region_is_what_the_numbering_plan_says() {
    let plan = Regions::default();
    for (number, region) in [
        ("+442079460001", Some("GB")),
        ("+12125550100", Some("US")),
        ("+14165550100", Some("CA")),
        ("+74951234567", Some("RU")),
        ("+77272345678", Some("KZ")),
        ("+4930123456", Some("DE")),
        ("+870773123456", None),
        ("+9991234567", None),
        ("02079460001", None),
        ("anonymous", None),
        ("", None),
    ] {
        assert_eq!(of(&plan, number).as_deref(), region, "{number}");
    }
}

#[test]
fn p04_caller_region_of_russian_numbers_is_the_regulators() {
    let regions = read(
        "495;1230000;1239999;10000;\"ПАО \"\"МГТС\"\"; Москва\";г. Москва;;7710016640\r\n\
         301;2110000;2129999;20000;ПАО;г. Улан-Удэ|Республика Бурятия\n\
         812;0;99999;100000;ПАО;г. Санкт-Петербург\n\
         900;0000000;0099999;100000;ООО;Краснодарский край и Республика Адыгея\n\
         804;2000000;2999999;1000000;ПАО;Российская Федерация\n\
         999;7000000;7999999;1000000;ПАО;Луна\n",
    );
    for (number, region) in [
        ("+74951229999", "RU"),
        ("+74951230000", "RU-MOW"),
        ("+74951239999", "RU-MOW"),
        ("+74951240000", "RU"),
        ("+73012120000", "RU-BU"),
        ("+78120099999", "RU-SPE"),
        ("+79000012345", "RU-KDA"),
        ("+79997000000", "RU"),
        ("+77272345678", "KZ"),
    ] {
        assert_eq!(of(&regions, number).as_deref(), Some(region), "{number}");
    }
    let skipped = regions.skipped();
    assert_eq!((skipped.lines, skipped.unknown, skipped.overlaps), (0, 1, 0));
    assert_eq!(
        skipped.to_string(),
        "1 ranges have a region that is not known, their numbers have a country only (the first: ABC-3xx.csv:7: `Луна`)"
    );
}

#[test]
fn every_subject_has_its_code() {
    for (name, wanted) in [
        ("г. Москва", "RU-MOW"),
        ("Москва", "RU-MOW"),
        ("г.Москва", "RU-MOW"),
        ("Московская область", "RU-MOS"),
        ("г.о. Красногорск|Московская обл.", "RU-MOS"),
        ("г. Москва и Московская область", "RU-MOW"),
        ("г. Санкт-Петербург и Ленинградская область", "RU-SPE"),
        ("Кемеровская область - Кузбасс область", "RU-KEM"),
        ("Ханты-Мансийский Автономный округ - Югра АО", "RU-KHM"),
        ("Ямало-Ненецкий АО", "RU-YAN"),
        ("Ненецкий автономный округ", "RU-NEN"),
        ("Республика Саха /Якутия/", "RU-SA"),
        ("Республика Северная Осетия - Алания", "RU-SE"),
        ("Чувашская Республика — Чувашия", "RU-CU"),
        ("Республика Адыгея (Адыгея)", "RU-AD"),
        ("Республика Алтай", "RU-AL"),
        ("Алтайский край", "RU-ALT"),
        ("Еврейская Автономная область", "RU-YEV"),
        ("Удмуртская Республика", "RU-UD"),
        ("Республика Крым и г. Севастополь", "UA-43"),
        ("Российская Федерация", "RU"),
        ("г. Томск", ""),
        ("", ""),
    ] {
        assert_eq!(code(name), wanted, "{name}");
    }
    let codes: std::collections::BTreeSet<&str> = SUBJECTS.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes.len(), SUBJECTS.len());
    assert_eq!(codes.iter().filter(|code| code.starts_with("RU-")).count(), 83, "ISO 3166-2:RU");
    for (code, stems) in SUBJECTS {
        for stem in stems {
            assert_eq!(self::code(stem), code, "{stem}");
        }
    }
}

#[test]
fn files_come_in_two_encodings() {
    let text = format!("{HEAD}\n495;1230000;1239999;10000;ПАО;г. Москва\n");
    let (windows, ..) = encoding_rs::WINDOWS_1251.encode(&text);
    for bytes in [text.as_bytes().to_vec(), [b"\xef\xbb\xbf", text.as_bytes()].concat(), windows.into_owned()] {
        let mut reading = Reading::default();
        reading.file("one.csv", &bytes).unwrap();
        let regions = reading.finish();
        assert_eq!(of(&regions, "+74951234567").as_deref(), Some("RU-MOW"));
        assert!(regions.skipped().is_none(), "{}", regions.skipped());
    }
}

#[test]
fn neighbours_are_joined_and_what_is_wrong_is_told() {
    let regions = read(
        "495;2000000;2999999;1;П;г. Москва\n495;1000000;1999999;1;П;г. Москва\n495;1500000;1500009;10;П;Тверская область\n\
         495;9000000;8000000;1;П;г. Москва\n4950;1;2;1;П;г. Москва\n495;+1;2;1;П;г. Москва\n495;1;12345678;1;П;г. Москва\n495;1\n",
    );
    assert_eq!(regions.ranges(), 1);
    assert_eq!(of(&regions, "+74951500005").as_deref(), Some("RU-MOW"));
    let skipped = regions.skipped();
    assert_eq!((skipped.lines, skipped.unknown, skipped.overlaps), (5, 0, 1));
    assert_eq!(
        skipped.to_string(),
        "5 lines are no range of numbers (the first: ABC-3xx.csv:5); 1 ranges lie over another region's and were left out \
         (the first: ABC-3xx.csv:4)"
    );
    let mut reading = Reading::default();
    for bytes in [&b""[..], b"name;price\nshoe;5\n", b"\xff\xfe\x00", b"PK\x03\x04"] {
        assert_eq!(reading.file("two.csv", bytes), Err(BadFile::NoRange), "{bytes:?}");
    }
}

#[test]
fn w02_region_of_an_address_is_the_databases() {
    let rows = [
        ([203, 0, 113, 0], 24, "RU", Some("MOW")),
        ([198, 51, 100, 0], 25, "GB", Some("LND")),
        ([198, 51, 100, 128], 25, "GB", None),
        ([192, 0, 2, 1], 32, "Atlantis", Some("MOW")),
        ([192, 0, 2, 2], 32, "US", Some("Alta California")),
    ];
    let database = AddressRegions::read(database(&rows)).unwrap();
    assert_eq!(database.kind(), "Sample-City");
    for (address, region) in [
        ("203.0.113.9", Some("RU-MOW")),
        ("::ffff:203.0.113.9", Some("RU-MOW")),
        ("198.51.100.127", Some("GB-LND")),
        ("198.51.100.128", Some("GB")),
        ("192.0.2.1", None),
        ("192.0.2.2", Some("US")),
        ("192.0.2.3", None),
        ("127.0.0.1", None),
        ("2001:db8::1", None),
    ] {
        assert_eq!(database.of(address.parse().unwrap()).as_deref(), region, "{address}");
    }
}

#[test]
fn a_broken_database_is_refused_and_panics_nowhere() {
    let good = database(&[([203, 0, 113, 0], 24, "RU", Some("MOW")), ([198, 51, 100, 0], 24, "GB", None)]);
    let ask = |bytes: Vec<u8>| {
        let Ok(database) = AddressRegions::read(bytes) else { return };
        for address in ["203.0.113.9", "198.51.100.1", "8.8.8.8"] {
            database.of(address.parse().unwrap());
        }
    };
    for at in 0..good.len() {
        ask(good[..at].to_vec());
        for value in [0x00, 0x20, 0x3f, 0xff, good[at] ^ 0x01] {
            let mut broken = good.clone();
            broken[at] = value;
            ask(broken);
        }
    }
    assert!(AddressRegions::read(b"not a database".to_vec()).unwrap_err().contains("MaxMind"));
}
