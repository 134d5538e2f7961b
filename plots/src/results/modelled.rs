//! Lines of the simulator.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Checked, Environment, amount, positive, share};

/// One bar or a part of it in Choi et al., Figure 1: `{"kind":"choi",..}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choi {
    /// `read`, `default-mmap` or `populate-mmap`.
    pub case: String,
    /// `total`, or the name of a part.
    pub component: String,
    /// In the paper, in seconds; absent where the paper does not say.
    #[serde(default)]
    pub paper_s: Option<f64>,
    /// Simulated, in seconds.
    pub sim_s: f64,
}

impl Checked for Choi {
    fn check(&self) -> Result<(), String> {
        amount("sim_s", self.sim_s)?;
        self.paper_s.map_or(Ok(()), |paper| amount("paper_s", paper))
    }
}

/// One strategy on one workload: `{"kind":"sim",..}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sim {
    /// The modelled machine's name.
    #[serde(default)]
    pub machine: String,
    /// The name of the workload or trace.
    #[serde(alias = "trace")]
    pub workload: String,
    /// The strategy's name, that of its policy where it has one.
    #[serde(alias = "policy")]
    pub strategy: String,
    /// When the last reader ended, in virtual seconds.
    pub virtual_seconds: f64,
    /// Fetched pages that were used, of all fetched; absent when nothing was fetched.
    #[serde(default)]
    pub accuracy: Option<f64>,
    /// Touches that needed no fault, of all.
    #[serde(default)]
    pub coverage: Option<f64>,
    /// Used pages that were ready in time, of all used; absent when none was.
    #[serde(default)]
    pub timeliness: Option<f64>,
    /// What the readers' time went to, in nanoseconds: names end in `_ns`.
    #[serde(default)]
    pub breakdown: BTreeMap<String, u64>,
    /// What the breakdown adds up to: the time of all readers.
    #[serde(default)]
    pub reader_ns: Option<u64>,
}

impl Sim {
    /// What it is compared within.
    #[must_use]
    pub fn scenario(&self) -> String {
        match self.machine.as_str() {
            "" => self.workload.clone(),
            machine => format!("{} on {machine}", self.workload),
        }
    }
}

impl Checked for Sim {
    fn check(&self) -> Result<(), String> {
        positive("virtual_seconds", self.virtual_seconds)?;
        let shares = [
            ("accuracy", self.accuracy),
            ("coverage", self.coverage),
            ("timeliness", self.timeliness),
        ];
        shares
            .into_iter()
            .try_for_each(|(name, value)| value.map_or(Ok(()), |v| share(name, v)))?;
        let sum: u128 = self.breakdown.values().map(|part| u128::from(*part)).sum();
        amount("the breakdown", sum as f64 / 1e9)?;
        if u64::try_from(sum).is_err() {
            return Err(format!("the breakdown adds up to {sum} ns, longer than any run"));
        }
        match self.reader_ns {
            Some(all) if !self.breakdown.is_empty() && u128::from(all) != sum => {
                Err(format!("the breakdown adds up to {sum} ns, not to {all} ns"))
            }
            _ => Ok(()),
        }
    }
}

/// One point of a sweep, over its seeds: `{"kind":"summary",..}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The machine's name.
    pub machine: String,
    /// The workload's name.
    pub workload: String,
    /// The strategy's name.
    pub strategy: String,
    /// Its largest window in pages of 4 KiB; absent where that was not turned.
    #[serde(default)]
    pub window_pages: Option<u64>,
    /// Its distance, likewise.
    #[serde(default)]
    pub distance_pages: Option<u64>,
    /// Virtual seconds until the last reader ended.
    pub seconds: Mean,
}

/// A mean over the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Its 95% interval, where there were several seeds.
    #[serde(default)]
    pub ci95: Option<[f64; 2]>,
}

impl Sweep {
    /// The window in bytes.
    #[must_use]
    pub fn window_bytes(&self) -> Option<f64> {
        self.window_pages.map(|pages| pages as f64 * 4096.0)
    }

    /// The distance in bytes.
    #[must_use]
    pub fn distance_bytes(&self) -> Option<f64> {
        self.distance_pages.map(|pages| pages as f64 * 4096.0)
    }

    /// What it is compared within.
    #[must_use]
    pub fn scenario(&self) -> String {
        format!("{} on {}", self.workload, self.machine)
    }
}

impl Checked for Sweep {
    fn check(&self) -> Result<(), String> {
        positive("the mean of seconds", self.seconds.mean)?;
        if let Some([low, high]) = self.seconds.ci95 {
            amount("the interval's lower end", low.max(0.0))?;
            amount("the interval's upper end", high.max(0.0))?;
            let mean = self.seconds.mean;
            if mean < low || mean > high {
                return Err(format!("the mean {mean} is outside of its interval {low} to {high}"));
            }
        }
        let knobs = [("window_pages", self.window_pages), ("distance_pages", self.distance_pages)];
        let mut turned = knobs.into_iter().filter_map(|(name, value)| Some((name, value?)));
        turned.try_for_each(|(name, value)| positive(name, value as f64))
    }
}

/// One cell that was predicted before it was measured: `{"kind":"validate",..}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validate {
    /// The pattern's name.
    pub pattern: String,
    /// `cold` or `warm`.
    pub cache: String,
    /// The way to read, by the name of its engine, and of its policy where that is not the default.
    pub way: String,
    /// Predicted, in seconds.
    pub predicted_s: f64,
    /// Measured, in seconds.
    pub measured_s: f64,
    /// The machine.
    #[serde(default)]
    pub environment: Option<Environment>,
}

impl Checked for Validate {
    fn check(&self) -> Result<(), String> {
        positive("predicted_s", self.predicted_s)?;
        positive("measured_s", self.measured_s)
    }
}
