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

#[cfg(test)]
mod tests {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{
        EthernetAddress, EthernetRepr, IpRepr, Ipv4Address, Ipv6Address, TcpControl, TcpRepr,
        TcpSeqNumber, UdpRepr,
    };

    use super::*;

    const V4: [IpAddress; 2] = [
        IpAddress::Ipv4(Ipv4Address::new(192, 168, 69, 1)),
        IpAddress::Ipv4(Ipv4Address::new(192, 168, 69, 100)),
    ];
    const V6: [IpAddress; 2] = [
        IpAddress::Ipv6(Ipv6Address::new(0xfd00, 0x69, 0, 0, 0, 0, 0, 1)),
        IpAddress::Ipv6(Ipv6Address::new(0xfd00, 0x69, 0, 0, 0, 0, 0, 0x100)),
    ];
    /// Where the checksum is in the header of UDP.
    const UDP_CHECKSUM: usize = 6;

    fn frame(
        [source, destination]: [IpAddress; 2],
        protocol: IpProtocol,
        payload: usize,
    ) -> Vec<u8> {
        let ip = IpRepr::new(source, destination, protocol, payload, 64);
        let mut frame = vec![0; ETHERNET_HEADER_LEN + ip.buffer_len()];
        let is_v4 = matches!(source, IpAddress::Ipv4(_));
        let ethertype = if is_v4 { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 };
        let (src_addr, dst_addr) = (EthernetAddress([2; 6]), EthernetAddress([4; 6]));
        EthernetRepr { src_addr, dst_addr, ethertype }
            .emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
        ip.emit(&mut frame[ETHERNET_HEADER_LEN..], &ChecksumCapabilities::default());
        frame
    }

    /// A segment with options, with the checksum in it or with 0.
    fn tcp(ends: [IpAddress; 2], text: &[u8], checksums: &ChecksumCapabilities) -> Vec<u8> {
        let segment = TcpRepr {
            src_port: 21,
            dst_port: 40_000,
            control: TcpControl::Psh,
            seq_number: TcpSeqNumber(1),
            ack_number: Some(TcpSeqNumber(2)),
            window_len: 1000,
            window_scale: None,
            max_seg_size: Some(1460),
            sack_permitted: true,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: text,
        };
        let mut frame = frame(ends, IpProtocol::Tcp, segment.buffer_len());
        let start = frame.len() - segment.buffer_len();
        let mut packet = TcpPacket::new_unchecked(&mut frame[start..]);
        segment.emit(&mut packet, &ends[0], &ends[1], checksums);
        frame
    }

    fn udp(ends: [IpAddress; 2], text: &[u8]) -> Vec<u8> {
        let datagram = UdpRepr { src_port: 7, dst_port: 40_000 };
        let len = datagram.header_len() + text.len();
        let mut frame = frame(ends, IpProtocol::Udp, len);
        let start = frame.len() - len;
        datagram.emit(
            &mut UdpPacket::new_unchecked(&mut frame[start..]),
            &ends[0],
            &ends[1],
            text.len(),
            |place| place.copy_from_slice(text),
            &ChecksumCapabilities::default(),
        );
        frame
    }

    fn words(header: &[u8]) -> Vec<u16> {
        header[2..].chunks(2).map(|two| u16::from_ne_bytes([two[0], two[1]])).collect()
    }

    /// What the kernel does with the task (virtio 1.3 section 5.1.6.2): the sum from `csum_start`
    /// on, put where the header says.
    fn complete(header: &[u8], frame: &mut [u8]) {
        let [_, _, start, offset] = words(header)[..] else { panic!("ten bytes") };
        let start = usize::from(start);
        let sum = frame[start..].chunks(2).fold(0, |sum: u32, two| {
            sum + u32::from(u16::from_be_bytes([two[0], *two.get(1).unwrap_or(&0)]))
        });
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
        let place = start + usize::from(offset);
        frame[place..place + 2].copy_from_slice(&sum.to_be_bytes());
    }

    #[test]
    fn the_kernel_gets_to_the_checksum_that_is_right() {
        for ends in [V4, V6] {
            for len in [0, 1, 1460, 60_001] {
                let text: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
                let mut frame = tcp(ends, &text, &ChecksumCapabilities::ignored());
                let mut header = [0xff; HEADER_LEN];
                delegate(&mut header, &mut frame, None);
                let start = frame.len() - 28 - len;
                assert_eq!((header[0], header[1]), (NEEDS_CSUM, 0));
                assert_eq!(words(&header), [start as u16 + 28, 0, start as u16, 16]);
                complete(&header, &mut frame);
                assert!(frame == tcp(ends, &text, &ChecksumCapabilities::default()));
            }
        }
    }

    #[test]
    fn a_frame_of_several_segments_says_of_what_size() {
        let mut frame = tcp(V4, &[0; 10_000], &ChecksumCapabilities::ignored());
        let mut header = [0; HEADER_LEN];
        delegate(&mut header, &mut frame, Some(1448));
        assert_eq!((header[0], header[1]), (NEEDS_CSUM, GSO_TCPV4));
        assert_eq!(words(&header), [14 + 20 + 28, 1448, 14 + 20, 16]);
    }

    #[test]
    fn what_is_no_tcp_stays_as_it_is() {
        let mut fragment = tcp(V4, b"words", &ChecksumCapabilities::ignored());
        fragment[ETHERNET_HEADER_LEN + 6] |= 0x20;
        let mut cut_off = tcp(V4, b"words", &ChecksumCapabilities::ignored());
        cut_off.truncate(50);
        for frame in [udp(V4, b"words"), udp(V6, b"words"), fragment, cut_off, vec![0; 10], vec![]]
        {
            let (mut header, mut sent) = ([0xff; HEADER_LEN], frame.clone());
            delegate(&mut header, &mut sent, None);
            assert_eq!((header, sent), ([0; HEADER_LEN], frame));
        }
    }

    #[test]
    fn a_checksum_counts_unless_the_kernel_vouches_for_it() {
        let (nothing, unfinished, verified) = ([0; 10], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0], [2; 10]);
        for ends in [V4, V6] {
            let checksums = ChecksumCapabilities::default();
            for whole in [tcp(ends, b"words", &checksums), udp(ends, b"words")] {
                assert!(is_whole(&nothing, &whole));
                let mut spoilt = whole.clone();
                *spoilt.last_mut().unwrap() ^= 1;
                assert!(!is_whole(&nothing, &spoilt));
                assert!(is_whole(&unfinished, &spoilt) && is_whole(&verified, &spoilt));
            }
        }
        // A datagram over IPv4 may go without (RFC 768), and whether one over IPv6 may is not
        // asked here.
        let mut bare = udp(V4, b"words");
        let at = ETHERNET_HEADER_LEN + 20 + UDP_CHECKSUM;
        bare[at..at + 2].fill(0);
        assert!(is_whole(&nothing, &bare));
    }

    #[test]
    fn what_has_no_such_checksum_is_let_through() {
        let mut arp = vec![0; 60];
        arp[12..14].copy_from_slice(&[8, 6]);
        let icmp = frame(V4, IpProtocol::Icmp, 8);
        for frame in [arp, icmp, vec![], vec![0; 20]] {
            assert!(is_whole(&[0; HEADER_LEN], &frame));
        }
        assert!(!is_whole(&[0; HEADER_LEN], &frame(V4, IpProtocol::Tcp, 10)));
    }
}
