//! The machine's clock, as policies are told it.

use std::sync::OnceLock;
use std::time::Instant;

use crate::page::Nanos;

/// Nanoseconds since the first call, monotonic.
pub(crate) fn now() -> Nanos {
    static BASE: OnceLock<Instant> = OnceLock::new();
    Nanos(BASE.get_or_init(Instant::now).elapsed().as_nanos() as u64)
}
