//! UDP: a datagram finds the service of its port, and its answer the way back; nothing is
//! answered that could make two servers talk for ever.

use std::net::{IpAddr, SocketAddr};

use smoltcp::wire::{EthernetAddress, IpAddress, Ipv4Address, Ipv6Address};

use crate::raw::{self, GATEWAY_MAC, RAW_MAC, RAW_V4, RAW_V6};
use crate::sim::{
    BEACON, DAYTIME, DISCARD, ECHO, GROUPS, MS, S, SERVER_LINK_LOCAL, SERVER_MAC, SERVER_V4,
    SERVER_V6, Server, Shape, World, instant,
};
use crate::wire::{End, Mac, Message, Seen, udp};

const GROUP_V4_MAC: Mac = EthernetAddress([0x01, 0, 0x5e, 1, 2, 3]);
const GROUP_V6_MAC: Mac = EthernetAddress([0x33, 0x33, 0, 0, 0, 0x99]);
/// Ports from which both raw peers and servers may speak.
const PORT: u16 = 60_000;

fn world() -> World {
    world_of(Shape::SMALL)
}

fn world_of(shape: Shape) -> World {
    let mut w = World::new(shape);
    w.run(S);
    w.sent();
    w
}

/// The server's address of the same version.
fn server(peer: IpAddress) -> IpAddress {
    match IpAddr::from(peer) {
        IpAddr::V4(_) => SERVER_V4.into(),
        IpAddr::V6(_) => SERVER_V6.into(),
    }
}

fn question(from: End, port: u16, payload: &[u8]) -> Vec<u8> {
    udp((from, RAW_MAC), ((server(from.0), port), SERVER_MAC), payload)
}

fn answer(to: End, port: u16, payload: &[u8]) -> Seen {
    Seen::Udp(Message {
        source: (server(to.0), port),
        target: to,
        to: RAW_MAC,
        hop_limit: 64,
        payload: payload.to_vec(),
    })
}

#[test]
fn echo_discard_daytime() {
    echo_discard_daytime_in(world());
    // Where the device has verified the checksum.
    echo_discard_daytime_in(world_of(Shape::OFFLOAD));
}

fn echo_discard_daytime_in(mut w: World) {
    for peer in [IpAddress::from(RAW_V4), RAW_V6.into()] {
        let me = (peer, PORT);
        // Nobody had to ask who the peer is.
        for text in [&b""[..], b"x", &[b'x'; 1400]] {
            assert_eq!(w.exchange([question(me, ECHO, text)]), [answer(me, ECHO, text)]);
        }
        assert_eq!(w.exchange([question(me, DISCARD, b"x")]), []);
    }
    let me = (RAW_V4.into(), PORT);
    let line = b"Sunday, November 22, 2026 05:43:25-UTC\r\n";
    assert_eq!(w.exchange([question(me, DAYTIME, b"")]), [answer(me, DAYTIME, line)]);
    w.finish();
}

#[test]
fn a_service_that_comes_later_is_asked_what_it_has_to_say() {
    let mut w = world();
    let Server { net, port, services, .. } = &mut w.server;
    let text = (0, SocketAddr::new(GROUPS[0], BEACON), b"hello".to_vec());
    services.beacon.to_say.push_back(text);
    assert_eq!(net.poll(port, &mut [], instant(w.now)), None);
    net.poll(port, &mut services.table(), instant(w.now));
    assert_eq!(port.outbox.len(), 1);
}

#[test]
fn the_answer_goes_back_the_way_the_question_came() {
    let mut w = world();
    let far: End = (Ipv4Address::new(203, 0, 113, 9).into(), PORT);
    let frame = udp((far, GATEWAY_MAC), ((SERVER_V4.into(), ECHO), SERVER_MAC), b"x");
    let [Seen::Udp(message)] = &w.exchange([frame])[..] else { panic!("no answer") };
    assert_eq!((message.to, message.target), (GATEWAY_MAC, far));
    w.finish();
}

#[test]
fn a_service_at_one_address() {
    // Daytime is bound to the IPv4 address.
    let mut w = world();
    let me = (RAW_V6.into(), PORT);
    raw::introduce(&mut w);
    w.sent();
    let answers = w.exchange([question(me, DAYTIME, b"")]);
    assert_eq!(answers, [Seen::PortUnreachable(RAW_V6.into())]);
    w.finish();
}

#[test]
fn what_is_not_answered() {
    let mut w = world();
    raw::introduce(&mut w);
    w.sent();
    let (own4, own6): (IpAddress, IpAddress) = (SERVER_V4.into(), SERVER_V6.into());
    let other: IpAddress = RAW_V4.into();
    let broadcast: IpAddress = Ipv4Address::new(192, 168, 69, 255).into();
    let to = |from: End, to: IpAddress, mac: Mac| udp((from, RAW_MAC), ((to, ECHO), mac), b"x");
    let silent = [
        ("an echo server", to((other, 7), own4, SERVER_MAC)),
        ("a port that only servers have", to((other, 1023), own4, SERVER_MAC)),
        ("ourselves", to((own4, ECHO), own4, SERVER_MAC)),
        ("ourselves, from a port of our own", to((own4, PORT), own4, SERVER_MAC)),
        ("ourselves over IPv6", to((own6, PORT), own6, SERVER_MAC)),
        ("nobody", to((Ipv4Address::UNSPECIFIED.into(), PORT), own4, SERVER_MAC)),
        ("everybody", to((Ipv4Address::BROADCAST.into(), PORT), own4, SERVER_MAC)),
        ("everybody on the link", to((broadcast, PORT), own4, SERVER_MAC)),
        ("a group", to((Ipv4Address::new(224, 0, 0, 1).into(), PORT), own4, SERVER_MAC)),
        (
            "a group of IPv6",
            to((Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(), PORT), own6, SERVER_MAC),
        ),
        ("the loopback", to((Ipv4Address::LOCALHOST.into(), PORT), own4, SERVER_MAC)),
        (
            "a question to everybody",
            to((other, PORT), Ipv4Address::BROADCAST.into(), Mac::BROADCAST),
        ),
        ("a question to the link", to((other, PORT), broadcast, Mac::BROADCAST)),
        ("a question to the link, for us alone", to((other, PORT), broadcast, SERVER_MAC)),
        ("a question to us, for everybody", to((other, PORT), own4, Mac::BROADCAST)),
        (
            "a question to somebody else",
            to((other, PORT), Ipv4Address::new(192, 168, 69, 9).into(), SERVER_MAC),
        ),
        (
            "a group that echo is not in",
            to((other, PORT), Ipv4Address::new(239, 1, 2, 3).into(), GROUP_V4_MAC),
        ),
        ("no port", to((other, 0), own4, SERVER_MAC)),
    ];
    for (what, frame) in silent {
        assert_eq!(w.exchange([frame]), [], "{what}");
    }
    for mac in [Mac::BROADCAST, GROUP_V4_MAC, SERVER_MAC] {
        let frame = udp(((other, PORT), mac), ((own4, ECHO), SERVER_MAC), b"x");
        assert_eq!(w.exchange([frame]), [], "nobody sends from {mac}");
    }
    let mut damaged = question((other, PORT), ECHO, b"x");
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(w.exchange([damaged]), [], "a wrong checksum");
    let mut bare = question((RAW_V6.into(), PORT), ECHO, b"x");
    bare[14 + 40 + 6..][..2].fill(0);
    assert_eq!(w.exchange([bare]), [], "no checksum over IPv6");
    w.finish();
}

#[test]
fn a_datagram_without_a_checksum() {
    // RFC 768: over IPv4 it is the sender's choice.
    let mut w = world();
    let me = (RAW_V4.into(), PORT);
    let mut bare = question(me, ECHO, b"x");
    bare[14 + 20 + 6..][..2].fill(0);
    assert_eq!(w.exchange([bare]), [answer(me, ECHO, b"x")]);
    w.finish();
}

#[test]
fn answers_that_are_longer_than_their_questions_are_limited() {
    let mut w = world();
    let me = (RAW_V4.into(), PORT);
    let answers =
        |w: &mut World, port, text: &[u8]| w.exchange(vec![question(me, port, text); 10_000]).len();
    assert_eq!(answers(&mut w, DAYTIME, b""), 250);
    // Who gets no more than he sent gains nothing by the name of another.
    assert_eq!(answers(&mut w, DAYTIME, &[b'x'; 50]), 10_000);
    assert_eq!(answers(&mut w, ECHO, b"x"), 10_000);
    w.finish();
}

#[test]
fn a_closed_port() {
    let mut w = world();
    raw::introduce(&mut w);
    w.sent();
    for peer in [IpAddress::from(RAW_V4), RAW_V6.into()] {
        let frame = question((peer, PORT), 9999, &[b'x'; 1400]);
        assert_eq!(w.exchange([frame.clone()]), [Seen::PortUnreachable(peer)]);
        // No more often than anything else that nobody asked for.
        assert!(w.exchange(vec![frame; 10_000]).len() <= 250);
        w.run(S);
    }
    // What came to everybody is no error (RFC 1122 section 3.2.2, RFC 4443 section 2.4).
    let all: IpAddress = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into();
    for mac in [SERVER_MAC, EthernetAddress([0x33, 0x33, 0, 0, 0, 1])] {
        let frame = udp(((RAW_V6.into(), PORT), RAW_MAC), ((all, 9999), mac), b"x");
        assert_eq!(w.exchange([frame]), []);
    }
    w.finish();
}

#[test]
fn services_that_listen_to_groups() {
    let mut w = world();
    let [v4, v6] = GROUPS;
    let cases = [(RAW_V4.into(), v4, GROUP_V4_MAC), (RAW_V6.into(), v6, GROUP_V6_MAC)];
    for (me, group, mac) in cases {
        let to = ((IpAddress::from(group), BEACON), mac);
        let heard = [Seen::Udp(Message {
            // Nobody speaks from the address of a group.
            source: (server(me), BEACON),
            target: (me, PORT),
            to: RAW_MAC,
            hop_limit: 255,
            payload: b"heard".to_vec(),
        })];
        assert_eq!(w.exchange([udp(((me, PORT), RAW_MAC), to, b"hello")]), heard);
        assert_eq!(
            w.server.services.beacon.heard.pop(),
            Some((SocketAddr::new(group, BEACON), b"hello".to_vec()))
        );
    }
    // A neighbor may be of a network that we know nothing of; it comes through no router.
    let neighbor = (Ipv4Address::new(169, 254, 7, 7).into(), PORT);
    let frame = |to, mac| udp((neighbor, RAW_MAC), ((IpAddress::from(to), BEACON), mac), b"hello");
    assert_eq!(w.exchange([frame(v4, GROUP_V4_MAC)]).len(), 1);
    w.server.services.beacon.heard.clear();
    // Who knows our address may be anywhere, and whoever he says that he is.
    assert_eq!(w.exchange([frame(SERVER_V4.into(), SERVER_MAC)]), []);
    assert_eq!(w.exchange([frame(v4, SERVER_MAC)]), []);
    assert_eq!(w.server.services.beacon.heard, []);
    w.finish();
}

#[test]
fn services_that_speak_when_it_is_time() {
    let mut w = world();
    let [v4, v6] = GROUPS;
    // The third is link-local.
    assert_eq!(w.server.services.beacon.addresses.len(), 3, "it knows who we are");
    let at = w.now + 500 * MS;
    let to_say = &mut w.server.services.beacon.to_say;
    to_say.push_back((at, SocketAddr::new(v4, BEACON), b"to four".to_vec()));
    to_say.push_back((at, SocketAddr::new(v6, BEACON), b"to six".to_vec()));
    // Hearing something makes it look at the time.
    w.exchange([udp(((RAW_V4.into(), 1), RAW_MAC), ((SERVER_V4.into(), BEACON), SERVER_MAC), b"")]);
    w.run(499 * MS);
    assert_eq!(w.sent(), []);
    w.run(MS);
    let said = |group: IpAddr, source: IpAddress, to, text: &[u8]| {
        Seen::Udp(Message {
            source: (source, BEACON),
            target: (group.into(), BEACON),
            to,
            hop_limit: 255,
            payload: text.to_vec(),
        })
    };
    assert_eq!(
        w.sent(),
        [
            said(v4, SERVER_V4.into(), GROUP_V4_MAC, b"to four"),
            said(v6, SERVER_LINK_LOCAL.into(), GROUP_V6_MAC, b"to six"),
        ]
    );
    // And when the server stops, as soon as there is room for it.
    w.server.port.room = Some(0);
    w.server.shutdown(w.now);
    w.run(10 * MS);
    assert_eq!(w.sent(), []);
    w.server.port.room = None;
    w.run(10 * MS);
    assert_eq!(
        w.sent(),
        [
            said(v4, SERVER_V4.into(), GROUP_V4_MAC, b"bye"),
            said(v6, SERVER_LINK_LOCAL.into(), GROUP_V6_MAC, b"bye"),
        ]
    );
    w.finish();
}
