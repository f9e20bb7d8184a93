//! Trap 8: what is sent in answer to anybody is limited. And what is answered at all.

use smoltcp::wire::{IpAddress, IpProtocol};

use crate::client::passive;
use crate::raw::{self, Peer, RAW_MAC, RAW_V4, RAW_V6};
use crate::sim::{ECHO, MS, S, SERVER_MAC, SERVER_V4, SERVER_V6, Shape, World};
use crate::wire::{self, Mac, Seen, Segment};

/// Answers that may be sent at once.
const BURST: usize = 250;

fn world() -> World {
    let mut w = World::new(Shape::SMALL);
    raw::introduce(&mut w);
    w.run(S);
    w
}

fn ping(address: IpAddress, data: &[u8]) -> Vec<u8> {
    match address {
        IpAddress::Ipv4(_) => {
            wire::ping((RAW_V4.into(), RAW_MAC), (SERVER_V4.into(), SERVER_MAC), data)
        }
        IpAddress::Ipv6(_) => {
            wire::ping((RAW_V6.into(), RAW_MAC), (SERVER_V6.into(), SERVER_MAC), data)
        }
    }
}

#[test]
fn ping_over_both_versions() {
    let mut w = world();
    for address in [IpAddress::from(RAW_V4), RAW_V6.into()] {
        for len in [0, 1, 56, 1400] {
            let data = vec![b'p'; len];
            assert_eq!(w.exchange([ping(address, &data)]), [Seen::Pong(address, data)]);
        }
    }
    // To everybody: RFC 1122 section 3.2.2.6 allows silence, and it is safer.
    let all = wire::ping((RAW_V4.into(), RAW_MAC), (SERVER_V4.into(), Mac::BROADCAST), b"x");
    assert_eq!(w.exchange([all]), []);
    w.finish();
}

/// 10,000 of one kind of frame in one instant, beside a connection that goes on.
fn flood(frame: Vec<u8>, at_most: usize) {
    let mut w = world();
    let mut peer = Peer::new(60_001, ECHO);
    peer.connect(&mut w);
    let answers = w.exchange(vec![frame.clone(); 10_000]);
    assert_eq!(answers.len(), at_most, "{:?}", answers.first());
    // Who asks for our hardware address is still told.
    let question = wire::arp((RAW_V4, RAW_MAC), (SERVER_V4, Mac::BROADCAST));
    assert_eq!(w.exchange([question]), [Seen::ArpReply(RAW_V4)]);
    let echo = Segment { payload: b"hello".to_vec(), ..peer.ack() };
    let mut batch = vec![frame.clone(); 100];
    batch.push(peer.frame(&echo));
    let answers = w.exchange(batch);
    assert_eq!(answers.len(), 1);
    let Seen::Tcp(answer) = &answers[0] else { panic!("{answers:?}") };
    assert_eq!(answer.payload, b"hello");
    peer.seq = peer.seq.wrapping_add(5);
    peer.take(std::slice::from_ref(answer));
    // And connections are accepted.
    assert_eq!(Peer::new(60_002, ECHO).connect(&mut w), []);
    // Some time later some more may be sent.
    w.exchange([peer.frame(&peer.ack())]);
    w.run(50 * MS);
    let answers = w.exchange(vec![frame; 1000]);
    assert_eq!(answers.len(), 50.min(at_most));
    w.finish();
}

#[test]
fn of_pings() {
    flood(ping(RAW_V4.into(), b"data"), BURST);
    flood(ping(RAW_V6.into(), b"data"), BURST);
}

#[test]
fn of_syns_to_a_closed_port() {
    for peer in [Peer::new(60_009, 99), Peer::new6(60_009, 99)] {
        flood(peer.frame(&peer.syn()), BURST);
    }
}

#[test]
fn of_segments_of_no_connection() {
    let peer = Peer::new(60_009, ECHO);
    flood(peer.frame(&peer.data(0, 10)), BURST);
    flood(peer.frame(&peer.fin()), BURST);
    flood(peer.frame(&Segment { ack: true, ..peer.syn() }), BURST);
}

#[test]
fn of_resets() {
    let peer = Peer::new(60_009, ECHO);
    flood(peer.frame(&peer.rst()), 0);
    // Nor do they use up what others are answered with.
    let mut w = world();
    w.inject(vec![peer.frame(&peer.rst()); 1000]);
    assert_eq!(peer.exchange(&mut w, &[peer.fin()])[0].flags(), "RST");
    w.finish();
}

#[test]
fn of_protocols_that_are_not_spoken() {
    let (from, to) = (RAW_V4.into(), SERVER_V4.into());
    flood(wire::ip(from, to, IpProtocol::Unknown(99), &[0; 20], RAW_MAC, SERVER_MAC), BURST);
}

#[test]
fn of_wrong_answers_in_a_handshake() {
    // Of a peer that was forged, for one.
    let mut w = world();
    let mut peer = Peer::new(60_001, ECHO);
    peer.request(&mut w);
    let wrong = Segment { ack_number: 4711, ..peer.ack() };
    let answers = w.exchange(vec![peer.frame(&wrong); 10_000]);
    assert_eq!(answers.len(), BURST);
    assert_eq!(w.exchange([peer.frame(&peer.ack())]), []);
    assert_eq!(peer.say(&mut w, b"hello")[0].payload, b"hello");
    w.finish();
}

#[test]
fn of_segments_of_a_connection_that_has_ended() {
    // The session has not looked at its data connection yet.
    let mut w = world();
    let (client, mut peer) = passive(&mut w);
    peer.connect(&mut w);
    peer.exchange(&mut w, &[peer.rst()]);
    w.run(S);
    let answers = w.exchange(vec![peer.frame(&peer.data(0, 1)); 10_000]);
    assert_eq!(answers.len(), BURST);
    client.quit(&mut w);
    w.finish();
}
