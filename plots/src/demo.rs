//! The demo's figure: read throughput of engines, grouped by scenario.

use std::path::Path;

use plotters::style::RGBColor;

use crate::scene::Scene;
use crate::{Error, palette};

mod layout;

/// One measured result: an engine in a scenario. All three figures are in GB/s (10^9 bytes).
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The scenario, in words: bars with the same label stand together.
    pub group: String,
    /// The engine; its name decides the colour.
    pub engine: String,
    /// The median.
    pub gb_per_s: f64,
    /// The lower end of the median's 95% interval; the median itself when it is not known.
    pub low: f64,
    /// The upper end of that interval.
    pub high: f64,
}

/// What any machine could measure, in GB/s: outside of it a result is a mistake.
const PLAUSIBLE_GB_PER_S: std::ops::RangeInclusive<f64> = 1e-6..=1e6; // guess
/// As many bars as still make one figure.
const BARS_MOST: usize = 60; // guess

/// Draws `results` as grouped bars, and writes `out_dir/demo.png` and `out_dir/demo.svg`.
///
/// Groups and engines keep the order in which they first appear. The `mmap` bar also shows its
/// ratio to `memmap2` in the same group. Neighbouring groups that differ much get panels with
/// scales of their own. `caption` is the line below: source, commit, kernel, device, read-ahead.
/// `out_dir` is made when it is missing.
///
/// # Errors
/// [`Error::Empty`], [`Error::BadResult`] or [`Error::TooMany`] before anything is written;
/// [`Error::Write`] when a file cannot be written.
pub fn draw(results: &[Bar], caption: &str, out_dir: &Path) -> Result<(), Error> {
    let scene = scene(results, caption)?;
    let svg = scene.svg()?;
    let (svg_path, png_path) = (out_dir.join("demo.svg"), out_dir.join("demo.png"));
    let at = |path: &Path, error: std::io::Error| Error::Write {
        path: path.to_owned(),
        what: error.to_string(),
    };
    std::fs::create_dir_all(out_dir).map_err(|e| at(out_dir, e))?;
    std::fs::write(&svg_path, svg).map_err(|e| at(&svg_path, e))?;
    scene.write_png(&png_path)
}

fn scene(results: &[Bar], caption: &str) -> Result<Scene, Error> {
    layout::figure(&Data::new(results)?, caption)
}

/// Checked results in the order of the figure.
struct Data<'a> {
    groups: Vec<Group<'a>>,
    /// In order of first appearance, each with its colour.
    engines: Vec<(&'a str, RGBColor)>,
}

struct Group<'a> {
    name: &'a str,
    bars: Vec<&'a Bar>,
}

impl<'a> Data<'a> {
    fn new(results: &'a [Bar]) -> Result<Data<'a>, Error> {
        if results.is_empty() {
            return Err(Error::Empty);
        }
        if results.len() > BARS_MOST {
            return Err(Error::TooMany { what: "bars", count: results.len(), most: BARS_MOST });
        }
        let mut groups: Vec<Group<'a>> = Vec::new();
        let mut engines: Vec<&str> = Vec::new();
        for bar in results {
            bar.check()?;
            if !engines.contains(&bar.engine.as_str()) {
                engines.push(&bar.engine);
            }
            match groups.iter_mut().find(|group| group.name == bar.group) {
                Some(group) => group.add(bar)?,
                None => groups.push(Group { name: &bar.group, bars: vec![bar] }),
            }
        }
        let colors = palette::assign(&engines)?;
        Ok(Data { groups, engines: engines.into_iter().zip(colors).collect() })
    }

    fn color(&self, bar: &Bar) -> RGBColor {
        let own = self.engines.iter().find(|(engine, _)| *engine == bar.engine);
        own.expect("every bar's engine has a colour").1
    }
}

impl<'a> Group<'a> {
    fn add(&mut self, bar: &'a Bar) -> Result<(), Error> {
        if self.bars.iter().any(|other| other.engine == bar.engine) {
            return Err(bar.bad("appears twice".into()));
        }
        self.bars.push(bar);
        Ok(())
    }

    /// The highest point that is drawn.
    fn most(&self) -> f64 {
        self.bars.iter().map(|bar| bar.high).fold(0.0, f64::max)
    }

    /// For the engine `mmap`: how many times as fast as `memmap2` it is here.
    fn ratio(&self, bar: &Bar) -> Option<f64> {
        let baseline = self.bars.iter().find(|other| other.engine == "memmap2")?;
        (bar.engine == "mmap").then(|| bar.gb_per_s / baseline.gb_per_s)
    }
}

impl Bar {
    fn check(&self) -> Result<(), Error> {
        for (name, value) in [("median", self.gb_per_s), ("low", self.low), ("high", self.high)] {
            if !PLAUSIBLE_GB_PER_S.contains(&value) {
                return Err(self.bad(format!("{name} is {value} GB/s, which nothing can measure")));
            }
        }
        if !(self.low <= self.gb_per_s && self.gb_per_s <= self.high) {
            let (value, low, high) = (self.gb_per_s, self.low, self.high);
            return Err(self.bad(format!("median {value} is outside its interval {low} to {high}")));
        }
        Ok(())
    }

    fn bad(&self, what: String) -> Error {
        Error::BadResult { group: self.group.clone(), engine: self.engine.clone(), what }
    }
}

#[cfg(test)]
mod tests;
