//! How deep the stack was.

use core::ptr::addr_of;

use log::info;
use tinyftp::time::{Duration, Instant};

/// What the stack is painted with (`start`): who finds it there knows that it was never used.
pub const PAINT: u32 = 0xc5c5_c5c5;

unsafe extern "C" {
    static __stack_bottom: u32;
    static __stack_top: u32;
}

/// How deep the stack has been.
#[derive(Default)]
pub struct Depth {
    told: usize,
    looks_at: Instant,
}

impl Depth {
    /// Looks once a second, and tells of it when it was never so deep.
    pub fn note(&mut self, now: Instant) {
        if now < self.looks_at {
            return;
        }
        self.looks_at = now + Duration::from_secs(1);
        let size = words().len() * size_of::<u32>();
        let used = size - words().take_while(|&word| word == PAINT).count() * size_of::<u32>();
        if used > self.told {
            self.told = used;
            info!("stack: {used} of {size} bytes were in use");
        }
    }
}

/// All words of it, from the one that is used last.
fn words() -> impl ExactSizeIterator<Item = u32> {
    let (bottom, top) = (addr_of!(__stack_bottom), addr_of!(__stack_top));
    let count = (top as usize - bottom as usize) / size_of::<u32>();
    // SAFETY: the linker script has the stack there, and all of it was written to (`start`). To read
    // a word changes nothing for whoever has it, and no more is made of it than a number.
    (0..count).map(move |at| unsafe { bottom.add(at).read_volatile() })
}
