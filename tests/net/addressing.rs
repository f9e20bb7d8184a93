//! Our own addresses: claimed, told, defended, given up.

use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, Ipv4Address, Ipv6Address, MldRepr};
use tinyftp::net::{Address, ConfigError, Memory, Net, Route};
use tinyftp::time::Instant;

use crate::raw::{self, Peer, RAW_MAC, RAW_V4, RAW_V6};
use crate::sim::{
    ECHO, MS, Micros, Port, S, SERVER_LINK_LOCAL, SERVER_MAC, SERVER_V4, SERVER_V6, Shape, World,
    cidr, config, memory,
};
use crate::told::{assert_told, listen, told};
use crate::wire::{self, Mac, Seen};

pub const OTHER: Mac = EthernetAddress([2, 0, 0, 0, 9, 9]);

/// A server that has not said anything yet.
pub fn started(addresses: &'static [Address]) -> World {
    listen();
    World::started(Shape { addresses, routes: &[], ..Shape::SMALL }, &[])
}

pub fn probe(address: impl Into<IpAddress>) -> Seen {
    Seen::Probe(address.into())
}

pub fn announcement(address: impl Into<IpAddress>) -> Seen {
    Seen::Announcement(address.into())
}

/// The group that goes with an IPv6 address.
pub fn group_of(address: Ipv6Address) -> Ipv6Address {
    let [.., f, g] = address.segments();
    Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | f & 0xff, g)
}

/// The one that a service wants.
const WANTED: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 0x99);

/// What the addresses need that are of IPv6, which have the same end, and what a service wants.
fn groups() -> Seen {
    assert_eq!(group_of(SERVER_V6), group_of(SERVER_LINK_LOCAL));
    Seen::Groups(vec![group_of(SERVER_V6), WANTED], vec![])
}

/// Another host says that it has an address.
pub fn claim(address: impl Into<IpAddress>) -> Vec<u8> {
    match address.into() {
        IpAddress::Ipv4(address) => wire::arp((address, OTHER), (address, Mac::BROADCAST)),
        IpAddress::Ipv6(address) => wire::neighbor((address, OTHER), (ALL_NODES, ALL_NODES_MAC)),
    }
}

/// What was sent but for reports of groups, which come when chance wants it.
pub fn without_groups(seen: Vec<(Micros, Seen)>) -> Vec<(Micros, Seen)> {
    seen.into_iter().filter(|(_, seen)| !matches!(seen, Seen::Groups(..))).collect()
}

const ALL_NODES: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = EthernetAddress([0x33, 0x33, 0, 0, 0, 1]);
const FIXED_V4: &[Address] = &[Address::Fixed(IpCidr::new(IpAddress::Ipv4(SERVER_V4), 24))];
const FIXED_V6: &[Address] = &[Address::Fixed(IpCidr::new(IpAddress::Ipv6(SERVER_V6), 64))];

#[test]
fn a_fixed_address_serves_from_the_first_turn_and_is_told() {
    let mut w = started(FIXED_V4);
    let question = wire::arp((RAW_V4, RAW_MAC), (SERVER_V4, Mac::BROADCAST));
    w.inject([question]);
    assert_eq!(w.sent()[1..], [probe(SERVER_V4), Seen::ArpReply(RAW_V4)]);
    // RFC 5227 section 2.3: told twice, two seconds apart, when nobody has objected.
    let told = announcement(SERVER_V4);
    let later = w.watch(10 * S);
    let arp: Vec<_> = later.into_iter().filter(|(_, seen)| *seen == told).collect();
    assert_eq!(arp, [(1000, told.clone()), (3000, told)]);
    w.finish();
}

#[test]
fn an_ipv6_address_is_asked_for_after_its_group_is_joined() {
    let mut w = started(FIXED_V6);
    let seen = w.watch(10 * S);
    assert_eq!(seen[0], (0, groups()));
    // RFC 3810 section 9.1: told twice; and once more from the address of the link, when there is
    // one (RFC 3590 section 4).
    let reports: Vec<_> = seen.iter().filter(|(_, seen)| *seen == groups()).collect();
    assert_eq!(reports.len(), 3);
    assert!(reports[1].0 <= 1000);
    let ready = seen.iter().find(|(_, seen)| *seen == announcement(SERVER_LINK_LOCAL)).unwrap();
    assert_eq!(reports[2].0, ready.0);
    for address in [SERVER_V6, SERVER_LINK_LOCAL] {
        let asked = seen.iter().position(|(_, seen)| *seen == probe(address)).unwrap();
        let told = seen.iter().position(|(_, seen)| *seen == announcement(address)).unwrap();
        // RFC 4862 section 5.4: a second later nobody has answered.
        assert_eq!(seen[told].0, seen[asked].0 + 1000, "{seen:?}");
    }
    assert_told(&[&format!("INFO address {SERVER_LINK_LOCAL}/64 is ours")]);
    w.finish();
}

#[test]
fn the_link_local_address_serves_after_a_second_of_silence() {
    let mut w = started(&[]);
    assert_eq!(w.server.net.addresses(), []);
    w.run(999 * MS);
    assert_eq!(w.server.net.addresses(), [], "not before it is known to be free");
    w.run(2 * S);
    assert_eq!(w.server.net.addresses(), [cidr(SERVER_LINK_LOCAL.into())]);
    let me = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x200);
    w.phantom_unheard(me.into(), RAW_MAC);
    let ping = wire::ping((me.into(), RAW_MAC), (SERVER_LINK_LOCAL.into(), SERVER_MAC), b"hello");
    w.inject([ping.clone()]);
    w.run(S);
    assert_eq!(w.exchange([ping]), [Seen::Pong(me.into(), b"hello".to_vec())]);
    w.finish();
}

#[test]
fn a_link_local_address_that_somebody_has_is_not_used() {
    // Says so, or asks for it at the same time (RFC 4862 section 5.4.3).
    for other in [claim(SERVER_LINK_LOCAL), wire::probe6(SERVER_LINK_LOCAL, OTHER)] {
        let mut w = started(&[]);
        while !w.sent().contains(&probe(SERVER_LINK_LOCAL)) {
            assert!(w.step());
        }
        let left = vec![group_of(SERVER_LINK_LOCAL), WANTED];
        assert_eq!(w.exchange([other]), [Seen::Groups(vec![], left)]);
        let seen = without_groups(w.watch(60 * S));
        assert_eq!(seen, []);
        assert_eq!(w.server.net.addresses(), []);
        assert_told(&[&format!("WARN address {SERVER_LINK_LOCAL} is not used: {OTHER} has it")]);
        w.finish();
    }
}

#[test]
fn what_comes_from_afar_or_from_ourselves_is_no_conflict() {
    let mut w = started(&[]);
    while !w.sent().contains(&probe(SERVER_LINK_LOCAL)) {
        assert!(w.step());
    }
    // Through a router (RFC 4861 section 7.1.2).
    let mut far = claim(SERVER_LINK_LOCAL);
    far[14 + 7] = 254;
    // Our own question, sent back by the switch.
    let own = wire::probe6(SERVER_LINK_LOCAL, SERVER_MAC);
    let mut broken = claim(SERVER_LINK_LOCAL);
    *broken.last_mut().unwrap() ^= 1;
    assert_eq!(w.exchange([far, own, broken]), []);
    w.run(2 * S);
    assert_eq!(w.server.net.addresses(), [cidr(SERVER_LINK_LOCAL.into())]);
    w.finish();
}

#[test]
fn another_host_with_our_hardware_address_is_noticed() {
    let mut w = started(FIXED_V4);
    w.run(10 * S);
    listen();
    let twin = |address| {
        format!(
            "WARN another host has our hardware address {SERVER_MAC}, and the address {address}"
        )
    };
    // It begins like us, and has our address or another.
    for (frame, address) in [
        (wire::probe(SERVER_V4, SERVER_MAC), SERVER_V4),
        (wire::arp((SERVER_V4, SERVER_MAC), (SERVER_V4, Mac::BROADCAST)), SERVER_V4),
        (wire::arp((RAW_V4, SERVER_MAC), (SERVER_V4, Mac::BROADCAST)), RAW_V4),
    ] {
        assert_eq!(w.exchange(vec![frame; 3]), []);
        assert_told(&[&twin(address)]);
        w.run(10 * S);
    }
    // What we have said ourselves, sent back.
    w.inject([claim(SERVER_V4)]);
    listen();
    let told = wire::arp((SERVER_V4, SERVER_MAC), (SERVER_V4, Mac::BROADCAST));
    let asked = wire::arp((SERVER_V4, SERVER_MAC), (RAW_V4, Mac::BROADCAST));
    w.inject([told, asked.clone()]);
    w.run(10 * S);
    w.inject([asked]);
    assert_told(&[]);
    w.finish();
}

#[test]
fn what_comes_from_a_group_is_not_answered() {
    let mut w = World::new(Shape::SMALL);
    listen();
    let group = EthernetAddress([0x33, 0x33, 0, 0, 0, 1]);
    w.inject([wire::arp((SERVER_V4, group), (SERVER_V4, Mac::BROADCAST))]);
    let questions = [
        wire::probe(SERVER_V4, Mac::BROADCAST),
        wire::arp((RAW_V4, Mac::BROADCAST), (SERVER_V4, Mac::BROADCAST)),
        wire::probe6(SERVER_V6, group),
    ];
    assert_eq!(w.exchange(questions), []);
    assert_told(&[]);
    w.finish();
}

#[test]
fn a_fixed_address_is_kept_and_defended_once_in_ten_seconds() {
    let mut w = World::new(Shape { addresses: FIXED_V4, routes: &[], ..Shape::SMALL });
    raw::introduce(&mut w);
    let mut peer = Peer::new(60_001, ECHO);
    peer.connect(&mut w);
    listen();
    let mut seen = Vec::new();
    // A storm: a hundred a second, for 25 seconds.
    for _ in 0..25 {
        w.inject(vec![claim(SERVER_V4); 100]);
        seen.extend(w.sent());
        seen.extend(w.watch(S).into_iter().map(|(_, seen)| seen));
    }
    assert_eq!(seen, vec![announcement(SERVER_V4); 3]);
    let line = format!("WARN address {SERVER_V4} is in conflict: {OTHER} has it too");
    assert_told(&[&line, &line, &line]);
    // And it goes on.
    assert_eq!(peer.say(&mut w, b"hello")[0].payload, b"hello");
    w.finish();
}

#[test]
fn a_fixed_ipv6_address_is_kept_and_told_of() {
    let mut w = started(FIXED_V6);
    w.run(10 * S);
    listen();
    assert_eq!(w.exchange(vec![claim(SERVER_V6); 100]), []);
    assert!(w.server.net.addresses().contains(&cidr(SERVER_V6.into())));
    assert_told(&[&format!("WARN address {SERVER_V6} is in conflict: {OTHER} has it too")]);
    w.finish();
}

#[test]
fn a_fixed_address_that_somebody_has_already_is_not_taken_from_them() {
    for (addresses, address) in
        [(FIXED_V4, IpAddress::from(SERVER_V4)), (FIXED_V6, IpAddress::from(SERVER_V6))]
    {
        let mut w = started(addresses);
        while !w.sent().contains(&probe(address)) {
            assert!(w.step());
        }
        w.run(100 * MS);
        w.inject([claim(address)]);
        let seen = w.watch(10 * S);
        assert!(!seen.iter().any(|(_, seen)| *seen == announcement(address)), "{seen:?}");
        // Whoever chose it is told, and has it.
        assert!(w.server.net.addresses().contains(&cidr(address)));
        w.finish();
    }
}

#[test]
fn who_asks_whether_our_address_is_free_is_told_that_it_is_not() {
    let mut w = World::new(Shape::SMALL);
    listen();
    // smoltcp answers neither.
    let nobody = Ipv4Address::UNSPECIFIED;
    assert_eq!(w.exchange([wire::probe(SERVER_V4, OTHER)]), [Seen::ArpReply(nobody)]);
    for address in [SERVER_V6, SERVER_LINK_LOCAL] {
        assert_eq!(w.exchange([wire::probe6(address, OTHER)]), [announcement(address)]);
    }
    let line = |address: &str| {
        format!("WARN address {address} is wanted by {OTHER}, which is told that it is ours")
    };
    let lines = [line("192.168.69.1"), line("fd00::1"), line("fe80::ff:fe00:1")];
    assert_told(&lines.each_ref().map(|line| line.as_str()));
    // Addresses of others are none of our business.
    assert_eq!(w.exchange([wire::probe(RAW_V4, OTHER), wire::probe6(RAW_V6, OTHER)]), []);
    assert_told(&[]);
    w.finish();
}

#[test]
fn a_storm_of_questions_is_answered_in_part() {
    let mut w = World::new(Shape::SMALL);
    raw::introduce(&mut w);
    let arp = wire::arp((RAW_V4, RAW_MAC), (SERVER_V4, Mac::BROADCAST));
    for question in [wire::probe(SERVER_V4, OTHER), wire::probe6(SERVER_V6, OTHER), arp.clone()] {
        listen();
        w.run(10 * S);
        let is_probe = question != arp;
        assert_eq!(w.exchange(vec![question; 10_000]).len(), 250);
        assert!(told() <= usize::from(is_probe));
        // A second later somebody else is answered.
        w.run(S);
        let question = wire::arp((RAW_V4, RAW_MAC), (SERVER_V4, Mac::BROADCAST));
        assert_eq!(w.exchange([question]), [Seen::ArpReply(RAW_V4)]);
    }
    w.finish();
}

#[test]
fn questions_for_others_use_nothing_up() {
    let mut w = World::new(Shape::SMALL);
    raw::introduce(&mut w);
    let question =
        wire::arp((RAW_V4, RAW_MAC), (Ipv4Address::new(192, 168, 69, 77), Mac::BROADCAST));
    assert_eq!(w.exchange(vec![question; 10_000]), []);
    let question = wire::arp((RAW_V4, RAW_MAC), (SERVER_V4, Mac::BROADCAST));
    assert_eq!(w.exchange([question]), [Seen::ArpReply(RAW_V4)]);
    w.finish();
}

/// RFC 3810 section 5.1: a question about groups.
pub fn query(response_delay: u16, hop_limit: u8, source: Ipv6Address) -> Vec<u8> {
    let repr = MldRepr::Query {
        max_resp_code: response_delay,
        mcast_addr: Ipv6Address::UNSPECIFIED,
        s_flag: false,
        qrv: 2,
        qqic: 125,
        num_srcs: 0,
        data: &[],
    };
    wire::behind_router_alert(repr, (source, OTHER), (ALL_NODES, ALL_NODES_MAC), hop_limit)
}

const ROUTER: Ipv6Address = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);

#[test]
fn switches_are_told_which_groups_we_are_in() {
    let mut w = World::new(Shape::SMALL);
    w.inject([query(10_000, 1, ROUTER)]);
    let seen = w.watch(60 * S);
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].1, groups());
    assert!(seen[0].0 <= 10_000);
    // From another link, or from nowhere.
    let global = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 0xfe);
    w.inject([query(1, 64, ROUTER), query(1, 1, global)]);
    assert_eq!(w.watch(60 * S), []);
    // However often we are asked.
    let mut reports = 0;
    for _ in 0..1000 {
        w.inject(vec![query(0, 1, ROUTER); 10]);
        reports += w.sent().len() + w.watch(10 * MS).len();
    }
    assert!((10..=11).contains(&reports), "{reports}");
    w.finish();
}

#[test]
fn switches_are_told_which_groups_we_have_left() {
    const ANOTHER: Ipv6Address = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 7);
    const ADDRESSES: &[Address] = &[Address::Fixed(IpCidr::new(IpAddress::Ipv6(ANOTHER), 64))];
    let mut w = started(ADDRESSES);
    while !w.sent().contains(&probe(SERVER_LINK_LOCAL)) {
        assert!(w.step());
    }
    w.inject([claim(SERVER_LINK_LOCAL)]);
    let mut seen = w.sent();
    seen.extend(w.watch(10 * S).into_iter().map(|(_, seen)| seen));
    let ours = vec![group_of(ANOTHER), WANTED];
    let told = Seen::Groups(ours.clone(), vec![group_of(SERVER_LINK_LOCAL)]);
    // RFC 3810 section 9.1: twice.
    assert_eq!(seen.iter().filter(|seen| **seen == told).count(), 2, "{seen:?}");
    w.inject([query(1, 1, ROUTER)]);
    let seen = w.watch(S);
    assert!(matches!(&seen[..], [(_, told)] if *told == Seen::Groups(ours, vec![])), "{seen:?}");
    w.finish();
}

#[test]
fn a_router_of_the_first_version_is_told_too() {
    let mut w = World::new(Shape::SMALL);
    // RFC 2710 section 3: a question about all groups, within a second.
    let mut question = vec![130, 0, 0, 0, 0x03, 0xe8, 0, 0];
    question.extend([0; 16]);
    let question =
        wire::message_behind_router_alert(question, (ROUTER, OTHER), (ALL_NODES, ALL_NODES_MAC), 1);
    w.inject([question.clone()]);
    let seen = w.watch(5 * S);
    assert!(matches!(&seen[..], [(..=1000, told)] if *told == groups()), "{seen:?}");
    // RFC 3810 section 8.1: of no version, and broken.
    let mut broken = question.clone();
    *broken.last_mut().unwrap() ^= 1;
    let odd = wire::message_behind_router_alert(
        vec![130; 26],
        (ROUTER, OTHER),
        (ALL_NODES, ALL_NODES_MAC),
        1,
    );
    w.inject([broken, odd]);
    assert_eq!(w.watch(5 * S), []);
    w.finish();
}

#[test]
fn a_device_too_small_for_ipv6_has_none() {
    let mut w =
        World::started(Shape { addresses: FIXED_V4, routes: &[], mtu: 576, ..Shape::SMALL }, &[]);
    let seen = w.watch(60 * S);
    let arp =
        [(0, probe(SERVER_V4)), (1000, announcement(SERVER_V4)), (3000, announcement(SERVER_V4))];
    assert_eq!(seen, arp);
    assert_eq!(w.server.net.addresses(), [cidr(SERVER_V4.into())]);
    w.finish();
}

#[test]
fn a_device_that_is_full_is_told_later() {
    let mut w = started(FIXED_V4);
    w.server.port.room = Some(0);
    assert_eq!(w.watch(5 * S), []);
    w.server.port.room = Some(1);
    let seen: Vec<Seen> = w.watch(10 * S).into_iter().map(|(_, seen)| seen).collect();
    let told = seen.iter().filter(|&seen| *seen == announcement(SERVER_V4)).count();
    assert_eq!(told, 2, "{seen:?}");
    w.finish();
}

#[test]
fn what_cannot_be_is_refused() {
    fn refused(addresses: &'static [Address], routes: &'static [Route], mtu: usize) -> ConfigError {
        let shape = Shape { addresses, routes, mtu, ..Shape::SMALL };
        let mut port = Port { mtu, ..Port::default() };
        Net::new(&config(&shape), memory(&shape), &mut port, Instant::ZERO).err().unwrap()
    }
    const fn fixed(a: u8, b: u8, c: u8, d: u8, len: u8) -> Address {
        Address::Fixed(IpCidr::new(IpAddress::Ipv4(Ipv4Address::new(a, b, c, d)), len))
    }
    const fn via(a: u8, b: u8, c: u8, d: u8) -> Route {
        Route::default_via(IpAddress::Ipv4(Ipv4Address::new(a, b, c, d)))
    }
    const BROADCAST: &[Address] = &[fixed(255, 255, 255, 255, 24)];
    assert_eq!(refused(BROADCAST, &[], 1500), ConfigError::NotUnicast);
    const NETWORK: &[Address] = &[fixed(10, 0, 0, 0, 8)];
    assert_eq!(refused(NETWORK, &[], 1500), ConfigError::NotUnicast);
    #[cfg(not(feature = "dhcp"))]
    assert_eq!(refused(&[Address::Dhcp], &[], 1500), ConfigError::NoDhcp);
    const MANY: &[Address] = &[fixed(10, 0, 0, 1, 8); 8];
    assert_eq!(refused(MANY, &[], 1500), ConfigError::TooManyAddresses);
    assert_eq!(refused(FIXED_V6, &[], 1279), ConfigError::SmallMtu);
    const FAR: Route = via(10, 0, 0, 1);
    assert_eq!(refused(FIXED_V4, &[FAR], 1500), ConfigError::NotOnLink(FAR.via));
    const OURSELVES: Route = via(192, 168, 69, 1);
    assert_eq!(refused(FIXED_V4, &[OURSELVES], 1500), ConfigError::NotOnLink(OURSELVES.via));
    const MIXED: Route = Route { via: IpAddress::Ipv6(ROUTER), ..OURSELVES };
    assert_eq!(refused(FIXED_V4, &[MIXED], 1500), ConfigError::NotOnLink(MIXED.via));
    const TWO: &[Route] = &[via(192, 168, 69, 2), via(192, 168, 69, 3)];
    assert_eq!(refused(FIXED_V4, TWO, 1500), ConfigError::TwoRoutes(TWO[0].cidr));
}

/// And what there is too little of is said.
#[test]
fn memory_that_does_not_suffice_is_refused() {
    let lacks = |take: fn(&mut Memory<'static>), missing: &str| {
        let shape = Shape::SMALL;
        let mut memory = memory(&shape);
        take(&mut memory);
        let refused = Net::new(&config(&shape), memory, &mut Port::default(), Instant::ZERO).err();
        let told = refused.map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(told, format!("the memory lacks {missing}"));
    };
    lacks(|memory| memory.slots = &mut [], "slots: from 1 to 65,534");
    lacks(|memory| memory.control = 0, "a slot for connections to services");
    lacks(|memory| memory.sockets = &mut [], "a socket for each slot");
    lacks(|memory| memory.timers = &mut [], "a timer for each slot");
    lacks(|memory| memory.buckets = &mut [], "two buckets for each slot");
    lacks(|memory| memory.bulk = memory.slots.len(), "slots for `control` and `bulk`");
    lacks(|memory| memory.control_buffers.receive = &mut [], "`control_buffers`");
    lacks(|memory| memory.data_buffers.transmit = &mut [], "`data_buffers`");
}
