//! Addresses and routes that routers advertise (RFC 4861, RFC 4862).

use smoltcp::time::Duration;
use smoltcp::wire::{
    IpAddress, IpCidr, Ipv6Address, NdiscPrefixInfoFlags as Flags,
    NdiscPrefixInformation as PrefixInformation,
};
use tinyftp::net::Address;

use crate::addressing::{OTHER, announcement, claim, probe, started};
use crate::raw::{GATEWAY_MAC, Peer, RAW_MAC};
use crate::sim::{ECHO, Micros, S, SERVER_LINK_LOCAL, SERVER_MAC, SERVER_V4, World};
use crate::told::{assert_told, listen};
use crate::wire::{Seen, advertisement, advertisement_with};

/// With a fixed address there is no DHCP.
const AUTO: &[Address] =
    &[Address::Fixed(IpCidr::new(IpAddress::Ipv4(SERVER_V4), 24)), Address::Auto];
const ROUTER: Ipv6Address = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);
const OTHER_ROUTER: Ipv6Address = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfd);
const FAR: Ipv6Address = Ipv6Address::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
/// Half an hour, as routers say.
const LIFETIME: u64 = 1800;

fn network(number: u16) -> Ipv6Address {
    Ipv6Address::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 0)
}

/// The server's address there.
fn address(number: u16) -> Ipv6Address {
    Ipv6Address::new(0x2001, 0xdb8, 0, number, 0, 0xff, 0xfe00, 1)
}

fn prefix(number: u16, valid: u64) -> PrefixInformation {
    PrefixInformation {
        prefix_len: 64,
        flags: Flags::ON_LINK | Flags::ADDRCONF,
        valid_lifetime: Duration::from_secs(valid),
        preferred_lifetime: Duration::from_secs(valid.min(600)),
        prefix: network(number),
    }
}

fn advertise(w: &mut World, lifetime: u64, prefixes: &[PrefixInformation]) {
    w.inject([advertisement((ROUTER, GATEWAY_MAC), lifetime, prefixes)]);
}

/// The server's addresses that routers have brought.
fn addresses(w: &World) -> Vec<IpCidr> {
    let brought = |cidr: &&IpCidr| {
        cidr.address() != SERVER_V4.into() && cidr.address() != SERVER_LINK_LOCAL.into()
    };
    w.server.net.addresses().iter().filter(brought).copied().collect()
}

fn at(number: u16) -> IpCidr {
    IpCidr::new(address(number).into(), 64)
}

/// A world with an address from a router that will go in so many seconds.
fn world(valid: u64) -> World {
    let mut w = started(AUTO);
    w.phantom_unheard(ROUTER.into(), GATEWAY_MAC);
    w.run(2 * S);
    advertise(&mut w, LIFETIME, &[prefix(1, valid)]);
    w.run(3 * S);
    assert_eq!(addresses(&w), [at(1)]);
    listen();
    w
}

#[test]
fn routers_are_asked_for_three_times() {
    let mut w = started(AUTO);
    let seen = w.watch(60 * S);
    let asked: Vec<u64> =
        seen.iter().filter(|(_, seen)| *seen == Seen::RouterSolicit).map(|&(at, _)| at).collect();
    // RFC 4861 section 6.3.7.
    assert!(asked[0] <= 1000, "{asked:?}");
    assert_eq!(asked, [asked[0], asked[0] + 4000, asked[0] + 8000]);
    w.finish();
}

#[test]
fn a_router_that_answers_is_not_asked_again() {
    let mut w = started(AUTO);
    w.run(2 * S);
    // One that is no way to anywhere is none (RFC 4861 section 6.3.7).
    advertise(&mut w, 0, &[]);
    let asks = |seen: Vec<(Micros, Seen)>| {
        seen.into_iter().filter(|(_, seen)| *seen == Seen::RouterSolicit).count()
    };
    assert_eq!(asks(w.watch(4 * S)), 1);
    advertise(&mut w, LIFETIME, &[]);
    assert_eq!(asks(w.watch(60 * S)), 0);
}

#[test]
fn an_advertisement_makes_addresses() {
    let mut w = started(AUTO);
    w.run(5 * S);
    listen();
    let off_link = PrefixInformation { flags: Flags::ADDRCONF, ..prefix(2, LIFETIME) };
    let not_for_that = PrefixInformation { flags: Flags::ON_LINK, ..prefix(3, LIFETIME) };
    let too_short = PrefixInformation { prefix_len: 56, ..prefix(4, LIFETIME) };
    let over = prefix(5, 0);
    let wrong = PrefixInformation {
        preferred_lifetime: Duration::from_secs(LIFETIME + 1),
        ..prefix(6, LIFETIME)
    };
    let this_link = PrefixInformation {
        prefix: Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
        ..prefix(7, LIFETIME)
    };
    let all = [prefix(1, LIFETIME), off_link, not_for_that, too_short, over, wrong, this_link];
    advertise(&mut w, LIFETIME, &all);
    let seen: Vec<Seen> = w.watch(10 * S).into_iter().map(|(_, seen)| seen).collect();
    for address in [address(1), address(2)] {
        assert!(seen.contains(&probe(address)) && seen.contains(&announcement(address)));
    }
    assert_eq!(addresses(&w), [at(1), IpCidr::new(address(2).into(), 128)]);
    let line = |number, len| format!("INFO address {}/{len} is ours", address(number));
    assert_told(&[&line(1, 64), &line(2, 128)]);
    assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Probe(_))).count(), 2);
}

#[test]
fn no_router_has_a_say_in_addresses_of_the_link() {
    const OURS: Ipv6Address = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const GIVEN: &[Address] =
        &[Address::Fixed(IpCidr::new(IpAddress::Ipv6(OURS), 64)), Address::Auto];
    let mut w = started(GIVEN);
    w.run(2 * S);
    // What is given takes the place of the one that is made.
    assert_eq!(w.server.net.addresses()[0], IpCidr::new(OURS.into(), 64));
    let this_link = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
    advertise(&mut w, LIFETIME, &[PrefixInformation { prefix: this_link, ..prefix(1, LIFETIME) }]);
    w.run(5 * S);
    assert!(!w.server.net.addresses().contains(&IpCidr::new(SERVER_LINK_LOCAL.into(), 64)));
}

#[test]
fn what_is_no_advertisement_makes_none() {
    let mut w = started(AUTO);
    w.run(2 * S);
    let prefixes = [prefix(1, LIFETIME)];
    let good = advertisement((ROUTER, GATEWAY_MAC), LIFETIME, &prefixes);
    // Through a router.
    let mut far = good.clone();
    far[14 + 7] = 64;
    // Not from this link.
    let global = advertisement((network(1), GATEWAY_MAC), LIFETIME, &prefixes);
    let mut broken = good.clone();
    *broken.last_mut().unwrap() ^= 1;
    // An option without a length, behind a good one; and half an option.
    let option = &good[14 + 40 + 16..];
    let endless = [option, &[1, 0, 0, 0, 0, 0, 0, 0]].concat();
    let endless = advertisement_with((ROUTER, GATEWAY_MAC), LIFETIME, &endless);
    let half = [option, &[3, 4, 64, 0xc0, 0, 0, 0, 0]].concat();
    let half = advertisement_with((ROUTER, GATEWAY_MAC), LIFETIME, &half);
    let own = advertisement((ROUTER, SERVER_MAC), LIFETIME, &prefixes);
    w.inject([far, global, broken, endless, half, own]);
    w.run(5 * S);
    assert_eq!(addresses(&w), []);
    w.inject([good]);
    w.run(5 * S);
    assert_eq!(addresses(&w), [at(1)]);
}

#[test]
fn without_auto_nobody_listens_to_routers() {
    let mut w = started(&[]);
    let seen = w.watch(20 * S);
    assert!(!seen.iter().any(|(_, seen)| *seen == Seen::RouterSolicit));
    advertise(&mut w, LIFETIME, &[prefix(1, LIFETIME)]);
    w.run(5 * S);
    assert_eq!(addresses(&w), []);
    w.finish();
}

#[test]
fn an_address_that_somebody_has_is_not_used() {
    let mut w = started(AUTO);
    w.run(5 * S);
    listen();
    advertise(&mut w, LIFETIME, &[prefix(1, LIFETIME)]);
    w.run(S / 1000);
    w.inject([claim(address(1))]);
    // Nor when it is advertised again.
    for _ in 0..10 {
        advertise(&mut w, LIFETIME, &[prefix(1, LIFETIME)]);
        w.run(10 * S);
    }
    assert_eq!(addresses(&w), []);
    assert_told(&[&format!("WARN address {} is not used: {OTHER} has it", address(1))]);
    // That it is over is no news.
    w.run((LIFETIME + 1) * S);
    assert_told(&[]);
}

#[test]
fn an_address_goes_when_its_time_is_over_and_so_do_its_connections() {
    let mut w = world(60);
    let me = Ipv6Address::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 0x200);
    w.phantom_unheard(me.into(), RAW_MAC);
    let mut peer = Peer::between((me.into(), 60_001), RAW_MAC, (address(1).into(), ECHO));
    w.inject([peer.frame(&peer.syn())]);
    // It is asked where we are.
    w.run(S);
    let sent = peer.sent_to_me(&mut w);
    assert_eq!(sent[0].flags(), "SYN|ACK");
    peer.seq += 1;
    peer.ack = sent[0].seq.wrapping_add(1);
    peer.exchange(&mut w, &[peer.ack()]);
    assert_eq!(peer.say(&mut w, b"hello")[0].payload, b"hello");
    assert_eq!(w.server.net.free_slots(), (3, 2));
    // Something is still to be sent.
    w.server.port.room = Some(0);
    peer.say(&mut w, b"and on");
    w.run(60 * S);
    w.server.port.room = None;
    assert_eq!(w.server.net.free_slots(), (4, 2));
    assert_eq!(addresses(&w), []);
    assert_eq!(w.exchange([peer.frame(&peer.ack())]), []);
    assert_told(&[&format!("INFO address {} is gone: no router has renewed it", address(1))]);
    // It may come back.
    advertise(&mut w, LIFETIME, &[prefix(1, 60)]);
    w.run(5 * S);
    assert_eq!(addresses(&w), [at(1)]);
}

/// After how many seconds the address goes that is valid for `first` and then said to be for
/// `then`.
fn lasts(first: u64, then: u64) -> u64 {
    let mut w = world(first);
    advertise(&mut w, LIFETIME, &[prefix(1, then)]);
    let start = w.now;
    while !addresses(&w).is_empty() {
        assert!(w.step());
    }
    (w.now - start) / S
}

#[test]
fn nobody_takes_an_address_from_us_sooner_than_in_two_hours() {
    // RFC 4862 section 5.5.3 e. Three seconds have passed already.
    assert_eq!(lasts(60, 100), 100);
    assert_eq!(lasts(60, 8000), 8000);
    assert_eq!(lasts(8000, 7900), 7900);
    assert_eq!(lasts(60, 1), 57);
    assert_eq!(lasts(3600, 0), 3597);
    assert_eq!(lasts(20_000, 0), 7200);
    assert_eq!(lasts(20_000, 7200), 7200);
    assert_eq!(lasts(20_000, 10_000), 10_000);
}

/// Whether what is far away can be reached, and through whom.
fn way_out(w: &mut World) -> Vec<Seen> {
    let peer = Peer::between((FAR.into(), 60_009), GATEWAY_MAC, (address(1).into(), ECHO));
    w.run(2 * S);
    let mut sent = w.exchange([peer.frame(&peer.syn())]);
    sent.extend(w.watch(10 * S).into_iter().map(|(_, seen)| seen));
    w.exchange([peer.frame(&crate::wire::Segment { seq: peer.seq + 1, ..peer.rst() })]);
    sent.retain(|seen| matches!(seen, Seen::Solicit(_) | Seen::Tcp(_)));
    sent
}

#[test]
fn default_routes_come_and_go() {
    let mut w = world(LIFETIME);
    w.phantom_unheard(OTHER_ROUTER.into(), GATEWAY_MAC);
    let through = |sent: &[Seen], router| {
        sent.first() == Some(&Seen::Solicit(router)) && matches!(sent.get(1), Some(Seen::Tcp(_)))
    };
    let sent = way_out(&mut w);
    assert!(through(&sent, ROUTER), "{sent:?}");
    // Another one, which waits for its turn.
    w.inject([advertisement((OTHER_ROUTER, GATEWAY_MAC), 100, &[])]);
    let sent = way_out(&mut w);
    assert!(matches!(sent.first(), Some(Seen::Tcp(_))), "{sent:?}");
    // RFC 4861 section 6.3.4: it is no way out any more.
    advertise(&mut w, 0, &[]);
    let sent = way_out(&mut w);
    assert!(through(&sent, OTHER_ROUTER), "{sent:?}");
    w.run(100 * S);
    assert_eq!(way_out(&mut w), []);
    advertise(&mut w, LIFETIME, &[]);
    let sent = way_out(&mut w);
    assert!(matches!(sent.last(), Some(Seen::Tcp(_))), "{sent:?}");
}

#[test]
fn a_thousand_prefixes_are_not_taken() {
    let mut w = world(LIFETIME);
    for number in 0..1000 {
        let some: Vec<_> = (0..10).map(|n| prefix(number * 10 + n, LIFETIME)).collect();
        advertise(&mut w, LIFETIME, &some);
        w.sent();
    }
    w.run(60 * S);
    // As many as smoltcp was compiled for; the first are kept.
    let count = addresses(&w).len();
    assert_eq!(w.server.net.addresses().len(), smoltcp::config::IFACE_MAX_ADDR_COUNT);
    assert_eq!(addresses(&w)[0], at(1));
    assert_eq!(count, smoltcp::config::IFACE_MAX_ADDR_COUNT - 2);
    assert!(w.server.net.addresses().contains(&IpCidr::new(SERVER_V4.into(), 24)));
}

#[test]
fn prefixes_leave_room_for_an_ipv4_address() {
    let mut w = started(&[Address::Auto]);
    w.run(2 * S);
    let some: Vec<_> = (0..10).map(|number| prefix(number, LIFETIME)).collect();
    advertise(&mut w, LIFETIME, &some);
    w.run(30 * S);
    assert_eq!(w.server.net.addresses().len(), smoltcp::config::IFACE_MAX_ADDR_COUNT);
    assert!(crate::link_local::chosen(&w).is_some());
}
