//! What the machine's work costs: each cost with a name, a value, a unit, a source and a range.

mod preset;
mod sheet;

pub use preset::Preset;
pub use sheet::{Cost, Sheet, Unit, names};

use mmap_ahead::page::Nanos;

use crate::Error;
use crate::device::{DeviceModel, Tells};

/// The costs of a [`Sheet`] as a run uses them: whole nanoseconds.
///
/// No default: they come from a sheet, a preset's or a calibrated one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Into the kernel and back, for a call or an exception.
    pub mode_switch: Nanos,
    /// What a page-fault exception takes beyond the mode switch.
    pub exception: Nanos,
    /// What a system call takes beyond the mode switch, apart from what it is for.
    pub syscall: Nanos,
    /// The handler's work for one fault, apart from locks, tables and entries.
    pub minor_fault_base: Nanos,
    /// What a fault takes more for each page that its reader has read since the last one, beyond the
    /// first, up to 16 pages: what the handler needs has left the caches.
    pub fault_cooled: Nanos,
    /// Making one page-table entry.
    pub pte: Nanos,
    /// What each folio takes beyond its entries when it is mapped.
    pub folio_map: Nanos,
    /// Mapping 2 MiB by one entry.
    pub pmd: Nanos,
    /// What each step of MAP_POPULATE or MADV_POPULATE takes beyond the entries it makes.
    pub populate_step: Nanos,
    /// Allocating a page table (for 2 MiB of addresses).
    pub pte_table: Nanos,
    /// One TLB miss.
    pub tlb_miss: Nanos,
    /// Copying, in picoseconds a byte.
    pub copy_ps: u64,
    /// Reading a mapped page whole, undisturbed, apart from the TLB miss.
    pub access_page: Nanos,
    /// What the same takes more on the page before the last one: processors fetch ahead of a reader
    /// that goes on, and hardly before it.
    pub access_back: Nanos,
    /// What it takes more on a page that is neither the last one nor beside it.
    pub access_far: Nanos,
    /// What the same takes more right after a fault on that page.
    pub access_disturbed: Nanos,
    /// Reading 4 KiB that read(2) has just copied.
    pub access_copied: Nanos,
    /// The least that touching a page takes: one cold cache line.
    pub access_line: Nanos,
    /// Raising a signal, its handler apart, and returning from it.
    pub signal: Nanos,
    /// mprotect(2) of a range without pages, apart from entering the kernel.
    pub protect: Nanos,
    /// What UFFDIO_COPY takes for each page, and UFFDIO_MOVE for each 2 MiB, beyond the call, the bytes
    /// and the entry.
    pub uffd_fill: Nanos,
    /// From waking a thread until it runs.
    pub wake_up: Nanos,
    /// One TLB shoot-down by an interrupt to another core.
    pub ipi: Nanos,
    /// Taking and releasing a lock that nobody else uses.
    pub lock: Nanos,
    /// What the same takes more when another core had it last.
    pub lock_bounce: Nanos,
    /// What read(2) takes for each folio that it copies from, beyond the bytes.
    pub folio_read: Nanos,
    /// Allocating a folio and adding it to the page cache.
    pub folio_add: Nanos,
    /// The same, for each of its pages.
    pub page_add: Nanos,
    /// Handing one request to the device.
    pub io_submit: Nanos,
    /// Removing one page-table entry.
    pub zap: Nanos,
    /// mmap or munmap, apart from the entries.
    pub map_call: Nanos,
    /// Taking one page out of the page cache to make room.
    pub reclaim: Nanos,
    /// One look of an observer at the page table.
    pub look: Nanos,
    /// From one look to the next; at least 1.
    pub look_period: Nanos,
}

impl Costs {
    /// The costs of `sheet`.
    ///
    /// # Errors
    /// [`Error::Costs`] when one is missing, has another unit, or makes no sense beside another.
    pub fn of(sheet: &Sheet) -> Result<Costs, Error> {
        let ns = |name| sheet.whole(name).map(Nanos);
        let costs = Costs {
            mode_switch: ns("mode_switch")?,
            exception: ns("exception")?,
            syscall: ns("syscall")?,
            minor_fault_base: ns("minor_fault_base")?,
            fault_cooled: ns("fault_cooled")?,
            pte: ns("pte")?,
            folio_map: ns("folio_map")?,
            pmd: ns("pmd")?,
            populate_step: ns("populate_step")?,
            pte_table: ns("pte_table")?,
            tlb_miss: ns("tlb_miss")?,
            copy_ps: sheet.scaled("copy", 1000.0)?,
            access_page: ns("access_page")?,
            access_back: ns("access_back")?,
            access_far: ns("access_far")?,
            access_disturbed: ns("access_disturbed")?,
            access_copied: ns("access_copied")?,
            access_line: ns("access_line")?,
            signal: ns("signal")?,
            protect: ns("protect")?,
            uffd_fill: ns("uffd_fill")?,
            wake_up: ns("wake_up")?,
            ipi: ns("ipi")?,
            lock: ns("lock")?,
            lock_bounce: ns("lock_bounce")?,
            folio_read: ns("folio_read")?,
            folio_add: ns("folio_add")?,
            page_add: ns("page_add")?,
            io_submit: ns("io_submit")?,
            zap: ns("zap")?,
            map_call: ns("map_call")?,
            reclaim: ns("reclaim")?,
            look: ns("look")?,
            look_period: ns("look_period")?,
        };
        costs.check()?;
        Ok(costs)
    }

    /// Copying `bytes`.
    #[must_use]
    pub fn copying(&self, bytes: u64) -> Nanos {
        Nanos(bytes.saturating_mul(self.copy_ps) / 1000)
    }

    /// Copying loads every byte, so nothing read through a copy is cheaper than reading it in
    /// place. The oracle is a bound only because of this.
    fn check(&self) -> Result<(), Error> {
        let copied = self.copying(4096).0 + self.access_copied.0;
        if copied < self.access_page.0 {
            let (access, what) = (self.access_page.0, "copying a page and reading the copy");
            let text = format!("{what} takes {copied} ns, less than access_page, {access} ns");
            return Err(Error::Costs(text));
        }
        Ok(())
    }
}

impl DeviceModel {
    /// The device of `sheet`.
    ///
    /// # Errors
    /// [`Error::Costs`] when a part is missing or has another unit, [`Error::Setup`] when the
    /// device cannot exist.
    pub fn of(sheet: &Sheet) -> Result<DeviceModel, Error> {
        let model = DeviceModel {
            latency_ns: Nanos(sheet.whole("device_latency")?),
            jitter_permille: sheet.scaled("device_jitter", 1000.0)?,
            tells: if sheet.cost("device_drain")?.value < 0.5 {
                Tells::Each
            } else {
                Tells::Drained
            },
            request_ns: Nanos(sheet.whole("device_request")?),
            segment_ns: Nanos(sheet.whole("device_segment")?),
            bytes_per_s: sheet.whole("device_bandwidth")?,
            queue_depth: usize::try_from(sheet.whole("device_queue_depth")?).unwrap_or(usize::MAX),
            request_max: sheet.whole("device_request_max")?,
            pieces_max: sheet.whole("device_pieces_max")?,
        };
        model.check()?;
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_machine() {
        for preset in Preset::ALL {
            let sheet = preset.sheet();
            Costs::of(&sheet).unwrap_or_else(|error| panic!("{}: {error}", preset.name()));
            DeviceModel::of(&sheet).unwrap_or_else(|error| panic!("{}: {error}", preset.name()));
        }
    }

    #[test]
    fn a_copy_that_costs_less_than_reading_in_place_is_refused() {
        let mut sheet = Preset::Nvme.sheet();
        sheet.set("copy", 0.001).unwrap();
        assert!(Costs::of(&sheet).unwrap_err().to_string().contains("less than access_page"));
    }
}
