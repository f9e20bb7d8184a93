//! The time since the start: SysTick counts cycles, its interrupts are counted (ARMv7-M B3.3). In
//! QEMU the clock loses time if the host lets it run too seldom for an interrupt each millisecond.

use core::sync::atomic::{AtomicU32, Ordering};

use tinyftp::time::Instant;

use crate::chip::CYCLES_A_MICROSECOND;
use crate::processor::PROCESSOR;

const CONTROL: usize = 0x10;
const RELOAD: usize = 0x14;
const CURRENT: usize = 0x18;

/// Bits of the control register: on, with interrupts, at the rate of the processor.
const RUN: u32 = 0b111;

const MICROSECONDS_A_TICK: u32 = 1000;
const CYCLES_A_TICK: u32 = MICROSECONDS_A_TICK * CYCLES_A_MICROSECOND;

static TICKS: AtomicU32 = AtomicU32::new(0);

/// Called by the hardware when a tick is over.
#[unsafe(no_mangle)]
extern "C" fn SysTick() {
    TICKS.fetch_add(1, Ordering::Relaxed);
}

/// Tells the time. It has to be asked once in 49 days.
pub struct Clock {
    /// Ticks so far, when it was last asked.
    ticks: u64,
    /// What it said.
    last: Instant,
}

impl Clock {
    /// Starts at zero.
    pub fn start() -> Self {
        PROCESSOR.write(RELOAD, CYCLES_A_TICK - 1);
        PROCESSOR.write(CURRENT, 0);
        PROCESSOR.write(CONTROL, RUN);
        Self { ticks: 0, last: Instant::ZERO }
    }

    /// The time. It never goes back, not even if a tick ends just now that is not yet counted.
    pub fn now(&mut self) -> Instant {
        let (ticks, cycles) = counters();
        self.ticks += u64::from(ticks.wrapping_sub(self.ticks as u32));
        let micros = self.ticks * u64::from(MICROSECONDS_A_TICK);
        let now = Instant::from_micros(micros + u64::from(cycles / CYCLES_A_MICROSECOND));
        self.last = now.max(self.last);
        self.last
    }

    /// Cycles of the processor since the start, modulo 2^32.
    pub fn cycles(&self) -> u32 {
        let (ticks, cycles) = counters();
        ticks.wrapping_mul(CYCLES_A_TICK).wrapping_add(cycles)
    }
}

/// Whole ticks, and the cycles since the last one.
fn counters() -> (u32, u32) {
    loop {
        let ticks = TICKS.load(Ordering::Relaxed);
        let left = PROCESSOR.read(CURRENT);
        if ticks == TICKS.load(Ordering::Relaxed) {
            return (ticks, CYCLES_A_TICK - 1 - left);
        }
    }
}
