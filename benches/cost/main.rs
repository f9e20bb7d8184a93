//! What a frame, a command and a transfer cost the server, counted in instructions.
//!
//! ```text
//! cost WORK COUNT [IDLE]
//! ```
//!
//! does some work so often, with idle connections beside it. Nothing is timed here:
//! `scripts/cost.sh` runs it under callgrind twice, and the difference of two counts is the work
//! alone. Only [`server::turn`] is counted, so what the peer does costs nothing.

mod peer;
mod server;
#[path = "../../tests/net/wire.rs"]
#[allow(dead_code)] // the tests use the rest
mod wire;

use std::process::ExitCode;

use peer::{Peer, Session};
use server::{DISCARD, ECHO, Server};

/// Bytes that are transferred for each count, and of a datagram or segment to be echoed.
const PIECE: usize = 64 * 1024;
const ECHOED: usize = 64;

/// What can be counted.
const WORKS: [Work; 8] = [
    Work::of_one("segment", segments),
    Work::of_one("echo", echoes),
    Work::of_one("noop", noops),
    Work::of_one("login", logins),
    Work::of_one("list", listings),
    Work::of_one("small-retr", retrieve_small),
    Work::of_pieces("retr", retrieve),
    Work::of_pieces("stor", store),
];

struct Work {
    name: &'static str,
    /// Does it so often.
    play: fn(&mut Server, usize),
    /// Whether the count is that of the pieces of one file.
    of_pieces: bool,
}

impl Work {
    const fn of_one(name: &'static str, play: fn(&mut Server, usize)) -> Self {
        Self { name, play, of_pieces: false }
    }

    const fn of_pieces(name: &'static str, play: fn(&mut Server, usize)) -> Self {
        Self { name, play, of_pieces: true }
    }

    /// Once with a server of its own.
    fn measure(&self, count: usize, idle: usize) {
        let large = if self.of_pieces { count * PIECE } else { PIECE };
        let mut server = Server::new(idle + 4, large);
        for _ in 0..idle {
            // Its last reply is acknowledged, so that nothing is due any more.
            Session::log_in(&mut server).control.listen(&mut server);
        }
        server.rest();
        (self.play)(&mut server, count);
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (name, count, idle) = match words[..] {
        // As `cargo bench` starts it: whether all of it works.
        [] => return all_once(),
        [name, count] => (name, count.parse(), Ok(0)),
        [name, count, idle] => (name, count.parse(), idle.parse()),
        _ => return usage(),
    };
    match (WORKS.iter().find(|work| work.name == name), count, idle) {
        (Some(work), Ok(count), Ok(idle)) => work.measure(count, idle),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    let names = WORKS.map(|work| work.name).join("|");
    eprintln!("usage: cost {names} COUNT [IDLE]");
    ExitCode::FAILURE
}

fn all_once() -> ExitCode {
    for work in WORKS {
        work.measure(1, 1);
        println!("{}: works", work.name);
    }
    ExitCode::SUCCESS
}

/// Segments for a connection that there is, which say nothing new.
fn segments(server: &mut Server, count: usize) {
    let peer = Peer::connect(server, DISCARD);
    for _ in 0..count {
        let sent = peer.give(server, &[peer.ack()]);
        assert!(sent.is_empty());
    }
}

/// A segment that comes back.
fn echoes(server: &mut Server, count: usize) {
    let mut peer = Peer::connect(server, ECHO);
    let payload = [b'e'; ECHOED];
    for _ in 0..count {
        assert_eq!(peer.say(server, &payload), payload);
    }
}

/// A command, and its reply.
fn noops(server: &mut Server, count: usize) {
    let mut session = Session::log_in(server);
    for _ in 0..count {
        session.say(server, "NOOP", "200");
    }
}

/// A connection, USER, PASS, QUIT, and the end of the connection.
fn logins(server: &mut Server, count: usize) {
    for _ in 0..count {
        let mut session = Session::log_in(server);
        session.say(server, "QUIT", "221");
        session.control.close(server);
    }
}

/// PASV, a data connection, 100 lines, and the end of it.
fn listings(server: &mut Server, count: usize) {
    let mut session = Session::log_in(server);
    for _ in 0..count {
        let listed = session.retrieve(server, "LIST");
        assert_eq!(listed.iter().filter(|byte| **byte == b'\n').count(), server::FILES);
    }
}

/// One transfer, of so many pieces.
fn retrieve(server: &mut Server, count: usize) {
    let mut session = Session::log_in(server);
    let content = session.retrieve(server, "RETR large");
    assert_eq!(content.len(), count * PIECE);
}

/// One transfer, of so many pieces.
fn store(server: &mut Server, count: usize) {
    let mut session = Session::log_in(server);
    session.store(server, "STOR stored", &vec![b's'; count * PIECE]);
}

/// PASV, a data connection, 1 KiB, and the end of it.
fn retrieve_small(server: &mut Server, count: usize) {
    let mut session = Session::log_in(server);
    for _ in 0..count {
        assert_eq!(session.retrieve(server, "RETR small00").len(), server::SMALL);
    }
}
