//! What is where in the FPGA, and how fast it goes (Arm's application note AN385).

use crate::processor::Peripheral;

/// The serial port.
pub const UART0: Peripheral = peripheral(0x4000_4000);
/// The Ethernet controller.
pub const ETHERNET: Peripheral = peripheral(0x4020_0000);

const fn peripheral(address: usize) -> Peripheral {
    // SAFETY: those above are in the memory map of the application note, and there is no DMA.
    unsafe { Peripheral::at(address) }
}

/// The number of the interrupt of the Ethernet controller.
pub const ETHERNET_INTERRUPT: usize = 13;

/// Cycles of the processor in a microsecond.
pub const CYCLES_A_MICROSECOND: u32 = 25;

/// The clocks run since the FPGA was loaded: there is nothing to do.
pub fn start() {}
