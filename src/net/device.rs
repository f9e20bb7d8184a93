//! Devices that stand between smoltcp and the real one: one frame in, or frames out only.

use core::cell::Cell;

use smoltcp::phy::{Device, DeviceCapabilities, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{ETHERNET_HEADER_LEN, EthernetFrame, EthernetRepr};

/// Bytes of a packet without data at most: an IPv6 header, and a TCP header with all its options.
const SEGMENT_MAX: usize = 40 + 60;

/// A device that has received one frame, and may send one in answer.
pub(super) struct OneFrame<'f, T> {
    frame: Option<&'f [u8]>,
    answer: Option<T>,
    capabilities: &'f DeviceCapabilities,
}

impl<'f, T: TxToken> OneFrame<'f, T> {
    pub fn new(frame: &'f [u8], answer: T, capabilities: &'f DeviceCapabilities) -> Self {
        Self { frame: Some(frame), answer: Some(answer), capabilities }
    }
}

impl<'f> OneFrame<'f, Never> {
    /// Without a frame.
    pub fn none(capabilities: &'f DeviceCapabilities) -> Self {
        Self { frame: None, answer: None, capabilities }
    }
}

/// A token that there is none of.
pub(super) enum Never {}

impl TxToken for Never {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}

/// A device for packets that nobody gets.
pub(super) struct Nowhere<'c>(pub &'c DeviceCapabilities);

impl Device for Nowhere<'_> {
    type RxToken<'d>
        = Received<'d>
    where
        Self: 'd;
    type TxToken<'d>
        = Lost
    where
        Self: 'd;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Lost)> {
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<Lost> {
        Some(Lost)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.0.clone()
    }
}

/// A token for a packet that nobody gets, and that has no data.
pub(super) struct Lost;

impl TxToken for Lost {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        f(&mut [0; SEGMENT_MAX][..len])
    }
}

/// The frame of a [`OneFrame`].
pub(super) struct Received<'f>(&'f [u8]);

impl<'f, T: TxToken> Device for OneFrame<'f, T> {
    type RxToken<'d>
        = Received<'f>
    where
        Self: 'd;
    type TxToken<'d>
        = T
    where
        Self: 'd;

    fn receive(&mut self, _: Instant) -> Option<(Received<'f>, T)> {
        let (frame, token) = (self.frame.take()?, self.answer.take()?);
        Some((Received(frame), token))
    }

    fn transmit(&mut self, _: Instant) -> Option<T> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// A token for a packet, which goes into a frame that is addressed already.
pub(super) struct Framed<T> {
    pub token: T,
    pub header: EthernetRepr,
}

impl<T: TxToken> TxToken for Framed<T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.token.consume(ETHERNET_HEADER_LEN + len, |buffer| {
            let mut frame = EthernetFrame::new_unchecked(buffer);
            self.header.emit(&mut frame);
            f(frame.payload_mut())
        })
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.token.set_meta(meta);
    }
}

/// A device that only sends, and remembers how that went.
pub(super) struct Outlet<'d, D: ?Sized> {
    device: &'d mut D,
    /// Whether there was no room for a frame.
    full: bool,
    /// Whether something was sent.
    used: Cell<bool>,
}

impl<'d, D: ?Sized> Outlet<'d, D> {
    pub fn new(device: &'d mut D) -> Self {
        Self { device, full: false, used: Cell::new(false) }
    }

    pub fn is_full(&self) -> bool {
        self.full
    }

    pub fn is_used(&self) -> bool {
        self.used.get()
    }
}

impl<D: Device + ?Sized> Device for Outlet<'_, D> {
    type RxToken<'d>
        = D::RxToken<'d>
    where
        Self: 'd;
    type TxToken<'d>
        = Noted<'d, D::TxToken<'d>>
    where
        Self: 'd;

    fn receive(&mut self, _: Instant) -> Option<(D::RxToken<'_>, Noted<'_, D::TxToken<'_>>)> {
        None
    }

    fn transmit(&mut self, now: Instant) -> Option<Noted<'_, D::TxToken<'_>>> {
        let Self { device, full, used } = self;
        let token = device.transmit(now);
        *full |= token.is_none();
        token.map(|token| Noted { token, used })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.device.capabilities()
    }
}

/// A token of an [`Outlet`].
pub(super) struct Noted<'o, T> {
    token: T,
    used: &'o Cell<bool>,
}

impl<T: TxToken> TxToken for Noted<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.used.set(true);
        self.token.consume(len, f)
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.token.set_meta(meta);
    }
}
