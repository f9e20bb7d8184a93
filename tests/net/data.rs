//! Data connections on the wire: who may open them, and how long they last.

use crate::client::{Client, Mode};
use crate::sim::{S, Shape, World, pattern};

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
