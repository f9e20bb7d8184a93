//! What is sent about our addresses: ARP, neighbor discovery, group membership.

use smoltcp::phy::TxToken;
#[cfg(feature = "ipv4")]
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, Ipv4Address};
use smoltcp::wire::{
    ETHERNET_HEADER_LEN, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress,
};
#[cfg(feature = "ipv6")]
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        IPV6_HEADER_LEN, IPV6_LINK_LOCAL_ALL_MLDV2_ROUTERS, IPV6_LINK_LOCAL_ALL_NODES,
        IPV6_LINK_LOCAL_ALL_ROUTERS, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Address, Ipv6Packet,
        Ipv6Repr, MldAddressRecordRepr, MldRepr, NdiscNeighborFlags, NdiscRepr,
    },
};

#[cfg(feature = "ipv6")]
use crate::net::datagram::ipv6_group_hardware;

/// A packet that is to be sent; our hardware address is the only thing that it does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Asks whether somebody has an address, without saying that we want it for long (RFC 5227
    /// section 1.1, RFC 4862 section 5.4.2).
    Probe(IpAddress),
    /// Says to all that an address is ours (RFC 5227 section 2.3, RFC 4861 section 7.2.6); it is
    /// the answer, too, to an IPv6 neighbor that has no address yet (RFC 4861 section 7.2.4).
    Announcement(IpAddress),
    /// Says to one who probes an IPv4 address that it is ours.
    #[cfg(feature = "ipv4")]
    ArpReply { address: Ipv4Address, to: EthernetAddress },
    /// Asks for routers; without an address of ours the answer goes to all (RFC 4861 section
    /// 6.3.7).
    #[cfg(feature = "ipv6")]
    RouterSolicit { source: Option<Ipv6Address> },
}

impl Packet {
    pub fn send(self, hardware: EthernetAddress, token: impl TxToken) {
        match self {
            #[cfg(feature = "ipv4")]
            Packet::Probe(IpAddress::Ipv4(address)) => {
                arp(Ipv4Address::UNSPECIFIED, address, hardware, token);
            }
            #[cfg(feature = "ipv4")]
            Packet::Announcement(IpAddress::Ipv4(address)) => {
                arp(address, address, hardware, token);
            }
            #[cfg(feature = "ipv4")]
            Packet::ArpReply { address, to } => arp_reply(address, hardware, to, token),
            #[cfg(feature = "ipv6")]
            Packet::Probe(IpAddress::Ipv6(address)) => solicit(address, hardware, token),
            #[cfg(feature = "ipv6")]
            Packet::Announcement(IpAddress::Ipv6(address)) => advertise(address, hardware, token),
            #[cfg(feature = "ipv6")]
            Packet::RouterSolicit { source } => solicit_routers(source, hardware, token),
        }
    }
}

/// A question to all: who has `target`?
#[cfg(feature = "ipv4")]
fn arp(source: Ipv4Address, target: Ipv4Address, hardware: EthernetAddress, token: impl TxToken) {
    let repr = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: hardware,
        source_protocol_addr: source,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target,
    };
    send_arp(&repr, hardware, EthernetAddress::BROADCAST, token);
}

#[cfg(feature = "ipv4")]
fn arp_reply(
    address: Ipv4Address,
    hardware: EthernetAddress,
    to: EthernetAddress,
    token: impl TxToken,
) {
    let repr = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: hardware,
        source_protocol_addr: address,
        target_hardware_addr: to,
        target_protocol_addr: Ipv4Address::UNSPECIFIED,
    };
    send_arp(&repr, hardware, to, token);
}

#[cfg(feature = "ipv4")]
fn send_arp(repr: &ArpRepr, hardware: EthernetAddress, to: EthernetAddress, token: impl TxToken) {
    let ethernet =
        EthernetRepr { src_addr: hardware, dst_addr: to, ethertype: EthernetProtocol::Arp };
    token.consume(ETHERNET_HEADER_LEN + repr.buffer_len(), |buffer| {
        let mut frame = EthernetFrame::new_unchecked(buffer);
        ethernet.emit(&mut frame);
        repr.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    });
}

#[cfg(feature = "ipv6")]
fn solicit(address: Ipv6Address, hardware: EthernetAddress, token: impl TxToken) {
    let message = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit {
        target_addr: address,
        // RFC 4861 section 4.3: not without an address of ours.
        lladdr: None,
    });
    let ends = (Ipv6Address::UNSPECIFIED, solicited_node(address));
    send_icmpv6(&message, ends, hardware, token);
}

#[cfg(feature = "ipv6")]
fn advertise(address: Ipv6Address, hardware: EthernetAddress, token: impl TxToken) {
    let message = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
        flags: NdiscNeighborFlags::OVERRIDE,
        target_addr: address,
        lladdr: Some(hardware.into()),
    });
    send_icmpv6(&message, (address, IPV6_LINK_LOCAL_ALL_NODES), hardware, token);
}

#[cfg(feature = "ipv6")]
fn solicit_routers(source: Option<Ipv6Address>, hardware: EthernetAddress, token: impl TxToken) {
    // RFC 4861 section 4.1: not without an address of ours.
    let lladdr = source.map(|_| hardware.into());
    let message = Icmpv6Repr::Ndisc(NdiscRepr::RouterSolicit { lladdr });
    let source = source.unwrap_or(Ipv6Address::UNSPECIFIED);
    send_icmpv6(&message, (source, IPV6_LINK_LOCAL_ALL_ROUTERS), hardware, token);
}

/// Says to the multicast routers and switches of the link which groups we are in (RFC 3810
/// section 5.2).
#[cfg(feature = "ipv6")]
pub fn report(
    records: &[MldAddressRecordRepr<'_>],
    source: Option<Ipv6Address>,
    hardware: EthernetAddress,
    token: impl TxToken,
) {
    let message = Icmpv6Repr::Mld(MldRepr::ReportRecordReprs(records));
    let len = message.buffer_len() + records.iter().map(|r| r.buffer_len()).sum::<usize>();
    // RFC 3810 sections 5.2.13 and 5.2.14; RFC 3590 section 4.
    let source = source.unwrap_or(Ipv6Address::UNSPECIFIED);
    let header = Ipv6Repr {
        src_addr: source,
        dst_addr: IPV6_LINK_LOCAL_ALL_MLDV2_ROUTERS,
        next_header: IpProtocol::HopByHop,
        payload_len: ROUTER_ALERT.len() + len,
        hop_limit: 1,
    };
    send_ipv6(&header, hardware, token, |payload| {
        if let Some((alert, body)) = payload.split_first_chunk_mut() {
            *alert = ROUTER_ALERT;
            emit_icmpv6(&message, &header, body);
        }
    });
}

/// A hop-by-hop options header that is followed by ICMPv6: a router alert for MLD (RFC 2711
/// section 2.1), and padding.
#[cfg(feature = "ipv6")]
const ROUTER_ALERT: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];

#[cfg(feature = "ipv6")]
fn send_icmpv6(
    message: &Icmpv6Repr<'_>,
    (src_addr, dst_addr): (Ipv6Address, Ipv6Address),
    hardware: EthernetAddress,
    token: impl TxToken,
) {
    let header = Ipv6Repr {
        src_addr,
        dst_addr,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        // RFC 4861 section 7.1: what came through a router has less.
        hop_limit: 255,
    };
    send_ipv6(&header, hardware, token, |payload| emit_icmpv6(message, &header, payload));
}

#[cfg(feature = "ipv6")]
fn emit_icmpv6(message: &Icmpv6Repr<'_>, header: &Ipv6Repr, payload: &mut [u8]) {
    let mut packet = Icmpv6Packet::new_unchecked(payload);
    let checksums = ChecksumCapabilities::default();
    message.emit(&header.src_addr, &header.dst_addr, &mut packet, &checksums);
}

/// Sends a packet to the multicast group in its header.
#[cfg(feature = "ipv6")]
fn send_ipv6(
    header: &Ipv6Repr,
    hardware: EthernetAddress,
    token: impl TxToken,
    write: impl FnOnce(&mut [u8]),
) {
    let ethernet = EthernetRepr {
        src_addr: hardware,
        dst_addr: ipv6_group_hardware(header.dst_addr),
        ethertype: EthernetProtocol::Ipv6,
    };
    token.consume(ETHERNET_HEADER_LEN + IPV6_HEADER_LEN + header.payload_len, |buffer| {
        let mut frame = EthernetFrame::new_unchecked(buffer);
        ethernet.emit(&mut frame);
        if let Some((head, payload)) = frame.payload_mut().split_at_mut_checked(IPV6_HEADER_LEN) {
            header.emit(&mut Ipv6Packet::new_unchecked(head));
            write(payload);
        }
    });
}

/// The group of those whose addresses end like this one (RFC 4291 section 2.7.1).
#[cfg(feature = "ipv6")]
pub fn solicited_node(address: Ipv6Address) -> Ipv6Address {
    let [.., a, b, c] = address.octets();
    Ipv6Address::from_octets([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}
