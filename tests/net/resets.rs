//! Trap 6: an RST in the window is not enough to end a connection (RFC 5961 section 3.2).

use crate::client::passive;
use crate::raw::{self, Peer};
use crate::sim::{ECHO, S, Shape, World};
use crate::wire::Segment;

fn world() -> World {
    let mut w = World::new(Shape::SMALL);
    raw::introduce(&mut w);
    w
}

fn rst_at(peer: &Peer, offset: i32) -> Segment {
    Segment { seq: peer.seq.wrapping_add(offset as u32), ..peer.rst() }
}

/// RSTs that are off by a little provoke one challenge, and change nothing; the exact one is
/// believed.
fn only_the_exact_one(w: &mut World, peer: &Peer, free: impl Fn(&World) -> usize) {
    let before = free(w);
    w.run(2 * S);
    peer.sent_to_me(w);
    for offset in [1, 100, -1, 400, 100_000] {
        let challenge = peer.exchange(w, &[rst_at(peer, offset)]);
        let [challenge] = &challenge[..] else { panic!("{offset}: one ACK, not {challenge:?}") };
        assert_eq!(challenge.flags(), "ACK", "{offset}");
        assert_eq!(challenge.ack_number, peer.seq, "{offset}");
        assert_eq!(peer.exchange(w, &[rst_at(peer, offset)]), [], "{offset}: once a second");
        assert_eq!(free(w), before, "{offset}");
        w.run(S);
        assert_eq!(peer.sent_to_me(w), []);
    }
    let ack = Segment { ack: true, ack_number: peer.ack, ..rst_at(peer, 1) };
    assert_eq!(peer.exchange(w, &[ack]).len(), 1, "RST|ACK is no better");
    assert_eq!(free(w), before);
    assert_eq!(peer.exchange(w, &[rst_at(peer, 0)]), []);
    assert_eq!(free(w), before + 1);
}

fn control(w: &World) -> usize {
    w.server.net.free_slots().0
}

fn data(w: &World) -> usize {
    w.server.net.free_slots().1
}

#[test]
fn on_an_idle_connection() {
    let mut w = world();
    let mut peer = Peer::new(60_001, ECHO);
    peer.connect(&mut w);
    only_the_exact_one(&mut w, &peer, control);
    w.finish();
}

#[test]
fn after_bytes_that_were_read() {
    let mut w = world();
    let mut peer = Peer::new(60_001, ECHO);
    peer.connect(&mut w);
    for _ in 0..5 {
        peer.say(&mut w, b"some bytes");
    }
    peer.exchange(&mut w, &[peer.ack()]);
    only_the_exact_one(&mut w, &peer, control);
    w.finish();
}

#[test]
fn with_bytes_that_nobody_has_read() {
    let mut w = world();
    // Before STOR nobody reads the data connection.
    let (mut client, mut peer) = passive(&mut w);
    peer.connect(&mut w);
    for _ in 0..3 {
        peer.say(&mut w, &[b'x'; 700]);
    }
    w.run(S);
    // The slot is the session's until it looks.
    assert_eq!(data(&w), 1);
    peer.sent_to_me(&mut w);
    for offset in [1, 700, -700, -2100] {
        w.run(2 * S);
        let challenge = peer.exchange(&mut w, &[rst_at(&peer, offset)]);
        assert_eq!(challenge.len(), 1, "{offset}");
        assert_eq!(challenge[0].ack_number, peer.seq, "{offset}");
    }
    assert_eq!(peer.exchange(&mut w, &[rst_at(&peer, 0)]), []);
    assert_eq!(peer.exchange(&mut w, &[peer.data(0, 1)])[0].flags(), "RST", "it is closed");
    client.send(&mut w, "STOR file");
    client.expect(&mut w, "150");
    client.expect(&mut w, "426");
    client.say(&mut w, "SIZE file", "550");
    assert_eq!(data(&w), 2);
    w.finish();
}

#[test]
fn after_fin() {
    let mut w = world();
    let (mut client, mut peer) = passive(&mut w);
    peer.connect(&mut w);
    peer.say(&mut w, b"bytes");
    peer.exchange(&mut w, &[peer.fin()]);
    w.run(2 * S);
    peer.sent_to_me(&mut w);
    // The FIN has a sequence number too, and it was received.
    let challenge = peer.exchange(&mut w, &[rst_at(&peer, 0)]);
    assert_eq!(challenge[0].ack_number, peer.seq.wrapping_add(1));
    assert_eq!(peer.exchange(&mut w, &[rst_at(&peer, 1)]), []);
    client.send(&mut w, "STOR file");
    client.expect(&mut w, "150");
    client.expect(&mut w, "426");
    assert_eq!(data(&w), 2);
    w.finish();
}

#[test]
fn in_the_handshake() {
    let mut w = world();
    for offset in [-1, 1, 1000] {
        let mut peer = Peer::new(60_001, ECHO);
        peer.request(&mut w);
        assert_eq!(peer.exchange(&mut w, &[rst_at(&peer, offset)]), []);
        assert_eq!(control(&w), 3, "{offset}");
        assert_eq!(peer.exchange(&mut w, &[rst_at(&peer, 0)]), []);
        assert_eq!(control(&w), 4);
    }
    w.finish();
}

#[test]
fn while_the_server_closes() {
    let mut w = world();
    let mut peer = Peer::new(60_001, crate::sim::FTP);
    peer.connect(&mut w);
    let sent = peer.say(&mut w, b"QUIT\r\n");
    assert_eq!(sent.last().unwrap().flags(), "FIN|ACK");
    // FIN-WAIT-2: all was acknowledged.
    peer.exchange(&mut w, &[peer.ack()]);
    only_the_exact_one(&mut w, &peer, control);
    w.finish();
}
