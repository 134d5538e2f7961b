//! The fault map: file offset against time. What a policy does, at a glance.

use plotters::style::RGBColor;

use super::raster::Raster;
use super::{Figure, caption};
use crate::Error;
use crate::axis::{Axis, Unit};
use crate::palette::{DARK, GREEN, PURPLE, SKY, VERMILION};
use crate::plot::Plot;
use crate::results::{FaultMap, Results, place};
use crate::scene::{Curve, Dash, Scene};
use crate::sheet::{Entry, Mark, Sheet, Width};

const TITLE: &str = "What is read when";

pub(super) const FIGURE: Figure = Figure {
    name: "fault-map",
    title: TITLE,
    words: "Time goes to the right, the file goes up. Each dot is a piece of the file that the \
            program looked at: grey where it was there already, red where the program had to stop \
            (a page fault). Blue is what lay ready before anybody asked for it, from when it came to \
            when it was wanted; the green line is how far ahead that got. Purple came in vain.",
    draw,
};

/// As many maps as one figure takes.
const MAPS_MOST: usize = 36; // guess
/// A multiple of every size of a square.
const HEIGHT: i32 = 232;
/// Maps share a time axis while none takes so many times as long as another.
const RATIO_MAX: f64 = 8.0;

/// What a square shows; a later one covers an earlier one.
const KINDS: [(&str, RGBColor); 4] = [
    ("ready, waiting to be touched", SKY),
    ("fetched in vain", PURPLE),
    ("touched, was there", DARK),
    ("touched, and a page fault", VERMILION),
];
const FETCHED: u8 = 0;
const WASTED: u8 = 1;
const TOUCHED: u8 = 2;
const FAULTED: u8 = 3;

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    let maps: Vec<&FaultMap> = results.fault_maps.iter().filter(|map| holds_a_page(map)).collect();
    if maps.is_empty() {
        return Ok(None);
    }
    if maps.len() > MAPS_MOST {
        return Err(Error::TooMany { what: "fault maps", count: maps.len(), most: MAPS_MOST });
    }
    let about = "File offset against time, one square a page or more. Each engine in a run of its \
                 own, which is watched and therefore slower.";
    let mut sheet = Sheet::new(width, TITLE, about)?;
    sheet.legend(&legend(maps.iter().any(|map| has_frontier(map))))?;
    let slowest = maps.iter().map(|map| map.seconds).fold(0.0, f64::max);
    let fastest = maps.iter().map(|map| map.seconds).fold(f64::INFINITY, f64::min);
    for map in &maps {
        let seconds = if slowest > fastest * RATIO_MAX { map.seconds } else { slowest };
        draw_map(&mut sheet, map, seconds)?;
    }
    let lines = maps.iter().map(|map| map.environment.as_ref());
    sheet.finish(&caption(results, &["fault_map"], lines)).map(Some)
}

/// A run in which nothing was touched or fetched would be an empty map.
fn holds_a_page(map: &FaultMap) -> bool {
    let touches = map.touches.len() + map.faults.len();
    touches + map.fetched.len() + map.wasted.len() > 0
}

/// Whether the frontier says anything: with many runs at once there is none, and in a warm file it is where
/// it was.
fn has_frontier(map: &FaultMap) -> bool {
    map.frontier.windows(2).any(|two| two[0].1 != two[1].1)
}

fn legend(has_frontier: bool) -> Vec<Entry> {
    let block =
        |(name, color): (&str, RGBColor)| Entry { name: name.into(), color, mark: Mark::Block };
    let frontier = Entry {
        name: "furthest page in memory".into(),
        color: GREEN,
        mark: Mark::Line(Dash::Solid),
    };
    KINDS.into_iter().map(block).chain(has_frontier.then_some(frontier)).collect()
}

fn draw_map(sheet: &mut Sheet, map: &FaultMap, seconds: f64) -> Result<(), Error> {
    sheet.heading(&heading(map))?;
    let time = Unit::time(seconds);
    let most = most_page(map) as f64 * map.page_bytes as f64;
    let length = Unit::length(most);
    let x = Axis::to(seconds / time.size, format!("time since the start ({})", time.name));
    let y = Axis::of_lengths(most, "file offset");
    let plot = Plot::place(sheet, HEIGHT, x, y)?;
    let x_of = |micros: u64| plot.x_of(micros as f64 / 1e6 / time.size);
    let y_of = |page: u64| plot.y_of(page as f64 * map.page_bytes as f64 / length.size);
    let points = map.touches.len() + map.faults.len() + map.fetched.len() + map.wasted.len();
    let mut raster = Raster::over(&plot, points);
    for (points, kind) in [(&map.touches, TOUCHED), (&map.faults, FAULTED)] {
        for (at, page) in points {
            raster.point((x_of(*at), y_of(*page)), kind);
        }
    }
    let touched = first_touches(map);
    let end_of_run = plot.x_of(map.seconds / time.size);
    for (ranges, kind) in [(&map.fetched, FETCHED), (&map.wasted, WASTED)] {
        for (at, first, end) in ranges {
            // From when it is there until it is wanted, row by row: a row may hold many pages.
            let (top, bottom) = (raster.row(y_of(end - 1)), raster.row(y_of(*first)));
            let never = if kind == WASTED { end_of_run } else { x_of(*at) };
            let mut wanted = vec![None; (bottom - top + 1) as usize];
            let from = touched.partition_point(|touch| touch.0 < *first);
            for (page, at) in touched[from..].iter().take_while(|touch| touch.0 < *end) {
                let row = (raster.row(y_of(*page)) - top).clamp(0, bottom - top);
                wanted[row as usize].get_or_insert(x_of(*at));
            }
            for (row, wanted) in (top..).zip(wanted) {
                raster.line(row, x_of(*at), wanted.unwrap_or(never), kind);
            }
        }
    }
    raster.fill();
    for (kind, (_, color)) in (0..).zip(KINDS) {
        sheet.scene.cells.push(raster.cells(kind, color));
    }
    if has_frontier(map) {
        // What is in memory beyond all that was touched or fetched here is not drawn.
        let last = most_page(map);
        let at = |(at, page): &(u64, u64)| (x_of(*at), y_of((*page).min(last)));
        let points = map.frontier.iter().map(at).collect();
        sheet.scene.curve(Curve { points, color: GREEN, width: 2, dash: Dash::Solid });
    }
    Ok(())
}

fn heading(map: &FaultMap) -> String {
    let engine = match map.policy.as_str() {
        "" => map.engine.clone(),
        policy => format!("{} (policy {policy})", map.engine),
    };
    let place = map.environment.as_ref().map(place).unwrap_or_default();
    let (pattern, cache) = (&map.pattern, &map.cache);
    let faults = map.faults.len();
    let touches = faults + map.touches.len();
    format!("{engine}: {pattern}, {cache} {place}: {faults} of {touches} touches faulted")
}

/// Every touched page with the time of its first touch, by page.
fn first_touches(map: &FaultMap) -> Vec<(u64, u64)> {
    let all = map.touches.iter().chain(&map.faults);
    let mut touched: Vec<_> = all.map(|(at, page)| (*page, *at)).collect();
    touched.sort_unstable();
    touched.dedup_by_key(|touch| touch.0);
    touched
}

/// The page after the last that is drawn; at least one.
fn most_page(map: &FaultMap) -> u64 {
    let touched = map.touches.iter().chain(&map.faults).map(|touch| touch.1 + 1);
    let fetched = map.fetched.iter().chain(&map.wasted).map(|range| range.2);
    touched.chain(fetched).max().unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, file, texts};

    #[test]
    fn every_kind_of_page_is_on_the_map() {
        for width in [Width::Wide, Width::Narrow] {
            let results = file("watched.jsonl");
            let scene = draw(&results, width).unwrap().unwrap();
            check(&scene);
            let squares = |color: RGBColor| {
                let those = scene.cells.iter().filter(|cells| cells.color == color);
                those.flat_map(|cells| &cells.runs).map(|run| run.2).sum::<i32>()
            };
            for (name, color) in KINDS {
                assert!(squares(color) > 0, "no square for `{name}`");
            }
            assert!(
                scene.curves.iter().any(|curve| curve.color == GREEN && curve.points.len() > 2)
            );
            let texts = texts(&scene);
            assert!(texts.contains("file offset (MiB)") && texts.contains("(ms)"), "{texts}");
        }
    }

    #[test]
    fn the_legend_names_no_line_that_is_not_there() {
        let mut results = file("watched.jsonl");
        results.fault_maps.iter_mut().for_each(|map| map.frontier.clear());
        let scene = draw(&results, Width::Wide).unwrap().unwrap();
        assert!(scene.curves.is_empty());
        assert!(!texts(&scene).contains("furthest"), "{}", texts(&scene));
    }

    #[test]
    fn what_is_in_memory_all_the_time_is_no_frontier_and_an_idle_run_no_map() {
        let mut results = file("watched.jsonl");
        let map = FaultMap {
            frontier: vec![(0, 1 << 30), (9, 1 << 30)],
            ..results.fault_maps[0].clone()
        };
        let idle = FaultMap {
            touches: vec![],
            faults: vec![],
            fetched: vec![],
            wasted: vec![],
            ..map.clone()
        };
        results.fault_maps = vec![map, idle.clone()];
        let scene = draw(&results, Width::Wide).unwrap().unwrap();
        assert!(scene.curves.is_empty() && texts(&scene).matches("file offset").count() == 1);
        results.fault_maps = vec![idle];
        assert!(draw(&results, Width::Wide).unwrap().is_none());
    }

    #[test]
    fn a_page_lies_where_its_time_and_its_offset_say() {
        let mut results = file("watched.jsonl");
        let map = FaultMap { seconds: 1.0, pages: 101, ..results.fault_maps[0].clone() };
        let none =
            FaultMap { touches: vec![], faults: vec![], fetched: vec![], wasted: vec![], ..map };
        let page = FaultMap { faults: vec![(500_000, 50)], touches: vec![(0, 99)], ..none };
        results.fault_maps = vec![page];
        let scene = draw(&results, Width::Wide).unwrap().unwrap();
        let run = |kind: u8| scene.cells[usize::from(kind)].runs[0];
        let (faulted, touched) = (run(FAULTED), run(TOUCHED));
        assert!(
            faulted.0 > touched.0 + 300 && faulted.1 > touched.1 + 80,
            "{faulted:?} {touched:?}"
        );
        assert!(scene.cells[usize::from(FETCHED)].runs.is_empty());
    }

    /// `cargo test --release` holds the time as well: two seconds for a million points.
    #[test]
    fn a_million_points_make_a_small_picture_soon() {
        let mut results = file("watched.jsonl");
        let mut state = 1u64;
        let mut random = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % most
        };
        let mut point = || (random(1_000_000), random(1 << 20));
        let touches = (0..400_000).map(|_| point()).collect();
        let faults = (0..200_000).map(|_| point()).collect();
        let range = |(at, page)| (at, page, page + 1);
        let fetched = (0..200_000).map(|_| range(point())).collect();
        let wasted = (0..200_000).map(|_| range(point())).collect();
        let map = FaultMap { seconds: 1.0, pages: (1 << 20) + 1, ..results.fault_maps[0].clone() };
        results.fault_maps = vec![FaultMap { touches, faults, fetched, wasted, ..map }];
        let start = std::time::Instant::now();
        let scene = draw(&results, Width::Wide).unwrap().unwrap();
        let svg = scene.svg().unwrap();
        let png = scene.png(2).unwrap().len();
        let took = start.elapsed();
        eprintln!("1,000,000 points: {took:?}, SVG {} bytes, PNG {png} bytes", svg.len());
        assert!(svg.len() + png < 3_000_000, "{} and {png} bytes", svg.len());
        if !cfg!(debug_assertions) {
            assert!(took.as_secs_f64() < 2.0, "{took:?}");
        }
    }
}
