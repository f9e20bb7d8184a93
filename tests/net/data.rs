//! Data connections on the wire: who may open them, and how long they last.

use crate::client::{Client, Mode};
use crate::raw::Peer;
use crate::sim::{S, Shape, World, pattern};
use crate::wire::Segment;

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
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let port = client.pasv(&mut w);
    let mut peer = Peer::beside(&w, host, 60_001, port);
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
