//! Log lines as frames of defmt, for a decoder that has this firmware's ELF file.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use defmt::{Encoder, Logger};

use crate::uart::send;

/// Where log lines become frames.
#[defmt::global_logger]
struct Frames;

struct Line {
    encoder: UnsafeCell<Encoder>,
    is_open: AtomicBool,
}

// SAFETY: `acquire` sees to it that there is one line at a time.
unsafe impl Sync for Line {}

static LINE: Line =
    Line { encoder: UnsafeCell::new(Encoder::new()), is_open: AtomicBool::new(false) };

impl Line {
    /// # Safety
    /// Only whoever has opened the line may ask, and not while they have it already.
    #[expect(clippy::mut_from_ref, reason = "nobody else gets it")]
    unsafe fn encoder(&self) -> &mut Encoder {
        // SAFETY: see above.
        unsafe { &mut *self.encoder.get() }
    }
}

// SAFETY: a line inside another one, or in an interrupt that comes meanwhile, is a panic.
unsafe impl Logger for Frames {
    fn acquire() {
        assert!(!LINE.is_open.swap(true, Ordering::Relaxed), "a log line inside another one");
        // SAFETY: the line is ours from here on.
        unsafe { LINE.encoder() }.start_frame(send);
    }

    /// Every byte is sent when `write` returns.
    unsafe fn flush() {}

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: the line is the caller's.
        unsafe { LINE.encoder() }.write(bytes, send);
    }

    unsafe fn release() {
        // SAFETY: the line is the caller's up to here.
        unsafe { LINE.encoder() }.end_frame(send);
        LINE.is_open.store(false, Ordering::Relaxed);
    }
}
