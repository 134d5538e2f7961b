//! The orders that `compare` knows too, as items: the same steps for the same arguments.

use mmap_ahead_bench::pattern::Pattern;
use mmap_ahead_bench::random::{Rng, Scatter, Zipf};
use mmap_ahead_bench::steps::{STEP_LEN, Step, Steps};

use super::{Item, Items, Shape, Touch};
use crate::Error;
use crate::kernel::Access;

pub(super) fn items(pattern: &Pattern, shape: &Shape, seed: u64) -> Result<Items, Error> {
    let Shape { file, touch, think, .. } = *shape;
    let item = move |Step { offset, len }: Step| {
        Ok(Item::Touch(Touch { offset, len, think, thread: 0, access: Access::Load }))
    };
    if let Pattern::Zipf(theta) = *pattern {
        let zipf = zipf(file.0, touch.unwrap_or(STEP_LEN), theta, seed).map(item);
        return Ok(share_out(Box::new(zipf), shape.threads));
    }
    let steps = Steps::new(pattern, file.0, touch, seed);
    let steps = steps.map_err(|error| Error::Unknown(error.to_string()))?;
    Ok(share_out(Box::new(steps.map(item)), shape.threads))
}

/// The steps of `Pattern::Zipf` as [`Steps`] makes them, without their list.
fn zipf(file: u64, touch: u64, theta: f64, seed: u64) -> impl Iterator<Item = Step> + Send {
    let pages = file.div_ceil(STEP_LEN);
    let count = file.div_ceil(touch.max(STEP_LEN));
    let (law, scatter, mut rng) =
        (Zipf::new(pages, theta), Scatter::new(pages, seed), Rng::new(seed));
    (0..count).map(move |_| {
        let offset = scatter.at(law.sample(&mut rng)) * STEP_LEN;
        Step { offset, len: touch.min(file - offset) }
    })
}

/// Gives the items to `threads` readers in turn.
fn share_out(items: Items, threads: u32) -> Items {
    if threads == 1 {
        return items;
    }
    let mut next = 0;
    Box::new(items.map(move |item| {
        let mut item = item?;
        if let Item::Touch(touch) = &mut item {
            touch.thread = next;
            next = (next + 1) % threads;
        }
        Ok(item)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_takes_the_same_steps_as_compare() {
        let file = 1 << 20;
        let theirs: Vec<Step> = Steps::new(&Pattern::Zipf(0.8), file, None, 5).unwrap().collect();
        assert_eq!(zipf(file, STEP_LEN, 0.8, 5).collect::<Vec<_>>(), theirs);
    }
}
