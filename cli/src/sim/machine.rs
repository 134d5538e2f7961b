//! The arguments that describe a machine.

use std::path::Path;

use mmap_ahead::page::{ByteLen, PageCount};
use mmap_ahead_bench::{Error, size};
use mmap_ahead_sim::kernel::{DaxExtents, FileKind, KernelOptions, ORDER_MAX, Profile};
use mmap_ahead_sim::sweep::Machine;
use mmap_ahead_sim::{CacheState, Preset, Setup, Sheet};

use super::wrong;

/// Which machine, beside its costs
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// cold or warm
    #[arg(long, default_value = "cold", value_parser = ["cold", "warm"])]
    cache: String,
    /// What the file is on: disk, tmpfs, dax, dax-huge [default: the preset's]
    #[arg(long, value_parser = ["disk", "tmpfs", "dax", "dax-huge"])]
    file: Option<String>,
    /// Whose rules hold: 6.12, 6.18 [default: the preset's]
    #[arg(long, value_parser = ["6.12", "6.18"])]
    kernel: Option<String>,
    /// The disk's read_ahead_kb
    #[arg(long, default_value_t = 128)]
    read_ahead_kb: u64,
    /// fault_around_bytes
    #[arg(long, default_value = "64KiB", value_parser = size::parse)]
    fault_around: u64,
    /// The most of the file that may be cached at once [default: all of it]
    #[arg(long, value_parser = size::parse)]
    memory_limit: Option<u64>,
    /// How many cores run readers and helpers
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=4096))]
    cores: u32,
    /// How many helpers carry plans out
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    helpers: u32,
    /// The most that may be fetched ahead of the reader
    #[arg(long, default_value = "64MiB", value_parser = size::parse)]
    budget: u64,
    /// Decides everything random
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

impl Arguments {
    /// The machine whose costs are called `name`: a preset, or a file that calibration wrote.
    pub(crate) fn machine(&self, name: &str) -> Result<Machine, Error> {
        let setup = match Preset::named(name) {
            Some(preset) => Setup::of(preset),
            None => of_file(Path::new(name))?,
        };
        self.check()?;
        let kernel = self.kernel_of(setup.kernel);
        let cache = match self.cache.as_str() {
            "warm" => CacheState::Warm,
            _ => CacheState::Cold,
        };
        let setup = Setup {
            kernel,
            cache,
            cores: self.cores as usize,
            helpers: self.helpers as usize,
            budget: ByteLen(self.budget),
            seed: self.seed,
            ..setup
        };
        Ok(Machine { name: name.to_owned(), setup })
    }

    fn check(&self) -> Result<(), Error> {
        let pages = self.fault_around / 4096;
        if !self.fault_around.is_power_of_two() || !(1..=512).contains(&pages) {
            let what = "--fault-around takes a power of two from 4KiB to 2MiB";
            return Err(Error::Usage(what.into()));
        }
        Ok(())
    }

    fn kernel_of(&self, own: KernelOptions) -> KernelOptions {
        let profile = match self.kernel.as_deref() {
            Some("6.12") => Profile::V6_12,
            Some(_) => Profile::V6_18,
            None => own.profile,
        };
        let none = PageCount(0);
        let kernel = match (self.file.as_deref(), own.file_kind) {
            (Some("dax"), _) => KernelOptions::dax(profile, none, DaxExtents::Scattered),
            (Some("dax-huge"), _) => KernelOptions::dax(profile, none, DaxExtents::Huge),
            (Some("tmpfs"), _) => KernelOptions::tmpfs(profile, none),
            (None, FileKind::Dax(extents)) => KernelOptions::dax(profile, none, extents),
            _ => KernelOptions::disk(profile, none),
        };
        KernelOptions {
            ra_pages: PageCount(self.read_ahead_kb / 4),
            fault_around: PageCount(self.fault_around / 4096),
            memory_max: self.memory_limit.map(|limit| PageCount((limit / 4096).max(1))),
            folio_order_max: kernel.folio_order_max.min(ORDER_MAX),
            ..kernel
        }
    }
}

fn of_file(path: &Path) -> Result<Setup, Error> {
    if !path.exists() {
        let names: Vec<_> = Preset::ALL.iter().map(|preset| preset.name()).collect();
        let (path, known) = (path.display(), names.join(", "));
        return Err(Error::Usage(format!("{path}: neither a file of costs nor one of {known}")));
    }
    let text = std::fs::read_to_string(path).map_err(Error::at(path))?;
    let named = |error| Error::failed(format!("{}: {}", path.display(), wrong(error)));
    Setup::of_sheet(&Sheet::parse(&text).map_err(named)?).map_err(wrong)
}
