//! A sweep's lines do not depend on how it was run: threads, shards, interruptions.

use std::num::NonZero;

use mmap_ahead::page::{ByteLen, PageCount};
use mmap_ahead_sim::sweep::{Grid, Machine, Results, Shard, Source, csv, merge, summaries, sweep};
use mmap_ahead_sim::{Preset, Setup, Shape, Workload};

fn grid() -> Grid {
    let shape = Shape { file: ByteLen(4 << 20), ..Shape::default() };
    let workload = |name: &str| Source(Workload::named(name, &shape).unwrap());
    let machine = |preset: Preset| Machine { name: preset.name().into(), setup: Setup::of(preset) };
    Grid {
        strategies: vec!["default-mmap".into(), "map-ahead".into(), "ramp".into()],
        windows: vec![Some(PageCount(16)), Some(PageCount(64))],
        distances: vec![None],
        machines: vec![machine(Preset::Nvme), machine(Preset::SataSsd)],
        workloads: vec![workload("seq"), workload("random")],
        replicas: 3,
        seed: 7,
    }
}

fn text(results: &Results) -> String {
    [results.title()].into_iter().chain(results.lines()).map(|line| format!("{line}\n")).collect()
}

fn run(grid: &Grid, shard: &str, threads: usize, mut results: Results) -> Results {
    let threads = NonZero::new(threads);
    sweep(grid, shard.parse().unwrap(), threads, &mut results, &mut |_| Ok(())).unwrap();
    results
}

fn fresh(grid: &Grid) -> Results {
    Results::new(grid.title().unwrap())
}

#[test]
fn threads_shards_and_interruptions_leave_no_trace() {
    let grid = grid();
    let whole = run(&grid, "1/1", 1, fresh(&grid));
    // default-mmap and ramp have no window to turn: 4 cells of strategies, not 6.
    assert_eq!(whole.len(), 2 * 2 * 4 * 3);
    assert_eq!(text(&run(&grid, "1/1", 4, fresh(&grid))), text(&whole));
    let parts = ["2/3", "1/3", "3/3"].map(|shard| run(&grid, shard, 2, fresh(&grid)));
    assert_eq!(text(&merge(parts.to_vec()).unwrap()), text(&whole));
    // Stopped in the middle of a line.
    let written = text(&whole);
    let so_far = Results::parse(&written[..written.len() / 2]).unwrap();
    assert!(!so_far.is_empty() && so_far.len() < whole.len());
    assert_eq!(text(&run(&grid, "1/1", 2, so_far)), written);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let grid = grid();
    let part = run(&grid, "1/2", 1, fresh(&grid));
    let missing = merge(vec![part.clone()]).unwrap_err().to_string();
    assert_eq!(missing, "cell 1 is missing: 24 of 48 are there");
    let other = Grid { seed: 8, ..grid.clone() };
    assert!(merge(vec![part.clone(), fresh(&other)]).is_err());
    let error = sweep(&other, Shard::default(), None, &mut part.clone(), &mut |_| Ok(()));
    assert!(error.unwrap_err().to_string().contains("another sweep"));
    let error = Results::parse("{\"kind\":\"run\"}\n").unwrap_err().to_string();
    assert!(error.starts_with("line 1: expected"), "{error}");
}

#[test]
fn replicas_are_summed_up_against_the_first_strategy() {
    let grid = grid();
    let whole = run(&grid, "1/1", 2, fresh(&grid));
    let all = summaries(&whole);
    assert_eq!(all.len(), whole.len() / 3);
    let find = |strategy: &str, workload: &str| {
        all.iter().find(|one| one.strategy == strategy && one.workload == workload).unwrap()
    };
    assert_eq!(find("default-mmap", "seq").against_baseline, None);
    let ramp = find("ramp", "seq").against_baseline.unwrap();
    let [low, high] = ramp.ci95.unwrap();
    assert!(low <= ramp.speedup && ramp.speedup <= high, "{ramp:?}");
    assert!((0.0..=1.0).contains(&ramp.p.unwrap()));
    let table = csv(&whole);
    assert_eq!(table.lines().count(), 1 + whole.len());
    let columns = table.lines().next().unwrap().split(',').count();
    assert!(table.lines().all(|line| line.split(',').count() == columns));
}
