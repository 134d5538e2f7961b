//! The machines that come with the simulator.

use super::Sheet;

/// A machine by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// The machine of Choi, Kim and Han (HotStorage 2017), fitted to their Figure 1.
    Choi2017,
    /// A virtual machine of 2026 with an NVMe disk: this project's. The default.
    #[default]
    Nvme,
    /// The same with a SATA solid-state disk.
    SataSsd,
    /// The same with Optane memory behind a DAX file system.
    OptaneDax,
    /// The same with a file server a millisecond away.
    Nfs1Ms,
    /// The same with an object store 30 milliseconds away.
    ObjectStore30Ms,
}

/// The processor's costs that the other presets share.
const KVM: &str = include_str!("kvm-6.18.toml");

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 6] = [
        Preset::Choi2017,
        Preset::Nvme,
        Preset::SataSsd,
        Preset::OptaneDax,
        Preset::Nfs1Ms,
        Preset::ObjectStore30Ms,
    ];

    /// The name that [`Preset::named`] takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Preset::Choi2017 => "choi2017",
            Preset::Nvme => "nvme",
            Preset::SataSsd => "sata-ssd",
            Preset::OptaneDax => "optane-dax",
            Preset::Nfs1Ms => "nfs-1ms",
            Preset::ObjectStore30Ms => "object-store-30ms",
        }
    }

    /// The preset of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Preset> {
        Preset::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// Its costs.
    ///
    /// # Panics
    /// Never: the files that come with the crate are checked by its tests.
    #[must_use]
    pub fn sheet(self) -> Sheet {
        let parsed = |text| Sheet::parse_some(text).expect("a preset's file is a sheet");
        parsed(KVM).overlaid(parsed(self.text()))
    }

    fn text(self) -> &'static str {
        match self {
            Preset::Choi2017 => include_str!("choi2017.toml"),
            Preset::Nvme => include_str!("nvme.toml"),
            Preset::SataSsd => include_str!("sata-ssd.toml"),
            Preset::OptaneDax => include_str!("optane-dax.toml"),
            Preset::Nfs1Ms => include_str!("nfs-1ms.toml"),
            Preset::ObjectStore30Ms => include_str!("object-store-30ms.toml"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_whole_and_found_by_its_name() {
        for preset in Preset::ALL {
            let sheet = preset.sheet();
            assert_eq!(Sheet::parse(&sheet.to_toml()).unwrap(), sheet, "{}", preset.name());
            assert_eq!(Preset::named(preset.name()), Some(preset));
        }
        assert_eq!(Preset::named("host"), None, "that one is measured, and read from a file");
    }
}
