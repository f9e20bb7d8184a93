//! More requests for connections than may have a slot: who means it gets one.

use smoltcp::wire::IpAddress;

use crate::raw::{self, Peer};
use crate::sim::{ECHO, FTP, MS, S, Shape, World};
use crate::wire::Segment;

/// A server on which so many connections are half-open that cookies are handed out.
fn flooded(shape: Shape) -> World {
    let mut w = World::new(shape);
    raw::introduce(&mut w);
    flood(&mut w, 0..shape.control as u32);
    w
}

/// Requests from addresses that do not exist.
fn flood(w: &mut World, numbers: std::ops::Range<u32>) {
    let spoofed = |n: u32| {
        let [_, a, b, c] = n.to_be_bytes();
        let peer = Peer::far([10, a, b, c], 1024 + (n % 60_000) as u16, FTP);
        peer.frame(&peer.syn())
    };
    w.inject(numbers.map(spoofed));
}

#[test]
fn who_acknowledges_a_cookie_is_served() {
    let mut w = flooded(Shape { control: 8, ..Shape::SMALL });
    for mut peer in
        [Peer::new(60_001, ECHO), Peer::new6(60_001, ECHO), Peer::far([10, 1, 1, 1], 60_001, ECHO)]
    {
        let free = w.server.net.free_slots();
        let answer = peer.request(&mut w);
        assert_eq!(w.server.net.free_slots(), free, "no slot yet");
        let mss = if let IpAddress::Ipv4(_) = peer.me.0 { 1460 } else { 1440 };
        assert_eq!((answer.mss, answer.scale, answer.sack), (Some(mss), None, false));
        assert_eq!(answer.window, 512, "it must fit the buffer that there will be");
        assert_eq!(peer.exchange(&mut w, &[peer.ack()]), []);
        assert_eq!(peer.say(&mut w, b"hello")[0].payload, b"hello");
        assert_eq!(peer.say(&mut w, b"again")[0].payload, b"again");
        let closed = peer.exchange(&mut w, &[peer.fin()]);
        assert!(closed.iter().any(|segment| segment.fin), "{closed:?}");
    }
    let mut peer = Peer::new(60_002, FTP);
    assert!(peer.connect(&mut w)[0].payload.starts_with(b"220"));
    assert_eq!(peer.say(&mut w, b"NOOP\r\n")[0].payload, b"200 OK\r\n");
    w.finish();
}

#[test]
fn the_acknowledgment_may_be_lost_and_come_with_the_first_bytes() {
    let mut w = flooded(Shape { control: 8, ..Shape::SMALL });
    let mut peer = Peer::new(60_001, ECHO);
    peer.request(&mut w);
    assert_eq!(peer.say(&mut w, b"hello")[0].payload, b"hello");
    w.finish();
}

#[test]
fn a_cookie_is_for_one_request() {
    let mut w = flooded(Shape { control: 8, ..Shape::SMALL });
    let mut peer = Peer::new(60_001, ECHO);
    peer.request(&mut w);
    let free = w.server.net.free_slots();
    let good = peer.ack();
    for bad in [
        Segment { ack_number: good.ack_number.wrapping_add(1), ..good.clone() },
        Segment { ack_number: good.ack_number.wrapping_sub(1), ..good.clone() },
        Segment { seq: good.seq.wrapping_add(1), ..good.clone() },
        Segment { source: (good.source.0, 60_002), ..good.clone() },
        Segment {
            source: (smoltcp::wire::Ipv4Address::new(192, 168, 69, 201).into(), 60_001),
            ..good.clone()
        },
        Segment { target: (good.target.0, FTP), ..good.clone() },
    ] {
        w.inject([peer.frame(&bad)]);
        let flags: Vec<String> = w.segments().iter().map(Segment::flags).collect();
        assert_eq!(flags, ["RST"], "{bad:?}");
    }
    assert_eq!(w.server.net.free_slots(), free);
    assert_eq!(peer.exchange(&mut w, &[good]), []);
    assert_eq!(peer.say(&mut w, b"hello")[0].payload, b"hello");
    w.finish();
}

#[test]
fn a_cookie_loses_its_worth() {
    for (age, counts) in [(31 * S, true), (65 * S, false)] {
        // With others handed out meanwhile, and without.
        for busy in [true, false] {
            let mut w = flooded(Shape { control: 8, ..Shape::SMALL });
            let mut peer = Peer::new(60_001, ECHO);
            peer.request(&mut w);
            w.run(age);
            if busy {
                flood(&mut w, 100..200);
            }
            let sent = peer.exchange(&mut w, &[peer.ack()]);
            assert_eq!(sent.is_empty(), counts, "after {age} us: {sent:?}");
            w.finish();
        }
    }
}

#[test]
fn a_cookie_is_worth_nothing_without_a_slot() {
    let mut w = World::new(Shape { control: 4, ..Shape::SMALL });
    raw::introduce(&mut w);
    flood(&mut w, 0..2);
    let mut peers: Vec<Peer> = (0..5).map(|n| Peer::new(60_001 + n, ECHO)).collect();
    peers.iter_mut().for_each(|peer| drop(peer.request(&mut w)));
    // Two slots are free, and two are those of requests that nobody meant.
    for peer in &mut peers[..4] {
        assert_eq!(peer.exchange(&mut w, &[peer.ack()]), []);
        assert_eq!(peer.say(&mut w, b"hello")[0].payload, b"hello");
    }
    let refused = peers[4].exchange(&mut w, &[peers[4].ack()]);
    assert_eq!(refused[0].flags(), "RST");
    w.finish();
}

#[test]
fn a_server_that_stops_takes_no_cookie_back() {
    let mut w = flooded(Shape { control: 8, ..Shape::SMALL });
    let mut peer = Peer::new(60_001, ECHO);
    peer.request(&mut w);
    w.server.shutdown(w.now + S);
    let refused = peer.exchange(&mut w, &[peer.ack()]);
    assert_eq!(refused[0].flags(), "RST");
}

#[test]
fn three_hundred_clients_that_are_far_away_connect_in_a_flood() {
    // As many requests that nobody means come before the first of them has heard the answer.
    let mut w = World::new(Shape { control: 1400, ..Shape::SMALL });
    raw::introduce(&mut w);
    let mut idle = Peer::new(60_001, FTP);
    idle.connect(&mut w);
    let mut peers: Vec<Peer> =
        (0..300).map(|n| Peer::far([10, 200, (n / 250) as u8, n as u8], 60_000 + n, FTP)).collect();
    for (n, peer) in peers.iter_mut().enumerate() {
        flood(&mut w, n as u32 * 60..n as u32 * 60 + 60);
        peer.request(&mut w);
        assert_eq!(idle.say(&mut w, b"NOOP\r\n")[0].payload, b"200 OK\r\n", "at once");
    }
    w.run(100 * MS);
    for peer in &mut peers {
        let greeting = peer.exchange(&mut w, &[peer.ack()]);
        assert!(greeting[0].payload.starts_with(b"220"), "{greeting:?}");
    }
    w.finish();
}

/// Requests that get no answer while slots are free.
fn unanswerable() -> Vec<(&'static str, Vec<u8>)> {
    let from = |address: [u8; 4]| {
        let peer = Peer::far(address, 60_001, ECHO);
        peer.frame(&peer.syn())
    };
    let peer = Peer::new(60_002, ECHO);
    let mut bad_header = peer.frame(&peer.syn());
    // The time to live of the IPv4 header: its checksum is wrong then, and that of TCP is right.
    bad_header[14 + 8] ^= 1;
    vec![
        ("from all", from([255, 255, 255, 255])),
        ("from all of this link", from([192, 168, 69, 255])),
        ("from a group", from([224, 0, 0, 1])),
        ("with FIN", peer.frame(&Segment { fin: true, ..peer.syn() })),
        ("with a wrong checksum of IP", bad_header),
    ]
}

#[test]
fn what_is_not_answered_otherwise_gets_no_cookie() {
    for (what, frame) in unanswerable() {
        let mut w = World::new(Shape { control: 8, ..Shape::SMALL });
        raw::introduce(&mut w);
        w.inject([frame.clone()]);
        assert_eq!(w.segments(), [], "with slots: {what}");
    }
    let answered: Vec<&str> = unanswerable()
        .into_iter()
        .filter(|(_, frame)| {
            let mut w = flooded(Shape { control: 8, ..Shape::SMALL });
            w.inject([frame.clone()]);
            !w.segments().is_empty()
        })
        .map(|(what, _)| what)
        .collect();
    assert_eq!(answered, [""; 0]);
}

/// An acknowledgment whose IP header is broken takes nobody's place.
#[test]
fn a_broken_acknowledgment_redeems_nothing() {
    let mut w = flooded(Shape { control: 8, ..Shape::SMALL });
    let mut peer = Peer::new(60_001, ECHO);
    peer.request(&mut w);
    let free = w.server.net.free_slots();
    let mut frame = peer.frame(&peer.ack());
    frame[14 + 8] ^= 1;
    w.inject([frame]);
    assert_eq!(w.server.net.free_slots(), free);
}

/// On a path that takes longer than a second, or doubles frames: the request comes again when
/// there are slots again, and then the acknowledgment of the cookie.
#[test]
fn a_cookie_counts_though_the_request_came_twice() {
    let mut w = flooded(Shape { control: 8, ..Shape::SMALL });
    let mut peer = Peer::new(60_001, ECHO);
    let again = peer.frame(&peer.syn());
    peer.request(&mut w);
    // The other handshakes have ended.
    w.run(25 * S);
    w.inject([again]);
    assert_eq!(peer.exchange(&mut w, &[peer.ack()]), []);
    assert_eq!(peer.say(&mut w, b"hello")[0].payload, b"hello");
}

/// Who has acknowledged is connected, and does not make room for others in the same turn.
#[test]
fn those_who_acknowledge_at_once_do_not_take_each_others_slots() {
    let mut w = World::new(Shape { control: 4, ..Shape::SMALL });
    raw::introduce(&mut w);
    flood(&mut w, 0..2);
    let mut peers: Vec<Peer> = (0..5).map(|n| Peer::new(60_001 + n, ECHO)).collect();
    peers.iter_mut().for_each(|peer| drop(peer.request(&mut w)));
    let acks: Vec<_> = peers.iter().map(|peer| peer.frame(&peer.ack())).collect();
    w.inject(acks);
    for peer in &mut peers[..4] {
        let answer = peer.exchange(&mut w, &[peer.data(0, 5)]);
        let flags: Vec<String> = answer.iter().map(Segment::flags).collect();
        assert!(
            answer.iter().any(|segment| segment.payload == b"xxxxx"),
            "{:?}: {flags:?}",
            peer.me
        );
    }
}
