//! Connections that the server opens for a service, and datagrams that it sends to a peer.

use std::collections::HashSet;
use std::net::SocketAddr;

use smoltcp::socket::tcp::State;
use smoltcp::wire::{Ipv4Address, Ipv6Address};
use tinyftp::service::ConnectError;

use crate::raw::{self, GATEWAY_MAC, Peer, RAW_MAC, RAW_V4};
use crate::sim::{BEACON, ECHO, S, SERVER_MAC, SERVER_V4, SERVER_V6, Shape, World};
use crate::wire::{Message, Seen, Segment, arp, neighbor};

fn world() -> World {
    let mut w = World::new(Shape::SMALL);
    raw::introduce(&mut w);
    w.run(S);
    w.sent();
    w
}

/// Has the server call a port of the raw peer; returns its SYN.
fn call(w: &mut World, port: u16) -> Segment {
    w.server.call(SocketAddr::new(RAW_V4.into(), port), w.now).unwrap();
    w.settle();
    let [syn] = &w.segments()[..] else { panic!("no SYN") };
    assert_eq!((syn.flags().as_str(), syn.target), ("SYN", (RAW_V4.into(), port)));
    syn.clone()
}

/// The raw peer's end of a connection that the server has opened.
fn callee(syn: &Segment) -> Peer {
    let mut peer = Peer::new(syn.target.1, syn.source.1);
    peer.ack = syn.seq.wrapping_add(1);
    peer
}

#[test]
fn a_service_may_call() {
    let mut w = world();
    let syn = call(&mut w, 7);
    let mut callee = callee(&syn);
    let answers = callee.exchange(&mut w, &[Segment { syn: true, ..callee.ack() }]);
    callee.seq = callee.seq.wrapping_add(1);
    let hello = answers.last().unwrap();
    assert_eq!((hello.ack_number, &hello.payload[..]), (callee.seq, &b"hello"[..]));
    callee.take(&answers);
    let answers = callee.say(&mut w, b"hello");
    assert_eq!(answers.last().unwrap().flags(), "FIN|ACK", "it hangs up");
    let caller = &w.server.services.caller;
    assert_eq!(caller.heard, b"hello");
    let (us, peer) = (SocketAddr::from((SERVER_V4, syn.source.1)), SocketAddr::from((RAW_V4, 7)));
    assert_eq!(caller.opened, [(us, peer)]);
    assert_eq!(caller.refused, []);
    callee.take(&answers);
    callee.exchange(&mut w, &[callee.fin()]);
    w.finish();
}

#[test]
fn who_is_idle_has_acknowledged_the_last_word() {
    let mut w = world();
    w.server.services.caller.finishes = true;
    let syn = call(&mut w, 7);
    let mut callee = callee(&syn);
    let answers = callee.exchange(&mut w, &[Segment { syn: true, ..callee.ack() }]);
    callee.seq = callee.seq.wrapping_add(1);
    assert_eq!(answers.last().unwrap().flags(), "FIN|ACK");
    callee.take(&answers);
    let last = Segment { payload: b"hello".to_vec(), ..callee.fin() };
    w.server.port.inbox.push_back(callee.frame(&last));
    while !w.server.net.is_idle() {
        w.step();
    }
    let answers = callee.sent_to_me(&mut w);
    let [answer] = &answers[..] else { panic!("one ACK, not {answers:?}") };
    assert_eq!((answer.flags().as_str(), answer.ack_number), ("ACK", callee.seq.wrapping_add(6)));
    w.finish();
}

#[test]
fn ports_are_of_the_dynamic_range_and_nobody_knows_which() {
    let mut ports = HashSet::new();
    for seed in 0..50 {
        let mut w = World::new(Shape { seed, ..Shape::SMALL });
        raw::introduce(&mut w);
        w.run(S);
        w.sent();
        for port in 1..=4 {
            let syn = call(&mut w, port);
            assert!(syn.source.1 >= 49_152);
            ports.insert(syn.source.1);
        }
    }
    assert!(ports.len() > 190, "{} different ones of 200", ports.len());
}

#[test]
fn a_call_that_is_refused() {
    let mut w = world();
    let peer = callee(&call(&mut w, 7));
    let rst = Segment { rst: true, ..peer.ack() };
    assert_eq!(peer.exchange(&mut w, &[Segment { ack_number: 4711, ..rst.clone() }]), []);
    assert_eq!(w.server.services.caller.refused, [], "that was no answer to our SYN");
    assert_eq!(peer.exchange(&mut w, &[rst]), []);
    assert_eq!(w.server.services.caller.refused, [SocketAddr::new(RAW_V4.into(), 7)]);
    w.finish();
}

#[test]
fn a_call_that_nobody_answers() {
    let mut w = world();
    call(&mut w, 7);
    // Nor is there anybody at this address.
    let nobody = SocketAddr::new(Ipv4Address::new(192, 168, 69, 77).into(), 7);
    w.server.call(nobody, w.now).unwrap();
    w.run(6 * S);
    let refused = &w.server.services.caller.refused;
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(w.server.services.caller.opened.is_empty());
    w.finish();
}

#[test]
fn a_call_with_no_way_there() {
    let mut w = world();
    let far = SocketAddr::new(Ipv4Address::new(203, 0, 113, 9).into(), 7);
    assert_eq!(w.server.call(far, w.now), Ok(()), "there is a router");
    let nowhere = SocketAddr::new(Ipv6Address::UNSPECIFIED.into(), 7);
    assert_eq!(w.server.call(nowhere, w.now), Err(ConnectError::Unreachable));
    for _ in 0..3 {
        assert_eq!(w.server.call(far, w.now), Ok(()));
    }
    assert_eq!(w.server.call(far, w.now), Err(ConnectError::NoSlot));
    w.run(10 * S);
    assert_eq!(w.server.services.caller.refused.len(), 4);
    w.finish();
}

#[test]
fn echo_to_itself_across_two_ends() {
    // The one that calls is a server too.
    let mut w = world();
    let host = w.host(100);
    let listener = w.listen(host, ECHO);
    w.server.call(SocketAddr::new(w.hosts[host].v4.into(), ECHO), w.now).unwrap();
    w.wait("the call", |w| w.state(listener) == State::Established);
    assert_eq!(w.take(listener, 5), b"hello");
    w.send(listener, b"hello");
    assert_eq!(w.drain(listener), b"");
    assert_eq!(w.server.services.caller.heard, b"hello");
    w.finish();
}

/// Has the beacon say something to a peer.
pub fn tell(w: &mut World, peer: SocketAddr, text: &[u8]) {
    w.server.services.beacon.to_say.push_back((0, peer, text.to_vec()));
    // Hearing something makes it look.
    let from = ((RAW_V4.into(), 1000), RAW_MAC);
    w.inject([crate::wire::udp(from, ((SERVER_V4.into(), BEACON), SERVER_MAC), b"")]);
}

fn told(peer: SocketAddr, to: crate::wire::Mac, text: &[u8]) -> Seen {
    let server = if peer.is_ipv4() { SERVER_V4.into() } else { SERVER_V6.into() };
    Seen::Udp(Message {
        source: (server, BEACON),
        target: (peer.ip().into(), peer.port()),
        to,
        hop_limit: 64,
        payload: text.to_vec(),
    })
}

#[test]
fn a_datagram_waits_for_its_neighbor() {
    let mut w = World::new(Shape::SMALL);
    w.run(S);
    w.sent();
    let peer = SocketAddr::new(RAW_V4.into(), 5000);
    tell(&mut w, peer, b"hello");
    assert_eq!(w.sent(), [Seen::ArpRequest(RAW_V4)]);
    let is_at = arp((RAW_V4, RAW_MAC), (SERVER_V4, SERVER_MAC));
    assert_eq!(w.exchange([is_at]), [told(peer, RAW_MAC, b"hello")]);
    // A second one takes the place of one that waits.
    let six = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x77);
    tell(&mut w, SocketAddr::new(six.into(), 5000), b"first");
    tell(&mut w, SocketAddr::new(six.into(), 5000), b"second");
    w.run(S);
    let solicits = w.sent();
    assert!(solicits.iter().all(|seen| *seen == Seen::Solicit(six)), "{solicits:?}");
    let is_at = neighbor((six, RAW_MAC), (SERVER_V6, SERVER_MAC));
    let peer = SocketAddr::new(six.into(), 5000);
    assert_eq!(w.exchange([is_at]), [told(peer, RAW_MAC, b"second")]);
    w.finish();
}

#[test]
fn a_datagram_does_not_wait_for_ever() {
    let mut w = World::new(Shape::SMALL);
    w.run(S);
    w.sent();
    tell(&mut w, SocketAddr::new(RAW_V4.into(), 5000), b"hello");
    w.run(10 * S);
    assert_eq!(w.sent(), vec![Seen::ArpRequest(RAW_V4); 3]);
    w.finish();
}

#[test]
fn a_datagram_to_a_far_peer() {
    let mut w = world();
    let far = SocketAddr::new(Ipv4Address::new(203, 0, 113, 9).into(), 5000);
    tell(&mut w, far, b"hello");
    assert_eq!(w.sent(), [told(far, GATEWAY_MAC, b"hello")]);
    w.finish();
}
