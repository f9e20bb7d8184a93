//! A storage that hangs: its own sessions wait, all others go on.

use std::task::Poll;

use tinyftp::storage::ram::{Job, RamDisk};
use tinyftp::storage::{Entry, Error, Op, Storage};
use tinyftp::time::Timestamp;

use crate::client::{Client, Mode};
use crate::sim::{ECHO, MS, Micros, S, SERVER_V4, Shape, World, pattern};

/// A disk that may hang.
pub struct Hanging {
    pub disk: RamDisk<'static>,
    /// No poll is ready.
    pub hangs: bool,
    /// Polls meanwhile.
    pub polls: u64,
}

impl Hanging {
    pub fn new(disk: RamDisk<'static>) -> Self {
        Self { disk, hangs: false, polls: 0 }
    }

    fn hangs(&mut self) -> bool {
        self.polls += u64::from(self.hangs);
        self.hangs
    }
}

impl Storage for Hanging {
    type Job = Job;

    fn start(&mut self, op: Op<'_>, now: Timestamp) -> Result<Job, Error> {
        self.disk.start(op, now)
    }

    fn poll_open(&mut self, job: &mut Job) -> Poll<Result<Option<u64>, Error>> {
        if self.hangs() { Poll::Pending } else { self.disk.poll_open(job) }
    }

    fn poll_read(&mut self, job: &mut Job, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        if self.hangs() { Poll::Pending } else { self.disk.poll_read(job, buf) }
    }

    fn poll_write(&mut self, job: &mut Job, buf: &[u8]) -> Poll<Result<usize, Error>> {
        if self.hangs() { Poll::Pending } else { self.disk.poll_write(job, buf) }
    }

    fn poll_entry<'a>(&'a mut self, job: &'a mut Job) -> Poll<Result<Option<Entry<'a>>, Error>> {
        if self.hangs() { Poll::Pending } else { self.disk.poll_entry(job) }
    }

    fn poll_finish(&mut self, job: &mut Job) -> Poll<Result<u64, Error>> {
        if self.hangs() { Poll::Pending } else { self.disk.poll_finish(job) }
    }

    fn cancel(&mut self, job: Job) {
        self.disk.cancel(job);
    }
}

const ROUNDS: u64 = 200;

fn hang(w: &mut World, hangs: bool) {
    w.server.services.ftp.storage().hangs = hangs;
}

fn polls(w: &mut World) -> u64 {
    w.server.services.ftp.storage().polls
}

/// Time that `ROUNDS` of NOOP and of echo take on sessions that do not need the disk.
fn ask_others(w: &mut World, host: usize) -> Micros {
    let mut client = Client::login(w, host);
    let echo = w.connect(host, SERVER_V4.into(), ECHO);
    let begun = w.now;
    for _ in 0..ROUNDS {
        client.say(w, "NOOP", "200");
        w.send(echo, b"hello");
        assert_eq!(w.take(echo, 5), b"hello");
    }
    w.now - begun
}

#[test]
fn a_storage_that_hangs_stops_nobody_else() {
    let (down, up) = (pattern(300_000, 1), pattern(300_000, 2));
    let mut w = World::with_files(Shape::LARGE, &[("/down", &down)]);
    let host = w.host(100);
    let usual = ask_others(&mut w, host);
    let mut reader = Client::login(&mut w, host);
    let mut writer = Client::login(&mut w, host);
    let mut maker = Client::login(&mut w, host);
    let from = reader.transfer(&mut w, Mode::Pasv, "RETR down");
    let to = writer.transfer(&mut w, Mode::Pasv, "STOR up");
    hang(&mut w, true);
    maker.send(&mut w, "MKD dir");
    w.send(to, &up[..1000]);
    let during = ask_others(&mut w, host);
    assert!(during <= usual + 2 * MS, "{during} us, not {usual}");
    // Those who wait are polled once a millisecond, whatever happens meanwhile, or when woken.
    let polls = polls(&mut w);
    assert!(polls <= 3 * (during / MS + 20), "{polls} polls in {during} us");
    w.run(S);
    w.server.net.wake();
    w.server.due = Some(w.now);
    let before = self::polls(&mut w);
    w.settle();
    assert_eq!(self::polls(&mut w), before + 3);
    hang(&mut w, false);
    assert!(w.drain(from) == down);
    reader.expect(&mut w, "226");
    maker.expect(&mut w, "257");
    assert!(w.pump(to, &up[1000..]).is_empty());
    writer.expect(&mut w, "226");
    assert!(reader.retrieve(&mut w, Mode::Pasv, "up") == up);
    w.finish();
}

#[test]
fn a_storage_that_hangs_does_not_keep_the_server() {
    let mut w = World::new(Shape::LARGE);
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    let data = client.transfer(&mut w, Mode::Pasv, "STOR up");
    hang(&mut w, true);
    w.send(data, b"half");
    w.run(10 * S);
    let end = w.now + 5 * S;
    w.server.shutdown(end);
    client.expect(&mut w, "426");
    client.expect(&mut w, "421");
    assert!((end..end + 100 * MS).contains(&w.now), "{} us late", w.now.abs_diff(end));
}

/// Whoever has hung up does not keep his place until the disk is back: else clients that try again
/// take them all, and nobody gets in, not even those who need no disk.
#[test]
fn a_client_that_has_gone_leaves_its_place_though_storage_hangs() {
    let file = pattern(300_000, 1);
    let mut kept = vec![];
    for command in ["MKD dir", "SIZE down", "CWD dir", "HASH down", "LIST", "RETR down", "STOR up"]
    {
        let mut w = World::with_files(Shape::LARGE, &[("/down", &file)]);
        let host = w.host(100);
        let free = w.server.net.free_slots();
        let mut client = Client::login(&mut w, host);
        if ["LIST", "RETR down", "STOR up"].contains(&command) {
            client.pasv(&mut w);
        }
        hang(&mut w, true);
        client.send(&mut w, command);
        w.run(S);
        w.socket(client.control).close();
        // Ten times as long as a session may be idle.
        w.run(600 * S);
        if w.server.net.free_slots() != free {
            kept.push(command);
        }
    }
    assert_eq!(kept, [""; 0]);
}
