//! IPv4 addresses that the server chooses for a link on which nobody gives any (RFC 3927).

use smoltcp::wire::{IpAddress, IpCidr, Ipv4Address};
use tinyftp::net::Address;

use crate::addressing::{OTHER, announcement, claim, probe, started};
use crate::sim::{Micros, S, Shape, World};
use crate::told::{assert_told, listen};
use crate::wire::{self, Seen};

const AUTO: &[Address] = &[Address::Auto];
/// How long a DHCP server has to answer, in milliseconds.
const PATIENCE: u64 = if cfg!(feature = "dhcp") { 7000 } else { 0 };

/// The IPv4 address that the server has chosen.
pub fn chosen(w: &World) -> Option<Ipv4Address> {
    w.server.net.addresses().iter().find_map(|cidr| match cidr {
        IpCidr::Ipv4(cidr) if cidr.address().is_link_local() => Some(cidr.address()),
        _ => None,
    })
}

fn only_v4(seen: Vec<(Micros, Seen)>) -> Vec<(Micros, Seen)> {
    let is_v4 = |seen: &Seen| {
        matches!(seen, Seen::Probe(IpAddress::Ipv4(_)) | Seen::Announcement(IpAddress::Ipv4(_)))
    };
    seen.into_iter().filter(|(_, seen)| is_v4(seen)).collect()
}

#[test]
fn an_address_is_chosen_for_the_link() {
    let mut w = started(AUTO);
    let seen = only_v4(w.watch(30 * S));
    let address = chosen(&w).unwrap();
    let [_, _, third, fourth] = address.octets();
    assert!((1..=254).contains(&third), "{third} {fourth}");
    // RFC 3927 sections 2.2.1 and 2.4: three questions, twice the news.
    let times: Vec<u64> = seen.iter().map(|(at, _)| *at).collect();
    let kinds: Vec<Seen> = seen.into_iter().map(|(_, seen)| seen).collect();
    let (asked, told) = (probe(address), announcement(address));
    assert_eq!(kinds, [asked.clone(), asked.clone(), asked, told.clone(), told]);
    assert!((PATIENCE..=PATIENCE + 1000).contains(&times[0]), "{times:?}");
    for pair in times[..3].windows(2) {
        assert!((1000..=2000).contains(&(pair[1] - pair[0])), "{times:?}");
    }
    assert_eq!([times[3] - times[2], times[4] - times[3]], [2000, 2000]);
    let (ours, chosen_one) =
        ("INFO address fe80::ff:fe00:1/64 is ours", format!("INFO address {address}/16 is ours"));
    if cfg!(feature = "dhcp") {
        assert_told(&[ours, "WARN no DHCP server answers yet; it is asked on", &chosen_one]);
    } else {
        assert_told(&[ours, &chosen_one]);
    }
    // Not the same one every time, and the same with the same seed.
    let mut again = started(AUTO);
    again.run(30 * S);
    assert_eq!(chosen(&again), Some(address));
    let shape = Shape { addresses: AUTO, routes: &[], seed: 1, ..Shape::SMALL };
    let mut other = World::started(shape, &[]);
    other.run(30 * S);
    assert_ne!(chosen(&other), Some(address));
}

/// The address that the server asks for, if somebody has it.
fn probed(w: &mut World) -> Ipv4Address {
    loop {
        for seen in w.sent() {
            if let Seen::Probe(IpAddress::Ipv4(address)) = seen {
                return address;
            }
        }
        assert!(w.step());
    }
}

#[test]
fn of_the_addresses_that_others_have_none_is_used() {
    let mut w = started(AUTO);
    let mut address = probed(&mut w);
    let mut tried = vec![address];
    for conflicts in 1..=12 {
        let start = w.now;
        // It is had by somebody, or wanted at the same time.
        w.inject([match conflicts % 2 {
            0 => claim(address),
            _ => wire::probe(address, OTHER),
        }]);
        address = probed(&mut w);
        assert!(!tried.contains(&address));
        tried.push(address);
        // RFC 3927 section 2.2.1: after ten of them, one a minute.
        let waited = w.now - start;
        assert_eq!(waited >= 60 * S, conflicts >= 10, "{conflicts}: {waited}");
        assert_eq!(chosen(&w), None);
    }
    w.run(10 * S);
    assert_eq!(chosen(&w), Some(address));
    // When it is lost later on, the search begins anew.
    w.run(10 * S);
    w.inject([claim(address), claim(address)]);
    let start = w.now;
    assert_ne!(probed(&mut w), address);
    assert!(w.now - start <= 2 * S);
}

#[test]
fn a_chosen_address_is_defended_once_and_then_given_up() {
    let mut w = started(AUTO);
    w.run(30 * S);
    let address = chosen(&w).unwrap();
    listen();
    // RFC 3927 section 2.5 b.
    assert_eq!(w.exchange([claim(address)]), [announcement(address)]);
    w.run(10 * S);
    assert_eq!(w.exchange([claim(address)]), [announcement(address)]);
    assert_eq!(chosen(&w), Some(address));
    w.inject([claim(address)]);
    assert_eq!(chosen(&w), None);
    w.run(30 * S);
    assert!(chosen(&w).is_some_and(|other| other != address));
}
