//! Straight lines through measured points.

/// A slope and an intercept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) slope: f64,
    pub(super) at_0: f64,
}

/// The line of Theil and Sen: the median of the slopes between all pairs, and the median of what is
/// left of the points. Up to 29% of the points may be anything. At least two different x.
pub(super) fn theil_sen(points: &[(f64, f64)]) -> Line {
    let pairs = points
        .iter()
        .enumerate()
        .flat_map(|(index, first)| points[index + 1..].iter().map(move |second| (first, second)));
    let slopes = pairs
        .filter(|(first, second)| first.0 != second.0)
        .map(|(first, second)| (second.1 - first.1) / (second.0 - first.0));
    let slope = median(slopes.collect());
    let at_0 = median(points.iter().map(|(x, y)| y - slope * x).collect());
    Line { slope, at_0 }
}

/// 0 of nothing.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wild_point_does_not_move_the_line() {
        let mut points: Vec<(f64, f64)> =
            (1..=8).map(|x| (f64::from(x), 3.0 * f64::from(x) + 7.0)).collect();
        assert_eq!(theil_sen(&points), Line { slope: 3.0, at_0: 7.0 });
        points[5].1 = 1e9;
        points[2].1 = 0.0;
        assert_eq!(theil_sen(&points), Line { slope: 3.0, at_0: 7.0 });
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
