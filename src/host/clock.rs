//! The clock.

use std::time::{Instant as StdInstant, SystemTime, UNIX_EPOCH};

use tinyftp::time::{Instant, Timestamp};

/// Monotonic time since the start of the program, and the date at that start.
#[derive(Clone, Copy)]
pub struct Clock {
    start: StdInstant,
    pub date: Timestamp,
}

impl Clock {
    pub fn start() -> Self {
        let date = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: StdInstant::now(), date: Timestamp(date.as_secs()) }
    }

    pub fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }
}
