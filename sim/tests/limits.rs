//! Whatever the trace and the policy: what is carried out stays in the file and the budget.

mod common;

use std::collections::BTreeSet;

use mmap_ahead::PolicyKind;
use mmap_ahead::page::{ByteLen, PageCount, PageIndex, PageRange};
use mmap_ahead::policy::{Event, Plan, Policy};
use mmap_ahead_sim::{CacheState, Knobs, Setup, Step, Strategy as Way, run_watched};
use proptest::prelude::*;

/// What the kernel itself may bring in around a touch, in the default setup: 128 KiB.
const READ_AROUND: u64 = 32;

/// Plans anything at every event, inside the file or not.
struct Wild {
    /// Start, count, and what to do with them; taken in turn.
    plans: Vec<(u64, u64, Kind)>,
    next: usize,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Read,
    Window,
}

impl Policy for Wild {
    fn name(&self) -> &'static str {
        "wild"
    }

    fn on(&mut self, _event: &Event<'_>, plan: &mut Plan) {
        let (start, count, kind) = self.plans[self.next % self.plans.len()];
        self.next += 1;
        let range = PageRange::at(PageIndex(start), PageCount(count));
        match kind {
            Kind::Read => plan.read(range),
            Kind::Window => plan.window(range, Some(range.start)),
        }
    }
}

/// Checks every call against its own account of what was fetched and passed.
struct Account {
    pages: u64,
    budget: u64,
    cache: CacheState,
    fetched: BTreeSet<u64>,
}

impl Account {
    fn check(&mut self, step: &Step) {
        for range in step.fetched.iter().chain(&step.window) {
            let end = range.end.0;
            assert!(end <= self.pages, "{range} leaves the file of {}", self.pages);
        }
        // Reading what is cached brings nothing in.
        let brings = step.window.is_some() || self.cache == CacheState::Cold;
        for range in step.fetched.iter().filter(|_| brings) {
            self.fetched.extend(range.start.0..range.end.0);
        }
        // Pages that the kernel reads around the furthest touch are nobody's plan.
        let beyond = step.passed.0.next_multiple_of(READ_AROUND);
        let ahead = self.fetched.range(beyond..).count() as u64;
        assert!(ahead <= self.budget, "{ahead} pages ahead, budget {}", self.budget);
        assert!(step.ahead.0 <= self.budget, "{step:?}");
    }
}

fn check(pages: u64, touched: &[u64], strategy: &Way, setup: &Setup) {
    let lines: String = touched.iter().map(|page| format!("{}\n", page % pages)).collect();
    let walk = common::trace(pages, &format!("think_ns 3000\n{lines}"));
    let budget = setup.budget.0 / 4096;
    let mut account = Account { pages, budget, cache: setup.cache, fetched: BTreeSet::new() };
    let report = run_watched(&walk, strategy, setup, &mut |step| account.check(step)).unwrap();
    let counts = report.counts;
    assert_eq!(counts.touches, touched.len() as u64);
    assert!(counts.used_pages <= counts.fetched_pages && counts.fetched_pages <= pages);
    assert!(counts.virtual_ns >= 3000 * counts.touches);
    assert_eq!(report.breakdown.total().0, counts.reader_ns);
}

/// Runs and strays: walks of up to 200 pages that start anywhere.
fn touches() -> impl Strategy<Value = Vec<u64>> {
    let walk = (0u64..3000, 1u64..200).prop_map(|(start, count)| (start..start + count).collect());
    prop::collection::vec(walk, 1..12).prop_map(|walks: Vec<Vec<u64>>| walks.concat())
}

fn setup() -> impl Strategy<Value = Setup> {
    (0u64..600, any::<bool>()).prop_map(|(budget, is_warm)| {
        let cache = if is_warm { CacheState::Warm } else { CacheState::Cold };
        Setup { budget: ByteLen(budget * 4096), cache, ..Setup::default() }
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Read), Just(Kind::Window)]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn the_engines_policies_stay_in_the_file_and_the_budget(
        pages in 1u64..3000, touched in touches(), setup in setup(),
    ) {
        for kind in PolicyKind::ALL {
            let name = format!("engine:{}", kind.name());
            check(pages, &touched, &Way::named(&name, &Knobs::default()).unwrap(), &setup);
        }
    }

    #[test]
    fn a_policy_that_plans_anything_is_clipped_to_the_file_and_the_budget(
        pages in 1u64..3000, touched in touches(), setup in setup(),
        plans in prop::collection::vec((0u64..4000, 0u64..800, kind()), 0..20),
        far in any::<u64>(),
    ) {
        let mut plans = plans;
        plans.push((far, far, Kind::Window));
        let wild = common::followed_by(move || Box::new(Wild { plans: plans.clone(), next: 0 }));
        check(pages, &touched, &wild, &setup);
    }
}
