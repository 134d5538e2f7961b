//! The matrix as a page of Markdown, for somebody who reads it for the first time.

use std::fmt::Write;

use super::{Cell, ENGINES, SHAPES, Verdict};
use crate::cache::CacheState;
use crate::engine::{BASELINE, Engine};
use crate::environment::Environment;
use crate::size;

/// What the page says besides the cells.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The machine.
    pub environment: Environment,
    /// The command that makes the page.
    pub command: String,
    /// The length of the file.
    pub file_bytes: u64,
}

/// The whole matrix as Markdown: what it comes to, how to read it, then a table for each place.
#[must_use]
pub fn markdown(cells: &[Cell], about: &About) -> String {
    let mut text = String::from("# What reading ahead gains, pattern by pattern\n\n");
    text += &answer(cells);
    text += &origin(about);
    text += &how_to_read(cells, about);
    text += &at_a_glance(cells);
    let mut places: Vec<&str> = cells.iter().map(|cell| cell.place.as_str()).collect();
    places.dedup();
    for place in places {
        let _ = write!(text, "\n## {place}\n");
        for cache in [CacheState::Cold, CacheState::Warm] {
            text += &table(cells.iter().filter(|cell| cell.place == place && cell.cache == cache));
        }
    }
    text
}

/// How `mmap` as it comes does, with its worst cell and its best.
fn answer(cells: &[Cell]) -> String {
    let ratios: Vec<_> =
        cells.iter().filter_map(|cell| Some((cell, cell.ratio(Engine::Mmap)?))).collect();
    let least = ratios.iter().min_by(|a, b| a.1.speedup_median.total_cmp(&b.1.speedup_median));
    let most = ratios.iter().max_by(|a, b| a.1.speedup_median.total_cmp(&b.1.speedup_median));
    let (Some(least), Some(most)) = (least, most) else {
        return "**Nothing was measured.** The tables say why.\n".to_owned();
    };
    let count = |verdict| ratios.iter().filter(|(_, ratio)| Verdict::of(ratio) == verdict).count();
    let said = |(cell, ratio): &(&Cell, &crate::result::RatioResult)| {
        let [low, high] = ratio.speedup_ci95;
        format!("{:.2} ({low:.2} to {high:.2}): {}", ratio.speedup_median, cell.name())
    };
    format!(
        "**`mmap`, this library as it comes, held against plain `memmap2` in {} cells: faster in {}, \
         slower in {}, undecided in {}, by intervals that are {:.0}% sure.**\n\n\
         - Worst cell of `mmap`: {}.\n- Best cell of `mmap`: {}.\n\n",
        ratios.len(),
        count(Verdict::Faster),
        count(Verdict::Slower),
        count(Verdict::Undecided),
        coverage(cells),
        said(least),
        said(most),
    )
}

fn origin(about: &About) -> String {
    let Environment { thp, commit, .. } = &about.environment;
    format!(
        "Made by `{}` at commit {}, and never edited by hand. The machine: {}; transparent huge pages \
         {}. The file: {}.\n",
        about.command,
        commit.as_deref().unwrap_or("unknown"),
        about.environment.line(),
        thp.as_deref().unwrap_or("unknown"),
        size::rounded(about.file_bytes),
    )
}

/// How sure the intervals are, in percent: 95, or less where there were fewer than six rounds.
fn coverage(cells: &[Cell]) -> f64 {
    let ratios = cells.iter().filter_map(|cell| cell.ratio(Engine::Mmap));
    ratios.map(|ratio| ratio.ci_coverage).fold(0.95, f64::min) * 100.0
}

fn how_to_read(cells: &[Cell], about: &About) -> String {
    let ratios = || cells.iter().filter_map(|cell| cell.ratio(Engine::Mmap));
    let runs = ratios().map(|ratio| ratio.runs).min().unwrap_or(0);
    let coverage = coverage(cells);
    let few = match coverage < 94.9 {
        true => format!(
            " {runs} rounds are few: an interval holds the true ratio with {coverage:.0}%, \
                         not with 95%, and of many cells some are called faster or slower by chance."
        ),
        false => String::new(),
    };
    let mut text = format!(
        "\n## How to read it\n\n\
         A field is how many times as fast as `memmap2` the engine read, the median of {runs} pairs of \
         runs that were neighbours in time: 2.00 takes half the time. In brackets the interval of that \
         median; **bold** where all of it is above 1, *italic* where all of it is below, plain where the \
         runs cannot tell.{few} Behind the slash, where the file was cold: the part of the speed of \
         `direct`, which reads the same pieces past the page cache with many requests at once, and so is \
         about the most that the disk gives. Above 1, an engine has read in larger pieces than the \
         pattern's steps.\n\n\
         Cold: none of the file is in memory before a run, verified. Warm: all of it. Each run is a fresh \
         process, and all engines of a cell saw the same checksum. `mmap`, `mmap+guard`, `reader` and \
         `paged` are ours (`paged` with 32 MiB of memory for {}); `read` is read(2) into a buffer.\n\n\
         | pattern | what is read |\n|---|---|\n",
        size::rounded(about.file_bytes),
    );
    for shape in &SHAPES {
        let _ = writeln!(text, "| `{}` | {} |", shape.pattern(), shape.words);
    }
    text
}

/// A line for each engine: how often it wins, and how near it comes to the limit.
fn at_a_glance(cells: &[Cell]) -> String {
    let mut text = String::from(
        "\n## At a glance\n\n| engine | cells | faster | slower | undecided | median ratio, cold | \
         median ratio, warm | median part of the limit, cold |\n|---|---|---|---|---|---|---|---|\n",
    );
    for engine in others() {
        let ratios: Vec<_> =
            cells.iter().filter_map(|cell| Some((cell.cache, cell.ratio(engine)?))).collect();
        let count = |verdict| ratios.iter().filter(|(_, at)| Verdict::of(at) == verdict).count();
        let median = |state| {
            let those = ratios.iter().filter(|(cache, _)| *cache == state);
            middle(those.map(|(_, ratio)| ratio.speedup_median).collect())
        };
        let limit = middle(cells.iter().filter_map(|cell| cell.of_limit(engine)).collect());
        let _ = writeln!(
            text,
            "| `{engine}` | {} | {} | {} | {} | {} | {} | {limit} |",
            ratios.len(),
            count(Verdict::Faster),
            count(Verdict::Slower),
            count(Verdict::Undecided),
            median(CacheState::Cold),
            median(CacheState::Warm),
        );
    }
    text
}

/// All but the two that the others are held against.
fn others() -> impl Iterator<Item = Engine> {
    ENGINES.into_iter().filter(|at| ![BASELINE, Engine::Direct].contains(at))
}

fn middle(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).map_or("-".to_owned(), |value| format!("{value:.2}"))
}

/// The cells of one place and one state of the cache; nothing where there are none.
fn table<'a>(cells: impl Iterator<Item = &'a Cell>) -> String {
    let cells: Vec<_> = cells.collect();
    let Some(first) = cells.first() else { return String::new() };
    let mut text = String::new();
    if cells.iter().any(|cell| cell.outcome.is_ok()) {
        let _ = write!(text, "\n| {} | `memmap2` GB/s | `direct` GB/s |", first.cache);
        others().for_each(|engine| text += &format!(" `{engine}` |"));
        text += &format!("\n|{}\n", "---|".repeat(3 + others().count()));
    }
    let mut failed = String::new();
    for cell in cells {
        if let Err(why) = &cell.outcome {
            let _ = writeln!(failed, "\nNot measured, `{}`, {}: {why}", cell.pattern, cell.cache);
            continue;
        }
        let speed = |speed: Option<f64>| speed.map_or("-".into(), |at| format!("{at:.2}"));
        let (base, limit) = (speed(cell.speed(BASELINE)), speed(cell.limit()));
        let _ = write!(text, "| `{}` | {base} | {limit} |", cell.pattern);
        others().for_each(|engine| text += &field(cell, engine));
        text.push('\n');
    }
    text + &failed
}

fn field(cell: &Cell, engine: Engine) -> String {
    let Some(ratio) = cell.ratio(engine) else { return " - |".to_owned() };
    let mark = match Verdict::of(ratio) {
        Verdict::Faster => "**",
        Verdict::Slower => "*",
        Verdict::Undecided => "",
    };
    let (median, [low, high]) = (ratio.speedup_median, ratio.speedup_ci95);
    let limit = cell.of_limit(engine).map_or(String::new(), |part| format!(" / {part:.2}"));
    format!(" {mark}{median:.2}{mark} ({low:.2} to {high:.2}){limit} |")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Comparison;
    use crate::result::{RatioResult, RunResult};

    fn ratio(engine: Engine, median: f64, [low, high]: [f64; 2]) -> RatioResult {
        let line = format!(
            r#"{{"kind":"ratio","engine":"{engine}","baseline":"memmap2","speedup_median":{median},
            "speedup_ci95":[{low},{high}],"runs":3,"ci_coverage":0.75,"pattern":"p","cache":"cold","file":"f"}}"#
        );
        serde_json::from_str(&line).unwrap()
    }

    fn run(engine: Engine, gb_per_s: f64) -> RunResult {
        let scan = crate::run::RunSpec::scan("Cargo.toml".into(), Engine::READ);
        RunResult { engine: engine.to_string(), gb_per_s, ..crate::run::run(&scan).unwrap() }
    }

    fn cell(place: &str, median: f64, interval: [f64; 2]) -> Cell {
        let runs = vec![run(BASELINE, 1.0), run(Engine::Mmap, median), run(Engine::Direct, 4.0)];
        let comparison = Comparison { runs, ratios: vec![ratio(Engine::Mmap, median, interval)] };
        Cell {
            place: place.into(),
            pattern: "seq".into(),
            cache: CacheState::Cold,
            outcome: Ok(comparison),
        }
    }

    #[test]
    fn the_worst_cell_is_named_first_and_what_was_not_measured_says_why() {
        let missing =
            Cell { outcome: Err("mkfs.xfs: not found".into()), ..cell("xfs", 0.0, [0.0; 2]) };
        let fast = cell("ext4, 128", 2.0, [1.5, 2.5]);
        let cells = [fast, cell("tmpfs", 0.9, [0.8, 0.95]), cell("nfs", 1.1, [0.5, 9.5]), missing];
        let about = About { command: "x".into(), ..About::default() };
        let text = markdown(&cells, &about);
        let count =
            "in 3 cells: faster in 1, slower in 1, undecided in 1, by intervals that are 75% sure";
        assert!(text.contains(count), "{text}");
        let worst = "Worst cell of `mmap`: 0.90 (0.80 to 0.95): `seq`, cold, tmpfs";
        assert!(text.find(worst).unwrap() < text.find("| cold |").unwrap(), "{text}");
        assert!(
            text.contains("| `seq` | 1.00 | 4.00 | - | **2.00** (1.50 to 2.50) / 0.50 |"),
            "{text}"
        );
        assert!(text.contains("| *0.90* (0.80 to 0.95) / 0.23 |"), "{text}");
        assert!(text.contains("| 1.10 (0.50 to 9.50) / 0.28 |"), "{text}");
        assert!(text.contains("Not measured, `seq`, cold: mkfs.xfs: not found"), "{text}");
        assert!(text.contains("with 75%, not with 95%"), "{text}");
    }

    #[test]
    fn a_table_has_as_many_columns_in_every_row() {
        let text = markdown(&[cell("ext4", 2.0, [1.5, 2.5])], &About::default());
        for table in text.split("\n\n").filter(|part| part.trim_start().starts_with('|')) {
            let columns: Vec<_> =
                table.trim().lines().map(|row| row.matches('|').count()).collect();
            assert!(columns.windows(2).all(|two| two[0] == two[1]), "{columns:?} in {table}");
        }
    }

    #[test]
    fn nothing_measured_is_said() {
        let failed = Cell { outcome: Err("no room".into()), ..cell("ext4", 0.0, [0.0; 2]) };
        let text = markdown(&[failed], &About::default());
        assert!(text.contains("Nothing was measured") && text.contains("no room"), "{text}");
    }
}
