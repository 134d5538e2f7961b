use super::*;

fn strides() -> Strides {
    Strides::new(PageCount(1 << 26), PageCount(16))
}

fn at(page: u64) -> PageRange {
    PageRange::at(PageIndex(page), PageCount(1))
}

/// Touches every page of `pages` in turn; the slot of the stride that was found, if one was.
fn learn(strides: &mut Strides, pages: impl IntoIterator<Item = u64>) -> Option<usize> {
    pages.into_iter().fold(None, |found, page| {
        if let Some(stepped) = strides.claim(at(page)) {
            let (Stepped::Advanced { slot, .. }
            | Stepped::Grew { slot, .. }
            | Stepped::Behind(slot)
            | Stepped::Inside(slot)) = stepped;
            return Some(slot);
        }
        strides.learn(at(page), |_| PageCount(0)).or(found)
    })
}

fn live(strides: &Strides) -> impl Iterator<Item = &Stride> {
    strides.slots.iter().filter(|stride| stride.used > 0)
}

#[test]
fn four_touches_make_a_stride_of_either_sign() {
    for distance in [17, 32, 256, 5000, -17, -32, -4096] {
        let mut strides = strides();
        let page = |step: i64| (100_000 + step * distance) as u64;
        assert_eq!(learn(&mut strides, (0..3).map(page)), None, "{distance}");
        let slot = learn(&mut strides, [page(3)]).unwrap();
        let stride = strides.stride(slot);
        assert_eq!((stride.distance(), stride.is_exact), (distance, true));
        assert_eq!(stride.step(2), Some(at(page(5))));
        assert_eq!(strides.claim(at(page(4))), Some(Stepped::Advanced { slot, by: 1 }));
        assert_eq!(strides.claim(at(page(7))), Some(Stepped::Advanced { slot, by: 3 }));
        assert_eq!(strides.claim(at(page(6))), Some(Stepped::Behind(slot)));
        assert_eq!(strides.claim(at(page(7) + 3)), None, "off the steps");
    }
}

#[test]
fn touches_that_adjoin_are_a_run_and_no_stride() {
    let mut strides = strides();
    let block = |step: u64| PageRange::at(PageIndex(step * 16), PageCount(16));
    assert_eq!(strides.learn(block(0), |_| PageCount(0)), None);
    assert_eq!(strides.learn(block(1), |_| PageCount(0)), None);
    assert_eq!(strides.learn(block(2), |_| PageCount(0)), None);
}

#[test]
fn steps_that_are_not_whole_pages_apart_are_followed_with_a_page_to_spare() {
    let mut strides = strides();
    // A record of 100,000 bytes: 24.41 pages.
    let page = |step: u64| step * 100_000 / 4096;
    let slot = learn(&mut strides, (0..40).map(page)).unwrap();
    let stride = strides.stride(slot);
    assert!(!stride.is_exact && stride.steps > 30, "{stride:?}");
    for ahead in 1..=20 {
        let step = stride.step(ahead).unwrap();
        assert!(step.contains(PageIndex(page(39 + u64::from(ahead)))), "{ahead}: {step}");
        assert!(step.count() <= PageCount(3));
    }
}

#[test]
fn a_block_that_is_read_at_each_step_is_learnt_by_doubling() {
    let mut strides = strides();
    let slot = learn(&mut strides, (0..4).map(|step| step * 256)).unwrap();
    let mut extents = vec![];
    for step in 4..9 {
        let page = step * 256;
        assert_eq!(strides.claim(at(page)), Some(Stepped::Advanced { slot, by: 1 }));
        let extent = strides.stride(slot).extent.0;
        extents.push(extent);
        if extent < 16 {
            assert_eq!(
                strides.claim(at(page + extent)),
                Some(Stepped::Grew { slot, from: PageCount(extent) })
            );
        }
    }
    assert_eq!(extents, [1, 2, 4, 8, 16]);
}

#[test]
fn what_was_read_behind_an_earlier_step_counts_too() {
    for distance in [256_i64, -256] {
        let mut strides = strides();
        let page = |step: i64| (1_000_000 + step * distance) as u64;
        let slot = learn(&mut strides, (0..6).map(page)).unwrap();
        let grew = Stepped::Grew { slot, from: PageCount(1) };
        assert_eq!(strides.claim(at(page(4) + 1)), Some(grew));
        assert_eq!(strides.stride(slot).extent, PageCount(2));
    }
}

#[test]
fn what_is_read_inside_a_step_is_news_to_nobody() {
    let mut strides = strides();
    let slot = learn(&mut strides, (0..4).map(|step| step * 256)).unwrap();
    strides.claim(PageRange::at(PageIndex(3 * 256 + 1), PageCount(7)));
    assert_eq!(strides.stride(slot).extent, PageCount(8));
    strides.claim(at(4 * 256));
    for page in [1, 3, 7] {
        assert_eq!(strides.claim(at(4 * 256 + page)), Some(Stepped::Inside(slot)), "{page}");
    }
}

#[test]
fn strays_between_the_touches_do_not_hide_a_stride() {
    let mut strides = strides();
    let stray = |step: u64| 7_000_000 + step * step * 977;
    let touches = (0..60).map(|step| if step % 10 == 0 { stray(step) } else { step * 40 });
    assert!(learn(&mut strides, touches).is_some());
    let live: Vec<_> = live(&strides).map(Stride::distance).collect();
    assert!(live.contains(&40), "{live:?}");
}

#[test]
fn sixty_four_strides_interleaved_are_all_found_and_kept_apart() {
    let mut strides = strides();
    for step in 0..20 {
        for stream in 0..64 {
            let distance = 20 + stream;
            learn(&mut strides, [stream * 1_000_000 + step * distance]);
        }
    }
    let distances: std::collections::BTreeSet<_> =
        live(&strides).map(|stride| (stride.distance(), stride.steps)).collect();
    assert_eq!(distances, (20..84).map(|distance| (distance, 19)).collect());
}

#[test]
fn a_proven_stride_is_taken_up_elsewhere_after_two_touches() {
    let mut strides = strides();
    learn(&mut strides, (0..40).map(|step| step * 100));
    assert_eq!(learn(&mut strides, [900_000]), None);
    let slot = learn(&mut strides, [900_100]).unwrap();
    assert_eq!(strides.stride(slot).step(1), Some(at(900_200)));
}

#[test]
fn two_strides_that_cross_stay_two() {
    let mut strides = strides();
    let (up, down) = (|step: u64| step * 100, |step: u64| 20_050 - step * 100);
    for step in 0..200 {
        learn(&mut strides, [up(step), down(step)]);
    }
    let live: Vec<_> = live(&strides).map(|stride| (stride.distance(), stride.steps)).collect();
    assert_eq!(live, [(100, 199), (-100, 199)]);
}

fn strides_in_random_touches(pages: u64, block: u64) -> u32 {
    let mut strides = Strides::new(PageCount(pages), PageCount(16));
    let mut random = 88_172_645_463_325_252_u64;
    let mut found = 0;
    for _ in 0..10_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let touched = PageRange::at(PageIndex(random % pages / block * block), PageCount(block));
        let is_new = strides.claim(touched).is_none();
        found += u32::from(is_new && strides.learn(touched, |_| PageCount(0)).is_some());
        strides.end_look();
    }
    found
}

#[test]
fn random_touches_are_no_strides_whatever_the_file_and_however_little_is_known() {
    for shift in [14, 16, 18, 20, 24] {
        for block in [1, 16] {
            let found = strides_in_random_touches(1 << shift, block);
            assert!(found < 40, "{found} in 10,000 over {} MiB by {block}", 1 << (shift - 8));
        }
    }
}

#[test]
fn a_set_that_was_found_at_once_may_have_come_in_either_order() {
    let mut strides = strides();
    // Backwards, five to a look, told in the order of the page table.
    for look in (0..40).rev() {
        learn(&mut strides, (0..5).map(|step| 1_000 + (look * 5 + step) * 32));
        strides.end_look();
    }
    let all: Vec<_> = live(&strides).map(|s| (s.distance(), s.last)).collect();
    assert_eq!(all, [(-32, PageIndex(1_000))]);
}

#[test]
fn a_stride_that_nobody_takes_any_more_owns_nothing() {
    let mut strides = strides();
    learn(&mut strides, (0..100).map(|step| step * 32));
    for other in 0..2 * LIVE_TOUCHES {
        strides.learn(at(10_000_000 + other * other * 7), |_| PageCount(0));
    }
    assert_eq!(strides.claim(at(100 * 32)), None);
    assert_eq!((strides.ahead(), strides.live()), (PageCount(0), 0));
}

#[test]
fn a_stride_that_leaves_out_most_of_its_steps_is_none() {
    let mut strides = strides();
    let slot = learn(&mut strides, (0..4).map(|step| step * 32)).unwrap();
    strides.planned(slot, 8);
    learn(&mut strides, [12 * 32]);
    strides.end_look();
    assert_eq!(live(&strides).count(), 0);
}

#[test]
fn touches_that_close_in_on_each_other_are_no_stride() {
    for pages in [800, 1 << 20] {
        let mut strides = Strides::new(PageCount(pages), PageCount(1));
        // Distances of 8, 7, 6 .. pages, down to none.
        let page = |step: u64| 400 - (1..=step).map(|step| 9_u64.saturating_sub(step)).sum::<u64>();
        assert_eq!(learn(&mut strides, (0..12).map(page)), None);
    }
}
