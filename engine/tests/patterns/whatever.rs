//! Whatever the touches: plans lie inside the file, keep to the budget, and repeat nothing.

use super::*;
use mmap_ahead::PolicyKind;
use proptest::prelude::*;

/// One reader: where it begins, how far apart its steps are, how much it reads at each.
#[derive(Clone, Debug)]
struct Reader {
    start: u64,
    distance: i64,
    extent: u64,
}

/// Each in a region of its own.
const REGION: u64 = 1 << 16;

fn readers() -> impl Strategy<Value = Vec<Reader>> {
    let distance = prop_oneof![Just(16_i64), Just(-16), 17..400_i64, -400..-17_i64];
    let reader = (0..1000_u64, distance, prop_oneof![Just(1_u64), Just(16)]);
    proptest::collection::vec(reader, 1..9).prop_map(|readers| {
        let place = |(number, (start, distance, extent)): (usize, (u64, i64, u64))| {
            let region = number as u64 * REGION;
            // Well inside: readers that come near each other may be taken for one.
            let start = if distance > 0 { REGION / 4 + start } else { REGION / 4 * 3 + start };
            let extent = extent.min(distance.unsigned_abs());
            Reader { start: region + start, distance, extent }
        };
        readers.into_iter().enumerate().map(place).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_ranges_do_no_harm(
        touched in proptest::collection::vec((0..70_000_u64, 1..700_u64), 1..300),
        count in 1..65_536_u64,
    ) {
        for kind in PolicyKind::ALL {
            let mut policy = kind.build(geometry(count));
            for (at, &(start, len)) in touched.iter().enumerate() {
                let touched = [pages(start.min(count - 1), (start + len).min(count))];
                let mut plan = Plan::new();
                let at = Nanos(at as u64 * 1000);
                policy.on(&Event::Touched { pages: &touched, at }, &mut plan);
                let reads = plan.reads().iter().copied();
                let steps = plan.steps().iter().map(|step| step.range);
                let windows = plan.windows().iter().map(|window| window.range);
                for range in reads.chain(steps).chain(windows) {
                    prop_assert!(!range.is_empty() && range.end.0 <= count, "{kind:?}: {range}");
                }
            }
        }
    }

    #[test]
    fn readers_that_do_not_meet_have_disjoint_plans_within_the_budget(
        readers in readers(),
        budget_mib in 1..65_u64,
    ) {
        let mut geometry = geometry(16 * REGION);
        geometry.budget = PageCount(budget_mib << 8);
        let mut driver = Driver::over(geometry);
        let mut last = vec![0; readers.len()];
        for step in 0..100_i64 {
            for (number, reader) in readers.iter().enumerate() {
                let start = (reader.start as i64 + step * reader.distance) as u64;
                driver.touch(&[pages(start, start + reader.extent)]);
                last[number] = start;
            }
            let is_ahead = |range: &PageRange| {
                let number = (range.start.0 / REGION) as usize;
                readers.get(number).is_some_and(|reader| {
                    let is_up = reader.distance > 0;
                    (range.start.0 > last[number]) == is_up && range.start.0 != last[number]
                })
            };
            let fetched = [&driver.reads, &driver.steps].into_iter().flatten();
            let ahead: u64 = fetched.filter(|range| is_ahead(range)).map(|r| r.count().0).sum();
            // What was planned for a stream that turned out to be none is not counted any more.
            let most = geometry.budget.0 + 16 * readers.len() as u64;
            prop_assert!(ahead <= most, "{ahead} pages ahead of {last:?}");
        }
        prop_assert!(are_disjoint(&driver.reads), "reads overlap");
        prop_assert!(are_disjoint(&driver.steps), "steps overlap");
        prop_assert!(are_disjoint(&driver.windows), "windows overlap");
    }
}
