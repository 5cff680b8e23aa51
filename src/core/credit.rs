//! Which visit deserves the credit for a call: the models of multi-touch attribution, as pure functions of the visits.
//!
//! A call is one conversion, whatever the model: the shares of its visits always sum to 1. When it is not certain who
//! called, each possible visitor's path gets so much of the conversion as they are probable, and what is left goes to
//! nobody ("unknown").

use smallvec::SmallVec;

/// One visit before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// So many seconds before the call it began.
    pub before_s: i64,
    /// Nothing said where it came from.
    pub is_direct: bool,
}

/// How the credit is shared out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// All to the last visit.
    Last,
    /// All to the first one within the look-back.
    First,
    /// All to the last visit that was not direct; to the last one when all were.
    #[default]
    LastNonDirect,
    /// The same to each.
    Linear,
    /// Half as much for every [`HALF_LIFE_S`] that a visit is older.
    TimeDecay,
    /// 40 % to the first, 40 % to the last, the rest to those between; halves when there are two.
    Position,
}

/// A visit that is older by this gets half as much: seven days.
pub const HALF_LIFE_S: i64 = 7 * 86_400;

impl Model {
    pub const ALL: [Model; 6] =
        [Model::Last, Model::First, Model::LastNonDirect, Model::Linear, Model::TimeDecay, Model::Position];

    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Model::Last => "last",
            Model::First => "first",
            Model::LastNonDirect => "last_non_direct",
            Model::Linear => "linear",
            Model::TimeDecay => "time_decay",
            Model::Position => "position",
        }
    }

    pub fn parse(text: &str) -> Option<Model> {
        Model::ALL.into_iter().find(|model| model.as_str() == text)
    }

    /// The rule in words, for people who read the figures.
    pub const fn rule(self) -> &'static str {
        match self {
            Model::Last => "all to the last visit before the call",
            Model::First => "all to the first visit within the look-back",
            Model::LastNonDirect => "all to the last visit that was not direct; to the last one when all were direct",
            Model::Linear => "the same to each visit",
            Model::TimeDecay => "weight 2^(-age / 7 days) for each visit",
            Model::Position => "40 % to the first visit, 40 % to the last, 20 % to those between; 50 % each of two",
        }
    }

    /// Shares of these visits, oldest first, in their order. They sum to 1, or there are none.
    pub fn shares(self, touches: &[Touch]) -> SmallVec<[f64; 8]> {
        let count = touches.len();
        let mut shares: SmallVec<[f64; 8]> = smallvec::smallvec![0.0; count];
        let Some(last) = count.checked_sub(1) else { return shares };
        match self {
            Model::Last => shares[last] = 1.0,
            Model::First => shares[0] = 1.0,
            Model::LastNonDirect => {
                let sourced = touches.iter().rposition(|touch| !touch.is_direct);
                shares[sourced.unwrap_or(last)] = 1.0;
            }
            Model::Linear => shares.fill(1.0 / count as f64),
            Model::TimeDecay => {
                // Ages from the last visit: the same shares, and no underflow to zero of all of them.
                let newest = touches[last].before_s;
                for (share, touch) in shares.iter_mut().zip(touches) {
                    *share = 0.5_f64.powf((touch.before_s - newest).max(0) as f64 / HALF_LIFE_S as f64);
                }
                let sum: f64 = shares.iter().sum();
                shares.iter_mut().for_each(|share| *share /= sum);
            }
            Model::Position => match count {
                1 => shares[0] = 1.0,
                2 => shares.fill(0.5),
                _ => {
                    shares.fill(0.2 / (count - 2) as f64);
                    (shares[0], shares[last]) = (0.4, 0.4);
                }
            },
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn touches(of: &[(i64, bool)]) -> Vec<Touch> {
        of.iter().map(|(days, is_direct)| Touch { before_s: days * 86_400, is_direct: *is_direct }).collect()
    }

    #[test]
    fn r03_each_model_shares_out_as_its_rule_says() {
        let path = touches(&[(14, false), (7, false), (0, true)]);
        let shares = |model: Model| model.shares(&path).to_vec();
        assert_eq!(shares(Model::Last), [0.0, 0.0, 1.0]);
        assert_eq!(shares(Model::First), [1.0, 0.0, 0.0]);
        assert_eq!(shares(Model::LastNonDirect), [0.0, 1.0, 0.0]);
        assert_eq!(shares(Model::Linear), [1.0 / 3.0; 3]);
        assert_eq!(shares(Model::TimeDecay), [1.0 / 7.0, 2.0 / 7.0, 4.0 / 7.0]);
        assert_eq!(shares(Model::Position), [0.4, 0.2, 0.4]);
        assert_eq!(Model::Position.shares(&path[..2]).to_vec(), [0.5, 0.5]);
        assert_eq!(Model::LastNonDirect.shares(&touches(&[(3, true), (1, true)])).to_vec(), [0.0, 1.0]);
        for model in Model::ALL {
            assert_eq!(model.shares(&path[..1]).to_vec(), [1.0], "{model:?}");
            assert!(model.shares(&[]).is_empty());
            assert_eq!(Model::parse(model.as_str()), Some(model));
        }
    }

    proptest! {
        #[test]
        fn r03_credit_sums_to_one(ages in prop::collection::vec((0_i64..40_000_000, any::<bool>()), 1..70)) {
            let mut path: Vec<Touch> =
                ages.into_iter().map(|(before_s, is_direct)| Touch { before_s, is_direct }).collect();
            path.sort_by_key(|touch| -touch.before_s);
            for model in Model::ALL {
                let shares = model.shares(&path);
                prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{:?}", model);
                prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{:?}", model);
            }
        }
    }
}
