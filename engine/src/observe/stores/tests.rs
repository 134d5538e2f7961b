use super::*;
use crate::fetch::ForStores;
use crate::sys::{Pagemap, Span};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

fn sparse() -> (File, memmap2::MmapMut) {
    let file = tempfile::tempfile_in("/dev/shm").unwrap();
    file.set_len(4 << 20).unwrap();
    // SAFETY: the file is private to the test and keeps its length.
    let map = unsafe { memmap2::MmapMut::map_mut(&file) }.unwrap();
    (file, map)
}

fn view_of(map: &memmap2::MmapMut) -> View {
    static PAGEMAP: OnceLock<Pagemap> = OnceLock::new();
    let page_size = sys::page_size();
    View {
        span: Span { addr: map.as_ptr() as usize, len: map.len() },
        page_size,
        around: page_size.bytes() as usize,
        pagemap: PAGEMAP.get_or_init(|| Pagemap::open().unwrap()),
    }
}

fn pages(start: u64, end: u64) -> PageRange {
    PageRange::new(PageIndex(start), PageIndex(end))
}

fn look(stores: &mut Stores, view: &View) -> Touches {
    let mut touches = Touches::default();
    stores.look(view, Nanos(0), &mut touches, &Counters::default()).unwrap();
    touches
}

fn store(map: &mut memmap2::MmapMut, from: usize, to: usize) {
    let page = sys::page_size().bytes() as usize;
    (from..to).for_each(|index| map[index * page] = 1);
}

#[test]
fn a_window_is_allocated_whole_and_its_first_page_says_when_the_writer_comes() {
    let (file, mut map) = sparse();
    let view = view_of(&map);
    let (mut stores, counters) = (Stores::new(&view), Counters::default());
    let window = Window { range: pages(256, 512), trigger: Some(PageIndex(256)) };
    stores.map_window(&view, window, &mut ForStores, &counters).unwrap();
    assert_eq!(file.metadata().unwrap().blocks(), 256 * view.page_size.bytes() / 512);
    assert!(!view.any_present(pages(0, 257)).unwrap());
    assert!((257..512).all(|page| view.any_present(pages(page, page + 1)).unwrap()));
    assert!(!view.any_present(pages(512, 513)).unwrap());
    assert!(look(&mut stores, &view).is_empty());
    store(&mut map, 256, 257);
    let touches = look(&mut stores, &view);
    assert_eq!((touches.passed, touches.found), (vec![PageIndex(256)], vec![]));
    store(&mut map, 257, 520);
    let touches = look(&mut stores, &view);
    assert_eq!((touches.passed, touches.found), (vec![], vec![pages(512, 520)]));
}

#[test]
fn pages_that_appear_once_are_told_of_only_when_more_follow() {
    let (_file, mut map) = sparse();
    let view = view_of(&map);
    let mut stores = Stores::new(&view);
    store(&mut map, 0, 10);
    assert!(look(&mut stores, &view).is_empty());
    assert!(look(&mut stores, &view).is_empty());
    store(&mut map, 10, 21);
    assert_eq!(look(&mut stores, &view).found, [pages(0, 21)]);
    store(&mut map, 21, 22);
    assert_eq!(look(&mut stores, &view).found, [pages(21, 22)]);
}

#[test]
fn the_first_refusal_ends_it() {
    let (file, map) = sparse();
    let view = view_of(&map);
    let (mut stores, counters) = (Stores::new(&view), Counters::default());
    file.set_len(1 << 20).unwrap();
    let window = Window { range: pages(512, 520), trigger: Some(PageIndex(512)) };
    assert!(stores.map_window(&view, window, &mut ForStores, &counters).is_err());
    assert!(stores.is_over());
    assert_eq!(file.metadata().unwrap().len(), 1 << 20);
}
