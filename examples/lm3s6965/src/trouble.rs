//! What is said when the server cannot go on.

use core::fmt::{Display, Write};
use core::panic::PanicInfo;

use crate::processor;
use crate::serial::Serial;

/// Says why, and stops for good.
pub fn stop(why: impl Display) -> ! {
    let _ = write!(Serial, "{why}\r\n");
    // What interrupts do does no harm. If they were off, one that waits would end each sleep.
    loop {
        processor::sleep();
    }
}

/// Messages of panics, and the places in the source that they come from, would take a tenth of the
/// flash: the dev profile has them.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if cfg!(debug_assertions) { stop(info) } else { stop("panicked") }
}

/// Called when the processor cannot go on, the stack being thrown away (`start`).
#[unsafe(no_mangle)]
extern "C" fn HardFault() -> ! {
    let (status, address) = processor::fault();
    stop(format_args!("fault {status:#x} at {address:#x}: perhaps memory.x has too small a STACK"))
}
