//! How good the predictions were.

use serde::Serialize;

use super::{Measured, Place, Predicted};

/// The median error of time that is still good.
const ERROR_MAX: f64 = 0.15;

/// The rank correlation that is still good.
const SPEARMAN_MIN: f64 = 0.9;

/// One cell, both ways.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    /// The order of reading.
    pub pattern: String,
    /// From where.
    pub cache: Place,
    /// The name of the way.
    pub way: String,
    /// What was predicted.
    pub predicted_s: f64,
    /// What was measured: the median.
    pub measured_s: f64,
    /// Its 95% interval.
    pub measured_ci95: [f64; 2],
    /// `predicted / measured - 1`: above 0 is too slow a prediction.
    pub error: f64,
    /// Faults that were predicted.
    pub predicted_faults: u64,
    /// Faults that were measured.
    pub measured_faults: u64,
}

/// All cells together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// How many cells.
    pub cells: usize,
    /// The median of the errors without their signs.
    pub median_abs_error: f64,
    /// How many cells are within that bar, 15%.
    pub cells_within: usize,
    /// Spearman's rank correlation of the ways' times within a pattern and place: the mean of all.
    pub spearman: f64,
    /// The least of them.
    pub spearman_worst: f64,
    /// The rank correlation of the speed-ups over the first way, of all cells together.
    pub spearman_speedups: f64,
    /// Whether the error is at most 15% and `spearman` at least 0.9.
    pub good: bool,
}

/// Puts predictions and measurements side by side. They must be of the same cells, in the same order.
#[must_use]
pub fn score(predicted: &[Predicted], measured: &[Measured], ways: usize) -> (Vec<Scored>, Score) {
    let cells: Vec<Scored> = predicted.iter().zip(measured).map(|(p, m)| scored(p, m)).collect();
    let mut errors: Vec<f64> = cells.iter().map(|cell| cell.error.abs()).collect();
    errors.sort_by(f64::total_cmp);
    let groups = || cells.chunks(ways.max(1));
    let times = |group: &[Scored]| {
        let predicted: Vec<f64> = group.iter().map(|cell| cell.predicted_s).collect();
        let measured: Vec<f64> = group.iter().map(|cell| cell.measured_s).collect();
        (predicted, measured)
    };
    let within: Vec<f64> = groups()
        .map(|group| {
            let (predicted, measured) = times(group);
            spearman(&predicted, &measured)
        })
        .collect();
    let (mut fast_predicted, mut fast_measured) = (Vec::new(), Vec::new());
    for group in groups() {
        for cell in &group[1..] {
            fast_predicted.push(group[0].predicted_s / cell.predicted_s);
            fast_measured.push(group[0].measured_s / cell.measured_s);
        }
    }
    let median_abs_error = middle(&errors);
    let spearman_mean = within.iter().sum::<f64>() / within.len().max(1) as f64;
    let score = Score {
        cells: cells.len(),
        median_abs_error,
        cells_within: errors.iter().filter(|&&error| error <= ERROR_MAX).count(),
        spearman: spearman_mean,
        spearman_worst: within.into_iter().fold(1.0, f64::min),
        spearman_speedups: spearman(&fast_predicted, &fast_measured),
        good: median_abs_error <= ERROR_MAX && spearman_mean >= SPEARMAN_MIN,
    };
    (cells, score)
}

fn scored(predicted: &Predicted, measured: &Measured) -> Scored {
    let cell = |pattern: &str, cache, way: &str| (pattern.to_owned(), cache, way.to_owned());
    let of = cell(&predicted.pattern, predicted.cache, &predicted.way);
    assert_eq!(of, cell(&measured.pattern, measured.cache, &measured.way), "other cells");
    let (pattern, cache, way) = of;
    Scored {
        pattern,
        cache,
        way,
        predicted_s: predicted.seconds,
        measured_s: measured.seconds,
        measured_ci95: measured.seconds_ci95,
        error: predicted.seconds / measured.seconds - 1.0,
        predicted_faults: predicted.faults,
        measured_faults: measured.faults,
    }
}

/// The median of sorted values; NaN of none.
fn middle(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// Spearman's rho: Pearson's correlation of the ranks, where equals share theirs. NaN when all of
/// one side are equal.
fn spearman(left: &[f64], right: &[f64]) -> f64 {
    let (left, right) = (ranks(left), ranks(right));
    let mean = (left.len() as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    product(&left, &right) / (product(&left, &left) * product(&right, &right)).sqrt()
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| other.total_cmp(value).is_lt()).count();
        let equal = values.iter().filter(|other| other.total_cmp(value).is_eq()).count();
        below as f64 + (equal as f64 + 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_correlate_as_in_the_books() {
        // Source: any textbook: rho = 1 - 6 * sum(d^2) / (n (n^2 - 1)) without ties.
        assert_eq!(spearman(&[1.0, 2.0, 3.0, 4.0], &[10.0, 20.0, 30.0, 1000.0]), 1.0);
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
        let rho = spearman(&[1.0, 2.0, 3.0, 4.0, 5.0], &[2.0, 1.0, 4.0, 3.0, 5.0]);
        assert!((rho - 0.8).abs() < 1e-12, "{rho}");
        assert_eq!(ranks(&[5.0, 1.0, 5.0]), [2.5, 1.0, 2.5]);
    }

    fn cells(times: [(f64, f64); 4]) -> (Vec<Predicted>, Vec<Measured>) {
        let (pattern, cache) = ("seq".to_owned(), Place::Cold);
        times
            .iter()
            .enumerate()
            .map(|(at, &(predicted, measured))| {
                let (pattern, way) = (pattern.clone(), at.to_string());
                let seconds_ci95 = [measured; 2];
                (
                    Predicted {
                        pattern: pattern.clone(),
                        cache,
                        way: way.clone(),
                        seconds: predicted,
                        faults: 1,
                    },
                    Measured { pattern, cache, way, seconds: measured, seconds_ci95, faults: 1 },
                )
            })
            .unzip()
    }

    #[test]
    fn good_predictions_are_called_good_and_bad_ones_are_not() {
        let (predicted, measured) = cells([(1.0, 1.0), (2.0, 2.2), (3.3, 3.0), (9.0, 8.0)]);
        let (cells_good, good) = score(&predicted, &measured, 4);
        assert!(good.good && good.spearman == 1.0, "{good:?}");
        assert!((cells_good[2].error - 0.1).abs() < 1e-12);
        let (predicted, measured) = cells([(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 1.5)]);
        let (_, wrong_order) = score(&predicted, &measured, 4);
        assert!(!wrong_order.good && wrong_order.median_abs_error == 0.0, "{wrong_order:?}");
        let (predicted, measured) = cells([(2.0, 1.0), (4.0, 2.0), (6.0, 3.0), (8.0, 4.0)]);
        let (_, too_slow) = score(&predicted, &measured, 4);
        assert!(!too_slow.good && too_slow.spearman == 1.0 && too_slow.cells_within == 0);
    }
}
