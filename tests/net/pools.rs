//! Which slot goes when none is free.

use smoltcp::socket::tcp::State;

use crate::client::{Client, Mode};
use crate::raw::{self, Peer};
use crate::sim::{DISCARD, ECHO, FTP, MS, S, SERVER_V4, Shape, World, pattern};

#[test]
fn a_half_open_connection_gives_way_when_no_slot_is_free() {
    // Three connections and a handshake: fewer than may be half-open, and yet all slots.
    let mut w = World::new(Shape { control: 4, ..Shape::SMALL });
    raw::introduce(&mut w);
    let mut peers: Vec<Peer> = (0..3).map(|n| Peer::new(60_001 + n, ECHO)).collect();
    peers.iter_mut().for_each(|peer| assert_eq!(peer.connect(&mut w), []));
    Peer::new(60_010, ECHO).request(&mut w);
    assert_eq!(w.server.net.free_slots().0, 0);
    let mut late = Peer::new(60_011, ECHO);
    assert_eq!(late.connect(&mut w), []);
    assert_eq!(late.say(&mut w, b"hello")[0].payload, b"hello");
    w.finish();
}

#[test]
fn a_service_with_larger_buffers_has_slots_of_its_own() {
    let mut w = World::new(Shape { control: 2, bulk: 2, ..Shape::SMALL });
    raw::introduce(&mut w);
    let mut sessions = [Peer::new(60_001, FTP), Peer::new(60_002, FTP)];
    for peer in &mut sessions {
        assert_eq!(peer.request(&mut w).window, 512);
        peer.exchange(&mut w, &[peer.ack()]);
    }
    let mut sinks: Vec<Peer> = (0..3).map(|n| Peer::new(60_011 + n, DISCARD)).collect();
    // The second one gets a cookie: half of them may be half-open.
    for peer in &mut sinks[..2] {
        assert_eq!(peer.request(&mut w).window, 4096);
    }
    for peer in &mut sinks[..2] {
        peer.exchange(&mut w, &[peer.ack()]);
        peer.say(&mut w, &[b'x'; 1000]);
        peer.say(&mut w, &[b'x'; 1000]);
    }
    assert_eq!(w.server.net.free_slots().0, 0);
    assert_eq!(sinks[2].exchange(&mut w, &[sinks[2].syn()]), []);
    sinks[0].exchange(&mut w, &[sinks[0].rst()]);
    // That slot is no session's.
    let late = Peer::new(60_003, FTP);
    assert_eq!(late.exchange(&mut w, &[late.syn()]), []);
    sinks[2].connect(&mut w);
    w.finish();
}

#[test]
fn what_is_delivered_holds_no_slot() {
    // A client that keeps its side of each data connection open: the server waits for its FIN,
    // and needs the slot more.
    let mut w = World::with_files(Shape::SMALL, &[("/file", b"content")]);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    for _ in 0..5 {
        let data = client.transfer(&mut w, Mode::Pasv, "RETR file");
        assert_eq!(w.take(data, 7), b"content");
        client.expect(&mut w, "226");
        assert_eq!(w.state(data), State::CloseWait);
    }
    let other = w.host(101);
    let mut other = Client::login(&mut w, other);
    assert_eq!(other.retrieve(&mut w, Mode::Pasv, "file"), b"content");
    other.quit(&mut w);
    client.quit(&mut w);
    w.finish();
}

#[test]
fn a_server_that_is_abandoned_has_ended_every_session() {
    let mut w = World::new(Shape::SMALL);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    client.transfer(&mut w, Mode::Pasv, "STOR half");
    let echo = w.connect(host, SERVER_V4.into(), ECHO);
    assert_eq!(w.state(echo), State::Established);
    w.run(S);
    let free = w.server.services.ftp.storage().disk.free_nodes();
    w.server.abandon();
    assert_eq!(
        w.server.services.ftp.storage().disk.free_nodes(),
        free + 1,
        "the upload is thrown away"
    );
    assert_eq!(w.server.net.free_slots(), (Shape::SMALL.control, Shape::SMALL.data));
}

#[test]
fn ten_thousand_small_files_through_four_data_slots() {
    let content = pattern(1024, 1);
    let mut w = World::with_files(Shape { data: 4, ..Shape::SMALL }, &[("/file", &content)]);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    for _ in 0..5000 {
        assert!(client.retrieve(&mut w, Mode::Epsv, "file") == content);
        client.store(&mut w, Mode::Epsv, "up", &content);
    }
    client.quit(&mut w);
    w.finish();
}

#[test]
fn a_thousand_ports_without_a_transfer() {
    let mut w = World::with_files(Shape::SMALL, &[("/file", b"content")]);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    for _ in 0..1000 {
        client.pasv(&mut w);
        assert_eq!(w.server.net.free_slots().1, 1, "one port a session");
    }
    assert_eq!(client.retrieve(&mut w, Mode::Pasv, "file"), b"content");
    client.quit(&mut w);
    w.finish();
}

#[test]
fn five_hundred_sessions_dropped_without_quit() {
    let mut w = World::new(Shape::SMALL);
    let host = w.host(100);
    for n in 0..500 {
        let client = Client::login(&mut w, host);
        // By FIN, by RST, and by nothing at all: the last is given up for idle.
        match n % 50 {
            0 => w.run(61 * S),
            1..25 => w.socket(client.control).abort(),
            _ => w.socket(client.control).close(),
        }
        w.run(10 * MS);
        w.forget(client.control);
    }
    w.finish();
}
