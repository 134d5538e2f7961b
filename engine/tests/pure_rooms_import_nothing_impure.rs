//! Policies and the detector are pure: their sources name no system call, no thread, no clock and no
//! file, and nothing of the engine's that does. Unsafe code stays in the files that must have it. What was
//! measured to be slow or to do harm is not used (TRAPS 5, 8, 18).
//!
//! It fails on a line of code that names something impure, on a new file with unsafe code, on a use of
//! what must not be used, and when it finds no sources to look at.

use std::fs;
use std::path::{Path, PathBuf};

/// What a pure room must not name.
const IMPURE: [&str; 10] = [
    "crate::sys",
    "crate::runtime",
    "crate::observe",
    "crate::fetch",
    "std::time",
    "std::thread",
    "std::fs",
    "std::sync",
    "libc",
    "unsafe",
];

/// Where unsafe code may be besides `sys`: the surface of memmap2, whose constructors are unsafe for
/// the caller (and the file that grows, which goes on with the caller's promise), the reader's way to be made from such a mapping, and what `Paged` leaves to the caller's
/// word (its constructors, `trait Immutable`) and lends because of it.
const UNSAFE_FILES: [&str; 10] = [
    "mmap/append.rs",
    "mmap/mapping.rs",
    "mmap/mutable.rs",
    "mmap/options/constructors.rs",
    "mmap/read_only.rs",
    "mmap/shared.rs",
    "paged/mod.rs",
    "paged/options.rs",
    "paged/source.rs",
    "reader/mod.rs",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file under `dir`.
fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The lines of code with their numbers: no comments, and nothing from the unit tests on, which are
/// the last thing in a file.
fn code_of(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().take_while(|line| !line.trim().starts_with("#[cfg(test)]"));
    let without_comment = |line: &str| line.split("//").next().unwrap_or("").to_owned();
    lines.enumerate().map(|(index, line)| (index + 1, without_comment(line))).collect()
}

/// Whether `line` has `word` as a word, or as a path that goes on.
fn names(line: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_letter) && !after.is_some_and(is_letter)
    })
}

/// The line, unless it only imports from a crate-level group that hides the path: those are spelt
/// out before they are compared.
fn spelt_out(line: &str) -> Vec<String> {
    let Some((stem, group)) = line.trim().strip_prefix("use ").and_then(|l| l.split_once("::{"))
    else {
        return vec![line.to_owned()];
    };
    let group = group.trim_end_matches([';', '}', ' ']);
    group.split(',').map(|item| format!("{stem}::{}", item.trim())).collect()
}

#[test]
fn policies_and_the_detector_name_nothing_impure() {
    let mut lines = 0;
    for room in ["policy", "detect"] {
        let files = files_under(&source().join(room));
        assert!(files.len() >= 2, "{room} has moved");
        for file in files {
            for (number, line) in code_of(&file) {
                lines += 1;
                let found = spelt_out(&line)
                    .iter()
                    .find_map(|line| IMPURE.into_iter().find(|word| names(line, word)));
                assert_eq!(found, None, "{}:{number}: {line}", file.display());
            }
        }
    }
    assert!(lines > 300, "only {lines} lines looked at");
}

#[test]
fn unsafe_code_stays_where_it_must_be() {
    let mut found = Vec::new();
    for file in files_under(&source()) {
        let name = file.strip_prefix(source()).unwrap().to_str().unwrap().to_owned();
        // As much as the tests of a file: those that stand beside it are no part of the library.
        let is_library = !name.starts_with("sys/") && !name.ends_with("/tests.rs");
        if is_library && code_of(&file).iter().any(|(_, l)| names(l, "unsafe")) {
            found.push(name);
        }
    }
    found.sort();
    assert_eq!(found, UNSAFE_FILES);
}

/// What is used in these files only, and where.
const ONLY_IN: [(&str, &[&str]); 5] = [
    // Memory of our own; of a file it reads up to 4 MiB a touch. (The laboratory may give it.)
    // (`sys/probe.rs` asks whether there are any.)
    ("MADV_HUGEPAGE", &["sys/advise.rs", "sys/arena.rs", "sys/probe.rs", "sys/uffd.rs"]),
    // A mapping of our own beside the program's, in which nobody but us touches anything.
    ("HugePage", &["sys/advise.rs", "sys/second_map.rs"]),
    // What is read by io_uring: nothing else, since advice always goes to kernel workers there.
    ("opcode", &["sys/uring.rs"]),
    // Registered buffers are pinned: a frame among them could never be moved.
    ("register_buffers", &[]),
    ("ReadFixed", &[]),
];

#[test]
fn what_does_harm_is_used_nowhere_else() {
    for (word, expected) in ONLY_IN {
        let has_word = |file: &PathBuf| code_of(file).iter().any(|(_, line)| names(line, word));
        let mut found: Vec<_> = files_under(&source()).into_iter().filter(has_word).collect();
        found.sort();
        let expected: Vec<_> = expected.iter().map(|file| source().join(file)).collect();
        assert_eq!(found, expected, "{word}");
    }
    let ring = code_of(&source().join("sys/uring.rs"));
    let other = ring.iter().find(|(_, line)| {
        line.match_indices("opcode::").any(|(at, _)| !line[at..].starts_with("opcode::Read::"))
    });
    assert_eq!(other, None, "io_uring is for reading data");
}

#[test]
fn the_search_finds_what_it_looks_for() {
    assert!(names("use std::time::Instant;", "std::time"));
    assert!(names("    unsafe { libc::getpid() };", "libc"));
    assert!(!names("let is_unsafe_libc_time = 1;", "libc"));
    let spelt = spelt_out("use crate::{page::PageIndex, sys};");
    assert!(spelt.iter().any(|line| names(line, "crate::sys")), "{spelt:?}");
}
