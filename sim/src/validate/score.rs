//! How good the predictions were.
//!
//! Which way is faster is only known as far as the measurement tells: two ways whose 95% intervals
//! overlap are a tie. Of two that do not, one is faster, and so it is of their predictions, however
//! little one is below the other: a prediction has no interval of its own. Two that tie tie in the
//! prediction too, unless it puts them further apart than their intervals leave open, which is a mistake
//! as large as any other. So a prediction of every measured time has the correlation 1, its reverse -1,
//! and noise is no merit and no mistake. Where all ways of a pattern tie (a device at its limit) there is
//! no order that could be predicted, and its correlation is left out; `orders` says how many are left.

use std::cmp::Ordering;

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
    /// In how many of all patterns and places the ways did not all tie.
    pub orders: usize,
    /// Spearman's rank correlation of the ways' times within a pattern and place, where ways that cannot
    /// be told apart tie: the mean of all that have an order; NaN when none has.
    pub spearman: f64,
    /// The least of them.
    pub spearman_worst: f64,
    /// The same mean without ties: every difference counts, seen or not. Over all patterns and places.
    pub spearman_untied: f64,
    /// The rank correlation of the speed-ups over the first way, of all cells together.
    pub spearman_speedups: f64,
    /// Whether the error is at most 15% and `spearman` at least 0.9.
    pub good: bool,
}

/// Puts predictions and measurements side by side. They must be of the same cells, in the same order.
#[must_use]
pub fn score(predicted: &[Predicted], measured: &[Measured]) -> (Vec<Scored>, Score) {
    let cells: Vec<Scored> = predicted.iter().zip(measured).map(|(p, m)| scored(p, m)).collect();
    let mut errors: Vec<f64> = cells.iter().map(|cell| cell.error.abs()).collect();
    errors.sort_by(f64::total_cmp);
    let is_one = |a: &Scored, b: &Scored| a.pattern == b.pattern && a.cache == b.cache;
    let groups = || cells.chunk_by(is_one);
    let within: Vec<f64> = groups().filter_map(order).collect();
    let untied: Vec<f64> = groups().map(order_untied).collect();
    let (mut fast_predicted, mut fast_measured) = (Vec::new(), Vec::new());
    for group in groups() {
        for cell in &group[1..] {
            fast_predicted.push(group[0].predicted_s / cell.predicted_s);
            fast_measured.push(group[0].measured_s / cell.measured_s);
        }
    }
    let median_abs_error = middle(&errors);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let spearman_mean = mean(&within);
    let score = Score {
        cells: cells.len(),
        median_abs_error,
        cells_within: errors.iter().filter(|&&error| error <= ERROR_MAX).count(),
        orders: within.len(),
        spearman: spearman_mean,
        spearman_worst: within.iter().copied().fold(1.0, f64::min),
        spearman_untied: mean(&untied),
        spearman_speedups: correlation(&ranks_of(&fast_predicted), &ranks_of(&fast_measured)),
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

/// The rank correlation of the times of a group's ways; none when all measured ones tie.
fn order(group: &[Scored]) -> Option<f64> {
    let measured = ranks(group, measured_order);
    let predicted = ranks(group, predicted_order);
    measured.iter().any(|rank| *rank != measured[0]).then(|| correlation(&predicted, &measured))
}

/// Which of two ways is faster, if it can be told.
fn measured_order(left: &Scored, right: &Scored) -> Ordering {
    let ([left_low, left_high], [right_low, right_high]) =
        (left.measured_ci95, right.measured_ci95);
    match (left_high < right_low, right_high < left_low) {
        (true, _) => Ordering::Less,
        (_, true) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

/// Which of two ways is predicted to be faster. Of two that cannot be told apart none is, as long as
/// their predictions are no further apart than what was measured may be.
fn predicted_order(left: &Scored, right: &Scored) -> Ordering {
    let ([left_low, left_high], [right_low, right_high]) =
        (left.measured_ci95, right.measured_ci95);
    let ratio = left.predicted_s / right.predicted_s;
    let is_open = (left_low / right_high..=left_high / right_low).contains(&ratio);
    if measured_order(left, right) == Ordering::Equal && is_open {
        return Ordering::Equal;
    }
    left.predicted_s.total_cmp(&right.predicted_s)
}

fn order_untied(group: &[Scored]) -> f64 {
    let times = |of: fn(&Scored) -> f64| ranks_of(&group.iter().map(of).collect::<Vec<_>>());
    correlation(&times(|cell| cell.predicted_s), &times(|cell| cell.measured_s))
}

/// Spearman's rho: Pearson's correlation of the ranks. 0 when all of one side tie: it says nothing of
/// the other.
fn correlation(left: &[f64], right: &[f64]) -> f64 {
    let mean = (left.len() as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let spread = product(left, left) * product(right, right);
    if spread > 0.0 { product(left, right) / spread.sqrt() } else { 0.0 }
}

/// The rank of each: 1, and 1 for each that comes before it, and a half for each other that ties with
/// it. Of numbers without equals these are the usual ranks, and equals share theirs.
fn ranks<T>(values: &[T], order: impl Fn(&T, &T) -> Ordering) -> Vec<f64> {
    let rank = |of: &T| {
        let count = |is: Ordering| values.iter().filter(|other| order(other, of) == is).count();
        count(Ordering::Less) as f64 + (count(Ordering::Equal) as f64 + 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

fn ranks_of(values: &[f64]) -> Vec<f64> {
    ranks(values, f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_correlate_as_in_the_books() {
        // Source: any textbook: rho = 1 - 6 * sum(d^2) / (n (n^2 - 1)) without ties.
        let spearman = |left: &[f64], right: &[f64]| correlation(&ranks_of(left), &ranks_of(right));
        assert_eq!(spearman(&[1.0, 2.0, 3.0, 4.0], &[10.0, 20.0, 30.0, 1000.0]), 1.0);
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
        let rho = spearman(&[1.0, 2.0, 3.0, 4.0, 5.0], &[2.0, 1.0, 4.0, 3.0, 5.0]);
        assert!((rho - 0.8).abs() < 1e-12, "{rho}");
        assert_eq!(ranks_of(&[5.0, 1.0, 5.0]), [2.5, 1.0, 2.5]);
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), 0.0, "all of one side tie");
    }

    fn scored_as(ways: &[(f64, f64, [f64; 2])]) -> Vec<Scored> {
        let way = |&(predicted_s, measured_s, measured_ci95): &(f64, f64, [f64; 2])| Scored {
            pattern: "seq".into(),
            cache: Place::Cold,
            way: String::new(),
            predicted_s,
            measured_s,
            measured_ci95,
            error: 0.0,
            predicted_faults: 0,
            measured_faults: 0,
        };
        ways.iter().map(way).collect()
    }

    #[test]
    fn what_no_measurement_tells_apart_is_no_mistake() {
        let slow = (9.0, 9.0, [8.9, 9.1]);
        let tied = scored_as(&[(2.0, 2.1, [1.8, 2.3]), (2.1, 2.0, [1.8, 2.3]), slow]);
        assert_eq!(order(&tied), Some(1.0), "the first two in either order");
        let told = scored_as(&[(2.0, 2.1, [2.09, 2.11]), (2.1, 2.0, [1.99, 2.01]), slow]);
        assert_eq!(order(&told), Some(0.5));
        assert_eq!(order_untied(&tied), 0.5);
        let little = scored_as(&[(2.0, 2.0, [1.9, 2.1]), (2.1, 2.3, [2.2, 2.9]), slow]);
        assert_eq!(order(&little), Some(1.0), "told, and predicted to be a little slower");
        let turned =
            scored_as(&[(9.0, 1.0, [1.0, 1.1]), (2.0, 2.0, [1.9, 2.1]), (1.0, 9.0, [8.0, 9.1])]);
        assert_eq!(order(&turned), Some(-1.0));
        // Tied, but predicted further apart than the measurement leaves open.
        let apart = scored_as(&[(1.0, 2.1, [1.8, 2.3]), (2.1, 2.0, [1.8, 2.3]), slow]);
        assert!(order(&apart).is_some_and(|rho| rho < 0.95));
        let nothing = scored_as(&[(1.0, 2.1, [1.8, 2.3]), (2.1, 2.0, [1.8, 2.3])]);
        assert_eq!(order(&nothing), None, "there is no order");
        let blind = scored_as(&[(2.0, 1.0, [0.9, 1.1]), (2.0, 2.0, [1.9, 2.1])]);
        assert_eq!(order(&blind), Some(0.0), "there is one, and it was not seen");
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
        let (cells_good, good) = score(&predicted, &measured);
        assert!(good.good && good.spearman == 1.0, "{good:?}");
        assert!((cells_good[2].error - 0.1).abs() < 1e-12);
        let (predicted, measured) = cells([(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 1.5)]);
        let (_, wrong_order) = score(&predicted, &measured);
        assert!(!wrong_order.good && wrong_order.median_abs_error == 0.0, "{wrong_order:?}");
        let (predicted, measured) = cells([(2.0, 1.0), (4.0, 2.0), (6.0, 3.0), (8.0, 4.0)]);
        let (_, too_slow) = score(&predicted, &measured);
        assert!(!too_slow.good && too_slow.spearman == 1.0 && too_slow.cells_within == 0);
    }
}
