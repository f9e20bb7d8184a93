//! The Ethernet controller as a [`Device`]: a LAN9118, behind a bus (its data sheet, sections 3 and
//! 5). The processor moves every word.

use core::hint::spin_loop;

use tinyftp::net::smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use tinyftp::net::smoltcp::time::Instant;
use tinyftp::net::smoltcp::wire::ETHERNET_HEADER_LEN;

use crate::chip::{ETHERNET, ETHERNET_INTERRUPT};
use crate::processor::enable_interrupt;

// Ports of the FIFOs, and registers on the bus.
const RECEIVED_DATA: usize = 0x00;
const SENDING_DATA: usize = 0x20;
const RECEIVED_STATUS: usize = 0x40;
const INTERRUPT_LINE: usize = 0x54;
const INTERRUPT_CAUSES: usize = 0x58;
const INTERRUPT_MASK: usize = 0x5c;
const BYTE_ORDER: usize = 0x64;
const INTERRUPT_LEVELS: usize = 0x68;
const TRANSMIT_CONFIGURATION: usize = 0x70;
const HARDWARE_CONFIGURATION: usize = 0x74;
const RECEIVE_FIFO: usize = 0x7c;
const TRANSMIT_FIFO: usize = 0x80;
const POWER: usize = 0x84;
const MAC_COMMAND: usize = 0xa4;
const MAC_DATA: usize = 0xa8;
const EEPROM: usize = 0xb0;

/// Of the power management: it is awake.
const READY: u32 = 1 << 0;
const SOFT_RESET: u32 = 1 << 0;
/// 5 KiB of the FIFOs are for sending, which is what it starts with, and a bit that has to be set.
const FIFO_SIZES: u32 = (1 << 20) | (5 << 16);
const EEPROM_BUSY: u32 = 1 << 31;
const EEPROM_HAS_ADDRESS: u32 = 1 << 8;
/// The line is on, driven, and high when there is an interrupt.
const LINE_HIGH: u32 = (1 << 8) | (1 << 4) | (1 << 0);
/// In the interrupt registers: more frames have come than the level says, which is none.
const RECEIVED: u32 = 1 << 3;
const NO_FRAME: u32 = 0;
/// On, and what became of a frame may be lost: nobody asks.
const TRANSMIT: u32 = (1 << 2) | (1 << 1);

// Registers of the MAC, behind a command of the bus.
const CONTROL: u32 = 1;
const ADDRESS_HIGH: u32 = 2;
const ADDRESS_LOW: u32 = 3;
const MII_ACCESS: u32 = 6;
const MII_DATA: u32 = 7;

/// In the command: it is to be done, or being done.
const BUSY: u32 = 1 << 31;
const READ: u32 = 1 << 30;
/// In the control register: full duplex, and on, in both directions.
const ON: u32 = (1 << 20) | (1 << 3) | (1 << 2);

/// In the access to the PHY: the one inside is written to, at once.
const PHY_WRITE: u32 = (1 << 11) | (1 << 1) | PHY_BUSY;
const PHY_BUSY: u32 = 1 << 0;
// Registers of the PHY (IEEE 802.3, 22.2.4).
const PHY_CONTROL: u32 = 0;
const PHY_ADVERTISEMENT: u32 = 4;
/// 100BASE-TX and 10BASE-T, each with full duplex.
const FULL_DUPLEX: u32 = (1 << 8) | (1 << 6) | 1;
/// It asks the other side, from the beginning.
const NEGOTIATE: u32 = (1 << 12) | (1 << 9);

/// In the status of a frame: it is not as it was sent.
const DAMAGED: u32 = 1 << 15;
/// In front of a frame to be sent: it is whole.
const WHOLE: u32 = (1 << 13) | (1 << 12);
/// Bytes of what is in front of it.
const COMMANDS: usize = 8;

/// Bytes of the longest frame, without its CRC.
const FRAME_MAX: usize = ETHERNET_HEADER_LEN + 1500;
/// Bytes behind a frame that was received.
const CRC: usize = 4;
/// As they are in the FIFOs, with the CRC.
type Words = [[u8; 4]; (FRAME_MAX + CRC).div_ceil(4)];

/// Called by the hardware when a frame has come: the sleep is over, and that is all.
#[unsafe(no_mangle)]
extern "C" fn Ethernet() {
    ETHERNET.write(INTERRUPT_MASK, 0);
}

/// The controller, with room for a frame in each direction.
pub struct Mac {
    received: Words,
    sending: Words,
}

impl Mac {
    /// Room for it, of zeros.
    pub const NEW: Self = Self { received: [[0; 4]; _], sending: [[0; 4]; _] };

    /// Switches it on, and says its hardware address.
    pub fn start(&mut self) -> [u8; 6] {
        reset();
        ETHERNET.write(HARDWARE_CONFIGURATION, FIFO_SIZES);
        ETHERNET.write(INTERRUPT_MASK, 0);
        ETHERNET.write(INTERRUPT_LEVELS, NO_FRAME);
        ETHERNET.write(INTERRUPT_LINE, LINE_HIGH);
        let address = hardware_address();
        // The MAC does not learn what the PHY agrees on: full duplex is all that it may.
        write_phy(PHY_ADVERTISEMENT, FULL_DUPLEX);
        write_phy(PHY_CONTROL, NEGOTIATE);
        ETHERNET.write(TRANSMIT_CONFIGURATION, TRANSMIT);
        write_mac(CONTROL, ON);
        enable_interrupt(ETHERNET_INTERRUPT);
        address
    }

    /// Whether a frame has come. If not, the next one ends the sleep of the processor.
    pub fn has_frame(&self) -> bool {
        ETHERNET.write(INTERRUPT_CAUSES, RECEIVED);
        ETHERNET.write(INTERRUPT_MASK, RECEIVED);
        frames() > 0
    }

    /// Takes the next frame out of the FIFO, and says how long it is; `None` if it is none.
    fn take_frame(&mut self) -> Option<usize> {
        let status = ETHERNET.read(RECEIVED_STATUS);
        // The length counts the CRC.
        let len = ((status >> 16) & 0x3fff) as usize;
        for place in 0..len.div_ceil(4) {
            let word = ETHERNET.read(RECEIVED_DATA).to_le_bytes();
            // What is longer than any frame may be has to go, too.
            if let Some(place) = self.received.get_mut(place) {
                *place = word;
            }
        }
        let len = len.checked_sub(CRC)?;
        let is_frame = status & DAMAGED == 0 && (ETHERNET_HEADER_LEN..=FRAME_MAX).contains(&len);
        is_frame.then_some(len)
    }
}

impl Device for Mac {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sending<'_>)> {
        // As many as the FIFO may hold.
        for _ in 0..frames() {
            if let Some(len) = self.take_frame() {
                let Self { received, sending } = self;
                return Some((Received(received.as_flattened().get(..len)?), Sending(sending)));
            }
        }
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.sending))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_MAX;
        capabilities
    }
}

/// A frame that was received.
pub struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a frame that may be sent.
pub struct Sending<'a>(&'a mut Words);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        // None is longer: the capabilities say how long it may be.
        let result = f(self.0.as_flattened_mut().get_mut(..len).unwrap_or_default());
        // A frame needs 123 microseconds at most, with 100 Mbit/s.
        while room() < COMMANDS + len.next_multiple_of(4) {
            spin_loop();
        }
        ETHERNET.write(SENDING_DATA, WHOLE | len as u32);
        ETHERNET.write(SENDING_DATA, len as u32);
        for word in self.0.iter().take(len.div_ceil(4)) {
            ETHERNET.write(SENDING_DATA, u32::from_le_bytes(*word));
        }
        result
    }
}

/// Makes it forget everything, and waits until it has read its EEPROM.
fn reset() {
    while settled(POWER) & READY == 0 {
        spin_loop();
    }
    ETHERNET.write(HARDWARE_CONFIGURATION, SOFT_RESET);
    while settled(HARDWARE_CONFIGURATION) & SOFT_RESET != 0 {
        spin_loop();
    }
    while settled(EEPROM) & EEPROM_BUSY != 0 {
        spin_loop();
    }
}

/// The hardware address in the EEPROM; if there is none, one that is only ours.
fn hardware_address() -> [u8; 6] {
    if settled(EEPROM) & EEPROM_HAS_ADDRESS == 0 {
        write_mac(ADDRESS_LOW, u32::from_le_bytes([0x02, 0, 192, 168]));
        write_mac(ADDRESS_HIGH, u32::from_le_bytes([69, 1, 0, 0]));
    }
    let [a, b, c, d] = read_mac(ADDRESS_LOW).to_le_bytes();
    let [e, f, ..] = read_mac(ADDRESS_HIGH).to_le_bytes();
    [a, b, c, d, e, f]
}

/// Frames that wait in the FIFO.
fn frames() -> u32 {
    (settled(RECEIVE_FIFO) >> 16) & 0xff
}

/// Bytes that are free in the FIFO for sending.
fn room() -> usize {
    (settled(TRANSMIT_FIFO) & 0xffff) as usize
}

fn write_mac(register: u32, value: u32) {
    ETHERNET.write(MAC_DATA, value);
    command_mac(register);
}

fn read_mac(register: u32) -> u32 {
    command_mac(READ | register);
    ETHERNET.read(MAC_DATA)
}

fn command_mac(command: u32) {
    ETHERNET.write(MAC_COMMAND, BUSY | command);
    while settled(MAC_COMMAND) & BUSY != 0 {
        spin_loop();
    }
}

fn write_phy(register: u32, value: u32) {
    write_mac(MII_DATA, value);
    write_mac(MII_ACCESS, PHY_WRITE | (register << 6));
    while read_mac(MII_ACCESS) & PHY_BUSY != 0 {
        spin_loop();
    }
}

/// Reads a register as it is after what was written last, or read of a FIFO: that takes up to 135
/// nanoseconds to show, and each of the reads in between takes 45 (section 6.1).
fn settled(register: usize) -> u32 {
    for _ in 0..3 {
        ETHERNET.read(BYTE_ORDER);
    }
    ETHERNET.read(register)
}
