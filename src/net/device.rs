//! Devices that stand between smoltcp and the real one: one frame in, or frames out only.

use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp::time::Instant;

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

/// A device that only sends, and remembers when it could not.
pub(super) struct Outlet<'d, D: ?Sized> {
    pub device: &'d mut D,
    pub full: bool,
}

impl<D: Device + ?Sized> Device for Outlet<'_, D> {
    type RxToken<'d>
        = D::RxToken<'d>
    where
        Self: 'd;
    type TxToken<'d>
        = D::TxToken<'d>
    where
        Self: 'd;

    fn receive(&mut self, _: Instant) -> Option<(D::RxToken<'_>, D::TxToken<'_>)> {
        None
    }

    fn transmit(&mut self, now: Instant) -> Option<D::TxToken<'_>> {
        let token = self.device.transmit(now);
        self.full |= token.is_none();
        token
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.device.capabilities()
    }
}
