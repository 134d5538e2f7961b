//! Page faults as perf events: those of a command and all it starts, or those of this thread.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::check;
use super::perf_ring::Ring;

/// What a sample holds: process and thread, time, address, the event's id.
const SAMPLE_TYPE: u64 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6;

/// PERF_TYPE_SOFTWARE.
const TYPE_SOFTWARE: u32 = 1;
/// PERF_COUNT_SW_PAGE_FAULTS_MIN.
const FAULTS_MINOR: u64 = 5;
/// PERF_COUNT_SW_PAGE_FAULTS_MAJ.
const FAULTS_MAJOR: u64 = 6;

/// Bits of the attributes.
const DISABLED: u64 = 1;
const INHERIT: u64 = 1 << 1;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HV: u64 = 1 << 6;
const MMAP: u64 = 1 << 8;
const COMM: u64 = 1 << 9;
const ENABLE_ON_EXEC: u64 = 1 << 12;
const TASK: u64 = 1 << 13;
const MMAP_DATA: u64 = 1 << 17;
const SAMPLE_ID_ALL: u64 = 1 << 18;
const MMAP2: u64 = 1 << 23;
const COMM_EXEC: u64 = 1 << 24;
const USE_CLOCKID: u64 = 1 << 25;

/// PERF_EVENT_IOC_SET_OUTPUT.
const SET_OUTPUT: libc::Ioctl = 0x2405;
/// PERF_EVENT_IOC_ID.
const GET_ID: libc::Ioctl = 0x8008_2407u32 as libc::Ioctl;
/// PERF_FLAG_FD_CLOEXEC.
const FD_CLOEXEC: libc::c_ulong = 8;

/// The kernel's `struct perf_event_attr`, fifth version (112 bytes; 4.1).
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    bits: u64,
    wakeup_events: u32,
    breakpoint: u32,
    config1: u64,
    config2: u64,
    branch_sample_type: u64,
    sample_regs_user: u64,
    sample_stack_user: u32,
    clockid: i32,
    sample_regs_intr: u64,
    aux_watermark: u32,
    sample_max_stack: u16,
    reserved: u16,
}

/// Whether faults that the kernel takes on user memory, inside system calls, are seen too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultsOf {
    /// Only those of user code.
    User,
    /// All. Needs `perf_event_paranoid` 1 or less, or CAP_PERFMON.
    UserAndKernel,
}

/// The minor and major faults of some threads on one CPU (or of one thread on all), in one ring.
#[derive(Debug)]
pub struct FaultEvents {
    ring: Ring,
    /// Kept open: they write into the ring.
    _events: [OwnedFd; 2],
    major_id: u64,
}

impl FaultEvents {
    /// On `cpu`, of every program that this thread starts from now on, from its exec(2) on, with all
    /// its threads and children. Nothing of this process itself.
    ///
    /// The records in the ring: PERF_RECORD_SAMPLE with process and thread, time, address and event
    /// id (8 bytes each, in this order); MMAP2, COMM, FORK, EXIT, LOST, which end with process and
    /// thread, time and event id. Times are those of CLOCK_MONOTONIC.
    ///
    /// # Errors
    /// EACCES or EPERM when `perf_event_paranoid` or a filter forbids it; ENOMEM or EPERM when the
    /// ring, `len` bytes rounded up to a power of two, is more than may be locked.
    ///
    /// Kernel: 4.1. Source: perf_event_open(2), KERNEL.md 12.
    pub fn of_children(cpu: u32, faults: FaultsOf, len: usize) -> io::Result<FaultEvents> {
        let cpu = libc::c_int::try_from(cpu).map_err(|_| io::ErrorKind::InvalidInput)?;
        let bits = DISABLED | INHERIT | ENABLE_ON_EXEC;
        let beside = MMAP | MMAP2 | MMAP_DATA | COMM | COMM_EXEC | TASK;
        FaultEvents::open(cpu, faults, len, bits, beside)
    }

    /// Of the calling thread, on every CPU, from now on: to learn what an event costs.
    ///
    /// # Errors
    /// As [`FaultEvents::of_children`].
    pub fn of_this_thread(faults: FaultsOf, len: usize) -> io::Result<FaultEvents> {
        FaultEvents::open(-1, faults, len, 0, 0)
    }

    fn open(
        cpu: libc::c_int,
        faults: FaultsOf,
        len: usize,
        bits: u64,
        beside: u64,
    ) -> io::Result<FaultEvents> {
        let kernel = if faults == FaultsOf::User { EXCLUDE_KERNEL } else { 0 };
        let bits = bits | kernel | EXCLUDE_HV | SAMPLE_ID_ALL | USE_CLOCKID;
        let minor = open_event(&attributes(FAULTS_MINOR, bits | beside), cpu)?;
        let major = open_event(&attributes(FAULTS_MAJOR, bits), cpu)?;
        let ring = Ring::new(&minor, len)?;
        // SAFETY: both are perf events of the same thread and CPU; the call keeps no pointer.
        check(unsafe { libc::ioctl(major.as_raw_fd(), SET_OUTPUT, minor.as_raw_fd()) }.into())?;
        let mut major_id = 0u64;
        let id: *mut u64 = &raw mut major_id;
        // SAFETY: the call writes one u64, which lives until it returns.
        check(unsafe { libc::ioctl(major.as_raw_fd(), GET_ID, id) }.into())?;
        Ok(FaultEvents { ring, _events: [minor, major], major_id })
    }

    /// The event id of records of major faults.
    #[must_use]
    pub fn major_id(&self) -> u64 {
        self.major_id
    }

    /// Moves every whole record that is in the ring to the end of `into`.
    pub fn drain(&mut self, into: &mut Vec<u8>) {
        self.ring.drain(into);
    }
}

fn attributes(config: u64, bits: u64) -> Attributes {
    Attributes {
        kind: TYPE_SOFTWARE,
        size: size_of::<Attributes>() as u32,
        config,
        sample_period: 1,
        sample_type: SAMPLE_TYPE,
        bits,
        clockid: libc::CLOCK_MONOTONIC,
        ..Attributes::default()
    }
}

fn open_event(attributes: &Attributes, cpu: libc::c_int) -> io::Result<OwnedFd> {
    let (this_thread, no_group): (libc::pid_t, libc::c_int) = (0, -1);
    let attributes: *const Attributes = attributes;
    // SAFETY: the attributes have the kernel's layout, say their size, and live until the call
    // returns.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_perf_event_open, attributes, this_thread, cpu, no_group, FD_CLOEXEC)
    })?;
    // SAFETY: the call has just returned this descriptor, which nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_have_the_kernels_size() {
        assert_eq!(size_of::<Attributes>(), 112);
        assert_eq!(std::mem::offset_of!(Attributes, bits), 40);
        assert_eq!(std::mem::offset_of!(Attributes, clockid), 92);
    }
}
