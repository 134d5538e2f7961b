//! How much memory there is for this process to use.

use std::fs;
use std::path::PathBuf;

use super::cgroup::{self, Version};

const OF_THE_MACHINE: &str = "/proc/meminfo";

/// The bytes that may be had without hurting others: what the machine has available, or the limit of a
/// cgroup that this process is in, if that is less. `None` where nobody tells.
pub(super) fn available() -> Option<u64> {
    let limits = cgroup::places(Version::V2, "memory.max");
    let limits = limits.into_iter().chain(cgroup::places(Version::V1, "memory.limit_in_bytes"));
    least(fs::read_to_string(OF_THE_MACHINE).ok().as_deref(), limits)
}

/// The bytes that the cgroups which this process is in may still take before the kernel has to take some
/// back from them: of each its limit without what it holds, and the least of these. `None` where no cgroup
/// has a limit. What it holds counts the page cache too.
#[cfg(feature = "lab")]
pub(crate) fn room() -> Option<u64> {
    let pairs = [
        (Version::V2, "memory.max", "memory.current"),
        (Version::V2, "memory.high", "memory.current"),
        (Version::V1, "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ];
    let of = |(version, limit, held)| {
        cgroup::places(version, limit).into_iter().zip(cgroup::places(version, held))
    };
    least_room(pairs.into_iter().flat_map(of))
}

/// Of pairs of files, a limit and what is held.
#[cfg(feature = "lab")]
fn least_room(pairs: impl IntoIterator<Item = (PathBuf, PathBuf)>) -> Option<u64> {
    let number = |place: PathBuf| fs::read_to_string(place).ok()?.trim().parse::<u64>().ok();
    let room = |(limit, held)| Some(number(limit)?.saturating_sub(number(held)?));
    pairs.into_iter().filter_map(room).min()
}

/// Files that are not there and limits that say `max` are none.
fn least(meminfo: Option<&str>, limits: impl IntoIterator<Item = PathBuf>) -> Option<u64> {
    let limits = limits.into_iter().filter_map(|place| fs::read_to_string(place).ok());
    let limits = limits.filter_map(|limit| limit.trim().parse().ok());
    limits.chain(meminfo.and_then(mem_available)).min()
}

/// Source: proc_meminfo(5), MemAvailable; Linux 3.14.
fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str =
        "MemTotal:       24684096 kB\nMemAvailable:   23086588 kB\nCached: 1 kB\n";

    #[test]
    fn the_least_of_what_is_available_and_all_limits_counts() {
        let dir = tempfile::tempdir().unwrap();
        let limit = |name: &str, text: &str| {
            let place = dir.path().join(name);
            fs::write(&place, text).unwrap();
            place
        };
        let of_the_machine = 23_086_588 << 10;
        let none = [limit("max", "max\n"), limit("v1", "9223372036854771712\n"), "/no/such".into()];
        assert_eq!(least(Some(MEMINFO), none.clone()), Some(of_the_machine));
        let some =
            none.into_iter().chain([limit("own", "536870912\n"), limit("above", "1073741824\n")]);
        assert_eq!(least(Some(MEMINFO), some), Some(512 << 20));
    }

    #[cfg(feature = "lab")]
    #[test]
    fn the_cgroup_with_the_least_room_decides() {
        let dir = tempfile::tempdir().unwrap();
        let pair = |name: &str, limit: &str, held: &str| {
            let files = ["limit", "held"].map(|what| dir.path().join(format!("{name}-{what}")));
            fs::write(&files[0], limit).unwrap();
            fs::write(&files[1], held).unwrap();
            files.into()
        };
        let boundless = pair("max", "max\n", "4096\n");
        assert_eq!(least_room([boundless, ("/no/such".into(), "/no/such".into())]), None);
        let own = pair("own", "9223372036854771712\n", "500\n");
        let above = pair("above", "1000\n", "400\n");
        assert_eq!(least_room([own.clone(), above]), Some(600));
        assert_eq!(least_room([own, pair("full", "1000\n", "1200\n")]), Some(0));
    }

    #[test]
    fn where_nobody_tells_nothing_is_known() {
        assert_eq!(least(None, []), None);
        assert_eq!(least(Some("MemTotal: 1 kB\nMemAvailable: much\n"), []), None);
        assert!(available().is_some(), "this machine tells");
    }
}
