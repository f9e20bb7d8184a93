//! Data connections on the wire: who may open them, and how long they last.

use std::collections::BTreeSet;

use smoltcp::socket::tcp::State;

use crate::client::{Client, Mode, passive};
use crate::raw::{self, Peer};
use crate::sim::{FTP, S, SERVER_V4, Shape, World, pattern};
use crate::wire::{Seen, Segment};

#[test]
fn an_upload_may_pause() {
    // Longer than a handshake may take, and shorter than a transfer may stand still.
    for mode in [Mode::Pasv, Mode::Port] {
        let mut w = World::new(Shape::SMALL);
        let host = w.host(100);
        let mut client = Client::login(&mut w, host);
        let data = client.transfer(&mut w, mode, "STOR slow");
        w.send(data, b"first ");
        w.run(20 * S);
        assert_eq!(w.pump(data, b"second"), b"");
        client.expect(&mut w, "226");
        assert_eq!(client.retrieve(&mut w, mode, "slow"), b"first second");
        client.quit(&mut w);
        w.finish();
    }
}

#[test]
fn a_download_may_be_read_late() {
    for mode in [Mode::Pasv, Mode::Port] {
        let file = pattern(200_000, 1);
        let mut w = World::with_files(Shape::SMALL, &[("/file", &file)]);
        let host = w.host(100);
        let mut client = Client::login(&mut w, host);
        // The client's window closes, and stays closed for a while.
        let data = client.transfer(&mut w, mode, "RETR file");
        w.run(20 * S);
        assert!(w.drain(data) == file);
        client.expect(&mut w, "226");
        client.quit(&mut w);
        w.finish();
    }
}

#[test]
fn a_probe_of_a_closed_window_is_answered() {
    let mut w = World::new(Shape::SMALL);
    let (mut client, mut peer) = passive(&mut w);
    peer.connect(&mut w);
    // Nobody reads before STOR: the buffer fills to its last byte.
    let mut full: Vec<Segment> = (0..4).flat_map(|_| peer.say(&mut w, &[b'a'; 1024])).collect();
    w.run(S);
    full.extend(peer.sent_to_me(&mut w));
    assert_eq!(full.last().map(|ack| (ack.ack_number, ack.window)), Some((peer.seq, 0)));
    let answers = peer.exchange(&mut w, &[peer.data(0, 1)]);
    let [answer] = &answers[..] else { panic!("one ACK, not {answers:?}") };
    assert_eq!((answer.ack_number, answer.window), (peer.seq, 0));
    assert_eq!(peer.exchange(&mut w, &[peer.data(0, 1)]), [], "but once a second only");
    w.run(S);
    assert_eq!(peer.exchange(&mut w, &[peer.data(0, 1)]).len(), 1);
    w.run(S);
    client.say(&mut w, "STOR file", "150");
    w.run(S);
    assert!(peer.sent_to_me(&mut w).last().unwrap().window > 0, "the window opens");
    peer.say(&mut w, b"x");
    let sent = peer.exchange(&mut w, &[peer.fin()]);
    peer.seq = peer.seq.wrapping_add(1);
    peer.take(&sent);
    client.expect(&mut w, "226");
    peer.exchange(&mut w, &[peer.ack()]);
    assert_eq!(client.retrieve(&mut w, Mode::Pasv, "file").len(), 4097);
    client.quit(&mut w);
    w.finish();
}

// Who may open them.

#[test]
fn nobody_else_may_open_it() {
    let mut w = World::new(Shape::SMALL);
    raw::introduce(&mut w);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let port = client.pasv(&mut w);
    client.send(&mut w, "STOR file");
    client.expect(&mut w, "150");
    // Another host of the link, another port; the same port from far away; over IPv6.
    for thief in
        [Peer::new(60_001, port), Peer::far([10, 1, 1, 1], 60_001, port), Peer::new6(60_001, port)]
    {
        let answers = thief.exchange(&mut w, &[thief.syn()]);
        assert!(answers.iter().all(|answer| answer.flags() == "RST|ACK"), "{answers:?}");
        let answers = thief.exchange(&mut w, &[thief.ack(), thief.data(0, 10), thief.fin()]);
        assert!(answers.iter().all(|answer| answer.flags() == "RST"), "{answers:?}");
    }
    let data = w.dial(host, SERVER_V4.into(), port);
    assert_eq!(w.pump(data, b"mine"), b"");
    client.expect(&mut w, "226");
    assert_eq!(client.retrieve(&mut w, Mode::Pasv, "file"), b"mine");
    client.quit(&mut w);
    w.finish();
}

#[test]
fn there_is_one_for_each_port() {
    let mut w = World::new(Shape::SMALL);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let port = client.pasv(&mut w);
    Peer::beside(&w, host, 60_001, port).connect(&mut w);
    let second = Peer::beside(&w, host, 60_002, port);
    assert_eq!(second.exchange(&mut w, &[second.syn()])[0].flags(), "RST|ACK");
    assert_eq!(w.server.net.free_slots().1, 1);
    w.finish();
}

#[test]
fn a_handshake_that_breaks_off_may_be_tried_again() {
    let mut w = World::new(Shape::SMALL);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let port = client.pasv(&mut w);
    for n in 0..5 {
        let mut peer = Peer::beside(&w, host, 60_001 + n, port);
        peer.request(&mut w);
        assert_eq!(peer.exchange(&mut w, &[peer.rst()]), []);
    }
    let mut peer = Peer::beside(&w, host, 60_001, port);
    peer.request(&mut w);
    peer.exchange(&mut w, &[peer.rst()]);
    let data = w.dial(host, SERVER_V4.into(), port);
    client.say(&mut w, "STOR file", "150");
    w.pump(data, b"bytes");
    client.expect(&mut w, "226");
    client.quit(&mut w);
    w.finish();
}

#[test]
fn a_handshake_that_is_never_completed_may_be_tried_again() {
    let mut w = World::new(Shape::SMALL);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let port = client.pasv(&mut w);
    let mut peer = Peer::beside(&w, host, 60_001, port);
    peer.request(&mut w);
    w.run(21 * S);
    assert_eq!(peer.sent_to_me(&mut w).last().unwrap().flags(), "RST|ACK");
    let data = w.connect(host, SERVER_V4.into(), port);
    client.say(&mut w, "STOR file", "150");
    w.pump(data, b"bytes");
    client.expect(&mut w, "226");
    client.quit(&mut w);
    w.finish();
}

#[test]
fn a_new_port_closes_the_old_one() {
    let mut w = World::new(Shape::SMALL);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let mut last = client.pasv(&mut w);
    for _ in 0..20 {
        let port = client.pasv(&mut w);
        assert_ne!(port, last);
        let late = Peer::beside(&w, host, 60_001, last);
        assert_eq!(late.exchange(&mut w, &[late.syn()])[0].flags(), "RST|ACK");
        assert_eq!(w.server.net.free_slots().1, w.shape.data - 1);
        last = port;
    }
    // An open one, too.
    let mut peer = Peer::beside(&w, host, 60_001, last);
    peer.connect(&mut w);
    client.pasv(&mut w);
    assert_eq!(peer.sent_to_me(&mut w).last().unwrap().flags(), "RST|ACK");
    assert_eq!(w.server.net.free_slots().1, w.shape.data - 1);
    client.quit(&mut w);
    w.finish();
}

#[test]
fn ports_vary_within_their_range() {
    let (first, last) = (50_000, 50_063);
    let mut w = World::new(Shape { passive_ports: (first, last), ..Shape::SMALL });
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let ports: Vec<u16> = (0..200).map(|_| client.pasv(&mut w)).collect();
    assert!(ports.iter().all(|port| (first..=last).contains(port)));
    let different: BTreeSet<&u16> = ports.iter().collect();
    assert!(different.len() > 50, "{}", different.len());
    let steps: BTreeSet<i32> =
        ports.windows(2).map(|two| i32::from(two[1]) - i32::from(two[0])).collect();
    assert!(steps.len() > 50, "they cannot be foretold");
    w.finish();
}

#[test]
fn a_hundred_transfers_through_four_ports() {
    let file = pattern(5_000, 1);
    let shape = Shape { data: 4, passive_ports: (50_000, 50_003), ..Shape::SMALL };
    let mut w = World::with_files(shape, &[("/file", &file)]);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let start = w.now;
    for n in 0..100 {
        if n % 2 == 0 {
            assert!(client.retrieve(&mut w, Mode::Pasv, "file") == file);
        } else {
            client.store(&mut w, Mode::Pasv, "up", &file);
        }
    }
    assert!(w.now - start < 20 * S, "nobody waited for TIME-WAIT");
    client.quit(&mut w);
    w.finish();
}

#[test]
fn a_port_in_time_wait_is_not_given_to_the_same_peer_again() {
    let shape = Shape { control: 4, data: 20, passive_ports: (50_000, 50_009), ..Shape::SMALL };
    for seed in 0..10 {
        let mut w = World::with_files(Shape { seed, ..shape }, &[("/file", b"x")]);
        let host = w.host(100);
        let mut client = Client::login(&mut w, host);
        let mut download = |w: &mut World| {
            let port = client.pasv(w);
            let tcp = w.dial(host, SERVER_V4.into(), port);
            client.say(w, "RETR file", "150");
            assert_eq!(w.drain(tcp), b"x");
            client.expect(w, "226");
            port
        };
        let mut ports: Vec<u16> = (0..10).map(|_| download(&mut w)).collect();
        ports.sort();
        assert_eq!(ports, Vec::from_iter(50_000..=50_009), "each of them once");
        // That was all of them, and nobody is sent away.
        download(&mut w);
    }
}

#[test]
fn without_a_data_slot_there_is_no_port() {
    let mut w = World::new(Shape::SMALL);
    let host = w.host(100);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::login(&mut w, host)).collect();
    clients[0].pasv(&mut w);
    let port = clients[1].pasv(&mut w);
    assert_eq!(w.server.net.free_slots().1, 0);
    clients[2].say(&mut w, "PASV", "425");
    clients[2].say(&mut w, "EPSV", "425");
    clients[2].port(&mut w, 45_000);
    clients[2].say(&mut w, "STOR file", "425");
    // One is used and closed: its slot can be had at once, TIME-WAIT or not.
    let data = w.dial(host, SERVER_V4.into(), port);
    clients[1].say(&mut w, "STOR file", "150");
    w.pump(data, b"bytes");
    clients[1].expect(&mut w, "226");
    clients[2].store(&mut w, Mode::Pasv, "file", b"more");
    for client in clients {
        client.quit(&mut w);
    }
    w.finish();
}

#[test]
fn without_a_port_there_is_none_either() {
    let mut w = World::new(Shape { passive_ports: (50_000, 50_000), ..Shape::SMALL });
    let host = w.host(100);
    let mut one = Client::login(&mut w, host);
    let mut other = Client::login(&mut w, host);
    assert_eq!(one.pasv(&mut w), 50_000);
    other.say(&mut w, "PASV", "425");
    assert_eq!(one.pasv(&mut w), 50_000, "its own may be had again");
    one.quit(&mut w);
    assert_eq!(other.pasv(&mut w), 50_000);
    other.quit(&mut w);
    w.finish();
}

// Connections that the server opens.

#[test]
fn nobody_else_is_called() {
    let mut w = World::new(Shape::SMALL);
    raw::introduce(&mut w);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    w.sent();
    for line in [
        "PORT 192,168,69,200,200,10",
        "PORT 10,1,1,1,200,10",
        "PORT 192,168,69,1,0,7",
        "PORT 192,168,69,255,200,10",
        "PORT 0,0,0,0,200,10",
        "PORT 224,0,0,1,200,10",
        "PORT 192,168,69,100,0,25",
        "EPRT |1|192.168.69.200|51210|",
        "EPRT |2|fd00::200|51210|",
    ] {
        client.say(&mut w, line, "5");
    }
    let us = w.hosts[host].v4.into();
    let mut others = w.sent();
    others.retain(|seen| match seen {
        Seen::Tcp(segment) => segment.target.0 != us || segment.source.1 != FTP,
        _ => true,
    });
    assert_eq!(others, []);
    client.quit(&mut w);
    w.finish();
}

#[test]
fn it_comes_from_port_20() {
    let mut w = World::with_files(Shape::SMALL, &[("/file", b"content")]);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let data = w.listen(host, 45_000);
    client.port(&mut w, 45_000);
    client.say(&mut w, "RETR file", "150");
    w.wait("the data connection", |w| !matches!(w.state(data), State::Listen | State::SynReceived));
    assert_eq!(w.remote(data), Some((SERVER_V4, 20).into()));
    assert_eq!(w.drain(data), b"content");
    client.expect(&mut w, "226");
    client.quit(&mut w);
    w.finish();
}

#[test]
fn to_the_same_port_again_and_again() {
    // The server closes first: each connection finds the last one in TIME-WAIT.
    let mut w = World::with_files(Shape::SMALL, &[("/file", b"content")]);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let start = w.now;
    for _ in 0..20 {
        let data = w.listen(host, 45_000);
        client.port(&mut w, 45_000);
        client.say(&mut w, "RETR file", "150");
        w.wait("the data connection", |w| {
            !matches!(w.state(data), State::Listen | State::SynReceived)
        });
        assert_eq!(w.drain(data), b"content");
        client.expect(&mut w, "226");
        w.wait("the end", |w| w.state(data) == State::Closed);
        w.forget(data);
    }
    assert!(w.now - start < 5 * S);
    client.quit(&mut w);
    w.finish();
}

#[test]
fn a_port_that_nobody_listens_on() {
    let mut w = World::with_files(Shape::SMALL, &[("/file", b"content")]);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let start = w.now;
    client.port(&mut w, 45_000);
    client.say(&mut w, "RETR file", "150");
    client.expect(&mut w, "425");
    assert!(w.now - start < S, "the refusal is noticed at once");
    // And one that does not answer, ports of raw peers being such: the FTP service gives up.
    client.port(&mut w, 60_000);
    client.say(&mut w, "RETR file", "150");
    client.expect(&mut w, "425");
    assert!(w.now - start < 40 * S);
    assert_eq!(w.server.net.free_slots().1, 2);
    client.quit(&mut w);
    w.finish();
}

#[test]
fn a_syn_behind_the_last_fin_does_not_take_the_slot_away() {
    // The session has not seen yet that everything was delivered when a new SYN comes for the
    // connection in TIME-WAIT.
    let mut w = World::with_files(Shape::SMALL, &[("/file", b"content")]);
    let (mut client, mut peer) = passive(&mut w);
    peer.connect(&mut w);
    w.sent();
    client.say(&mut w, "RETR file", "150");
    let sent = peer.sent_to_me(&mut w);
    peer.take(&sent);
    assert!(sent.last().unwrap().fin, "{sent:?}");
    let syn = Segment { seq: peer.seq.wrapping_add(1000), ..peer.syn() };
    peer.exchange(&mut w, &[peer.fin(), syn]);
    let start = w.now;
    client.expect(&mut w, "226");
    assert!(w.now - start < S);
    client.quit(&mut w);
    w.finish();
}
