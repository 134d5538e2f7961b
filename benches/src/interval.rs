//! Medians, and how sure they are.

use statrs::distribution::{Binomial, DiscreteCDF};

/// How sure an interval is meant to be.
const COVERAGE: f64 = 0.95;

/// A median with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Median {
    /// The median.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// The chance that an interval made in this way holds the true median: at least 0.95 from 6
    /// samples on; what the extremes give below that.
    pub coverage: f64,
}

impl Median {
    /// The median of `samples` with its exact order-statistic interval: whatever the distribution,
    /// the number of samples below the true median is binomial with p = 1/2. No seed, no model.
    ///
    /// None when there are no samples.
    #[must_use]
    pub fn of(samples: &[f64]) -> Option<Median> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let middle = sorted.get(count / 2)?;
        let value = match count % 2 {
            0 => (sorted[count / 2 - 1] + middle) / 2.0,
            _ => *middle,
        };
        let (cut, coverage) = ranks_cut(count as u64);
        Some(Median { value, low: sorted[cut], high: sorted[count - 1 - cut], coverage })
    }
}

/// How many samples to leave out at each end so that the rest still covers, and how well it does.
fn ranks_cut(count: u64) -> (usize, f64) {
    let Ok(below) = Binomial::new(0.5, count) else {
        return (0, 0.0);
    };
    let coverage = |cut: u64| 1.0 - 2.0 * below.cdf(cut);
    let best = (0..count / 2).take_while(|&cut| coverage(cut) >= COVERAGE).last().unwrap_or(0);
    (usize::try_from(best).unwrap_or(0), coverage(best).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Rng;

    #[test]
    fn the_ranks_are_those_of_the_tables() {
        // Source: any table of order-statistic intervals for the median, e.g. Hollander and Wolfe.
        for (count, cut) in [(5, 0), (6, 0), (8, 0), (9, 1), (12, 2), (21, 5), (30, 9)] {
            assert_eq!(ranks_cut(count).0, cut, "{count} samples");
        }
        assert!((ranks_cut(5).1 - 0.9375).abs() < 1e-9);
        assert!((ranks_cut(6).1 - 0.96875).abs() < 1e-9);
    }

    #[test]
    fn medians_of_few_samples() {
        assert_eq!(Median::of(&[]), None);
        let one = Median::of(&[3.0]).unwrap();
        assert_eq!((one.value, one.low, one.high), (3.0, 3.0, 3.0));
        assert!(one.coverage < 1e-9);
        assert_eq!(Median::of(&[4.0, 1.0]).unwrap().value, 2.5);
        assert_eq!(Median::of(&[9.0, 1.0, 2.0]).unwrap().value, 2.0);
    }

    #[test]
    fn the_interval_holds_the_median_as_often_as_it_says() {
        let mut rng = Rng::new(17);
        let mut hits = 0;
        for _ in 0..2000 {
            let samples: Vec<f64> = (0..21).map(|_| rng.unit()).collect();
            let median = Median::of(&samples).unwrap();
            hits += u32::from(median.low <= 0.5 && 0.5 <= median.high);
        }
        assert!((1890..=1990).contains(&hits), "{hits} of 2000, wanted about 1945");
    }
}
