//! The datagram that waits until it is known where on the link its peer is.

use smoltcp::iface::{Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::Device;
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket, UdpMetadata};
use smoltcp::wire::IpEndpoint;

use super::device::Shim;
use super::{due_at, instant};
use crate::time::{Duration, Instant};

/// How long a datagram may wait: time for the question to be asked three times.
const PATIENCE: Duration = Duration::from_secs(3);

/// Memory for one datagram that a service sends to a peer of its own accord. Answers and what
/// goes to groups need none.
#[derive(Default)]
pub struct Outbox<'a> {
    /// A UDP socket.
    sockets: Option<SocketSet<'a>>,
    /// Until when the datagram may wait, if there is one.
    until: Option<Instant>,
}

impl<'a> Outbox<'a> {
    /// An outbox for a datagram of as many bytes as `message` has.
    pub fn new(
        socket: &'a mut SocketStorage<'a>,
        metadata: &'a mut [PacketMetadata; 1],
        message: &'a mut [u8],
    ) -> Self {
        let mut sockets = SocketSet::new(core::slice::from_mut(socket));
        let nothing = PacketBuffer::new(&mut [][..], &mut [][..]);
        sockets.add(Socket::new(nothing, PacketBuffer::new(&mut metadata[..], message)));
        Self { sockets: Some(sockets), until: None }
    }

    /// Puts a datagram in, in place of one that still waits. What does not fit is lost, as
    /// datagrams may be.
    pub(super) fn put(
        &mut self,
        (source, destination): (IpEndpoint, IpEndpoint),
        text: &[u8],
        now: Instant,
    ) {
        let Some(sockets) = &mut self.sockets else { return };
        let handle = SocketHandle::default();
        let socket = sockets.get_mut::<Socket>(handle);
        socket.close();
        // The port of a service is not zero, and a socket that was closed can be bound.
        let _ = socket.bind(source);
        let _ = socket.send_slice(text, UdpMetadata::from(destination));
        // The set remembers the neighbor that the last datagram waited for.
        let socket = sockets.remove(handle);
        sockets.add(socket);
        self.until = Some(now + PATIENCE);
    }

    /// Lets go of the datagram if the address that it is from has gone.
    pub(super) fn withdraw(&mut self, iface: &Interface) {
        let Some(sockets) = &mut self.sockets else { return };
        let socket = sockets.get_mut::<Socket>(SocketHandle::default());
        if socket.endpoint().addr.is_some_and(|source| !iface.has_ip_addr(source)) {
            socket.close();
            self.until = None;
        }
    }

    /// Sends the datagram if it can be sent now; returns when to try again.
    pub(super) fn send<D: Device + ?Sized>(
        &mut self,
        iface: &mut Interface,
        device: &mut D,
        now: Instant,
    ) -> Option<Instant> {
        let (until, sockets) = (self.until?, self.sockets.as_mut()?);
        let capabilities = device.capabilities();
        if now < until {
            let mut shim = Shim::through(device, &capabilities, instant(now));
            iface.poll_egress(instant(now), &mut shim, sockets);
        }
        let due = due_at(iface, sockets, now);
        let socket = sockets.get_mut::<Socket>(SocketHandle::default());
        if now < until && socket.send_queue() > 0 {
            return Some(due.map_or(until, |due| due.min(until)));
        }
        socket.close();
        self.until = None;
        None
    }
}
