//! The golden traces of KERNEL.md 1.6: read(2) of 4 KiB after 4 KiB from the start of a file.

use mmap_ahead::page::PageCount;

use super::super::{Backing, FileId, Kernel, KernelOptions, Profile, ReadEnd};

/// "page read : pages cached" wherever the second number changes.
fn trace(ra_pages: u64, up_to: u64) -> String {
    let disk = KernelOptions::disk(Profile::V6_18, PageCount(1 << 16));
    let mut kernel = Kernel::new(KernelOptions {
        backing: Backing::Hole,
        ra_pages: PageCount(ra_pages),
        io_pages: PageCount(1024),
        ..disk
    });
    let mut told = Vec::new();
    let mut cached = PageCount(0);
    for page in 0..=up_to {
        let mut reading = kernel.read(FileId::MAPPED, page * 4096..(page + 1) * 4096);
        while kernel.read_on(&mut reading).end != ReadEnd::Done {}
        if kernel.cached_pages() != cached {
            cached = kernel.cached_pages();
            told.push(format!("{page}:{}", cached.0));
        }
    }
    told.join(" ")
}

#[test]
fn sequential_read_with_32_pages() {
    let expected = "0:4 1:12 4:16 12:24 16:32 24:48 32:64 48:96 64:128 96:160 128:192";
    assert_eq!(trace(32, 128), expected);
}

#[test]
fn sequential_read_with_64_pages() {
    let expected = "0:4 1:12 4:16 12:24 16:32 24:48 32:64 48:96 64:128 96:192 128:256 192:320";
    assert_eq!(trace(64, 192), expected);
}

#[test]
fn sequential_read_with_1024_pages() {
    let expected = "0:4 1:20 4:80 20:320 80:768 320:1024 768:1536 1024:2048 1536:3072 2048:4096 \
                    3072:5120";
    assert_eq!(trace(1024, 3072), expected);
}

#[test]
fn sequential_read_with_2048_pages() {
    let expected = "0:4 1:20 4:80 20:320 80:768 320:1024 768:1536 1024:2048 1536:3072 2048:4096 \
                    3072:6144 4096:8192 6144:10240";
    assert_eq!(trace(2048, 6144), expected);
}
