//! Memory that is lent once, for ever.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A value in a static that somebody gets as theirs.
pub struct Lent<T> {
    value: UnsafeCell<T>,
    is_lent: AtomicBool,
}

// SAFETY: `lend` gives the value to one borrower only.
unsafe impl<T: Send> Sync for Lent<T> {}

impl<T> Lent<T> {
    /// A value that nobody has yet.
    pub const fn new(value: T) -> Self {
        Self { value: UnsafeCell::new(value), is_lent: AtomicBool::new(false) }
    }

    /// The value. To ask for it twice is a mistake.
    #[expect(clippy::mut_from_ref, reason = "nobody else gets it")]
    pub fn lend(&'static self) -> &'static mut T {
        assert!(!self.is_lent.swap(true, Ordering::Relaxed), "this is lent already");
        // SAFETY: nobody else has it, or will.
        unsafe { &mut *self.value.get() }
    }
}
