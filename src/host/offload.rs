//! The header that stands before each frame of a TAP device with offload (virtio 1.3 section
//! 5.1.6): what the kernel has left undone in a frame that it gives us, and what we leave to it.
//!
//! ```text
//! flags | gso_type | hdr_len | gso_size | csum_start | csum_offset     1, 1, 2, 2, 2, 2 bytes
//! ```

use smoltcp::wire::{
    ETHERNET_HEADER_LEN, EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet,
    Ipv6Packet, TcpPacket, UdpPacket,
};

/// Bytes of the header.
pub const HEADER_LEN: usize = 10;

/// The checksum is to be computed from `csum_start` on; of a frame that we get: it never was, and
/// the frame never was on a wire.
const NEEDS_CSUM: u8 = 1;
/// The checksum was verified.
const DATA_VALID: u8 = 2;
/// TCP over IPv4, to be cut into segments of `gso_size` bytes.
const GSO_TCPV4: u8 = 1;
/// Where the checksum is in the header of TCP.
const TCP_CHECKSUM: usize = 16;

/// Whether a frame may be taken for whole: the kernel says so, or its checksum is right. Only
/// checksums of TCP and UDP are looked at.
pub fn is_whole(header: &[u8], frame: &[u8]) -> bool {
    let is_vouched_for = header.first().is_some_and(|flags| flags & (NEEDS_CSUM | DATA_VALID) != 0);
    is_vouched_for || has_right_checksum(frame)
}

fn has_right_checksum(frame: &[u8]) -> bool {
    let Some(Packet { source, destination, protocol, payload, .. }) = Packet::read(frame) else {
        return true;
    };
    match protocol {
        IpProtocol::Tcp => TcpPacket::new_checked(payload)
            .is_ok_and(|segment| segment.verify_checksum(&source, &destination)),
        IpProtocol::Udp => UdpPacket::new_checked(payload)
            .is_ok_and(|datagram| datagram.verify_checksum(&source, &destination)),
        _ => true,
    }
}

/// Writes the header of a frame that we send, and into its checksum what the kernel wants there
/// to go on from. Only TCP is left to it; `segment` says how many bytes of payload each segment
/// is to have, if the frame is more than one.
pub fn delegate(header: &mut [u8], frame: &mut [u8], segment: Option<u16>) {
    header.fill(0);
    if let Some(task) = Task::of(frame)
        && let [flags, gso_type, rest @ ..] = header
    {
        let start = task.start;
        *flags = NEEDS_CSUM;
        *gso_type = if segment.is_some() { GSO_TCPV4 } else { 0 };
        let numbers = [start + task.header, segment.unwrap_or(0).into(), start, TCP_CHECKSUM];
        // In the byte order of this machine, as long as TUNSETVNETLE does not say otherwise.
        for (place, number) in rest.chunks_exact_mut(2).zip(numbers) {
            place.copy_from_slice(&(number as u16).to_ne_bytes());
        }
        if let Some(place) = frame.get_mut(start + TCP_CHECKSUM..start + TCP_CHECKSUM + 2) {
            place.copy_from_slice(&task.sum.to_be_bytes());
        }
    }
}

/// What is left to the kernel of a TCP segment.
struct Task {
    /// Where the segment begins in the frame.
    start: usize,
    /// Bytes of the header of TCP.
    header: usize,
    /// The sum of the pseudo-header (RFC 9293 section 3.1).
    sum: u16,
}

impl Task {
    fn of(frame: &[u8]) -> Option<Self> {
        let packet = Packet::read(frame).filter(|packet| packet.protocol == IpProtocol::Tcp)?;
        let segment = TcpPacket::new_checked(packet.payload).ok()?;
        Some(Self {
            start: packet.start,
            header: segment.header_len().into(),
            sum: pseudo_header_sum(&packet),
        })
    }
}

/// The sum without the last step, the complement: the kernel adds the segment to it.
fn pseudo_header_sum(packet: &Packet<'_>) -> u16 {
    let sum_of = |octets: &[u8]| -> u32 {
        octets.chunks_exact(2).map(|two| u32::from(u16::from_be_bytes([two[0], two[1]]))).sum()
    };
    let addresses = [packet.source, packet.destination].map(|address| match address {
        IpAddress::Ipv4(address) => sum_of(&address.octets()),
        IpAddress::Ipv6(address) => sum_of(&address.octets()),
    });
    let sum = addresses[0]
        + addresses[1]
        + u32::from(u8::from(packet.protocol))
        + packet.payload.len() as u32;
    // Twice: the first carry may make another.
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// An IP packet in its frame, with nothing between its header and the payload. Fragments are none.
struct Packet<'f> {
    source: IpAddress,
    destination: IpAddress,
    protocol: IpProtocol,
    /// Where the payload begins in the frame.
    start: usize,
    payload: &'f [u8],
}

impl<'f> Packet<'f> {
    fn read(frame: &'f [u8]) -> Option<Self> {
        let ethertype = EthernetFrame::new_checked(frame).ok()?.ethertype();
        let packet = frame.get(ETHERNET_HEADER_LEN..)?;
        match ethertype {
            EthernetProtocol::Ipv4 => {
                let packet = Ipv4Packet::new_checked(packet).ok()?;
                let is_fragment = packet.more_frags() || packet.frag_offset() != 0;
                (!is_fragment).then(|| Self {
                    source: packet.src_addr().into(),
                    destination: packet.dst_addr().into(),
                    protocol: packet.next_header(),
                    start: ETHERNET_HEADER_LEN + usize::from(packet.header_len()),
                    payload: packet.payload(),
                })
            }
            EthernetProtocol::Ipv6 => {
                let packet = Ipv6Packet::new_checked(packet).ok()?;
                Some(Self {
                    source: packet.src_addr().into(),
                    destination: packet.dst_addr().into(),
                    protocol: packet.next_header(),
                    start: ETHERNET_HEADER_LEN + packet.header_len(),
                    payload: packet.payload(),
                })
            }
            _ => None,
        }
    }
}
