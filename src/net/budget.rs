//! How many answers may be sent to what nobody asked for.

use crate::time::{Duration, Instant};

/// Answers that may be sent at once.
const BURST: u64 = 250;
/// The time after which one more may be sent.
const INTERVAL: Duration = Duration::from_millis(1);

/// A token bucket.
pub(super) struct Budget {
    /// When it would be full again.
    full_at: Instant,
}

impl Budget {
    pub fn new() -> Self {
        Self { full_at: Instant::ZERO }
    }

    /// Takes a token; `false`: there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + INTERVAL;
        let granted = full_at.since(now) <= INTERVAL * BURST as u32;
        if granted {
            self.full_at = full_at;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_rate() {
        let mut budget = Budget::new();
        let now = Instant::from_millis(1000);
        let granted = (0..10_000).filter(|_| budget.take(now)).count() as u64;
        assert_eq!(granted, BURST);
        assert!(!budget.take(now));
        assert!(budget.take(now + INTERVAL));
        assert!(!budget.take(now + INTERVAL));
    }
}
