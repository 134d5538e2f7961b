//! How a recorded set is written: little-endian, a head, the ranges, a checksum.
//!
//! ```text
//! bytes  what
//! 8      "mmahead" and the version, 1
//! 4      page size in bytes
//! 8      length of the file in bytes
//! 8      its modification time in nanoseconds since 1970, signed
//! 8      how many ranges follow
//! ..     each range: LEB128(zigzag(first page - end of the range before)), LEB128(pages)
//! 8      FNV-1a (64 bit) of everything before
//! ```

use super::{FileStamp, RecordedSet};
use crate::page::{ByteLen, PageCount, PageIndex, PageRange, PageSize};

const MAGIC: [u8; 7] = *b"mmahead";
const VERSION: u8 = 1;
/// Page sizes that a kernel may have: 4 KiB to 64 KiB on what there is; more is room.
const PAGE_BYTES: std::ops::RangeInclusive<u32> = 1 << 12..=1 << 24;
/// The longest file that a kernel has: offsets are signed.
const FILE_LEN_MAX: u64 = i64::MAX as u64;

pub(super) fn encode(set: &RecordedSet) -> Vec<u8> {
    let RecordedSet { stamp, page_size, ranges } = set;
    let mut out = Vec::with_capacity(64 + 4 * ranges.len());
    out.extend(MAGIC);
    out.push(VERSION);
    out.extend((page_size.bytes() as u32).to_le_bytes());
    out.extend(stamp.len.0.to_le_bytes());
    out.extend(stamp.mtime_ns.to_le_bytes());
    out.extend((ranges.len() as u64).to_le_bytes());
    let mut before = 0;
    for range in ranges {
        put_varint(&mut out, zigzag(range.start.0.wrapping_sub(before) as i64));
        put_varint(&mut out, range.count().0);
        before = range.end.0;
    }
    let sum = checksum(&out);
    out.extend(sum.to_le_bytes());
    out
}

/// What is wrong, in words, when it is not exactly what [`encode`] writes.
pub(super) fn decode(bytes: &[u8]) -> Result<RecordedSet, &'static str> {
    let Some((body, sum)) = bytes.split_last_chunk() else { return Err("it is too short") };
    let Some(rest) = body.strip_prefix(&MAGIC) else {
        return Err("it does not begin as one");
    };
    let mut input = Input(rest);
    if u8::from_le_bytes(input.take()?) != VERSION {
        return Err("it has a version that this library does not know");
    }
    if u64::from_le_bytes(*sum) != checksum(body) {
        return Err("its checksum is wrong");
    }
    let page_bytes = u32::from_le_bytes(input.take()?);
    if !page_bytes.is_power_of_two() || !PAGE_BYTES.contains(&page_bytes) {
        return Err("its page size is none");
    }
    let page_size = PageSize::new(page_bytes as usize);
    let len = ByteLen(u64::from_le_bytes(input.take()?));
    if len.0 > FILE_LEN_MAX {
        return Err("its file is longer than a file can be");
    }
    let stamp = FileStamp { len, mtime_ns: i64::from_le_bytes(input.take()?) };
    let ranges = input.ranges(RecordedSet::file_pages(stamp, page_size))?;
    if !input.0.is_empty() {
        return Err("something follows its ranges");
    }
    Ok(RecordedSet { stamp, page_size, ranges })
}

/// What is left to be read.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (head, rest) = self.0.split_first_chunk().ok_or("it is cut short")?;
        self.0 = rest;
        Ok(*head)
    }

    fn ranges(&mut self, file: PageRange) -> Result<Vec<PageRange>, &'static str> {
        let count = u64::from_le_bytes(self.take()?);
        // Two bytes each at the least: no promise of the file's is believed beyond its length.
        if count > self.0.len() as u64 / 2 {
            return Err("it is cut short");
        }
        let mut ranges = Vec::with_capacity(count as usize);
        let mut before: u64 = 0;
        for _ in 0..count {
            let start = before.checked_add_signed(unzigzag(self.varint()?));
            let start = start.ok_or("a range lies outside the file")?;
            let pages = self.varint()?;
            let end = start.checked_add(pages).filter(|&end| end <= file.end.0);
            let end = end.ok_or("a range lies outside the file")?;
            if pages == 0 {
                return Err("a range is empty");
            }
            ranges.push(PageRange::at(PageIndex(start), PageCount(pages)));
            before = end;
        }
        Ok(ranges)
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number is too large")
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small numbers of either sign as small numbers.
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Bytes with a checksum that fits: what lies behind it is reached.
    fn sealed(mut body: Vec<u8>) -> Vec<u8> {
        let sum = checksum(&body);
        body.extend(sum.to_le_bytes());
        body
    }

    fn sets() -> impl Strategy<Value = RecordedSet> {
        let ranges = vec((0..1u64 << 30, 1..1u64 << 10), 0..200);
        (any::<i64>(), 0..4u32, ranges).prop_map(|(mtime_ns, shift, ranges)| {
            let stamp = FileStamp { len: ByteLen(u64::from(u32::MAX) << 28), mtime_ns };
            let ranges = ranges.into_iter();
            let ranges = ranges.map(|(at, count)| PageRange::at(PageIndex(at), PageCount(count)));
            RecordedSet::new(stamp, PageSize::new(4096 << shift), ranges.collect())
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(set in sets()) {
            prop_assert_eq!(decode(&encode(&set)), Ok(set));
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in vec(any::<u8>(), 0..256)) {
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn a_body_with_the_right_checksum_is_never_believed_beyond_its_file(
            set in sets(),
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut body = encode(&set);
            body.truncate(body.len() - 8);
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = byte;
            }
            body.truncate(body.len() - cut.index(4));
            if let Ok(set) = decode(&sealed(body)) {
                let file = RecordedSet::file_pages(set.stamp, set.page_size);
                prop_assert!(set.ranges.iter().all(|r| !r.is_empty() && r.end <= file.end));
                prop_assert!(set.bytes() <= set.page_size.len_of(file.count()).0);
            }
        }

        #[test]
        fn one_wrong_byte_is_seen(set in sets(), at in any::<prop::sample::Index>(), by in 1..=255u8) {
            let mut bytes = encode(&set);
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            prop_assert!(decode(&bytes).is_err());
        }
    }

    fn body(page_bytes: u32, len: u64, count: u64, ranges: &[u8]) -> Vec<u8> {
        let mut body = [&MAGIC[..], &[VERSION]].concat();
        body.extend(page_bytes.to_le_bytes());
        body.extend(len.to_le_bytes());
        body.extend(0i64.to_le_bytes());
        body.extend(count.to_le_bytes());
        body.extend(ranges);
        sealed(body)
    }

    #[test]
    fn each_lie_has_its_name() {
        assert!(decode(&body(4096, 4096, 1, &[0, 1])).is_ok());
        let huge = [&[0xff; 9][..], &[1]].concat();
        let over = [&[0xff; 9][..], &[2]].concat();
        for (bytes, word) in [
            (body(4096, 4096, u64::MAX, &[]), "cut short"),
            (body(4096, 4096, 1, &[0]), "cut short"),
            (body(4096, 4096, 1, &[0, 0]), "empty"),
            (body(4096, 4096, 1, &[0, 2]), "outside"),
            (body(4096, 4096, 1, &[2, 1]), "outside"),
            (body(4096, 4096, 1, &[1, 1]), "outside"),
            (body(4096, 4096, 1, &[&[0][..], &huge].concat()), "outside"),
            (body(4096, 4096, 1, &[&[0][..], &over].concat()), "too large"),
            (body(4096, 4096, 1, &[0, 1, 0]), "follows"),
            (body(4095, 4096, 0, &[]), "page size"),
            (body(0, 4096, 0, &[]), "page size"),
            (body(4096, u64::MAX, 0, &[]), "longer"),
        ] {
            let why = decode(&bytes).unwrap_err();
            assert!(why.contains(word), "{why}, not {word}");
        }
        let mut newer = encode(&decode(&body(4096, 4096, 0, &[])).unwrap());
        newer[7] = VERSION + 1;
        assert!(decode(&newer).unwrap_err().contains("version"));
        newer[0] = b'M';
        assert!(decode(&newer).unwrap_err().contains("begin"));
        assert!(decode(&[]).unwrap_err().contains("short"));
    }
}
