//! A device at work.

use std::collections::VecDeque;

use mmap_ahead::page::{ByteLen, Nanos};
use mmap_ahead_bench::random::Rng;

use super::{DeviceModel, Tells};

/// The places of a ring that a request takes beside those of its pieces: its head and its status (virtio
/// 1.2, 5.2.6).
const PLACES_BESIDE: u64 = 2;

/// Somebody may be told of what was done so long ago: threads run on a little beyond what happens next.
const TOLD_LATE: u64 = 1_000_000;

/// A device at work. Latencies overlap up to the queue depth, transfers follow each other.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    model: DeviceModel,
    /// The requests that nobody was told of yet, in the order in which they are done.
    waiting: VecDeque<Waiting>,
    /// The places that they take together.
    places: u64,
    /// When the last request could begin: none overtakes another.
    started: Nanos,
    bus_free: Nanos,
    /// When it is without work, for each time that somebody may still be told of.
    drained: VecDeque<Nanos>,
    rng: Rng,
    requests: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    done: Nanos,
    places: u64,
}

impl Device {
    pub(crate) fn new(model: DeviceModel, seed: u64) -> Device {
        Device {
            model,
            waiting: VecDeque::new(),
            places: 0,
            started: Nanos(0),
            bus_free: Nanos(0),
            drained: VecDeque::new(),
            rng: Rng::new(seed),
            requests: 0,
            bytes: 0,
        }
    }

    pub(crate) fn model(&self) -> &DeviceModel {
        &self.model
    }

    /// Requests and bytes so far.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        (self.requests, self.bytes)
    }

    /// Asks for `len` bytes at `at`, which fill `segments` pieces of memory, in as many requests as it
    /// takes. They are all there at the answer; [`Device::told_at`] knows when that is noticed.
    pub(crate) fn read(&mut self, at: Nanos, len: ByteLen, segments: u64) -> Nanos {
        let (mut left, mut segments_left, mut done) = (len.0, segments.max(1), at);
        while left > 0 {
            let (piece, share) = self.largest(left, segments_left);
            done = done.max(self.request(at, ByteLen(piece), share));
            left -= piece;
            segments_left -= share;
        }
        done
    }

    /// When the device tells of what is done at `done`, as far as is known by then.
    pub(crate) fn told_at(&self, done: Nanos) -> Nanos {
        match self.model.tells {
            Tells::Each => done,
            Tells::Drained => {
                let at = self.drained.partition_point(|drained| *drained < done);
                self.drained.get(at).map_or(done, |drained| *drained)
            }
        }
    }

    /// The bytes and pieces of the first request for so many.
    fn largest(&self, left: u64, segments: u64) -> (u64, u64) {
        let DeviceModel { request_max, pieces_max, .. } = self.model;
        let piece = left.min(request_max);
        let share = segments * piece / left;
        if share <= pieces_max {
            return (piece, share);
        }
        ((left * pieces_max / segments).max(1), pieces_max)
    }

    fn request(&mut self, at: Nanos, len: ByteLen, segments: u64) -> Nanos {
        self.requests += 1;
        self.bytes += len.0;
        let latency = self.latency();
        let per_piece = self.model.segment_ns.0.saturating_mul(segments.saturating_sub(1));
        let transfer = self.model.transfer(len).0 + self.model.request_ns.0;
        let transfer = transfer.saturating_add(per_piece);
        let places = segments + PLACES_BESIDE;
        let ready = Nanos(self.has_room(at, places).0.saturating_add(latency));
        let begin = ready.max(self.bus_free);
        let done = Nanos(begin.0.saturating_add(transfer));
        self.busy_until(done, ready, at);
        self.waiting.push_back(Waiting { done, places });
        self.places += places;
        done
    }

    /// When a request that comes at `at` and takes so many places has them, behind those before it.
    fn has_room(&mut self, at: Nanos, places: u64) -> Nanos {
        let mut start = at.max(self.started);
        let room = self.model.pieces_max + PLACES_BESIDE;
        while let Some(first) = self.waiting.front() {
            let free = self.told_at(first.done);
            let fits = self.waiting.len() < self.model.queue_depth && self.places + places <= room;
            if free > start && fits {
                break;
            }
            start = start.max(free);
            self.places -= first.places;
            self.waiting.pop_front();
        }
        self.started = start;
        start
    }

    /// Works until `done` at what was ready at `ready`, as is known at `now`.
    fn busy_until(&mut self, done: Nanos, ready: Nanos, now: Nanos) {
        if self.model.tells == Tells::Drained {
            let is_over = |end: &Nanos| end.0.saturating_add(TOLD_LATE) < now.0;
            while self.drained.len() > 1 && self.drained.front().is_some_and(is_over) {
                self.drained.pop_front();
            }
            match self.drained.back_mut() {
                Some(end) if ready <= *end => *end = done,
                _ => self.drained.push_back(done),
            }
        }
        self.bus_free = done;
    }

    fn latency(&mut self) -> u64 {
        let latency = self.model.latency_ns.0;
        if self.model.jitter_permille == 0 {
            return latency;
        }
        let exponential = -(1.0 - self.rng.unit()).ln();
        let mean = latency as f64 * self.model.jitter_permille as f64 / 1000.0;
        latency.saturating_add((exponential * mean) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte a nanosecond.
    fn model(queue_depth: usize) -> DeviceModel {
        let (latency_ns, bytes_per_s) = (Nanos(100), 1_000_000_000);
        DeviceModel { latency_ns, bytes_per_s, queue_depth, ..DeviceModel::default() }
    }

    fn read(device: &mut Device, at: u64, len: u64) -> u64 {
        device.read(Nanos(at), ByteLen(len), 1).0
    }

    fn told(device: &Device, done: u64) -> u64 {
        device.told_at(Nanos(done)).0
    }

    #[test]
    fn latencies_overlap_and_transfers_do_not() {
        let mut device = Device::new(model(2), 1);
        assert_eq!(read(&mut device, 0, 50), 150);
        assert_eq!(read(&mut device, 0, 50), 200);
        // No place in the queue before 150, so its latency ends at 250.
        assert_eq!(read(&mut device, 0, 50), 300);
        assert_eq!(read(&mut device, 1000, 1), 1101);
        assert_eq!(device.traffic(), (4, 151));
        assert_eq!(told(&device, 200), 200, "as soon as it is done");
    }

    #[test]
    fn a_queue_of_one_pays_every_latency() {
        let mut device = Device::new(model(1), 1);
        assert_eq!(read(&mut device, 0, 50), 150);
        assert_eq!(read(&mut device, 0, 50), 300);
    }

    #[test]
    fn what_is_larger_than_a_request_is_cut_and_each_piece_costs() {
        let model = DeviceModel { request_max: 4096, request_ns: Nanos(10), ..model(8) };
        let mut device = Device::new(model, 1);
        let (at, len) = (Nanos(0), ByteLen(8192));
        assert_eq!(device.read(at, len, 2), Nanos(100 + 2 * (4096 + 10)));
        assert_eq!((device.traffic().0, model.requests(len)), (2, 2));
        let mut device = Device::new(DeviceModel { segment_ns: Nanos(7), ..model }, 1);
        assert_eq!(device.read(at, len, 5), Nanos(100 + 2 * (4096 + 10) + (1 + 2) * 7));
    }

    #[test]
    fn a_device_that_is_drained_tells_of_all_at_once() {
        let mut device = Device::new(DeviceModel { tells: Tells::Drained, ..model(8) }, 1);
        assert_eq!(read(&mut device, 0, 50), 150);
        assert_eq!(told(&device, 150), 150);
        assert_eq!(read(&mut device, 40, 50), 200);
        assert_eq!(told(&device, 150), 200, "the second came before the first was done");
        assert_eq!(read(&mut device, 190, 50), 340, "too late to be served with them");
        assert_eq!([150, 200, 340].map(|done| told(&device, done)), [200, 200, 340]);
    }

    #[test]
    fn what_finds_no_room_waits_until_the_device_tells() {
        let tells = Tells::Drained;
        let mut device = Device::new(DeviceModel { tells, pieces_max: 10, ..model(8) }, 1);
        assert_eq!(device.read(Nanos(0), ByteLen(100), 10), Nanos(200));
        assert_eq!(device.read(Nanos(0), ByteLen(10), 1), Nanos(200 + 110), "the ring is full");
        // Cut where the pieces end: ten of them, then two.
        let mut device = Device::new(DeviceModel { tells, pieces_max: 10, ..model(8) }, 1);
        assert_eq!(device.read(Nanos(0), ByteLen(120), 12), Nanos(200 + 120));
        assert_eq!(device.traffic(), (2, 120));
    }

    #[test]
    fn jitter_adds_its_mean_and_follows_the_seed() {
        let model = DeviceModel { jitter_permille: 500, ..model(1) };
        let ends = |seed| {
            let mut device = Device::new(model, seed);
            (0..10_000).map(|_| read(&mut device, 0, 1)).collect::<Vec<_>>()
        };
        assert_eq!(ends(3), ends(3));
        assert_ne!(ends(3), ends(4));
        let mean = *ends(3).last().unwrap() as f64 / 10_000.0;
        assert!((148.0..154.0).contains(&mean), "{mean}");
    }
}
