//! The kernel's records, taken apart.
//!
//! Source: perf_event_open(2), "MMAP layout", for the samples and trailers that
//! `FaultEvents::of_children` asks for. Layouts are the machine's own byte order.

/// PERF_RECORD_ numbers.
const LOST: u32 = 2;
const COMM: u32 = 3;
const FORK: u32 = 7;
const SAMPLE: u32 = 9;
const MMAP2: u32 = 10;

/// PERF_RECORD_MISC_COMM_EXEC: the name changed because of an exec(2).
const MISC_COMM_EXEC: u16 = 1 << 13;

/// Behind every record but samples: process and thread, time, event id.
const TRAILER: usize = 24;

/// Something that happened, and when (CLOCK_MONOTONIC, nanoseconds).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at_ns: u64,
    pub(super) pid: u32,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A page fault at an address.
    Fault { tid: u32, address: u64, is_major: bool },
    /// A mapping was made, over whatever was there.
    Map { start: u64, len: u64, offset: u64, path: String },
    /// The process began as a copy of another; of itself, where only a thread began.
    Fork { parent: u32 },
    /// The process forgot all its mappings.
    Exec,
    /// So many records are missing here.
    Lost { count: u64 },
}

/// Takes every record of `bytes`, which holds whole ones; those that say nothing here are passed over.
pub(super) fn events(bytes: &[u8], major_id: u64) -> impl Iterator<Item = Event> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            let header = Fields(rest);
            let len = usize::from(header.u16(6)?);
            if len < 8 || len > rest.len() {
                return None;
            }
            let (record, after) = rest.split_at(len);
            rest = after;
            if let Some(event) = event(Fields(record), major_id) {
                return Some(event);
            }
        }
    })
}

fn event(record: Fields<'_>, major_id: u64) -> Option<Event> {
    let kind = record.u32(0)?;
    if kind == SAMPLE {
        let (pid, tid, at_ns) = (record.u32(8)?, record.u32(12)?, record.u64(16)?);
        let (address, is_major) = (record.u64(24)?, record.u64(32)? == major_id);
        return Some(Event { at_ns, pid, what: What::Fault { tid, address, is_major } });
    }
    let at_ns = record.u64(record.0.len().checked_sub(TRAILER)? + 8)?;
    let what = match kind {
        MMAP2 => What::Map {
            start: record.u64(16)?,
            len: record.u64(24)?,
            offset: record.u64(32)?,
            path: record.text(72, record.0.len() - TRAILER)?,
        },
        FORK => What::Fork { parent: record.u32(12)? },
        COMM if record.u16(4)? & MISC_COMM_EXEC != 0 => What::Exec,
        LOST => What::Lost { count: record.u64(16)? },
        _ => return None,
    };
    // A loss is nobody's; everything else begins with the process.
    let pid = if kind == LOST { 0 } else { record.u32(8)? };
    Some(Event { at_ns, pid, what })
}

/// The fields of a record, none beyond its end.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u16(self, at: usize) -> Option<u16> {
        self.bytes(at).map(u16::from_ne_bytes)
    }

    fn u32(self, at: usize) -> Option<u32> {
        self.bytes(at).map(u32::from_ne_bytes)
    }

    fn u64(self, at: usize) -> Option<u64> {
        self.bytes(at).map(u64::from_ne_bytes)
    }

    /// Up to the first zero byte.
    fn text(self, from: usize, to: usize) -> Option<String> {
        let bytes = self.0.get(from..to)?.split(|&byte| byte == 0).next()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A record: its kind, its flags, what follows the header.
    pub(crate) fn record(kind: u32, misc: u16, body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        let len = u16::try_from(body.len() + 8).unwrap();
        let header = [&kind.to_ne_bytes()[..], &misc.to_ne_bytes(), &len.to_ne_bytes()].concat();
        [header, body].concat()
    }

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    fn ids(first: u32, second: u32) -> Vec<u8> {
        [first.to_ne_bytes(), second.to_ne_bytes()].concat()
    }

    #[test]
    fn every_record_is_taken_apart() {
        let trailer = [ids(7, 8), words(&[99, 1])].concat();
        let path: &[u8] = b"/a/file\0";
        let map = [ids(7, 8), words(&[0x1000, 0x2000, 0x3000, 0, 55, 0, 0])].concat();
        let bytes = [
            record(SAMPLE, 0, &[&ids(7, 9), &words(&[50, 0x1234, 3])]),
            record(SAMPLE, 0, &[&ids(7, 9), &words(&[51, 0x5678, 4])]),
            record(12, 0, &[&words(&[1, 2, 3, 4])]),
            record(MMAP2, 0, &[&map, path, &trailer]),
            record(FORK, 0, &[&ids(20, 7), &ids(20, 7), &words(&[98]), &trailer]),
            record(4, 0, &[&ids(20, 7), &ids(21, 7), &words(&[98]), &trailer]),
            record(COMM, MISC_COMM_EXEC, &[&ids(20, 20), b"name\0\0\0\0", &trailer]),
            record(COMM, 0, &[&ids(20, 20), b"name\0\0\0\0", &trailer]),
            record(LOST, 0, &[&words(&[1, 12]), &trailer]),
        ]
        .concat();
        let at = |at_ns, pid, what| Event { at_ns, pid, what };
        let path = "/a/file".to_owned();
        let right = [
            at(50, 7, What::Fault { tid: 9, address: 0x1234, is_major: false }),
            at(51, 7, What::Fault { tid: 9, address: 0x5678, is_major: true }),
            at(99, 7, What::Map { start: 0x1000, len: 0x2000, offset: 0x3000, path }),
            at(99, 20, What::Fork { parent: 7 }),
            at(99, 20, What::Exec),
            at(99, 0, What::Lost { count: 12 }),
        ];
        assert_eq!(events(&bytes, 4).collect::<Vec<_>>(), right);
        // Whatever the bytes, no panic.
        for cut in 0..bytes.len() {
            assert!(events(&bytes[..cut], 4).count() <= right.len());
        }
    }
}
