//! Where the kernel tells of this process's cgroup, as far as memory goes.
//!
//! A container may see the path of its cgroup on the host and not the folder, and have its own folder where
//! all cgroups would be mounted: so each folder above is looked at too. Its limits hold as well.

use std::fs;
use std::path::{Path, PathBuf};

const MOUNT: &str = "/sys/fs/cgroup";
const MEMBERSHIP: &str = "/proc/self/cgroup";

/// Which of the two file systems a file is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Each controller has its own: that of memory.
    V1,
    /// One for all, alone or beside the first.
    V2,
}

/// Where `file` of this process's cgroup may lie, and of those above it, nearest first.
pub(super) fn places(version: Version, file: &str) -> Vec<PathBuf> {
    let membership = fs::read_to_string(MEMBERSHIP).unwrap_or_default();
    places_in(Path::new(MOUNT), &membership, version, file)
}

/// The same, for a process of which `membership` is told. Source: cgroups(7), /proc/pid/cgroup.
pub(super) fn places_in(
    mount: &Path,
    membership: &str,
    version: Version,
    file: &str,
) -> Vec<PathBuf> {
    let own = membership.lines().find_map(|line| path_of(line, version));
    let Some(own) = own else { return Vec::new() };
    let mounts = match version {
        Version::V1 => vec![mount.join("memory")],
        Version::V2 => vec![mount.to_owned(), mount.join("unified")],
    };
    let above = |mount: PathBuf| {
        let folders = Path::new(own).ancestors().map(|folder| folder.to_owned());
        let folders = folders.collect::<Vec<_>>().into_iter();
        folders.map(move |folder| mount.join(folder).join(file))
    };
    mounts.into_iter().flat_map(above).collect()
}

/// The path in a line `hierarchy:controllers:/path`, without its first slash.
fn path_of(line: &str, version: Version) -> Option<&str> {
    let mut fields = line.splitn(3, ':');
    let (hierarchy, controllers) = (fields.next()?, fields.next()?);
    let is_it = match version {
        Version::V1 => controllers.split(',').any(|name| name == "memory"),
        Version::V2 => hierarchy == "0" && controllers.is_empty(),
    };
    fields.next()?.strip_prefix('/').filter(|_| is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "4:cpu,memory:/a/b\n3:cpuset:/x\n0::/c\n";

    #[test]
    fn each_folder_above_is_named_nearest_first() {
        let v1 = places_in(Path::new("/m"), BOTH, Version::V1, "f");
        assert_eq!(v1, ["/m/memory/a/b/f", "/m/memory/a/f", "/m/memory/f"].map(PathBuf::from));
        let v2 = places_in(Path::new("/m"), BOTH, Version::V2, "f");
        let expected = ["/m/c/f", "/m/f", "/m/unified/c/f", "/m/unified/f"];
        assert_eq!(v2, expected.map(PathBuf::from));
    }

    #[test]
    fn who_is_in_no_cgroup_has_no_places() {
        for membership in ["", "nonsense", "3:cpuset:/x", "0::"] {
            for version in [Version::V1, Version::V2] {
                let places = places_in(Path::new("/m"), membership, version, "f");
                assert_eq!(places, Vec::<PathBuf>::new(), "{membership}");
            }
        }
        assert_eq!(places_in(Path::new("/m"), "0::/", Version::V2, "f").len(), 2);
    }
}
