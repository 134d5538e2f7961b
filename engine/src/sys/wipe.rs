//! Noticing fork(2) without atfork handlers: a page that the kernel wipes in the child.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};

use super::page_size;

/// Null until [`fork_guard_init`]. The byte is 1 in the process that made the page and 0 in every
/// child of it.
static PAGE: AtomicPtr<AtomicU8> = AtomicPtr::new(ptr::null_mut());

/// The process that called [`fork_guard_init`] first: the answer where the kernel has no
/// MADV_WIPEONFORK. 0 until then.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Remembers this process, so that [`in_forked_child`] can tell its children. Cheap to repeat; a
/// child does not become its own owner by calling it again.
///
/// Kernel: MADV_WIPEONFORK 4.14; before that the process id is compared, which costs a system
/// call each time.
pub(crate) fn fork_guard_init() {
    if OWNER.load(Ordering::Acquire) != 0 {
        return;
    }
    if let Some(page) = wiped_page() {
        let null = ptr::null_mut();
        if PAGE.compare_exchange(null, page, Ordering::AcqRel, Ordering::Acquire).is_err() {
            unmap(page);
        }
    }
    OWNER.store(std::process::id(), Ordering::Release);
}

/// True in a child that was forked after [`fork_guard_init`], and in its children: the tables are
/// inherited there, the threads are not. Async-signal-safe; may change errno.
pub(crate) fn in_forked_child() -> bool {
    let page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        let owner = OWNER.load(Ordering::Acquire);
        return owner != 0 && owner != std::process::id();
    }
    // SAFETY: a published page stays mapped for the life of the process and is written to only
    // through this atomic type, and by the kernel in a child that has no other thread yet.
    let byte = unsafe { &*page };
    byte.load(Ordering::Relaxed) == 0
}

/// A private page that holds 1 here and 0 in children, or `None` where the kernel refuses.
fn wiped_page() -> Option<*mut AtomicU8> {
    let len = page_len();
    let (prot, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new anonymous mapping at an address of the kernel's choice disturbs nothing.
    let page = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    let page = page.cast::<AtomicU8>();
    // SAFETY: the range is the mapping made above, which nobody else knows.
    if unsafe { libc::madvise(page.cast(), len, libc::MADV_WIPEONFORK) } != 0 {
        unmap(page);
        return None;
    }
    // SAFETY: the mapping is writable, aligned, zeroed by the kernel and not shared yet.
    unsafe { (*page).store(1, Ordering::Relaxed) };
    Some(page)
}

fn unmap(page: *mut AtomicU8) {
    // SAFETY: callers pass a mapping of one page that they made and did not publish.
    unsafe { libc::munmap(page.cast(), page_len()) };
}

/// A page size always fits: it came from the kernel as a `long`.
fn page_len() -> usize {
    page_size().bytes() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_knows_that_it_is_one_and_the_parent_that_it_is_not() {
        fork_guard_init();
        assert!(!in_forked_child());
        // SAFETY: the child calls nothing but async-signal-safe functions before it exits.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            fork_guard_init();
            let status = if in_forked_child() { 0 } else { 1 };
            // SAFETY: ends the child at once and has no precondition.
            unsafe { libc::_exit(status) };
        }
        let mut status = -1;
        // SAFETY: `status` is writable, and `child` is a child of this process.
        let reaped = unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!((reaped, status), (child, 0));
        assert!(!in_forked_child());
    }
}
