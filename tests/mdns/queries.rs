//! Questions and their answers (RFC 6762, 5 to 7; RFC 6763).

use crate::host::{Host, PEER, PEER_V6, assert_trace, intervals, trace};
use crate::wire;

const BOTH: &[&str] = &["192.0.2.1", "2001:db8::1"];
/// A querier that knows nothing of mDNS.
const LEGACY: &str = "192.0.2.9:40000";

#[test]
fn what_is_ours_alone_is_answered_at_once() {
    for (question, expected) in [
        (
            "tinyftp.local A",
            "= tinyftp.local 120 flush A 192.0.2.1
            + tinyftp.local 120 flush AAAA 2001:db8::1",
        ),
        (
            "TINYFTP.Local AAAA",
            "= tinyftp.local 120 flush AAAA 2001:db8::1
            + tinyftp.local 120 flush A 192.0.2.1",
        ),
        (
            "tinyftp.local ANY",
            "= tinyftp.local 120 flush A 192.0.2.1
            = tinyftp.local 120 flush AAAA 2001:db8::1",
        ),
        (
            "tinyftp._ftp._tcp.local SRV",
            "= tinyftp._ftp._tcp.local 120 flush SRV 21 tinyftp.local
            + tinyftp.local 120 flush A 192.0.2.1
            + tinyftp.local 120 flush AAAA 2001:db8::1",
        ),
        ("tinyftp._ftp._tcp.local TXT", "= tinyftp._ftp._tcp.local 4500 flush TXT \"\""),
        ("1.2.0.192.in-addr.arpa PTR", "= 1.2.0.192.in-addr.arpa 120 flush PTR tinyftp.local"),
        (
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.ARPA PTR",
            "= 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6.arpa 120 flush PTR \
             tinyftp.local",
        ),
        // That there is nothing is an answer too (6.1).
        ("tinyftp.local TXT", "= tinyftp.local 120 flush NSEC tinyftp.local A AAAA"),
        (
            "tinyftp._ftp._tcp.local A",
            "= tinyftp._ftp._tcp.local 120 flush NSEC tinyftp._ftp._tcp.local TXT SRV",
        ),
    ] {
        let mut host = Host::settled(BOTH);
        let (trace, delay) = host.ask(PEER, &format!("query\n? {question}"));
        assert_trace(&trace, &format!("to 224.0.0.251\nresponse\n{expected}"));
        assert_eq!(delay, 0, "{question}");
    }
}

#[test]
fn what_others_have_too_is_answered_after_a_while() {
    for (question, expected) in [
        (
            "_ftp._tcp.local PTR",
            "= _ftp._tcp.local 4500 PTR tinyftp._ftp._tcp.local
            + tinyftp.local 120 flush A 192.0.2.1
            + tinyftp.local 120 flush AAAA 2001:db8::1
            + tinyftp._ftp._tcp.local 4500 flush TXT \"\"
            + tinyftp._ftp._tcp.local 120 flush SRV 21 tinyftp.local",
        ),
        (
            "_services._dns-sd._udp.local PTR",
            "= _services._dns-sd._udp.local 4500 PTR _ftp._tcp.local",
        ),
        // Several questions.
        (
            "tinyftp._ftp._tcp.local TXT\n? 1.2.0.192.in-addr.arpa PTR\n? other.local A",
            "= tinyftp._ftp._tcp.local 4500 flush TXT \"\"
            = 1.2.0.192.in-addr.arpa 120 flush PTR tinyftp.local",
        ),
    ] {
        let mut host = Host::settled(BOTH);
        let (trace, delay) = host.ask(PEER_V6, &format!("query\n? {question}"));
        assert_trace(&trace, &format!("to ff02::fb\nresponse\n{expected}"));
        assert!((20..=120).contains(&delay), "{question}: {delay} ms");
    }
}

#[test]
fn what_is_not_ours_is_not_answered() {
    let mut host = Host::settled(BOTH);
    for question in [
        "other.local A",
        "tinyftp.example A",
        "tinyftp A",
        "local ANY",
        "tinyftp.local.local A",
        "_http._tcp.local PTR",
        "_ftp._tcp.local A",
        "9.2.0.192.in-addr.arpa PTR",
        "1.2.0.192.in-addr.arpa A",
    ] {
        assert_eq!(host.ask(PEER, &format!("query\n? {question}")), (String::new(), 0));
        assert_eq!(host.hear(LEGACY, &format!("query\n? {question}")), None);
    }
    // Another class.
    let mut query = wire::message("query\n? tinyftp.local A");
    *query.last_mut().unwrap() = 3;
    let (local, peer) = ("224.0.0.251:5353".parse().unwrap(), LEGACY.parse().unwrap());
    assert_eq!(host.receive(local, peer, &query), None);
    // Any class.
    *query.last_mut().unwrap() = 255;
    assert!(host.receive(local, peer, &query).is_some());
}

#[test]
fn what_the_peer_knows_is_not_said() {
    // (what the peer knows, whether it is told)
    for (known, is_told) in [
        ("= _ftp._tcp.local 4500 PTR tinyftp._ftp._tcp.local", false),
        ("= _FTP._tcp.local 2250 PTR TinyFTP._ftp._tcp.local", false),
        ("= _ftp._tcp.local 2249 PTR tinyftp._ftp._tcp.local", true),
        ("= _ftp._tcp.local 4500 PTR other._ftp._tcp.local", true),
        ("= _ftp._udp.local 4500 PTR tinyftp._ftp._tcp.local", true),
        ("~ _ftp._tcp.local 4500 PTR tinyftp._ftp._tcp.local", true),
    ] {
        let mut host = Host::settled(BOTH);
        let (trace, _) = host.ask(PEER, &format!("query\n? _ftp._tcp.local PTR\n{known}"));
        assert_eq!(!trace.is_empty(), is_told, "{known}");
    }
}

#[test]
fn of_several_records_the_peer_must_know_all() {
    let addresses = &["192.0.2.1", "192.0.2.2"];
    let known = "query\n? tinyftp.local A\n= tinyftp.local 120 A 192.0.2.2";
    let (trace, _) = Host::settled(addresses).ask(PEER, known);
    assert!(trace.contains(
        "= tinyftp.local 120 flush A 192.0.2.1\n= tinyftp.local 120 flush A 192.0.2.2\n"
    ));
    let known = format!("{known}\n= tinyftp.local 60 flush A 192.0.2.1");
    let (trace, _) = Host::settled(addresses).ask(PEER, &known);
    assert_eq!(trace, "");
}

#[test]
fn what_the_peer_knows_may_fill_several_messages() {
    let mut host = Host::settled(BOTH);
    let query = "query TC
        ? _ftp._tcp.local PTR
        ? _services._dns-sd._udp.local PTR
        = _ftp._tcp.local 4500 PTR other._ftp._tcp.local";
    assert_eq!(host.hear(PEER, query), None);
    assert_eq!(trace(&host.run(100)), "");
    // The rest, and what somebody else knows.
    host.hear(PEER, "query\n= _ftp._tcp.local 4500 PTR tinyftp._ftp._tcp.local");
    host.hear("192.0.2.8:5353", "query\n= _services._dns-sd._udp.local 4500 PTR _ftp._tcp.local");
    let start = host.now;
    let sent = host.run(2000);
    assert_trace(
        &trace(&sent),
        "to 224.0.0.251
        response
        = _services._dns-sd._udp.local 4500 PTR _ftp._tcp.local",
    );
    let waited = 100 + sent[0].at.since(start).as_millis();
    assert!((400..=500).contains(&waited), "{waited} ms");
}

#[test]
fn what_two_ask_for_is_said_although_one_of_them_knows() {
    let mut host = Host::settled(BOTH);
    host.hear(PEER, "query TC\n? _ftp._tcp.local PTR");
    host.hear("192.0.2.8:5353", "query\n? _ftp._tcp.local PTR");
    host.hear(PEER, "query\n= _ftp._tcp.local 4500 PTR tinyftp._ftp._tcp.local");
    assert_eq!(host.run(2000).len(), 1);
}

#[test]
fn questions_of_many_are_answered_once() {
    let mut host = Host::settled(BOTH);
    for n in 10..30 {
        host.hear(&format!("192.0.2.{n}:5353"), "query\n? _ftp._tcp.local PTR");
    }
    assert_eq!(host.run(2000).len(), 1);
}

#[test]
fn no_record_is_sent_twice_in_a_second() {
    let mut host = Host::settled(BOTH);
    let mut sent = vec![];
    for _ in 0..50 {
        assert_eq!(host.hear(PEER, "query\n? tinyftp.local A"), None);
        sent.extend(host.run(100));
    }
    assert_eq!(intervals(&sent), [1000; 5]);
    // Nor as an additional record; over the other version of IP it may be sent.
    let (trace, _) = host.ask(PEER, "query\n? tinyftp._ftp._tcp.local SRV");
    assert!(!trace.contains(" A 192.0.2.1"), "{trace}");
    let (trace, _) = host.ask(PEER_V6, "query\n? tinyftp._ftp._tcp.local SRV");
    assert!(trace.contains("+ tinyftp.local 120 flush A 192.0.2.1\n"), "{trace}");
}

#[test]
fn a_name_is_defended_sooner() {
    let mut host = Host::settled(BOTH);
    let probe = "query\n? tinyftp.local ANY\n~ tinyftp.local 120 A 192.0.2.9";
    let mut sent = vec![];
    for _ in 0..20 {
        assert_eq!(host.hear(PEER, probe), None);
        sent.extend(host.run(50));
    }
    assert_eq!(intervals(&sent), [250; 4]);
    assert_eq!(host.mdns.hostname(), "tinyftp");
}

#[test]
fn a_probe_may_ask_for_an_answer_alone() {
    let mut host = Host::settled(BOTH);
    host.run(60_000);
    let reply = host.hear(PEER, "query\n? tinyftp.local ANY QU\n~ tinyftp.local 120 A 192.0.2.9");
    assert_trace(
        &reply.unwrap(),
        "response
        = tinyftp.local 120 flush A 192.0.2.1
        = tinyftp.local 120 flush AAAA 2001:db8::1",
    );
    assert_eq!(trace(&host.run(2000)), "");
}

#[test]
fn an_answer_alone_if_all_have_heard_it_of_late() {
    let mut host = Host::settled(BOTH);
    host.run(60_000);
    let query = "query\n? tinyftp.local AAAA QU";
    let (trace, _) = host.ask(PEER, query);
    assert_trace(
        &trace,
        "to 224.0.0.251
        response
        = tinyftp.local 120 flush AAAA 2001:db8::1
        + tinyftp.local 120 flush A 192.0.2.1",
    );
    host.run(20_000);
    let reply = host.hear(PEER, query).unwrap();
    assert_trace(
        &reply,
        "response
        = tinyftp.local 120 flush AAAA 2001:db8::1
        + tinyftp.local 120 flush A 192.0.2.1",
    );
    host.run(20_000);
    assert_eq!(host.hear(PEER, query), None);
    assert_eq!(host.run(2000).len(), 1);
    // If it is asked for in both ways, all hear it.
    assert_eq!(host.hear(PEER, "query\n? tinyftp.local A QU\n? tinyftp.local A"), None);
    assert_eq!(host.run(2000).len(), 1);
}

#[test]
fn a_question_to_us_alone() {
    let mut host = Host::settled(BOTH);
    let query = wire::message("query\n? tinyftp._ftp._tcp.local TXT");
    let (local, peer) = ("192.0.2.1:5353".parse().unwrap(), PEER.parse().unwrap());
    let reply = host.receive(local, peer, &query).unwrap();
    assert_trace(&wire::text(&reply), "response\n= tinyftp._ftp._tcp.local 4500 flush TXT \"\"");
    assert_eq!(trace(&host.run(2000)), "");
}

#[test]
fn queriers_that_know_nothing_of_mdns() {
    let mut host = Host::settled(BOTH);
    let reply = host.hear(LEGACY, "query id 4711\n? _ftp._tcp.local PTR");
    assert_trace(
        &reply.unwrap(),
        "response id 4711
        ? _ftp._tcp.local PTR
        = _ftp._tcp.local 10 PTR tinyftp._ftp._tcp.local
        + tinyftp.local 10 A 192.0.2.1
        + tinyftp.local 10 AAAA 2001:db8::1
        + tinyftp._ftp._tcp.local 10 TXT \"\"
        + tinyftp._ftp._tcp.local 10 SRV 21 tinyftp.local",
    );
    // To our own address too.
    let query = wire::message("query id 1\n? TinyFTP.local A");
    let (local, peer) = ("192.0.2.1:5353".parse().unwrap(), LEGACY.parse().unwrap());
    let reply = host.receive(local, peer, &query).unwrap();
    assert_trace(
        &wire::text(&reply),
        "response id 1
        ? TinyFTP.local A
        = TinyFTP.local 10 A 192.0.2.1
        + TinyFTP.local 10 AAAA 2001:db8::1",
    );
    assert_eq!(trace(&host.run(2000)), "");
}

#[test]
fn additional_records_that_do_not_fit_are_left_out() {
    let mut host = Host::settled(BOTH);
    host.room = 100;
    let reply = host.hear(LEGACY, "query\n? _ftp._tcp.local PTR").unwrap();
    assert_trace(
        &reply,
        "response
        ? _ftp._tcp.local PTR
        = _ftp._tcp.local 10 PTR tinyftp._ftp._tcp.local
        + tinyftp.local 10 A 192.0.2.1
        + tinyftp._ftp._tcp.local 10 TXT \"\"",
    );
}

#[test]
fn names_are_compressed() {
    let mut host = Host::settled(BOTH);
    host.hear(PEER, "query\n? _ftp._tcp.local PTR");
    let sent = host.run(2000);
    let found = |label: &[u8]| sent[0].payload.windows(label.len()).filter(|&w| w == label).count();
    assert_eq!(found(b"\x04_ftp"), 1);
    // Once more in SRV, where it is never compressed.
    assert_eq!(found(b"\x07tinyftp"), 3);
}

#[test]
fn what_is_no_query_is_not_answered() {
    let mut host = Host::settled(BOTH);
    let (local, peer) = ("224.0.0.251:5353".parse().unwrap(), LEGACY.parse().unwrap());
    let query = wire::message("query id 9\n? tinyftp.local A");
    assert!(host.receive(local, peer, &query).is_some());
    // Another opcode, an error (18.3, 18.11).
    for (octet, bit) in [(2, 0x08), (2, 0x20), (3, 0x01)] {
        let mut other = query.clone();
        other[octet] |= bit;
        assert_eq!(host.receive(local, peer, &other), None);
    }
}
