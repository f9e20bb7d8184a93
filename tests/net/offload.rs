//! A device with offload: it computes the checksums of TCP, cuts what is sent into segments, and
//! merges the segments that come; of the checksums of TCP and UDP nothing is left there.

use std::collections::VecDeque;

use smoltcp::phy::{Checksum, DeviceCapabilities};
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
    UdpPacket,
};

#[cfg(feature = "host")]
use crate::client::{Client, Mode};
#[cfg(feature = "host")]
use crate::sim::{Port, Shape, World, pattern};

const ETHERNET: usize = 14;
/// Bytes of the longest frame.
pub const LONGEST: usize = 65_535 + ETHERNET;

/// What such a device says of itself.
pub fn declare(capabilities: &mut DeviceCapabilities) {
    capabilities.checksum.tcp = Checksum::None;
    capabilities.checksum.udp = Checksum::Tx;
    #[cfg(feature = "host")]
    {
        capabilities.segmentation.tcpv4 = std::num::NonZeroUsize::new(LONGEST);
    }
}

/// The frames that go over the wire for one that was sent, `size` bytes of payload in each if that
/// was said. Without, none may be longer than the MTU.
pub fn cut(frame: Vec<u8>, size: Option<usize>, mtu: usize) -> Vec<Vec<u8>> {
    assert!(frame.len() <= LONGEST, "{} bytes", frame.len());
    assert!(size.is_some() || frame.len() <= ETHERNET + mtu, "{} bytes", frame.len());
    let Some(packet) = Packet::read(&frame) else { return vec![frame] };
    let text = &frame[packet.payload..];
    let size = size.unwrap_or(text.len()).max(1);
    assert!(packet.payload - ETHERNET + size <= mtu, "segments of {size} bytes");
    let pieces = text.len().div_ceil(size).max(1);
    let segment = |nth: usize| {
        let end = text.len().min((nth + 1) * size);
        packet.segment(&frame, nth * size..end, nth + 1 == pieces)
    };
    (0..pieces).map(segment).collect()
}

/// Makes one frame of those that follow each other, where a device would; what is left has lost
/// its checksums.
pub fn merge(inbox: &mut VecDeque<Vec<u8>>) {
    let mut merged: VecDeque<Vec<u8>> = VecDeque::new();
    for frame in inbox.drain(..) {
        match merged.back_mut() {
            Some(last) if follows(last, &frame) => append(last, &frame),
            _ => merged.push_back(frame),
        }
    }
    merged.iter_mut().for_each(|frame| spoil_checksum(frame));
    *inbox = merged;
}

fn spoil_checksum(frame: &mut [u8]) {
    let Some((_, protocol, start)) = read_ip(frame) else { return };
    match protocol {
        IpProtocol::Tcp => TcpPacket::new_unchecked(&mut frame[start..]).set_checksum(0x5555),
        IpProtocol::Udp => UdpPacket::new_unchecked(&mut frame[start..]).set_checksum(0x5555),
        _ => {}
    }
}

/// Whether two frames are segments of one connection with nothing between them, and no more than
/// that.
fn follows(one: &[u8], other: &[u8]) -> bool {
    let (Some(first), Some(second)) = (Packet::read(one), Packet::read(other)) else {
        return false;
    };
    let (head, tail) = (first.tcp(one), second.tcp(other));
    let is_plain = |segment: &TcpPacket<&[u8]>| {
        segment.ack() && !(segment.syn() || segment.fin() || segment.rst() || segment.urg())
    };
    let len = head.payload().len();
    one[..12] == other[..12]
        && (first.ends, first.payload) == (second.ends, second.payload)
        && (head.src_port(), head.dst_port()) == (tail.src_port(), tail.dst_port())
        && is_plain(&head)
        && is_plain(&tail)
        && head.options() == tail.options()
        && len > 0
        && !tail.payload().is_empty()
        && tail.seq_number() == head.seq_number() + len
        && one.len() + tail.payload().len() <= LONGEST
}

fn append(frame: &mut Vec<u8>, other: &[u8]) {
    let packet = Packet::read(frame).unwrap();
    let (ack, window) = {
        let tail = Packet::read(other).unwrap().tcp(other);
        frame.extend_from_slice(tail.payload());
        (tail.ack_number(), tail.window_len())
    };
    let mut segment = TcpPacket::new_unchecked(&mut frame[packet.start..]);
    segment.set_ack_number(ack);
    segment.set_window_len(window);
    packet.set_length(frame);
}

/// Where a TCP segment is in its frame.
struct Packet {
    ends: (IpAddress, IpAddress),
    /// Where its header begins.
    start: usize,
    /// Where its payload begins.
    payload: usize,
}

/// The addresses of an IP packet, the protocol in it, and where that begins in the frame.
fn read_ip(frame: &[u8]) -> Option<((IpAddress, IpAddress), IpProtocol, usize)> {
    match EthernetFrame::new_checked(frame).ok()?.ethertype() {
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(&frame[ETHERNET..]).ok()?;
            let ends = (packet.src_addr().into(), packet.dst_addr().into());
            Some((ends, packet.next_header(), ETHERNET + usize::from(packet.header_len())))
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(&frame[ETHERNET..]).ok()?;
            let ends = (packet.src_addr().into(), packet.dst_addr().into());
            Some((ends, packet.next_header(), ETHERNET + packet.header_len()))
        }
        _ => None,
    }
}

impl Packet {
    fn read(frame: &[u8]) -> Option<Self> {
        let (ends, protocol, start) = read_ip(frame)?;
        if protocol != IpProtocol::Tcp {
            return None;
        }
        let segment = TcpPacket::new_checked(frame.get(start..)?).ok()?;
        let payload = start + usize::from(segment.header_len());
        Some(Self { ends, start, payload })
    }

    fn tcp<'f>(&self, frame: &'f [u8]) -> TcpPacket<&'f [u8]> {
        TcpPacket::new_unchecked(&frame[self.start..])
    }

    /// One segment of a frame, whole. What is said once is said in the last.
    fn segment(&self, frame: &[u8], piece: std::ops::Range<usize>, is_last: bool) -> Vec<u8> {
        let text = &frame[self.payload..][piece.clone()];
        let mut segment = [&frame[..self.payload], text].concat();
        self.set_length(&mut segment);
        let mut tcp = TcpPacket::new_unchecked(&mut segment[self.start..]);
        let first = tcp.seq_number();
        tcp.set_seq_number(first + piece.start);
        tcp.set_fin(tcp.fin() && is_last);
        tcp.set_psh(tcp.psh() && is_last);
        tcp.fill_checksum(&self.ends.0, &self.ends.1);
        segment
    }

    fn set_length(&self, frame: &mut [u8]) {
        let len = frame.len() - ETHERNET;
        match self.ends.0 {
            IpAddress::Ipv4(_) => {
                let mut packet = Ipv4Packet::new_unchecked(&mut frame[ETHERNET..]);
                packet.set_total_len(len.try_into().unwrap());
                packet.fill_checksum();
            }
            IpAddress::Ipv6(_) => {
                let mut packet = Ipv6Packet::new_unchecked(&mut frame[ETHERNET..]);
                packet.set_payload_len((len - 40).try_into().unwrap());
            }
        }
    }
}

#[cfg(feature = "host")]
#[test]
fn frames_are_longer_than_the_mtu_in_both_directions() {
    let file = pattern(1024 * 1024, 1);
    let mut w = World::with_files(Shape::OFFLOAD, &[("/down", &file)]);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    assert!(client.retrieve(&mut w, Mode::Pasv, "down") == file);
    client.store(&mut w, Mode::Pasv, "up", &file);
    // What the client's window lets through, and what it sends at once.
    let Port { longest_sent, longest_received, .. } = w.server.port;
    assert!(longest_sent > 30_000, "{longest_sent}");
    assert!(longest_received > 30_000, "{longest_received}");
    client.quit(&mut w);
    w.finish();
}
