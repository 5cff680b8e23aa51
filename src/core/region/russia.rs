//! Names of regions as the Russian regulator writes them, and their codes in ISO 3166-2.

use crate::limits;

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// Place in [`SUBJECTS`].
    Subject(u16),
    /// The whole country: numbers that belong to no place (800, 804).
    Country,
    Unknown,
}

/// The region that a name means. Of several ("г. Москва и Московская область") it is the first: the operators' numbers of
/// both are given out together, and most of their people are the first one's. In front of `|` stands the place within it.
pub(super) fn named(name: &str) -> Named {
    let whole = name.rsplit('|').next().unwrap_or_default();
    if whole.len() > limits::REGION_NAME * 4 {
        return Named::Unknown;
    }
    let whole = whole.to_lowercase().replace('ё', "е").replace(['–', '—'], "-").replace(['"', '«', '»', '*'], "");
    let parts = whole.split([',', ';']).flat_map(|part| part.split(" и "));
    for stem in parts.map(stem) {
        if ["российская федерация", "россия"].contains(&stem.as_str()) {
            return Named::Country;
        }
        let found = SUBJECTS.iter().position(|(_, stems)| stems.contains(&stem.as_str()));
        if let Some(found) = found.and_then(|at| u16::try_from(at).ok()) {
            return Named::Subject(found);
        }
    }
    Named::Unknown
}

/// The name alone: without the kind of region in any of its spellings, and without the second name of some.
fn stem(name: &str) -> String {
    let one = name.split(" - ").next().unwrap_or_default();
    let one = one.split(['(', '/']).next().unwrap_or_default();
    let words = one.split_whitespace().filter(|word| !KINDS.contains(&word.trim_end_matches('.')));
    // "г.Москва"
    let words = words.map(|word| word.strip_prefix("г.").unwrap_or(word));
    words.collect::<Vec<_>>().join(" ")
}

/// What says which kind of region it is, or that it has a second name.
const KINDS: [&str; 17] = [
    "г",
    "гор",
    "город",
    "республика",
    "респ",
    "область",
    "обл",
    "край",
    "ао",
    "аобл",
    "автономный",
    "автономная",
    "округ",
    "народная",
    "республика-чувашия",
    "область-кузбасс",
    "округ-югра",
];

/// ISO 3166-2, and the stems of its names. What Russia numbers and ISO 3166-2 lists under Ukraine has the code that it has
/// there, as databases of addresses say it.
pub(super) const SUBJECTS: [(&str, &[&str]); 89] = [
    ("RU-AD", &["адыгея"]),
    ("RU-AL", &["алтай"]),
    ("RU-ALT", &["алтайский"]),
    ("RU-AMU", &["амурская"]),
    ("RU-ARK", &["архангельская"]),
    ("RU-AST", &["астраханская"]),
    ("RU-BA", &["башкортостан", "башкирия"]),
    ("RU-BEL", &["белгородская"]),
    ("RU-BRY", &["брянская"]),
    ("RU-BU", &["бурятия"]),
    ("RU-CE", &["чеченская", "чечня"]),
    ("RU-CHE", &["челябинская"]),
    ("RU-CHU", &["чукотский"]),
    ("RU-CU", &["чувашская", "чувашия"]),
    ("RU-DA", &["дагестан"]),
    ("RU-IN", &["ингушетия"]),
    ("RU-IRK", &["иркутская"]),
    ("RU-IVA", &["ивановская"]),
    ("RU-KAM", &["камчатский"]),
    ("RU-KB", &["кабардино-балкарская", "кабардино-балкария"]),
    ("RU-KC", &["карачаево-черкесская", "карачаево-черкессия"]),
    ("RU-KDA", &["краснодарский"]),
    ("RU-KEM", &["кемеровская", "кузбасс"]),
    ("RU-KGD", &["калининградская"]),
    ("RU-KGN", &["курганская"]),
    ("RU-KHA", &["хабаровский"]),
    ("RU-KHM", &["ханты-мансийский", "ханты-мансийский-югра", "югра", "хмао"]),
    ("RU-KIR", &["кировская"]),
    ("RU-KK", &["хакасия"]),
    ("RU-KL", &["калмыкия"]),
    ("RU-KLU", &["калужская"]),
    ("RU-KO", &["коми"]),
    ("RU-KOS", &["костромская"]),
    ("RU-KR", &["карелия"]),
    ("RU-KRS", &["курская"]),
    ("RU-KYA", &["красноярский"]),
    ("RU-LEN", &["ленинградская"]),
    ("RU-LIP", &["липецкая"]),
    ("RU-MAG", &["магаданская"]),
    ("RU-ME", &["марий эл"]),
    ("RU-MO", &["мордовия"]),
    ("RU-MOS", &["московская"]),
    ("RU-MOW", &["москва"]),
    ("RU-MUR", &["мурманская"]),
    ("RU-NEN", &["ненецкий"]),
    ("RU-NGR", &["новгородская"]),
    ("RU-NIZ", &["нижегородская"]),
    ("RU-NVS", &["новосибирская"]),
    ("RU-OMS", &["омская"]),
    ("RU-ORE", &["оренбургская"]),
    ("RU-ORL", &["орловская"]),
    ("RU-PER", &["пермский"]),
    ("RU-PNZ", &["пензенская"]),
    ("RU-PRI", &["приморский"]),
    ("RU-PSK", &["псковская"]),
    ("RU-ROS", &["ростовская"]),
    ("RU-RYA", &["рязанская"]),
    ("RU-SA", &["саха", "якутия"]),
    ("RU-SAK", &["сахалинская"]),
    ("RU-SAM", &["самарская"]),
    ("RU-SAR", &["саратовская"]),
    ("RU-SE", &["северная осетия", "северная осетия-алания"]),
    ("RU-SMO", &["смоленская"]),
    ("RU-SPE", &["санкт-петербург"]),
    ("RU-STA", &["ставропольский"]),
    ("RU-SVE", &["свердловская"]),
    ("RU-TA", &["татарстан"]),
    ("RU-TAM", &["тамбовская"]),
    ("RU-TOM", &["томская"]),
    ("RU-TUL", &["тульская"]),
    ("RU-TVE", &["тверская"]),
    ("RU-TY", &["тыва", "тува"]),
    ("RU-TYU", &["тюменская"]),
    ("RU-UD", &["удмуртская", "удмуртия"]),
    ("RU-ULY", &["ульяновская"]),
    ("RU-VGG", &["волгоградская"]),
    ("RU-VLA", &["владимирская"]),
    ("RU-VLG", &["вологодская"]),
    ("RU-VOR", &["воронежская"]),
    ("RU-YAN", &["ямало-ненецкий", "янао"]),
    ("RU-YAR", &["ярославская"]),
    ("RU-YEV", &["еврейская"]),
    ("RU-ZAB", &["забайкальский"]),
    ("UA-09", &["луганская"]),
    ("UA-14", &["донецкая"]),
    ("UA-23", &["запорожская"]),
    ("UA-40", &["севастополь"]),
    ("UA-43", &["крым"]),
    ("UA-65", &["херсонская"]),
];
