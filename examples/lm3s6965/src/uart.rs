//! The serial port (data sheet, section 12).

use core::hint::spin_loop;

use crate::chip::{CYCLES_A_MICROSECOND, GPIO_A, UART0};

const DATA: usize = 0x00;
const FLAGS: usize = 0x18;
const DIVISOR: usize = 0x24;
const DIVISOR_FRACTION: usize = 0x28;
const LINE_CONTROL: usize = 0x2c;
const CONTROL: usize = 0x30;

// Registers of the pins.
const ALTERNATE_FUNCTION: usize = 0x420;
const DIGITAL: usize = 0x51c;
/// PA0 and PA1.
const PINS: u32 = 0b11;

const TRANSMIT_FULL: u32 = 1 << 5;
/// Eight bits, no parity, one stop bit, and the FIFO.
const EIGHT_BITS: u32 = 0x70;
/// On, in both directions.
const ON: u32 = 0x301;

const BAUD: u32 = 115_200;
/// Cycles a bit, 16 times sampled, in 64ths.
const DIVISOR_64THS: u32 = (CYCLES_A_MICROSECOND * 1_000_000 * 4 + BAUD / 2) / BAUD;

/// Switches it on.
pub fn start() {
    GPIO_A.set(ALTERNATE_FUNCTION, PINS);
    GPIO_A.set(DIGITAL, PINS);
    UART0.write(DIVISOR, DIVISOR_64THS / 64);
    UART0.write(DIVISOR_FRACTION, DIVISOR_64THS % 64);
    UART0.write(LINE_CONTROL, EIGHT_BITS);
    UART0.write(CONTROL, ON);
}

/// Sends bytes. The server waits while they go out: each takes 87 microseconds.
pub fn send(bytes: &[u8]) {
    for &byte in bytes {
        while UART0.read(FLAGS) & TRANSMIT_FULL != 0 {
            spin_loop();
        }
        UART0.write(DATA, byte.into());
    }
}
