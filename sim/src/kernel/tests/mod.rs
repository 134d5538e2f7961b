//! Rules one by one, against `KERNEL.md`.

mod dax;
mod faults;
mod golden;
mod limits;
mod populating;
mod stores;
mod userfaults;
mod waits;

use mmap_ahead::page::{PageCount, PageIndex, PageRange};

use super::{
    Access, Backing, Entry, FaultEnd, FaultKind, Kernel, KernelOptions, Profile, Protection,
    Signal, Work,
};

/// A sparse file on a disk with read-ahead of 32 pages.
fn hole(pages: u64) -> KernelOptions {
    let disk = KernelOptions::disk(Profile::V6_18, PageCount(pages));
    KernelOptions { backing: Backing::Hole, protection: Protection::ReadWrite, ..disk }
}

fn pages(from: u64, to: u64) -> PageRange {
    PageRange::new(PageIndex(from), PageIndex(to))
}

fn touch(kernel: &mut Kernel, page: u64, access: Access) -> (FaultKind, Work) {
    let fault = kernel.fault(PageIndex(page), access, Entry::User);
    match fault.end {
        FaultEnd::Mapped(kind) => (kind, fault.work),
        other => panic!("page {page}: {other:?}"),
    }
}

fn load(kernel: &mut Kernel, page: u64) -> (FaultKind, Work) {
    touch(kernel, page, Access::Load)
}

fn refused(kernel: &mut Kernel, page: u64, access: Access) -> Signal {
    match kernel.fault(PageIndex(page), access, Entry::User).end {
        FaultEnd::Failed(signal) => signal,
        other => panic!("page {page}: {other:?}"),
    }
}

fn all(kernel: &Kernel) -> PageRange {
    PageRange::at(PageIndex(0), kernel.options().file_pages)
}

fn runs(of: impl Iterator<Item = PageRange>) -> Vec<(u64, u64)> {
    of.map(|run| (run.start.0, run.end.0)).collect()
}

fn mapped(kernel: &Kernel) -> Vec<(u64, u64)> {
    runs(kernel.mapped_runs(all(kernel)))
}

fn resident(kernel: &Kernel) -> Vec<(u64, u64)> {
    runs(kernel.resident_runs(all(kernel)))
}
