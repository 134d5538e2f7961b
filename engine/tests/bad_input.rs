//! Bad input is answered exactly as memmap2 answers it: same kind, same errno, same words.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use tempfile::TempDir;

/// What a constructor answered; the length stands for the mapping.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Len(usize),
    Refused { kind: io::ErrorKind, errno: Option<i32>, words: String },
}

impl From<io::Result<usize>> for Answer {
    fn from(result: io::Result<usize>) -> Answer {
        match result {
            Ok(len) => Answer::Len(len),
            Err(error) => Answer::Refused {
                kind: error.kind(),
                errno: error.raw_os_error(),
                words: error.to_string(),
            },
        }
    }
}

/// Where to map: a descriptor, an offset, perhaps a length.
#[derive(Clone, Copy, Debug)]
struct Request {
    file: RawFd,
    offset: u64,
    len: Option<usize>,
}

/// The same code for both crates.
macro_rules! answers_of {
    ($name:ident) => {
        mod $name {
            use std::io;
            use std::path::Path;

            use $name::{Advice, MmapMut, MmapOptions};

            use super::{Answer, Request};

            /// Every constructor, with its answer.
            pub(super) fn all(request: Request) -> Vec<(&'static str, Answer)> {
                let Request { file, offset, len } = request;
                let mut options = MmapOptions::new();
                options.offset(offset);
                if let Some(len) = len {
                    options.len(len);
                }
                let safe = options.map_if_safe(file);
                let refused = |e: &$name::MapIfSafeError| {
                    format!("{} {} {} {e:?}", e.not_supported(), e.not_safe(), e.map_failed())
                };
                let safe_class = safe.as_ref().map(|map| map.len()).map_err(refused);
                let safe_class = safe_class.map_err(io::Error::other);
                // SAFETY: the files belong to this test, and no byte of the slices is looked at.
                let map = unsafe { options.map(file) };
                // SAFETY: as above.
                let map_mut = unsafe { options.map_mut(file) };
                // SAFETY: as above.
                let map_copy = unsafe { options.map_copy(file) };
                // SAFETY: as above.
                let map_exec = unsafe { options.map_exec(file) };
                // SAFETY: as above.
                let map_copy_read_only = unsafe { options.map_copy_read_only(file) };
                let raw = options.map_raw(file);
                let raw_read_only = options.map_raw_read_only(file);
                vec![
                    ("map", map.map(|map| map.len()).into()),
                    ("map_mut", map_mut.map(|map| map.len()).into()),
                    ("map_copy", map_copy.map(|map| map.len()).into()),
                    ("map_exec", map_exec.map(|map| map.len()).into()),
                    ("map_copy_read_only", map_copy_read_only.map(|map| map.len()).into()),
                    ("map_raw", raw.map(|map| map.len()).into()),
                    ("map_raw_read_only", raw_read_only.map(|map| map.len()).into()),
                    ("map_if_safe, which refusal", safe_class.into()),
                    ("map_if_safe", safe.map(|map| map.len()).map_err(io::Error::from).into()),
                    ("map_anon", options.map_anon().map(|map| map.len()).into()),
                ]
            }

            /// Calls on a mapping of the file at `path`, which is 8,192 bytes and open for reading.
            pub(super) fn calls(path: &Path) -> Vec<(String, Answer)> {
                let file = std::fs::File::open(path).unwrap();
                // SAFETY: the file belongs to this test, and nobody writes it.
                let map = || unsafe { MmapOptions::new().map(&file) }.unwrap();
                let mut answers = Vec::new();
                for (offset, len) in super::RANGES {
                    let advice = map().advise_range(Advice::WillNeed, offset, len);
                    answers
                        .push((format!("advise_range {offset} {len}"), advice.map(|()| 0).into()));
                    let flush = MmapMut::map_anon(8192).unwrap().flush_range(offset, len);
                    answers.push((format!("flush_range {offset} {len}"), flush.map(|()| 0).into()));
                }
                let made = map().make_mut().map(|map| map.len());
                answers.push(("make_mut of a file opened for reading".into(), made.into()));
                #[cfg(target_os = "linux")]
                for new_len in [0, 1, 4096, 1 << 46, isize::MAX as usize] {
                    let mut map = map();
                    // SAFETY: beyond the end of the file nothing is touched.
                    let result = unsafe { map.remap(new_len, $name::RemapOptions::new()) };
                    let result = result.map(|()| map.len());
                    answers.push((format!("remap {new_len}"), result.into()));
                    answers.push((format!("len after remap {new_len}"), Answer::Len(map.len())));
                }
                answers
            }
        }
    };
}

const RANGES: [(usize, usize); 7] =
    [(0, 8192), (1, 8191), (8192, 0), (8192, 1), (8193, 0), (0, 8193), (usize::MAX, 1)];

answers_of!(memmap2);
answers_of!(mmap_ahead);

/// Files to be mapped, kept open, each with its name.
struct Files {
    dir: TempDir,
    open: Vec<(&'static str, OwnedFd)>,
}

impl Files {
    fn new() -> Files {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        fs::write(&path, vec![7; 8192]).unwrap();
        let mut files = Files { dir, open: Vec::new() };
        files.add("open for reading", File::open(&path).unwrap());
        files.add("open for both", OpenOptions::new().read(true).write(true).open(&path).unwrap());
        files.add("write-only", OpenOptions::new().write(true).open(&path).unwrap());
        files.add("directory", File::open(files.dir.path()).unwrap());
        files.add("zero-length", files.fresh("empty", 0, 0));
        files.add("truncated after open", files.fresh("short", 8192, 100));
        files.add("truncated to a page", files.fresh("page", 8192, 4096));
        files.add("2 MiB", files.fresh("large", 2 << 20, 2 << 20));
        for path in ["/dev/null", "/dev/zero", "/proc/self/maps", "/proc/self/status"] {
            files.add(path, File::open(path).unwrap());
        }
        let (pipe, _) = io::pipe().unwrap();
        files.add("pipe", OwnedFd::from(pipe));
        files.add("unsealed memfd", memfd(SealFlags::empty()));
        files.add("half-sealed memfd", memfd(SealFlags::WRITE));
        files.add("sealed memfd", memfd(SealFlags::WRITE | SealFlags::SHRINK));
        files
    }

    fn add(&mut self, name: &'static str, file: impl Into<OwnedFd>) {
        self.open.push((name, file.into()));
    }

    /// A file of `len` bytes that is cut to `cut` once it is open.
    fn fresh(&self, name: &str, len: u64, cut: u64) -> File {
        let path = self.dir.path().join(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        file.set_len(len).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();
        file
    }
}

fn memfd(seals: SealFlags) -> OwnedFd {
    let fd = memfd_create("bad_input", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&fd, 8192).unwrap();
    fcntl_add_seals(&fd, seals).unwrap();
    fd
}

#[test]
fn every_constructor_answers_as_memmap2_does() {
    let files = Files::new();
    let open = files.open.iter().map(|(name, file)| (*name, file.as_raw_fd()));
    // (-1 is not asked: std's own assertion makes memmap2 panic on it, and so ours.)
    let closed = [("closed", 1_000_000), ("negative", -2)];
    let offsets = [0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 1 << 40, i64::MAX as u64, u64::MAX];
    let lens = [None, Some(0), Some(1), Some(4097), Some(isize::MAX as usize), Some(usize::MAX)];
    let (mut mapped, mut refused) = (0, 0);
    for (name, file) in open.chain(closed) {
        for (offset, len) in offsets.iter().flat_map(|&o| lens.map(|len| (o, len))) {
            let request = Request { file, offset, len };
            for (theirs, ours) in memmap2::all(request).into_iter().zip(mmap_ahead::all(request)) {
                assert_eq!(ours, theirs, "{name}, {request:?}");
                match ours.1 {
                    Answer::Len(_) => mapped += 1,
                    Answer::Refused { .. } => refused += 1,
                }
            }
        }
    }
    println!("{mapped} mapped, {refused} refused, all as memmap2");
    assert!(mapped > 1000 && refused > 1000, "{mapped} mapped, {refused} refused");
}

#[test]
fn every_call_on_a_mapping_answers_as_memmap2_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    fs::write(&path, vec![7; 8192]).unwrap();
    assert_eq!(mmap_ahead::calls(&path), memmap2::calls(&path));
}

#[test]
fn unaligned_offsets_show_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let bytes: Vec<u8> = (0..9000_u32).map(|i| (i % 251) as u8).collect();
    fs::write(&path, &bytes).unwrap();
    let file = File::open(&path).unwrap();
    for offset in [0, 1, 511, 4095, 4096, 4097, 8191, 8999, 9000] {
        // SAFETY: nobody changes the file.
        let map = unsafe { ::mmap_ahead::MmapOptions::new().offset(offset).map(&file) }.unwrap();
        assert!(map[..] == bytes[offset as usize..], "offset {offset}");
    }
}

#[test]
fn a_missing_file_is_what_the_system_says_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let expected = File::open(&missing).unwrap_err();
    let error = ::mmap_ahead::Reader::open(&missing).unwrap_err();
    assert_eq!(error.raw_os_error(), expected.raw_os_error());
    assert_eq!(error.to_string(), expected.to_string());
}
