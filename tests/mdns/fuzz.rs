//! Datagrams that a fuzzer makes up: the body of the fuzz target `mdns`.
//!
//! The first octet chooses how far the host has come and where the datagrams come from. The
//! others are datagrams, each after its length in two octets. Whatever they say: nothing panics,
//! there is an end of what is sent, and each message of it can be read.

use std::net::SocketAddr;

use tinyftp::service::DatagramService;
use tinyftp::services::mdns::{GROUPS, PORT};

use crate::host::{Host, Sent};
use crate::wire;

/// Datagrams of an input, at most.
const DATAGRAMS_MAX: usize = 16;

pub fn datagrams(input: &[u8]) {
    let Some((&choice, mut input)) = input.split_first() else { return };
    let bit = |n: u8| choice >> n & 1 == 1;
    let mut host = Host::tinyftp(&["192.0.2.1", "2001:db8::1"]);
    check(&host.run(if bit(0) { 60_000 } else { 600 }));
    let (v6, legacy, alone) = (bit(1), bit(2), bit(3));
    let ip = |v4: &str, other: &str| if v6 { other.parse().unwrap() } else { v4.parse().unwrap() };
    let peer = SocketAddr::new(ip("192.0.2.9", "fe80::9"), if legacy { 40_000 } else { PORT });
    let local = if alone { ip("192.0.2.1", "2001:db8::1") } else { GROUPS[usize::from(v6)] };
    for _ in 0..DATAGRAMS_MAX {
        let Some((len, rest)) = input.split_first_chunk() else { break };
        let (datagram, rest) = rest.split_at(usize::from(u16::from_be_bytes(*len)).min(rest.len()));
        if let Some(reply) = host.receive(SocketAddr::new(local, PORT), peer, datagram) {
            read(&reply, datagram, legacy);
        }
        check(&host.run(100));
        input = rest;
    }
    check(&host.run(60_000));
    host.mdns.shutdown();
    check(&host.run(60_000));
}

/// What is sent of our own accord.
fn check(sent: &[Sent]) {
    for sent in sent {
        wire::text(&sent.payload);
        assert!(GROUPS.contains(&sent.to.ip()) && sent.to.port() == PORT);
    }
}

/// An answer. In one to a legacy querier are its own questions, which may be anything.
fn read(reply: &[u8], query: &[u8], legacy: bool) {
    if legacy {
        assert_eq!(reply[..2], query[..2], "the id");
    } else {
        wire::text(reply);
    }
}
