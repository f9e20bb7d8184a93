//! Datagrams that make no sense: nothing panics, and none costs much.

use std::time::Instant;

use crate::corpus;
use crate::fuzz::datagrams;
use crate::host::{Host, PEER, trace};
use crate::random::Random;
use crate::wire;

const LEGACY: &str = "192.0.2.9:40000";

fn receive(host: &mut Host<'_>, peer: &str, datagram: &[u8]) -> Option<Vec<u8>> {
    host.receive("224.0.0.251:5353".parse().unwrap(), peer.parse().unwrap(), datagram)
}

/// A message with one question, whose name is `name`.
fn question(name: &[u8]) -> Vec<u8> {
    let header = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], name, &[0, 255, 0, 1]].concat()
}

#[test]
fn names_that_have_no_end() {
    let mut host = Host::settled(&["192.0.2.1"]);
    let long = b"\x3fxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".repeat(5);
    for name in [
        &b"\xc0\x0c"[..],                   // to itself
        b"\x07tinyftp\xc0\x0c",             // back to its beginning
        b"\xc0\x0e\xc0\x0c",                // forth and back
        b"\xff\xff",                        // beyond the message
        b"\x07tinyftp\x05local",            // into the type
        b"\x07tinyftp\x45local\x00",        // a label of a kind that there is not
        &[long.as_slice(), b"\0"].concat(), // more than 255 octets
        &[0x01, b'a'].repeat(140),
    ] {
        assert_eq!(receive(&mut host, LEGACY, &question(name)), None);
        assert_eq!(receive(&mut host, PEER, &question(name)), None);
    }
    assert_eq!(trace(&host.run(5000)), "");
}

#[test]
fn messages_that_end_too_early() {
    let mut host = Host::settled(&["192.0.2.1"]);
    let query = wire::message("query\n? tinyftp.local A");
    for len in 0..query.len() {
        assert_eq!(receive(&mut host, LEGACY, &query[..len]), None, "{len} octets");
    }
    assert!(receive(&mut host, LEGACY, &query).is_some());
    // What can be read of a message counts.
    let mut more = query;
    more[4..12].fill(0xff);
    assert!(receive(&mut host, LEGACY, &more).is_some());
}

#[test]
fn no_datagram_costs_much() {
    // As many questions, and as many records, as there is room for in 1,472 octets; then with
    // names of as many pointers as can be.
    let many = |count: usize, entry: &[u8], begin: &[u8]| {
        let mut message = vec![0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        message.extend(begin);
        message.extend(entry.repeat(count));
        message.truncate(1472);
        message
    };
    let ours = [wire::message("query\n? tinyftp.local ANY")[12..].to_vec()].concat();
    let pointers: Vec<u8> =
        (0..600u16).flat_map(|n| (0xc00c + 2 * n.max(1) - 2).to_be_bytes()).collect();
    let chain = [b"\x01a\x00\x00".as_slice(), &pointers].concat();
    for message in [
        many(300, b"\0\0\xff\0\x01", b""),
        many(300, b"\xc0\x0c\0\xff\0\x01", &ours),
        many(100, b"\xc0\x0c\0\x01\0\x01\0\0\0\x78\0\x04\xc0\0\x02\x01", &ours),
        many(100, b"\xc4\x00\0\xff\0\x01", &chain),
    ] {
        for settled in [false, true] {
            let mut host = Host::tinyftp(&["192.0.2.1"]);
            host.run(if settled { 60_000 } else { 600 });
            let start = Instant::now();
            for _ in 0..10 {
                receive(&mut host, PEER, &message);
                receive(&mut host, LEGACY, &message);
            }
            // A bound that a debug build on a busy machine keeps, and a loop does not.
            assert!(start.elapsed().as_millis() < 2000);
        }
    }
}

#[test]
fn messages_that_were_changed_at_random() {
    let messages = [
        "query\n? tinyftp.local ANY QU\n~ tinyftp.local 120 A 192.0.2.9",
        "query TC\n? _ftp._tcp.local PTR\n? tinyftp._ftp._tcp.local SRV\n= _ftp._tcp.local 4500 PTR tinyftp._ftp._tcp.local",
        "response\n= tinyftp.local 120 flush A 192.0.2.1\n+ tinyftp._ftp._tcp.local 120 flush SRV 21 tinyftp.local",
        "query\n? 1.2.0.192.in-addr.arpa PTR\n? _services._dns-sd._udp.local PTR QU",
    ]
    .map(wire::message);
    let mut random = Random::new(20_260);
    for _ in 0..3000 {
        let mut input = vec![random.below(256) as u8];
        for _ in 0..1 + random.below(4) {
            let mut message = random.pick(&messages).clone();
            for _ in 0..random.below(6) {
                let at = random.below(message.len() as u64) as usize;
                message[at] = random.below(256) as u8;
            }
            if random.percent(20) {
                message.truncate(random.below(message.len() as u64) as usize);
            }
            input.extend((message.len() as u16).to_be_bytes());
            input.extend(message);
        }
        datagrams(&input);
    }
}

#[test]
fn datagrams_corpus() {
    corpus::run("mdns", datagrams);
}
