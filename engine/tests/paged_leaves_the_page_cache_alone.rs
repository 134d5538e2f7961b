//! A cold file that is read whole leaves nothing in the page cache, and pushes nobody else out of it.
//!
//! It fails when direct reads are not direct, or when anything reads the file on the side.

mod common;

use std::fs::File;

use common::paged::{Named, check_all, open};
use common::{MIB, Place, make_cold, page, skip};
use mmap_ahead::{Access, PagedMode, PagedOptions, lab};

#[test]
fn neither_filled_nor_emptied() {
    leaves_alone(128 * MIB);
}

/// `cargo test --release --test paged_leaves_the_page_cache_alone -- --ignored`.
#[test]
#[ignore = "writes 4 GiB"]
fn neither_filled_nor_emptied_by_four_gibibytes() {
    leaves_alone(4096 * MIB);
}

fn leaves_alone(len: usize) {
    let Some(cold) = Named::new(Place::Disk, len) else { skip!("no file on a disk") };
    let Some(warm) = Named::new(Place::Disk, 32 * MIB) else { skip!("no file on a disk") };
    let (cold_file, warm_file) =
        (File::open(cold.path()).unwrap(), File::open(warm.path()).unwrap());
    if let Err(why) = make_cold(&cold_file) {
        skip!("{why}");
    }
    std::io::copy(&mut &warm_file, &mut std::io::sink()).unwrap();
    let cached = |file: &File| lab::cached(file).unwrap().cached_pages as usize * page();
    assert_eq!(cached(&warm_file), 32 * MIB);
    let Some(paged) = open(&PagedOptions::new().memory_limit(32 << 20), &cold.path()) else {
        return;
    };
    if !matches!(paged.mode(), PagedMode::Userfault { access: Some(Access::Direct), .. }) {
        skip!("no direct reads here: {:?}", paged.mode());
    }
    check_all(&paged);
    for at in (0..len).step_by(len / 130).rev() {
        std::hint::black_box(paged[at]);
    }
    paged.prefetch(..);
    paged.read_at(&mut vec![0; 12345], 777).unwrap();
    drop(paged);
    assert!(cached(&cold_file) * 100 < len, "{} bytes are cached", cached(&cold_file));
    assert_eq!(cached(&warm_file), 32 * MIB);
}
