//! The device: latency, bandwidth, queue depth, a cost for each request. The same for a seed.

use mmap_ahead::page::{ByteLen, Nanos};
use mmap_ahead_bench::random::Rng;

use crate::Error;

/// What a device can do.
///
/// Default: this project's disk (DESIGN.md), without jitter: 98 us for one access, 2.2 GB/s, 32 at
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceModel {
    /// From when a request is made until the device may turn to it.
    pub latency_ns: Nanos,
    /// The mean of what is added to it at random (exponential), in thousandths of it.
    pub jitter_permille: u64,
    /// What the device takes to turn to the requests that wait for it, once for all of them.
    pub turn_ns: Nanos,
    /// What each request takes of the device alone: no more than one in this time.
    pub request_ns: Nanos,
    /// What each piece of memory that a request fills takes more, beyond its bytes.
    pub segment_ns: Nanos,
    /// The bytes of all requests together in one second; at least 1.
    pub bytes_per_s: u64,
    /// How many requests wait out their latency at once; at least 1. More have to queue.
    pub queue_depth: usize,
    /// The largest request, in bytes; more is cut into pieces. At least one page.
    pub request_max: u64,
}

impl Default for DeviceModel {
    fn default() -> DeviceModel {
        DeviceModel {
            latency_ns: Nanos(98_000),
            jitter_permille: 0,
            turn_ns: Nanos(0),
            request_ns: Nanos(0),
            segment_ns: Nanos(0),
            bytes_per_s: 2_200_000_000,
            queue_depth: 32,
            request_max: 1 << 20,
        }
    }
}

/// The largest queue: more is memory for nothing.
const QUEUE_DEPTH_MAX: usize = 1 << 16;

impl DeviceModel {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.bytes_per_s == 0 || self.queue_depth == 0 {
            return Err(Error::Setup { what: "a device needs a bandwidth and a queue above 0" });
        }
        if self.queue_depth > QUEUE_DEPTH_MAX {
            return Err(Error::Setup { what: "a device's queue has at most 65536 places" });
        }
        if self.request_max < 4096 {
            return Err(Error::Setup { what: "a device's largest request is at least 4096 bytes" });
        }
        Ok(())
    }

    /// How many requests it takes to read `len` bytes.
    #[must_use]
    pub fn requests(&self, len: ByteLen) -> u64 {
        len.0.div_ceil(self.request_max)
    }

    /// How long `len` bytes take on the wire.
    #[must_use]
    pub fn transfer(&self, len: ByteLen) -> Nanos {
        let transfer = u128::from(len.0) * 1_000_000_000 / u128::from(self.bytes_per_s);
        Nanos(u64::try_from(transfer).unwrap_or(u64::MAX))
    }
}

/// A device at work. Latencies overlap up to the queue depth, transfers follow each other.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    model: DeviceModel,
    /// When each place in the queue is free again.
    queue: Vec<Nanos>,
    bus_free: Nanos,
    /// When it last turned to what waited.
    turned_at: Option<Nanos>,
    rng: Rng,
    requests: u64,
    bytes: u64,
}

impl Device {
    pub(crate) fn new(model: DeviceModel, seed: u64) -> Device {
        Device {
            model,
            queue: vec![Nanos(0); model.queue_depth],
            bus_free: Nanos(0),
            turned_at: None,
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
    /// takes; the answer is when they are all there.
    pub(crate) fn read(&mut self, at: Nanos, len: ByteLen, segments: u64) -> Nanos {
        let (mut left, mut segments_left, mut done) = (len.0, segments, at);
        while left > 0 {
            let piece = left.min(self.model.request_max);
            let share = segments_left * piece / left;
            done = done.max(self.request(at, ByteLen(piece), share));
            left -= piece;
            segments_left -= share;
        }
        done
    }

    fn request(&mut self, at: Nanos, len: ByteLen, segments: u64) -> Nanos {
        self.requests += 1;
        self.bytes += len.0;
        let latency = self.latency();
        let per_piece = self.model.segment_ns.0.saturating_mul(segments);
        let transfer = self.model.transfer(len).0 + self.model.request_ns.0;
        let transfer = transfer.saturating_add(per_piece);
        let place = self.queue.iter_mut().min().expect("a queue has a place");
        let start = at.max(*place);
        let ready = Nanos(start.0.saturating_add(latency));
        let begin = ready.max(self.bus_free);
        // Whoever was there when it last turned to those that wait is served with them.
        let first_byte = if self.turned_at.is_some_and(|turned| ready <= turned) {
            begin.0
        } else {
            self.turned_at = Some(begin);
            begin.0.saturating_add(self.model.turn_ns.0)
        };
        let done = Nanos(first_byte.saturating_add(transfer));
        *place = done;
        self.bus_free = done;
        done
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

    #[test]
    fn latencies_overlap_and_transfers_do_not() {
        let mut device = Device::new(model(2), 1);
        assert_eq!(read(&mut device, 0, 50), 150);
        assert_eq!(read(&mut device, 0, 50), 200);
        // No place in the queue before 150, so its latency ends at 250.
        assert_eq!(read(&mut device, 0, 50), 300);
        assert_eq!(read(&mut device, 1000, 1), 1101);
        assert_eq!(device.traffic(), (4, 151));
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
        assert_eq!(device.read(at, len, 5), Nanos(100 + 2 * (4096 + 10) + 5 * 7));
    }

    #[test]
    fn requests_that_wait_are_turned_to_together() {
        let mut device = Device::new(DeviceModel { turn_ns: Nanos(30), ..model(8) }, 1);
        assert_eq!(read(&mut device, 0, 50), 100 + 30 + 50);
        // Both come while it works: one turn for the two of them.
        assert_eq!(read(&mut device, 1, 50), 180 + 30 + 50);
        assert_eq!(read(&mut device, 2, 50), 260 + 50);
        assert_eq!(read(&mut device, 1000, 50), 1000 + 100 + 30 + 50);
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

    #[test]
    fn a_device_that_cannot_read_is_refused() {
        let good = DeviceModel::default();
        assert!(good.check().is_ok());
        assert!(DeviceModel { bytes_per_s: 0, ..good }.check().is_err());
        assert!(DeviceModel { queue_depth: 0, ..good }.check().is_err());
        assert!(DeviceModel { queue_depth: usize::MAX, ..good }.check().is_err());
        assert!(DeviceModel { request_max: 0, ..good }.check().is_err());
    }
}
