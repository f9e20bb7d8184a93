//! Addresses come and go (RFC 6762, 8.4).

use crate::host::{Host, PEER_V6, assert_trace, intervals, trace};

#[test]
fn another_address() {
    let mut host = Host::settled(&["192.0.2.1"]);
    host.addresses = vec!["192.0.2.2".parse().unwrap()];
    let start = host.now;
    let sent = host.run(60_000);
    assert_eq!(sent[0].at, start);
    assert_eq!(intervals(&sent), [1000]);
    let announcement = "
        to 224.0.0.251
        response
        = tinyftp.local 120 flush A 192.0.2.2
        = tinyftp.local 0 flush A 192.0.2.1
        = _ftp._tcp.local 4500 PTR tinyftp._ftp._tcp.local
        = tinyftp._ftp._tcp.local 4500 flush TXT \"\"
        = tinyftp._ftp._tcp.local 120 flush SRV 21 tinyftp.local
        = _services._dns-sd._udp.local 4500 PTR _ftp._tcp.local
        = 2.2.0.192.in-addr.arpa 120 flush PTR tinyftp.local
        + tinyftp.local 120 flush NSEC tinyftp.local A
    ";
    assert_trace(&trace(&sent), &announcement.repeat(2));
}

#[test]
fn the_order_does_not_matter() {
    let mut host = Host::settled(&["192.0.2.1", "192.0.2.2"]);
    host.addresses.reverse();
    assert_eq!(trace(&host.run(60_000)), "");
}

#[test]
fn the_last_ipv4_address_goes() {
    let mut host = Host::settled(&["192.0.2.1", "2001:db8::1"]);
    host.addresses.remove(0);
    let sent = host.run(60_000);
    assert_eq!(sent.len(), 2);
    let text = trace(&sent[..1]);
    assert!(
        text.starts_with("to ff02::fb\nresponse\n= tinyftp.local 120 flush AAAA 2001:db8::1\n")
    );
    assert!(text.contains("\n= tinyftp.local 0 flush A 192.0.2.1\n"), "{text}");
    assert!(text.contains("\n+ tinyftp.local 120 flush NSEC tinyftp.local AAAA\n"), "{text}");
}

#[test]
fn the_first_ipv6_address_comes() {
    let mut host = Host::settled(&["192.0.2.1"]);
    host.addresses.push("2001:db8::1".parse().unwrap());
    let sent = host.run(60_000);
    // Whoever has IPv6 only was not asked yet.
    assert_eq!(intervals(&sent), [0, 250, 0, 250, 0, 250, 0, 1000, 0]);
    assert!(trace(&sent[..1]).contains("query\n? tinyftp.local ANY QU\n"));
}

#[test]
fn an_address_of_the_link_is_told_if_there_is_no_other() {
    let mut host = Host::settled(&["fe80::1"]);
    let (told, _) = host.ask(PEER_V6, "query\n? tinyftp.local AAAA");
    assert!(told.contains("= tinyftp.local 120 flush AAAA fe80::1"), "{told}");
    // Another one comes: who opened a data connection to that of the link would need its zone.
    host.addresses.push("192.0.2.1".parse().unwrap());
    let text = trace(&host.run(60_000));
    assert!(text.contains("= tinyftp.local 0 flush AAAA fe80::1"), "{text}");
    assert!(!text.contains("tinyftp.local 120 flush AAAA"), "{text}");
}

#[test]
fn all_addresses_go_and_come_back() {
    let mut host = Host::settled(&["192.0.2.1"]);
    let address = host.addresses.pop().unwrap();
    assert_eq!(trace(&host.run(60_000)), "");
    host.addresses.push(address);
    let sent = host.run(60_000);
    assert_eq!(intervals(&sent), [250, 250, 250, 1000]);
}

#[test]
fn an_address_comes_while_we_probe() {
    let mut host = Host::tinyftp(&["192.0.2.1"]);
    host.run(300);
    host.addresses = vec!["192.0.2.2".parse().unwrap()];
    let sent = host.run(60_000);
    let text = trace(&sent);
    assert!(text.contains("\n~ tinyftp.local 120 A 192.0.2.2\n"), "{text}");
    // The other was never announced.
    assert!(!text.contains("192.0.2.1\n"), "{text}");
}

#[test]
fn more_addresses_than_there_is_room_for() {
    let many: Vec<String> = (1..=20).map(|n| format!("2001:db8::{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut host = Host::settled(&many);
    let reply = host.hear("192.0.2.9:40000", "query\n? tinyftp.local AAAA").unwrap();
    assert_eq!(reply.matches(" AAAA 2001:db8::").count(), 8, "{reply}");
}
