//! The processor, a Cortex-M3, and what it has in common with everything else on the bus: registers
//! (ARMv7-M Architecture Reference Manual).

/// The registers of a peripheral: 4 KiB of the address space.
#[derive(Clone, Copy)]
pub struct Peripheral(usize);

impl Peripheral {
    /// The peripheral at that address.
    ///
    /// # Safety
    ///
    /// It has to be a multiple of 4 KiB, and what is there registers, and no memory that Rust knows
    /// of; none of them may make the peripheral write to memory by itself.
    pub const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    /// Reads the register at that offset.
    pub fn read(self, offset: usize) -> u32 {
        assert!(offset < 0x1000 && offset.is_multiple_of(4));
        // SAFETY: this is a register (`at`), and aligned.
        unsafe { ((self.0 + offset) as *const u32).read_volatile() }
    }

    /// Writes the register at that offset.
    pub fn write(self, offset: usize, value: u32) {
        assert!(offset < 0x1000 && offset.is_multiple_of(4));
        // SAFETY: as for `read`; it makes nothing write to memory (`at`).
        unsafe { ((self.0 + offset) as *mut u32).write_volatile(value) }
    }

    /// Sets bits of the register at that offset.
    pub fn set(self, offset: usize, bits: u32) {
        self.write(offset, self.read(offset) | bits);
    }
}

/// SysTick and the interrupt controller (B3.2).
// SAFETY: every processor of this kind has them there.
pub const PROCESSOR: Peripheral = unsafe { Peripheral::at(0xe000_e000) };

/// Lets the interrupt of that number come (B3.4.4).
pub fn enable_interrupt(number: usize) {
    const ENABLE: usize = 0x100;
    PROCESSOR.write(ENABLE + number / 32 * 4, 1 << (number % 32));
}

/// Why there was a fault, and at which address if that was it (B3.2.15, B3.2.18).
pub fn fault() -> (u32, u32) {
    const STATUS: usize = 0xd28;
    const BUS_ADDRESS: usize = 0xd38;
    (PROCESSOR.read(STATUS), PROCESSOR.read(BUS_ADDRESS))
}

/// Sleeps until there is an interrupt. With interrupts off it is only the end of the sleep.
pub fn sleep() {
    // SAFETY: it waits, and touches nothing.
    unsafe { core::arch::asm!("wfi", options(nomem, nostack, preserves_flags)) }
}

/// Does `work` with interrupts off: none comes between its look at something and its sleep.
pub fn without_interrupts<R>(work: impl FnOnce() -> R) -> R {
    // SAFETY: interrupts are off for as long as `work` takes. No one calls this inside `work`.
    unsafe { core::arch::asm!("cpsid i", options(nostack, preserves_flags)) }
    let result = work();
    // SAFETY: they were on before.
    unsafe { core::arch::asm!("cpsie i", options(nostack, preserves_flags)) }
    result
}
