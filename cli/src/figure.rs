//! The demo's figure: hands what was measured to the crate that draws.

use std::path::Path;

use mmap_ahead_bench::Error;
use mmap_ahead_plots::demo::{Bar, draw as draw_bars};

use crate::demo::{ENGINES, Scenario};

/// Draws `demo.png` and `demo.svg` in `out`.
///
/// # Errors
/// When they cannot be drawn or written.
pub(crate) fn draw(scenarios: &[Scenario], caption: &str, out: &Path) -> Result<(), Error> {
    draw_bars(&bars(scenarios), caption, out)
        .map_err(|error| Error::failed(format!("{}: {error}", out.display())))
}

fn bars(scenarios: &[Scenario]) -> Vec<Bar> {
    let all = scenarios.iter().flat_map(|scenario| ENGINES.map(|engine| (scenario, engine)));
    all.filter_map(|(scenario, engine)| {
        let median = scenario.comparison.median(engine, |run| run.gb_per_s)?;
        Some(Bar {
            group: scenario.label.clone(),
            engine: engine.name().to_owned(),
            gb_per_s: median.value,
            low: median.low,
            high: median.high,
        })
    })
    .collect()
}
