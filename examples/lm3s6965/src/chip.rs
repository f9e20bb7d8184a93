//! The registers of the chip, and its clock (data sheet of the LM3S6965, sections 5 and 17).

use core::hint::spin_loop;

use crate::processor::Peripheral;

/// The pins of port A: two of them are those of UART0.
pub const GPIO_A: Peripheral = peripheral(0x4000_4000);
/// The serial port.
pub const UART0: Peripheral = peripheral(0x4000_c000);
/// The Ethernet MAC.
pub const ETHERNET: Peripheral = peripheral(0x4004_8000);
/// Clocks, and what the chip is.
const SYSTEM_CONTROL: Peripheral = peripheral(0x400f_e000);

const fn peripheral(address: usize) -> Peripheral {
    // SAFETY: those above are in the memory map of the data sheet, and there is no DMA.
    unsafe { Peripheral::at(address) }
}

/// The number of the interrupt of the Ethernet MAC.
pub const ETHERNET_INTERRUPT: usize = 42;

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
