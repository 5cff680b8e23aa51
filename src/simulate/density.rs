//! Random quantities of the synthetic world, as its file names them: a parametric family each.
//!
//! The model that attribution learns ([`crate::core::attribution`]) is of another kind on purpose and shares no code
//! with this: the benchmark would prove nothing if the model knew the formula of the world.

use rand_core::Rng;
use rand_distr::Distribution as _;
use serde::Deserialize;

/// A quantity above zero. Times are in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Density {
    family: Family,
    /// Larger draws become this.
    max: f64,
}

#[derive(Clone, Debug)]
enum Family {
    LogNormal(rand_distr::LogNormal<f64>),
    Weibull(rand_distr::Weibull<f64>),
    Gamma(rand_distr::Gamma<f64>),
    Exponential(rand_distr::Exp<f64>),
    /// Lomax: a Pareto that starts at 0.
    Lomax {
        scale: f64,
        pareto: rand_distr::Pareto<f64>,
    },
    Uniform {
        from: f64,
        to: f64,
    },
}

#[derive(Deserialize)]
#[serde(tag = "family", rename_all = "snake_case", deny_unknown_fields)]
enum Written {
    /// `sigma` is of the natural logarithm; mean = median · exp(sigma² / 2).
    LogNormal {
        median: f64,
        sigma: f64,
        #[serde(default = "no_max")]
        max: f64,
    },
    Weibull {
        scale: f64,
        shape: f64,
        #[serde(default = "no_max")]
        max: f64,
    },
    Gamma {
        shape: f64,
        scale: f64,
        #[serde(default = "no_max")]
        max: f64,
    },
    Exponential {
        mean: f64,
        #[serde(default = "no_max")]
        max: f64,
    },
    Lomax {
        scale: f64,
        shape: f64,
        #[serde(default = "no_max")]
        max: f64,
    },
    Uniform {
        from: f64,
        to: f64,
    },
}

/// Thirty years: whatever a file says, sums of times stay countable.
const MAX: f64 = 1e9;

fn no_max() -> f64 {
    MAX
}

impl TryFrom<Written> for Density {
    type Error = String;

    fn try_from(written: Written) -> Result<Density, String> {
        let (family, max) = match written {
            Written::LogNormal { median, sigma, max } if median > 0.0 => {
                (Family::LogNormal(made(rand_distr::LogNormal::new(median.ln(), sigma))?), max)
            }
            Written::LogNormal { .. } => return Err("the median must be above 0".into()),
            Written::Weibull { scale, shape, max } => {
                (Family::Weibull(made(rand_distr::Weibull::new(scale, shape))?), max)
            }
            Written::Gamma { shape, scale, max } => (Family::Gamma(made(rand_distr::Gamma::new(shape, scale))?), max),
            Written::Exponential { mean, max } if mean > 0.0 => {
                (Family::Exponential(made(rand_distr::Exp::new(1.0 / mean))?), max)
            }
            Written::Exponential { .. } => return Err("the mean must be above 0".into()),
            Written::Lomax { scale, shape, max } => {
                (Family::Lomax { scale, pareto: made(rand_distr::Pareto::new(scale, shape))? }, max)
            }
            Written::Uniform { from, to } if 0.0 <= from && from <= to => (Family::Uniform { from, to }, to),
            Written::Uniform { .. } => return Err("0 <= from <= to is wanted".into()),
        };
        if max > 0.0 { Ok(Density { family, max: max.min(MAX) }) } else { Err("max must be above 0".into()) }
    }
}

fn made<D, E: std::fmt::Display>(result: Result<D, E>) -> Result<D, String> {
    result.map_err(|error| error.to_string())
}

impl Density {
    pub fn draw(&self, rng: &mut impl Rng) -> f64 {
        let value = match &self.family {
            Family::LogNormal(family) => family.sample(rng),
            Family::Weibull(family) => family.sample(rng),
            Family::Gamma(family) => family.sample(rng),
            Family::Exponential(family) => family.sample(rng),
            Family::Lomax { scale, pareto } => pareto.sample(rng) - scale,
            Family::Uniform { from, to } => from + (to - from) * unit(rng),
        };
        value.min(self.max)
    }
}

/// Evenly from 0 to 1 without 1.
pub fn unit(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Whether something of this probability happens.
pub fn happens(probability: f64, rng: &mut impl Rng) -> bool {
    unit(rng) < probability
}

/// An index by weight; 0 when there are none.
pub fn pick(weights: &[f64], rng: &mut impl Rng) -> usize {
    let mut left = unit(rng) * weights.iter().sum::<f64>();
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return index;
        }
    }
    weights.len().saturating_sub(1)
}

/// How often something happens when it does `mean` times on average.
pub fn poisson(mean: f64, rng: &mut impl Rng) -> usize {
    rand_distr::Poisson::new(mean).map_or(0, |family| family.sample(rng) as usize)
}

/// Shares of the first, second, … of `count`: 1 / rank^exponent, together 1 (Zipf).
pub fn zipf(count: usize, exponent: f64) -> Vec<f64> {
    let weights: Vec<f64> = (1..=count).map(|rank| (rank as f64).powf(-exponent)).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    fn mean(text: &str) -> Result<f64, String> {
        let density: Density = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        Ok((0..40_000).map(|_| density.draw(&mut rng)).sum::<f64>() / 40_000.0)
    }

    #[test]
    fn families_have_their_means() {
        for (text, expected) in [
            ("family = 'log_normal'\nmedian = 70\nsigma = 1.0", 115.4),
            ("family = 'weibull'\nscale = 10\nshape = 1", 10.0),
            ("family = 'gamma'\nshape = 2\nscale = 5", 10.0),
            ("family = 'exponential'\nmean = 10", 10.0),
            ("family = 'lomax'\nscale = 20\nshape = 3", 10.0),
            ("family = 'uniform'\nfrom = 2\nto = 13", 7.5),
            ("family = 'uniform'\nfrom = 2\nto = 2", 2.0),
        ] {
            let mean = mean(text).unwrap();
            assert!((mean / expected - 1.0).abs() < 0.04, "{text}: {mean}");
        }
        assert!(mean("family = 'exponential'\nmean = 10\nmax = 1").unwrap() < 1.0);
    }

    #[test]
    fn what_is_no_density_is_refused() {
        for text in [
            "family = 'log_normal'\nmedian = 0\nsigma = 1",
            "family = 'weibull'\nscale = -1\nshape = 1",
            "family = 'uniform'\nfrom = 3\nto = 2",
            "family = 'exponential'\nmean = 1\nmax = 0",
            "family = 'exponential'\nmean = 1\nsigma = 0",
            "family = 'bell'",
        ] {
            assert!(mean(text).is_err(), "{text}");
        }
    }

    #[test]
    fn weights() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let picked = (0..10_000).filter(|_| pick(&[1.0, 3.0], &mut rng) == 1).count();
        assert!((7_300..7_700).contains(&picked), "{picked}");
        assert_eq!(pick(&[], &mut rng), 0);
        assert_eq!(zipf(2, 1.0), [2.0 / 3.0, 1.0 / 3.0]);
        assert_eq!(poisson(0.0, &mut rng), 0);
    }
}
