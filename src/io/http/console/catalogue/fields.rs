//! Which keys an entry of the catalogue has, and with which control each is edited. The names are those of the
//! configuration file; a test holds them against what its reader asks for.

use Kind::{
    Check, Choice, Choices, Destinations, Lines, Name, Names, Number, Pairs, Secret, Statuses, Table, Tables, Text,
    Whole, YesNo,
};

/// One key.
#[derive(Debug)]
pub(super) struct Field {
    pub key: &'static str,
    pub kind: Kind,
    /// What counts when nothing is written, as it would be written.
    pub usual: &'static str,
}

/// How a value is written, and with what it is edited.
#[derive(Debug)]
pub(super) enum Kind {
    /// One line: names, lengths of time, amounts, shares.
    Text,
    /// The same of a key, which is masked.
    Secret,
    /// A whole number.
    Number,
    /// A list of texts, one a line.
    Lines,
    /// A list of whole numbers, with blanks between.
    Statuses,
    /// Names with their texts, `source = billboard`, one a line.
    Pairs,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Any of these.
    Choices(&'static [&'static str]),
    /// The name of something that is configured.
    Name(Of),
    /// Any of these names.
    Names(Of),
    /// On or off; what it is when nothing is written.
    Check(bool),
    /// On, off, or as somebody else says.
    YesNo,
    /// A table within.
    Table(&'static str, &'static [Field]),
    /// The same; it is there also when it says nothing.
    Whole(&'static str, &'static [Field]),
    /// A list of tables.
    Tables(&'static str, &'static [Field]),
    /// A list of tables, of which one that is nothing but a URI is a text.
    Destinations,
}

/// Things that have names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    Companies,
    Sites,
    StaticPools,
    Providers,
    Stocks,
    Trunks,
}

/// Fields under one heading.
#[derive(Debug)]
pub(super) struct Group {
    pub title: &'static str,
    pub fields: &'static [Field],
}

/// A list of the catalogue.
#[derive(Debug)]
pub(super) struct Part {
    /// Its key in the catalogue.
    pub name: &'static str,
    /// What texts about its fields begin with.
    pub scope: &'static str,
    pub groups: &'static [Group],
}

impl Part {
    pub(super) fn of(name: &str) -> Option<&'static Part> {
        PARTS.iter().find(|part| part.name == name)
    }
}

const fn field(key: &'static str, kind: Kind) -> Field {
    Field { key, kind, usual: "" }
}

const fn usual(key: &'static str, kind: Kind, usual: &'static str) -> Field {
    Field { key, kind, usual }
}

const fn group(title: &'static str, fields: &'static [Field]) -> Group {
    Group { title, fields }
}

pub(super) const PARTS: &[Part] = &[
    Part {
        name: "companies",
        scope: "company",
        groups: &[
            group("group-company", &[field("name", Text), field("time_zone", Text), field("currency", Text)]),
            group(
                "group-routing",
                &[
                    field("forward_to", Destinations),
                    usual("strategy", STRATEGY, "order"),
                    usual("ring_timeout", Text, "30s"),
                    usual("ring_timeout_total", Text, "2m"),
                    field("retry_statuses", Statuses),
                    field("final_statuses", Statuses),
                ],
            ),
            group("group-overflow", &[field("busy", Table("ways", WAYS)), field("no_answer", Table("ways", WAYS))]),
            group(
                "group-hours",
                &[field("schedule", Table("schedule", SCHEDULE)), field("closed", Table("closed", CLOSED))],
            ),
            group("group-rules", &[field("rule", Tables("rule", RULE))]),
            group(
                "group-words",
                &[
                    field("labels", Lines),
                    field("stages", Lines),
                    field("score_card", Lines),
                    field("label_rule", Tables("label-rule", LABEL_RULE)),
                ],
            ),
        ],
    },
    Part {
        name: "sites",
        scope: "site",
        groups: &[
            group("group-site", &[field("name", Text), field("company", Name(Of::Companies)), field("origins", Lines)]),
            group(
                "group-staff",
                &[
                    field("exclude", Lines),
                    field("staff_secret", Secret),
                    field("staff_secret_file", Text),
                    usual("staff_for", Text, "90d"),
                ],
            ),
            group(
                "group-worth",
                &[
                    field("bots", Check(true)),
                    usual("leases_per_address_max", Number, "60"),
                    usual("track", Choice(&["all", "rule", "score"]), "all"),
                    usual("score_min", Number, "40"),
                    field("worth", Tables("condition", CONDITION)),
                ],
            ),
        ],
    },
    Part {
        name: "pools",
        scope: "pool",
        groups: &[
            group(
                "group-pool",
                &[
                    field("name", Text),
                    field("title", Text),
                    field("company", Name(Of::Companies)),
                    field("kind", Choice(&["dynamic", "static"])),
                    field("site", Name(Of::Sites)),
                    field("numbers", Lines),
                    field("channel", Pairs),
                ],
            ),
            group(
                "group-visits",
                &[
                    usual("hold", Text, "30m"),
                    usual("binding", Choice(&["visitor", "params"]), "visitor"),
                    usual("priority", Number, "0"),
                    field("traffic", Choices(TRAFFIC)),
                    field("conditions", Tables("condition", CONDITION)),
                ],
            ),
            group(
                "group-without",
                &[field("static_pools", Names(Of::StaticPools)), field("overflow_pool", Name(Of::StaticPools))],
            ),
            group(
                "group-calls",
                &[
                    usual("calls_max_per_number", Number, "0"),
                    field("recording", YesNo),
                    usual("quality_talk", Text, "30s"),
                ],
            ),
            group("group-grow", &[field("grow", Table("grow", GROW))]),
        ],
    },
    Part {
        name: "tracking",
        scope: "tracking",
        groups: &[
            group(
                "group-features",
                &[
                    field("features", Choices(&["dynamic", "params", "conditions", "selective"])),
                    usual("numbers_max", Number, "0"),
                ],
            ),
            group(
                "group-prices",
                &[
                    usual("plan", Choice(&["display", "flat"]), "display"),
                    field("currency", Text),
                    usual("display_price", Text, "0"),
                    usual("number_price", Text, "0"),
                    usual("fee", Text, "0"),
                    usual("numbers_included", Number, "0"),
                    usual("overage", Choice(&["charge", "refuse"]), "charge"),
                    field("day_cap", Text),
                    field("month_cap", Text),
                ],
            ),
        ],
    },
];

const TRAFFIC: &[&str] = &["yandex_direct", "google_ads", "organic", "social", "referral", "direct", "email"];

const DAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

const STRATEGY: Kind = Choice(&["order", "parallel", "weighted", "round_robin", "longest_idle"]);

/// Of [`Kind::Destinations`].
pub(super) const DESTINATION: &[Field] = &[
    field("uri", Text),
    field("trunk", Name(Of::Trunks)),
    field("number", Text),
    field("name", Text),
    usual("weight", Number, "1"),
    field("calls_max", Number),
    field("ring_timeout", Text),
    field("redirects", Choice(&["refuse", "follow"])),
    field("media_encryption", Choice(&["off", "optional", "sdes", "dtls"])),
];

const WAYS: &[Field] = &[field("forward_to", Destinations), usual("strategy", STRATEGY, "order")];

const CLOSED: &[Field] =
    &[field("refuse", Number), field("forward_to", Destinations), usual("strategy", STRATEGY, "order")];

const SCHEDULE: &[Field] = &[
    field("time_zone", Text),
    field("monday", Lines),
    field("tuesday", Lines),
    field("wednesday", Lines),
    field("thursday", Lines),
    field("friday", Lines),
    field("saturday", Lines),
    field("sunday", Lines),
    field("holidays", Lines),
];

const RULE: &[Field] = &[
    field("name", Text),
    field("when", Whole("when", WHEN)),
    field("forward_to", Destinations),
    usual("strategy", STRATEGY, "order"),
    field("refuse", Number),
    field("recording", YesNo),
    field("announcement", Text),
    field("whisper", Text),
];

const WHEN: &[Field] = &[
    field("source", Lines),
    field("medium", Lines),
    field("campaign", Lines),
    field("pool", Lines),
    field("number", Lines),
    field("caller", Lines),
    field("region", Lines),
    field("known", YesNo),
    usual("hours", Choice(&["open", "closed", "any"]), "open"),
];

const LABEL_RULE: &[Field] = &[
    field("name", Text),
    field("label", Text),
    field("talk_min", Text),
    field("talk_max", Text),
    field("outcome", Choices(&["answered", "no_answer", "busy", "cancelled", "rejected", "failed", "voicemail"])),
    field("hidden_caller", YesNo),
    field("calls_min", Number),
    usual("within", Text, "1h"),
];

const CONDITION: &[Field] = &[
    field("source", Lines),
    field("medium", Lines),
    field("campaign", Lines),
    field("utm_source", Lines),
    field("utm_medium", Lines),
    field("utm_campaign", Lines),
    field("utm_term", Lines),
    field("utm_content", Lines),
    field("click_ids", Lines),
    field("referrer", Lines),
    field("landing_path", Lines),
    field("device", Choices(&["mobile", "tablet", "desktop"])),
    field("region", Lines),
    field("language", Lines),
    field("days", Choices(DAYS)),
    field("hours", Lines),
    field("time_zone", Text),
];

const GROW: &[Field] = &[
    field("enabled", Check(false)),
    usual("window", Text, "1h"),
    usual("short_windows", Number, "3"),
    usual("windows", Number, "24"),
    usual("threshold", Text, "2%"),
    usual("visits_min", Number, "20"),
    usual("blocking", Text, "1%"),
    field("respect_hold", Check(false)),
    usual("numbers_max", Number, "100"),
    usual("per_day_max", Number, "10"),
    field("spend_max", Text),
    field("stock", Lines),
    field("shared_stock", Name(Of::Stocks)),
    field("provider", Name(Of::Providers)),
    field("price", Text),
    field("currency", Text),
    usual("listen", Text, "0s"),
    usual("shrink_after", Text, "0s"),
    usual("quiet", Text, "30d"),
    field("notify", Lines),
    field("forecast", Lines),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::known_keys;
    use crate::core::catalogue::document::COMPANY;
    use crate::io::http::console::text::Lang;

    fn each(at: &str, scope: &str, fields: &'static [Field], found: &mut Vec<(String, String, &'static Field)>) {
        for field in fields {
            let path = format!("{at}.{}", field.key);
            match &field.kind {
                Table(scope, fields) | Whole(scope, fields) | Tables(scope, fields) => {
                    each(&path, scope, fields, found)
                }
                Destinations => each(&path, "destination", DESTINATION, found),
                _ => {}
            }
            found.push((path, format!("{scope}-{}", field.key.replace('_', "-")), field));
        }
    }

    /// Path in the configuration file, name of its texts, and the field.
    fn all() -> Vec<(String, String, &'static Field)> {
        let mut found = Vec::new();
        for part in PARTS {
            let table = match part.name {
                "sites" => "site",
                "pools" => "pool",
                "companies" => "company",
                _ => "company.tracking",
            };
            for group in part.groups {
                each(table, part.scope, group.fields, &mut found);
            }
        }
        found
    }

    #[test]
    fn every_key_that_the_reader_knows_has_its_field_and_no_other_is_there() {
        let tables = ["site.", "pool.", "company.tracking.", "company.name"];
        let of_tables = |key: &String| {
            let of_company = key.strip_prefix("company.").and_then(|key| key.split('.').next());
            tables.iter().any(|table| key.starts_with(table)) || of_company.is_some_and(|key| COMPANY.contains(&key))
        };
        // A list of destinations has its keys wherever it stands; the file has them in some of these places.
        let once = |key: String| match key.split_once(".forward_to.") {
            Some((_, key)) => format!("destination.{key}"),
            None => key,
        };
        let known: BTreeSet<String> = known_keys().into_iter().filter(of_tables).map(once).collect();
        let fields: BTreeSet<String> = all().into_iter().map(|(path, ..)| once(path)).collect();
        assert_eq!(fields, known);
    }

    #[test]
    fn every_field_and_choice_is_said_in_every_language() {
        let mut missing = BTreeSet::new();
        for lang in Lang::ALL {
            let mut need = |key: String| {
                if lang.find(&key, &[]).is_none() {
                    missing.insert(key);
                }
            };
            for (_, text, field) in all() {
                need(format!("field-{text}"));
                need(format!("help-{text}"));
                if let Choice(choices) | Choices(choices) = field.kind {
                    choices.iter().for_each(|choice| need(format!("choice-{}", choice.replace('_', "-"))));
                }
            }
            PARTS.iter().flat_map(|part| part.groups).for_each(|group| need(group.title.to_owned()));
        }
        assert_eq!(missing, BTreeSet::new());
    }
}
