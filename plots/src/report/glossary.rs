//! The words of the results, explained: those that occur, and no others.

use crate::figures::{different, engines};
use crate::results::Results;

/// Each engine that ran, and what it is.
pub(super) fn of_engines(results: &Results) -> Vec<(String, &'static str)> {
    let names = engines(results.runs.iter().map(|run| run.engine.as_str())).into_iter();
    names.filter_map(|name| Some((name.to_owned(), engine(name)?))).collect()
}

/// Each word of the headings, and what it means.
pub(super) fn of_headings(results: &Results) -> Vec<(String, &'static str)> {
    let runs = &results.runs;
    let environments = || runs.iter().filter_map(|run| run.environment.as_ref());
    let mut words: Vec<(String, &str)> = Vec::new();
    for cache in different(runs.iter().map(|run| run.cache.as_str())) {
        words.extend(state(cache).map(|said| (cache.to_owned(), said)));
    }
    for name in different(environments().map(|environment| environment.file_system.as_str())) {
        words.push((name.to_owned(), file_system(name)));
    }
    if environments().any(|environment| environment.read_ahead_kb.is_some()) {
        words.push(("read-ahead".to_owned(), READ_AHEAD));
    }
    for name in different(runs.iter().map(|run| run.pattern.as_str())) {
        words.extend(pattern(name).map(|said| (name.to_owned(), said)));
    }
    words.push(("GB/s".to_owned(), "gigabytes a second, of 1,000,000,000 bytes each"));
    words
}

const READ_AHEAD: &str = "how much the system itself reads ahead of a program on this disk, once it \
                          has seen that the program goes straight on";

fn engine(name: &str) -> Option<&'static str> {
    Some(match name {
        "memmap2" => "plain memory mapping, as programs use it today",
        "memmap2+sequential" => "the same, and the system is told that it will be read in order",
        "memmap2+willneed" => "the same, and the system is told to fetch all of it soon",
        "memmap2+populate" => "the same, with all of it fetched before the first byte is looked at",
        "memmap2+random" => "the same, and the system is told that nothing can be guessed",
        "memmap2+rayon" => "the same, read by several threads, each its own part",
        "mmap" => "this project, with nothing else changed in the program",
        "mmap+guard" => "this project, which here puts up walls of its own to see each step",
        "mmap+replay" => "this project, which here brings back what an earlier run looked at",
        "paged" => "this project, with a limit to the memory that it takes",
        "paged+faulting" => {
            "this project, with a limit to the memory, where who waits for a piece fetches it"
        }
        "reader" => "this project, for programs that read from front to back",
        "bufreader" => "copying into a buffer, as Rust programs do it by default",
        "direct" => "no system between: many pieces at once, straight from the disk",
        name if name.starts_with("read") => "copying into a buffer, piece by piece",
        _ => return None,
    })
}

fn state(cache: &str) -> Option<&'static str> {
    match cache {
        "cold" => Some("nothing of the file was in memory before: all of it comes from the disk"),
        "warm" => Some("all of the file was in memory before: the disk has nothing to do"),
        _ => None,
    }
}

fn file_system(name: &str) -> &'static str {
    match name {
        "tmpfs" | "ramfs" | "hugetlbfs" => {
            "a place for files that are kept in memory and nowhere else"
        }
        _ => "a file system: how files are laid out on the disk",
    }
}

fn pattern(name: &str) -> Option<&'static str> {
    let kind = name.split(':').next().unwrap_or(name);
    Some(match kind {
        "reverse" => "read from the end to the beginning",
        "stride" => "a page is read, the rest up to that length is left out, and so on",
        "streams" => "so many places of the file are read forward in turn",
        "random" => "pages in no order at all",
        "zipf" => "pages in no order, some of them far more often than others",
        "blocks" if name.contains('/') => "a piece of the first length at every step of the second",
        "blocks" => "pieces of that length in no order, each once",
        "trace" => "in the order in which another program was seen to read",
        "job" => "what a real program does with the bytes",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::file;

    #[test]
    fn every_engine_of_the_laboratory_is_explained() {
        for engine_of in mmap_ahead_bench::engine::Engine::ALL {
            assert!(engine(engine_of.name()).is_some(), "{engine_of}");
        }
    }

    #[test]
    fn what_does_not_occur_is_not_explained() {
        let words = of_headings(&file("compare.jsonl"));
        let names: Vec<&str> = words.iter().map(|word| word.0.as_str()).collect();
        assert_eq!(names, ["cold", "warm", "ext4", "tmpfs", "read-ahead", "GB/s"]);
        let engines = of_engines(&file("compare.jsonl"));
        assert!(engines.iter().all(|(name, _)| name != "paged"), "{engines:?}");
    }
}
