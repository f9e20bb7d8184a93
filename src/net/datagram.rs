//! Datagrams: one finds the service of its port, its answer finds the way back; and what
//! services send of their own accord.

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::config::IFACE_MAX_ADDR_COUNT;
use smoltcp::phy::{ChecksumCapabilities, Device, TxToken};
use smoltcp::wire::{
    ETHERNET_HEADER_LEN, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress,
    IpCidr, IpEndpoint, IpProtocol, IpRepr, UDP_HEADER_LEN, UdpPacket, UdpRepr,
};

use super::frame::Message;
use super::index::Tuple;
use super::{Binding, Net, Protocol, RETRY, endpoint, instant, socket_address};
use crate::bytes::copy;
use crate::service::{Datagram, DatagramService, Emission};
use crate::time::Instant;

const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;
/// Messages that a service sends of its own accord in one turn at most.
const MESSAGES_A_TURN: usize = 8;
/// What comes from a port below this one is not answered: it may be the answer of a service
/// such as ours, and the two would never stop.
const FIRST_ANSWERED_PORT: u16 = 1024;
/// RFC 1122 section 3.2.1.7 asks for a value that can be had; this is the usual one.
pub(super) const HOP_LIMIT: u8 = 64;
/// To a group, and from a service that has one, so that it can be seen that it came from this link
/// (RFC 6762 section 11).
const GROUP_HOP_LIMIT: u8 = 255;

impl Net<'_> {
    /// Brings a datagram to the service of its port, and the answer back.
    pub(super) fn deliver_datagram(
        &mut self,
        message: Message<'_>,
        frame: &[u8],
        token: impl TxToken,
        services: &mut [Binding<'_>],
        now: Instant,
    ) {
        let Tuple { local, remote } = message.tuple;
        if !self.is_peer(remote.addr) {
            return;
        }
        let ours = message.to_us && self.iface.has_ip_addr(local.addr);
        let service = services.iter_mut().find_map(|binding| binding.datagrams(local));
        match service {
            Some(service) if self.is_for(service, &message, ours) => {
                self.answer_datagram(message, service, token, now);
            }
            // Port unreachable (RFC 1122 section 4.1.3.1, RFC 4443 section 3.1).
            None if ours && self.answers.grants(now) => self.answer_frame(frame, token, now),
            _ => {}
        }
    }

    /// Whether it can be somebody else's address.
    pub(super) fn is_peer(&self, address: IpAddress) -> bool {
        let is_ours = |cidr: &IpCidr| cidr.address() == address || broadcast(cidr) == Some(address);
        address.is_unicast()
            && !IpAddr::from(address).is_loopback()
            && !self.iface.ip_addrs().iter().any(is_ours)
    }

    /// Whether a service wants a datagram: what is sent to one of its groups, or to us. One that
    /// has groups is for this link alone; what comes to a group of the link is from the link,
    /// whatever its source says, and what comes to us has to be from one of our networks
    /// (RFC 6762 sections 5.5 and 11).
    fn is_for(&self, service: &dyn DatagramService, message: &Message<'_>, ours: bool) -> bool {
        let Tuple { local, remote } = message.tuple;
        if !ours {
            return !message.to_us && service.groups().contains(&local.addr.into());
        }
        let is_near = |cidr: &IpCidr| cidr.contains_addr(&remote.addr);
        service.groups().is_empty() || self.iface.ip_addrs().iter().any(is_near)
    }

    fn answer_datagram(
        &mut self,
        message: Message<'_>,
        service: &mut dyn DatagramService,
        token: impl TxToken,
        now: Instant,
    ) {
        let Tuple { local, remote } = message.tuple;
        let datagram = Datagram {
            local: socket_address(local),
            peer: socket_address(remote),
            payload: message.payload,
        };
        let room = self.room(remote.addr);
        let Some(reply) = self.message.get_mut(..room) else { return };
        let len = service.answer(&datagram, reply, now);
        // What it has heard may make it want to say something.
        self.emission = Some(now);
        // Whoever forges the peer's address gains nothing by it, or not for long.
        let amplifies = len.is_some_and(|len| len > message.payload.len());
        let is_allowed =
            remote.port >= FIRST_ANSWERED_PORT && (!amplifies || self.answers.grants(now));
        let text = len.filter(|_| is_allowed).and_then(|len| self.message.get(..len));
        let source =
            if local.addr.is_unicast() { Some(local.addr) } else { self.source_for(remote.addr) };
        if let (Some(text), Some(source)) = (text, source) {
            let outgoing = Outgoing {
                hardware: message.hardware,
                source: IpEndpoint::new(source, local.port),
                destination: remote,
                hop_limit: hop_limit(service, remote),
            };
            self.send_datagram(&outgoing, text, token);
        }
    }

    /// Lets the services over UDP send, if it is time, or if the table has other rows than it had.
    pub(super) fn emit<D: Device + ?Sized>(
        &mut self,
        device: &mut D,
        services: &mut [Binding<'_>],
        now: Instant,
    ) {
        let is_new = core::mem::replace(&mut self.rows, services.len()) != services.len();
        if !is_new && self.emission.is_none_or(|due| due > now) {
            return;
        }
        let addresses = self.iface.ip_addrs().iter().map(|cidr| cidr.address().into());
        let addresses: heapless::Vec<IpAddr, IFACE_MAX_ADDR_COUNT> = addresses.collect();
        self.emission = None;
        for binding in services.iter_mut().filter(|binding| binding.port != 0) {
            if let Protocol::Udp(service) = &mut binding.protocol {
                let due = self.emit_for(binding.port, *service, &addresses, device, now);
                self.emission = self.emission.into_iter().chain(due).min();
            }
        }
    }

    /// Sends what a service has to say; returns when it will have something again.
    fn emit_for<D: Device + ?Sized>(
        &mut self,
        port: u16,
        service: &mut dyn DatagramService,
        addresses: &[IpAddr],
        device: &mut D,
        now: Instant,
    ) -> Option<Instant> {
        for _ in 0..MESSAGES_A_TURN {
            let Some(token) = device.transmit(instant(now)) else { return Some(now + RETRY) };
            // What fits the longest of all headers fits any.
            let room = self.room_behind(IPV6_HEADER_LEN);
            let (to, len) = match service.poll(addresses, self.message.get_mut(..room)?, now) {
                Emission::Wait(until) => return until,
                Emission::Send { to, len } => (to, len),
            };
            let Some(destination) = endpoint(to) else { continue };
            let Some(source) = self.source_for(destination.addr) else { continue };
            let source = IpEndpoint::new(source, port);
            let Some(text) = self.message.get(..len.min(room)) else { continue };
            match group_hardware(to.ip()) {
                Some(hardware) => {
                    let hop_limit = hop_limit(service, destination);
                    let outgoing = Outgoing { hardware, source, destination, hop_limit };
                    self.send_datagram(&outgoing, text, token);
                }
                None => self.outbox.put((source, destination), text, now),
            }
        }
        Some(now)
    }

    /// Bytes that fit a datagram to this address, and the memory that it is written in.
    fn room(&self, destination: IpAddress) -> usize {
        match IpAddr::from(destination) {
            IpAddr::V4(_) => self.room_behind(IPV4_HEADER_LEN),
            IpAddr::V6(_) => self.room_behind(IPV6_HEADER_LEN),
        }
    }

    fn room_behind(&self, header: usize) -> usize {
        let mtu = self.capabilities.ip_mtu();
        self.message.len().min(mtu.saturating_sub(header + UDP_HEADER_LEN))
    }

    /// The address of ours from which to speak to another one.
    pub(super) fn source_for(&self, destination: IpAddress) -> Option<IpAddress> {
        // smoltcp speaks from the loopback address if it has no other.
        self.iface.get_source_address(&destination).filter(|&source| self.iface.has_ip_addr(source))
    }

    fn send_datagram(&self, outgoing: &Outgoing, text: &[u8], token: impl TxToken) {
        let write = |payload: &mut [u8]| {
            copy(text, payload);
        };
        outgoing.send(self.hardware, (text.len(), write), &self.capabilities.checksum, token);
    }
}

/// Where a datagram goes.
pub(super) struct Outgoing {
    pub hardware: EthernetAddress,
    pub source: IpEndpoint,
    pub destination: IpEndpoint,
    pub hop_limit: u8,
}

impl Outgoing {
    /// Sends it: `len` octets that `write` writes.
    pub fn send(
        &self,
        ours: EthernetAddress,
        (len, write): (usize, impl FnOnce(&mut [u8])),
        checksums: &ChecksumCapabilities,
        token: impl TxToken,
    ) {
        let udp = UdpRepr { src_port: self.source.port, dst_port: self.destination.port };
        let (from, to) = (self.source.addr, self.destination.addr);
        let ip = IpRepr::new(from, to, IpProtocol::Udp, UDP_HEADER_LEN + len, self.hop_limit);
        let ethernet =
            EthernetRepr { src_addr: ours, dst_addr: self.hardware, ethertype: ethertype(to) };
        token.consume(ETHERNET_HEADER_LEN + ip.buffer_len(), |buffer| {
            let mut frame = EthernetFrame::new_unchecked(buffer);
            ethernet.emit(&mut frame);
            let packet = frame.payload_mut();
            ip.emit(&mut packet[..], checksums);
            if let Some(datagram) = packet.get_mut(ip.header_len()..) {
                let mut datagram = UdpPacket::new_unchecked(datagram);
                udp.emit(&mut datagram, &from, &to, len, write, checksums);
            }
        });
    }
}

fn hop_limit(service: &dyn DatagramService, destination: IpEndpoint) -> u8 {
    let is_alone = service.groups().is_empty() && destination.addr.is_unicast();
    if is_alone { HOP_LIMIT } else { GROUP_HOP_LIMIT }
}

fn ethertype(address: IpAddress) -> EthernetProtocol {
    match IpAddr::from(address) {
        IpAddr::V4(_) => EthernetProtocol::Ipv4,
        IpAddr::V6(_) => EthernetProtocol::Ipv6,
    }
}

/// The hardware address of a multicast group (RFC 1112 section 6.4, RFC 2464 section 7).
fn group_hardware(group: IpAddr) -> Option<EthernetAddress> {
    match group {
        _ if !group.is_multicast() => None,
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            Some(EthernetAddress([0x01, 0x00, 0x5e, b & 0x7f, c, d]))
        }
        IpAddr::V6(group) => Some(ipv6_group_hardware(group)),
    }
}

/// The same, of what is known to be a group.
pub(super) fn ipv6_group_hardware(group: Ipv6Addr) -> EthernetAddress {
    let [.., a, b, c, d] = group.octets();
    EthernetAddress([0x33, 0x33, a, b, c, d])
}

/// The broadcast address of a network, if it has one.
fn broadcast(cidr: &IpCidr) -> Option<IpAddress> {
    match cidr {
        #[cfg(feature = "ipv4")]
        IpCidr::Ipv4(cidr) => cidr.broadcast().map(IpAddress::from),
        #[cfg(feature = "ipv6")]
        IpCidr::Ipv6(_) => None,
    }
}
