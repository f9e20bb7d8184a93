//! The table of connections: every state, and every number.

use core::net::SocketAddr;
use std::time::Duration;

use smoltcp::socket::tcp::State as HostState;
use tinyftp::connection::{Connection, HEADER, State};

use crate::client::{Client, Mode};
use crate::raw::{self, Peer, RAW_V4};
use crate::sim::{ECHO, FTP, MS, S, SERVER_V4, Shape, World, instant, pattern};
use crate::wire::Segment;

/// Ports of services.
const PORTS: usize = 8;

fn world() -> World {
    let mut w = World::new(Shape::SMALL);
    raw::introduce(&mut w);
    w
}

/// The connections, without the ports of services.
fn connections(w: &mut World) -> Vec<Connection> {
    let mut all = w.server.connections(w.now);
    assert_eq!(all.iter().filter(|row| is_port(row)).count(), PORTS);
    all.retain(|row| !is_port(row));
    all
}

fn is_port(row: &Connection) -> bool {
    row.foreign.ip().is_unspecified()
}

/// The one connection that there is.
fn only(w: &mut World) -> Connection {
    let [row] = &connections(w)[..] else { panic!("{:#?}", connections(w)) };
    row.clone()
}

/// The one data connection that there is.
fn data(w: &mut World) -> Connection {
    let rows: Vec<_> = connections(w).into_iter().filter(|row| row.data).collect();
    let [row] = &rows[..] else { panic!("{rows:#?}") };
    row.clone()
}

fn state(w: &mut World) -> State {
    only(w).state.expect("a state")
}

/// The queues, and the octets that went by: to be received, to be acknowledged.
fn octets(row: &Connection) -> [u64; 4] {
    [row.receive_queue as u64, row.send_queue as u64, row.received, row.sent]
}

#[test]
fn an_idle_server_has_its_ports() {
    let mut w = world();
    let before = w.server.connections(w.now)[0].age;
    w.run(5 * S);
    let rows = w.server.connections(w.now);
    assert!(rows.iter().all(|row| row.age == before + Duration::from_secs(5)), "{rows:#?}");
    let words = |row: Connection| {
        let line = Connection { age: Duration::ZERO, ..row }.to_string();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        rows.into_iter().map(words).collect::<Vec<_>>(),
        [
            "tcp 0 0 *:21 *:* LISTEN ftp 0 0 0s -",
            "tcp 0 0 *:7 *:* LISTEN echo 0 0 0s -",
            "tcp 0 0 *:9 *:* LISTEN discard 0 0 0s -",
            "tcp 0 0 *:13 *:* LISTEN daytime 0 0 0s -",
            "udp 0 0 *:7 *:* echo 0 0 0s -",
            "udp 0 0 *:9 *:* discard 0 0 0s -",
            // At one address only.
            "udp 0 0 192.168.69.1:13 *:* daytime 0 0 0s -",
            "udp 0 0 *:5000 *:* beacon 0 0 0s -",
        ]
    );
    // Nobody is let in any more, but for datagrams.
    w.server.shutdown(w.now);
    let rows = w.server.connections(w.now);
    assert!(rows.iter().all(|row| row.state.is_none()) && rows.len() == 4, "{rows:#?}");
    w.finish();
}

#[test]
fn a_connection_that_the_client_ends() {
    let mut w = world();
    let mut peer = Peer::new(60_001, ECHO);
    peer.request(&mut w);
    let row = only(&mut w);
    assert_eq!(row.state, Some(State::SynReceived));
    assert_eq!(
        (row.local.to_string(), row.foreign.to_string()),
        ("192.168.69.1:7".into(), "192.168.69.200:60001".into())
    );
    assert_eq!((row.service, row.data, &*row.account), ("echo", false, &b""[..]));
    w.run(2 * S);
    peer.exchange(&mut w, &[peer.ack()]);
    assert_eq!(state(&mut w), State::Established);
    // The echo is in the send queue until it is acknowledged.
    peer.say(&mut w, b"hello");
    assert_eq!(octets(&only(&mut w)), [0, 5, 5, 0]);
    peer.exchange(&mut w, &[peer.ack()]);
    assert_eq!(octets(&only(&mut w)), [0, 0, 5, 5]);
    // A window that is closed: first the send queue is full, then the receive queue fills.
    peer.window = 0;
    peer.exchange(&mut w, &[peer.ack()]);
    for piece in [512, 512, 300] {
        let ack = peer.ack;
        peer.say(&mut w, &vec![b'x'; piece]);
        // What probes the window does not fit it.
        peer.ack = ack;
    }
    assert_eq!(octets(&only(&mut w)), [300, 1024, 5 + 1324, 5]);
    assert_eq!(state(&mut w), State::Established);
    let fin = peer.fin();
    peer.exchange(&mut w, &[fin]);
    peer.seq = peer.seq.wrapping_add(1);
    assert_eq!(state(&mut w), State::CloseWait);
    assert_eq!(octets(&only(&mut w)), [300, 1024, 5 + 1324, 5]);
    // It opens again: all comes back, and FIN behind it.
    peer.window = 60_000;
    let sent = peer.exchange(&mut w, &[peer.ack()]);
    peer.take(&sent);
    let sent = peer.exchange(&mut w, &[peer.ack()]);
    peer.take(&sent);
    assert_eq!(state(&mut w), State::LastAck);
    let row = only(&mut w);
    assert_eq!((row.service, row.received), ("echo", 1329));
    assert_eq!(row.age, Duration::from_secs(2), "since its first segment");
    peer.exchange(&mut w, &[peer.ack()]);
    assert_eq!(connections(&mut w), []);
    w.finish();
}

#[test]
fn a_connection_that_the_server_ends() {
    for peer_first in [false, true] {
        let mut w = world();
        let mut peer = Peer::new6(60_001, FTP);
        peer.connect(&mut w);
        let line = only(&mut w).to_string();
        assert!(
            line.starts_with("tcp6       0     19 [fd00::1]:21            [fd00::200]:60001"),
            "{line}"
        );
        peer.exchange(&mut w, &[peer.ack()]);
        assert_eq!(octets(&only(&mut w)), [0, 0, 0, 19], "220 tinyftp ready");
        peer.say(&mut w, b"USER anna\r\n");
        assert_eq!(&*only(&mut w).account, b"", "nobody is logged in yet");
        peer.say(&mut w, b"PASS secret\r\n");
        assert_eq!(&*only(&mut w).account, b"anna");
        let before = peer.clone();
        peer.say(&mut w, b"QUIT\r\n");
        let row = only(&mut w);
        assert_eq!(
            (row.state, row.service, &*row.account),
            (Some(State::FinWait1), "ftp", &b""[..])
        );
        assert_eq!(row.received, 30);
        let fin = if peer_first {
            // The peer's FIN comes before its ACK of ours.
            let fin = Segment { ack_number: before.ack, ..peer.fin() };
            peer.exchange(&mut w, &[fin]);
            peer.seq = peer.seq.wrapping_add(1);
            assert_eq!(state(&mut w), State::Closing);
            peer.ack()
        } else {
            peer.exchange(&mut w, &[peer.ack()]);
            assert_eq!(state(&mut w), State::FinWait2);
            peer.fin()
        };
        peer.exchange(&mut w, &[fin]);
        let row = only(&mut w);
        assert_eq!((row.state, row.service), (Some(State::TimeWait), "ftp"));
        let replies =
            "220 tinyftp ready\r\n331 Password please\r\n230 Logged in\r\n221 Goodbye\r\n";
        assert_eq!(octets(&row), [0, 0, 30, replies.len() as u64]);
        w.finish();
    }
}

#[test]
fn data_connections_that_the_client_opens() {
    let file = pattern(200_000, 1);
    let mut w = World::with_files(Shape::SMALL, &[("/file", &file)]);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    w.run(3 * S);
    let port = client.pasv(&mut w);
    w.run(S);
    let row = data(&mut w);
    assert_eq!(row.state, Some(State::Listen));
    assert_eq!(row.local, SocketAddr::from((SERVER_V4, port)));
    assert_eq!(row.foreign, SocketAddr::from((w.hosts[host].v4, 0)));
    assert_eq!((row.service, row.data, &*row.account), ("ftp", true, &b"anna"[..]));
    assert!((1.0..1.1).contains(&row.age.as_secs_f64()), "{:?}", row.age);
    let line = row.to_string();
    assert!(line.contains(" 192.168.69.100:*        LISTEN      ftp-data "), "{line}");
    // RETR: what is on its way, and what has arrived.
    let tcp = w.dial(host, SERVER_V4.into(), port);
    client.say(&mut w, "RETR file", "150");
    w.run(S);
    let row = data(&mut w);
    assert_eq!((row.state, &*row.account), (Some(State::Established), &b"anna"[..]));
    assert_eq!(row.foreign.port(), w.hosts[host].next_port);
    let buffered = w.socket(tcp).recv_queue() as u64;
    assert!(buffered > 50_000);
    assert_eq!(octets(&row), [0, 4096, 0, buffered], "the window is closed");
    assert_eq!(w.drain(tcp), file);
    client.expect(&mut w, "226");
    w.run(10 * MS);
    let row = data(&mut w);
    assert_eq!((row.state, row.service, &*row.account), (Some(State::TimeWait), "ftp", &b""[..]));
    assert_eq!(octets(&row), [0, 0, 0, 200_000]);
    // STOR: a byte at a time and many, exactly as many as there were.
    let tcp = client.transfer(&mut w, Mode::Pasv, "STOR up");
    for piece in [1, 1, 70_000] {
        w.send(tcp, &pattern(piece, 2));
        w.run(S);
    }
    let rows = connections(&mut w);
    let row = rows.iter().find(|row| row.data && row.state == Some(State::Established)).unwrap();
    assert_eq!(octets(row), [0, 0, 70_002, 0]);
    w.socket(tcp).close();
    client.expect(&mut w, "226");
    client.quit(&mut w);
    w.finish();
}

#[test]
fn data_connections_that_the_server_opens() {
    let mut w = World::with_files(Shape::SMALL, &[("/file", b"content")]);
    raw::introduce(&mut w);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    // Nobody answers there: ports from 60,000 on are not the host's.
    client.port(&mut w, 60_001);
    client.send(&mut w, "RETR file");
    w.run(10 * MS);
    let row = data(&mut w);
    assert_eq!(
        (row.state, row.local.port(), row.foreign.port()),
        (Some(State::SynSent), 20, 60_001)
    );
    assert_eq!((row.service, &*row.account), ("ftp", &b"anna"[..]));
    // What is received and not asked for waits in the receive queue.
    let tcp = w.listen(host, 40_500);
    client.expect(&mut w, "150");
    client.expect(&mut w, "425");
    client.port(&mut w, 40_500);
    client.send(&mut w, "RETR file");
    client.expect(&mut w, "150");
    w.wait("the data connection", |w| w.state(tcp) == HostState::CloseWait);
    w.run(S);
    let row = data(&mut w);
    assert_eq!((row.state, octets(&row)), (Some(State::FinWait2), [0, 0, 0, 7]));
    w.finish();
}

#[test]
fn what_comes_too_early_waits_in_the_receive_queue() {
    let mut w = World::new(Shape::SMALL);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let port = client.pasv(&mut w);
    let tcp = w.dial(host, SERVER_V4.into(), port);
    w.send(tcp, &pattern(1000, 1));
    w.run(S);
    assert_eq!(octets(&data(&mut w)), [1000, 0, 1000, 0]);
    client.say(&mut w, "STOR file", "150");
    w.run(S);
    assert_eq!(octets(&data(&mut w)), [0, 0, 1000, 0]);
    w.finish();
}

#[test]
fn a_connection_that_the_server_opens_for_a_service() {
    let mut w = world();
    w.server.call(SocketAddr::new(RAW_V4.into(), 7), w.now).unwrap();
    w.settle();
    let row = only(&mut w);
    assert_eq!((row.state, row.service, row.data), (Some(State::SynSent), "caller", false));
    assert_eq!(row.foreign, SocketAddr::new(RAW_V4.into(), 7));
    w.finish();
}

#[test]
fn a_look_is_short_and_all_looks_find_all() {
    let mut w = World::new(Shape { control: 300, data: 300, ..Shape::SMALL });
    let host = w.host(100);
    for _ in 0..3 {
        w.connect(host, SERVER_V4.into(), ECHO);
    }
    let mut client = Client::login(&mut w, host);
    client.pasv(&mut w);
    let all = w.server.connections(w.now);
    assert_eq!(all.len(), PORTS + 4 + 1);
    let (now, server) = (instant(w.now), &mut w.server);
    let services = server.services.table();
    let (mut found, mut looks, mut place) = (Vec::new(), 0, Some(0));
    while let Some(from) = place {
        let listed = server.net.next_connection(from, &services, now);
        assert!(listed.next.is_none_or(|next| next > from && next <= from + 64));
        found.extend(listed.connection);
        place = listed.next;
        looks += 1;
    }
    assert_eq!(found, all);
    // One for each that there is, and those that find nothing.
    assert!(looks > all.len() + 5, "{looks}");
    for place in [PORTS + 600, PORTS + 601, usize::MAX] {
        let listed = server.net.next_connection(place, &services, now);
        assert_eq!((listed.connection, listed.next), (None, None));
    }
}

#[test]
fn site_netstat() {
    let mut w = World::new(Shape { control: 100, ..Shape::SMALL });
    let host = w.host(100);
    let mut anna = Client::login(&mut w, host);
    anna.say(&mut w, "SITE NETSTAT", "550");
    let port = anna.epsv(&mut w);
    for _ in 0..40 {
        w.connect(host, SERVER_V4.into(), ECHO);
    }
    let mut admin = Client::dial(&mut w, host);
    admin.say(&mut w, "USER admin", "331");
    admin.say(&mut w, "PASS secret", "230");
    w.run(61 * MS);
    let expected: Vec<_> =
        w.server.connections(w.now).iter().map(|row| format!(" {row}")).collect();
    assert_eq!(expected.len(), PORTS + 42 + 1);
    let turns = w.server.turns;
    admin.say(&mut w, "SITE NETSTAT", "211-Connections:");
    assert_eq!(admin.reply(&mut w), format!(" {HEADER}"));
    for line in expected {
        let told = admin.reply(&mut w);
        if line.ends_with(" admin") {
            // It is told of the line that asked, too.
            assert!(told.contains(" ESTABLISHED ftp ") && told.ends_with(" admin"), "{told}");
        } else {
            assert_eq!(told, line);
        }
    }
    assert_eq!(admin.reply(&mut w), "211 End");
    assert!(w.server.turns - turns > 5, "not all in one turn");
    // Meanwhile nothing has happened to the data connection.
    w.dial(host, SERVER_V4.into(), port);
    anna.say(&mut w, "STOR file", "150");
    w.finish();
}
