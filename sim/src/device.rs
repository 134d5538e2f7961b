//! The device: latency, bandwidth, queue depth, a cost for each request. The same for a seed.

mod queue;

use mmap_ahead::page::{ByteLen, Nanos};

use crate::Error;
pub(crate) use queue::Device;

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
    /// When it says what it has brought.
    pub tells: Tells,
    /// What each request takes of the device alone: no more than one in this time.
    pub request_ns: Nanos,
    /// What each piece of memory that a request fills takes more, beyond its bytes; the first is in
    /// `request_ns`.
    pub segment_ns: Nanos,
    /// The bytes of all requests together in one second; at least 1.
    pub bytes_per_s: u64,
    /// How many requests wait out their latency at once; at least 1. More have to queue.
    pub queue_depth: usize,
    /// The largest request, in bytes; more is cut. At least one page.
    pub request_max: u64,
    /// How many pieces of memory a request fills at most, and all that wait together; at least 1.
    pub pieces_max: u64,
}

/// When a device says what it has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tells {
    /// As soon as a request is done.
    #[default]
    Each,
    /// When no request waits any more: of all of them. So do virtual disks whose one thread takes what is in
    /// the queue until nothing is, and then raises one interrupt. A reader that has asked for two windows gets
    /// both when the second is there, and the device is idle until it asks again.
    Drained,
}

impl Default for DeviceModel {
    fn default() -> DeviceModel {
        DeviceModel {
            latency_ns: Nanos(98_000),
            jitter_permille: 0,
            tells: Tells::Each,
            request_ns: Nanos(0),
            segment_ns: Nanos(0),
            bytes_per_s: 2_200_000_000,
            queue_depth: 32,
            request_max: 1 << 20,
            pieces_max: PIECES_MAX,
        }
    }
}

/// The largest queue: more is memory for nothing.
const QUEUE_DEPTH_MAX: usize = 1 << 16;
/// So many pieces of memory are no limit.
const PIECES_MAX: u64 = 1 << 16;

impl DeviceModel {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.bytes_per_s == 0 || self.queue_depth == 0 {
            return Err(Error::Setup { what: "a device needs a bandwidth and a queue above 0" });
        }
        if self.queue_depth > QUEUE_DEPTH_MAX {
            return Err(Error::Setup { what: "a device's queue has at most 65536 places" });
        }
        if self.pieces_max == 0 {
            return Err(Error::Setup {
                what: "a device's request fills at least one piece of memory",
            });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_cannot_read_is_refused() {
        let good = DeviceModel::default();
        assert!(good.check().is_ok());
        assert!(DeviceModel { bytes_per_s: 0, ..good }.check().is_err());
        assert!(DeviceModel { queue_depth: 0, ..good }.check().is_err());
        assert!(DeviceModel { queue_depth: usize::MAX, ..good }.check().is_err());
        assert!(DeviceModel { request_max: 0, ..good }.check().is_err());
        assert!(DeviceModel { pieces_max: 0, ..good }.check().is_err());
    }
}
