//! What the kernel's work costs: counts on one side, a bill on the other.

use mmap_ahead::page::Nanos;

use super::breakdown::{Breakdown, Kind};
use crate::costs::Costs;
use crate::kernel::Work;

/// The bytes of a page; the modelled kernel has no others.
const PAGE_BYTES: u64 = 4096;

/// A fault of user code, or a part of one.
pub(crate) fn fault(costs: &Costs, work: &Work) -> Breakdown {
    let mut bill = tables_and_folios(costs, work);
    bill.add(Kind::PageFault, times(costs.minor_fault_base.0 + costs.lock.0, work.attempts));
    bill
}

/// The exception that a fault begins with.
pub(crate) fn entry(costs: &Costs) -> Breakdown {
    let mut bill = Breakdown::default();
    bill.add(Kind::ModeSwitch, costs.mode_switch);
    bill.add(Kind::PageFault, costs.exception);
    bill
}

/// Putting pages into the page table by name: no exception, no entry.
pub(crate) fn populate(costs: &Costs, work: &Work) -> Breakdown {
    let mut bill = tables_and_folios(costs, work);
    bill.add(Kind::PageFault, times(costs.populate_step.0, work.attempts));
    bill
}

/// read(2): folios, new ones and those that it copies from.
pub(crate) fn read(costs: &Costs, work: &Work) -> Breakdown {
    let mut bill = folios(costs, work);
    bill.add(Kind::PageCache, times(costs.folio_read.0, work.folios));
    bill
}

/// MADV_WILLNEED: folios only.
pub(crate) fn folios(costs: &Costs, work: &Work) -> Breakdown {
    let mut bill = Breakdown::default();
    add_folios(&mut bill, costs, work);
    bill
}

/// munmap and MADV_DONTNEED.
pub(crate) fn unmap(costs: &Costs, work: &Work) -> Breakdown {
    let mut bill = Breakdown::default();
    bill.add(Kind::Calls, times(costs.zap.0, work.zapped));
    bill
}

/// Entering the kernel by a call and what the call itself takes.
pub(crate) fn call(costs: &Costs, beyond: Nanos) -> Breakdown {
    let mut bill = Breakdown::default();
    bill.add(Kind::ModeSwitch, costs.mode_switch);
    bill.add(Kind::Calls, Nanos(costs.syscall.0 + beyond.0));
    bill
}

fn tables_and_folios(costs: &Costs, work: &Work) -> Breakdown {
    let mut bill = Breakdown::default();
    add_folios(&mut bill, costs, work);
    let entries = times(costs.pte.0, work.ptes).0
        + times(costs.folio_map.0, work.folios).0
        + times(costs.pmd.0, work.pmds).0
        + times(costs.pte_table.0, work.tables).0;
    bill.add(Kind::PteConstruction, Nanos(entries));
    bill.add(Kind::PageFault, times(costs.minor_fault_base.0, work.mkwrites));
    bill
}

fn add_folios(bill: &mut Breakdown, costs: &Costs, work: &Work) {
    let folios = times(costs.folio_add.0, work.folios_new).0
        + times(costs.page_add.0, work.pages_new).0
        + times(costs.reclaim.0, work.reclaimed).0;
    bill.add(Kind::PageCache, Nanos(folios));
    let copied = (work.pages_zeroed + work.pages_copied) * PAGE_BYTES;
    if copied > 0 {
        bill.add(Kind::Copy, costs.copying(copied));
    }
}

fn times(cost: u64, count: u64) -> Nanos {
    Nanos(cost * count)
}
