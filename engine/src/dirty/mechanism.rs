/// How stores are noticed.
///
/// Cost: the first store to a page since it was last asked about is a page fault in each of them. What it
/// costs beyond that is in `benches/benches/first_store.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// The kernel notices by itself, in the page table (userfaultfd with WP_ASYNC, read by PAGEMAP_SCAN):
    /// no handler, no thread. On every file system and on anonymous memory. Two file descriptors a
    /// mapping. Page by page, also where there were huge pages: they are split.
    ///
    /// Kernel: 6.7. Source: Documentation/admin-guide/mm/userfaultfd.rst and pagemap.rst.
    Marked,
    /// A thread of ours is told of each first store and lets it through (userfaultfd): tmpfs, hugetlbfs
    /// and anonymous memory only. Two file descriptors and a thread a mapping.
    ///
    /// Where the user may have userfaultfd for its own faults only, a system call that is to write to
    /// such a page, as read(2) into the mapping, returns EFAULT.
    ///
    /// Kernel: 5.19 for tmpfs, 6.4 for anonymous memory. Source: userfaultfd(2), UFFDIO_WRITEPROTECT.
    Served,
    /// The mapping is read-only and a SIGSEGV handler lets each first store through. Everywhere on x86-64
    /// and arm64; a program's own handler still gets what is not ours. Windows of more than one page from
    /// 8 MiB on: at most 2,048 a mapping, 512 KiB each in 1 GiB.
    ///
    /// A system call that is to write to such a page returns EFAULT; a thread that blocks SIGSEGV is killed
    /// by its store; whoever installs another SIGSEGV handler later must hand on to the one before.
    ///
    /// Source: mprotect(2), sigaction(2).
    Signal,
}

impl Mechanism {
    /// All of them, the one to prefer first.
    pub const ALL: [Mechanism; 3] = [Mechanism::Marked, Mechanism::Served, Mechanism::Signal];
}
