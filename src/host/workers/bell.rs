//! What wakes the loop when it sleeps.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

/// Rung by workers, it is readable until the loop has heard it.
#[derive(Clone, Debug)]
pub struct Bell(Arc<Rope>);

#[derive(Debug)]
struct Rope {
    descriptor: OwnedFd,
    /// So that a loop that does not sleep need not ask the kernel.
    is_rung: AtomicBool,
}

impl Bell {
    /// A bell that nobody has rung.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let (descriptor, is_rung) = (eventfd(0, flags)?, AtomicBool::new(false));
        Ok(Self(Arc::new(Rope { descriptor, is_rung })))
    }

    /// Something has come back.
    pub fn ring(&self) {
        // It fails only where it has been rung as often as it can be counted.
        let _ = rustix::io::write(&self.0.descriptor, &1u64.to_ne_bytes());
        self.0.is_rung.store(true, Ordering::Release);
    }

    /// Whether it has been rung. What has come back until now must be looked at after that: its
    /// ring may be heard with this one.
    pub fn hear(&self) -> bool {
        let is_rung = self.0.is_rung.swap(false, Ordering::Acquire);
        if is_rung {
            // Whoever rings right now may have done so already.
            let _ = rustix::io::read(&self.0.descriptor, &mut [0; 8]);
        }
        is_rung
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.descriptor.as_fd()
    }
}
