//! How much memory a process may take.

/// The bytes that the cgroups which this process is in may still take before the kernel has to take some
/// back from them; `None` where none of them has a limit. Source: cgroups(7), cgroup-v1/memory.rst,
/// cgroup-v2.rst.
#[must_use]
pub fn memory_room() -> Option<u64> {
    crate::runtime::memory_room()
}
