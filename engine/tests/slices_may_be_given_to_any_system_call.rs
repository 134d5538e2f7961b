//! write(2) from every page of a mapping never returns EFAULT in the default mode, while a reader is
//! followed and while nobody reads. In Guard mode it does, as documented, until the page is touched.
//!
//! It fails when the default mode protects anything, and when the documentation of Guard is wrong.

mod common;

use std::fs::File;
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use std::thread;

use common::stuck::PATIENCE;
use common::{MIB, Numbered, Place, becomes, page, skip};
use mmap_ahead::{Mmap, MmapOptions, Mode, Stats};

const FILE_LEN: usize = 8 * MIB;

fn memfd() -> File {
    // SAFETY: the name is a C string; the call makes a new descriptor.
    let fd = unsafe { libc::memfd_create(c"copy".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "memfd_create: {}", std::io::Error::last_os_error());
    // SAFETY: the descriptor was just made and belongs to nobody else.
    unsafe { File::from_raw_fd(fd) }
}

fn map(file: &File, mode: Mode) -> Mmap {
    // SAFETY: the file has no name, and nobody else writes it.
    unsafe { MmapOptions::new().mode(mode).map(file) }.unwrap()
}

/// Writes page after page to a file of the kernel's own memory, and answers how many of the calls
/// returned EFAULT.
fn write_every_page(map: &[u8], copy: &File) -> usize {
    let faults = (0..map.len()).step_by(page()).filter(|&at| {
        let bytes = &map[at..map.len().min(at + page())];
        match copy.write_at(bytes, at as u64) {
            Ok(written) => {
                assert_eq!(written, bytes.len());
                false
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EFAULT), "page {}", at / page());
                true
            }
        }
    });
    faults.count()
}

fn check(copy: &File) {
    // SAFETY: nobody writes the copy any more.
    let copied = unsafe { memmap2::Mmap::map(copy) }.unwrap();
    let numbered = Numbered::new();
    (0..FILE_LEN / page()).for_each(|index| numbered.check(&copied, index));
}

fn never_in_the_default_mode(place: Place) {
    let Some(file) = place.numbered(FILE_LEN) else { skip!("no file on {place:?}") };
    for mode in [Mode::Auto, Mode::Marker, Mode::Off] {
        let copy = memfd();
        let untouched = map(&file, mode);
        assert_eq!(write_every_page(&untouched, &copy), 0, "{mode:?}, untouched");
        check(&copy);
        let read = map(&file, mode);
        let faults = thread::scope(|scope| {
            scope.spawn(|| common::touch_all(&read));
            write_every_page(&read, &copy)
        });
        assert_eq!(faults, 0, "{mode:?}, beside a reader");
        let is_followed = || becomes(PATIENCE, || read.stats() != Stats::default());
        assert!(mode == Mode::Off || is_followed(), "{mode:?}");
    }
}

#[test]
fn never_efault_on_tmpfs() {
    never_in_the_default_mode(Place::Tmpfs);
}

#[test]
fn never_efault_on_a_disk() {
    never_in_the_default_mode(Place::Disk);
}

#[test]
fn guarded_pages_return_efault_until_they_are_touched() {
    let Some(file) = Place::Tmpfs.numbered(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file, Mode::Guard);
    let copy = memfd();
    assert_eq!(write_every_page(&map, &copy), FILE_LEN / page(), "nothing is open yet");
    assert_eq!(map.stats().trips, 0, "a system call raises no signal");
    common::touch_all(&map);
    assert!(map.stats().trips > 0);
    assert_eq!(write_every_page(&map, &copy), 0, "everything was touched");
    check(&copy);
}
