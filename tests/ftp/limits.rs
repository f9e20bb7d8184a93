//! What accounts may do, and how much of it.

use std::net::SocketAddr;
use std::time::Duration;

use tinyftp::auth::{Account, Grant, Rights};
use tinyftp::ftp::Config;
use tinyftp::service::Service;
use tinyftp::storage::Path;
use tinyftp::time::Instant;

use crate::net::{DATE, Net, Setup, with_net};

const CROWDED: &str = "421 Too many sessions from your address, try again later\r\n";

/// A client from `address`; what it is greeted with.
fn connect(net: &mut Net<'_, '_>, address: &str) -> (usize, String) {
    net.setup.client = SocketAddr::new(address.parse().expect("an address"), 40_000);
    let at = net.connect().expect("a session");
    net.settle();
    (at, net.clients[at].take_replies())
}

/// Logs in; the reply to PASS.
fn log_in(net: &mut Net<'_, '_>, at: usize, user: &str, password: &str) -> String {
    assert_eq!(net.say(at, &format!("USER {user}")), "331 Password please\r\n");
    net.say(at, &format!("PASS {password}"))
}

#[test]
fn an_address_has_so_many_sessions() {
    let config = Config { max_per_address: Some(2), start: DATE, ..Config::default() };
    with_net(Setup { config, sessions: 16, ..Setup::default() }, |net| {
        // A network of 64 bits is one address: whoever has it has all of them.
        for (one, same) in [("192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::ffff:1")] {
            for _ in 0..20 {
                let (first, greeting) = connect(net, one);
                assert_eq!(greeting, "220 tinyftp ready\r\n");
                let (second, greeting) = connect(net, same);
                assert_eq!(greeting, "220 tinyftp ready\r\n");
                let (third, refusal) = connect(net, one);
                assert_eq!(refusal, CROWDED);
                assert!(net.clients[third].closed());
                // Others are let in.
                let (other, greeting) = connect(net, "198.51.100.1");
                assert_eq!(greeting, "220 tinyftp ready\r\n");
                // One leaves, one may come: whichever it is.
                assert_eq!(net.say(first, "QUIT"), "221 Goodbye\r\n");
                let (first, greeting) = connect(net, one);
                assert_eq!(greeting, "220 tinyftp ready\r\n");
                assert_eq!(connect(net, same).1, CROWDED);
                for at in [second, other, first] {
                    assert_eq!(net.say(at, "QUIT"), "221 Goodbye\r\n");
                }
            }
        }
    });
}

#[test]
fn every_address_is_counted_by_itself() {
    let config =
        Config { max_sessions: 64, max_per_address: Some(1), start: DATE, ..Config::default() };
    with_net(Setup { config, sessions: 65, ..Setup::default() }, |net| {
        // More addresses than chains: some share one.
        let mut clients: Vec<_> = (0..64).map(|n| connect(net, &format!("10.0.0.{n}")).0).collect();
        // In another order than they came.
        while !clients.is_empty() {
            let n = clients.len() * 7 % 11 % clients.len();
            let at = clients.remove(n);
            assert_eq!(net.say(at, "NOOP"), "200 OK\r\n");
            assert_eq!(net.say(at, "QUIT"), "221 Goodbye\r\n");
        }
        for n in 0..64 {
            assert_eq!(connect(net, &format!("10.0.0.{n}")).1, "220 tinyftp ready\r\n");
        }
    });
}

#[test]
fn addresses_come_and_go_in_any_order() {
    let config =
        Config { max_sessions: 24, max_per_address: Some(3), start: DATE, ..Config::default() };
    with_net(Setup { config, sessions: 25, ..Setup::default() }, |net| {
        let (mut open, mut random) = (Vec::new(), 1u32);
        for _ in 0..2000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pick = (random >> 16) as usize;
            if open.len() == 24 || pick % 5 < 2 && !open.is_empty() {
                let (at, _) = open.swap_remove(pick % open.len());
                assert_eq!(net.say(at, "QUIT"), "221 Goodbye\r\n");
                continue;
            }
            let address = pick / 5 % 30;
            let has = open.iter().filter(|&&(_, other)| other == address).count();
            let (at, greeting) = connect(net, &format!("10.0.0.{address}"));
            if has < 3 {
                assert_eq!(greeting, "220 tinyftp ready\r\n");
                open.push((at, address));
            } else {
                assert_eq!(greeting, CROWDED);
            }
        }
    });
}

#[test]
fn an_account_has_so_many_sessions() {
    let mut setup = Setup { sessions: 8, ..Setup::default() };
    setup.accounts[0].max_sessions = 2;
    with_net(setup, |net| {
        let clients = [0; 3].map(|_| connect(net, "192.0.2.7").0);
        let [first, second, third] = clients;
        let refused = "530 Too many sessions of this account, try again later\r\n";
        for leave in ["QUIT", "REIN", "USER otto", "(vanish)"] {
            assert_eq!(log_in(net, first, "anna", "secret"), "230 Logged in\r\n");
            assert_eq!(log_in(net, second, "anna", "secret"), "230 Logged in\r\n");
            assert_eq!(log_in(net, third, "anna", "secret"), refused);
            assert_eq!(net.say(third, "PWD"), "530 Log in with USER and PASS first\r\n");
            // Logging in again takes no second place, and frees the one it had.
            assert_eq!(log_in(net, first, "anna", "secret"), "230 Logged in\r\n");
            let leaves = connect(net, "192.0.2.7").0;
            assert_eq!(net.say(first, "REIN"), "220 tinyftp ready\r\n");
            assert_eq!(log_in(net, leaves, "anna", "secret"), "230 Logged in\r\n");
            assert_eq!(log_in(net, third, "anna", "secret"), refused);
            match leave {
                "(vanish)" => {
                    net.clients[leaves].control.reset();
                    net.wake(leaves);
                    net.settle();
                }
                line => drop(net.say(leaves, line)),
            }
            assert_eq!(log_in(net, third, "anna", "secret"), "230 Logged in\r\n", "{leave}");
            for at in [second, third] {
                assert_eq!(net.say(at, "REIN"), "220 tinyftp ready\r\n");
            }
        }
    });
}

#[test]
fn each_right_allows_its_verbs() {
    let commands = [
        ("RETR a", Rights::READ),
        ("SIZE a", Rights::LIST),
        ("MDTM a", Rights::LIST),
        ("LIST", Rights::LIST),
        ("NLST", Rights::LIST),
        ("MLSD", Rights::LIST),
        ("MLST a", Rights::LIST),
        ("STAT a", Rights::LIST),
        ("STOR b", Rights::WRITE),
        ("STOU", Rights::WRITE),
        ("APPE a", Rights::APPEND),
        ("MFMT 20000229000000 a", Rights::WRITE),
        ("SITE CHMOD 600 a", Rights::WRITE),
        ("MKD d", Rights::MAKE_DIRECTORY),
        ("RMD d", Rights::DELETE),
        ("DELE a", Rights::DELETE),
        ("RNFR a", Rights::RENAME),
    ];
    let rights = [
        Rights::READ,
        Rights::LIST,
        Rights::WRITE,
        Rights::APPEND,
        Rights::DELETE,
        Rights::RENAME,
        Rights::MAKE_DIRECTORY,
    ];
    for granted in rights {
        let accounts = vec![Account::new("anna", "secret", Grant::new(granted))];
        with_net(Setup { accounts, ..Setup::default() }, |net| {
            net.ftp.storage().make("/a", b"hello", DATE);
            let (at, _) = connect(net, "192.0.2.7");
            assert!(log_in(net, at, "anna", "secret").starts_with("230 "));
            for (line, needed) in commands {
                let reply = net.say(at, line);
                let refused = reply == "550 Permission denied: this account may not do that\r\n";
                assert_eq!(refused, needed != granted, "{line} with {granted:?}: {reply}");
                net.say(at, "ABOR");
            }
        });
    }
}

#[test]
fn who_is_there_is_told_to_those_who_may_know() {
    let admin = Account::new("root", "secret", Grant::new(Rights::INSPECT));
    let mut setup = Setup { sessions: 200, ..Setup::default() };
    setup.accounts.push(admin);
    setup.config.max_sessions = 200;
    with_net(setup, |net| {
        net.ftp.storage().make("/a", &[7; 4000], DATE);
        let (admin, _) = connect(net, "192.0.2.7");
        assert!(log_in(net, admin, "root", "secret").starts_with("230 "));
        let (anna, _) = connect(net, "2001:db8::1");
        net.log_in(anna);
        assert!(net.say(anna, "RETR a").starts_with("150 "));
        net.open_data(anna);
        net.settle();
        let (gone, _) = connect(net, "192.0.2.8");
        net.say(gone, "QUIT");
        net.elapse(Duration::from_secs(7));
        for _ in 0..150 {
            connect(net, "198.51.100.1");
        }
        // Longer than any buffer: it comes as it is read, and NOOP waits its turn.
        let told = net.say(admin, "SITE WHO\r\nNOOP");
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 155, "{told}");
        assert_eq!(lines[0], "211-Sessions:");
        assert_eq!(lines[1], " 192.0.2.7:40000 root idle 0 s");
        assert_eq!(lines[2], " [2001:db8::1]:40001 anna RETR 1024 bytes");
        assert!(lines[3..153].iter().all(|line| line.starts_with(" 198.51.100.1:")));
        assert_eq!(lines[3], " 198.51.100.1:40003 - idle 0 s");
        assert_eq!(lines[153..], ["211 End", "200 OK"]);
    });
}

/// A server of 150 sessions, the first of which may know of the others.
fn with_crowd(test: impl FnOnce(&mut Net<'_, '_>, usize)) {
    let mut setup = Setup { sessions: 200, ..Setup::default() };
    setup.accounts.push(Account::new("root", "secret", Grant::new(Rights::INSPECT)));
    setup.config.max_sessions = 200;
    with_net(setup, |net| {
        let (admin, _) = connect(net, "192.0.2.7");
        assert!(log_in(net, admin, "root", "secret").starts_with("230 "));
        for n in 1..150 {
            connect(net, &format!("198.51.100.{n}"));
        }
        test(net, admin);
    });
}

/// What the server has queued; there is room for more of it then.
fn read_part(net: &mut Net<'_, '_>, at: usize) -> String {
    let part = net.clients[at].control.take();
    assert!(!part.is_empty(), "there is nothing more");
    net.wake(at);
    net.settle();
    String::from_utf8(part).expect("text")
}

#[test]
fn the_table_of_connections_comes_as_it_is_read() {
    with_crowd(|net, admin| {
        net.clients[admin].reads = false;
        assert_eq!(net.say(admin, "SITE NETSTAT"), "");
        let mut told = read_part(net, admin) + &read_part(net, admin);
        assert!(told.contains(" 198.51.100.1:"), "{told}");
        // While it is read, one leaves whose turn has been, one whose turn will be, and one comes.
        for leaves in [1, 149] {
            assert_eq!(net.say(leaves, "QUIT"), "221 Goodbye\r\n");
        }
        connect(net, "203.0.113.1");
        net.clients[admin].reads = true;
        net.wake(admin);
        told += &net.say(admin, "NOOP");
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], "211-Connections:");
        assert!(lines[1].starts_with(" Proto Recv-Q Send-Q Local Address "), "{told}");
        assert_eq!(lines.len(), 2 + 1 + 150 + 2, "{told}");
        let foreign = |line: &str| line.split_whitespace().nth(4).map(str::to_owned).unwrap();
        assert_eq!(foreign(lines[2]), "*:*");
        assert_eq!(foreign(lines[3]), "192.0.2.7:40000");
        for n in 1..149 {
            assert_eq!(foreign(lines[3 + n]), format!("198.51.100.{n}:{}", 40_000 + n));
        }
        assert_eq!(foreign(lines[152]), "203.0.113.1:40150");
        assert_eq!(lines[153..], ["211 End", "200 OK"]);
    });
}

#[test]
fn who_reads_the_table_is_not_idle() {
    with_crowd(|net, admin| {
        net.clients[admin].reads = false;
        assert_eq!(net.say(admin, "SITE NETSTAT"), "");
        // The connection holds a part of it; each part that is taken makes room for another.
        let mut told = String::new();
        while !told.ends_with("211 End\r\n") {
            net.elapse(Duration::from_secs(299));
            told += &read_part(net, admin);
        }
        assert!(net.now.since(Instant::ZERO) > 2 * net.setup.config.idle_timeout, "{told}");
    });
}

#[test]
fn the_table_ends_with_the_server() {
    with_crowd(|net, admin| {
        net.clients[admin].reads = false;
        assert_eq!(net.say(admin, "SITE NETSTAT"), "");
        assert!(read_part(net, admin).starts_with("211-Connections:\r\n"));
        net.ftp.shutdown(net.now);
        let part = read_part(net, admin);
        assert!(part.starts_with(" tcp ") && !part.contains("211"), "{part}");
        assert_eq!(read_part(net, admin), "211 End\r\n421 The server is shutting down\r\n");
    });
}

#[test]
fn all_sessions_share_the_total_rate() {
    let config = Config { total_rate: Some(8_000), start: DATE, ..Config::default() };
    with_net(Setup { config, blocks: 200, ..Setup::default() }, |net| {
        net.ftp.storage().make("/a", &[7; 20_000], DATE);
        let clients = [0; 2].map(|_| connect(net, "192.0.2.7").0);
        for at in clients {
            net.log_in(at);
            assert!(net.say(at, "RETR a").starts_with("150 "));
            net.open_data(at);
        }
        // A second and the eighth of one that may go at once.
        let mut received = [0; 2];
        for _ in 0..100 {
            for (at, received) in clients.into_iter().zip(&mut received) {
                net.settle();
                *received += net.receive(at).len();
            }
            net.elapse(Duration::from_millis(10));
        }
        let all: usize = received.iter().sum();
        assert!((8_000..=9_000).contains(&all), "{received:?}");
        assert!(received.iter().all(|&one| one > all / 4), "{received:?}");
    });
}

#[test]
fn who_may_rename_only_replaces_nothing() {
    for (rights, replaces) in [
        (Rights::RENAME, false),
        (Rights::RENAME | Rights::APPEND, false),
        (Rights::RENAME | Rights::WRITE, true),
        (Rights::RENAME | Rights::DELETE, true),
    ] {
        let accounts = vec![Account::new("anna", "secret", Grant::new(rights))];
        with_net(Setup { accounts, ..Setup::default() }, |net| {
            net.ftp.storage().make("/a", b"mine", DATE);
            net.ftp.storage().make("/b", b"theirs", DATE);
            let (at, _) = connect(net, "192.0.2.7");
            assert!(log_in(net, at, "anna", "secret").starts_with("230 "));
            assert!(net.say(at, "RNFR a").starts_with("350 "));
            let reply = net.say(at, "RNTO b");
            let expected = if replaces { "250 Renamed\r\n" } else { "550 It exists already\r\n" };
            assert_eq!(reply, expected, "{rights:?}");
        });
    }
}

/// Logs in and begins to fetch.
fn fetching(net: &mut Net<'_, '_>, command: &str) -> usize {
    let (at, _) = connect(net, "192.0.2.7");
    net.log_in(at);
    assert!(net.say(at, command).starts_with("150 "));
    net.open_data(at);
    at
}

/// Adds to `received` what each client receives in `span`, a millisecond at a time.
fn receive(net: &mut Net<'_, '_>, clients: &[usize], received: &mut [usize], span: Duration) {
    for _ in 0..span.as_millis() {
        net.settle();
        for (&at, received) in clients.iter().zip(&mut *received) {
            *received += net.receive(at).len();
        }
        net.elapse(Duration::from_millis(1));
    }
}

#[test]
fn nobody_starves() {
    let config = Config { total_rate: Some(100_000), start: DATE, ..Config::default() };
    let setup = Setup { config, sessions: 8, data: 4096, blocks: 2000, ..Setup::default() };
    with_net(setup, |net| {
        net.ftp.storage().make("/a", &[7; 900_000], DATE);
        let clients = [0; 6].map(|_| fetching(net, "RETR a"));
        let mut received = [0; 6];
        receive(net, &clients, &mut received, Duration::from_secs(3));
        assert!(received.iter().all(|&n| (40_000..60_000).contains(&n)), "{received:?}");
    });
}

/// A crumb in each frame would be many frames: what is earned is waited for until it is worth one.
#[test]
fn a_limited_transfer_moves_in_large_pieces() {
    let config = Config { rate: Some(1_000_000), start: DATE, ..Config::default() };
    with_net(Setup { config, data: 64 * 1024, blocks: 2000, ..Setup::default() }, |net| {
        net.ftp.storage().make("/a", &[7; 900_000], DATE);
        let at = fetching(net, "RETR a");
        let (mut bytes, mut pieces) = (0, 0);
        for _ in 0..50_000 {
            // The client acknowledges at once, so that the session is polled again and again.
            net.wake(at);
            net.settle();
            let received = net.receive(at).len();
            bytes += received;
            pieces += usize::from(received > 0);
            net.elapse(Duration::from_micros(10));
        }
        assert!((500_000..=650_000).contains(&bytes), "{bytes} bytes in half a second");
        assert!(pieces < 20, "{bytes} bytes in {pieces} pieces");
    });
}

#[test]
fn a_listing_keeps_to_the_rate() {
    let config = Config { total_rate: Some(1000), start: DATE, ..Config::default() };
    let setup = Setup { config, data: 32 * 1024, nodes: 300, blocks: 300, ..Setup::default() };
    with_net(setup, |net| {
        for n in 0..250 {
            net.ftp.storage().make(&format!("/file-with-a-long-name-{n:04}"), b"x", DATE);
        }
        let clients = [fetching(net, "LIST"), fetching(net, "RETR file-with-a-long-name-0001")];
        let mut received = [0; 2];
        receive(net, &clients, &mut received, Duration::from_secs(1));
        assert!(received[0] < 1500 && received[1] == 1, "{received:?}");
    });
}

#[test]
fn a_transfer_that_is_held_up_ends_with_its_connection() {
    let config = Config { rate: Some(10), start: DATE, ..Config::default() };
    with_net(Setup { config, ..Setup::default() }, |net| {
        net.ftp.storage().make("/a", &[7; 5000], DATE);
        let at = fetching(net, "RETR a");
        net.settle();
        net.clients[at].data_wire().expect("a data connection").reset();
        net.wake(at);
        net.settle();
        let reply = "426 The data connection broke, transfer aborted\r\n";
        assert_eq!(net.clients[at].take_replies(), reply);
    });
}

#[test]
fn a_transfer_that_is_held_up_ends_with_the_server() {
    let config = Config { rate: Some(10), start: DATE, ..Config::default() };
    with_net(Setup { config, ..Setup::default() }, |net| {
        net.ftp.storage().make("/a", &[7; 5000], DATE);
        let at = fetching(net, "RETR a");
        net.settle();
        net.ftp.shutdown(net.now + Duration::from_secs(5));
        net.wake(at);
        net.settle();
        net.elapse(Duration::from_secs(5));
        let replies = "426 The server is shutting down, transfer aborted\r\n\
                       421 The server is shutting down\r\n";
        assert_eq!(net.clients[at].take_replies(), replies);
    });
}

#[test]
fn an_account_without_its_root_has_no_session() {
    let root: &[u8] = [&b"/"[..], &[b'a'; 300]].concat().leak();
    let grant = Grant { root: Path::new(root).expect("a path"), ..Grant::new(Rights::ALL) };
    let mut account = Account::new("anna", "secret", grant);
    account.max_sessions = 1;
    with_net(Setup { accounts: vec![account], ..Setup::default() }, |net| {
        let (at, _) = connect(net, "192.0.2.7");
        for _ in 0..3 {
            let refused = "530 The directory of this account cannot be entered\r\n";
            assert_eq!(log_in(net, at, "anna", "secret"), refused);
            assert_eq!(net.say(at, "PASS secret"), "503 USER first\r\n");
        }
    });
}

/// Whoever is at work needs a desk; who waits for its next line has none.
#[test]
fn one_desk_for_four_sessions() {
    with_net(Setup { desks: 1, ..Setup::default() }, |net| {
        net.ftp.storage().make("/a", b"0123456789", DATE);
        let clients = [(); 4].map(|()| {
            let at = net.connect().expect("a session");
            net.log_in(at);
            at
        });
        // Half a line keeps it, and a new name that is awaited.
        for (first, second) in [("NO", "OP\r\n"), ("RNFR a\r\n", "RNTO a\r\n")] {
            net.send(clients[0], first.as_bytes());
            net.clients[clients[0]].take_replies();
            assert_eq!(net.say(clients[1], "SIZE a"), "");
            assert!(net.connect().is_none());
            net.send(clients[0], second.as_bytes());
            assert!(net.clients[clients[0]].take_replies().starts_with('2'));
            assert_eq!(net.clients[clients[1]].take_replies(), "213 10\r\n");
        }
    });
}
