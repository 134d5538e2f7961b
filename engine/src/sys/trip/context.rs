//! What the interrupted thread was doing, read from what the kernel left on the signal stack.

/// Kind of access that faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    /// The instruction itself was fetched from there.
    Fetch,
}

impl Access {
    /// True when a page with protection `prot` lets this access through.
    pub(super) fn is_allowed_by(self, prot: i32) -> bool {
        let needed = match self {
            Access::Read => libc::PROT_READ,
            Access::Write => libc::PROT_WRITE,
            Access::Fetch => libc::PROT_EXEC,
        };
        prot & needed != 0
    }

    /// From the page-fault error code: bit 1 is a write, bit 4 an instruction fetch.
    /// Source: Intel SDM volume 3, 4.7; arch/x86/include/asm/trap_pf.h.
    #[cfg(any(test, target_arch = "x86_64"))]
    fn from_x86_error(error: i64) -> Access {
        if error & 1 << 1 != 0 {
            Access::Write
        } else if error & 1 << 4 != 0 {
            Access::Fetch
        } else {
            Access::Read
        }
    }

    /// From the exception syndrome register: classes 0x20 and 0x21 are instruction aborts; in a
    /// data abort bit 6 (WnR) says write, unless bit 8 (CM) says that it was cache maintenance,
    /// which needs no more than a read. Source: arch/arm64/include/asm/esr.h.
    #[cfg(any(test, target_arch = "aarch64"))]
    fn from_arm_syndrome(syndrome: u64) -> Access {
        let class = syndrome >> 26 & 0x3f;
        if matches!(class, 0x20 | 0x21) {
            Access::Fetch
        } else if syndrome & 1 << 6 != 0 && syndrome & 1 << 8 == 0 {
            Access::Write
        } else {
            Access::Read
        }
    }
}

/// The syndrome among the records that follow the registers of an arm64 signal frame, when the
/// kernel wrote it. Each record starts with its magic number and its size in bytes; a zero ends
/// the list. Source: arch/arm64/include/uapi/asm/sigcontext.h.
#[cfg(any(test, target_arch = "aarch64"))]
fn arm_syndrome(records: &[u8]) -> Option<u64> {
    const ESR_MAGIC: u32 = 0x4553_5201;
    const HEAD_LEN: usize = 8;
    let mut rest = records;
    loop {
        let magic = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?);
        let size = u32::from_ne_bytes(rest.get(4..HEAD_LEN)?.try_into().ok()?) as usize;
        if magic == ESR_MAGIC {
            return Some(u64::from_ne_bytes(rest.get(HEAD_LEN..16)?.try_into().ok()?));
        }
        if magic == 0 || size < HEAD_LEN {
            return None;
        }
        rest = rest.get(size..)?;
    }
}

/// What the faulting instruction wanted to do.
///
/// # Safety
/// `context` is the third argument of a running SA_SIGINFO handler for a page fault.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn access(context: *const libc::ucontext_t) -> Access {
    // SAFETY: the caller's promise: the kernel filled in the general registers, as it always does.
    let registers = unsafe { &(*context).uc_mcontext.gregs };
    Access::from_x86_error(registers.get(libc::REG_ERR as usize).copied().unwrap_or(0))
}

/// What the faulting instruction wanted to do; a read when the kernel does not say.
///
/// # Safety
/// `context` is the third argument of a running SA_SIGINFO handler for a page fault.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn access(context: *const libc::ucontext_t) -> Access {
    const RECORDS_LEN: usize = 4096;
    // The records are the last field, and aligned to 16 bytes: the type of `libc` counts them from
    // 8 bytes before, so their place is taken from the end.
    let offset = size_of::<libc::mcontext_t>() - RECORDS_LEN;
    // SAFETY: the caller's promise; only the field's address is taken.
    let machine = unsafe { &raw const (*context).uc_mcontext };
    // SAFETY: `offset` is inside the field.
    let start = unsafe { machine.cast::<u8>().add(offset) };
    // SAFETY: the kernel reserves all of these bytes in the frame; nobody writes to them now.
    let records = unsafe { std::slice::from_raw_parts(start, RECORDS_LEN) };
    arm_syndrome(records).map_or(Access::Read, Access::from_arm_syndrome)
}

/// Never called: the guard is refused on other machines, since loads and stores cannot be told
/// apart there.
///
/// # Safety
/// None needed.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) unsafe fn access(_context: *const libc::ucontext_t) -> Access {
    Access::Write
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x86_error_codes() {
        // Bit 0: page present; bit 2: from user mode.
        assert_eq!(Access::from_x86_error(0b0_0101), Access::Read);
        assert_eq!(Access::from_x86_error(0b0_0111), Access::Write);
        assert_eq!(Access::from_x86_error(0b1_0101), Access::Fetch);
    }

    #[test]
    fn arm_syndromes() {
        // Permission fault, level 3: status code 0b001111.
        let [data, fetch] = [0x24, 0x20].map(|class| class << 26 | 0x0f);
        assert_eq!(Access::from_arm_syndrome(data), Access::Read);
        assert_eq!(Access::from_arm_syndrome(data | 1 << 6), Access::Write);
        assert_eq!(Access::from_arm_syndrome(data | 1 << 6 | 1 << 8), Access::Read);
        assert_eq!(Access::from_arm_syndrome(fetch), Access::Fetch);
    }

    #[test]
    fn the_arm_syndrome_is_found_among_other_records() {
        let record = |magic: u32, size: u32, body: &[u8]| {
            let mut bytes = [magic.to_ne_bytes(), size.to_ne_bytes()].concat();
            bytes.extend_from_slice(body);
            bytes.resize(size as usize, 0);
            bytes
        };
        let vector = record(0x4650_8001, 528, &[1; 100]);
        let syndrome = record(0x4553_5201, 16, &0x9200_004f_u64.to_ne_bytes());
        let end = [0_u8; 16];
        let whole = [vector.as_slice(), &syndrome, &end].concat();
        assert_eq!(arm_syndrome(&whole), Some(0x9200_004f));
        assert_eq!(arm_syndrome(&[vector.as_slice(), &end].concat()), None);
        // Cut off, of no length, or longer than the frame: no answer, and no panic.
        assert_eq!(arm_syndrome(&whole[..540]), None);
        assert_eq!(arm_syndrome(&record(0x4650_8001, 8, &[])[..7]), None);
        assert_eq!(arm_syndrome(&[1, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(arm_syndrome(&[1, 0, 0, 0, 255, 255, 255, 255]), None);
    }

    #[test]
    fn a_store_is_never_allowed_by_what_guards_open_with() {
        for prot in [libc::PROT_READ, libc::PROT_READ | libc::PROT_EXEC] {
            assert!(Access::Read.is_allowed_by(prot));
            assert!(!Access::Write.is_allowed_by(prot));
        }
        assert!(!Access::Fetch.is_allowed_by(libc::PROT_READ));
        assert!(Access::Fetch.is_allowed_by(libc::PROT_READ | libc::PROT_EXEC));
    }
}
