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

    /// Takes one token if there is one; says whether there was.
    #[cfg(any(feature = "net", test))]
    pub fn grants(&mut self, now: Instant) -> bool {
        let granted = self.available(now) > 0;
        self.take(granted.into());
        granted
    }

    /// Tokens for a turn: half of the bucket. If they are not there, when to ask again. `place` is
    /// kept by whoever asks: when its turn is, behind all who asked before. Who leaves without
    /// taking what it asked for keeps nobody waiting once the bucket is full.
    pub fn turn(&mut self, now: Instant, place: &mut Option<Instant>) -> Result<u64, Instant> {
        let share = (self.burst / 2).max(PARTS);
        let available = self.available(now);
        let is_due = place.is_none_or(|at| at <= now);
        if available >= share / PARTS && (is_due || self.debt == 0) {
            *place = None;
            return Ok(share / PARTS);
        }
        if is_due {
            let owed = self.debt.saturating_sub(self.burst.saturating_sub(share));
            let at = (now + self.time_for(owed)).max(self.promised);
            self.promised = at + self.time_for(share);
            *place = Some(at);
        }
        let full_at = now + self.time_for(self.debt);
        Err(place.map_or(full_at, |at| at.min(full_at)))
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
        budget.take(249);
        assert!(budget.grants(at(0)));
        assert!(!budget.grants(at(0)));
        assert_eq!(budget.available(at(0)), 0);
        assert_eq!(budget.available(at(999)), 0);
        assert_eq!(budget.available(at(1000)), 1);
        assert_eq!(budget.available(at(60_000_000)), 250, "no more than the burst is saved up");
    }

    #[test]
    fn what_is_owed_is_earned_first() {
        let (mut budget, mut place) = (Budget::new(1000, 100), None);
        budget.take(300);
        assert_eq!(budget.turn(at(0), &mut place), Err(at(250_000)));
        assert_eq!(budget.available(at(249_000)), 49);
        assert_eq!(budget.turn(at(250_000), &mut place), Ok(50));
    }

    #[test]
    fn one_waits_for_a_whole_token() {
        let (mut budget, mut place) = (Budget::new(1, 1), None);
        budget.take(1);
        assert_eq!(budget.turn(at(0), &mut place), Err(at(1_000_000)));
        assert_eq!(budget.turn(at(1_000_000), &mut place), Ok(1));
    }

    #[test]
    fn each_has_a_turn() {
        let mut budget = Budget::new(1000, 100);
        budget.take(100);
        let mut places = [None; 3];
        for place in &mut places {
            assert!(budget.turn(at(0), place).is_err());
        }
        assert_eq!(places, [50_000, 100_000, 150_000].map(|turn| Some(at(turn))));
        for mut place in places {
            let now = place.unwrap();
            // Nobody goes first whose turn is later.
            assert!(budget.turn(now, &mut Some(now + Duration::from_millis(1))).is_err());
            assert_eq!(budget.turn(now, &mut place), Ok(50));
            budget.take(50);
        }
    }

    #[test]
    fn who_left_keeps_nobody_waiting() {
        let mut budget = Budget::new(1000, 100);
        budget.take(100);
        for _ in 0..1000 {
            assert!(budget.turn(at(0), &mut None).is_err());
        }
        let mut place = None;
        assert_eq!(budget.turn(at(0), &mut place), Err(at(100_000)));
        assert_eq!(budget.turn(at(100_000), &mut place), Ok(50));
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
