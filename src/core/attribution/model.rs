//! What attribution believes about callers before it sees a call: the numbers of the model, learned by [`super::fit`] or
//! built in. No code knows them; they are a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hazards::Hazards;
use crate::core::lease::Device;

/// The learned numbers. Rates are calls per second of one visitor, caller or number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Says which numbers these are: in every attribution.
    pub version: String,
    /// By how the page is looked at ([`View::index`]): by time since the number was shown.
    pub shown: Vec<Hazards>,
    /// By device: by time since the page was left.
    pub left: Vec<Hazards>,
    /// Since a `tel:` link was tapped, the number copied, the page hidden.
    pub tapped: Hazards,
    pub copied: Hazards,
    pub hidden: Hazards,
    /// Since a caller's last call: the same person calls again.
    pub again: Hazards,
    /// How much likelier than others who stayed so long call after leaving; see [`stay_bin`].
    pub stay: [f64; STAYS],
    /// By source: how much likelier than others its visitors call.
    pub sources: BTreeMap<String, f64>,
    /// Calls per second to one number by people who never saw it on a page: spam, misdials, prints.
    pub background: f64,
    /// Share of the calls for which a caller who called before is somebody new to us, as far as cookies tell.
    pub renamed: f64,
    /// How likely a caller dials a number that they neither dialled before nor saw, as far as we know, when they call again.
    pub unseen: f64,
    /// Share of the calls of a visitor who called before that come from another telephone.
    pub other_phone: f64,
    /// Share of the callers whose telephone is not of the region where their browser is, by chance.
    pub elsewhere: f64,
    /// Share of the callers by region; a region that is missing has `region_else`.
    pub regions: BTreeMap<String, f64>,
    pub region_else: f64,
}

/// How a page that shows the number is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub device: Device,
    pub is_hidden: bool,
}

impl View {
    pub(super) const COUNT: usize = 6;

    pub(super) fn index(self) -> usize {
        device_index(self.device) * 2 + usize::from(self.is_hidden)
    }
}

pub(super) const DEVICES: usize = 3;

/// Telephones with a browser, everything else, not known.
pub(super) fn device_index(device: Device) -> usize {
    match device {
        Device::Mobile => 0,
        Device::Tablet | Device::Desktop => 1,
        Device::Unknown => 2,
    }
}

pub(super) const STAYS: usize = 4;

/// Under 15 s, a minute, five, more.
pub(super) fn stay_bin(seconds: f64) -> usize {
    [15.0, 60.0, 300.0].iter().filter(|edge| seconds >= **edge).count()
}

const SHOWN: [f64; 9] = [0.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0];
const SHOWN_END: f64 = 4.0 * 3_600.0;
const LEFT: [f64; 13] =
    [0.0, 15.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 10_800.0, 43_200.0, 86_400.0, 259_200.0, 604_800.0];
const LEFT_END: f64 = 30.0 * 86_400.0;
const LEFT_EXPECTED: [f64; 13] =
    [2e-3, 3e-3, 2e-3, 3e-3, 2.5e-3, 3e-3, 1.5e-3, 1.5e-3, 1.5e-3, 1e-3, 1.2e-3, 1e-3, 1e-3];
const TAPPED: [f64; 8] = [0.0, 2.0, 4.0, 8.0, 15.0, 30.0, 120.0, 600.0];
const COPIED: [f64; 6] = [0.0, 5.0, 15.0, 60.0, 180.0, 600.0];
const HIDDEN: [f64; 6] = [0.0, 2.0, 5.0, 15.0, 60.0, 300.0];
const AGAIN: [f64; 9] = [0.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0, 259_200.0, 604_800.0, 2_592_000.0];

impl Default for Model {
    /// First beliefs, for a site that has not learned yet: rough shares of calls before, soon after and long after
    /// leaving, as practice reports them; to be replaced by what the site's own journal says.
    fn default() -> Model {
        let shown = |scale: f64| {
            let rates = [4e-5, 6e-5, 1e-4, 1.4e-4, 1.4e-4, 1.2e-4, 1e-4, 6e-5, 2e-5];
            let mut hazards = Hazards::expecting(&SHOWN, SHOWN_END, &[0.0; 9]);
            for (bin, rate) in rates.into_iter().enumerate() {
                hazards.set(bin, rate * scale);
            }
            hazards
        };
        // A telephone that dials hides its page; who calls from a telephone mostly taps.
        let shown = [0.15, 0.6, 1.0, 0.5, 0.7, 0.7].map(shown).to_vec();
        Model {
            version: "built-in-1".into(),
            shown,
            left: vec![Hazards::expecting(&LEFT, LEFT_END, &LEFT_EXPECTED); DEVICES],
            tapped: Hazards::expecting(&TAPPED, 3_600.0, &[0.05, 0.15, 0.25, 0.15, 0.05, 0.03, 0.02, 0.01]),
            copied: Hazards::expecting(&COPIED, 3_600.0, &[0.01, 0.05, 0.1, 0.05, 0.04, 0.03]),
            hidden: Hazards::expecting(&HIDDEN, 900.0, &[1e-3, 3e-3, 3e-3, 2e-3, 2e-3, 2e-3]),
            again: Hazards::expecting(&AGAIN, 90.0 * 86_400.0, &[0.02, 0.03, 0.03, 0.02, 0.05, 0.05, 0.04, 0.04, 0.02]),
            stay: [0.3, 0.7, 1.2, 1.6],
            sources: BTreeMap::new(),
            background: 1.5e-6,
            renamed: 0.05,
            unseen: 1e-4,
            other_phone: 0.1,
            elsewhere: 0.3,
            regions: BTreeMap::new(),
            region_else: 0.05,
        }
    }
}

impl Model {
    /// Whether every table has the shape that the code reads; a file that was edited may not.
    pub fn is_whole(&self) -> bool {
        let built_in = Model::default();
        let bins = |model: &Model| {
            let signs = [&model.tapped, &model.copied, &model.hidden, &model.again];
            let tables = model.shown.iter().chain(&model.left).chain(signs);
            tables.map(Hazards::bins).collect::<Vec<_>>()
        };
        self.shown.len() == View::COUNT && self.left.len() == DEVICES && bins(self) == bins(&built_in)
    }

    pub(super) fn source(&self, source: &str) -> f64 {
        self.sources.get(source).copied().unwrap_or(1.0)
    }

    /// How much likelier a caller of this region is, if the visitor of that region is the one who calls, than anybody.
    /// Regions are ISO 3166-2; where one of them is only a country, countries are compared, which says little when they
    /// agree.
    pub(super) fn region_ratio(&self, visitor: Option<&str>, caller: Option<&str>) -> f64 {
        let (Some(visitor), Some(caller)) = (visitor, caller) else { return 1.0 };
        let country = |region: &str| region.split_once('-').map(|(country, _)| country.to_owned());
        if visitor == caller {
            if country(visitor).is_none() {
                return 1.0;
            }
            let share = self.regions.get(caller).copied().unwrap_or(self.region_else).clamp(0.001, 1.0);
            return (1.0 - self.elsewhere) / share + self.elsewhere;
        }
        match (country(visitor), country(caller)) {
            (None, Some(of)) if of == visitor => 1.0,
            (Some(of), None) if of == caller => 1.0,
            _ => self.elsewhere,
        }
    }
}
