//! The Ethernet MAC as a [`Device`] (data sheet, section 17). The processor moves every word.

use core::hint::spin_loop;

use tinyftp::net::smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use tinyftp::net::smoltcp::time::Instant;
use tinyftp::net::smoltcp::wire::ETHERNET_HEADER_LEN;

use crate::chip::{ETHERNET, ETHERNET_INTERRUPT, hardware_address};
use crate::processor::enable_interrupt;

const ACKNOWLEDGE: usize = 0x00;
const INTERRUPT_MASK: usize = 0x04;
const RECEIVE_CONTROL: usize = 0x08;
const TRANSMIT_CONTROL: usize = 0x0c;
const DATA: usize = 0x10;
const ADDRESS_0: usize = 0x14;
const ADDRESS_1: usize = 0x18;
const THRESHOLD: usize = 0x1c;
const PACKETS: usize = 0x34;
const TRANSMISSION: usize = 0x38;

/// In the interrupt registers: a frame has come.
const RECEIVED: u32 = 1 << 0;
/// Every cause of an interrupt.
const ALL_CAUSES: u32 = 0x7f;
const RESET_FIFO: u32 = 1 << 4;
const REJECT_BAD_CRC: u32 = 1 << 3;
const RECEIVE: u32 = 1 << 0;
/// Full duplex, with a CRC, padded, and on.
const TRANSMIT: u32 = 0b1_0111;
/// Frames go out when they are whole.
const NO_THRESHOLD: u32 = 0x3f;
/// A frame is to be sent, or is being sent.
const NEW: u32 = 1 << 0;

/// Bytes of the longest frame, without its CRC.
const FRAME_MAX: usize = ETHERNET_HEADER_LEN + 1500;
/// Bytes in front of a frame in the FIFO: a length.
const LENGTH: usize = 2;
/// Bytes behind it.
const CRC: usize = 4;
/// All of it: a whole number of words.
const FIFO_MAX: usize = LENGTH + FRAME_MAX + CRC;

/// Called by the hardware when a frame has come: the sleep is over, and that is all.
#[unsafe(no_mangle)]
extern "C" fn Ethernet() {
    ETHERNET.write(INTERRUPT_MASK, 0);
}

/// The MAC, with room for a frame in each direction.
pub struct Mac {
    received: [u8; FIFO_MAX],
    sending: [u8; FIFO_MAX],
}

impl Mac {
    /// Room for it, of zeros.
    pub const NEW: Self = Self { received: [0; FIFO_MAX], sending: [0; FIFO_MAX] };

    /// Switches it on, and says its hardware address.
    pub fn start(&mut self) -> [u8; 6] {
        let address @ [a, b, c, d, e, f] = hardware_address();
        ETHERNET.write(INTERRUPT_MASK, 0);
        ETHERNET.write(ACKNOWLEDGE, ALL_CAUSES);
        ETHERNET.write(ADDRESS_0, u32::from_le_bytes([a, b, c, d]));
        ETHERNET.write(ADDRESS_1, u32::from_le_bytes([e, f, 0, 0]));
        ETHERNET.write(THRESHOLD, NO_THRESHOLD);
        ETHERNET.write(TRANSMIT_CONTROL, TRANSMIT);
        ETHERNET.write(RECEIVE_CONTROL, RESET_FIFO);
        ETHERNET.write(RECEIVE_CONTROL, REJECT_BAD_CRC | RECEIVE);
        enable_interrupt(ETHERNET_INTERRUPT);
        address
    }

    /// Whether a frame has come. If not, the next one ends the sleep of the processor.
    pub fn has_frame(&self) -> bool {
        ETHERNET.write(ACKNOWLEDGE, RECEIVED);
        ETHERNET.write(INTERRUPT_MASK, RECEIVED);
        ETHERNET.read(PACKETS) > 0
    }

    /// Takes the next frame out of the FIFO, and says how long it is; `None` if it is none.
    fn take_frame(&mut self) -> Option<usize> {
        let first = ETHERNET.read(DATA);
        // The length counts itself, and the CRC.
        let [low, high, ..] = first.to_le_bytes();
        let len = usize::from(u16::from_le_bytes([low, high]));
        let mut words = self.received.chunks_exact_mut(4);
        words.next()?.copy_from_slice(&first.to_le_bytes());
        for _ in 1..len.div_ceil(4) {
            let word = ETHERNET.read(DATA).to_le_bytes();
            // What is longer than any frame may be has to go, too.
            if let Some(place) = words.next() {
                place.copy_from_slice(&word);
            }
        }
        let len = len.checked_sub(LENGTH + CRC)?;
        (ETHERNET_HEADER_LEN..=FRAME_MAX).contains(&len).then_some(len)
    }
}

impl Device for Mac {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sending<'_>)> {
        // As many as the FIFO may hold.
        for _ in 0..ETHERNET.read(PACKETS) {
            if let Some(len) = self.take_frame() {
                let Self { received, sending } = self;
                return Some((Received(received.get(LENGTH..LENGTH + len)?), Sending(sending)));
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
pub struct Sending<'a>(&'a mut [u8; FIFO_MAX]);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        // None is longer: the capabilities say how long it may be.
        let result = f(self.0.get_mut(LENGTH..LENGTH + len).unwrap_or_default());
        // The length is that of the payload alone.
        let payload = len.saturating_sub(ETHERNET_HEADER_LEN) as u16;
        let [low, high, ..] = &mut *self.0;
        [*low, *high] = payload.to_le_bytes();
        // The frame before needs 123 microseconds at most, with 100 Mbit/s.
        while ETHERNET.read(TRANSMISSION) & NEW != 0 {
            spin_loop();
        }
        let (words, _) = self.0.as_chunks();
        for &word in words.iter().take((LENGTH + len).div_ceil(4)) {
            ETHERNET.write(DATA, u32::from_le_bytes(word));
        }
        ETHERNET.write(TRANSMISSION, NEW);
        result
    }
}
