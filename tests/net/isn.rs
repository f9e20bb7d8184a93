//! Trap 7: initial sequence numbers are those of RFC 6528: a clock that ticks every 4 us, plus
//! a keyed hash of the 4-tuple. smoltcp's own can be foretold. How they get into smoltcp
//! depends on its generator: these tests fail when that changes.

use std::collections::BTreeSet;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use smoltcp::wire::IpAddress;

use crate::client::Client;
use crate::raw::{self, Peer};
use crate::sim::{ECHO, FTP, MS, Micros, S, Shape, World};
use crate::wire::End;

fn world(seed: u128) -> World {
    let mut w = World::new(Shape { control: 8, seed, ..Shape::SMALL });
    raw::introduce(&mut w);
    w
}

/// What it is to be, spelt out once more.
fn expected(seed: u128, server: End, peer: End, now: Micros) -> u32 {
    let mut hasher = SipHasher13::new_with_keys((seed >> 64) as u64, seed as u64);
    hasher.write_u8(2);
    for (address, port) in [server, peer] {
        match address {
            IpAddress::Ipv4(address) => hasher.write(&address.octets()),
            IpAddress::Ipv6(address) => hasher.write(&address.octets()),
        }
        hasher.write_u16(port);
    }
    (hasher.finish() as u32).wrapping_add((now / 4) as u32)
}

/// The number with which the server answers.
fn answered(w: &mut World, mut peer: Peer) -> u32 {
    let isn = peer.request(w).seq;
    peer.exchange(w, &[peer.rst()]);
    isn
}

#[test]
fn of_a_passive_open() {
    for seed in [0, 1, 0xfeed_5eed << 80, u128::MAX] {
        let mut w = world(seed);
        for n in 0..500 {
            w.run(Micros::from(n) * 37);
            for peer in [Peer::new(1024 + n, ECHO), Peer::new6(1024 + n, FTP)] {
                let due = expected(seed, peer.server, peer.me, w.now);
                assert_eq!(answered(&mut w, peer), due);
            }
        }
        w.finish();
    }
}

#[test]
fn of_an_active_open() {
    let mut w = world(7);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    for n in 0..20 {
        let peer = Peer::beside(&w, host, 60_001 + n, 20);
        client.port(&mut w, 60_001 + n);
        w.run(S);
        w.segments();
        client.send(&mut w, "NLST");
        // The SYN leaves when the command arrives.
        w.wait("the SYN", |w| {
            let sent = peer.sent_to_me(w);
            let Some(syn) = sent.first() else { return false };
            assert_eq!(syn.flags(), "SYN");
            assert_eq!(syn.seq, expected(7, peer.server, peer.me, w.now));
            true
        });
        w.inject([peer.frame(&crate::wire::Segment {
            rst: true,
            ack: true,
            ack_number: expected(7, peer.server, peer.me, w.now).wrapping_add(1),
            ..peer.ack()
        })]);
        client.expect(&mut w, "150");
        client.expect(&mut w, "425");
    }
    w.finish();
}

#[test]
fn they_follow_clock_and_tuple_and_seed() {
    let peer = Peer::new(60_001, ECHO);
    let at = |seed, time| {
        let mut w = world(seed);
        w.run(time);
        answered(&mut w, peer.clone())
    };
    assert_eq!(at(1, S), at(1, S), "the same");
    assert_ne!(at(1, S), at(2, S), "another seed");
    // The clock goes on by one each 4 us, whatever else happens.
    assert_eq!(at(1, S + 400).wrapping_sub(at(1, S)), 100);
    let mut w = world(1);
    let first = answered(&mut w, peer.clone());
    for port in 1024..1100 {
        answered(&mut w, Peer::new(port, ECHO));
    }
    w.run(40 * MS);
    assert_eq!(answered(&mut w, peer).wrapping_sub(first), 10_000);
    // Neighbors among the tuples have nothing in common.
    let numbers: Vec<u32> =
        (2000..2200).map(|port| answered(&mut w, Peer::new(port, ECHO))).collect();
    let steps: BTreeSet<u32> = numbers.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
    assert_eq!(steps.len(), 199);
    let high: BTreeSet<u32> = numbers.iter().map(|number| number >> 28).collect();
    assert_eq!(high.len(), 16, "all of the range is used");
}
