//! The registers of the chip, and its clock (data sheet of the LM3S6965, sections 5 and 17).

use core::hint::spin_loop;

/// The registers of a peripheral: 4 KiB of the address space. There are none but those below.
#[derive(Clone, Copy)]
pub struct Peripheral(usize);

/// The pins of port A: two of them are those of UART0.
pub const GPIO_A: Peripheral = Peripheral(0x4000_4000);
/// The serial port.
pub const UART0: Peripheral = Peripheral(0x4000_c000);
/// The Ethernet MAC.
pub const ETHERNET: Peripheral = Peripheral(0x4004_8000);
/// Clocks, and what the chip is.
const SYSTEM_CONTROL: Peripheral = Peripheral(0x400f_e000);
/// Of the processor: SysTick and the interrupt controller (ARMv7-M B3.2).
pub const PROCESSOR: Peripheral = Peripheral(0xe000_e000);

impl Peripheral {
    /// Reads the register at that offset.
    pub fn read(self, offset: usize) -> u32 {
        assert!(offset < 0x1000 && offset.is_multiple_of(4));
        // SAFETY: the constants above are peripherals, and no memory that Rust knows of. This one
        // has 4 KiB, and the register is aligned.
        unsafe { ((self.0 + offset) as *const u32).read_volatile() }
    }

    /// Writes the register at that offset.
    pub fn write(self, offset: usize, value: u32) {
        assert!(offset < 0x1000 && offset.is_multiple_of(4));
        // SAFETY: as for `read`; none of them makes a peripheral write to memory by itself.
        unsafe { ((self.0 + offset) as *mut u32).write_volatile(value) }
    }

    /// Sets bits of the register at that offset.
    pub fn set(self, offset: usize, bits: u32) {
        self.write(offset, self.read(offset) | bits);
    }
}

/// Cycles of the processor in a microsecond: the PLL makes 200 MHz, a quarter of that is taken.
pub const CYCLES_A_MICROSECOND: u32 = 50;

// Registers of the system control.
const RAW_INTERRUPTS: usize = 0x050;
const RUN_MODE_CLOCK: usize = 0x060;
const CLOCK_GATES_1: usize = 0x104;
const CLOCK_GATES_2: usize = 0x108;
const USER_0: usize = 0x1e0;
const USER_1: usize = 0x1e4;

const PLL_LOCKED: u32 = 1 << 6;

// Fields of the run-mode clock configuration.
const DIVIDE_BY_4: u32 = 3 << 23;
const DIVIDE: u32 = 1 << 22;
const PLL_OFF: u32 = 1 << 13;
const PLL_BYPASS: u32 = 1 << 11;
const CRYSTAL_8_MHZ: u32 = 0xe << 6;
/// Two bits, neither set: the crystal. The internal oscillator is left on.
const MAIN_OSCILLATOR: u32 = 0;

const UART0_GATE: u32 = 1 << 0;
const GPIO_A_GATE: u32 = 1 << 0;
const ETHERNET_GATES: u32 = (1 << 30) | (1 << 28);

/// Runs the processor at 50 MHz, and the peripherals in use at all (sections 5.2.4.4 and 5.3).
pub fn start() {
    let slow = PLL_BYPASS | PLL_OFF | CRYSTAL_8_MHZ | MAIN_OSCILLATOR;
    SYSTEM_CONTROL.write(RUN_MODE_CLOCK, slow);
    let locking = DIVIDE_BY_4 | DIVIDE | PLL_BYPASS | CRYSTAL_8_MHZ | MAIN_OSCILLATOR;
    SYSTEM_CONTROL.write(RUN_MODE_CLOCK, locking);
    while SYSTEM_CONTROL.read(RAW_INTERRUPTS) & PLL_LOCKED == 0 {
        spin_loop();
    }
    SYSTEM_CONTROL.write(RUN_MODE_CLOCK, locking & !PLL_BYPASS);
    SYSTEM_CONTROL.set(CLOCK_GATES_1, UART0_GATE);
    SYSTEM_CONTROL.set(CLOCK_GATES_2, GPIO_A_GATE | ETHERNET_GATES);
    // A peripheral may be used three cycles after its clock was switched on.
    SYSTEM_CONTROL.read(CLOCK_GATES_2);
}

/// The hardware address of the board, three bytes in each of two registers that its maker writes;
/// if nobody did, one that is only ours.
pub fn hardware_address() -> [u8; 6] {
    let [a, b, c, _] = SYSTEM_CONTROL.read(USER_0).to_le_bytes();
    let [d, e, f, _] = SYSTEM_CONTROL.read(USER_1).to_le_bytes();
    match [a, b, c, d, e, f] {
        [0xff, ..] => [0x02, 0, 192, 168, 69, 1],
        address => address,
    }
}

/// Why there was a fault, and at which address if that was it (ARMv7-M B3.2.15, B3.2.18).
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
