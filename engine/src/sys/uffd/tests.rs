use super::*;
use crate::sys::Fork;

fn uffd(len: usize) -> Option<Uffd> {
    let uffd = Uffd::reserve(len, Missing::Queued).ok();
    if uffd.is_none() {
        println!("skipped: no userfaultfd here");
    }
    uffd
}

fn frame(byte: u8) -> Cell {
    let mut cell = Cell::reserve(FRAME_LEN, Fork::Withhold).unwrap();
    cell.populate().unwrap();
    cell.bytes_mut().fill(byte);
    cell
}

fn bytes(uffd: &Uffd) -> &[u8] {
    // SAFETY: the test fills what it reads, always with the same.
    unsafe { uffd.bytes(uffd.span().len) }
}

#[test]
fn a_frame_moves_in_and_out_and_in_again() {
    let Some(uffd) = uffd(2 * FRAME_LEN) else { return };
    if !uffd.has_move() {
        return println!("skipped: no UFFDIO_MOVE here");
    }
    let mut cell = frame(7);
    uffd.adopt(&cell).unwrap();
    uffd.put(&cell, FRAME_LEN, 0).unwrap();
    assert!(bytes(&uffd)[FRAME_LEN..].iter().all(|&byte| byte == 7));
    let again = uffd.put(&cell, FRAME_LEN, 0);
    assert!(matches!(again, Err(Stopped { at: 0, why: Refused::Raced })));
    uffd.take(FRAME_LEN, &mut cell).unwrap();
    assert!(cell.bytes().iter().all(|&byte| byte == 7));
    uffd.put(&cell, FRAME_LEN, 0).unwrap();
    assert_eq!(bytes(&uffd)[FRAME_LEN + 5], 7);
    uffd.take(FRAME_LEN, &mut cell).unwrap();
    uffd.disown(&cell).unwrap();
}

/// One page in the middle is there already: what was moved before it is known.
#[test]
fn a_move_says_where_it_stopped_and_goes_on_from_there() {
    let Some(uffd) = uffd(FRAME_LEN) else { return };
    if !uffd.has_move() {
        return println!("skipped: no UFFDIO_MOVE here");
    }
    let (middle, page) = (100 * 4096, 4096);
    let mut cell = frame(5);
    uffd.adopt(&cell).unwrap();
    uffd.zero(middle, page).unwrap();
    let stopped = uffd.put(&cell, 0, 0).unwrap_err();
    assert!(matches!(stopped, Stopped { at, why: Refused::Raced } if at == middle), "{stopped:?}");
    uffd.empty(middle, page).unwrap();
    uffd.put(&cell, 0, middle).unwrap();
    assert!(bytes(&uffd).iter().all(|&byte| byte == 5));
    // And back, stopped by a hole: nothing is missing afterwards but the hole.
    uffd.empty(middle, page).unwrap();
    let stopped = uffd.take(0, &mut cell).unwrap_err();
    assert!(matches!(stopped, Stopped { at, why: Refused::Raced } if at == middle), "{stopped:?}");
    assert!(bytes(&uffd)[..middle].iter().all(|&byte| byte == 5));
    assert!(bytes(&uffd)[middle + page..].iter().all(|&byte| byte == 5));
    uffd.zero(middle, page).unwrap();
    uffd.take(0, &mut cell).unwrap();
    assert_eq!((cell.bytes()[middle - 1], cell.bytes()[middle]), (5, 0));
}

#[test]
fn a_touch_is_reported_and_a_copy_wakes_it() {
    let Some(uffd) = uffd(FRAME_LEN) else { return };
    let cell = frame(9);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| bytes(&uffd)[5 * 4096 + 17]);
        let mut faults = Vec::new();
        while faults.is_empty() {
            uffd.take_faults(&mut faults).unwrap();
        }
        assert_eq!(faults, [5 * 4096]);
        uffd.copy(cell.part(0..4096), 5 * 4096).unwrap();
        assert_eq!(reader.join().unwrap(), 9);
    });
    // A page that is there already is stepped over.
    uffd.copy(cell.part(0..8 * 4096), 2 * 4096).unwrap();
    assert!(bytes(&uffd)[2 * 4096..10 * 4096].iter().all(|&byte| byte == 9));
    uffd.empty(5 * 4096, 4096).unwrap();
    uffd.zero(5 * 4096, 4096).unwrap();
    assert_eq!(bytes(&uffd)[5 * 4096], 0);
}
