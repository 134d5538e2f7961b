//! Traces of every format, compressed or not, one access at a time; and every mistake in one names
//! its line.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use mmap_ahead::page::{Nanos, PageCount, PageSize};
use mmap_ahead_sim::{Accesses, Error, Operation, PageTrace, Survey, Thinking, Trace};
use tempfile::TempDir;

const RECORDING: &str = r#"{"kind":"record","version":1,"command":["cat","x"],"kernel":"6.18","page_bytes":4096}
{"kind":"file","file":0,"path":"/lib/libc.so","bytes":9000}
{"kind":"file","file":1,"path":"/data/x","bytes":40960}
{"kind":"fault","at_ns":5,"pid":7,"tid":7,"file":0,"offset":8192,"major":false}
{"kind":"fault","at_ns":105,"pid":7,"tid":8,"file":1,"offset":4097,"major":true}
{"kind":"lost","faults":3}
{"kind":"fault","at_ns":305,"pid":7,"tid":8,"file":1,"offset":0,"major":false}
{"kind":"end","seconds":0.5,"faults":3,"elsewhere":2,"lost":3}
"#;
const FIO2: &str = "fio version 2 iolog\nf add\nf open\nf read 4096 8192\nf wait 10 0\nf write 0 1\n\
                    f sync 0 0\nf close\n";
const FIO3: &str = "fio version 3 iolog\n0 f add\n1 f open\n3 f read 4096 8192\n7 g write 0 1\n";
const LACKEY: &str = "==9== Lackey, an example\nI  00401000,4\n L 1ffe00ff8,8\n S 400ff8,16\n\
                      printed by the program\n M 00400ff8,4\n==9== Exit code: 0\n";
const CSV: &str =
    "time_us,\"file\",offset,len,op\r\n0.5,a,0,100,r\r\n2,\"b,c\",8192,1,write\r\n\r\n";
const TEXT: &str = "mmap-ahead-trace 1\npages 9 # of 4 KiB\nthink_ns 10\n3..0\n# nothing\n8\n";

fn file(dir: &TempDir, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join("trace");
    fs::write(&path, bytes).unwrap();
    path
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

/// Offset, length, file, whether it writes, and when, of every access.
fn accesses(path: &Path) -> Vec<(u64, u64, String, bool, Option<u64>)> {
    let mut accesses = Accesses::open(path).unwrap();
    let mut found = Vec::new();
    while let Some(access) = accesses.next() {
        let access = access.unwrap();
        let name = accesses.files()[access.file].path.clone();
        let writes = access.operation == Operation::Write;
        found.push((access.offset, access.len, name, writes, access.at.map(|at| at.0)));
    }
    found
}

#[test]
fn every_format_gives_its_accesses_compressed_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let access = |offset, len, file: &str, writes, at: Option<u64>| {
        (offset, len, file.to_owned(), writes, at)
    };
    let cases = [
        (
            RECORDING,
            vec![
                access(8192, 1, "/lib/libc.so", false, Some(5)),
                access(4097, 1, "/data/x", false, Some(105)),
                access(0, 1, "/data/x", false, Some(305)),
            ],
        ),
        (FIO2, vec![access(4096, 8192, "f", false, None), access(0, 1, "f", true, Some(10_000))]),
        (
            FIO3,
            vec![access(4096, 8192, "f", false, Some(3000)), access(0, 1, "g", true, Some(7000))],
        ),
        (
            LACKEY,
            vec![
                access(0x1_ffe0_0ff8, 8, "", false, None),
                access(0x40_0ff8, 16, "", true, None),
                access(0x40_0ff8, 4, "", true, None),
            ],
        ),
        (
            CSV,
            vec![access(0, 100, "a", false, Some(500)), access(8192, 1, "b,c", true, Some(2000))],
        ),
        (
            TEXT,
            vec![
                access(3 * 4096, 4096, "", false, Some(0)),
                access(2 * 4096, 4096, "", false, Some(10)),
                access(4096, 4096, "", false, Some(20)),
                access(8 * 4096, 4096, "", false, Some(30)),
            ],
        ),
    ];
    for (text, right) in cases {
        assert_eq!(accesses(&file(&dir, text)), right, "{text}");
        assert_eq!(accesses(&file(&dir, gzip(text))), right, "gzip: {text}");
    }
}

#[test]
fn a_first_line_of_lackeys_that_is_an_access_counts() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(accesses(&file(&dir, " L 1000,8\n L 2000,8\n")).len(), 2);
}

#[test]
fn the_text_format_means_the_same_streamed_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let whole = Trace::parse("t", TEXT).unwrap();
    let path = file(&dir, TEXT);
    let streamed =
        PageTrace::open(&path, None, PageSize::FOUR_KIB, Thinking::Constant(Nanos(10))).unwrap();
    let touches: Vec<_> = streamed.touches().unwrap().map(Result::unwrap).collect();
    assert_eq!(touches, whole.touches());
    assert_eq!(streamed.pages(), whole.pages());
}

#[test]
fn a_file_is_chosen_and_walked_by_pages() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, RECORDING);
    let open = |file, thinking| PageTrace::open(&path, file, PageSize::FOUR_KIB, thinking);
    let most = open(None, Thinking::Recorded).unwrap();
    assert_eq!((most.file().path.as_str(), most.pages()), ("/data/x", PageCount(10)));
    let touches: Vec<_> = most.touches().unwrap().map(Result::unwrap).collect();
    let touches: Vec<_> = touches.iter().map(|touch| (touch.page.0, touch.think.0)).collect();
    assert_eq!(touches, [(1, 200), (0, 0)]);
    let named = open(Some("/lib/libc.so"), Thinking::Recorded).unwrap();
    assert_eq!((named.file().accesses, named.pages()), (1, PageCount(3)));
    let missing = open(Some("/none"), Thinking::Recorded).unwrap_err();
    assert_eq!(missing.to_string(), "holds no access to /none");
}

/// 128 TiB of address space have no record for each page; what was touched is close together.
#[test]
fn memory_traces_are_walked_without_their_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, LACKEY);
    let thinking = Thinking::Constant(Nanos(0));
    let walk = PageTrace::open(&path, None, PageSize::FOUR_KIB, thinking).unwrap();
    assert_eq!(walk.pages(), PageCount(1024), "two regions of 2 MiB");
    let touches: Vec<_> = walk.touches().unwrap().map(|touch| touch.unwrap().page.0).collect();
    assert_eq!(touches, [512, 0, 1, 0]);
    assert_eq!(Survey::of(&path).unwrap().files[0].accesses, 3);
}

#[test]
fn an_access_over_many_pages_touches_them_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, FIO3);
    let walk = PageTrace::open(&path, Some("f"), PageSize::FOUR_KIB, Thinking::Recorded).unwrap();
    let touches: Vec<_> = walk.touches().unwrap().map(Result::unwrap).collect();
    let touches: Vec<_> = touches.iter().map(|touch| (touch.page.0, touch.think.0)).collect();
    assert_eq!(touches, [(1, 2000), (2, 2000)]);
}

#[test]
fn mistakes_name_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(String, usize, &str); 27] = [
        (String::new(), 1, "nothing; expected"),
        ("hello\n".into(), 1, "`hello` begins no trace"),
        ("fio version 1 iolog\n".into(), 1, "versions 2 and 3"),
        (format!("{FIO2}f read 0\n"), 9, "expected an offset and a length"),
        (format!("{FIO2}f read 0 0\n"), 9, "a length of 0"),
        (format!("{FIO2}f read 18446744073709551615 2\n"), 9, "no file has a byte"),
        (format!("{FIO2}f fly 0 1\n"), 9, "`fly` is no action"),
        (format!("{FIO2}f read 0 1 2\n"), 9, "at most"),
        (format!("{FIO2}f\n"), 9, "expected a file and an action"),
        (format!("{FIO3}x f read 0 1\n"), 6, "`x` is not a whole number"),
        (format!("{FIO3}9 f wait 0 1\n"), 6, "`wait` is no action"),
        (format!("{LACKEY} L xyz,8\n"), 8, "expected `ADDRESS,SIZE`, found `xyz,8`"),
        (format!("{LACKEY} L 10,0\n"), 8, "a length of 0"),
        ("offset,\"len\nx".into(), 1, "in quotes does not end"),
        ("a,b\n1,2\n".into(), 1, "no column `offset` or `page`"),
        ("offset,page\n".into(), 1, "both"),
        (format!("{CSV}1,a,x,1,r\n"), 5, "`x` is not a whole number"),
        (format!("{CSV}1,a\n"), 5, "nothing in column 3"),
        (format!("{CSV}1,a,0,1,fly\n"), 5, "neither `read` nor `write`"),
        (format!("{CSV}-1,a,0,1,r\n"), 5, "`-1` is no time"),
        ("{\"kind\":\"record\"}\n".into(), 1, "missing field"),
        (RECORDING.replacen("\"version\":1", "\"version\":2", 1), 1, "version 2 of a recording"),
        (RECORDING.replacen("\"file\":1,\"p", "\"file\":2,\"p", 1), 3, "file 2 where 1 is next"),
        (RECORDING.replacen("\"file\":0,\"o", "\"file\":9,\"o", 1), 4, "file 9 was not named"),
        (RECORDING.replacen("\"kind\":\"lost\"", "\"kind\":\"x\"", 1), 6, "unknown variant `x`"),
        (format!("{TEXT}9\n"), 7, "page 9 is not below `pages 9`"),
        ("mmap-ahead-trace 1\n3\n".into(), 2, "expected `pages N`"),
    ];
    for (text, line, words) in cases {
        let error = Survey::of(&file(&dir, &text)).unwrap_err();
        assert!(matches!(error, Error::Trace { line: at, .. } if at == line), "{text}: {error}");
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
    let error = Survey::of(Path::new("/no/such/trace")).unwrap_err().to_string();
    assert!(error.contains("No such file"), "{error}");
}

#[test]
fn after_a_mistake_there_is_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, "offset\n1\nx\n2\n");
    let results: Vec<bool> = Accesses::open(&path).unwrap().map(|access| access.is_ok()).collect();
    assert_eq!(results, [true, false]);
}

/// A long trace takes no more memory than a short one: 10 MB of text, a few kB compressed.
#[test]
fn memory_does_not_grow_with_the_trace() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.gz");
    let mut gzip = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    let lines = " L 1ffe00ff8,8\n".repeat(1 << 13);
    (0..80).for_each(|_| gzip.write_all(lines.as_bytes()).unwrap());
    gzip.finish().unwrap();
    let before = peak_rss_kib();
    let thinking = Thinking::Constant(Nanos(0));
    let walk = PageTrace::open(&path, None, PageSize::FOUR_KIB, thinking).unwrap();
    let touches = walk.touches().unwrap().filter(|touch| touch.is_ok()).count();
    assert_eq!(touches, 80 << 13);
    let grown = peak_rss_kib() - before;
    assert!(grown < 4 << 10, "{grown} KiB for a trace of {} KiB", (lines.len() * 80) >> 10);
}

fn peak_rss_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}
