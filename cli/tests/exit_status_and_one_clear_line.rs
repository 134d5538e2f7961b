//! Bad input: exit status 1 or 2, nothing on standard output, one clear line on standard error.

#![forbid(unsafe_code)]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use support::{as_nobody, mmap_ahead, parts, scratch, small_file};

/// Exactly one line, which holds all of `words`.
fn assert_one_line(output: &Output, status: i32, words: &[&str]) {
    let (code, out, err) = parts(output);
    assert_eq!(code, Some(status), "{err}");
    assert_eq!(out, "", "something was printed before the failure");
    assert_eq!(err.lines().count(), 1, "not one line: {err:?}");
    assert!(err.starts_with("mmap-ahead: ") && err.ends_with('\n'), "{err:?}");
    for word in words {
        assert!(err.contains(word), "{word:?} is not in {err:?}");
    }
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("empty"), "").unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(path("fifo")).status();
    let mut cases = vec![
        (path("missing"), "No such file or directory"),
        (path(""), "is a directory"),
        (path("empty"), "is empty"),
        ("/dev/zero".to_owned(), "is not a regular file"),
    ];
    match fifo {
        Ok(status) if status.success() => cases.push((path("fifo"), "is not a regular file")),
        _ => eprintln!("SKIPPED: no mkfifo"),
    }
    for (file, words) in &cases {
        for engine in ["read", "memmap2", "mmap", "mmap+guard", "reader"] {
            let output = mmap_ahead(&["read", file, "--engine", engine]);
            assert_one_line(&output, 1, &[file, words]);
        }
        assert_one_line(&mmap_ahead(&["compare", file]), 1, &[file, words]);
    }
}

#[test]
fn direct_reads_are_refused_in_memory() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        return eprintln!("SKIPPED: /dev/shm cannot be written");
    };
    let file = small_file(dir.path());
    let file = file.to_str().unwrap();
    let read = mmap_ahead(&["read", file, "--engine", "direct"]);
    assert_one_line(&read, 1, &[file, "tmpfs", "`direct`"]);
    let compare = mmap_ahead(&["compare", file, "--engines", "read,direct", "--json"]);
    assert!(String::from_utf8_lossy(&compare.stderr).contains("tmpfs"), "{compare:?}");
    assert_eq!(compare.status.code(), Some(1));
}

#[test]
fn a_file_without_permission_is_named() {
    let dir = scratch();
    let file = small_file(dir.path());
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    for command in ["read", "compare"] {
        let Some(output) = as_nobody(&[command, file]) else {
            return;
        };
        assert_one_line(&output, 1, &[file, "Permission denied"]);
    }
}

#[test]
fn a_good_file_before_a_bad_one_is_still_read() {
    let dir = scratch();
    let file = small_file(dir.path());
    let output = mmap_ahead(&["read", file.to_str().unwrap(), "/no/such/file"]);
    let (code, out, err) = parts(&output);
    assert_eq!((code, out.lines().count(), err.lines().count()), (Some(1), 1, 1), "{out}{err}");
}

#[test]
fn what_is_not_built_yet_says_so_with_status_2() {
    let dir = scratch();
    let file = small_file(dir.path());
    let file = file.to_str().unwrap();
    let cases: [&[&str]; 2] = [&["sim", "validate"], &["compare", file, "--pattern", "trace:file"]];
    for case in cases {
        assert_one_line(&mmap_ahead(case), 2, &["not built yet"]);
    }
}

#[test]
fn wrong_usage_has_status_2() {
    let dir = scratch();
    let file = small_file(dir.path());
    let file = file.to_str().unwrap();
    let cases: [&[&str]; 17] = [
        &[],
        &["frobnicate"],
        &["read"],
        &["read", file, "--engine", "mmapp"],
        &["compare", file, "--engines", "memmap2,memmap2"],
        &["compare", file, "--pattern", "sideways"],
        &["compare", file, "--cache", "tepid"],
        &["compare", file, "--runs", "0"],
        &["compare", file, "--touch", "4k"],
        &["compare", file, "--size", "1GiB"],
        &["compare", file, "--policy", "wild"],
        &["compare", "--size", "1gb"],
        &["demo", "--size", "0"],
        &["record", "-o", "/tmp/never-written"],
        &["record", "--", "true"],
        &["pm"],
        &["pm", file, "--stores", "0"],
    ];
    for case in cases {
        let (code, out, err) = parts(&mmap_ahead(case));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{case:?}: {err}");
        assert!(!err.is_empty(), "{case:?}");
    }
}

#[test]
fn cold_on_tmpfs_is_refused() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("SKIPPED: /dev/shm cannot be written");
        return;
    };
    if !support::in_memory(dir.path()) {
        eprintln!("SKIPPED: /dev/shm is not tmpfs");
        return;
    }
    let file = small_file(dir.path());
    let file = file.to_str().unwrap();
    assert_one_line(&mmap_ahead(&["compare", file, "--cache", "cold"]), 1, &[file, "tmpfs"]);
}

#[test]
fn a_directory_without_room_is_named() {
    let output = mmap_ahead(&["compare", "--size", "900000GiB", "--dir", "/var/tmp"]);
    assert_one_line(&output, 1, &["/var/tmp", "free"]);
    let output = mmap_ahead(&["compare", "--size", "1MiB", "--dir", "/no/such/dir"]);
    assert_one_line(&output, 1, &["/no/such/dir"]);
}
