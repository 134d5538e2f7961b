//! A checksum that is as fast as memory and notices a swapped page (TRAPS 26).
//!
//! Every page of 4 KiB has a lane sum: the sum of its bytes as little-endian 64-bit lanes, wrapping.
//! The checksum is the wrapping sum of `lane sum * (2 * page + 1)` over everything that was read.
//! A byte's share depends on its place in the file only, so any way to cut the same bytes into
//! pieces gives the same checksum.

/// The pages of the checksum: 4 KiB, whatever the kernel's are.
const PAGE: u64 = 4096;

/// How many lanes are summed side by side: four 128-bit registers on plain x86-64.
const LANES: usize = 8;

/// The bytes of one round of lanes.
const ROUND: usize = LANES * 8;

/// A running checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum(u64);

impl Checksum {
    /// Takes in `bytes`, which lie at `offset` in the file.
    #[inline]
    pub fn add(&mut self, offset: u64, bytes: &[u8]) {
        let mut page = offset / PAGE;
        let head = usize::try_from(PAGE - offset % PAGE).unwrap_or(0).min(bytes.len());
        let (mut piece, mut rest) = bytes.split_at(head);
        let mut inside = offset % PAGE;
        while !piece.is_empty() {
            let sum = piece_sum(inside, piece);
            self.0 = self.0.wrapping_add(sum.wrapping_mul(2 * page + 1));
            (piece, rest) = rest.split_at(rest.len().min(PAGE as usize));
            inside = 0;
            page += 1;
        }
    }

    /// The checksum of what either of the two took in.
    #[must_use]
    pub fn and(self, other: Checksum) -> Checksum {
        Checksum(self.0.wrapping_add(other.0))
    }

    /// The checksum so far.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }

    /// Sixteen hexadecimal digits.
    #[must_use]
    pub fn hex(self) -> String {
        format!("{:016x}", self.0)
    }
}

/// The lane sum of a piece of a page that starts `inside` bytes into it.
#[inline]
fn piece_sum(inside: u64, piece: &[u8]) -> u64 {
    let shift = (inside % 8) as usize;
    if shift == 0 {
        return aligned_sum(piece);
    }
    let (head, rest) = piece.split_at(piece.len().min(8 - shift));
    partial_lane(shift, head).wrapping_add(aligned_sum(rest))
}

/// The lane sum of a piece that starts at a lane.
#[inline]
fn aligned_sum(piece: &[u8]) -> u64 {
    let (rounds, rest) = piece.as_chunks::<ROUND>();
    let mut sums = [0u64; LANES];
    for round in rounds {
        let (lanes, _) = round.as_chunks::<8>();
        for (sum, lane) in sums.iter_mut().zip(lanes) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*lane));
        }
    }
    let (lanes, tail) = rest.as_chunks::<8>();
    let total = sums.into_iter().chain(lanes.iter().map(|lane| u64::from_le_bytes(*lane)));
    total.fold(partial_lane(0, tail), u64::wrapping_add)
}

/// At most 8 bytes that start `shift` bytes into a lane, the others taken as zero.
#[inline]
fn partial_lane(shift: usize, bytes: &[u8]) -> u64 {
    let mut lane = [0u8; 8];
    lane[shift..shift + bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(lane)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Rng;

    /// One byte at a time: obviously the definition.
    fn slow(offset: u64, bytes: &[u8]) -> u64 {
        (offset..).zip(bytes).fold(0, |total: u64, (at, &byte)| {
            let lane = u64::from(byte) << (8 * (at % 8));
            total.wrapping_add(lane.wrapping_mul(2 * (at / PAGE) + 1))
        })
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut rng = Rng::new(11);
        (0..len).map(|_| rng.next_u64() as u8).collect()
    }

    #[test]
    fn it_is_its_definition_at_every_alignment() {
        let bytes = noise(3 * 4096 + 77);
        for (offset, len) in [(0, 12_365), (1, 9_000), (4095, 2), (5000, 7_001), (8, 8), (3, 0)] {
            let mut sum = Checksum::default();
            sum.add(offset, &bytes[..len]);
            assert_eq!(sum.value(), slow(offset, &bytes[..len]), "{offset} {len}");
        }
    }

    #[test]
    fn any_way_to_cut_the_file_gives_the_same() {
        let bytes = noise(5 * 4096 + 13);
        let mut whole = Checksum::default();
        whole.add(0, &bytes);
        for cut in [1, 3, 64, 4095, 4096, 5000] {
            let mut cut_up = Checksum::default();
            let mut offset = 0;
            for piece in bytes.chunks(cut) {
                cut_up.add(offset, piece);
                offset += piece.len() as u64;
            }
            assert_eq!(cut_up, whole, "cut into {cut}");
        }
    }

    /// An engine that hands out two pages in each other's place.
    #[test]
    fn two_swapped_pages_change_it() {
        let bytes = noise(8 * 4096);
        let mut honest = Checksum::default();
        honest.add(0, &bytes);
        let mut swapped = bytes.clone();
        let (front, back) = swapped.split_at_mut(4 * 4096);
        front[4096..8192].swap_with_slice(&mut back[..4096]);
        let mut fake = Checksum::default();
        fake.add(0, &swapped);
        assert_ne!(fake, honest);
    }

    #[test]
    fn a_page_that_is_missing_or_doubled_changes_it() {
        let bytes = noise(2 * 4096);
        let mut honest = Checksum::default();
        honest.add(0, &bytes);
        let mut doubled = honest;
        doubled.add(0, &bytes[..4096]);
        let mut missing = Checksum::default();
        missing.add(0, &bytes[..4096]);
        assert!(honest != doubled && honest != missing);
    }
}
