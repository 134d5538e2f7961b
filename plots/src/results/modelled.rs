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
    /// The modelled machine.
    #[serde(default)]
    pub environment: Option<Environment>,
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
        match self.reader_ns {
            Some(all) if !self.breakdown.is_empty() && u128::from(all) != sum => {
                Err(format!("the breakdown adds up to {sum} ns, not to {all} ns"))
            }
            _ => Ok(()),
        }
    }
}

/// One point of a sweep: `{"kind":"sweep",..}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The trace's name.
    pub trace: String,
    /// The policy's name.
    pub policy: String,
    /// The device's name.
    #[serde(default)]
    pub device: String,
    /// The longest window, in bytes.
    pub window_bytes: u64,
    /// The distance, in bytes; absent when the policy has none of its own.
    #[serde(default)]
    pub distance_bytes: Option<u64>,
    /// The median throughput, in GB/s.
    pub gb_per_s: f64,
    /// Its 95% interval, where there were several seeds.
    #[serde(default)]
    pub gb_per_s_ci95: Option<[f64; 2]>,
}

impl Checked for Sweep {
    fn check(&self) -> Result<(), String> {
        positive("window_bytes", self.window_bytes as f64)?;
        positive("gb_per_s", self.gb_per_s)?;
        self.distance_bytes.map_or(Ok(()), |distance| positive("distance_bytes", distance as f64))
    }
}

/// One cell that was predicted before it was measured: `{"kind":"validate",..}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validate {
    /// The pattern's name.
    pub pattern: String,
    /// `cold` or `warm`.
    pub cache: String,
    /// The policy's name.
    pub policy: String,
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
