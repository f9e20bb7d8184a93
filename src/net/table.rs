//! The service table, in the manner of inetd.conf.

use core::net::IpAddr;

use smoltcp::wire::IpEndpoint;

use crate::service::{DatagramService, Service};

/// A row of the service table: a port, and what runs behind it.
pub struct Binding<'s> {
    /// What the service is called.
    pub name: &'static str,
    /// Those of our addresses at which it can be had; none means all of them.
    pub addresses: &'s [IpAddr],
    /// The port; 0 is no port, and the row does nothing.
    pub port: u16,
    /// The service.
    pub protocol: Protocol<'s>,
    /// Whether its connections get the larger buffers, of
    /// [`Memory::bulk_buffers`](super::Memory::bulk_buffers).
    pub bulk: bool,
}

/// A service, and what it runs over.
pub enum Protocol<'s> {
    /// A service over TCP.
    Tcp(&'s mut dyn Service),
    /// A service over UDP.
    Udp(&'s mut dyn DatagramService),
}

impl<'s> Binding<'s> {
    /// A service over TCP, at all of our addresses.
    pub fn tcp(name: &'static str, port: u16, service: &'s mut dyn Service) -> Self {
        Self { name, addresses: &[], port, protocol: Protocol::Tcp(service), bulk: false }
    }

    /// A service over UDP, at all of our addresses.
    pub fn udp(name: &'static str, port: u16, service: &'s mut dyn DatagramService) -> Self {
        Self { name, addresses: &[], port, protocol: Protocol::Udp(service), bulk: false }
    }

    /// The same, at some of our addresses only.
    pub fn at(self, addresses: &'s [IpAddr]) -> Self {
        Self { addresses, ..self }
    }

    /// The same, with larger buffers for its connections.
    pub fn bulk(self) -> Self {
        Self { bulk: true, ..self }
    }

    /// Whether a connection to this endpoint is for this service.
    pub(super) fn accepts(&self, local: IpEndpoint) -> bool {
        matches!(self.protocol, Protocol::Tcp(_)) && self.is_at(local)
    }

    /// The service, if a datagram to this endpoint is for it. Groups are nobody's address.
    pub(super) fn datagrams(&mut self, local: IpEndpoint) -> Option<&mut dyn DatagramService> {
        let is_at =
            if local.addr.is_unicast() { self.is_at(local) } else { self.port == local.port };
        match &mut self.protocol {
            Protocol::Udp(service) if is_at => Some(*service),
            _ => None,
        }
    }

    fn is_at(&self, local: IpEndpoint) -> bool {
        let address = local.addr.into();
        self.port == local.port && (self.addresses.is_empty() || self.addresses.contains(&address))
    }
}

/// The service over TCP of a row.
pub(super) fn service_at<'b, 's>(
    services: &'b mut [Binding<'s>],
    row: usize,
) -> Option<&'b mut (dyn Service + 's)> {
    match &mut services.get_mut(row)?.protocol {
        Protocol::Tcp(service) => Some(*service),
        Protocol::Udp(_) => None,
    }
}
