//! Many small files: each is opened, mapped, read from front to back, unmapped and closed.

use mmap_ahead_bench::steps::STEP_LEN;

use super::{Item, Items, Shape, Touch};
use crate::kernel::Access;

/// Files of `size` bytes, one behind the other in the modelled file, `rounds` times over.
pub(super) fn items(size: u64, rounds: u64, shape: &Shape) -> Items {
    let Shape { file, touch, think, threads, .. } = *shape;
    let size = size.next_multiple_of(STEP_LEN).min(file.0);
    let files = (file.0 / size).max(1);
    let touch = touch.unwrap_or(size).min(size);
    let all = (0..rounds.saturating_mul(files)).flat_map(move |number| {
        let (thread, offset) = ((number % u64::from(threads)) as u32, number % files * size);
        let reads = (0..size.div_ceil(touch)).map(move |at| {
            let (offset, len) = (offset + at * touch, touch.min(size - at * touch));
            Item::Touch(Touch { offset, len, think, thread, access: Access::Load })
        });
        let map = Item::Map { thread, offset, len: size };
        let unmap = Item::Unmap { thread, offset, len: size };
        std::iter::once(map).chain(reads).chain([unmap])
    });
    Box::new(all.map(Ok))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mmap_ahead::page::{ByteLen, Nanos};

    #[test]
    fn each_file_is_mapped_read_and_unmapped_by_one_reader() {
        let file = ByteLen(2 * 8192);
        let shape = Shape { file, think: Nanos(3), threads: 2, ..Shape::default() };
        let all: Vec<Item> = items(8192, 1, &shape).map(Result::unwrap).collect();
        assert_eq!(all.len(), 6);
        assert_eq!(all[3], Item::Map { thread: 1, offset: 8192, len: 8192 });
        assert!(matches!(all[4], Item::Touch(Touch { thread: 1, offset: 8192, len: 8192, .. })));
        assert_eq!(all[5], Item::Unmap { thread: 1, offset: 8192, len: 8192 });
    }
}
