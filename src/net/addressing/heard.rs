//! What a frame says about addresses: read before smoltcp sees it.

#[cfg(feature = "ipv4")]
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr};
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress};
#[cfg(feature = "ipv6")]
use smoltcp::{
    config::IFACE_MAX_ADDR_COUNT,
    wire::{
        Icmpv6Message, Icmpv6Packet, IpProtocol, Ipv6Address, Ipv6Packet, NdiscOption,
        NdiscOptionRepr, NdiscPrefixInformation as PrefixInformation,
    },
};

#[cfg(feature = "ipv6")]
use crate::time::Duration;

/// What somebody says.
// There is one at a time.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// That it has an address; and it may ask for one, too.
    Claim { address: IpAddress, by: EthernetAddress, asks: Option<IpAddress> },
    /// That it would like to have an address.
    Want { address: IpAddress, by: EthernetAddress },
    /// That it is a router, and what is to be known of the link.
    #[cfg(feature = "ipv6")]
    Router(Advertisement),
    /// That everybody is to say which groups they are in, within this time.
    #[cfg(feature = "ipv6")]
    Query(Duration),
}

/// A router's advertisement (RFC 4861 section 4.2).
#[cfg(feature = "ipv6")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertisement {
    pub router: Ipv6Address,
    /// For how long it may be used for what goes further.
    pub lifetime: Duration,
    /// As many of them as there can be addresses.
    pub prefixes: heapless::Vec<PrefixInformation, IFACE_MAX_ADDR_COUNT>,
}

/// The hardware address that a frame is from.
pub fn source(frame: &[u8]) -> Option<EthernetAddress> {
    Some(EthernetFrame::new_checked(frame).ok()?.src_addr())
}

/// Reads a frame.
pub fn read(frame: &[u8]) -> Option<Heard> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    let by = frame.src_addr();
    match frame.ethertype() {
        #[cfg(feature = "ipv4")]
        EthernetProtocol::Arp => read_arp(frame.payload(), by),
        #[cfg(feature = "ipv6")]
        EthernetProtocol::Ipv6 => read_ipv6(frame.payload(), by),
        _ => None,
    }
}

/// RFC 5227 section 1.1: a probe is a request from nobody.
#[cfg(feature = "ipv4")]
fn read_arp(packet: &[u8], by: EthernetAddress) -> Option<Heard> {
    let packet = ArpPacket::new_checked(packet).ok()?;
    let Ok(ArpRepr::EthernetIpv4 {
        operation,
        source_protocol_addr: source,
        target_protocol_addr: target,
        ..
    }) = ArpRepr::parse(&packet)
    else {
        return None;
    };
    let is_request = operation == ArpOperation::Request;
    if source.is_unspecified() {
        return is_request.then_some(Heard::Want { address: target.into(), by });
    }
    let asks = is_request.then_some(target.into());
    Some(Heard::Claim { address: source.into(), by, asks })
}

#[cfg(feature = "ipv6")]
fn read_ipv6(packet: &[u8], by: EthernetAddress) -> Option<Heard> {
    let packet = Ipv6Packet::new_checked(packet).ok()?;
    let ends = (packet.src_addr(), packet.dst_addr());
    match packet.next_header() {
        // RFC 4861 sections 6.1 and 7.1: what came through a router is none of ours.
        IpProtocol::Icmpv6 if packet.hop_limit() == 255 => {
            read_discovery(packet.payload(), ends, by)
        }
        IpProtocol::HopByHop if packet.hop_limit() == 1 => read_query(packet.payload(), ends),
        _ => None,
    }
}

#[cfg(feature = "ipv6")]
fn read_discovery(
    message: &[u8],
    (source, destination): (Ipv6Address, Ipv6Address),
    by: EthernetAddress,
) -> Option<Heard> {
    let packet = whole(message, source, destination)?;
    // RFC 4861 sections 6.1 and 7.1: code 0, and no option without a length.
    if packet.msg_code() != 0 || Options(packet.payload()).any(|option| option.is_err()) {
        return None;
    }
    match packet.msg_type() {
        Icmpv6Message::NeighborSolicit if source.is_unspecified() => {
            Some(Heard::Want { address: packet.target_addr().into(), by })
        }
        Icmpv6Message::NeighborSolicit => {
            let asks = Some(packet.target_addr().into());
            Some(Heard::Claim { address: source.into(), by, asks })
        }
        Icmpv6Message::NeighborAdvert => {
            Some(Heard::Claim { address: packet.target_addr().into(), by, asks: None })
        }
        Icmpv6Message::RouterAdvert if source.is_unicast_link_local() => {
            let lifetime = packet.router_lifetime().into();
            let prefixes = prefixes(packet.payload());
            Some(Heard::Router(Advertisement { router: source, lifetime, prefixes }))
        }
        _ => None,
    }
}

#[cfg(feature = "ipv6")]
fn prefixes(options: &[u8]) -> heapless::Vec<PrefixInformation, IFACE_MAX_ADDR_COUNT> {
    let prefix = |option| match NdiscOptionRepr::parse(&NdiscOption::new_unchecked(option)) {
        Ok(NdiscOptionRepr::PrefixInformation(prefix)) => Some(prefix),
        _ => None,
    };
    Options(options).flatten().filter_map(prefix).take(IFACE_MAX_ADDR_COUNT).collect()
}

/// A question of RFC 3810 section 5.1, or of RFC 2710 section 3 (version 1), behind a hop-by-hop
/// options header (RFC 3810 section 5), from this link (section 6.2).
#[cfg(feature = "ipv6")]
fn read_query(packet: &[u8], (source, destination): (Ipv6Address, Ipv6Address)) -> Option<Heard> {
    let (&[next, len], _) = packet.split_first_chunk()?;
    let message = packet.get((usize::from(len) + 1) * 8..)?;
    if next != u8::from(IpProtocol::Icmpv6) || !source.is_unicast_link_local() {
        return None;
    }
    let &[kind, _, _, _, high, low, ..] = message else { return None };
    let code = u16::from_be_bytes([high, low]);
    // RFC 3810 section 8.1: the length tells the version.
    let within = match message.len() {
        24 => Duration::from_millis(code.into()),
        28.. => maximum_response_delay(code),
        _ => return None,
    };
    // smoltcp knows version 2 only, and finds the other too short.
    let is_whole = Icmpv6Packet::new_unchecked(message).verify_checksum(&source, &destination);
    (kind == u8::from(Icmpv6Message::MldQuery) && is_whole).then_some(Heard::Query(within))
}

/// RFC 3810 section 5.1.3: milliseconds, or a floating-point number of them.
#[cfg(feature = "ipv6")]
fn maximum_response_delay(code: u16) -> Duration {
    let code = u64::from(code);
    let millis =
        if code < 0x8000 { code } else { (code & 0xfff | 0x1000) << ((code >> 12 & 7) + 3) };
    Duration::from_millis(millis)
}

#[cfg(feature = "ipv6")]
fn whole(
    message: &[u8],
    source: Ipv6Address,
    destination: Ipv6Address,
) -> Option<Icmpv6Packet<&[u8]>> {
    let packet = Icmpv6Packet::new_checked(message).ok()?;
    packet.verify_checksum(&source, &destination).then_some(packet)
}

/// The options of a message of neighbor discovery (RFC 4861 section 4.6).
#[cfg(feature = "ipv6")]
struct Options<'f>(&'f [u8]);

/// An option that has no length, or more than there is.
#[cfg(feature = "ipv6")]
#[derive(Debug)]
struct Malformed;

#[cfg(feature = "ipv6")]
impl<'f> Iterator for Options<'f> {
    type Item = Result<&'f [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let rest = core::mem::take(&mut self.0);
        let len = rest.get(1).map_or(0, |&octets| usize::from(octets) * 8);
        match rest.split_at_checked(len) {
            Some((option, rest)) if len > 0 => {
                self.0 = rest;
                Some(Ok(option))
            }
            _ => Some(Err(Malformed)),
        }
    }
}
