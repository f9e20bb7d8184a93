//! The clock.

use std::time::{Duration, Instant as StdInstant, SystemTime, UNIX_EPOCH};

use tinyftp::time::{Instant, Timestamp};

/// Monotonic time since the start of the program, and the date at that start.
#[derive(Clone, Copy)]
pub struct Clock {
    start: StdInstant,
    pub date: Timestamp,
    /// The same to the microsecond, since 1970.
    pub epoch: Duration,
}

impl Clock {
    pub fn start() -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: StdInstant::now(), date: Timestamp(epoch.as_secs()), epoch }
    }

    pub fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }
}
