//! Cache lines: writing them back, storing past them, and ordering both. What is durable after it is
//! so only on persistent memory mapped with MAP_SYNC.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU8;

/// How a cache line is written back to memory; each is had only where this processor has it.
///
/// Source: Intel SDM volume 2 (CLFLUSH, CLFLUSHOPT, CLWB), Arm ARM (DC CVAP), PMDK's libpmem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineFlush {
    kind: Kind,
    line_len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each processor has some of them")]
enum Kind {
    /// Writes the line back and keeps it in the cache. Unordered.
    Clwb,
    /// Writes it back and drops it. Unordered.
    ClflushOpt,
    /// The same, one after the other.
    Clflush,
    /// To the point of persistence.
    DcCvap,
}

impl LineFlush {
    /// The best that this processor has, probed once. `None` where it has none.
    #[must_use]
    pub fn best() -> Option<LineFlush> {
        static BEST: OnceLock<Option<LineFlush>> = OnceLock::new();
        *BEST.get_or_init(|| LineFlush::all().into_iter().next())
    }

    /// All that this processor has, the best first.
    #[must_use]
    pub fn all() -> Vec<LineFlush> {
        let line_len = machine::line_len();
        machine::kinds().into_iter().map(|kind| LineFlush { kind, line_len }).collect()
    }

    /// The instruction's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.kind {
            Kind::Clwb => "CLWB",
            Kind::ClflushOpt => "CLFLUSHOPT",
            Kind::Clflush => "CLFLUSH",
            Kind::DcCvap => "DC CVAP",
        }
    }

    /// Returns when every line written back before, by this thread, has reached memory.
    pub fn fence(self) {
        machine::fence();
    }

    /// Starts writing back every line that holds one of `cells`.
    pub(super) fn write_back(self, cells: &[AtomicU8]) {
        let Some(last) = cells.last() else { return };
        let first = cells.as_ptr() as usize / self.line_len * self.line_len;
        let last = std::ptr::from_ref(last) as usize;
        (first..=last).step_by(self.line_len).for_each(|line| machine::write_back(self.kind, line));
    }
}

/// Stores past the caches as many whole lines of `bytes` as `cells` holds, and says which bytes those
/// are. [`LineFlush::fence`] must follow before anybody looks at them.
pub(super) fn stream(cells: &[AtomicU8], bytes: &[u8]) -> std::ops::Range<usize> {
    machine::stream(cells, bytes)
}

#[cfg(target_arch = "x86_64")]
mod machine {
    use std::arch::asm;
    use std::arch::x86_64::{__cpuid, __cpuid_count, _mm_sfence};
    use std::ops::Range;
    use std::sync::atomic::{AtomicU8, AtomicU64};

    use super::Kind;

    /// Bits of leaf 7, EBX.
    const HAS_CLFLUSHOPT: u32 = 1 << 23;
    const HAS_CLWB: u32 = 1 << 24;

    pub(super) fn kinds() -> Vec<Kind> {
        #[allow(unused_unsafe, reason = "safe since Rust 1.94")]
        // SAFETY: every x86-64 processor has CPUID.
        let leaves = unsafe { __cpuid(0) }.eax;
        let extended = if leaves < 7 { 0 } else { leaf_7() };
        let has = |bit| extended & bit != 0;
        let optional = [(Kind::Clwb, has(HAS_CLWB)), (Kind::ClflushOpt, has(HAS_CLFLUSHOPT))];
        // CLFLUSH came with SSE2, which is part of x86-64.
        let known = optional.into_iter().filter(|(_, has)| *has).map(|(kind, _)| kind);
        known.chain([Kind::Clflush]).collect()
    }

    fn leaf_7() -> u32 {
        #[allow(unused_unsafe, reason = "safe since Rust 1.94")]
        // SAFETY: the caller has seen that there is such a leaf.
        let leaf = unsafe { __cpuid_count(7, 0) };
        leaf.ebx
    }

    pub(super) fn line_len() -> usize {
        #[allow(unused_unsafe, reason = "safe since Rust 1.94")]
        // SAFETY: every x86-64 processor has leaf 1.
        let leaf = unsafe { __cpuid(1) };
        // In units of 8 bytes. An emulator that says 0 means nothing by it.
        let len = ((leaf.ebx >> 8) & 0xFF) as usize * 8;
        if len.is_power_of_two() { len } else { 64 }
    }

    pub(super) fn write_back(kind: Kind, line: usize) {
        match kind {
            // SAFETY: CPUID has it, the line is mapped, and writing it back changes no byte.
            Kind::Clwb => unsafe { asm!("clwb [{}]", in(reg) line, options(nostack)) },
            // SAFETY: as above.
            Kind::ClflushOpt => unsafe { asm!("clflushopt [{}]", in(reg) line, options(nostack)) },
            // SAFETY: as above.
            Kind::Clflush => unsafe { asm!("clflush [{}]", in(reg) line, options(nostack)) },
            Kind::DcCvap => unreachable!("not an instruction of this processor"),
        }
    }

    pub(super) fn fence() {
        #[allow(unused_unsafe, reason = "safe in later versions of Rust")]
        // SAFETY: every x86-64 processor has SFENCE.
        unsafe {
            _mm_sfence()
        };
    }

    /// Eight stores of 8 bytes, one after the other, fill a line: the processor then writes it out
    /// without reading it first.
    pub(super) fn stream(cells: &[AtomicU8], bytes: &[u8]) -> Range<usize> {
        let before = cells.as_ptr().align_offset(64).min(cells.len());
        let whole = (cells.len() - before) / 64 * 64;
        let past = before..before + whole;
        // SAFETY: any 8 bytes are a valid AtomicU64; the part begins at a line, so nothing is left.
        let (_, words, _) = unsafe { cells[past.clone()].align_to::<AtomicU64>() };
        for (word, bytes) in words.iter().zip(bytes[past.clone()].as_chunks::<8>().0) {
            let (to, value) = (word.as_ptr(), u64::from_ne_bytes(*bytes));
            // SAFETY: the word is writable; MOVNTI stores it whole, as an atomic store does, and the
            // caller fences before anybody looks.
            unsafe { asm!("movnti [{}], {}", in(reg) to, in(reg) value, options(nostack)) };
        }
        past
    }
}

#[cfg(target_arch = "aarch64")]
mod machine {
    use std::arch::asm;
    use std::ops::Range;
    use std::sync::atomic::AtomicU8;

    use super::Kind;

    /// Source: arch/arm64/include/uapi/asm/hwcap.h.
    const HWCAP_DCPOP: u64 = 1 << 16;

    pub(super) fn kinds() -> Vec<Kind> {
        // SAFETY: reads a value that the kernel left for the process.
        let has = unsafe { libc::getauxval(libc::AT_HWCAP) };
        if has & HWCAP_DCPOP != 0 { vec![Kind::DcCvap] } else { Vec::new() }
    }

    pub(super) fn line_len() -> usize {
        let register: u64;
        // SAFETY: Linux lets every process read CTR_EL0.
        unsafe { asm!("mrs {}, ctr_el0", out(reg) register, options(nomem, nostack)) };
        // DminLine: the logarithm of a number of words of 4 bytes.
        4 << ((register >> 16) & 0xF)
    }

    pub(super) fn write_back(_: Kind, line: usize) {
        // DC CVAP, written so that every assembler knows it.
        // SAFETY: the kernel says that it is there; the line is mapped; no byte changes.
        unsafe { asm!("sys #3, c7, c12, #1, {}", in(reg) line, options(nostack)) };
    }

    pub(super) fn fence() {
        // SAFETY: a barrier has no precondition.
        unsafe { asm!("dsb sy", options(nostack)) };
    }

    pub(super) fn stream(_: &[AtomicU8], _: &[u8]) -> Range<usize> {
        0..0
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod machine {
    use std::ops::Range;
    use std::sync::atomic::AtomicU8;

    use super::Kind;

    pub(super) fn kinds() -> Vec<Kind> {
        Vec::new()
    }

    pub(super) fn line_len() -> usize {
        64
    }

    pub(super) fn write_back(_: Kind, _: usize) {
        unreachable!("nobody has a `LineFlush` here");
    }

    pub(super) fn fence() {}

    pub(super) fn stream(_: &[AtomicU8], _: &[u8]) -> Range<usize> {
        0..0
    }
}
