//! What the server does while nothing happens, or nothing can: next to nothing.

use smoltcp::wire::IpAddress;

use crate::client::{Client, Mode};
use crate::raw::{self, GATEWAY_MAC, Peer, RAW_MAC, RAW_V4, RAW_V6};
use crate::sim::{ECHO, FTP, GATEWAY_V4, IDLE, MS, S, SERVER_V4, Shape, World, pattern};
use crate::wire::{Seen, Segment};

#[test]
fn an_idle_server_sleeps() {
    let mut w = World::new(Shape::SMALL);
    assert_eq!(w.server.due, None);
    w.run(1000 * S);
    assert_eq!(w.server.turns, 0);
    w.finish();
}

#[test]
fn idle_sessions_wake_up_when_their_time_is_over() {
    let mut w = World::new(Shape::SMALL);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let tcp = w.connect(host, SERVER_V4.into(), ECHO);
    w.send(tcp, b"hello");
    assert_eq!(w.take(tcp, 5), b"hello");
    // Delayed ACKs and the like.
    w.run(S);
    let (turns, due) = (w.server.turns, w.server.due.unwrap());
    assert!(due > w.now + IDLE - 2 * S, "{due} at {}", w.now);
    w.run(IDLE - 3 * S);
    assert_eq!(w.server.turns, turns, "turns without a reason");
    assert_eq!(w.server.due, Some(due));
    w.run(3 * S);
    client.expect(&mut w, "421");
    assert!(w.server.turns < turns + 10, "{}", w.server.turns - turns);
    w.finish();
}

/// Turns of a minute in which nobody answers the server.
fn turns_of_a_minute(w: &mut World) -> u64 {
    let before = w.server.turns;
    w.run(60 * S);
    w.server.turns - before
}

#[test]
fn a_peer_that_is_gone_costs_a_few_turns() {
    let file = pattern(100_000, 1);
    let mut w = World::with_files(Shape::LARGE, &[("/file", &file)]);
    raw::introduce(&mut w);
    let mut half_open = Peer::new(60_001, ECHO);
    half_open.request(&mut w);
    let mut greeted = Peer::new(60_002, FTP);
    greeted.connect(&mut w);
    let mut closed = Peer::new(60_003, FTP);
    closed.connect(&mut w);
    closed.say(&mut w, b"QUIT\r\n");
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let data = client.transfer(&mut w, Mode::Pasv, "RETR file");
    w.forget(data);
    w.hosts.clear();
    let turns = turns_of_a_minute(&mut w);
    assert!(turns < 200, "{turns}");
    w.finish();
}

#[test]
fn a_window_that_stays_closed_costs_a_few_turns() {
    let file = pattern(100_000, 1);
    let mut w = World::with_files(Shape::SMALL, &[("/file", &file)]);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let data = client.transfer(&mut w, Mode::Pasv, "RETR file");
    w.run(10 * S);
    let before = w.server.turns;
    w.run(40 * S);
    let turns = w.server.turns - before;
    assert!(turns < 30, "{turns}");
    assert!(w.drain(data) == file);
    client.expect(&mut w, "226");
    w.finish();
}

#[test]
fn an_unread_control_connection_is_closed() {
    // A client that sends commands and reads no reply: neither side's window moves.
    let mut w = World::new(Shape::SMALL);
    raw::introduce(&mut w);
    let mut peer = Peer { window: 0, ..Peer::new(60_001, FTP) };
    peer.connect(&mut w);
    for _ in 0..20 {
        peer.say(&mut w, b"NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n");
    }
    let turns = turns_of_a_minute(&mut w);
    assert!(turns < 40, "{turns}");
    w.run(60 * S);
    assert_eq!(w.server.net.free_slots().0, 4);
    w.finish();
}

#[test]
fn time_wait_costs_a_few_turns() {
    let mut w = World::new(Shape::SMALL);
    let host = w.host(100);
    let client = Client::login(&mut w, host);
    client.quit(&mut w);
    let turns = turns_of_a_minute(&mut w);
    assert!(turns < 10, "{turns}");
    assert_eq!(w.server.due, None);
    w.finish();
}

#[test]
fn a_device_that_takes_few_frames_at_once_loses_none() {
    let file = pattern(100_000, 1);
    let mut w = World::with_files(Shape::LARGE, &[("/file", &file)]);
    w.server.port.room = Some(2);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let start = w.now;
    assert!(client.retrieve(&mut w, Mode::Pasv, "file") == file);
    assert!(w.now - start < 100 * MS, "{}", w.now - start);
    client.store(&mut w, Mode::Pasv, "up", &file);
    client.quit(&mut w);
    w.finish();
}

#[test]
fn a_device_that_is_full_of_the_last_frame_costs_no_turn() {
    let turns_of_replies = |room| {
        let mut w = World::new(Shape::SMALL);
        w.server.port.room = room;
        let host = w.host(100);
        let mut client = Client::login(&mut w, host);
        let before = w.server.turns;
        for _ in 0..100 {
            client.say(&mut w, "NOOP", "200");
        }
        w.server.turns - before
    };
    assert_eq!(turns_of_replies(Some(1)), turns_of_replies(None));
}

#[test]
fn a_connection_that_is_not_closed_by_its_peer_is_given_up() {
    // The FIN is not acknowledged; or it is, and the peer's own never comes.
    for acknowledged in [false, true] {
        let mut w = World::new(Shape::SMALL);
        raw::introduce(&mut w);
        let mut peer = Peer::new(60_001, FTP);
        peer.connect(&mut w);
        peer.say(&mut w, b"QUIT\r\n");
        if acknowledged {
            peer.exchange(&mut w, &[peer.ack()]);
        }
        w.run(29 * S);
        assert_eq!(w.server.net.free_slots().0, 3);
        w.run(2 * S);
        assert_eq!(w.server.net.free_slots().0, 4);
        assert_eq!(peer.sent_to_me(&mut w).last().unwrap().flags(), "RST|ACK");
        w.finish();
    }
}

// Neighbors.

#[test]
fn a_neighbor_that_is_not_known_is_asked_for_and_answered_at_once() {
    for (mut peer, address) in [
        (Peer::new(60_001, ECHO), IpAddress::from(RAW_V4)),
        (Peer::new6(60_001, ECHO), RAW_V6.into()),
        (Peer::far([10, 1, 1, 1], 60_001, ECHO), GATEWAY_V4.into()),
    ] {
        let mut w = World::new(Shape::SMALL);
        let mac = if address == GATEWAY_V4.into() { GATEWAY_MAC } else { RAW_MAC };
        w.phantom_unheard(address, mac);
        let sent = w.exchange([peer.frame(&peer.syn())]);
        let [question, Seen::Tcp(answer)] = &sent[..] else { panic!("{sent:?}") };
        match address {
            IpAddress::Ipv4(v4) => assert_eq!(*question, Seen::ArpRequest(v4)),
            IpAddress::Ipv6(v6) => assert_eq!(*question, Seen::Solicit(v6)),
        }
        assert_eq!(answer.flags(), "SYN|ACK");
        peer.seq = peer.seq.wrapping_add(1);
        peer.ack = answer.seq.wrapping_add(1);
        peer.exchange(&mut w, &[peer.ack()]);
        assert_eq!(peer.say(&mut w, b"hello")[0].payload, b"hello");
        w.finish();
    }
}

#[test]
fn a_neighbor_that_does_not_answer_is_asked_again_but_not_often() {
    let mut w = World::new(Shape::SMALL);
    let peer = Peer::new(60_001, ECHO);
    assert_eq!(w.exchange([peer.frame(&peer.syn())]), [Seen::ArpRequest(RAW_V4)]);
    let before = w.server.turns;
    w.run(60 * S);
    let asked = w.sent();
    // Once a second, as long as a handshake may take.
    assert!((10..=20).contains(&asked.len()), "{asked:?}");
    assert!(w.server.turns - before < 50);
    assert_eq!(w.server.net.free_slots().0, 4);
    w.finish();
}

#[test]
fn a_neighbor_that_was_forgotten_in_a_transfer_is_asked_again() {
    let mut w = World::new(Shape::SMALL);
    w.phantom_unheard(RAW_V4.into(), RAW_MAC);
    let mut peer = Peer::new(60_001, ECHO);
    w.exchange([]);
    let sent = w.exchange([peer.frame(&peer.syn())]);
    let Some(Seen::Tcp(answer)) = sent.last() else { panic!("{sent:?}") };
    peer.seq = peer.seq.wrapping_add(1);
    peer.ack = answer.seq.wrapping_add(1);
    peer.exchange(&mut w, &[peer.ack()]);
    w.run(55 * S);
    peer.say(&mut w, b"a");
    w.run(59 * S);
    let sent = peer.say(&mut w, b"b");
    let echoed = |segment: &Segment| segment.payload == b"b";
    assert!(sent.iter().any(echoed), "{sent:?}");
    w.finish();
}

#[test]
fn a_device_that_stays_full_is_tried_now_and_then() {
    let mut w = World::with_files(Shape::SMALL, &[("/file", &pattern(20_000, 1))]);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let port = client.pasv(&mut w);
    let data = w.connect(host, SERVER_V4.into(), port);
    w.server.port.room = Some(0);
    client.send(&mut w, "RETR file");
    let turns = w.server.turns;
    w.run(S);
    assert!((100..5000).contains(&(w.server.turns - turns)), "{}", w.server.turns - turns);
    w.server.port.room = None;
    assert_eq!(w.drain(data), pattern(20_000, 1));
    client.expect(&mut w, "150");
    client.expect(&mut w, "226");
    client.quit(&mut w);
    w.finish();
}
