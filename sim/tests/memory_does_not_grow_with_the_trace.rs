//! A long walk takes no more memory than a short one. Alone in its file: it looks at its process.

use mmap_ahead::page::ByteLen;
use mmap_ahead_sim::{Setup, Shape, Strategy, Workload, run};

/// The most memory that this process has had, in KiB.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn memory_does_not_grow_with_the_trace() {
    let shape = Shape { file: ByteLen(4096), ..Shape::default() };
    let touches = |rounds: u64| {
        let workload = Workload::named(&format!("files:4KiB*{rounds}"), &shape).unwrap();
        run(&workload, &Strategy::default(), &Setup::default()).unwrap().counts.touches
    };
    assert_eq!(touches(10), 10);
    let Some(before) = peak_kib() else { return eprintln!("SKIPPED: no /proc/self/status") };
    assert_eq!(touches(300_000), 300_000);
    let grown = peak_kib().unwrap() - before;
    // 900,000 items of 40 bytes would be 35 MiB.
    assert!(grown < 4 << 10, "{grown} KiB");
}
