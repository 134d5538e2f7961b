//! Random sequences of everything a program can do to one mapping: touches, stores, reads of the file,
//! advice for parts of it, WILLNEED, populating, unmapping; files of odd lengths. After each step, the
//! model and the running kernel have the same pages in the page cache and in the page table, and have
//! counted the same faults.
//!
//! It fails when a rule of those calls, of huge pages or of the end of a file is wrong or left out.

mod live;

use std::fs::File;
use std::os::unix::fs::FileExt;

use live::{Bed, Difference, PAGE, PAGES, Rng, agreement, same_mapped, same_residents};
use mmap_ahead::lab::{LiveAdvice, LiveMap, UsageOf, usage};
use mmap_ahead::page::{PageIndex, PageRange};
use mmap_ahead_sim::kernel::{
    Access, Advice, Entry, FaultEnd, FaultKind, FileAdvice, FileId, Kernel, KernelOptions,
    Populate, PopulateEnd, Protection, ReadEnd,
};

/// Fewer in the gate, which has a debug build; all in `.ci/full`.
const SEQUENCES: u64 = if cfg!(debug_assertions) { 50 } else { 100 };
const STEPS: usize = 40;

/// One thing that is done to both.
#[derive(Clone, Copy, Debug)]
enum Step {
    Touch { from: usize, count: usize, stride: usize, access: Access },
    Read { from: usize, count: usize },
    Advise { from: usize, to: usize, advice: Advice },
    AdviseFile(FileAdvice),
    WillNeed { from: usize, to: usize },
    Populate { from: usize, to: usize, how: Populate },
    Unmap { from: usize, to: usize },
}

/// Steps for a file of `pages`, most of them near where the one before ended.
struct Program {
    rng: Rng,
    pages: usize,
    at: usize,
}

impl Program {
    fn next(&mut self) -> Step {
        let from = match self.rng.below(3) {
            0 => self.rng.below(self.pages),
            1 => self.at.saturating_sub(self.rng.below(1500)),
            _ => self.at.min(self.pages - 1),
        };
        let kind = self.rng.below(20);
        let count = match kind {
            0..10 => self.rng.pick(&[1, 1, 16, 200, 2000]),
            _ => self.rng.pick(&[1, 40, 600, 3000]),
        };
        let stride = if kind < 10 { self.rng.pick(&[1, 1, 7, 64]) } else { 1 };
        let to = self.pages.min(from + count * stride);
        self.at = to;
        match kind {
            0..7 => Step::Touch { from, count, stride, access: Access::Load },
            7..10 => Step::Touch { from, count, stride, access: Access::Store },
            10..12 => Step::Read { from, count: to - from },
            12..15 => Step::Advise { from, to, advice: self.advice() },
            15 => Step::AdviseFile(self.rng.pick(&FILE_ADVICE)),
            16 => Step::WillNeed { from, to },
            17 | 18 => Step::Populate { from, to, how: self.how() },
            _ => Step::Unmap { from, to },
        }
    }

    fn advice(&mut self) -> Advice {
        let all = [Advice::Normal, Advice::Sequential, Advice::Random, Advice::HugePage];
        self.rng.pick(&all)
    }

    fn how(&mut self) -> Populate {
        self.rng.pick(&[Populate::Read, Populate::Read, Populate::Write])
    }
}

const FILE_ADVICE: [FileAdvice; 4] =
    [FileAdvice::Normal, FileAdvice::Normal, FileAdvice::Sequential, FileAdvice::Random];

/// Faults of one step, minor and major.
type Faults = (u64, u64);

/// The running kernel.
struct Real {
    file: File,
    map: LiveMap,
    buffer: Vec<u8>,
}

impl Real {
    fn run(&mut self, step: Step) -> Faults {
        let before = usage(UsageOf::Thread);
        self.carry_out(step);
        let after = usage(UsageOf::Thread);
        let counts = |usage: mmap_ahead::lab::Usage| (usage.minor_faults, usage.major_faults);
        let (before, after) = (counts(before), counts(after));
        (after.0 - before.0, after.1 - before.1)
    }

    fn carry_out(&mut self, step: Step) {
        let Real { file, map, buffer } = self;
        match step {
            Step::Touch { from, count, stride, access } => {
                for page in touched(self.pages(), from, count, stride) {
                    match access {
                        Access::Load => drop::<u8>(self.map.load(page)),
                        Access::Store => self.map.store(page),
                    }
                }
            }
            Step::Read { from, count } => {
                let len = count * PAGE as usize;
                file.read_at(&mut buffer[..len], from as u64 * PAGE).unwrap();
            }
            Step::Advise { from, to, advice } => map.advise(from, to, live(advice)).unwrap(),
            Step::AdviseFile(advice) => {
                let advice = match advice {
                    FileAdvice::Normal => rustix::fs::Advice::Normal,
                    FileAdvice::Sequential => rustix::fs::Advice::Sequential,
                    FileAdvice::Random => rustix::fs::Advice::Random,
                };
                rustix::fs::fadvise(file, 0, None, advice).unwrap();
            }
            Step::WillNeed { from, to } => map.advise(from, to, LiveAdvice::WillNeed).unwrap(),
            Step::Populate { from, to, how: Populate::Write } => {
                map.populate_for_stores(from, to).unwrap();
            }
            Step::Populate { from, to, .. } => map.populate(from, to).unwrap(),
            Step::Unmap { from, to } => map.advise(from, to, LiveAdvice::DropMapped).unwrap(),
        }
    }

    fn pages(&self) -> usize {
        (self.file.metadata().unwrap().len() / PAGE) as usize
    }
}

fn live(advice: Advice) -> LiveAdvice {
    match advice {
        Advice::Sequential => LiveAdvice::Sequential,
        Advice::Random => LiveAdvice::Random,
        Advice::HugePage => LiveAdvice::HugePage,
        Advice::Normal | Advice::NoHugePage => LiveAdvice::Normal,
    }
}

fn touched(pages: usize, from: usize, count: usize, stride: usize) -> impl Iterator<Item = usize> {
    (from..pages.min(from + count * stride)).step_by(stride)
}

/// The same in the model.
fn run_model(kernel: &mut Kernel, step: Step) -> Faults {
    let pages =
        |from: usize, to: usize| PageRange::new(PageIndex(from as u64), PageIndex(to as u64));
    let mut faults = (0, 0);
    match step {
        Step::Touch { from, count, stride, access } => {
            let file_pages = kernel.options().file_pages.0 as usize;
            for page in touched(file_pages, from, count, stride) {
                touch(kernel, PageIndex(page as u64), access, &mut faults);
            }
        }
        Step::Read { from, count } => {
            let bytes = from as u64 * PAGE..(from + count) as u64 * PAGE;
            let mut reading = kernel.read(FileId::MAPPED, bytes);
            while kernel.read_on(&mut reading).end != ReadEnd::Done {}
        }
        Step::Advise { from, to, advice } => drop(kernel.advise(pages(from, to), advice)),
        Step::AdviseFile(advice) => kernel.advise_file(FileId::MAPPED, advice),
        Step::WillNeed { from, to } => drop(kernel.will_need_mapped(pages(from, to))),
        Step::Populate { from, to, how } => {
            let mut populating = kernel.populate(pages(from, to), how);
            loop {
                match kernel.populate_on(&mut populating).end {
                    PopulateEnd::Faulted(kind) => count(&mut faults, kind),
                    PopulateEnd::Done => break,
                    other => panic!("{step:?}: {other:?}"),
                }
            }
        }
        Step::Unmap { from, to } => drop(kernel.unmap(pages(from, to))),
    }
    faults
}

fn touch(kernel: &mut Kernel, page: PageIndex, access: Access, faults: &mut Faults) {
    let is_there = match access {
        Access::Load => kernel.is_mapped(page),
        Access::Store => kernel.is_writable(page),
    };
    if !is_there {
        match kernel.fault(page, access, Entry::User).end {
            FaultEnd::Mapped(kind) => count(faults, kind),
            other => panic!("{page:?} of a hole: {other:?}"),
        }
    }
}

fn count(faults: &mut Faults, kind: FaultKind) {
    match kind {
        FaultKind::Minor => faults.0 += 1,
        FaultKind::Major => faults.1 += 1,
    }
}

fn compare(bed: &Bed, seed: u64) -> Result<(), Difference> {
    let mut rng = Rng(seed);
    let pages = PAGES - rng.pick(&[0, 1, 3, 100, 511, 512]);
    let entry = rng.pick(&[0, 0, 0, 1, 37]);
    let (file, options) = bed.open(pages);
    let map = LiveMap::new(&file, pages, entry).unwrap();
    let mut real = Real { file, map, buffer: vec![0; 3000 * PAGE as usize] };
    let protection = Protection::ReadWrite;
    let mut kernel =
        Kernel::new(KernelOptions { address_page: entry as u64, protection, ..options });
    let mut program = Program { rng, pages, at: 0 };
    for number in 0..STEPS {
        let step = program.next();
        let (there, here) = (real.run(step), run_model(&mut kernel, step));
        let told = |what: String, is_major_count| {
            let what = format!("{pages} pages at entry {entry}, {step:?}: {what}");
            Difference { step: number, what, is_major_count }
        };
        same_residents(bed, &real.map, &kernel).map_err(|what| told(what, false))?;
        same_mapped(&real.map, &kernel).map_err(|what| told(what, false))?;
        if there != here {
            let what = format!("{there:?} faults, {here:?} in the model");
            return Err(told(what, there.1 != here.1));
        }
    }
    Ok(())
}

#[test]
fn whatever_is_asked_for_is_where_the_model_says() {
    let Some(bed) = Bed::find() else { return };
    println!("read-ahead and largest request in pages: {:?}", bed.settings());
    let all = agreement(SEQUENCES, |seed| compare(&bed, seed));
    assert!(all.agree * 100 >= SEQUENCES * 90, "{all:?} of {SEQUENCES}");
    assert_eq!(all.major_faults_differ, 0, "{all:?}");
}
