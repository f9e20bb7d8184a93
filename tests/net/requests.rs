//! Traps 2 to 5: what a SYN may do, and may not.

use smoltcp::socket::tcp::State;
use smoltcp::wire::{EthernetAddress, IpAddress, Ipv4Address, Ipv4Packet, Ipv6Address};

use crate::client::Client;
use crate::raw::{self, Peer};
use crate::sim::{ECHO, FTP, MS, S, SERVER_MAC, SERVER_V4, SERVER_V6, Shape, World};
use crate::wire::{Mac, Segment};

const CLOSED: u16 = 99;

fn world(shape: Shape) -> World {
    let mut w = World::new(shape);
    raw::introduce(&mut w);
    w
}

// Trap 2.

#[test]
fn a_syn_to_everybody_opens_nothing() {
    let everybody: [(IpAddress, Mac); 5] = [
        (Ipv4Address::BROADCAST.into(), Mac::BROADCAST),
        (Ipv4Address::new(192, 168, 69, 255).into(), Mac::BROADCAST),
        (Ipv4Address::new(224, 0, 0, 1).into(), EthernetAddress([1, 0, 0x5e, 0, 0, 1])),
        (
            Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
            EthernetAddress([0x33, 0x33, 0, 0, 0, 1]),
        ),
        (SERVER_V6.into(), EthernetAddress([0x33, 0x33, 0, 0, 0, 1])),
    ];
    let mut w = world(Shape { control: 2, ..Shape::SMALL });
    // One handshake is under way, and only one may be: a slot for another would be this one's.
    let mut waiting = Peer::new(60_001, ECHO);
    waiting.request(&mut w);
    for (address, mac) in everybody {
        for port in [FTP, ECHO, CLOSED] {
            let mut peer = match address {
                IpAddress::Ipv4(_) => Peer::new(60_002, port),
                IpAddress::Ipv6(_) => Peer::new6(60_002, port),
            };
            peer.server.0 = address;
            for segment in [peer.syn(), peer.ack(), peer.data(0, 1)] {
                let [to_all, to_us] = [mac, SERVER_MAC].map(|mac| segment.frame(peer.mac, mac));
                assert_eq!(w.exchange([to_all]), [], "{segment:?}");
                if address != SERVER_V6.into() {
                    assert_eq!(w.exchange([to_us]), [], "{segment:?}");
                }
            }
            assert_eq!(w.server.net.free_slots().0, 1);
        }
    }
    // To our address, but at the hardware address of everybody.
    let peer = Peer::new(60_003, ECHO);
    assert_eq!(w.exchange([peer.syn().frame(peer.mac, Mac::BROADCAST)]), []);
    waiting.say(&mut w, b"still there");
    assert!(waiting.ack != 0, "the handshake goes on");
    assert_eq!(Peer::new(60_004, ECHO).connect(&mut w), []);
    w.finish();
}

#[test]
fn a_syn_from_ourselves_opens_nothing() {
    let mut w = world(Shape::SMALL);
    for (address, port) in
        [(SERVER_V4.into(), ECHO), (SERVER_V4.into(), 5000), (SERVER_V6.into(), ECHO)]
    {
        let mut peer = if address == SERVER_V4.into() {
            Peer::new(port, ECHO)
        } else {
            Peer::new6(port, ECHO)
        };
        peer.me.0 = address;
        assert_eq!(w.exchange([peer.frame(&peer.syn())]), []);
        let closed = Segment { target: (address, CLOSED), ..peer.syn() };
        assert_eq!(w.exchange([peer.frame(&closed)]), []);
        w.run(S);
        assert_eq!(w.sent(), []);
        assert_eq!(w.server.net.free_slots().0, w.shape.control);
    }
    Peer::new(60_001, ECHO).connect(&mut w);
    w.finish();
}

// Trap 3.

#[test]
fn a_handshake_that_is_not_completed_ends() {
    let mut w = world(Shape::SMALL);
    let mut peer = Peer::new(60_001, ECHO);
    peer.request(&mut w);
    assert_eq!(w.server.net.free_slots().0, 3);
    w.run(19_900 * MS);
    let again = peer.sent_to_me(&mut w);
    assert!((3..=5).contains(&again.len()), "{again:?}");
    assert!(again.iter().all(|segment| segment.flags() == "SYN|ACK"), "{again:?}");
    w.run(200 * MS);
    assert_eq!(w.server.net.free_slots().0, 4);
    assert_eq!(w.server.due, None);
    w.finish();
}

#[test]
fn a_server_that_stops_does_not_wait_for_handshakes() {
    let mut w = world(Shape::SMALL);
    let mut peer = Peer::new(60_001, ECHO);
    peer.request(&mut w);
    assert!(!w.server.net.is_idle());
    w.server.shutdown(w.now);
    assert!(w.server.net.is_idle());
    assert_eq!(peer.exchange(&mut w, &[peer.ack()])[0].flags(), "RST");
}

#[test]
fn ten_thousand_spoofed_syns_stop_nobody() {
    for shape in [Shape::SMALL, Shape { control: 600, ..Shape::SMALL }] {
        let mut w = world(shape);
        let host = w.host(100);
        let mut client = Client::login(&mut w, host);
        let spoofed = |n: u32| {
            let [_, a, b, c] = n.to_be_bytes();
            let peer = Peer::far([10, a, b, c], 1024 + (n % 60_000) as u16, FTP);
            peer.frame(&peer.syn())
        };
        for batch in 0..100 {
            w.inject((0..100).map(|n| spoofed(batch * 100 + n)));
            w.run(MS);
            let least = (shape.control - 1) - shape.control / 2;
            assert!(w.server.net.free_slots().0 >= least, "{:?}", w.server.net.free_slots());
        }
        let before = w.now;
        Client::login(&mut w, host).quit(&mut w);
        assert!(w.now - before < 100 * MS, "it took {} us", w.now - before);
        client.say(&mut w, "NOOP", "200");
        w.finish();
    }
}

#[test]
fn spoofed_neighbors_that_are_not_there_delay_nobody() {
    // Their hardware address is asked for, and nobody answers: the slots that waited for it
    // are used again, and the next connection must not wait too.
    let mut w = world(Shape { control: 2, ..Shape::SMALL });
    for n in 100..140 {
        let spoofed =
            Peer { me: (Ipv4Address::new(192, 168, 69, n).into(), 1234), ..Peer::new(1, ECHO) };
        w.inject([spoofed.frame(&spoofed.syn())]);
    }
    let mut peer = Peer::new(60_001, ECHO);
    peer.connect(&mut w);
    assert_eq!(peer.say(&mut w, b"hello")[0].payload, b"hello");
    w.finish();
}

// Trap 4.

#[test]
fn a_port_needs_no_listening_socket() {
    let mut w = world(Shape { control: 8, ..Shape::SMALL });
    // At once, as a browser does.
    let peers: Vec<Peer> = (0..4).map(|n| Peer::new(60_001 + n, ECHO)).collect();
    w.inject(peers.iter().map(|peer| peer.frame(&peer.syn())));
    let answers: Vec<String> = w.segments().iter().map(Segment::flags).collect();
    assert_eq!(answers, ["SYN|ACK"; 4]);
    w.finish();
}

#[test]
fn a_closed_port_refuses() {
    let mut w = world(Shape::SMALL);
    for peer in [Peer::new(60_001, CLOSED), Peer::new6(60_001, CLOSED)] {
        let answers = peer.exchange(&mut w, &[peer.syn()]);
        let [rst] = &answers[..] else { panic!("one RST, not {answers:?}") };
        assert_eq!((rst.flags().as_str(), rst.seq), ("RST|ACK", 0));
        assert_eq!(rst.ack_number, peer.seq.wrapping_add(1));
        // RFC 9293 section 3.10.7.1.
        let stray = Segment { ack_number: 4711, ..peer.data(0, 3) };
        let answers = peer.exchange(&mut w, &[stray]);
        assert_eq!((answers[0].flags().as_str(), answers[0].seq), ("RST", 4711));
        assert_eq!(peer.exchange(&mut w, &[peer.rst()]), [], "an RST is never answered");
    }
    assert_eq!(w.server.net.free_slots().0, 4);
    w.finish();
}

#[test]
fn with_every_slot_taken_a_syn_is_not_answered() {
    let mut w = world(Shape { control: 2, ..Shape::SMALL });
    let mut peers: Vec<Peer> = (0..2).map(|n| Peer::new(60_001 + n, ECHO)).collect();
    peers.iter_mut().for_each(|peer| assert_eq!(peer.connect(&mut w), []));
    assert_eq!(w.server.net.free_slots().0, 0);
    let mut late = Peer::new(60_003, ECHO);
    assert_eq!(w.exchange([late.frame(&late.syn())]), []);
    w.run(S);
    assert_eq!(w.exchange([late.frame(&late.syn())]), []);
    peers[0].exchange(&mut w, &[peers[0].rst()]);
    // It tries again, as it would have anyway.
    late.connect(&mut w);
    assert_eq!(late.say(&mut w, b"hello")[0].payload, b"hello");
    // So does a whole stack.
    let host = w.host(100);
    let tcp = w.dial(host, SERVER_V4.into(), ECHO);
    w.run(2 * S);
    assert_eq!(w.state(tcp), State::SynSent);
    peers[1].exchange(&mut w, &[peers[1].rst()]);
    w.wait("a connection", |w| w.state(tcp) == State::Established);
    w.finish();
}

#[test]
fn a_broken_syn_takes_nothing() {
    let mut w = world(Shape { control: 2, ..Shape::SMALL });
    let mut waiting = Peer::new(60_001, ECHO);
    waiting.request(&mut w);
    for peer in [Peer::new(60_002, ECHO), Peer::new6(60_002, ECHO)] {
        let mut frame = peer.frame(&peer.syn());
        let last = frame.len() - 1;
        frame[last] ^= 1;
        assert_eq!(w.exchange([frame]), []);
        // No port may be 0 (RFC 6335 section 6).
        for (source, target) in [(0, ECHO), (60_002, 0)] {
            let mut segment = peer.syn();
            (segment.source.1, segment.target.1) = (source, target);
            assert_eq!(w.exchange([peer.frame(&segment)]), []);
        }
    }
    // Only one handshake may be under way here: this one still is.
    assert_eq!(waiting.say(&mut w, b"hello")[0].payload, b"hello");
    w.finish();
}

#[test]
fn a_fragment_is_no_segment() {
    let mut w = world(Shape { control: 2, ..Shape::SMALL });
    let mut waiting = Peer::new(60_002, ECHO);
    waiting.request(&mut w);
    let peer = Peer::new(60_001, ECHO);
    for (more, offset) in [(true, 0), (false, 8), (true, 1480)] {
        let mut frame = peer.frame(&peer.syn());
        let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
        packet.set_dont_frag(false);
        packet.set_more_frags(more);
        packet.set_frag_offset(offset);
        packet.fill_checksum();
        assert_eq!(w.exchange([frame]), [], "{more} {offset}");
    }
    // Only one handshake may be under way here: this one still is.
    assert_eq!(waiting.say(&mut w, b"hello")[0].payload, b"hello");
    w.finish();
}

// Trap 5.

/// A connection that the server has closed first: in TIME-WAIT.
fn in_time_wait(w: &mut World, port: u16) -> Peer {
    let mut peer = Peer::new(port, FTP);
    peer.connect(w);
    let sent = peer.say(w, b"QUIT\r\n");
    assert_eq!(sent.last().unwrap().flags(), "FIN|ACK");
    let sent = peer.exchange(w, &[peer.fin()]);
    peer.seq = peer.seq.wrapping_add(1);
    assert_eq!(sent.last().unwrap().ack_number, peer.seq);
    peer
}

#[test]
fn a_syn_on_a_connection_in_time_wait_is_accepted() {
    let mut w = world(Shape::SMALL);
    let mut peer = in_time_wait(&mut w, 60_001);
    assert_eq!(w.server.net.free_slots().0, 3);
    w.run(S);
    peer.seq = peer.seq.wrapping_add(100_000);
    let greeting = peer.connect(&mut w);
    assert!(greeting[0].payload.starts_with(b"220"));
    assert_eq!(w.server.net.free_slots().0, 3, "it is the same slot");
    w.finish();
}

#[test]
fn a_slot_in_time_wait_is_as_good_as_free() {
    let mut w = world(Shape { control: 2, ..Shape::SMALL });
    in_time_wait(&mut w, 60_001);
    in_time_wait(&mut w, 60_002);
    assert_eq!(w.server.net.free_slots().0, 0);
    let mut peers = [Peer::new(60_003, ECHO), Peer::new(60_004, ECHO)];
    peers.iter_mut().for_each(|peer| assert_eq!(peer.connect(&mut w), []));
    w.finish();
}

#[test]
fn two_thousand_connections_through_four_slots() {
    let mut w = world(Shape { control: 4, ..Shape::SMALL });
    let host = w.host(100);
    for _ in 0..500 {
        let client = Client::dial(&mut w, host);
        let control = client.control;
        client.quit(&mut w);
        w.forget(control);
    }
    // The same two ports over and over, too.
    for _ in 0..500 {
        let control = w.dial_from(host, 30_000, SERVER_V4.into(), FTP);
        w.wait("a connection", |w| w.state(control) == State::Established);
        w.send(control, b"QUIT\r\n");
        assert!(w.drain(control).ends_with(b"221 Goodbye\r\n"));
        w.wait("the end", |w| w.state(control) == State::Closed);
        w.forget(control);
    }
    // And raw.
    for n in 0..1000 {
        in_time_wait(&mut w, 60_001 + n);
    }
    assert!(w.now < 300 * S, "nobody waited for TIME-WAIT");
    w.finish();
}

#[test]
fn a_rebooted_peer_frees_its_slot() {
    let mut w = world(Shape::SMALL);
    for port in [FTP, ECHO] {
        let mut old = Peer::new(60_001, port);
        old.connect(&mut w);
        old.exchange(&mut w, &[old.ack()]);
        let mut new = Peer { seq: 5, ack: 0, ..old.clone() };
        let challenge = new.exchange(&mut w, &[new.syn()]);
        let [challenge] = &challenge[..] else { panic!("one ACK, not {challenge:?}") };
        assert_eq!(challenge.flags(), "ACK");
        assert_eq!(challenge.ack_number, old.seq, "it tells what the old connection expects");
        // Many SYNs are one question (RFC 5961 section 7).
        let syns = vec![new.syn(); 100];
        assert_eq!(new.exchange(&mut w, &syns), []);
        w.run(900 * MS);
        assert_eq!(new.exchange(&mut w, &syns), []);
        w.run(200 * MS);
        assert_eq!(new.exchange(&mut w, &syns).len(), 1);
        // What it knows nothing of, it refuses, as RFC 9293 section 3.10.7.1 says.
        let rst = Segment { seq: challenge.ack_number, ..new.rst() };
        assert_eq!(new.exchange(&mut w, &[rst]), []);
        assert_eq!(w.server.net.free_slots().0, 4);
        new.connect(&mut w);
        assert_eq!(w.server.net.free_slots().0, 3);
        new.exchange(&mut w, &[new.rst()]);
        assert_eq!(w.server.net.free_slots().0, 4);
    }
    w.finish();
}

#[test]
fn a_rebooted_peer_is_asked_by_what_was_not_acknowledged() {
    let mut w = world(Shape::SMALL);
    let mut peer = Peer::new(60_001, FTP);
    let greeting = peer.connect(&mut w);
    let syn = Segment { seq: 5, ..peer.syn() };
    assert_eq!(peer.exchange(&mut w, &[syn]), [], "the greeting is on its way");
    w.run(S);
    assert_eq!(peer.sent_to_me(&mut w), greeting);
    let rst = Segment { seq: greeting[0].ack_number, ..peer.rst() };
    peer.exchange(&mut w, &[rst]);
    assert_eq!(w.server.net.free_slots().0, 4);
    w.finish();
}

#[test]
fn a_spoofed_syn_does_not_harm_a_connection() {
    let mut w = world(Shape::SMALL);
    let mut peer = Peer::new(60_001, ECHO);
    peer.connect(&mut w);
    let challenge = peer.exchange(&mut w, &[Segment { seq: 1, ..peer.syn() }]);
    // The challenge is a keep-alive: its byte is one that was sent long ago, or never.
    assert_eq!(challenge[0].seq, peer.ack.wrapping_sub(1));
    assert_eq!(peer.say(&mut w, b"hello")[0].payload, b"hello");
    // In the window, too; one question a second is enough.
    assert_eq!(peer.exchange(&mut w, &[peer.syn()]), []);
    assert_eq!(peer.say(&mut w, b"again")[0].payload, b"again");
    w.finish();
}
