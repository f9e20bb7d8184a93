//! What a frame is, as far as the demultiplexer has to know: read before smoltcp sees it.

use core::net::IpAddr;

use smoltcp::phy::ChecksumCapabilities;
#[cfg(feature = "ipv4")]
use smoltcp::wire::Ipv4Packet;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, IpEndpoint, IpProtocol, TcpPacket,
    UdpPacket,
};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{Icmpv6Message, Icmpv6Packet, Ipv6Packet};

use super::index::Tuple;

/// A frame, by what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'f> {
    /// ARP, or neighbor discovery: who is where on this link.
    Neighbor,
    /// A message to the listeners of a multicast group, or about them.
    #[cfg(feature = "ipv6")]
    Listeners,
    /// Something to this address that smoltcp may answer, such as an echo request.
    Answerable(IpAddress),
    /// A TCP segment to our hardware address.
    Tcp(Segment),
    /// A UDP datagram, to our hardware address or to many.
    Udp(Message<'f>),
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

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'f> {
    /// The hardware address that it came from.
    pub hardware: EthernetAddress,
    /// Whether it came to our hardware address, rather than to many.
    pub to_us: bool,
    /// Our end and the peer's, as the datagram says.
    pub tuple: Tuple,
    pub payload: &'f [u8],
}

/// The frame around an IP packet.
#[derive(Clone, Copy)]
struct Envelope<'c> {
    source: EthernetAddress,
    to_us: bool,
    /// The checksums that nobody has verified yet.
    checksums: &'c ChecksumCapabilities,
}

/// Reads a frame. `hardware` is our own address: what is sent to all, or to others, is no
/// business of TCP (RFC 1122 section 4.2.3.10). Of `checksums`, those are verified here that the
/// device has not.
pub(super) fn read<'f>(
    frame: &'f [u8],
    hardware: EthernetAddress,
    checksums: &ChecksumCapabilities,
) -> Frame<'f> {
    let Ok(frame) = EthernetFrame::new_checked(frame) else { return Frame::Useless };
    let (to_us, ethertype) = (frame.dst_addr() == hardware, frame.ethertype());
    let envelope = Envelope { source: frame.src_addr(), to_us, checksums };
    if !to_us && !frame.dst_addr().is_multicast() {
        return Frame::Useless;
    }
    let payload = frame.payload();
    let frame = match ethertype {
        EthernetProtocol::Arp if cfg!(feature = "ipv4") => Frame::Neighbor,
        #[cfg(feature = "ipv4")]
        EthernetProtocol::Ipv4 => read_ipv4(payload, envelope),
        #[cfg(feature = "ipv6")]
        EthernetProtocol::Ipv6 => read_ipv6(payload, envelope),
        _ => Frame::Useless,
    };
    // Nobody sends from the address of a group, or from ours: the answer would go to all, or
    // nowhere. Whoever claims our IP addresses is heard, whatever he says of himself.
    let is_forged = !envelope.source.is_unicast() || envelope.source == hardware;
    if is_forged && frame != Frame::Neighbor { Frame::Useless } else { frame }
}

#[cfg(feature = "ipv4")]
fn read_ipv4<'f>(packet: &'f [u8], envelope: Envelope<'_>) -> Frame<'f> {
    let Ok(packet) = Ipv4Packet::new_checked(packet) else { return Frame::Useless };
    // Fragments are not put together here, and must not be taken for whole packets.
    if packet.more_frags() || packet.frag_offset() != 0 {
        return Frame::Useless;
    }
    let ends = (packet.src_addr().into(), packet.dst_addr().into());
    match packet.next_header() {
        // Nobody else looks at the header of a datagram, or of what is answered with a cookie.
        IpProtocol::Udp | IpProtocol::Tcp
            if envelope.checksums.ipv4.rx() && !packet.verify_checksum() =>
        {
            Frame::Useless
        }
        IpProtocol::Udp => read_udp(ends, packet.payload(), envelope),
        _ if !envelope.to_us => Frame::Useless,
        IpProtocol::Tcp => read_tcp(ends, packet.payload(), envelope.checksums),
        _ => Frame::Answerable(ends.1),
    }
}

/// Extension headers are not looked behind: no client needs them, only MLD does (RFC 3810 section
/// 5).
#[cfg(feature = "ipv6")]
fn read_ipv6<'f>(packet: &'f [u8], envelope: Envelope<'_>) -> Frame<'f> {
    let Ok(packet) = Ipv6Packet::new_checked(packet) else { return Frame::Useless };
    let ends = (packet.src_addr().into(), packet.dst_addr().into());
    match packet.next_header() {
        IpProtocol::Icmpv6 => match Icmpv6Packet::new_checked(packet.payload()) {
            Ok(message) if is_discovery(message.msg_type()) => Frame::Neighbor,
            Ok(_) if envelope.to_us => Frame::Answerable(ends.1),
            _ => Frame::Useless,
        },
        IpProtocol::HopByHop => Frame::Listeners,
        IpProtocol::Udp => read_udp(ends, packet.payload(), envelope),
        IpProtocol::Tcp if envelope.to_us => read_tcp(ends, packet.payload(), envelope.checksums),
        _ => Frame::Useless,
    }
}

/// RFC 4861 section 4.
#[cfg(feature = "ipv6")]
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

fn read_tcp(
    (source, destination): (IpAddress, IpAddress),
    segment: &[u8],
    checksums: &ChecksumCapabilities,
) -> Frame<'static> {
    let Ok(segment) = TcpPacket::new_checked(segment) else { return Frame::Useless };
    let (local, remote) = (segment.dst_port(), segment.src_port());
    // A request takes a slot, so what it costs is spent on whole ones only; the checksums of
    // the others are left to smoltcp.
    let is_verified_here = segment.syn() && checksums.tcp.rx();
    if is_verified_here && !segment.verify_checksum(&source, &destination) {
        return Frame::Useless;
    }
    // A request for the end of what is to begin is none.
    if local == 0 || remote == 0 || (segment.syn() && segment.fin()) {
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

fn read_udp<'f>(
    (source, destination): (IpAddress, IpAddress),
    datagram: &'f [u8],
    Envelope { source: hardware, to_us, checksums }: Envelope<'_>,
) -> Frame<'f> {
    let Ok(datagram) = UdpPacket::new_checked(datagram) else { return Frame::Useless };
    // RFC 8200 section 8.1: over IPv6 there must be a checksum.
    let bare = datagram.checksum() == 0 && !IpAddr::from(destination).is_ipv4();
    let is_broken = checksums.udp.rx() && !datagram.verify_checksum(&source, &destination);
    if bare || is_broken {
        return Frame::Useless;
    }
    let (local, remote) = (datagram.dst_port(), datagram.src_port());
    if local == 0 || remote == 0 {
        return Frame::Useless;
    }
    let tuple = Tuple {
        local: IpEndpoint::new(destination, local),
        remote: IpEndpoint::new(source, remote),
    };
    Frame::Udp(Message { hardware, to_us, tuple, payload: datagram.payload() })
}
