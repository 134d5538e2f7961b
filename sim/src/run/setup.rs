//! The modelled machine.

use mmap_ahead::page::{ByteLen, PageCount, PageSize};
use mmap_ahead::policy::Geometry;

use crate::Error;
use crate::costs::{Costs, Preset, Sheet};
use crate::device::DeviceModel;
use crate::kernel::{DaxExtents, Entry, FileKind, KernelOptions, Profile};

/// Whether the file is in the page cache when a run begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheState {
    /// None of it is.
    #[default]
    Cold,
    /// All of it is, and none of it is mapped.
    Warm,
}

/// The modelled machine: costs, device, kernel, cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// What the kernel's work costs.
    pub costs: Costs,
    /// The device.
    pub device: DeviceModel,
    /// The kernel; its `file_pages` are set by the workload, its `fault_around` by strategies that
    /// say so.
    pub kernel: KernelOptions,
    /// Under which lock user faults run: that of their VMA (`Entry::User`, from Linux 6.4 on; the
    /// default) or mmap_lock (`Entry::Locked`, before).
    pub fault_entry: Entry,
    /// Whether the file is in the page cache. Default: it is not.
    pub cache: CacheState,
    /// The folios of a warm file hold 2^this pages. Default: 8 where the file may have large
    /// folios (DESIGN.md: 1 MiB, as read(2) leaves them), else 0.
    pub warm_order: u8,
    /// How many cores run readers and helpers; at least 1. Default: 2.
    pub cores: usize,
    /// How many helpers carry plans out; at least 1. Default: 1.
    pub helpers: usize,
    /// The most that may be fetched beyond the furthest touch. Pages before it, which a forward
    /// reader has left behind, do not count. Default: [`mmap_ahead::BUDGET_DEFAULT`].
    pub budget: ByteLen,
    /// Decides everything random: the workload's order, the device's jitter. Default: 1.
    pub seed: u64,
}

impl Setup {
    /// The machine of a preset, cold: a DAX file for the presets whose file is in memory, else a
    /// file of ext4 on Linux 6.18.
    ///
    /// # Panics
    /// Never: the presets are checked by tests.
    #[must_use]
    pub fn of(preset: Preset) -> Setup {
        let setup = Setup::of_sheet(&preset.sheet()).expect("a preset's sheet is whole");
        let extents = DaxExtents::Scattered;
        let dax = |profile| KernelOptions::dax(profile, PageCount(0), extents);
        match preset {
            Preset::Choi2017 => {
                Setup { kernel: dax(Profile::V6_12), fault_entry: Entry::Locked, ..setup }
            }
            Preset::OptaneDax => Setup { kernel: dax(Profile::V6_18), ..setup },
            _ => setup,
        }
    }

    /// The machine of a sheet of costs, with a file of ext4 on Linux 6.18, cold.
    ///
    /// # Errors
    /// As [`Costs::of`] and [`DeviceModel::of`].
    pub fn of_sheet(sheet: &Sheet) -> Result<Setup, Error> {
        Ok(Setup {
            costs: Costs::of(sheet)?,
            device: DeviceModel::of(sheet)?,
            kernel: KernelOptions::disk(Profile::V6_18, PageCount(0)),
            fault_entry: Entry::User,
            cache: CacheState::Cold,
            warm_order: 8,
            cores: 2,
            helpers: 1,
            budget: mmap_ahead::BUDGET_DEFAULT,
            seed: 1,
        })
    }

    /// What a policy is told about a file of `len` bytes on this machine.
    #[must_use]
    pub fn geometry(&self, len: ByteLen) -> Geometry {
        let geometry = Geometry::new(PageSize::FOUR_KIB, len, self.budget);
        Geometry { fault_around: self.around(), ..geometry }
    }

    /// How many pages one fault maps at most, large folios apart: DAX has no fault-around.
    pub(crate) fn around(&self) -> PageCount {
        match self.kernel.file_kind {
            FileKind::Dax(_) | FileKind::Anonymous => PageCount(1),
            FileKind::Disk | FileKind::Tmpfs => self.kernel.fault_around,
        }
    }

    /// The order of the folios of a warm file.
    pub(crate) fn order_when_warm(&self) -> u8 {
        self.warm_order.min(self.kernel.folio_order_max)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        self.device.check()?;
        if self.cores == 0 || self.helpers == 0 {
            return Err(Error::Setup { what: "a machine needs a core and a helper" });
        }
        Ok(())
    }
}

impl Default for Setup {
    fn default() -> Setup {
        Setup::of(Preset::default())
    }
}
