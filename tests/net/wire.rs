//! Frames: written, and read, with smoltcp's wire formats.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress, IpProtocol,
    Ipv4Address, Ipv4Packet, Ipv4Repr, Ipv6Address, Ipv6Packet, Ipv6Repr, MldAddressRecord,
    MldRecordType, MldRepr, NdiscNeighborFlags, NdiscOption, NdiscOptionRepr,
    NdiscPrefixInformation, NdiscRepr, NdiscRouterFlags, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber, UdpPacket, UdpRepr,
};

pub type Mac = EthernetAddress;
pub type End = (IpAddress, u16);

/// A TCP segment, all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub source: End,
    pub target: End,
    pub syn: bool,
    pub ack: bool,
    pub rst: bool,
    pub fin: bool,
    pub seq: u32,
    pub ack_number: u32,
    pub window: u16,
    pub scale: Option<u8>,
    pub mss: Option<u16>,
    pub sack: bool,
    pub payload: Vec<u8>,
}

impl Segment {
    pub fn new(source: End, target: End) -> Self {
        Self {
            source,
            target,
            syn: false,
            ack: false,
            rst: false,
            fin: false,
            seq: 0,
            ack_number: 0,
            window: 65_535,
            scale: None,
            mss: None,
            sack: false,
            payload: Vec::new(),
        }
    }

    /// Its flags, as in "SYN|ACK"; a segment without any of these four is "".
    pub fn flags(&self) -> String {
        let flags = [(self.syn, "SYN"), (self.fin, "FIN"), (self.rst, "RST"), (self.ack, "ACK")];
        let set: Vec<&str> = flags.iter().filter(|flag| flag.0).map(|flag| flag.1).collect();
        set.join("|")
    }

    pub fn frame(&self, from: Mac, to: Mac) -> Vec<u8> {
        let repr = TcpRepr {
            src_port: self.source.1,
            dst_port: self.target.1,
            control: TcpControl::None,
            seq_number: TcpSeqNumber(self.seq as i32),
            ack_number: self.ack.then_some(TcpSeqNumber(self.ack_number as i32)),
            window_len: self.window,
            window_scale: self.scale,
            max_seg_size: self.mss,
            sack_permitted: self.sack,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &self.payload,
        };
        let mut bytes = vec![0; repr.buffer_len()];
        let (source, target) = (self.source.0, self.target.0);
        let mut packet = TcpPacket::new_unchecked(&mut bytes[..]);
        repr.emit(&mut packet, &source, &target, &ChecksumCapabilities::ignored());
        packet.set_syn(self.syn);
        packet.set_rst(self.rst);
        packet.set_fin(self.fin);
        packet.fill_checksum(&source, &target);
        ip(source, target, IpProtocol::Tcp, &bytes, from, to)
    }
}

/// An IP packet of either version in an Ethernet frame.
pub fn ip(
    source: IpAddress,
    target: IpAddress,
    protocol: IpProtocol,
    payload: &[u8],
    from: Mac,
    to: Mac,
) -> Vec<u8> {
    let mut packet = vec![0; 40 + payload.len()];
    let ethertype = match (source, target) {
        (IpAddress::Ipv4(src_addr), IpAddress::Ipv4(dst_addr)) => {
            packet.truncate(20 + payload.len());
            let (next_header, payload_len) = (protocol, payload.len());
            let repr = Ipv4Repr { src_addr, dst_addr, next_header, payload_len, hop_limit: 64 };
            let mut view = Ipv4Packet::new_unchecked(&mut packet[..]);
            repr.emit(&mut view, &ChecksumCapabilities::default());
            EthernetProtocol::Ipv4
        }
        (IpAddress::Ipv6(src_addr), IpAddress::Ipv6(dst_addr)) => {
            let (next_header, payload_len) = (protocol, payload.len());
            // Neighbor discovery wants 255, and nothing else minds.
            let repr = Ipv6Repr { src_addr, dst_addr, next_header, payload_len, hop_limit: 255 };
            repr.emit(&mut Ipv6Packet::new_unchecked(&mut packet[..]));
            EthernetProtocol::Ipv6
        }
        _ => panic!("{source} and {target} are of different versions"),
    };
    let header = packet.len() - payload.len();
    packet[header..].copy_from_slice(payload);
    ethernet(from, to, ethertype, &packet)
}

pub fn ethernet(from: Mac, to: Mac, ethertype: EthernetProtocol, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 14 + payload.len()];
    let repr = EthernetRepr { src_addr: from, dst_addr: to, ethertype };
    repr.emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
    frame[14..].copy_from_slice(payload);
    frame
}

/// An ARP packet; a request if `to` is everybody.
pub fn arp(from: (Ipv4Address, Mac), to: (Ipv4Address, Mac)) -> Vec<u8> {
    let request = to.1 == Mac::BROADCAST;
    let repr = ArpRepr::EthernetIpv4 {
        operation: if request { ArpOperation::Request } else { ArpOperation::Reply },
        source_hardware_addr: from.1,
        source_protocol_addr: from.0,
        target_hardware_addr: if request { EthernetAddress([0; 6]) } else { to.1 },
        target_protocol_addr: to.0,
    };
    let mut bytes = vec![0; repr.buffer_len()];
    repr.emit(&mut ArpPacket::new_unchecked(&mut bytes[..]));
    ethernet(from.1, to.1, EthernetProtocol::Arp, &bytes)
}

/// A question whether somebody has an IPv4 address, from nobody.
pub fn probe(address: Ipv4Address, by: Mac) -> Vec<u8> {
    arp((Ipv4Address::UNSPECIFIED, by), (address, Mac::BROADCAST))
}

/// A question whether somebody has an IPv6 address, from nobody.
pub fn probe6(address: Ipv6Address, by: Mac) -> Vec<u8> {
    let repr = NdiscRepr::NeighborSolicit { target_addr: address, lladdr: None };
    let [.., a, b, c] = address.octets();
    let group =
        Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let to = (group, EthernetAddress([0x33, 0x33, 0xff, a, b, c]));
    icmpv6(Icmpv6Repr::Ndisc(repr), (Ipv6Address::UNSPECIFIED, by), to)
}

/// A neighbor advertisement: what answers a solicitation.
pub fn neighbor(from: (Ipv6Address, Mac), to: (Ipv6Address, Mac)) -> Vec<u8> {
    icmpv6(
        Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
            flags: NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE,
            target_addr: from.0,
            lladdr: Some(from.1.into()),
        }),
        from,
        to,
    )
}

pub fn ping(from: (IpAddress, Mac), to: (IpAddress, Mac), data: &[u8]) -> Vec<u8> {
    match (from.0, to.0) {
        (IpAddress::Ipv4(_), _) => {
            let repr = Icmpv4Repr::EchoRequest { ident: 7, seq_no: 1, data };
            let mut bytes = vec![0; repr.buffer_len()];
            let mut packet = Icmpv4Packet::new_unchecked(&mut bytes[..]);
            repr.emit(&mut packet, &ChecksumCapabilities::default());
            ip(from.0, to.0, IpProtocol::Icmp, &bytes, from.1, to.1)
        }
        (IpAddress::Ipv6(source), IpAddress::Ipv6(target)) => {
            let repr = Icmpv6Repr::EchoRequest { ident: 7, seq_no: 1, data };
            icmpv6(repr, (source, from.1), (target, to.1))
        }
        _ => panic!("two versions of IP"),
    }
}

pub fn icmpv6(repr: Icmpv6Repr<'_>, from: (Ipv6Address, Mac), to: (Ipv6Address, Mac)) -> Vec<u8> {
    let mut bytes = vec![0; repr.buffer_len()];
    let mut packet = Icmpv6Packet::new_unchecked(&mut bytes[..]);
    repr.emit(&from.0, &to.0, &mut packet, &ChecksumCapabilities::default());
    ip(from.0.into(), to.0.into(), IpProtocol::Icmpv6, &bytes, from.1, to.1)
}

/// A UDP datagram, with its checksum.
/// A router's advertisement (RFC 4861 section 4.2), to everybody.
pub fn advertisement(
    router: (Ipv6Address, Mac),
    lifetime: u64,
    prefixes: &[NdiscPrefixInformation],
) -> Vec<u8> {
    let mut options = Vec::new();
    for &prefix in prefixes {
        let repr = NdiscOptionRepr::PrefixInformation(prefix);
        let mut option = vec![0; repr.buffer_len()];
        repr.emit(&mut NdiscOption::new_unchecked(&mut option[..]));
        options.extend(option);
    }
    advertisement_with(router, lifetime, &options)
}

/// The same, with any options.
pub fn advertisement_with(router: (Ipv6Address, Mac), lifetime: u64, options: &[u8]) -> Vec<u8> {
    let repr = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
        hop_limit: 64,
        flags: NdiscRouterFlags::empty(),
        router_lifetime: smoltcp::time::Duration::from_secs(lifetime),
        reachable_time: smoltcp::time::Duration::ZERO,
        retrans_time: smoltcp::time::Duration::ZERO,
        lladdr: None,
        mtu: None,
        prefix_info: None,
    });
    let to =
        (Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1), EthernetAddress([0x33, 0x33, 0, 0, 0, 1]));
    let mut bytes = vec![0; repr.buffer_len()];
    let mut packet = Icmpv6Packet::new_unchecked(&mut bytes[..]);
    repr.emit(&router.0, &to.0, &mut packet, &ChecksumCapabilities::default());
    bytes.extend(options);
    Icmpv6Packet::new_unchecked(&mut bytes[..]).fill_checksum(&router.0, &to.0);
    ip(router.0.into(), to.0.into(), IpProtocol::Icmpv6, &bytes, router.1, to.1)
}

/// A message about groups, as MLD wants it (RFC 3810 section 5).
pub fn behind_router_alert(
    repr: MldRepr<'_>,
    from: (Ipv6Address, Mac),
    to: (Ipv6Address, Mac),
    hop_limit: u8,
) -> Vec<u8> {
    let repr = Icmpv6Repr::Mld(repr);
    let mut message = vec![0; repr.buffer_len()];
    let mut packet = Icmpv6Packet::new_unchecked(&mut message[..]);
    repr.emit(&from.0, &to.0, &mut packet, &ChecksumCapabilities::default());
    message_behind_router_alert(message, from, to, hop_limit)
}

/// The same, of any bytes, but for the checksum.
pub fn message_behind_router_alert(
    mut message: Vec<u8>,
    from: (Ipv6Address, Mac),
    to: (Ipv6Address, Mac),
    hop_limit: u8,
) -> Vec<u8> {
    Icmpv6Packet::new_unchecked(&mut message[..]).fill_checksum(&from.0, &to.0);
    let mut bytes = vec![58, 0, 5, 2, 0, 0, 1, 0];
    bytes.extend(message);
    let mut frame = ip(from.0.into(), to.0.into(), IpProtocol::HopByHop, &bytes, from.1, to.1);
    frame[14 + 7] = hop_limit;
    frame
}

/// Makes the checksums right of a frame that was changed, as far as it can be read.
#[cfg(feature = "dhcp")]
pub fn repair(frame: &mut [u8]) {
    let Ok(mut frame) = EthernetFrame::new_checked(frame) else { return };
    match frame.ethertype() {
        EthernetProtocol::Ipv4 => {
            let Ok(mut packet) = Ipv4Packet::new_checked(frame.payload_mut()) else { return };
            packet.fill_checksum();
            let (source, target) = (packet.src_addr().into(), packet.dst_addr().into());
            if let Ok(mut datagram) = UdpPacket::new_checked(packet.payload_mut()) {
                datagram.fill_checksum(&source, &target);
            }
        }
        EthernetProtocol::Ipv6 => {
            let Ok(mut packet) = Ipv6Packet::new_checked(frame.payload_mut()) else { return };
            let (source, target) = (packet.src_addr(), packet.dst_addr());
            let skip = if packet.next_header() == IpProtocol::HopByHop { 8 } else { 0 };
            let Some(message) = packet.payload_mut().get_mut(skip..) else { return };
            if let Ok(mut message) = Icmpv6Packet::new_checked(message) {
                message.fill_checksum(&source, &target);
            }
        }
        _ => {}
    }
}

pub fn udp(from: (End, Mac), to: (End, Mac), payload: &[u8]) -> Vec<u8> {
    let ((source, target), (source_mac, target_mac)) = ((from.0, to.0), (from.1, to.1));
    let repr = UdpRepr { src_port: source.1, dst_port: target.1 };
    let mut bytes = vec![0; 8 + payload.len()];
    repr.emit(
        &mut UdpPacket::new_unchecked(&mut bytes[..]),
        &source.0,
        &target.0,
        payload.len(),
        |room| room.copy_from_slice(payload),
        &ChecksumCapabilities::default(),
    );
    ip(source.0, target.0, IpProtocol::Udp, &bytes, source_mac, target_mac)
}

/// A frame that was sent, as far as the tests ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Tcp(Segment),
    ArpRequest(Ipv4Address),
    ArpReply(Ipv4Address),
    Solicit(Ipv6Address),
    Advert(Ipv6Address),
    /// A question whether somebody has an address, from nobody.
    Probe(IpAddress),
    /// News for all that an address is ours.
    Announcement(IpAddress),
    RouterSolicit,
    /// Multicast groups, in an MLD report: those that it is in, and those that it has left.
    Groups(Vec<Ipv6Address>, Vec<Ipv6Address>),
    Pong(IpAddress, Vec<u8>),
    PortUnreachable(IpAddress),
    Icmp(IpAddress),
    Udp(Message),
}

/// A UDP datagram, all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub source: End,
    pub target: End,
    /// The hardware address that it is for.
    pub to: Mac,
    pub hop_limit: u8,
    pub payload: Vec<u8>,
}

/// Reads a frame of the server's; it must be whole, with every checksum right.
pub fn read(frame: &[u8]) -> Seen {
    let frame = EthernetFrame::new_checked(frame).unwrap();
    let to = frame.dst_addr();
    let caps = ChecksumCapabilities::default();
    match frame.ethertype() {
        EthernetProtocol::Arp => {
            let packet = ArpPacket::new_checked(frame.payload()).unwrap();
            let ArpRepr::EthernetIpv4 {
                operation,
                source_protocol_addr: source,
                target_protocol_addr: target,
                ..
            } = ArpRepr::parse(&packet).unwrap()
            else {
                panic!("{packet:?}")
            };
            match operation {
                ArpOperation::Request if source.is_unspecified() => Seen::Probe(target.into()),
                ArpOperation::Request if source == target => Seen::Announcement(target.into()),
                ArpOperation::Request => Seen::ArpRequest(target),
                _ => Seen::ArpReply(target),
            }
        }
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(frame.payload()).unwrap();
            let repr = Ipv4Repr::parse(&packet, &caps).unwrap();
            let (source, target) = (repr.src_addr.into(), repr.dst_addr.into());
            match repr.next_header {
                IpProtocol::Tcp => read_tcp(source, target, packet.payload()),
                IpProtocol::Icmp => {
                    let packet = Icmpv4Packet::new_checked(packet.payload()).unwrap();
                    assert!(packet.verify_checksum());
                    // Of an error message smoltcp wants more than a whole header to be quoted.
                    match Icmpv4Repr::parse(&packet, &caps) {
                        Ok(Icmpv4Repr::EchoReply { data, .. }) => Seen::Pong(target, data.to_vec()),
                        // RFC 792: destination unreachable, port unreachable.
                        _ if (packet.msg_type(), packet.msg_code()) == (3.into(), 3) => {
                            Seen::PortUnreachable(target)
                        }
                        _ => Seen::Icmp(target),
                    }
                }
                IpProtocol::Udp => read_udp((source, target), to, repr.hop_limit, packet.payload()),
                other => panic!("the server sent {other}"),
            }
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(frame.payload()).unwrap();
            let repr = Ipv6Repr::parse(&packet).unwrap();
            let (source, target) = (repr.src_addr.into(), repr.dst_addr.into());
            match repr.next_header {
                IpProtocol::Tcp => read_tcp(source, target, packet.payload()),
                IpProtocol::Icmpv6 => {
                    let icmp = Icmpv6Packet::new_checked(packet.payload()).unwrap();
                    assert!(icmp.verify_checksum(&repr.src_addr, &repr.dst_addr));
                    match Icmpv6Repr::parse(&repr.src_addr, &repr.dst_addr, &icmp, &caps) {
                        Ok(Icmpv6Repr::EchoReply { data, .. }) => Seen::Pong(target, data.to_vec()),
                        Ok(Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit {
                            target_addr, ..
                        })) if repr.src_addr.is_unspecified() => Seen::Probe(target_addr.into()),
                        Ok(Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit {
                            target_addr, ..
                        })) => Seen::Solicit(target_addr),
                        Ok(Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
                            target_addr, ..
                        })) if repr.dst_addr.is_multicast() => {
                            Seen::Announcement(target_addr.into())
                        }
                        Ok(Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
                            target_addr, ..
                        })) => Seen::Advert(target_addr),
                        // RFC 4443 section 3.1: the same.
                        _ if (icmp.msg_type(), icmp.msg_code()) == (1.into(), 4) => {
                            Seen::PortUnreachable(target)
                        }
                        Ok(Icmpv6Repr::Ndisc(NdiscRepr::RouterSolicit { .. })) => {
                            Seen::RouterSolicit
                        }
                        _ => Seen::Icmp(target),
                    }
                }
                IpProtocol::Udp => read_udp((source, target), to, repr.hop_limit, packet.payload()),
                IpProtocol::HopByHop => read_report(&repr, packet.payload()),
                other => panic!("the server sent {other}"),
            }
        }
        other => panic!("the server sent {other}"),
    }
}

fn read_udp(ends: (IpAddress, IpAddress), to: Mac, hop_limit: u8, datagram: &[u8]) -> Seen {
    let packet = UdpPacket::new_checked(datagram).unwrap();
    assert!(packet.checksum() != 0 && packet.verify_checksum(&ends.0, &ends.1));
    Seen::Udp(Message {
        source: (ends.0, packet.src_port()),
        target: (ends.1, packet.dst_port()),
        to,
        hop_limit,
        payload: packet.payload().to_vec(),
    })
}

/// RFC 3810 section 5.2: with a router alert, to all routers of the link and no further.
fn read_report(header: &Ipv6Repr, payload: &[u8]) -> Seen {
    assert_eq!(header.hop_limit, 1);
    assert_eq!(header.dst_addr, Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16));
    assert_eq!(payload[..8], [58, 0, 5, 2, 0, 0, 1, 0]);
    let icmp = Icmpv6Packet::new_checked(&payload[8..]).unwrap();
    assert!(icmp.verify_checksum(&header.src_addr, &header.dst_addr));
    let records = icmp.payload().chunks(20).map(MldAddressRecord::new_unchecked);
    let (left, joined): (Vec<_>, Vec<_>) =
        records.partition(|record| record.record_type() == MldRecordType::ChangeToInclude);
    let groups = |records: Vec<MldAddressRecord<_>>| -> Vec<_> {
        records.iter().map(|record| record.mcast_addr()).collect()
    };
    assert_eq!(joined.len() + left.len(), usize::from(icmp.nr_mcast_addr_rcrds()));
    Seen::Groups(groups(joined), groups(left))
}

fn read_tcp(source: IpAddress, target: IpAddress, payload: &[u8]) -> Seen {
    let packet = TcpPacket::new_checked(payload).unwrap();
    let repr = TcpRepr::parse(&packet, &source, &target, &ChecksumCapabilities::default()).unwrap();
    Seen::Tcp(Segment {
        source: (source, repr.src_port),
        target: (target, repr.dst_port),
        syn: packet.syn(),
        ack: packet.ack(),
        rst: packet.rst(),
        fin: packet.fin(),
        seq: repr.seq_number.0 as u32,
        ack_number: repr.ack_number.map_or(0, |number| number.0 as u32),
        window: repr.window_len,
        scale: repr.window_scale,
        mss: repr.max_seg_size,
        sack: repr.sack_permitted,
        payload: repr.payload.to_vec(),
    })
}
