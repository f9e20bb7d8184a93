//! A shim between smoltcp and the device: of that, smoltcp sees a frame that came in, and room for
//! one to go out.
//!
//! There is this one type, so that what smoltcp does for each type of device is compiled once.

use core::cell::Cell;

use smoltcp::phy::{Device, DeviceCapabilities, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{ETHERNET_HEADER_LEN, EthernetFrame, EthernetRepr};

/// Bytes of a packet without data at most: an IPv6 header, and a TCP header with all its options.
const SEGMENT_MAX: usize = 40 + 60;

/// A device through which one frame comes in at most, and one goes out.
pub(super) struct Shim<'p, T> {
    frame: Option<&'p [u8]>,
    exit: Option<Exit<'p, T>>,
    /// Whether there was no room for what was to go out.
    full: bool,
    /// Whether something went out.
    used: Cell<bool>,
    capabilities: &'p DeviceCapabilities,
}

/// Where what smoltcp sends goes to.
pub(super) enum Exit<'p, T> {
    /// To the wire.
    Wire(T),
    /// To the wire: a packet, in a frame that is addressed already.
    Framed(T, &'p EthernetRepr),
    /// To nobody: a packet without data.
    Nowhere,
}

impl<'p, T: TxToken> Shim<'p, T> {
    /// A frame comes in, and may be answered.
    pub fn received(
        frame: &'p [u8],
        answer: Exit<'p, T>,
        capabilities: &'p DeviceCapabilities,
    ) -> Self {
        Self { frame: Some(frame), ..Self::sending(Some(answer), capabilities) }
    }

    /// A frame may go out through a device, if it has room for one.
    pub fn through<D: Device<TxToken<'p> = T> + ?Sized>(
        device: &'p mut D,
        capabilities: &'p DeviceCapabilities,
        now: Instant,
    ) -> Self {
        Self::sending(device.transmit(now).map(Exit::Wire), capabilities)
    }

    /// A packet may go out, to nobody.
    pub fn nowhere(capabilities: &'p DeviceCapabilities) -> Self {
        Self::sending(Some(Exit::Nowhere), capabilities)
    }

    fn sending(exit: Option<Exit<'p, T>>, capabilities: &'p DeviceCapabilities) -> Self {
        Self { frame: None, exit, full: false, used: Cell::new(false), capabilities }
    }

    /// Whether there was no room for what was to go out.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Whether something went out.
    pub fn is_used(&self) -> bool {
        self.used.get()
    }
}

impl<'p> Shim<'p, Never> {
    /// Nothing comes in or goes out.
    pub fn closed(capabilities: &'p DeviceCapabilities) -> Self {
        Self::sending(None, capabilities)
    }
}

impl<'p, T: TxToken> Device for Shim<'p, T> {
    type RxToken<'d>
        = Received<'p>
    where
        Self: 'd;
    type TxToken<'d>
        = Sent<'d, 'p, T>
    where
        Self: 'd;

    fn receive(&mut self, now: Instant) -> Option<(Received<'p>, Sent<'_, 'p, T>)> {
        let frame = self.frame.take()?;
        Some((Received(frame), self.transmit(now)?))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_, 'p, T>> {
        let exit = self.exit.take();
        self.full |= exit.is_none();
        Some(Sent { exit: exit?, used: &self.used })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}

/// The frame that came in through a [`Shim`].
pub(super) struct Received<'p>(&'p [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// The frame that goes out through a [`Shim`].
pub(super) struct Sent<'d, 'p, T> {
    exit: Exit<'p, T>,
    used: &'d Cell<bool>,
}

impl<T: TxToken> TxToken for Sent<'_, '_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.used.set(true);
        self.exit.consume(len, f)
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.exit.set_meta(meta);
    }
}

impl<T: TxToken> TxToken for Exit<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        match self {
            Self::Wire(token) => token.consume(len, f),
            Self::Framed(token, header) => token.consume(ETHERNET_HEADER_LEN + len, |buffer| {
                let mut frame = EthernetFrame::new_unchecked(buffer);
                header.emit(&mut frame);
                f(frame.payload_mut())
            }),
            Self::Nowhere => f([0; SEGMENT_MAX].get_mut(..len).unwrap_or_default()),
        }
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        match self {
            Self::Wire(token) | Self::Framed(token, _) => token.set_meta(meta),
            Self::Nowhere => {}
        }
    }
}

/// A token that there is none of.
pub(super) enum Never {}

impl TxToken for Never {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}
