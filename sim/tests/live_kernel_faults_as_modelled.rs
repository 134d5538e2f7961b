//! Random sequences of touches of a mapping: after each step, the model and the running kernel have the
//! same pages in the page cache and in the page table, and have counted the same major faults.
//!
//! It fails when a rule of faults, fault-around or mapping is wrong or left out.

mod live;

use live::{Bed, Difference, PAGES, Rng, agreement, same_mapped, same_residents};
use mmap_ahead::lab::{LiveAdvice, LiveMap, UsageOf, usage};
use mmap_ahead::page::{PageCount, PageIndex, PageRange};
use mmap_ahead_sim::kernel::{Access, Advice, Entry, FaultEnd, FaultKind, Kernel, KernelOptions};

/// Fewer in the gate, which has a debug build; all in `.ci/full`.
const SEQUENCES: u64 = if cfg!(debug_assertions) { 50 } else { 100 };
const STEPS: usize = 60;

/// The same advice to the kernel and to the model.
const ADVICE: [Option<(LiveAdvice, Advice)>; 5] = [
    None,
    None,
    None,
    Some((LiveAdvice::Sequential, Advice::Sequential)),
    Some((LiveAdvice::Random, Advice::Random)),
];

/// Three interleaved readers that go on, jump, and step back.
struct Readers {
    rng: Rng,
    at: [usize; 3],
}

impl Readers {
    /// The pages that the next run touches.
    fn next(&mut self) -> impl Iterator<Item = usize> + use<> {
        let (kind, reader) = (self.rng.below(10), self.rng.below(3));
        let (from, count) = match kind {
            0..5 => (self.at[reader], self.rng.pick(&[1, 16, 200, 3000])),
            5..8 => (self.rng.below(PAGES), 1),
            _ => (self.at[reader].saturating_sub(self.rng.below(3000)), 1),
        };
        let stride = self.rng.pick(&[1, 1, 1, 7, 16, 64]);
        self.at[reader] = (PAGES - 1).min(from + count * stride);
        (from..PAGES.min(from + count * stride)).step_by(stride)
    }
}

/// Touches `page` in the model; whether that was a major fault.
fn touch(kernel: &mut Kernel, page: usize) -> bool {
    let page = PageIndex(page as u64);
    if kernel.is_mapped(page) {
        return false;
    }
    match kernel.fault(page, Access::Load, Entry::User).end {
        FaultEnd::Mapped(kind) => kind == FaultKind::Major,
        other => panic!("page {page:?} of a hole: {other:?}"),
    }
}

fn compare(bed: &Bed, seed: u64) -> Result<(), Difference> {
    let mut rng = Rng(seed);
    let (file, options) = bed.open(PAGES);
    let entry = rng.pick(&[0, 0, 1, 5, 37]);
    let live = LiveMap::new(&file, PAGES, entry).unwrap();
    let mut kernel = Kernel::new(KernelOptions { address_page: entry as u64, ..options });
    if let Some((live_advice, advice)) = rng.pick(&ADVICE) {
        live.advise(0, PAGES, live_advice).unwrap();
        kernel.advise(PageRange::at(PageIndex(0), PageCount(PAGES as u64)), advice);
    }
    let mut at = [0; 3].map(|_| rng.below(PAGES));
    if rng.below(10) < 4 {
        at[0] = 0;
    }
    let mut readers = Readers { rng, at };
    for step in 0..STEPS {
        let pages: Vec<usize> = readers.next().collect();
        let before = usage(UsageOf::Thread).major_faults;
        pages.iter().for_each(|&page| {
            live.load(page);
        });
        let real = usage(UsageOf::Thread).major_faults - before;
        let model = pages.iter().filter(|&&page| touch(&mut kernel, page)).count() as u64;
        let told = |what: String, is_major_count| {
            let what = format!("{} touches from page {}: {what}", pages.len(), pages[0]);
            Difference { step, what, is_major_count }
        };
        same_residents(bed, &live, &kernel).map_err(|what| told(what, false))?;
        same_mapped(&live, &kernel).map_err(|what| told(what, false))?;
        if real != model {
            return Err(told(format!("{real} major faults, {model} in the model"), true));
        }
    }
    Ok(())
}

#[test]
fn touches_leave_the_pages_where_the_model_says() {
    let Some(bed) = Bed::find() else { return };
    println!("read-ahead and largest request in pages: {:?}", bed.settings());
    let all = agreement(SEQUENCES, |seed| compare(&bed, seed));
    assert!(all.agree * 100 >= SEQUENCES * 90, "{all:?} of {SEQUENCES}");
    assert_eq!(all.major_faults_differ, 0, "{all:?}");
}
