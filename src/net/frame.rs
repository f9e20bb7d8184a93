//! What a frame is, as far as the demultiplexer has to know: read before smoltcp sees it.

use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv6Message, Icmpv6Packet, IpAddress,
    IpEndpoint, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
};

use super::index::Tuple;

/// A frame, by what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// ARP, or neighbor discovery: who is where on this link.
    Neighbor,
    /// Something that smoltcp may answer, such as an echo request.
    Answerable,
    /// A TCP segment to our hardware address.
    Tcp(Segment),
    /// Broken, or nothing that is served here.
    Useless,
}

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Our end and the peer's, as the segment says.
    pub tuple: Tuple,
    pub syn: bool,
    pub ack: bool,
    pub rst: bool,
    /// The sequence number of its first byte, or of its SYN.
    pub sequence: u32,
    /// What it acknowledges, if it is an ACK.
    pub acknowledgment: u32,
    /// Bytes of payload.
    pub len: usize,
}

impl Segment {
    /// A segment that asks for a connection.
    pub fn is_request(&self) -> bool {
        self.syn && !self.ack && !self.rst
    }
}

/// Reads a frame. `hardware` is our own address: what is sent to all, or to others, is no
/// business of TCP (RFC 1122 section 4.2.3.10).
pub(super) fn read(frame: &[u8], hardware: EthernetAddress) -> Frame {
    let Ok(frame) = EthernetFrame::new_checked(frame) else { return Frame::Useless };
    let to_us = frame.dst_addr() == hardware;
    match frame.ethertype() {
        EthernetProtocol::Arp => Frame::Neighbor,
        EthernetProtocol::Ipv4 if to_us => read_ipv4(frame.payload()),
        EthernetProtocol::Ipv6 if to_us => read_ipv6(frame.payload()),
        EthernetProtocol::Ipv6 => match read_ipv6(frame.payload()) {
            Frame::Neighbor => Frame::Neighbor,
            _ => Frame::Useless,
        },
        _ => Frame::Useless,
    }
}

fn read_ipv4(packet: &[u8]) -> Frame {
    let Ok(packet) = Ipv4Packet::new_checked(packet) else { return Frame::Useless };
    // Fragments are not put together here, and must not be taken for whole packets.
    if packet.more_frags() || packet.frag_offset() != 0 {
        return Frame::Useless;
    }
    match packet.next_header() {
        IpProtocol::Tcp => {
            read_tcp(packet.src_addr().into(), packet.dst_addr().into(), packet.payload())
        }
        _ => Frame::Answerable,
    }
}

/// Extension headers are not looked behind: no client needs them.
fn read_ipv6(packet: &[u8]) -> Frame {
    let Ok(packet) = Ipv6Packet::new_checked(packet) else { return Frame::Useless };
    match packet.next_header() {
        IpProtocol::Tcp => {
            read_tcp(packet.src_addr().into(), packet.dst_addr().into(), packet.payload())
        }
        IpProtocol::Icmpv6 => match Icmpv6Packet::new_checked(packet.payload()) {
            Ok(message) if is_discovery(message.msg_type()) => Frame::Neighbor,
            Ok(_) => Frame::Answerable,
            Err(_) => Frame::Useless,
        },
        _ => Frame::Useless,
    }
}

/// RFC 4861 section 4.
fn is_discovery(message: Icmpv6Message) -> bool {
    matches!(
        message,
        Icmpv6Message::RouterSolicit
            | Icmpv6Message::RouterAdvert
            | Icmpv6Message::NeighborSolicit
            | Icmpv6Message::NeighborAdvert
            | Icmpv6Message::Redirect
    )
}

fn read_tcp(source: IpAddress, destination: IpAddress, segment: &[u8]) -> Frame {
    let Ok(segment) = TcpPacket::new_checked(segment) else { return Frame::Useless };
    let (local, remote) = (segment.dst_port(), segment.src_port());
    // A request takes a slot, so what it costs is spent on whole ones only; the checksums of
    // the others are left to smoltcp.
    if segment.syn() && !segment.verify_checksum(&source, &destination) {
        return Frame::Useless;
    }
    if local == 0 || remote == 0 {
        return Frame::Useless;
    }
    Frame::Tcp(Segment {
        tuple: Tuple {
            local: IpEndpoint::new(destination, local),
            remote: IpEndpoint::new(source, remote),
        },
        syn: segment.syn(),
        ack: segment.ack(),
        rst: segment.rst(),
        sequence: segment.seq_number().0 as u32,
        acknowledgment: segment.ack_number().0 as u32,
        len: segment.payload().len(),
    })
}
