//! The device: latency, bandwidth and queue depth. Deterministic.

use mmap_ahead::page::{ByteLen, Nanos};

use crate::Error;
use crate::clock::after;

/// What a device can do.
///
/// Default: this project's disk (DESIGN.md): 98 us for one access, 2.2 GB/s, 32 at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceModel {
    /// From the start of a request to its first byte.
    pub latency_ns: Nanos,
    /// The bytes of all requests together in one second; at least 1.
    pub bytes_per_s: u64,
    /// How many requests wait out their latency at once; at least 1. More have to queue.
    pub queue_depth: usize,
}

impl Default for DeviceModel {
    fn default() -> DeviceModel {
        DeviceModel { latency_ns: Nanos(98_000), bytes_per_s: 2_200_000_000, queue_depth: 32 }
    }
}

impl DeviceModel {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.bytes_per_s == 0 || self.queue_depth == 0 {
            return Err(Error::Setup { what: "a device needs a bandwidth and a queue above 0" });
        }
        Ok(())
    }
}

/// A device at work. Latencies overlap up to the queue depth, transfers follow each other.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    model: DeviceModel,
    /// When each place in the queue is free again.
    queue: Vec<Nanos>,
    bus_free: Nanos,
}

impl Device {
    pub(crate) fn new(model: DeviceModel) -> Device {
        Device { model, queue: vec![Nanos(0); model.queue_depth], bus_free: Nanos(0) }
    }

    /// Asks for `len` bytes at `at`; the answer is when they are all there.
    pub(crate) fn read(&mut self, at: Nanos, len: ByteLen) -> Nanos {
        let place = self.queue.iter_mut().min().expect("a queue has a place");
        let start = at.max(*place);
        let first_byte = after(start, self.model.latency_ns).max(self.bus_free);
        let transfer = u128::from(len.0) * 1_000_000_000 / u128::from(self.model.bytes_per_s);
        let done = after(first_byte, Nanos(u64::try_from(transfer).unwrap_or(u64::MAX)));
        *place = done;
        self.bus_free = done;
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(queue_depth: usize) -> Device {
        // One byte a nanosecond.
        let bytes_per_s = 1_000_000_000;
        Device::new(DeviceModel { latency_ns: Nanos(100), bytes_per_s, queue_depth })
    }

    #[test]
    fn latencies_overlap_and_transfers_do_not() {
        let mut device = device(2);
        assert_eq!(device.read(Nanos(0), ByteLen(50)), Nanos(150));
        assert_eq!(device.read(Nanos(0), ByteLen(50)), Nanos(200));
        // No place in the queue before 150, so its latency ends at 250.
        assert_eq!(device.read(Nanos(0), ByteLen(50)), Nanos(300));
        assert_eq!(device.read(Nanos(1000), ByteLen(1)), Nanos(1101));
    }

    #[test]
    fn a_queue_of_one_pays_every_latency() {
        let mut device = device(1);
        assert_eq!(device.read(Nanos(0), ByteLen(50)), Nanos(150));
        assert_eq!(device.read(Nanos(0), ByteLen(50)), Nanos(300));
    }

    #[test]
    fn a_device_that_cannot_read_is_refused() {
        let good = DeviceModel::default();
        assert!(good.check().is_ok());
        assert!(DeviceModel { bytes_per_s: 0, ..good }.check().is_err());
        assert!(DeviceModel { queue_depth: 0, ..good }.check().is_err());
    }
}
