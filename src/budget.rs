//! How much may be done in a given time: a token bucket.

use crate::time::{Duration, Instant};

/// Parts of a token: a rate of one token a second earns one part a microsecond.
const PARTS: u64 = 1_000_000;

/// A token bucket. It counts what was taken and not earned again yet, in parts of a token, so
/// that nothing is lost in rounding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Tokens earned a second.
    rate: u64,
    /// Parts that may be taken at once.
    burst: u64,
    /// Parts taken and not earned again at `counted`.
    debt: u64,
    counted: Instant,
    /// When the turn is over of the last of those who wait.
    promised: Instant,
}

impl Budget {
    /// A full bucket of `burst` tokens, which earns `rate` of them a second.
    pub const fn new(rate: u64, burst: u64) -> Self {
        let burst = burst.saturating_mul(PARTS);
        Self { rate, burst, debt: 0, counted: Instant::ZERO, promised: Instant::ZERO }
    }

    /// Tokens that may be taken now.
    pub fn available(&mut self, now: Instant) -> u64 {
        let elapsed = now.since(self.counted).as_micros();
        let earned = u64::try_from(elapsed).unwrap_or(u64::MAX).saturating_mul(self.rate);
        self.debt = self.debt.saturating_sub(earned);
        self.counted = now;
        self.burst.saturating_sub(self.debt) / PARTS
    }

    /// Takes tokens: more than are there are owed.
    pub fn take(&mut self, tokens: u64) {
        self.debt = self.debt.saturating_add(tokens.saturating_mul(PARTS));
    }

    /// Tokens for a turn: half of the bucket. If they are not there, when to come back for them:
    /// whoever is told so has that time for itself, behind all who were told before.
    pub fn turn(&mut self, now: Instant) -> Result<u64, Instant> {
        let share = (self.burst / 2).max(PARTS);
        if self.available(now) >= share / PARTS {
            return Ok(share / PARTS);
        }
        let owed = self.debt.saturating_sub(self.burst.saturating_sub(share));
        let at = (now + self.time_for(owed)).max(self.promised);
        self.promised = at + self.time_for(share);
        Err(at)
    }

    fn time_for(&self, parts: u64) -> Duration {
        Duration::from_micros(parts.div_ceil(self.rate.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn a_burst_and_then_a_rate() {
        let mut budget = Budget::new(1000, 250);
        assert_eq!(budget.available(at(0)), 250);
        budget.take(250);
        assert_eq!(budget.available(at(0)), 0);
        assert_eq!(budget.available(at(999)), 0);
        assert_eq!(budget.available(at(1000)), 1);
        assert_eq!(budget.available(at(60_000_000)), 250, "no more than the burst is saved up");
    }

    #[test]
    fn what_is_owed_is_earned_first() {
        let mut budget = Budget::new(1000, 100);
        budget.take(300);
        assert_eq!(budget.turn(at(0)), Err(at(250_000)));
        assert_eq!(budget.available(at(249_000)), 49);
        assert_eq!(budget.turn(at(250_000)), Ok(50));
    }

    #[test]
    fn one_waits_for_a_whole_token() {
        let mut budget = Budget::new(1, 1);
        budget.take(1);
        assert_eq!(budget.turn(at(0)), Err(at(1_000_000)));
        assert_eq!(budget.turn(at(1_000_000)), Ok(1));
    }

    #[test]
    fn each_has_a_turn() {
        let mut budget = Budget::new(1000, 100);
        budget.take(100);
        let turns = [(); 3].map(|()| budget.turn(at(0)));
        assert_eq!(turns, [Err(at(50_000)), Err(at(100_000)), Err(at(150_000))]);
        for turn in turns {
            let now = turn.unwrap_err();
            assert_eq!(budget.turn(now), Ok(50));
            budget.take(50);
        }
    }

    #[test]
    fn nothing_is_lost_in_rounding() {
        let mut budget = Budget::new(3, 1);
        let mut taken = 0;
        for micros in (0..10_000_000).step_by(7) {
            let tokens = budget.available(at(micros));
            budget.take(tokens);
            taken += tokens;
        }
        assert_eq!(taken, 30);
    }
}
