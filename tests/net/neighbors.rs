//! Peers whose hardware address is not known: who asks for nothing but an answer gets it at once,
//! and one of them does not make the others wait.

use smoltcp::wire::{EthernetAddress, IpAddress, Ipv4Address};

use crate::raw::{Peer, RAW_MAC, RAW_V4, RAW_V6};
use crate::sim::{ECHO, S, SERVER_MAC, SERVER_V4, SERVER_V6, Shape, World};
use crate::wire::{self, Mac, Seen, arp};

const OTHER_V4: Ipv4Address = Ipv4Address::new(192, 168, 69, 201);
const OTHER_MAC: Mac = EthernetAddress([2, 0, 0, 0, 2, 2]);

fn world() -> World {
    let mut w = World::new(Shape { control: 64, ..Shape::SMALL });
    w.run(S);
    w.sent();
    w
}

fn other(port: u16) -> Peer {
    Peer { mac: OTHER_MAC, me: (OTHER_V4.into(), port), ..Peer::new(port, ECHO) }
}

#[test]
fn pings_and_closed_ports_are_answered_at_once() {
    let mut w = world();
    let ends: [(IpAddress, IpAddress); 2] =
        [(RAW_V4.into(), SERVER_V4.into()), (RAW_V6.into(), SERVER_V6.into())];
    for (peer, server) in ends {
        let ping = wire::ping((peer, RAW_MAC), (server, SERVER_MAC), b"data");
        assert_eq!(w.exchange([ping]), [Seen::Pong(peer, b"data".to_vec())]);
        let from = ((peer, 60_000), RAW_MAC);
        let frame = wire::udp(from, ((server, 99), SERVER_MAC), b"x");
        assert_eq!(w.exchange([frame]), [Seen::PortUnreachable(peer)]);
    }
    for peer in [Peer::new(60_001, 99), Peer::new6(60_001, 99)] {
        let [Seen::Tcp(rst)] = &w.exchange([peer.frame(&peer.syn())])[..] else { panic!("no RST") };
        assert_eq!((rst.flags().as_str(), rst.target), ("RST|ACK", peer.me));
    }
    w.finish();
}

#[test]
fn one_that_is_not_there_does_not_make_another_wait() {
    let mut w = world();
    let nobody = Peer::new(60_001, ECHO);
    assert_eq!(w.exchange([nobody.frame(&nobody.syn())]), [Seen::ArpRequest(RAW_V4)]);
    // In the same instant.
    let peer = other(60_002);
    assert_eq!(w.exchange([peer.frame(&peer.syn())]), [Seen::ArpRequest(OTHER_V4)]);
    let answer = w.exchange([arp((OTHER_V4, OTHER_MAC), (SERVER_V4, SERVER_MAC))]);
    let [Seen::Tcp(answer)] = &answer[..] else { panic!("{answer:?}") };
    assert_eq!((answer.flags().as_str(), answer.target), ("SYN|ACK", peer.me));
    w.finish();
}

#[test]
fn questions_for_neighbors_are_limited() {
    let mut w = world();
    let from = |n: u16| {
        let address = Ipv4Address::new(192, 168, 69, 100 + (n % 150) as u8);
        Peer { me: (address.into(), 60_000 + n), ..Peer::new(60_000, ECHO) }
    };
    let requests = (0..5_000).map(from).map(|peer| peer.frame(&peer.syn()));
    let mut asked = w.exchange(requests.collect::<Vec<_>>());
    // Those that get a cookie need nobody's address.
    asked.retain(|seen| !matches!(seen, Seen::Tcp(_)));
    assert!(asked.iter().all(|seen| matches!(seen, Seen::ArpRequest(_))), "{asked:?}");
    assert!((30..=34).contains(&asked.len()), "{}", asked.len());
    w.run(60 * S);
    w.finish();
}
