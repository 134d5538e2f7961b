//! The four classic faults of a mapped file, and what else can happen to its bytes: an error that
//! names the file, the offset and the cause, where plain mmap has a signal or zeros.
//!
//! It fails when a size is not looked at after a copy (the last page of a cut file reads as zeros),
//! when the guard forgets what it replaced, and when holes are taken for losses.

#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use common::cut::{Named, guarded, is_vanished, past};
use common::{MIB, Place, in_child, page, role, skip};
use mmap_ahead::{Loss, Mmap, MmapOptions, Mode, RemapOptions};
use tempfile::TempDir;

#[test]
fn inside_the_file_but_outside_the_mapping() {
    let named = Named::new(Place::Tmpfs, 4 * page());
    let map = named.map(MmapOptions::new().offset(10).len(page()));
    let mut buf = [0; 100];
    assert_eq!(map.read_at(&mut buf, page() - 30).unwrap(), 30);
    assert_eq!((buf[29], buf[30]), (7, 0));
    assert_eq!(map.read_at(&mut buf, page()).unwrap(), 0);
    assert_eq!(map.read_at(&mut buf, usize::MAX).unwrap(), 0);
    assert_eq!(map.try_slice(page() - 30..).unwrap(), [7; 30]);
    let error = map.try_slice(page() - 1..page() + 1).unwrap_err();
    let expected = format!("bytes {}..{} are not inside the mapping", page() - 1, page() + 1);
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(map.error().is_none());
}

#[test]
fn inside_the_mapping_but_past_the_end_of_the_file() {
    if role().is_none() {
        // Without its guards it would die.
        return in_child("past");
    }
    for place in Place::ALL {
        let len = page() + page() / 2;
        let named = Named::new(place, len);
        let map = named.map(MmapOptions::new().len(4 * page()));
        let mut buf = [0; 8];
        assert_eq!(map.read_at(&mut buf, len - 8).unwrap(), 8);
        assert_eq!(buf, [7; 8]);
        is_vanished(map.read_at(&mut buf, len - 7), &named.path, len, past(len));
        is_vanished(map.read_at(&mut buf, len + 9), &named.path, len + 9, past(len));
        is_vanished(map.read_at(&mut buf, 3 * page()), &named.path, 3 * page(), past(len));
        is_vanished(map.try_slice(..), &named.path, len, past(len));
        is_vanished(map.try_slice(2 * page()..), &named.path, 2 * page(), past(len));
        assert_eq!(map.try_slice(..len).unwrap().len(), len);
        assert!(map.error().is_none(), "it was mapped beyond the end on purpose");
        assert_eq!(map.guarded(|bytes| bytes[page()]).unwrap(), 7);
        let beyond = map.guarded(|bytes| bytes[3 * page() + 1]);
        is_vanished(beyond, &named.path, 3 * page(), past(len));
        is_vanished(map.error().map_or(Ok(()), Err), &named.path, 3 * page(), past(len));
        // Nothing is run any more over what is known to be wrong; what was there can be read.
        map.guarded(|_| panic!("it ran")).unwrap_err();
        assert_eq!(map.read_at(&mut buf, 0).unwrap(), 8);
    }
}

/// It is SIGSEGV as without us, also for a page that the guard has replaced. Safe code cannot get
/// there: a file that is open for reading only does not become writable.
#[test]
fn a_store_to_a_read_only_mapping() {
    use std::os::unix::process::ExitStatusExt;
    if let Some(role) = role() {
        let named = Named::new(Place::Tmpfs, 4 * page());
        let map = named.map(&guarded());
        let at = if role == "replaced" { 3 * page() } else { 0 };
        if role == "replaced" {
            named.cut(page());
            assert_eq!(map[at], 0);
        }
        // SAFETY: none: that it faults is what is tested.
        unsafe { map.as_ptr().wrapping_add(at).cast_mut().write_volatile(1) };
        return;
    }
    for role in ["there", "replaced"] {
        let child = std::panic::catch_unwind(|| in_child(role)).unwrap_err();
        let text = child.downcast_ref::<String>().unwrap();
        let segv = std::process::ExitStatus::from_raw(libc::SIGSEGV).to_string();
        assert!(text.starts_with(&format!("{role}: {segv}")), "{text}");
    }
    let named = Named::new(Place::Tmpfs, page());
    let read_only = File::open(&named.path).unwrap();
    // SAFETY: nobody changes the file.
    let map = unsafe { guarded().map(&read_only) }.unwrap();
    assert_eq!(map.make_mut().unwrap_err().raw_os_error(), Some(libc::EACCES));
}

#[test]
fn a_hole_in_a_sparse_file_just_works() {
    for place in Place::ALL {
        let Some(file) = place.sparse(4 * MIB + 5) else { skip!("no file on {place:?}") };
        // SAFETY: the file has no name, and nobody else writes it.
        let map = unsafe { guarded().map(&file) }.unwrap();
        let mut buf = vec![1; 2 * MIB];
        assert_eq!(map.read_at(&mut buf, 1).unwrap(), buf.len());
        assert!(buf.iter().all(|&byte| byte == 0));
        assert!(map.try_slice(..).unwrap().iter().all(|&byte| byte == 0));
        assert!(map.guarded(|bytes| bytes.iter().all(|&byte| byte == 0)).unwrap());
        assert!(map.error().is_none());
        if place == Place::Disk {
            assert_eq!(file.metadata().unwrap().blocks(), 0);
        }
    }
}

#[test]
fn a_cut_file_is_noticed_to_the_byte() {
    for place in Place::ALL {
        for mode in [Mode::Auto, Mode::Guard] {
            let named = Named::new(place, 2 * MIB);
            // An odd offset: bytes of the slice are not bytes of the page.
            let map = named.map(MmapOptions::new().offset(5).mode(mode));
            let cut = MIB + 100;
            named.cut(cut);
            let mut buf = [0; 50];
            assert_eq!(map.read_at(&mut buf, cut - 5 - 50).unwrap(), 50);
            assert_eq!(buf, [7; 50]);
            is_vanished(map.read_at(&mut buf, cut - 5 - 49), &named.path, cut, past(cut));
            is_vanished(map.try_slice(cut - 5 - 49..cut - 5 + 1), &named.path, cut, past(cut));
            is_vanished(map.try_slice(cut - 5 - 50..), &named.path, cut, past(cut));
            assert_eq!(map.try_slice(cut - 5 - 50..cut - 5).unwrap(), [7; 50]);
            is_vanished(map.error().map_or(Ok(()), Err), &named.path, cut, past(cut));
            is_vanished(map.guarded(<[u8]>::len), &named.path, cut, past(cut));
            named.grow_again();
            assert!(map.error().is_none());
            assert_eq!(map.guarded(|bytes| bytes.len()).unwrap(), 2 * MIB - 5);
        }
    }
}

/// A name is no identity.
#[test]
fn renamed_replaced_removed() {
    let named = Named::new(Place::Tmpfs, 2 * page());
    let new_path = named.dir.path().join("renamed\nfile");
    let mut buf = [0; 4];
    let map = named.map(&MmapOptions::new());
    assert_eq!(map.read_at(&mut buf, 0).unwrap(), 4);
    fs::rename(&named.path, &new_path).unwrap();
    // A shorter file has taken the name.
    fs::write(&named.path, [7; 3]).unwrap();
    assert_eq!(map.read_at(&mut buf, 2 * page() - 4).unwrap(), 4);
    named.cut(page() + 1);
    is_vanished(map.read_at(&mut buf, page()), &new_path, page() + 1, past(page() + 1));
    // Without a name only whole pages can be told to be missing.
    fs::remove_file(&new_path).unwrap();
    assert_eq!(map.read_at(&mut buf, page()).unwrap(), 4);
    assert_eq!(buf, [7, 0, 0, 0]);
    named.cut(page());
    is_vanished(map.read_at(&mut buf, page() - 1), &new_path, page(), Loss::Unknown);
    assert!(map.error().is_none(), "a length that cannot be known is no error");
}

#[test]
fn a_kept_file_needs_no_name() {
    for options in [MmapOptions::new().keep_file(), guarded().keep_file()] {
        let named = Named::new(Place::Tmpfs, 2 * page());
        let maps = [named.map(options), named.map_mut(options).make_read_only().unwrap()];
        fs::remove_file(&named.path).unwrap();
        named.cut(page() + 1);
        for map in maps {
            let answer = map.read_at(&mut [0; 4], page());
            is_vanished(answer, &named.path, page() + 1, past(page() + 1));
            assert!(map.error().is_some());
        }
    }
}

#[test]
fn a_replaced_page_is_remembered() {
    if role().is_none() {
        return in_child("replaced");
    }
    for place in Place::ALL {
        let named = Named::new(place, 8 * page());
        let map = named.map(&guarded());
        named.cut(2 * page());
        assert_eq!((map[5 * page() + 3], map[6 * page()]), (0, 0));
        is_vanished(map.error().map_or(Ok(()), Err), &named.path, 2 * page(), past(2 * page()));
        named.grow_again();
        // Zeros, and the file has sevens there.
        assert_eq!((map[4 * page()], map[5 * page()], map[7 * page()]), (7, 0, 7));
        is_vanished(map.error().map_or(Ok(()), Err), &named.path, 5 * page(), Loss::Replaced);
        is_vanished(map.try_slice(..), &named.path, 5 * page(), Loss::Replaced);
        is_vanished(map.try_slice(6 * page() + 10..), &named.path, 6 * page() + 10, Loss::Replaced);
        assert_eq!(map.try_slice(7 * page()..).unwrap().len(), page());
        assert_eq!(map.try_slice(..5 * page()).unwrap().len(), 5 * page());
        let read = |map: &Mmap, at| map.read_at(&mut [0; 2], at);
        is_vanished(read(&map, 5 * page() - 1), &named.path, 5 * page(), Loss::Replaced);
        // A change of the mapping forgets nothing, and keeps the guard.
        let map = map.make_mut().unwrap().make_read_only().unwrap();
        is_vanished(read(&map, 6 * page()), &named.path, 6 * page(), Loss::Replaced);
        named.cut(page());
        assert_eq!((map[0], map[7 * page()], map[page()]), (7, 0, 0));
        is_vanished(map.error().map_or(Ok(()), Err), &named.path, page(), past(page()));
    }
}

#[test]
fn stores_to_what_vanished_are_lost_and_told() {
    if role().is_none() {
        return in_child("stores");
    }
    let named = Named::new(Place::Tmpfs, 4 * page());
    let mut map = named.map_mut(&MmapOptions::new());
    map.guarded_mut(|bytes| bytes[3 * page()] = 8).unwrap();
    assert_eq!(map.read_at(&mut [0], 3 * page()).unwrap(), 1);
    named.cut(page());
    let stored = map.guarded_mut(|bytes| bytes.fill(9));
    is_vanished(stored, &named.path, page(), past(page()));
    named.cut(4 * page());
    let bytes = fs::read(&named.path).unwrap();
    assert!(bytes[..page()].iter().all(|&byte| byte == 7), "it was known before: nothing ran");
    assert!(bytes[page()..].iter().all(|&byte| byte == 0));
    let mut map = named.map_mut(&guarded());
    named.cut(page());
    map.fill(9);
    named.cut(4 * page());
    let bytes = fs::read(&named.path).unwrap();
    assert!(bytes[..page()].iter().all(|&byte| byte == 9));
    assert!(bytes[page()..].iter().all(|&byte| byte == 0));
    is_vanished(map.error().map_or(Ok(()), Err), &named.path, page(), Loss::Replaced);
}

/// ftruncate(2) takes private copies beyond the new end away too.
#[test]
fn private_copies_vanish_with_the_file() {
    if role().is_none() {
        return in_child("private");
    }
    let named = Named::new(Place::Tmpfs, 4 * page());
    // SAFETY: the test changes the file, and knows it.
    let mut map = unsafe { guarded().map_copy(&named.file) }.unwrap();
    map[0] = 8;
    map[3 * page()] = 8;
    named.cut(page());
    assert_eq!((map[0], map[3 * page()]), (8, 0));
    is_vanished(map.error().map_or(Ok(()), Err), &named.path, page(), past(page()));
}

#[test]
fn anonymous_memory_has_nothing_to_lose() {
    let mut map = guarded().len(3 * page()).map_anon().unwrap();
    map[page()] = 3;
    let mut buf = [0; 2];
    assert_eq!(map.read_at(&mut buf, page()).unwrap(), 2);
    assert_eq!(buf, [3, 0]);
    assert_eq!(map.try_slice(page()..=page()).unwrap(), [3]);
    assert_eq!(map.guarded(|bytes| bytes[page()]).unwrap(), 3);
    assert!(map.error().is_none());
}

#[test]
fn out_of_areas_all_of_it_is_replaced() {
    if role().is_none() {
        return in_child("areas");
    }
    let pages = 100_000;
    let dir = TempDir::new_in(Place::Tmpfs.dir()).unwrap();
    let path = dir.path().join("a file");
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    file.set_len((pages * page()) as u64).unwrap();
    file.write_all_at(&[7], 0).unwrap();
    // SAFETY: the test changes the file, and knows it.
    let map = unsafe { guarded().mode(Mode::Off).map(&file) }.unwrap();
    file.set_len(page() as u64).unwrap();
    let mut replaced_all = false;
    for index in (1..pages).step_by(2) {
        // SAFETY: no precondition.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: it is this thread's own.
        unsafe { errno.write(77) };
        let byte = std::hint::black_box(map[index * page()]);
        // SAFETY: as above.
        let after = unsafe { errno.read() };
        assert_eq!((byte, after), (0, 77), "the handler leaves no trace");
        replaced_all |= map[0] == 0;
    }
    if !replaced_all {
        skip!("vm.max_map_count is larger than this test thinks");
    }
    is_vanished(map.error().map_or(Ok(()), Err), &path, 0, Loss::Replaced);
    map.read_at(&mut [0], 0).unwrap_err();
}

/// Shrunk and moved, the guard goes with the mapping.
#[test]
fn the_guard_follows_a_remap() {
    if role().is_none() {
        return in_child("remap");
    }
    let named = Named::new(Place::Tmpfs, 8 * page());
    let mut map = named.map(guarded().len(2 * page()));
    // SAFETY: the file is so long.
    unsafe { map.remap(8 * page(), RemapOptions::new().may_move(true)) }.unwrap();
    assert_eq!(map[7 * page()], 7);
    named.cut(page());
    assert_eq!(map[7 * page() + 1], 0);
    is_vanished(map.error().map_or(Ok(()), Err), &named.path, page(), past(page()));
}
