//! Trap 1: a receive buffer over 65,535 bytes, and a peer that offers window scaling. smoltcp
//! takes the window of its SYN|ACK for a scaled one, so that a segment may land past the
//! buffer; when the hole before it is filled, it panics.

use crate::client::{Client, passive};
use crate::raw::{self, Peer};
use crate::sim::{ECHO, FTP, GATEWAY_V4, S, Shape, World};
use crate::wire::{Seen, Segment};

const MSS: usize = 1460;

fn large() -> World {
    world(Shape::LARGE)
}

fn world(shape: Shape) -> World {
    let mut w = World::new(shape);
    raw::introduce(&mut w);
    w
}

/// A segment over the edge of the buffer and one past it, then all that lies before them. The
/// peer is connected, and has sent nothing yet.
fn attack(w: &mut World, peer: &Peer, capacity: usize) {
    let far = [peer.data(capacity - 100, MSS), peer.data(capacity + 10_000, MSS)];
    let answers = peer.exchange(w, &far);
    assert!(answers.iter().all(|answer| answer.ack_number == peer.seq), "{answers:?}");
    let hole: Vec<Segment> = (0..capacity / MSS + 8).map(|n| peer.data(n * MSS, MSS)).collect();
    peer.exchange(w, &hole);
    w.run(S);
}

#[test]
fn on_a_control_slot() {
    // With offload, all that lies before the edge comes in a few long frames.
    for shape in [Shape::LARGE, Shape::OFFLOAD] {
        let mut w = world(shape);
        let mut peer = Peer::new(60_001, ECHO);
        assert_eq!(peer.connect(&mut w), []);
        attack(&mut w, &peer, shape.control_receive);
        w.finish();
    }
}

#[test]
fn in_one_batch_with_the_handshake() {
    let mut w = large();
    let mut peer = Peer::new(60_001, ECHO);
    peer.request(&mut w);
    let far = peer.data(Shape::LARGE.control_receive + 10_000, MSS);
    let mut batch = vec![peer.ack(), far];
    batch.extend((0..61).map(|n| peer.data(n * MSS, MSS)));
    peer.exchange(&mut w, &batch);
    let rest: Vec<Segment> = (61..110).map(|n| peer.data(n * MSS, MSS)).collect();
    peer.exchange(&mut w, &rest);
    w.finish();
}

#[test]
fn on_a_passive_data_slot() {
    for shape in [Shape::LARGE, Shape::OFFLOAD] {
        let mut w = world(shape);
        let (client, mut peer) = passive(&mut w);
        client.send(&mut w, "STOR file");
        assert_eq!(peer.connect(&mut w), []);
        attack(&mut w, &peer, shape.data_receive);
        w.finish();
    }
}

#[test]
fn on_a_data_slot_that_nobody_reads() {
    let mut w = large();
    let (mut client, mut peer) = passive(&mut w);
    assert_eq!(peer.connect(&mut w), []);
    attack(&mut w, &peer, Shape::LARGE.data_receive);
    // What was received is what was sent.
    client.send(&mut w, "STOR file");
    client.expect(&mut w, "150");
    peer.seq = peer.seq.wrapping_add((Shape::LARGE.data_receive / MSS * MSS) as u32);
    peer.exchange(&mut w, &[peer.fin()]);
    client.expect(&mut w, "226");
    let size = client.say(&mut w, "SIZE file", "213");
    assert_eq!(size, format!("213 {}", Shape::LARGE.data_receive / MSS * MSS));
    w.finish();
}

#[test]
fn on_an_active_data_slot() {
    let mut w = large();
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let mut peer = Peer::beside(&w, host, 60_001, 20);
    client.port(&mut w, 60_001);
    w.segments();
    client.say(&mut w, "STOR file", "150");
    let sent = peer.sent_to_me(&mut w);
    let [syn] = &sent[..] else { panic!("one SYN, not {sent:?}") };
    assert_eq!(syn.flags(), "SYN");
    peer.ack = syn.seq.wrapping_add(1);
    let answer = Segment { ack: true, ack_number: peer.ack, ..peer.syn() };
    // The segment past the buffer comes before the server could send its ACK.
    peer.seq = peer.seq.wrapping_add(1);
    let far = peer.data(Shape::LARGE.data_receive + 10_000, MSS);
    peer.exchange(&mut w, &[answer, far]);
    attack(&mut w, &peer, Shape::LARGE.data_receive);
    w.finish();
}

/// Handshake with a window of zero: the greeting cannot be sent, only probes of one byte,
/// which do not tell smoltcp's new window.
fn with_closed_window(w: &mut World) -> Peer {
    let mut peer = Peer { window: 0, ..Peer::new(60_001, FTP) };
    peer.request(w);
    let mut probes = peer.exchange(w, &[peer.ack()]);
    w.run(4 * S);
    probes.extend(peer.sent_to_me(w));
    assert!(probes.len() >= 2, "{probes:?}");
    assert!(probes.iter().all(|probe| probe.payload == b"2"), "{probes:?}");
    peer
}

#[test]
fn with_only_window_probes_sent() {
    let mut w = large();
    let peer = with_closed_window(&mut w);
    attack(&mut w, &peer, Shape::LARGE.control_receive);
    w.finish();
}

#[test]
fn with_only_window_probes_sent_and_a_window_that_does_not_count() {
    // Segments that tell of an open window, but that smoltcp does not take: one with a wrong
    // checksum, one with an old ACK.
    for broken in [true, false] {
        let mut w = large();
        let peer = with_closed_window(&mut w);
        let mut lie = Segment { window: 1000, ..peer.ack() };
        if !broken {
            lie.ack_number = lie.ack_number.wrapping_sub(9);
        }
        let mut frame = peer.frame(&lie);
        if broken {
            frame[14 + 20 + 16] ^= 0x55;
        }
        w.inject([frame]);
        w.run(20 * S);
        let probes = peer.sent_to_me(&mut w);
        assert!(probes.iter().any(|probe| probe.payload == b"2"), "{probes:?}");
        attack(&mut w, &peer, Shape::LARGE.control_receive);
        w.finish();
    }
}

#[test]
fn with_only_a_challenge_sent() {
    let mut w = large();
    let mut peer = Peer::new(60_001, ECHO);
    assert_eq!(peer.connect(&mut w), []);
    let challenge = peer.exchange(&mut w, &[Segment { seq: 77, ..peer.syn() }]);
    assert_eq!(challenge.len(), 1);
    attack(&mut w, &peer, Shape::LARGE.control_receive);
    w.finish();
}

#[test]
fn with_a_challenge_sent_late() {
    // The peer's neighbor has been forgotten when the challenge is due: what is known of one
    // is good for a minute, and an idle session lasts as long, so it must be a moment less.
    let mut w = World::new(Shape::LARGE);
    w.phantom(GATEWAY_V4.into(), raw::GATEWAY_MAC);
    w.run(30 * S);
    let mut peer = Peer::far([10, 1, 1, 1], 60_001, ECHO);
    assert_eq!(peer.connect(&mut w), []);
    w.run(40 * S);
    w.inject([peer.frame(&Segment { seq: 77, ..peer.syn() })]);
    let sent = w.sent();
    assert!(matches!(sent[..], [Seen::ArpRequest(_), Seen::Tcp(_)]), "{sent:?}");
    attack(&mut w, &peer, Shape::LARGE.control_receive);
    w.finish();
}

#[test]
fn an_honest_sender_loses_nothing() {
    let mut w = large();
    let mut peer = Peer { window: 2048, ..Peer::new(60_001, ECHO) };
    let window = usize::from(peer.request(&mut w).window);
    assert_eq!(window, 65_535);
    peer.exchange(&mut w, &[peer.ack()]);
    // The window of the SYN|ACK to its last byte, in one go.
    let mut burst: Vec<Segment> = (0..44).map(|n| peer.data(n * MSS, MSS)).collect();
    burst.push(peer.data(44 * MSS, window - 44 * MSS));
    let answers = peer.exchange(&mut w, &burst);
    peer.seq = peer.seq.wrapping_add(window as u32);
    let last = answers.last().unwrap();
    assert_eq!(last.ack_number, peer.seq, "all of it is acknowledged");
    peer.take(&answers);
    peer.exchange(&mut w, &[peer.ack()]);
    // From the first ACK on the window is scaled, and may be used as far as it goes.
    let window = usize::from(last.window) << 2;
    assert!(window > 65_535, "{window}");
    let far = peer.data(window - MSS, MSS);
    let answers = peer.exchange(&mut w, &[far]);
    assert_eq!(answers[0].ack_number, peer.seq);
    let fill: Vec<Segment> =
        (0..window / MSS).map(|n| peer.data(n * MSS, MSS.min(window - MSS - n * MSS))).collect();
    peer.exchange(&mut w, &fill);
    w.run(S);
    let all = peer.seq.wrapping_add(window as u32);
    assert_eq!(peer.exchange(&mut w, &[peer.data(0, 1)]).last().unwrap().ack_number, all);
    w.finish();
}
