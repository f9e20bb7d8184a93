//! How names become ours, and what becomes of them (RFC 6762, 8 to 10).

use tinyftp::service::DatagramService;
use tinyftp::services::mdns::{Advertised, Config, ConfigError, Mdns};

use crate::host::{FTP, Host, PEER, PEER_V6, assert_trace, intervals, millis, trace};

const V4: &[&str] = &["192.0.2.1"];
const PROBE: &str = "
    to 224.0.0.251
    query
    ? tinyftp.local ANY QU
    ? tinyftp._ftp._tcp.local ANY QU
    ~ tinyftp.local 120 A 192.0.2.1
    ~ tinyftp._ftp._tcp.local 4500 TXT \"\"
    ~ tinyftp._ftp._tcp.local 120 SRV 21 tinyftp.local
";
const ANNOUNCEMENT: &str = "
    to 224.0.0.251
    response
    = tinyftp.local 120 flush A 192.0.2.1
    = _ftp._tcp.local 4500 PTR tinyftp._ftp._tcp.local
    = tinyftp._ftp._tcp.local 4500 flush TXT \"\"
    = tinyftp._ftp._tcp.local 120 flush SRV 21 tinyftp.local
    = _services._dns-sd._udp.local 4500 PTR _ftp._tcp.local
    = 1.2.0.192.in-addr.arpa 120 flush PTR tinyftp.local
    + tinyftp.local 120 flush NSEC tinyftp.local A
";

/// Somebody has the name that the host would like to have.
fn refuse(host: &mut Host<'_>) {
    let name = host.mdns.hostname().to_string();
    host.hear(PEER, &format!("response\n= {name}.local 120 flush HINFO \"a\" \"b\""));
}

#[test]
fn three_probes_and_two_announcements() {
    let mut host = Host::tinyftp(V4);
    let sent = host.run(60_000);
    assert!(millis(sent[0].at.since(Default::default())) <= 250);
    assert_eq!(intervals(&sent), [250, 250, 250, 1000]);
    assert_trace(&trace(&sent), &[PROBE, PROBE, PROBE, ANNOUNCEMENT, ANNOUNCEMENT].concat());
    assert_eq!(host.mdns.hostname(), "tinyftp");
}

#[test]
fn the_first_probe_comes_at_random() {
    let first = |seed| {
        let config = Config { hostname: "tinyftp", services: &[], seed };
        Host::new(config, V4).run(250)[0].at.as_micros()
    };
    let mut starts: Vec<_> = (0..8).map(first).collect();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), 8);
}

#[test]
fn over_both_versions_of_ip() {
    let mut host = Host::new(
        Config { hostname: "box", services: &[], seed: 1 },
        &["192.0.2.1", "fe80::1", "2001:db8::1", "192.0.2.3"],
    );
    let sent = host.run(60_000);
    assert_eq!(intervals(&sent), [0, 250, 0, 250, 0, 250, 0, 1000, 0]);
    let to: Vec<_> = sent.iter().map(|sent| sent.to.to_string()).collect();
    assert_eq!(to, ["224.0.0.251:5353", "[ff02::fb]:5353"].repeat(5));
    assert_trace(
        &trace(&sent[1..2]),
        "to ff02::fb
        query
        ? box.local ANY QU
        ~ box.local 120 A 192.0.2.1
        ~ box.local 120 A 192.0.2.3
        ~ box.local 120 AAAA 2001:db8::1",
    );
    assert_trace(
        &trace(&sent[6..7]),
        "to 224.0.0.251
        response
        = box.local 120 flush A 192.0.2.1
        = box.local 120 flush A 192.0.2.3
        = box.local 120 flush AAAA 2001:db8::1
        = 1.2.0.192.in-addr.arpa 120 flush PTR box.local
        = 3.2.0.192.in-addr.arpa 120 flush PTR box.local
        = 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6.arpa 120 flush PTR box.local
        = 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.E.F.ip6.arpa 120 flush PTR box.local",
    );
}

#[test]
fn nothing_is_said_without_an_address() {
    let mut host = Host::tinyftp(&[]);
    assert_eq!(trace(&host.run(60_000)), "");
    host.mdns.shutdown();
    assert_eq!(trace(&host.run(60_000)), "");
}

#[test]
fn what_is_not_ours_yet_is_not_answered() {
    let mut host = Host::tinyftp(V4);
    let mut sent = host.run(300);
    assert_eq!(host.hear(PEER, "query\n? tinyftp.local A"), None);
    assert_eq!(host.hear("192.0.2.9:40000", "query\n? tinyftp.local A"), None);
    sent.extend(host.run(100));
    assert!(sent.len() <= 2, "{}", trace(&sent));
    assert_trace(&trace(&sent), &PROBE.repeat(sent.len()));
}

#[test]
fn a_name_that_is_taken() {
    let mut host = Host::tinyftp(V4);
    host.run(600);
    host.hear(PEER, "response\n= TinyFTP.local 120 flush A 192.0.2.9");
    assert_eq!(host.mdns.hostname(), "tinyftp-2");
    // Another one has the next name, and says so to us alone.
    host.run(600);
    let (local, peer) = ("192.0.2.1:5353".parse().unwrap(), PEER.parse().unwrap());
    let response = "response\n= tinyftp-2._ftp._tcp.local 120 flush SRV 2121 other.local";
    assert_eq!(host.receive(local, peer, &crate::wire::message(response)), None);
    assert_eq!(host.mdns.hostname(), "tinyftp-3");

    let sent = host.run(60_000);
    assert_eq!(intervals(&sent), [250, 250, 250, 1000]);
    let renamed =
        |text: &str| text.replace("tinyftp.", "tinyftp-3.").replace("tinyftp\n", "tinyftp-3\n");
    let probe = PROBE.replace("tinyftp.", "tinyftp-3.");
    let announcement = renamed(ANNOUNCEMENT);
    assert_trace(
        &trace(&sent),
        &[&*probe, &*probe, &*probe, &*announcement, &*announcement].concat(),
    );
}

#[test]
fn a_long_name_that_is_taken() {
    let hostname = "x".repeat(63);
    let config = Config { hostname: &hostname, services: &[FTP], seed: 1 };
    let mut host = Host::new(config, V4);
    for number in 2..=12 {
        host.run(300);
        refuse(&mut host);
        let suffix = format!("-{number}");
        assert_eq!(host.mdns.hostname(), "x".repeat(63 - suffix.len()) + &suffix);
    }
}

#[test]
fn what_is_no_conflict() {
    let mut host = Host::tinyftp(V4);
    host.run(300);
    for response in [
        // What we say ourselves, as it may come back through a bridge.
        "response
        = tinyftp.local 120 flush A 192.0.2.1
        = tinyftp._ftp._tcp.local 120 flush SRV 21 TINYFTP.local",
        // A goodbye.
        "response\n= tinyftp.local 0 flush A 192.0.2.9",
        // Other names, and one that is shared.
        "response
        = tinyftp.example 120 flush A 192.0.2.9
        = tinyftp2.local 120 flush A 192.0.2.9
        = _ftp._tcp.local 4500 PTR other._ftp._tcp.local",
    ] {
        host.hear(PEER, response);
    }
    // From another port than 5353.
    host.hear("192.0.2.9:5354", "response\n= tinyftp.local 120 flush A 192.0.2.9");
    // From ourselves.
    host.hear("192.0.2.1:5353", "response\n= tinyftp.local 120 flush A 192.0.2.9");
    host.run(5000);
    assert_eq!(host.mdns.hostname(), "tinyftp");
}

#[test]
fn before_the_first_probe_there_is_no_conflict() {
    let mut host = Host::tinyftp(V4);
    assert_eq!(trace(&host.run(0)), "");
    refuse(&mut host);
    let probe = "query\n? tinyftp.local ANY QU\n~ tinyftp.local 120 A 192.0.2.2";
    host.hear(PEER, probe);
    assert_eq!(host.mdns.hostname(), "tinyftp");
    assert_trace(&trace(&host.run(250)[..1]), PROBE);
    refuse(&mut host);
    assert_eq!(host.mdns.hostname(), "tinyftp-2");
    // The same packets once more, and the next name refused in advance.
    for _ in 0..20 {
        refuse(&mut host);
        host.hear(PEER, "response\n= tinyftp.local 120 flush A 192.0.2.9");
    }
    assert_eq!(host.mdns.hostname(), "tinyftp-2");
    assert_eq!(host.run(60_000).len(), 5);
}

#[test]
fn whoever_refuses_every_name_costs_us_few() {
    let mut host = Host::tinyftp(V4);
    let mut probes = 0;
    for _ in 0..60_000 {
        probes += host.run(1).len();
        refuse(&mut host);
    }
    // Fifteen soon, and one in 5 seconds.
    assert!((25..=27).contains(&probes), "{probes}");
    assert_eq!(host.mdns.hostname(), format!("tinyftp-{}", probes + 1));
}

#[test]
fn conflicts_that_are_far_apart_do_not_slow_us_down() {
    let mut host = Host::tinyftp(V4);
    for _ in 0..20 {
        assert_eq!(intervals(&host.run(10_001)), [250, 250, 250, 1000]);
        host.hear(PEER, "response\n= tinyftp.local 120 flush A 192.0.2.9");
    }
}

#[test]
fn fifteen_conflicts_slow_us_down() {
    let mut host = Host::tinyftp(V4);
    let mut probes = vec![];
    while probes.len() < 18 {
        let sent = host.run(1);
        if let Some(probe) = sent.last() {
            probes.push(probe.at);
            refuse(&mut host);
        }
    }
    let waits: Vec<_> = probes.windows(2).map(|pair| millis(pair[1].since(pair[0]))).collect();
    assert!(waits[..14].iter().all(|&wait| wait <= 251), "{waits:?}");
    assert!(waits[14..].iter().all(|&wait| wait >= 5000), "{waits:?}");
    assert_eq!(host.mdns.hostname(), "tinyftp-19");
}

#[test]
fn the_greater_claim_goes_first() {
    // (what another says of the name while we probe for it, whether we wait for it)
    for (theirs, defers) in [
        ("~ tinyftp.local 120 A 192.0.2.2", true),
        ("~ tinyftp.local 120 A 192.0.2.0", false),
        ("~ tinyftp.local 120 A 192.0.2.1", false),
        // The same, and more.
        ("~ tinyftp.local 120 A 192.0.2.1\n~ tinyftp.local 120 A 192.0.2.2", true),
        // The order in the message does not matter, and the least are compared first.
        ("~ tinyftp.local 120 AAAA fe80::9\n~ tinyftp.local 120 A 192.0.2.1", true),
        ("~ tinyftp.local 120 AAAA fe80::9\n~ tinyftp.local 120 A 10.0.0.1", false),
        // By type first.
        ("~ tinyftp.local 120 AAAA ::", true),
        // The instance has a claim of its own; names are compared as they are when uncompressed.
        ("~ tinyftp._ftp._tcp.local 120 SRV 21 tinyftp.local", true),
        (
            "~ tinyftp._ftp._tcp.local 120 TXT \"\"\n~ tinyftp._ftp._tcp.local 120 SRV 20 z.local",
            false,
        ),
        (
            "~ tinyftp._ftp._tcp.local 120 TXT \"\"\n~ tinyftp._ftp._tcp.local 120 SRV 21 z.local",
            false,
        ),
        (
            "~ tinyftp._ftp._tcp.local 120 TXT \"\"\n~ tinyftp._ftp._tcp.local 120 SRV 21 tinyftq.local",
            true,
        ),
        ("~ other.local 120 A 192.0.2.2", false),
    ] {
        let mut host = Host::tinyftp(V4);
        host.run(300);
        host.hear(PEER, &format!("query\n? tinyftp.local ANY QU\n{theirs}"));
        let start = host.now;
        let sent = host.run(60_000);
        let wait = millis(sent[0].at.since(start));
        assert_eq!(wait == 1000, defers, "{theirs}: {wait} ms");
        assert_eq!(sent.len() == 5, defers, "{theirs}: {}", trace(&sent));
        assert_eq!(host.mdns.hostname(), "tinyftp");
    }
}

#[test]
fn a_name_that_is_disputed_later() {
    let mut host = Host::settled(V4);
    host.hear(PEER, "response\n= tinyftp.local 120 flush A 192.0.2.9");
    assert_eq!(host.mdns.hostname(), "tinyftp");
    let sent = host.run(600);
    assert_trace(&trace(&sent[..1]), PROBE);
    // The other holds on to it.
    host.hear(PEER, "response\n= tinyftp.local 120 flush A 192.0.2.9");
    assert_eq!(host.mdns.hostname(), "tinyftp-2");
    assert_eq!(host.run(60_000).len(), 5);
}

#[test]
fn a_name_that_is_disputed_and_kept() {
    let mut host = Host::settled(V4);
    host.hear(PEER_V6, "response\n= tinyftp._ftp._tcp.local 120 flush SRV 22 tinyftp.local");
    let sent = host.run(60_000);
    assert_trace(&trace(&sent), &[PROBE, PROBE, PROBE, ANNOUNCEMENT, ANNOUNCEMENT].concat());
}

#[test]
fn what_is_no_dispute() {
    let mut host = Host::settled(V4);
    // To us alone, from another port, of a type that we say nothing of.
    let response = crate::wire::message("response\n= tinyftp.local 120 flush A 192.0.2.9");
    let (local, peer) = ("192.0.2.1:5353".parse().unwrap(), PEER.parse().unwrap());
    assert_eq!(host.receive(local, peer, &response), None);
    host.hear("192.0.2.9:5354", "response\n= tinyftp.local 120 flush A 192.0.2.9");
    host.hear(PEER, "response\n= tinyftp.local 120 flush HINFO \"a\" \"b\"");
    assert_eq!(trace(&host.run(60_000)), "");
}

#[test]
fn goodbye() {
    let mut host = Host::settled(V4);
    host.mdns.shutdown();
    let start = host.now;
    let sent = host.run(60_000);
    assert_eq!(sent[0].at, start);
    let goodbye = ANNOUNCEMENT.replace(" 120 ", " 0 ").replace(" 4500 ", " 0 ");
    assert_trace(&trace(&sent), goodbye.split("    +").next().unwrap());
    // Nothing is said after it.
    assert_eq!(host.hear("192.0.2.9:40000", "query\n? tinyftp.local A"), None);
    host.addresses.clear();
    host.run(1000);
    host.addresses.push("192.0.2.7".parse().unwrap());
    assert_eq!(trace(&host.run(60_000)), "");
}

#[test]
fn who_has_no_name_yet_says_no_goodbye() {
    let mut host = Host::tinyftp(V4);
    host.run(600);
    host.mdns.shutdown();
    assert_eq!(trace(&host.run(60_000)), "");
}

#[test]
fn announcements_that_do_not_fit_one_message() {
    let long = "a=".to_string() + &"x".repeat(200);
    let txt = [long.as_str()];
    let kinds: Vec<String> = (0..8).map(|n| format!("_service-{n}._tcp")).collect();
    let service = |kind| Advertised { kind, port: 1, txt: &txt };
    let services: Vec<_> = kinds.iter().map(|kind| service(kind.as_str())).collect();
    let config = Config { hostname: "tinyftp", services: &services, seed: 1 };
    let mut host = Host::new(config, V4);
    host.room = 1200;
    let sent = host.run(3000);
    let texts = |from: usize, to: usize| trace(&sent[from..to]);
    assert_eq!(intervals(&sent), [250, 250, 250, 0, 0, 1000, 0, 0]);
    assert_eq!(texts(3, 6), texts(6, 9));
    for service in 0..8 {
        for what in [
            format!(
                "= _service-{service}._tcp.local 4500 PTR tinyftp._service-{service}._tcp.local\n"
            ),
            format!("= tinyftp._service-{service}._tcp.local 4500 flush TXT \"{long}\"\n"),
            format!("= tinyftp._service-{service}._tcp.local 120 flush SRV 1 tinyftp.local\n"),
            format!("= _services._dns-sd._udp.local 4500 PTR _service-{service}._tcp.local\n"),
        ] {
            assert_eq!(texts(3, 6).matches(&what).count(), 1, "{what}");
        }
    }
}

#[test]
fn no_room_at_all() {
    for room in [0, 11, 12, 30, 50] {
        let mut host = Host::tinyftp(V4);
        host.room = room;
        host.run(60_000);
        assert_eq!(host.hear("192.0.2.9:40000", "query\n? tinyftp._ftp._tcp.local ANY"), None);
    }
}

#[test]
fn names_that_are_none() {
    let long = "x".repeat(64);
    let error = |hostname: &str, services: &[Advertised<'_>]| {
        Mdns::new(Config { hostname, services, seed: 1 }).err()
    };
    for hostname in ["", &long, "a.b", "-a", "a-", "a b", "Bär", "a_b"] {
        assert_eq!(error(hostname, &[]), Some(ConfigError::Hostname), "{hostname}");
    }
    for hostname in ["a", "A-1", &long[1..], "1"] {
        assert_eq!(error(hostname, &[FTP]), None, "{hostname}");
    }
    for kind in [
        "",
        "ftp",
        "_ftp",
        "_ftp._sctp",
        "ftp._tcp",
        "_._tcp",
        "_ftp._tcp.local",
        "_sixteen-letters-._tcp",
    ] {
        let service = Advertised { kind, ..FTP };
        assert_eq!(error("a", &[service]), Some(ConfigError::Kind), "{kind}");
    }
    let (fits, long) = ("x".repeat(255), "x".repeat(256));
    for (txt, expected) in [
        (&[&*fits][..], None),
        (&[&*fits, ""], Some(ConfigError::TextTooLong)),
        (&[&*long], Some(ConfigError::TextTooLong)),
    ] {
        assert_eq!(error("a", &[Advertised { txt, ..FTP }]), expected);
    }
    assert_eq!(error("a", &[FTP, FTP]), Some(ConfigError::SameKind));
    assert_eq!(error("a", &[FTP; 9]), Some(ConfigError::TooManyServices));
}
