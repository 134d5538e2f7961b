//! What came of the replicas: means with intervals, and each strategy against the first.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::cell::Read;
use super::results::Results;

/// How sure intervals are meant to be.
const COVERAGE: f64 = 0.95;

/// A mean and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Its 95% interval by Student's t; `None` for a single value.
    pub ci95: Option<[f64; 2]>,
}

/// A strategy against the first one, seed by seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// How many times as fast (the geometric mean over the seeds).
    pub speedup: f64,
    /// Its 95% interval; `None` for a single seed.
    pub ci95: Option<[f64; 2]>,
    /// The chance to see such a difference, or a larger one, where there is none (two-sided paired
    /// t-test of the logarithms); `None` for a single seed.
    pub p: Option<f64>,
}

/// All replicas of one cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename = "summary")]
pub struct Summary {
    /// The machine's name.
    pub machine: String,
    /// The workload's name.
    pub workload: String,
    /// The strategy's name.
    pub strategy: String,
    /// Its largest window, where that was turned.
    pub window_pages: Option<u64>,
    /// Its distance, where that was turned.
    pub distance_pages: Option<u64>,
    /// How many seeds.
    pub runs: usize,
    /// Seconds until the last reader ended.
    pub seconds: Mean,
    /// Against the sweep's first strategy on the same machine and workload; `None` for that itself.
    pub against_baseline: Option<Paired>,
}

/// A summary of every cell, in the order of the sweep.
#[must_use]
pub fn summaries(results: &Results) -> Vec<Summary> {
    let baseline = results.baseline();
    let cells: Vec<&Read> = results.cells().collect();
    let groups: Vec<&[&Read]> = cells.chunk_by(|a, b| is_same(a, b)).collect();
    let one = |group: &&[&Read]| {
        let first = group[0];
        let is_base = |other: &&&[&Read]| {
            let other = other[0];
            other.strategy == baseline
                && (&other.machine, &other.workload) == (&first.machine, &first.workload)
        };
        let base = groups.iter().find(is_base).filter(|_| first.strategy != baseline);
        let seconds: Vec<f64> = group.iter().map(|cell| cell.virtual_seconds).collect();
        Summary {
            machine: first.machine.clone(),
            workload: first.workload.clone(),
            strategy: first.strategy.clone(),
            window_pages: first.window_pages,
            distance_pages: first.distance_pages,
            runs: group.len(),
            seconds: Mean::of(&seconds),
            against_baseline: base.map(|base| paired(base, group)),
        }
    };
    groups.iter().map(one).collect()
}

fn is_same(a: &Read, b: &Read) -> bool {
    let key = |cell: &Read| (cell.window_pages, cell.distance_pages);
    (&a.machine, &a.workload, &a.strategy) == (&b.machine, &b.workload, &b.strategy)
        && key(a) == key(b)
}

fn paired(base: &[&Read], group: &[&Read]) -> Paired {
    let log = |cell: &Read| cell.virtual_seconds.max(f64::MIN_POSITIVE).ln();
    let ratios: Vec<f64> = group
        .iter()
        .filter_map(|cell| {
            let base = base.iter().find(|base| base.seed == cell.seed)?;
            Some(log(base) - log(cell))
        })
        .collect();
    let mean = Mean::of(&ratios);
    let p = spread(&ratios).map(|(t, error)| {
        let distance = (mean.mean / error).abs();
        if distance.is_nan() { 1.0 } else { 2.0 * (1.0 - t.cdf(distance)) }
    });
    let ci95 = mean.ci95.map(|ends| ends.map(f64::exp));
    Paired { speedup: mean.mean.exp(), ci95, p }
}

impl Mean {
    /// Of `values`, which are not none.
    #[must_use]
    pub fn of(values: &[f64]) -> Mean {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let ci95 = spread(values).map(|(t, error)| {
            let reach = t.inverse_cdf((1.0 + COVERAGE) / 2.0) * error;
            [mean - reach, mean + reach]
        });
        Mean { mean, ci95 }
    }
}

/// Student's distribution for so many values, and the standard error of their mean.
fn spread(values: &[f64]) -> Option<(StudentsT, f64)> {
    let count = values.len() as f64;
    let t = StudentsT::new(0.0, 1.0, count - 1.0).ok()?;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Some((t, (variance / count).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_have_students_interval() {
        // Source: t for 4 degrees of freedom at 97.5% is 2.776; the standard error here 0.7071.
        let Mean { mean, ci95 } = Mean::of(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        let [low, high] = ci95.unwrap();
        assert_eq!(mean, 3.0);
        assert!((low - 1.0367).abs() < 1e-3 && (high - 4.9633).abs() < 1e-3, "{low} {high}");
        assert_eq!(Mean::of(&[7.0]), Mean { mean: 7.0, ci95: None });
    }
}
