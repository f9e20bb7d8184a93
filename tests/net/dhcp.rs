//! Addresses from a DHCP server, which the test plays.

use smoltcp::wire::{
    DhcpMessageType as Type, DhcpOption, DhcpPacket, DhcpRepr, IpAddress, IpCidr, Ipv4Address,
    Ipv6Address, NdiscPrefixInfoFlags, NdiscPrefixInformation,
};
use tinyftp::net::{Address, ConfigError, HostName, Net, Route};
use tinyftp::resources::Parts;
use tinyftp::storage::ram::RamDisk;
use tinyftp::time::Instant;

use crate::addressing::{OTHER, announcement, claim, query, started};
use crate::calls::tell;
use crate::link_local::chosen;
use crate::raw::{self, GATEWAY_MAC, Peer, RAW_MAC, RAW_V4};
use crate::sim::{
    ECHO, FTP, GATEWAY_V4, MS, Micros, Port, Random, S, SERVER_LINK_LOCAL, SERVER_MAC, SERVER_V4,
    Shape, World, cidr, config, lend, memory,
};
use crate::told::{assert_told, listen};
use crate::wire::{self, Mac, Message, Seen};

const DHCP: &[Address] = &[Address::Dhcp];
const AUTO: &[Address] = &[Address::Auto];
const GIVER: Ipv4Address = GATEWAY_V4;
const GIVER_MAC: Mac = GATEWAY_MAC;
const NAME_SERVER: Ipv4Address = Ipv4Address::new(192, 168, 69, 53);

/// A router, and the prefix of a network that it advertises.
const ROUTER: Ipv6Address = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);

fn prefix(number: u16) -> NdiscPrefixInformation {
    NdiscPrefixInformation {
        prefix_len: 64,
        flags: NdiscPrefixInfoFlags::all(),
        valid_lifetime: smoltcp::time::Duration::from_secs(1800),
        preferred_lifetime: smoltcp::time::Duration::from_secs(1800),
        prefix: Ipv6Address::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 0),
    }
}

/// What the client has said, as far as the tests ask.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    kind: Type,
    transaction: u32,
    /// To everybody, rather than to one server.
    to_all: bool,
    from: Ipv4Address,
    wants: Option<Ipv4Address>,
    name: Option<Vec<u8>>,
}

fn said(seen: &Seen) -> Option<Said> {
    let Seen::Udp(Message { source, target, to, payload, .. }) = seen else { return None };
    assert_eq!((source.1, target.1), (68, 67));
    let packet = DhcpPacket::new_checked(&payload[..]).unwrap();
    let repr = DhcpRepr::parse(&packet).unwrap();
    assert_eq!(repr.client_hardware_address, SERVER_MAC);
    assert_eq!(*to == Mac::BROADCAST, target.0 == Ipv4Address::BROADCAST.into());
    let IpAddress::Ipv4(from) = source.0 else { panic!("{source:?}") };
    Some(Said {
        kind: repr.message_type,
        transaction: repr.transaction_id,
        to_all: *to == Mac::BROADCAST,
        from,
        wants: repr.requested_ip,
        name: packet.options().find(|option| option.kind == 12).map(|option| option.data.to_vec()),
    })
}

/// What the client says in this time, and after how many milliseconds.
fn hears(w: &mut World, time: Micros) -> Vec<(u64, Said)> {
    w.watch(time).iter().filter_map(|(at, seen)| Some((*at, said(seen)?))).collect()
}

/// The next thing that it says.
fn next(w: &mut World) -> Said {
    loop {
        if let Some(said) = w.sent().iter().find_map(said) {
            return said;
        }
        assert!(w.step(), "it says nothing more");
    }
}

/// A server, and what it gives.
#[derive(Clone, Copy)]
struct Giver {
    server: Ipv4Address,
    client: Mac,
    address: Ipv4Address,
    mask: Ipv4Address,
    lease: u32,
    routers: &'static [u8],
}

const HONEST: Giver = Giver {
    server: GIVER,
    client: SERVER_MAC,
    address: SERVER_V4,
    mask: Ipv4Address::new(255, 255, 255, 0),
    lease: 120,
    routers: &[192, 168, 69, 254],
};

impl Giver {
    fn frame(&self, kind: Type, transaction: u32) -> Vec<u8> {
        let given = kind != Type::Nak;
        let routers = [DhcpOption { kind: 3, data: self.routers }];
        let repr = DhcpRepr {
            message_type: kind,
            transaction_id: transaction,
            secs: 0,
            client_hardware_address: self.client,
            client_ip: Ipv4Address::UNSPECIFIED,
            your_ip: if given { self.address } else { Ipv4Address::UNSPECIFIED },
            server_ip: Ipv4Address::UNSPECIFIED,
            router: None,
            subnet_mask: given.then_some(self.mask),
            relay_agent_ip: Ipv4Address::UNSPECIFIED,
            broadcast: false,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(self.server),
            parameter_request_list: None,
            dns_servers: given.then(|| heapless::Vec::from_slice(&[NAME_SERVER]).unwrap()),
            max_size: None,
            lease_duration: given.then_some(self.lease),
            renew_duration: None,
            rebind_duration: None,
            additional_options: if given { &routers } else { &[] },
        };
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).unwrap();
        // To an address that the client has not got yet (RFC 2131 section 4.1).
        wire::udp(
            ((self.server.into(), 67), GIVER_MAC),
            ((self.address.into(), 68), SERVER_MAC),
            &bytes,
        )
    }

    fn say(&self, w: &mut World, kind: Type, transaction: u32) {
        w.inject([self.frame(kind, transaction)]);
    }

    /// Gives the address to the client, which asks for it.
    fn give(&self, w: &mut World) {
        let asks = next(w);
        assert_eq!(asks.kind, Type::Discover);
        self.say(w, Type::Offer, asks.transaction);
        let wants = next(w);
        assert_eq!((wants.kind, wants.wants), (Type::Request, Some(self.address)));
        self.say(w, Type::Ack, wants.transaction);
    }
}

/// A world with a lease of so many seconds.
fn leased(addresses: &'static [Address], lease: u32) -> World {
    let mut w = started(addresses);
    raw::introduce(&mut w);
    Giver { lease, ..HONEST }.give(&mut w);
    assert!(has_lease(&w));
    listen();
    w
}

fn has_lease(w: &World) -> bool {
    w.server.net.addresses().contains(&cidr(SERVER_V4.into()))
}

#[test]
fn a_lease() {
    const NAME: HostName = HostName::new("shelf-7").unwrap();
    let shape = Shape { addresses: DHCP, host_name: Some(&NAME), routes: &[], ..Shape::SMALL };
    listen();
    let mut w = World::started(shape, &[]);
    let asks = next(&mut w);
    let nobody = Ipv4Address::UNSPECIFIED;
    assert_eq!((asks.kind, asks.to_all, asks.from), (Type::Discover, true, nobody));
    assert_eq!(asks.name.as_deref(), Some(&b"shelf-7"[..]));
    HONEST.say(&mut w, Type::Offer, asks.transaction);
    let wants = next(&mut w);
    assert_eq!((wants.kind, wants.to_all, wants.wants), (Type::Request, true, Some(SERVER_V4)));
    HONEST.say(&mut w, Type::Ack, wants.transaction);
    assert!(has_lease(&w));
    assert_eq!(w.server.net.dns_servers(), [std::net::IpAddr::from(NAME_SERVER)]);
    assert_told(&["INFO address 192.168.69.1/24 from DHCP server 192.168.69.254 for 120 s"]);
    // It is used at once, and its router too.
    raw::introduce(&mut w);
    let mut peer = Peer::far([203, 0, 113, 9], 60_001, ECHO);
    assert_eq!(peer.connect(&mut w), []);
    let told =
        |w: &mut World| w.watch(999 * MS).iter().any(|seen| seen.1 == announcement(SERVER_V4));
    assert!(!told(&mut w) && told(&mut w));
}

#[test]
fn of_several_routers_the_first_that_is_on_the_link() {
    let mut w = started(DHCP);
    let routers = &[192, 168, 69, 254, 192, 168, 69, 253];
    Giver { routers, ..HONEST }.give(&mut w);
    raw::introduce(&mut w);
    assert_eq!(Peer::far([203, 0, 113, 9], 60_001, ECHO).connect(&mut w), []);
    let mut w = started(DHCP);
    Giver { routers: &[10, 0, 0, 1], ..HONEST }.give(&mut w);
    raw::introduce(&mut w);
    let peer = Peer::far([203, 0, 113, 9], 60_001, ECHO);
    // Nor is it asked for.
    assert_eq!(w.exchange([peer.frame(&peer.syn())]), []);
}

#[test]
fn without_a_server_the_question_is_asked_ever_more_slowly() {
    listen();
    let mut w = started(DHCP);
    let mut asked = Vec::new();
    for second in 0..600 {
        asked.extend(hears(&mut w, S).into_iter().map(|(at, _)| at + second * 1000));
        // Others are answered.
        Giver { client: OTHER, ..HONEST }.say(&mut w, Type::Offer, 1);
    }
    let gaps: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // RFC 2131 section 4.1: with up to a second of chance.
    for (gap, least) in gaps.iter().zip([2, 4, 8, 16, 32, 64, 64, 64, 64]) {
        assert!((least * 1000..=least * 1000 + 1000).contains(gap), "{gaps:?}");
    }
    assert!(asked.len() >= 11);
    // Once is enough.
    assert_told(&[
        "INFO address fe80::ff:fe00:1/64 is ours",
        "WARN no DHCP server answers yet; it is asked on",
    ]);
}

#[test]
fn a_device_that_is_full_does_not_slow_the_search() {
    let mut w = started(DHCP);
    w.run(S);
    w.server.port.room = Some(0);
    let turns = w.server.turns;
    w.run(60 * S);
    // Nor is it tried a thousand times a second.
    assert!(w.server.turns - turns < 100, "{}", w.server.turns);
    w.server.port.room = None;
    w.sent();
    let asked: Vec<u64> = hears(&mut w, 30 * S).into_iter().map(|(at, _)| at).collect();
    // The second and the third time.
    assert!(asked[0] <= 1000 && asked[1] - asked[0] <= 5000, "{asked:?}");
}

#[test]
fn who_gives_nothing_after_an_offer_does_not_slow_the_search() {
    let mut w = started(DHCP);
    let asks = next(&mut w);
    HONEST.say(&mut w, Type::Offer, asks.transaction);
    while next(&mut w).kind == Type::Request {}
    let heard = hears(&mut w, 10 * S);
    assert!(heard[0].0 <= 3000, "{heard:?}");
}

#[test]
fn a_lease_is_renewed_with_the_server_that_gave_it() {
    let mut w = leased(DHCP, 120);
    for _ in 0..5 {
        let start = w.now;
        // RFC 2131 section 4.4.5: after half of its time.
        w.run(59 * S);
        assert_eq!(w.sent().iter().find_map(said).map(|said| said.kind), None);
        let asks = next(&mut w);
        assert!((59 * S..62 * S).contains(&(w.now - start)), "{}", w.now - start);
        assert_eq!((asks.kind, asks.to_all, asks.from), (Type::Request, false, SERVER_V4));
        HONEST.say(&mut w, Type::Ack, asks.transaction);
    }
    assert!(has_lease(&w));
    assert_told(&[]);
}

#[test]
fn a_lease_is_rebound_with_any_server() {
    let mut w = leased(DHCP, 120);
    let mut heard = hears(&mut w, 104 * S);
    // RFC 2131 section 4.4.5: each time after half of what is left.
    assert!(heard.len() >= 4 && heard.iter().all(|(_, said)| !said.to_all), "{heard:?}");
    heard = hears(&mut w, 3 * S);
    let [(_, asks)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((asks.kind, asks.to_all, asks.from), (Type::Request, true, SERVER_V4));
    let other = Giver { server: RAW_V4, ..HONEST };
    other.say(&mut w, Type::Ack, asks.transaction);
    w.run(30 * S);
    assert!(has_lease(&w));
    assert_told(&[]);
}

#[test]
fn a_lease_that_has_run_out_ends_what_it_was_used_for() {
    let mut w = leased(DHCP, 10);
    let mut idle = Peer::new(60_001, FTP);
    idle.connect(&mut w);
    w.run(S);
    let mut peer = Peer::new(60_002, ECHO);
    peer.connect(&mut w);
    assert_eq!(w.server.net.free_slots(), (2, 2));
    // There is something to send when it happens.
    w.run(7 * S);
    w.server.port.room = Some(0);
    let hello = wire::Segment { payload: b"hello".to_vec(), ..peer.ack() };
    w.inject([peer.frame(&hello)]);
    w.run(5 * S);
    w.server.port.room = None;
    assert_eq!(w.server.net.free_slots(), (4, 2), "the sessions are closed");
    assert_eq!(w.server.net.addresses().iter().find(|cidr| matches!(cidr, IpCidr::Ipv4(_))), None);
    assert_eq!(w.server.net.dns_servers(), [] as [std::net::IpAddr; 0]);
    assert_told(&["WARN address 192.168.69.1 is gone: the lease has run out"]);
    let seen = w.watch(10 * S);
    let ours = |seen: &Seen| match seen {
        Seen::Udp(_) => said(seen).is_some_and(|said| said.from == SERVER_V4),
        Seen::Groups(..) => false,
        _ => true,
    };
    assert!(!seen.iter().any(|(_, seen)| ours(seen)), "{seen:?}");
    assert_eq!(w.exchange([peer.frame(&peer.ack()), idle.frame(&idle.syn())]), []);
    // And with the next lease the services are back.
    HONEST.give(&mut w);
    raw::introduce(&mut w);
    assert_eq!(Peer::new(60_003, ECHO).connect(&mut w), []);
}

#[test]
fn who_is_called_from_an_address_that_has_gone_is_not_reached() {
    let mut w = leased(DHCP, 4);
    w.run(3 * S);
    let peer = std::net::SocketAddr::new(RAW_V4.into(), 7);
    w.server.call(peer, w.now).unwrap();
    w.settle();
    assert_eq!(w.segments().len(), 1);
    w.run(10 * S);
    assert_eq!(w.server.services.caller.refused, [peer]);
    assert_eq!(w.segments(), []);
    assert_eq!(w.server.net.free_slots(), (4, 2));
}

#[test]
fn a_datagram_does_not_wait_longer_than_its_address() {
    let mut w = leased(DHCP, 4);
    w.run(3500 * MS);
    let unknown = Ipv4Address::new(192, 168, 69, 77);
    tell(&mut w, std::net::SocketAddr::new(unknown.into(), 5000), b"hello");
    while has_lease(&w) {
        w.sent();
        assert!(w.step());
    }
    // The same address again, before the datagram has waited for too long.
    HONEST.give(&mut w);
    let is_at = wire::arp((unknown, RAW_MAC), (SERVER_V4, SERVER_MAC));
    assert_eq!(w.exchange([is_at]), []);
    assert!(w.watch(5 * S).iter().all(|(_, seen)| *seen == announcement(SERVER_V4)));
}

#[test]
fn what_arrives_as_the_lease_runs_out_is_not_answered() {
    let mut w = leased(DHCP, 10);
    let mut peer = Peer::new(60_002, ECHO);
    peer.connect(&mut w);
    let over = w.now + 10 * S;
    while w.next_event().is_some_and(|at| at < over) {
        w.step();
    }
    // In the same turn, before the clock is looked at.
    w.now = over;
    let hello = wire::Segment { payload: b"hello".to_vec(), ..peer.ack() };
    w.inject([peer.frame(&hello)]);
    assert_eq!(peer.sent_to_me(&mut w), []);
    assert!(!has_lease(&w));
}

#[test]
fn a_server_that_says_no_ends_the_lease() {
    let mut w = leased(DHCP, 120);
    let mut peer = Peer::new(60_001, ECHO);
    peer.connect(&mut w);
    w.run(59 * S);
    w.sent();
    let asks = next(&mut w);
    HONEST.say(&mut w, Type::Nak, asks.transaction);
    assert!(!has_lease(&w));
    assert_eq!(w.server.net.free_slots(), (4, 2));
    assert_told(&["WARN address 192.168.69.1 is gone: the server said no"]);
    // It begins anew, but not at once.
    assert_eq!(hears(&mut w, 999 * MS), []);
    Giver { address: RAW_V4, ..HONEST }.give(&mut w);
    assert!(w.server.net.addresses().contains(&cidr(RAW_V4.into())));
}

#[test]
fn any_server_may_say_no_once_all_are_asked() {
    let mut w = leased(DHCP, 120);
    w.run(104 * S);
    w.sent();
    let asks = next(&mut w);
    assert!(asks.to_all);
    Giver { server: RAW_V4, ..HONEST }.say(&mut w, Type::Nak, asks.transaction);
    assert!(!has_lease(&w));
}

#[test]
fn two_who_disagree_do_not_storm() {
    let mut w = started(DHCP);
    let mut said = 0;
    while w.now < 61 * S {
        let now = next(&mut w);
        said += 1;
        let answer = if now.kind == Type::Discover { Type::Offer } else { Type::Nak };
        HONEST.say(&mut w, answer, now.transaction);
    }
    // A question and a request a second.
    assert!((60..=130).contains(&said), "{said}");
    assert!(!has_lease(&w));
}

#[test]
fn who_lies_is_not_believed() {
    let mut w = leased(DHCP, 120);
    w.run(59 * S);
    w.sent();
    let asks = next(&mut w);
    let nowhere = Giver { server: RAW_V4, ..HONEST };
    let not_us = Giver { client: OTHER, address: RAW_V4, ..HONEST };
    let elsewhere = Giver { address: RAW_V4, ..HONEST };
    w.inject([
        // From a server that was not asked.
        nowhere.frame(Type::Nak, asks.transaction),
        // To another question.
        HONEST.frame(Type::Nak, asks.transaction ^ 1),
        elsewhere.frame(Type::Ack, asks.transaction ^ 1),
        // To another client.
        not_us.frame(Type::Nak, asks.transaction),
        not_us.frame(Type::Ack, asks.transaction),
        // Not asked for.
        elsewhere.frame(Type::Offer, asks.transaction),
        wire::udp(((GIVER.into(), 67), GIVER_MAC), ((SERVER_V4.into(), 68), SERVER_MAC), b"?"),
    ]);
    assert!(has_lease(&w));
    assert!(!w.server.net.addresses().contains(&cidr(RAW_V4.into())));
    assert_told(&[]);
    // The server itself is.
    HONEST.say(&mut w, Type::Ack, asks.transaction);
    // The next time, when the first lease would have been for all to answer.
    w.run(59 * S);
    w.sent();
    let asks = next(&mut w);
    nowhere.say(&mut w, Type::Nak, asks.transaction);
    assert!(has_lease(&w));
    w.run(40 * S);
    assert!(has_lease(&w));
}

#[test]
fn a_no_to_a_question_of_nobody_changes_nothing() {
    let mut w = leased(DHCP, 120);
    w.run(10 * S);
    w.inject([claim(SERVER_V4), claim(SERVER_V4)]);
    let declines = next(&mut w);
    assert_eq!(declines.kind, Type::Decline);
    w.run(S / 10);
    // Neither is the time of quiet over sooner ...
    let stray = declines.transaction ^ 1;
    HONEST.say(&mut w, Type::Nak, stray);
    assert_eq!(hears(&mut w, 9 * S), []);
    // ... nor does it last for ever.
    let mut heard = Vec::new();
    for _ in 0..10 {
        HONEST.say(&mut w, Type::Nak, stray);
        heard.extend(hears(&mut w, S / 2));
    }
    let kinds: Vec<Type> = heard.into_iter().map(|(_, said)| said.kind).collect();
    assert_eq!(kinds[0], Type::Discover);
}

#[test]
fn a_lease_lasts_as_long_as_its_server_says() {
    let mut w = leased(DHCP, 120);
    w.run(10 * S);
    let stranger = Giver { server: RAW_V4, ..HONEST };
    // To a question of nobody: it is not to be rebound at once.
    Giver { lease: 0, ..HONEST }.say(&mut w, Type::Ack, 99);
    let asks = next(&mut w);
    assert!(!asks.to_all);
    stranger.say(&mut w, Type::Nak, asks.transaction);
    assert!(has_lease(&w), "the no of a server that was not asked");
    // Nor is the answer of such a one taken.
    Giver { address: RAW_V4, ..stranger }.say(&mut w, Type::Ack, asks.transaction);
    assert!(has_lease(&w));
    HONEST.say(&mut w, Type::Ack, asks.transaction);
    assert!(has_lease(&w));
}

#[test]
fn the_server_that_rebound_a_lease_is_the_one_to_say_no() {
    let mut w = leased(DHCP, 120);
    let asks = loop {
        let asks = next(&mut w);
        if asks.to_all {
            break asks;
        }
    };
    let other = Giver { server: RAW_V4, ..HONEST };
    other.say(&mut w, Type::Ack, asks.transaction);
    w.run(60 * S);
    w.sent();
    let asks = next(&mut w);
    assert!(!asks.to_all);
    let third = Giver { server: Ipv4Address::new(192, 168, 69, 66), ..HONEST };
    for stranger in [third, HONEST] {
        stranger.say(&mut w, Type::Nak, asks.transaction);
        assert!(has_lease(&w));
    }
    other.say(&mut w, Type::Nak, asks.transaction);
    assert!(!has_lease(&w));
}

#[test]
fn what_is_no_address_for_a_host_is_not_taken() {
    for address in [[127, 0, 0, 1], [10, 0, 0, 0], [10, 0, 0, 255], [240, 0, 0, 1], [0, 1, 2, 3]] {
        let mut w = started(DHCP);
        let giver = Giver { address: address.into(), ..HONEST };
        giver.give(&mut w);
        assert_eq!(w.server.net.addresses(), [], "{address:?}");
        // RFC 2131 section 3.1.5.
        assert_eq!(hears(&mut w, 9 * S), []);
        HONEST.give(&mut w);
        assert!(has_lease(&w));
    }
    // A network of the whole world.
    let mut w = started(DHCP);
    Giver { mask: Ipv4Address::UNSPECIFIED, ..HONEST }.give(&mut w);
    assert_eq!(w.server.net.addresses(), []);
}

#[test]
fn a_leased_address_that_somebody_has_is_given_back() {
    let mut w = leased(DHCP, 120);
    w.run(10 * S);
    // Defended once (RFC 5227 section 2.4 b) ...
    assert_eq!(w.exchange([claim(SERVER_V4)]), [announcement(SERVER_V4)]);
    assert!(has_lease(&w));
    // ... and then declined (RFC 2131 section 3.1.5).
    w.inject([claim(SERVER_V4)]);
    assert!(!has_lease(&w));
    let declines = next(&mut w);
    assert_eq!((declines.kind, declines.wants), (Type::Decline, Some(SERVER_V4)));
    assert!(declines.to_all && declines.from.is_unspecified());
    let conflict = format!("WARN address {SERVER_V4} is in conflict: {OTHER} has it too");
    assert_told(&[&conflict, &format!("WARN address {SERVER_V4} is not used: {OTHER} has it")]);
    assert_eq!(hears(&mut w, 9 * S), []);
    HONEST.give(&mut w);
    assert!(has_lease(&w));
}

#[test]
fn who_only_asks_for_a_leased_address_has_not_claimed_it() {
    let mut w = leased(DHCP, 120);
    w.run(10 * S);
    w.inject([wire::probe(SERVER_V4, OTHER)]);
    w.run(S);
    // The first that claims it: it is defended (RFC 5227 section 2.4 b).
    assert_eq!(w.exchange([claim(SERVER_V4)]), [announcement(SERVER_V4)]);
    assert!(has_lease(&w));
}

#[test]
fn a_leased_address_that_somebody_has_already_is_given_back_at_once() {
    let mut w = leased(DHCP, 120);
    w.sent();
    w.inject([claim(SERVER_V4)]);
    assert!(!has_lease(&w));
    assert_eq!(w.sent().iter().find_map(said).map(|said| said.kind), Some(Type::Decline));
    let line = format!("WARN address {SERVER_V4} is not used: {OTHER} has it");
    assert_told(&[&line]);
    assert!(!w.watch(10 * S).iter().any(|(_, seen)| *seen == announcement(SERVER_V4)));
}

#[test]
fn short_leases_work() {
    let mut w = leased(DHCP, 4);
    let short = Giver { lease: 4, ..HONEST };
    for _ in 0..20 {
        w.sent();
        let asks = next(&mut w);
        assert_eq!((asks.kind, asks.to_all), (Type::Request, false));
        short.say(&mut w, Type::Ack, asks.transaction);
    }
    assert!(has_lease(&w));
    assert_told(&[]);
}

#[test]
fn a_lease_of_no_time_is_no_storm() {
    let mut w = started(DHCP);
    Giver { lease: 0, ..HONEST }.give(&mut w);
    assert!(hears(&mut w, 10 * S).len() < 10);
}

#[test]
fn a_lease_takes_the_place_of_a_chosen_address() {
    let mut w = started(AUTO);
    w.run(30 * S);
    let address = chosen(&w).unwrap();
    let me = (Ipv4Address::new(169, 254, 9, 9), RAW_MAC);
    w.inject([wire::arp(me, (address, Mac::BROADCAST))]);
    let mut peer = Peer::between((me.0.into(), 60_001), RAW_MAC, (address.into(), ECHO));
    peer.connect(&mut w);
    listen();
    HONEST.give(&mut w);
    assert!(has_lease(&w));
    assert_eq!(chosen(&w), None);
    assert_eq!(w.server.net.free_slots(), (4, 2));
    assert_told(&[
        "INFO address 192.168.69.1/24 from DHCP server 192.168.69.254 for 120 s",
        "INFO the link-local IPv4 address is gone: 192.168.69.1 is in its place",
    ]);
    // And when it has run out, one is chosen again.
    w.run(140 * S);
    assert!(chosen(&w).is_some());
}

#[test]
fn with_dhcp_alone_no_address_is_chosen() {
    let mut w = started(DHCP);
    w.run(100 * S);
    assert_eq!(chosen(&w), None);
}

#[test]
fn a_route_may_lead_through_a_network_that_is_not_known_yet() {
    const ROUTES: &[Route] = &[Route {
        cidr: IpCidr::new(IpAddress::Ipv4(Ipv4Address::new(203, 0, 113, 0)), 24),
        via: IpAddress::Ipv4(GIVER),
    }];
    let shape = Shape { addresses: DHCP, routes: ROUTES, ..Shape::SMALL };
    let mut w = World::started(shape, &[]);
    Giver { routers: &[192, 168, 69, 77], ..HONEST }.give(&mut w);
    raw::introduce(&mut w);
    assert_eq!(Peer::far([203, 0, 113, 9], 60_001, ECHO).connect(&mut w), []);
    // The router that the server names is not there.
    let peer = Peer::far([198, 51, 100, 9], 60_002, ECHO);
    assert_eq!(peer.exchange(&mut w, &[peer.syn()]), []);
}

#[test]
fn a_lease_has_room_beside_prefixes() {
    let mut w = started(AUTO);
    w.run(30 * S);
    assert!(chosen(&w).is_some());
    let prefixes: Vec<_> = (0..10).map(prefix).collect();
    w.inject([wire::advertisement((ROUTER, GIVER_MAC), 1800, &prefixes)]);
    w.run(5 * S);
    HONEST.give(&mut w);
    w.run(5 * S);
    assert!(has_lease(&w));
    assert_eq!(w.server.net.addresses().len(), smoltcp::config::IFACE_MAX_ADDR_COUNT);
}

#[test]
fn broken_messages_do_no_harm() {
    let mut w = started(AUTO);
    let prefix = prefix(1);
    let asks = next(&mut w);
    let whole = [
        wire::probe(SERVER_V4, OTHER),
        claim(SERVER_V4),
        wire::probe6(SERVER_LINK_LOCAL, OTHER),
        claim(SERVER_LINK_LOCAL),
        wire::advertisement((ROUTER, GIVER_MAC), 1800, &[prefix, prefix]),
        query(1000, 1, ROUTER),
        HONEST.frame(Type::Offer, asks.transaction),
        HONEST.frame(Type::Ack, asks.transaction),
        HONEST.frame(Type::Nak, asks.transaction),
    ];
    let mut random = Random::new(1);
    for frame in whole {
        for len in 0..frame.len() {
            w.inject([frame[..len].to_vec()]);
        }
        for at in 0..frame.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, random.next() as u8] {
                let mut broken = frame.clone();
                broken[at] = value;
                // What is behind a checksum counts as well.
                wire::repair(&mut broken);
                w.inject([broken]);
            }
            w.run(u64::from(random.below(200)) * MS);
        }
    }
    w.run(700 * S);
    let count = w.server.net.addresses().len();
    assert!(count <= smoltcp::config::IFACE_MAX_ADDR_COUNT, "{count}");
}

#[test]
fn dhcp_needs_room_for_its_socket() {
    let shape = Shape { addresses: DHCP, routes: &[], ..Shape::SMALL };
    let mut memory = memory(&shape);
    memory.sockets = lend(shape.control + shape.data, Default::default);
    let refused = Net::new(&config(&shape), memory, &mut Port::default(), Instant::ZERO);
    assert_eq!(refused.err(), Some(ConfigError::Memory("a socket for DHCP")));
}

#[test]
fn resources_have_room_for_its_socket() {
    tinyftp::resources! {
        type Resources = {
            storage: RamDisk<'static>,
            sessions: 1,
            desks: 1,
            transfers: 1,
            others: 0,
            line: 64,
            control: (128, 640),
            data: (1, 464),
        };
    }
    let shape = Shape { addresses: DHCP, routes: &[], ..Shape::SMALL };
    let Parts { memory, .. } = Box::leak(Box::new(Resources::EMPTY)).lend();
    let net = Net::new(&config(&shape), memory, &mut Port::default(), Instant::ZERO);
    assert_eq!(net.err(), None);
}
