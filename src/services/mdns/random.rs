//! Delays that differ from host to host.

use crate::time::Duration;

/// Numbers that are spread out, and need not be secret (splitmix64).
pub struct Random(u64);

impl Random {
    /// Numbers that follow from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A duration between two numbers of milliseconds.
    pub fn between(&mut self, least: u64, most: u64) -> Duration {
        let micros = (most - least) * 1000 + 1;
        Duration::from_micros(least * 1000 + self.draw() % micros)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
