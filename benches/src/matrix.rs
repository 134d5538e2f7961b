//! The matrix: every pattern on every file system, cold and warm, and what it says.

use std::fmt::Write;

use crate::cache::CacheState;
use crate::compare::Comparison;
use crate::engine::{BASELINE, Engine};
use crate::environment::Environment;
use crate::pattern::Pattern;

/// The engines of the matrix; the last is the limit.
pub const ENGINES: [Engine; 7] = [
    BASELINE,
    Engine::READ,
    Engine::Mmap,
    Engine::MmapGuard,
    Engine::Reader,
    Engine::Paged,
    Engine::Direct,
];

/// A pattern of the matrix: its name, the bytes of a step (none for its own), and how many steps at
/// most, so that no cell takes for ever.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    name: &'static str,
    /// Bytes a step.
    pub touch: Option<u64>,
    /// The most steps.
    pub steps: Option<u64>,
}

/// Every pattern of the command line once.
pub const SHAPES: [Shape; 8] = [
    Shape { name: "seq", touch: None, steps: None },
    Shape { name: "reverse", touch: Some(64 << 10), steps: None },
    Shape { name: "stride:128KiB", touch: None, steps: None },
    Shape { name: "stride:1MiB", touch: None, steps: None },
    Shape { name: "blocks:64KiB/1MiB", touch: None, steps: None },
    Shape { name: "streams:8", touch: Some(64 << 10), steps: None },
    Shape { name: "random", touch: None, steps: Some(5000) },
    Shape { name: "zipf:0.99", touch: None, steps: Some(5000) },
];

impl Shape {
    /// The pattern.
    ///
    /// # Panics
    /// Never: the names are those of this file.
    #[must_use]
    pub fn pattern(&self) -> Pattern {
        self.name.parse().expect("the matrix names patterns that exist")
    }
}

/// Where and how a cell was measured.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The file system, with its `read_ahead_kb` where that matters: "ext4, 128".
    pub place: String,
    /// The pattern.
    pub pattern: String,
    /// The state of the cache.
    pub cache: CacheState,
    /// What came out, or why nothing did.
    pub outcome: Result<Comparison, String>,
}

impl Cell {
    /// The median speed-up of `engine` over the baseline and its interval.
    fn speedup(&self, engine: Engine) -> Option<(f64, [f64; 2])> {
        let ratio = self.outcome.as_ref().ok()?.ratio_of(engine)?;
        Some((ratio.speedup_median, ratio.speedup_ci95))
    }

    /// The speed of `engine` as a part of the limit's.
    fn of_limit(&self, engine: Engine) -> Option<f64> {
        let comparison = self.outcome.as_ref().ok()?;
        let speed = |engine| comparison.median(engine, |run| run.gb_per_s).map(|at| at.value);
        Some(speed(engine)? / speed(Engine::Direct)?)
    }

    fn name(&self) -> String {
        format!("{}, {} {}", self.place, self.cache, self.pattern)
    }
}

/// The whole matrix as Markdown: the worst cell of ours first, then a table for each place.
#[must_use]
pub fn markdown(cells: &[Cell], environment: &Environment, command: &str) -> String {
    let mut text = String::from("# The matrix\n\n");
    let _ = writeln!(
        text,
        "Made by `{command}`, never by hand. {}; commit {}.\n",
        environment.line(),
        environment.commit.as_deref().unwrap_or("unknown")
    );
    text += &worst(cells);
    text += "\nEach field: the median speed-up over `memmap2` in pairs (its 95% interval), and after \
             the slash the part of the speed of `direct`, the limit of the disk, where there is one.\n";
    let mut places: Vec<&str> = cells.iter().map(|cell| cell.place.as_str()).collect();
    places.dedup();
    for place in places {
        text += &table(place, cells);
    }
    text
}

/// The cell where `mmap` as it comes does worst.
fn worst(cells: &[Cell]) -> String {
    let speedups = cells.iter().filter_map(|cell| Some((cell, cell.speedup(Engine::Mmap)?)));
    let least = speedups.min_by(|a, b| a.1.0.total_cmp(&b.1.0));
    match least {
        None => "**Nothing was measured.**\n".to_owned(),
        Some((cell, (median, [low, high]))) => format!(
            "**Worst cell of `mmap`: {}: {median:.2} ({low:.2} to {high:.2}).**\n",
            cell.name()
        ),
    }
}

fn table(place: &str, cells: &[Cell]) -> String {
    let mut text = format!("\n## {place}\n\n| cache | pattern | `memmap2` GB/s |");
    let others: Vec<Engine> =
        ENGINES.into_iter().filter(|at| ![BASELINE, Engine::Direct].contains(at)).collect();
    others.iter().for_each(|engine| text += &format!(" `{engine}` |"));
    text += "\n|---|---|---|";
    text += &"---|".repeat(others.len());
    text.push('\n');
    for cell in cells.iter().filter(|cell| cell.place == place) {
        let _ = write!(text, "| {} | `{}` |", cell.cache, cell.pattern);
        match &cell.outcome {
            Err(why) => {
                let _ = write!(text, " not measured: {why} |");
            }
            Ok(comparison) => {
                let base = comparison.median(BASELINE, |run| run.gb_per_s);
                let _ =
                    write!(text, " {} |", base.map_or("-".into(), |at| format!("{:.2}", at.value)));
                others.iter().for_each(|&engine| text += &field(cell, engine));
            }
        }
        text.push('\n');
    }
    text
}

fn field(cell: &Cell, engine: Engine) -> String {
    let Some((median, [low, high])) = cell.speedup(engine) else { return " - |".to_owned() };
    let limit = cell.of_limit(engine).map_or(String::new(), |part| format!(" / {part:.2}"));
    format!(" {median:.2} ({low:.2} to {high:.2}){limit} |")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{RatioResult, RunResult};

    fn ratio(engine: Engine, median: f64) -> RatioResult {
        let line = format!(
            r#"{{"kind":"ratio","engine":"{engine}","baseline":"memmap2","speedup_median":{median},
            "speedup_ci95":[0.5,9.5],"runs":3,"ci_coverage":0.75,"pattern":"p","cache":"cold","file":"f"}}"#
        );
        serde_json::from_str(&line).unwrap()
    }

    fn run(engine: Engine, gb_per_s: f64) -> RunResult {
        let scan = crate::run::RunSpec::scan("Cargo.toml".into(), Engine::READ);
        RunResult { engine: engine.to_string(), gb_per_s, ..crate::run::run(&scan).unwrap() }
    }

    fn cell(place: &str, median: f64) -> Cell {
        let runs = vec![run(BASELINE, 1.0), run(Engine::Mmap, median), run(Engine::Direct, 4.0)];
        let comparison = Comparison { runs, ratios: vec![ratio(Engine::Mmap, median)] };
        Cell {
            place: place.into(),
            pattern: "seq".into(),
            cache: CacheState::Cold,
            outcome: Ok(comparison),
        }
    }

    #[test]
    fn the_worst_cell_is_named_first_and_what_was_not_measured_says_why() {
        let missing = Cell { outcome: Err("mkfs.xfs: not found".into()), ..cell("xfs", 0.0) };
        let cells = [cell("ext4, 128", 2.0), cell("tmpfs", 0.9), missing];
        let text = markdown(&cells, &Environment::default(), "x");
        let worst =
            text.find("Worst cell of `mmap`: tmpfs, cold seq: 0.90 (0.50 to 9.50)").unwrap();
        assert!(worst < text.find("| cache |").unwrap(), "{text}");
        assert!(
            text.contains("| cold | `seq` | 1.00 | - | 2.00 (0.50 to 9.50) / 0.50 |"),
            "{text}"
        );
        assert!(text.contains("not measured: mkfs.xfs: not found"), "{text}");
    }

    #[test]
    fn every_pattern_of_it_exists() {
        for shape in SHAPES {
            assert_eq!(shape.pattern().to_string(), shape.name);
        }
    }
}
