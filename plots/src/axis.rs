//! Scales, round numbers for an axis, and numbers as people write them.

/// How values become places from 0 (low) to 1 (high).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    Linear {
        low: f64,
        high: f64,
    },
    /// Equal steps are equal ratios; both ends are above 0.
    Log {
        low: f64,
        high: f64,
    },
}

impl Scale {
    /// Where `value` lies; outside of the scale, its nearer end.
    pub(crate) fn share(self, value: f64) -> f64 {
        let share = match self {
            Scale::Linear { low, high } => (value - low) / (high - low),
            Scale::Log { low, high } => (value.max(low) / low).ln() / (high / low).ln(),
        };
        share.clamp(0.0, 1.0)
    }
}

/// A scale with its ticks and what it shows, with the unit.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub(crate) scale: Scale,
    pub(crate) ticks: Vec<(f64, String)>,
    pub(crate) title: String,
}

impl Axis {
    /// From 0, in the fewest round steps, three to six of them, that reach `most`; to 1 where that is next
    /// to nothing.
    pub(crate) fn to(most: f64, title: impl Into<String>) -> Axis {
        let most = if most > 1e-8 { most } else { 1.0 };
        let (step, steps) = round_steps(most);
        let decimals = (0..9).find(|d| is_whole_with(step, *d)).unwrap_or(9);
        let ticks = (0..=steps).map(|i| {
            let at = step * f64::from(i);
            (at, format!("{at:.decimals$}"))
        });
        let high = step * f64::from(steps);
        let scale = Scale::Linear { low: 0.0, high };
        Axis { scale, ticks: ticks.collect(), title: title.into() }
    }

    /// From 0 to just `most` bytes (above 0), in its unit, with ticks at powers of two: most files end at
    /// one, and what is read beside them would leave a step more empty.
    pub(crate) fn of_lengths(most: f64, what: &str) -> Axis {
        let unit = Unit::length(most);
        let units = most / unit.size;
        let step = 2f64.powi((units / 6.0).log2().ceil() as i32);
        // A tick just above the end counts as its end.
        let steps = (units / step + 0.05).floor() as u32;
        let high = units.max(f64::from(steps) * step);
        let ticks = (0..=steps).map(|i| f64::from(i) * step).map(|at| (at, at.to_string()));
        let scale = Scale::Linear { low: 0.0, high };
        Axis { scale, ticks: ticks.collect(), title: format!("{what} ({})", unit.name) }
    }

    /// From 0 to 100%, for shares from 0 to 1.
    pub(crate) fn percent(title: impl Into<String>) -> Axis {
        let ticks = [0, 25, 50, 75, 100].map(|p| (f64::from(p) / 100.0, format!("{p}%")));
        let scale = Scale::Linear { low: 0.0, high: 1.0 };
        Axis { scale, ticks: ticks.to_vec(), title: title.into() }
    }

    /// Whole decades around `low..=high` (both above 0), a tick at each, named by `name`.
    pub(crate) fn decades(
        (low, high): (f64, f64),
        name: impl Fn(f64) -> String,
        title: impl Into<String>,
    ) -> Axis {
        let first = (low.log10() + 1e-9).floor() as i32;
        let last = ((high.log10() - 1e-9).ceil() as i32).max(first + 1);
        let ticks = (first..=last).map(|power| 10f64.powi(power)).map(|at| (at, name(at)));
        let scale = Scale::Log { low: 10f64.powi(first), high: 10f64.powi(last) };
        Axis { scale, ticks: ticks.collect(), title: title.into() }
    }

    /// The upper end.
    pub(crate) fn high(&self) -> f64 {
        match self.scale {
            Scale::Linear { high, .. } | Scale::Log { high, .. } => high,
        }
    }
}

fn round_steps(most: f64) -> (f64, u32) {
    let decade = 10f64.powf((most / 6.0).log10().floor());
    let steps_of = |step: f64| (most / step - 1e-9).ceil().max(1.0);
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|round| round * decade)
        .into_iter()
        .find(|step| steps_of(*step) <= 6.0)
        .unwrap_or(most);
    (step, steps_of(step) as u32)
}

fn is_whole_with(step: f64, decimals: usize) -> bool {
    let scaled = step * 10f64.powi(decimals as i32);
    (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1e-3)
}

/// `value` with three significant digits: 1.21, 20.4, 145; small ones without zeros at the end; 0 for what
/// is not above 0.
pub(crate) fn three_digits(value: f64) -> String {
    if value <= 0.0 {
        return "0".to_owned();
    }
    let decimals = (2 - value.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if value < 0.01 { text.trim_end_matches('0').to_owned() } else { text }
}

/// A unit for a whole figure: divide by the number, write the name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Unit {
    pub(crate) size: f64,
    pub(crate) name: &'static str,
}

const TIMES: [(f64, &str); 4] = [(1.0, "s"), (1e-3, "ms"), (1e-6, "\u{b5}s"), (1e-9, "ns")];
const LENGTHS: [(f64, &str); 4] =
    [(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB"), (1.0, "bytes")];

impl Unit {
    /// For times up to `most` seconds.
    pub(crate) fn time(most: f64) -> Unit {
        Unit::of(&TIMES, most)
    }

    /// For lengths up to `most` bytes.
    pub(crate) fn length(most: f64) -> Unit {
        Unit::of(&LENGTHS, most)
    }

    fn of(units: &[(f64, &'static str)], most: f64) -> Unit {
        let fits = units.iter().find(|unit| most >= unit.0 * 0.999_999);
        let (size, name) = *fits.unwrap_or(&units[units.len() - 1]);
        Unit { size, name }
    }
}

/// One time with its own unit: 1.5 ms.
pub(crate) fn time(seconds: f64) -> String {
    let unit = Unit::time(seconds);
    format!("{} {}", trimmed(seconds / unit.size), unit.name)
}

/// One length with its own unit: 64 KiB.
pub(crate) fn length(bytes: f64) -> String {
    let unit = Unit::length(bytes);
    format!("{} {}", trimmed(bytes / unit.size), unit.name)
}

/// Three digits, without zeros behind the point.
fn trimmed(value: f64) -> String {
    let text = three_digits(value);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_reach_the_value() {
        let labels = |most| Axis::to(most, "").ticks.into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(labels(28.4), ["0", "5", "10", "15", "20", "25", "30"]);
        assert_eq!(labels(2.3), ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        assert_eq!(labels(30.0).last().unwrap(), "30");
        for exponent in -60..60 {
            let most = 10f64.powf(f64::from(exponent) / 10.0);
            let axis = Axis::to(most, "");
            let count = axis.ticks.len();
            assert!(
                axis.high() >= most * 0.999_999 && (3..=7).contains(&count),
                "{most}: {axis:?}"
            );
        }
    }

    #[test]
    fn lengths_have_steps_of_powers_of_two() {
        let labels = |most| {
            let ticks = Axis::of_lengths(most, "").ticks.into_iter();
            ticks.map(|tick| tick.1).collect::<Vec<_>>().join(" ")
        };
        let mib = 1_048_576.0;
        assert_eq!(labels(64.0 * mib), "0 16 32 48 64");
        assert_eq!(labels(260.0 * mib), "0 64 128 192 256");
        assert_eq!(labels(1024.0 * mib), "0 0.25 0.5 0.75 1");
        assert_eq!(labels(63.9 * mib), "0 16 32 48 64");
        assert_eq!(labels(1.0), "0 0.25 0.5 0.75 1");
        assert_eq!(Axis::of_lengths(64.0 * mib, "memory").title, "memory (MiB)");
    }

    #[test]
    fn next_to_nothing_has_an_axis_too() {
        for most in [0.0, f64::MIN_POSITIVE, 1e-300] {
            assert_eq!(Axis::to(most, "").high(), 1.0, "{most}");
        }
    }

    #[test]
    fn decades_hold_both_ends() {
        let axis = Axis::decades((3e-7, 0.02), time, "");
        let names: Vec<_> = axis.ticks.iter().map(|tick| tick.1.as_str()).collect();
        assert_eq!(
            names,
            ["100 ns", "1 \u{b5}s", "10 \u{b5}s", "100 \u{b5}s", "1 ms", "10 ms", "100 ms"]
        );
        assert_eq!((axis.scale.share(1e-7), axis.scale.share(1.0)), (0.0, 1.0));
        assert_eq!(Axis::decades((10.0, 10.0), time, "").ticks.len(), 2);
    }

    #[test]
    fn values_keep_three_digits() {
        let written = [0.0123, 1.0, 2.345, 20.44, 145.2, 0.0, 1e-6].map(three_digits);
        assert_eq!(written, ["0.0123", "1.00", "2.35", "20.4", "145", "0", "0.000001"]);
        assert_eq!((time(0.0015), length(65536.0)), ("1.5 ms".into(), "64 KiB".into()));
    }
}
