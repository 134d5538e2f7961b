//! `Reader` is `BufReader<File>`, whatever is done to it and to the file, in whatever order; on a cold
//! file, where a frame is lent for a buffer, it is `File`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use mmap_ahead::{Mmap, ReadPath, Reader, lab};
use proptest::prelude::*;
use tempfile::NamedTempFile;

/// `Reader`'s buffer: the model's has the same size, so that even short reads are the same.
const BUFFER_LEN: usize = 256 << 10;

#[derive(Clone, Debug)]
enum Op {
    Read(usize),
    ReadAt(u64, usize),
    Fill(usize),
    Seek(SeekFrom),
    SeekRelative(i64),
    Position,
    ReadToEnd,
    SetLen(u64),
    Write(u64, u8),
}

/// Lengths around the buffer's and the page's, and small ones.
fn len_of_read() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0..200_usize,
        2 => 4000..9000_usize,
        1 => (BUFFER_LEN - 2)..(BUFFER_LEN + 2),
        1 => 0..700_000_usize,
    ]
}

fn any_seek() -> impl Strategy<Value = SeekFrom> {
    prop_oneof![
        (0..900_000_u64).prop_map(SeekFrom::Start),
        (-900_000..200_000_i64).prop_map(SeekFrom::End),
        (-300_000..300_000_i64).prop_map(SeekFrom::Current),
        Just(SeekFrom::Start(u64::MAX)),
        Just(SeekFrom::End(i64::MIN)),
        Just(SeekFrom::End(i64::MAX)),
        Just(SeekFrom::Current(i64::MIN)),
        Just(SeekFrom::Current(i64::MAX)),
        Just(SeekFrom::Start(i64::MAX as u64)),
    ]
}

fn reading() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => len_of_read().prop_map(Op::Read),
        2 => (0..900_000_u64, len_of_read()).prop_map(|(offset, len)| Op::ReadAt(offset, len)),
        4 => len_of_read().prop_map(Op::Fill),
        3 => any_seek().prop_map(Op::Seek),
        2 => (-300_000..300_000_i64).prop_map(Op::SeekRelative),
        1 => Just(Op::Position),
        1 => Just(Op::ReadToEnd),
    ]
}

fn reading_and_changing() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => reading(),
        1 => (0..900_000_u64).prop_map(Op::SetLen),
        1 => (0..900_000_u64, any::<u8>()).prop_map(|(offset, byte)| Op::Write(offset, byte)),
    ]
}

/// What an operation answered, in a form that can be compared.
type Outcome = Result<(u64, Vec<u8>), (io::ErrorKind, Option<i32>)>;

fn outcome<T>(result: io::Result<T>, answer: impl FnOnce(T) -> (u64, Vec<u8>)) -> Outcome {
    result.map(answer).map_err(|error| (error.kind(), error.raw_os_error()))
}

/// Does one operation that needs no more than the traits.
fn apply(op: &Op, reader: &mut (impl BufRead + Seek)) -> Outcome {
    match op {
        Op::Read(len) => {
            let mut buf = vec![0; *len];
            let result = reader.read(&mut buf);
            outcome(result, |len| (len as u64, buf))
        }
        Op::Fill(amount) => {
            let filled = outcome(reader.fill_buf(), |bytes| (bytes.len() as u64, bytes.to_vec()));
            let len = filled.as_ref().map_or(0, |(len, _)| *len as usize);
            reader.consume((*amount).min(len));
            filled
        }
        Op::Seek(to) => outcome(reader.seek(*to), |offset| (offset, Vec::new())),
        Op::SeekRelative(by) => outcome(reader.seek_relative(*by), |()| (0, Vec::new())),
        Op::Position => outcome(reader.stream_position(), |offset| (offset, Vec::new())),
        Op::ReadToEnd => {
            let mut buf = vec![1, 2, 3];
            let result = reader.read_to_end(&mut buf);
            outcome(result, |len| (len as u64, buf))
        }
        Op::ReadAt(..) | Op::SetLen(_) | Op::Write(..) => unreachable!("not of these traits"),
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn file_of(len: usize) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes(len)).unwrap();
    file
}

fn read_at(buf_len: usize, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> Outcome {
    let mut buf = vec![0; buf_len];
    let result = read(&mut buf);
    outcome(result, |len| (len as u64, buf))
}

/// A short name of what differs, not a megabyte of bytes.
fn same(ours: &Outcome, model: &Outcome) -> Result<(), String> {
    let short = |outcome: &Outcome| outcome.clone().map(|(n, bytes)| (n, bytes.len()));
    if ours == model { Ok(()) } else { Err(format!("{:?} not {:?}", short(ours), short(model))) }
}

fn check_file(len: usize, path: ReadPath, ops: &[Op]) -> Result<(), TestCaseError> {
    let file = file_of(len);
    let plain = File::open(file.path()).unwrap();
    let mut model = BufReader::with_capacity(BUFFER_LEN, File::open(file.path()).unwrap());
    let mut reader = Reader::open(file.path()).unwrap();
    let changed = OpenOptions::new().write(true).open(file.path()).unwrap();
    for op in ops {
        let (ours, expected) = match op {
            Op::SetLen(len) => {
                changed.set_len(*len).unwrap();
                continue;
            }
            Op::Write(offset, byte) => {
                changed.write_all_at(&[*byte; 5000], *offset).unwrap();
                continue;
            }
            Op::ReadAt(offset, len) => (
                read_at(*len, |buf| reader.read_at(buf, *offset)),
                read_at(*len, |buf| plain.read_at(buf, *offset)),
            ),
            op => (apply(op, &mut reader), apply(op, &mut model)),
        };
        let verdict = same(&ours, &expected);
        prop_assert!(verdict.is_ok(), "{op:?}: {verdict:?}");
        prop_assert_eq!(reader.len().unwrap(), plain.metadata().unwrap().len());
    }
    prop_assert_eq!(reader.stats().path, path);
    Ok(())
}

/// The length of a cold file, and reads of it that keep coming to frames of direct reads.
const COLD_LEN: u64 = (40 << 20) + 4321;

fn on_a_cold_file() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..5_000_000_usize).prop_map(Op::Read),
        3 => (0..9000_usize).prop_map(Op::Read),
        4 => (0..5_000_000_usize).prop_map(Op::Fill),
        1 => (0..COLD_LEN, 0..9000_usize).prop_map(|(offset, len)| Op::ReadAt(offset, len)),
        1 => (0..COLD_LEN / 2).prop_map(|offset| Op::Seek(SeekFrom::Start(offset))),
        1 => (-3_000_000..3_000_000_i64).prop_map(|by| Op::Seek(SeekFrom::Current(by))),
        2 => (-3_000_000..300_000_i64).prop_map(Op::SeekRelative),
        1 => (COLD_LEN / 2..COLD_LEN + 9000).prop_map(Op::SetLen),
        1 => (0..COLD_LEN, any::<u8>()).prop_map(|(offset, byte)| Op::Write(offset, byte)),
        1 => Just(Op::Position),
    ]
}

/// The bytes that ours gave are those that the file has at `offset`; none only at its end.
fn is_the_files(ours: &[u8], wanted: usize, offset: u64, plain: &File) -> Result<(), String> {
    let mut expected = vec![0; wanted];
    let mut len = 0;
    while len < wanted {
        match plain.read_at(&mut expected[len..], offset + len as u64).unwrap() {
            0 => break,
            more => len += more,
        }
    }
    if ours.len() > len || (ours.is_empty() && len > 0) || *ours != expected[..ours.len()] {
        return Err(format!("{} bytes of {len} at {offset}", ours.len()));
    }
    Ok(())
}

fn cold_content() -> &'static [u8] {
    static CONTENT: OnceLock<Vec<u8>> = OnceLock::new();
    CONTENT.get_or_init(|| bytes(COLD_LEN as usize))
}

/// Answers how many bytes were lent out of frames; `None` where nothing can be cold.
fn check_cold(ops: &[Op]) -> Result<Option<u64>, TestCaseError> {
    let file = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
    std::fs::write(file.path(), cold_content()).unwrap();
    let plain = File::open(file.path()).unwrap();
    plain.sync_all().unwrap();
    rustix::fs::fadvise(&plain, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    if lab::cached(&plain).map_or(u64::MAX, |view| view.cached_pages) > 64 {
        return Ok(None);
    }
    std::thread::sleep(std::time::Duration::from_millis(25));
    let mut reader = Reader::open(file.path()).unwrap();
    let changed = OpenOptions::new().write(true).open(file.path()).unwrap();
    // The same file without read-ahead, so that comparing does not warm it.
    rustix::fs::fadvise(&plain, 0, None, rustix::fs::Advice::Random).unwrap();
    let mut begun = vec![0; 10 << 20];
    reader.read_exact(&mut begun).unwrap();
    prop_assert!(begun == cold_content()[..begun.len()]);
    let mut offset = begun.len() as u64;
    for op in ops {
        let verdict = match op {
            Op::SetLen(len) => changed.set_len(*len).map_err(|error| error.to_string()),
            Op::Write(at, byte) => {
                changed.write_all_at(&[*byte; 5000], *at).map_err(|error| error.to_string())
            }
            Op::Read(len) => {
                let mut buf = vec![0; *len];
                let read = reader.read(&mut buf).unwrap();
                buf.truncate(read);
                offset += buf.len() as u64;
                is_the_files(&buf, *len, offset - buf.len() as u64, &plain)
            }
            Op::Fill(most) => {
                let lent = reader.fill_buf().unwrap();
                let verdict = is_the_files(lent, lent.len().max(1), offset, &plain);
                let used = lent.len().min(*most);
                reader.consume(used);
                offset += used as u64;
                verdict
            }
            Op::ReadAt(at, len) => {
                let mut buf = vec![0; *len];
                let read = reader.read_at(&mut buf, *at).unwrap();
                buf.truncate(read);
                is_the_files(&buf, *len, *at, &plain)
            }
            op => {
                let model = match op {
                    Op::Seek(SeekFrom::Start(to)) => Some(*to),
                    Op::Seek(SeekFrom::Current(by)) | Op::SeekRelative(by) => {
                        offset.checked_add_signed(*by)
                    }
                    _ => Some(offset),
                };
                prop_assert_eq!(apply(op, &mut reader).is_ok(), model.is_some(), "{:?}", op);
                offset = model.unwrap_or(offset);
                Ok(())
            }
        };
        prop_assert!(verdict.is_ok(), "{op:?}: {verdict:?}");
        prop_assert_eq!(reader.stream_position().unwrap(), offset);
        if matches!(op, Op::SetLen(_) | Op::Write(..)) {
            // What is buffered may be from before; after a seek nothing is.
            reader.seek(SeekFrom::Start(offset)).unwrap();
        }
    }
    Ok(Some(reader.stats().direct_bytes))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 50,
        ..Default::default()
    })]

    #[test]
    fn a_cold_file_that_changes_is_read_as_by_read(
        ops in prop::collection::vec(on_a_cold_file(), 1..40),
    ) {
        match check_cold(&ops)? {
            Some(direct) => println!("seen: {direct} bytes of direct reads"),
            None => println!("SKIPPED: nothing is ever cold in /var/tmp"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn a_file_that_changes_is_read_as_by_buf_reader(
        len in 1..900_000_usize,
        ops in prop::collection::vec(reading_and_changing(), 1..40),
    ) {
        check_file(len, ReadPath::Pread, &ops)?;
    }

    #[test]
    fn a_mapping_is_read_like_a_slice(
        len in 0..900_000_usize,
        ops in prop::collection::vec(reading(), 1..40),
    ) {
        let file = file_of(len);
        let expected = bytes(len);
        // SAFETY: nobody changes the file.
        let map = unsafe { Mmap::map(&File::open(file.path()).unwrap()) }.unwrap();
        // SAFETY: as above.
        let mut reader = unsafe { Reader::from_mmap(map) };
        let mut model = Cursor::new(expected.as_slice());
        for op in &ops {
            let (ours, expected) = match op {
                Op::ReadAt(offset, len) => (
                    read_at(*len, |buf| reader.read_at(buf, *offset)),
                    read_at(*len, |buf| {
                        let rest = expected.get(*offset as usize..).unwrap_or(&[]);
                        Cursor::new(rest).read(buf)
                    }),
                ),
                // A slice knows no errno, and lets one seek where no file reaches.
                Op::Seek(SeekFrom::Start(offset)) if *offset >= i64::MAX as u64 => continue,
                Op::Seek(SeekFrom::End(i64::MAX) | SeekFrom::Current(i64::MAX)) => continue,
                op => (apply(op, &mut reader), apply(op, &mut model)),
            };
            let ours = ours.map_err(|(kind, _)| (kind, None));
            let verdict = same(&ours, &expected);
            prop_assert!(verdict.is_ok(), "{op:?}: {verdict:?}");
        }
        prop_assert_eq!(reader.stats().path, ReadPath::Mapping);
    }
}
