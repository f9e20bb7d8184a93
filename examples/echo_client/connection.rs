//! The textbook's client: what is said to it goes to the peer, what the peer says comes out.

use std::io::{self, Write};
use std::net::SocketAddr;

use tinyftp::service::{Action, Io, Service, SessionId};
use tinyftp::stream::{Status, Stream};
use tinyftp::time::Instant;

/// A connection that is about to be, is, or was.
#[derive(Default)]
pub struct Connection {
    /// Bytes for the peer.
    pub outgoing: Vec<u8>,
    /// Whether there will be no more of them.
    pub is_complete: bool,
    /// Where it stands.
    pub state: State,
}

/// Where a connection stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nobody has been called, or nobody has answered yet.
    #[default]
    Idle,
    /// The last one who was called did not want it, or was not there.
    Refused,
    /// It is established.
    Open,
    /// Both sides are done.
    Closed,
    /// It was lost, or what came could not be written.
    Broken(String),
}

impl Service for Connection {
    fn open(&mut self, local: SocketAddr, peer: SocketAddr, _: Instant) -> Option<SessionId> {
        eprintln!("connected from {local} to {peer}");
        self.state = State::Open;
        Some(0)
    }

    fn refused(&mut self, peer: SocketAddr) {
        eprintln!("{peer} did not accept the connection");
        self.state = State::Refused;
    }

    fn poll(&mut self, _: SessionId, io: Io<'_>, _: Instant) -> Action {
        let written = io.control.write(&self.outgoing);
        self.outgoing.drain(..written);
        if self.is_complete && self.outgoing.is_empty() {
            io.control.finish();
        }
        if let Err(error) = print(io.control) {
            self.state = State::Broken(error.to_string());
            return Action::Close;
        }
        match io.control.status() {
            // Standard input is no connection: only this program knows when there is some.
            Status::Open | Status::Delivered if !self.is_complete => return Action::Pending,
            Status::Open | Status::Delivered => return Action::Wait(None),
            Status::PeerFinished | Status::Closed => self.state = State::Closed,
            Status::Broken => self.state = State::Broken("the connection was lost".into()),
        }
        Action::Close
    }

    fn close(&mut self, _: SessionId) {}

    fn shutdown(&mut self, _: Instant) {}
}

/// Writes what has come to standard output.
fn print(stream: &mut dyn Stream) -> io::Result<()> {
    let mut out = io::stdout().lock();
    loop {
        let bytes = stream.readable();
        if bytes.is_empty() {
            return out.flush();
        }
        out.write_all(bytes)?;
        let n = bytes.len();
        stream.consume(n);
    }
}
