//! Round numbers for an axis, and numbers as people write them.

/// A linear axis from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    step: f64,
    steps: u32,
}

impl Axis {
    /// The axis with the fewest round steps, three to six of them, that reaches `most` (above 0).
    pub(crate) fn to(most: f64) -> Axis {
        let decade = 10f64.powf((most / 6.0).log10().floor());
        let steps_of = |step: f64| (most / step).ceil().max(1.0);
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .map(|round| round * decade)
            .into_iter()
            .find(|step| steps_of(*step) <= 6.0)
            .unwrap_or(most);
        Axis { step, steps: steps_of(step) as u32 }
    }

    /// Its upper end.
    pub(crate) fn end(self) -> f64 {
        self.step * f64::from(self.steps)
    }

    /// Its ticks from 0 to the end, with their labels.
    pub(crate) fn ticks(self) -> impl Iterator<Item = (f64, String)> {
        let decimals = (0..9).find(|d| self.is_whole_with(*d)).unwrap_or(9);
        (0..=self.steps).map(move |i| {
            let at = self.step * f64::from(i);
            (at, format!("{at:.decimals$}"))
        })
    }

    fn is_whole_with(self, decimals: usize) -> bool {
        let scaled = self.step * 10f64.powi(decimals as i32);
        (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1e-3)
    }
}

/// `value` (above 0) with three significant digits: 1.21, 20.4, 145.
pub(crate) fn three_digits(value: f64) -> String {
    let decimals = (2 - value.log10().floor() as i32).max(0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_reach_the_value() {
        let labels = |most| Axis::to(most).ticks().map(|tick| tick.1).collect::<Vec<_>>();
        assert_eq!(labels(28.4), ["0", "5", "10", "15", "20", "25", "30"]);
        assert_eq!(labels(2.3), ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        assert_eq!(labels(30.0).last().unwrap(), "30");
        for exponent in -60..60 {
            let most = 10f64.powf(f64::from(exponent) / 10.0);
            let (axis, count) = (Axis::to(most), Axis::to(most).ticks().count());
            assert!(axis.end() >= most * 0.999_999 && (3..=7).contains(&count), "{most}: {axis:?}");
        }
    }

    #[test]
    fn values_keep_three_digits() {
        let written = [0.0123, 1.0, 2.345, 20.44, 145.2].map(three_digits);
        assert_eq!(written, ["0.0123", "1.00", "2.35", "20.4", "145"]);
    }
}
