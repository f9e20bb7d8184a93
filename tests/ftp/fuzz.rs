//! Sessions that a fuzzer makes up, several at once on one disk: the body of the fuzz target
//! `session`.
//!
//! The input begins with two bytes that choose the circumstances. The others are what happens.
//! Bytes that may be part of a line are said by the client whose turn it is, as they are; so
//! the fuzzer finds lines, and people can read them. Any other is an operation, and the byte
//! behind it tells more:
//!
//! | byte | what happens | the byte behind it |
//! |---|---|---|
//! | 00 | everything comes to rest | |
//! | 01 | turns of the network | how many |
//! | 02 | the client says a byte | which |
//! | 03 | it is another client's turn, or one connects | which |
//! | 04 | what the client says arrives in segments | how long |
//! | 05 | the client reads its replies no longer, or again | odd: again |
//! | 06, 07 | the client half-closes, resets its control connection | |
//! | 08 | the data connection comes about; data arrives in segments | how long |
//! | 0b | ... does not come about | why |
//! | 0c | the client sends data | how much |
//! | 0e, 0f | ... finishes its side, resets the data connection | |
//! | 10 | ... reads | how much |
//! | 11 | ... acknowledges the end | odd: and keeps its side open |
//! | 12 | storage waits, or goes on | odd: goes on |
//! | 13 | the next call of storage fails | how |
//! | 14 | calls of storage fail and wait at random | how often |
//! | 15 | time goes by | how much, as a power of two |
//! | 16 | the next data connection cannot be had | why |
//! | 17 | the server is told to stop | |
//! | 18 | the client sends a file that was compressed, and finishes its side | |
//!
//! Whatever happens: [`Observer`] has what holds for the replies of each session, [`with_net`]
//! for the polls and for what is left in the end. Besides, a file is never there in part, 226
//! is said of each upload that storage has committed and of no other, and of a download only
//! when its end was acknowledged.

use std::sync::OnceLock;
use std::time::Duration;

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib;
use tinyftp::auth::Rights;
use tinyftp::ftp::Config;
use tinyftp::service::{ConnectError, Service};
use tinyftp::storage::{Error, Kind, Path};
use tinyftp::stream::Status;

use crate::net::{DATE, DataEnd, Net, REPLY_MAX, Setup, with_net};
use crate::observer::Observer;
use crate::random::Random;
use crate::telnet;
use crate::watched::Faults;
use crate::wire::Wire;

/// The longest input: what a longer one finds out is not worth the time.
const INPUT_MAX: usize = 4096;
/// Clients that connect in the course of an input, at most.
const CLIENTS_MAX: usize = 6;
/// Between a step of time and the next, in the end: less than a session may be idle.
const STEP: Duration = Duration::from_secs(100);

/// What the client says when it sends data. The first and the last byte of an upload are `<`
/// and `>`, which are not in it: so a part of an upload can be told from all of it.
const DATA: &[u8] = b"one\r\ntwo\n\rthree\r\r\n\xff\0";

/// Plays an input.
pub fn session(input: &[u8]) {
    let Some((&[sizes, circumstances], happens)) = input.split_first_chunk() else { return };
    if happens.len() > INPUT_MAX {
        return;
    }
    with_net(setup(sizes, circumstances), |net| {
        net.ftp.storage().make("/a", b"<0123456789\r\n\n>", DATE);
        net.ftp.storage().make("/big", &[&b"<"[..], &DATA.repeat(150), b">"].concat(), DATE);
        net.ftp.storage().make("/d/", b"", DATE);
        net.ftp.storage().make("/d/b.txt", b"<>", DATE);
        net.restless = circumstances & 1 != 0;
        let log_in = circumstances & 2 != 0;
        let mut play = Play { net, visitors: Vec::new(), at: 0, log_in, committed: 0 };
        play.connect();
        play.run(happens);
        play.finish();
    });
}

fn setup(sizes: u8, circumstances: u8) -> Setup {
    let size = |shift: u8, choice: [usize; 4]| choice[usize::from(sizes >> shift & 3)];
    let is = |bit: u8| circumstances & bit != 0;
    let max_sessions = usize::from(circumstances >> 2 & 3) + 1;
    let mut setup = Setup {
        config: Config { start: DATE, max_sessions, ..Config::default() },
        sessions: max_sessions + 1,
        control: size(0, [REPLY_MAX, 800, 1024, 4096]),
        data: size(2, [600, 1024, 3000, 700]),
        // Every other kind of disk has MODE Z.
        codecs: size(4, [0, 1, 0, 2]),
        nodes: size(4, [24, 8, 9, 12]),
        blocks: size(6, [64, 20, 30, 40]),
        ..Setup::default()
    };
    if is(16) {
        setup.local = "[2001:db8::1]:21".parse().expect("an endpoint");
        setup.client = "[2001:db8::2]:40000".parse().expect("an endpoint");
    }
    if is(32) {
        let grant = &mut setup.accounts[0].grant;
        grant.rights = grant.rights | Rights::INSPECT;
        grant.root = Path::new(b"/d").expect("a path");
        grant.welcome = "Hello\n230 Anna";
    }
    if is(64) {
        setup.config.rate = Some(400);
        setup.config.total_rate = Some(600);
        setup.config.max_upload = Some(500);
    }
    if is(128) {
        setup.config.max_per_address = Some(2);
        setup.accounts[0].max_sessions = 1;
    }
    setup
}

/// A client, and what is known of it.
struct Visitor {
    observer: Observer,
    /// All that it has said.
    said: Vec<u8>,
    /// How many lines of that the observer was told of.
    lines: usize,
    /// It has half-closed its control connection.
    finished: bool,
    /// It has reset its control connection.
    reset: bool,
    /// It did not read its replies for a while.
    deaf: bool,
    upload: Upload,
    /// What it has read of the data connection that is there.
    received: Vec<u8>,
    /// Ends of data connections that it has acknowledged.
    acknowledged: usize,
}

/// How far an upload has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Upload {
    Nothing,
    Begun,
    Ended,
}

struct Play<'n, 's, 'd> {
    net: &'n mut Net<'s, 'd>,
    visitors: Vec<Visitor>,
    /// Whose turn it is.
    at: usize,
    /// Whether clients log in when they connect.
    log_in: bool,
    /// Uploads that were committed when the files were last looked at.
    committed: usize,
}

impl Play<'_, '_, '_> {
    fn run(&mut self, happens: &[u8]) {
        let mut rest = happens;
        while let Some((&byte, behind)) = rest.split_first() {
            let said = rest.iter().take_while(|byte| is_said(**byte)).count();
            if said > 0 {
                self.say(&rest[..said]);
                rest = &rest[said..];
            } else {
                self.happen(byte, behind.first().copied().unwrap_or(0));
                rest = behind.get(1..).unwrap_or_default();
            }
            self.listen();
        }
    }

    fn happen(&mut self, what: u8, more: u8) {
        let at = self.at;
        match what {
            0x00 => self.net.settle(),
            0x01 => self.net.turns(1 + usize::from(more % 8)),
            0x02 => self.say(&[more]),
            0x03 => self.change_client(more),
            0x04 => self.net.clients[at].control.segment = length(more),
            0x05 => {
                self.net.clients[at].reads = more & 1 != 0;
                self.visitors[at].deaf = true;
            }
            0x06 => {
                self.net.clients[at].control.send_fin();
                self.visitors[at].finished = true;
            }
            0x07 => {
                self.net.clients[at].control.reset();
                self.visitors[at].reset = true;
            }
            0x12 => self.net.ftp.storage().held = more & 1 == 0,
            0x13 => self.net.ftp.storage().failure = Some(error(more)),
            0x14 => self.net.ftp.storage().faults = faults(more),
            0x15 => self.net.elapse(Duration::from_millis(1 << (more % 20))),
            0x16 => self.net.refusal = Some(data_error(more)),
            0x17 => self.net.ftp.shutdown(self.net.now + Duration::from_secs(10)),
            _ => self.data(what, more),
        }
        self.net.wake(at);
    }

    // The control connection.

    /// Another client connects, unless the server resets it.
    fn connect(&mut self) {
        if self.net.clients.len() == CLIENTS_MAX {
            return;
        }
        let Some(at) = self.net.connect() else { return };
        self.visitors.push(Visitor {
            observer: Observer::before_the_greeting(),
            said: Vec::new(),
            lines: 0,
            finished: false,
            reset: false,
            deaf: false,
            upload: Upload::Nothing,
            received: Vec::new(),
            acknowledged: 0,
        });
        self.at = at;
        if self.log_in {
            self.say(b"USER anna\r\nPASS secret\r\n");
        }
    }

    fn change_client(&mut self, which: u8) {
        match usize::from(which % 4) {
            3 => self.connect(),
            which => self.at = which % self.visitors.len(),
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        let visitor = &mut self.visitors[self.at];
        if visitor.finished {
            return;
        }
        self.net.clients[self.at].control.send(bytes);
        // It may stand at the cut.
        let before = visitor.said.len().saturating_sub(1);
        visitor.said.extend_from_slice(bytes);
        let synch = visitor.said[before..].windows(2).any(|pair| pair == [255, 242]);
        if bytes.contains(&b'\n') {
            let (lines, _) = telnet::lines(&visitor.said);
            lines[visitor.lines..].iter().for_each(|line| visitor.observer.ask(line));
            visitor.lines = lines.len();
        }
        visitor.observer.synched |= synch && visitor.observer.unanswered().len() > 1;
    }

    /// Every client hears what it has read, and all that must hold at any time is looked at.
    fn listen(&mut self) {
        for (client, visitor) in self.net.clients.iter_mut().zip(&mut self.visitors) {
            visitor.observer.hear(&client.take_replies());
            let (said, done) = (visitor.observer.delivered, visitor.acknowledged);
            assert!(said <= done, "226 before the end of a download was acknowledged");
        }
        let committed = self.net.ftp.storage().committed;
        assert!(self.stored() <= committed, "226 before an upload was committed");
        if committed > self.committed {
            self.committed = committed;
            self.check_files();
        }
    }

    /// No file is there in part.
    fn check_files(&mut self) {
        let storage = self.net.ftp.storage();
        for (kind, path) in storage.tree() {
            if kind == Kind::File {
                let content = storage.content(&path).expect("a file that was listed");
                assert!(content.ends_with(b">"), "{} is there in part", path.escape_ascii());
            }
        }
    }

    /// Uploads of which 226 was said.
    fn stored(&self) -> usize {
        self.visitors.iter().map(|visitor| visitor.observer.stored).sum()
    }

    // The data connection.

    fn data(&mut self, what: u8, more: u8) {
        let visitor = &mut self.visitors[self.at];
        match (what, &mut self.net.clients[self.at].data) {
            (0x08, DataEnd::Listening(_) | DataEnd::Connecting { .. }) => {
                self.net.open_data(self.at).segment = length(more);
                visitor.upload = Upload::Nothing;
                visitor.received.clear();
            }
            (0x0b, DataEnd::Connecting { .. }) => self.net.fail_data(self.at, data_error(more)),
            (_, DataEnd::Open(wire)) => visitor.use_data(what, more, wire),
            // What the server let go of may still be read.
            (0x10 | 0x11, _) => {
                if let Some(wire) = &mut self.net.clients[self.at].dropped {
                    visitor.use_data(what, more, wire);
                }
            }
            _ => {}
        }
    }

    // The end.

    /// The faults end and time goes by: every line must have been answered. What storage has is
    /// whole.
    fn finish(&mut self) {
        self.net.restless = false;
        self.net.refusal = None;
        let storage = self.net.ftp.storage();
        storage.held = false;
        storage.failure = None;
        storage.faults = Faults::default();
        for at in 0..self.visitors.len() {
            self.net.clients[at].reads = true;
            self.at = at;
            // Ends the line that it has begun, if there is one.
            self.say(b"\r\n");
            self.net.wake(at);
        }
        self.net.settle();
        self.listen();
        let unanswered = |play: &Self| (0..play.visitors.len()).map(|at| play.unanswered(at)).sum();
        let patience: usize = unanswered(self);
        for _ in 0..8 * patience {
            if unanswered(self) == 0 {
                break;
            }
            self.net.elapse(STEP);
            self.listen();
        }
        (0..self.visitors.len()).for_each(|at| self.check(at));
        self.check_files();
        let missed_some = |visitor: &Visitor| visitor.deaf || visitor.is_vague();
        let all_heard = !self.visitors.iter().any(missed_some);
        assert!(!all_heard || self.stored() == self.committed, "committed in silence");
    }

    /// Lines that are still to be answered.
    fn unanswered(&self, at: usize) -> usize {
        let visitor = &self.visitors[at];
        let gone = self.net.clients[at].closed() || visitor.observer.synched;
        if gone { 0 } else { visitor.observer.unanswered().len() }
    }

    fn check(&mut self, at: usize) {
        let (visitor, closed) = (&self.visitors[at], self.net.clients[at].closed());
        let observer = &visitor.observer;
        if visitor.is_vague() {
            return;
        }
        // A long one is not waited with for a client that does not read it.
        let may_be_cut = visitor.deaf && closed;
        let pending = observer.pending();
        assert!(pending.is_empty() || may_be_cut, "half a reply: {pending}");
        let must_close = observer.over || visitor.finished;
        assert!(must_close || visitor.deaf || !closed, "closed without a word");
        assert!(closed || !must_close, "still open");
        let unanswered = observer.unanswered();
        let may_end = observer.over || visitor.deaf && closed;
        assert!(unanswered.is_empty() || may_end, "not answered: {unanswered:?}");
        if !closed {
            assert_eq!(self.net.say(at, "NOOP"), "200 OK\r\n");
        }
    }
}

impl Visitor {
    /// Whether nobody knows what it still waits for.
    fn is_vague(&self) -> bool {
        self.reset || self.observer.synched
    }

    fn use_data(&mut self, what: u8, more: u8, wire: &mut Wire) {
        match what {
            0x0c if self.upload != Upload::Ended => {
                self.begin_upload(wire);
                let length = 1 + usize::from(more) * 8;
                wire.send(&DATA.iter().copied().cycle().take(length).collect::<Vec<_>>());
            }
            0x18 if self.upload == Upload::Nothing => {
                wire.send(compressed());
                wire.send_fin();
                self.upload = Upload::Ended;
            }
            0x0e if self.upload != Upload::Ended => {
                self.begin_upload(wire);
                wire.send(b">");
                wire.send_fin();
                self.upload = Upload::Ended;
            }
            0x0f => wire.reset(),
            0x10 if more == 0 => self.received.extend(wire.take()),
            0x10 => self.received.extend(wire.take_some(usize::from(more) * 4)),
            0x11 => self.acknowledge(more, wire),
            _ => {}
        }
    }

    fn begin_upload(&mut self, wire: &mut Wire) {
        if self.upload == Upload::Nothing {
            wire.send(b"<");
            self.upload = Upload::Begun;
        }
    }

    /// What ends a file has come, or what ends a line of a listing.
    fn acknowledge(&mut self, more: u8, wire: &mut Wire) {
        use tinyftp::stream::Stream;
        if !wire.ended() || matches!(wire.status(), Status::Broken | Status::Closed) {
            return;
        }
        self.acknowledged += usize::from(wire.status() != Status::Delivered);
        match more & 1 {
            0 => wire.acknowledge_fin(),
            _ => wire.acknowledge_fin_only(),
        }
        // In MODE Z.
        let received = decompress_to_vec_zlib(&self.received).unwrap_or(self.received.clone());
        // Who says RANG may want less than all.
        let whole = received.is_empty() || received.ends_with(b">") || received.ends_with(b"\r\n");
        let ranged = self.said.windows(4).any(|part| part.eq_ignore_ascii_case(b"RANG"));
        assert!(whole || ranged, "a download ends too soon: {}", received.escape_ascii());
    }
}

/// A whole upload as a zlib stream. Its last byte is that of a whole upload as well: it may be
/// stored as it is.
fn compressed() -> &'static [u8] {
    static COMPRESSED: OnceLock<Vec<u8>> = OnceLock::new();
    COMPRESSED.get_or_init(|| {
        let upload = |n: usize| [&b"<"[..], &DATA.repeat(9), &b"x".repeat(n), b">"].concat();
        let mut streams = (0..).map(|n| compress_to_vec_zlib(&upload(n), 6));
        streams.find(|stream| stream.ends_with(b">")).expect("one in 256")
    })
}

/// Whether a byte may be part of a line, or its end.
fn is_said(byte: u8) -> bool {
    byte >= b' ' || matches!(byte, b'\r' | b'\n')
}

/// The length of a segment.
fn length(more: u8) -> usize {
    if more == 0 { usize::MAX } else { more.into() }
}

fn error(more: u8) -> Error {
    [Error::Io, Error::Full, Error::NotFound, Error::Busy, Error::Denied][usize::from(more % 5)]
}

fn data_error(more: u8) -> ConnectError {
    use ConnectError::{NoPort, NoSlot, Refused, Unreachable};
    [NoSlot, NoPort, Unreachable, Refused][usize::from(more % 4)]
}

fn faults(more: u8) -> Faults {
    let choose = |shift: u8, choice: [u64; 4]| choice[usize::from(more >> shift & 3)];
    Faults {
        random: Random::new(more.into()),
        errors: choose(0, [0, 2, 10, 30]),
        waits: choose(2, [0, 20, 60, 90]),
        short: choose(4, [0, 30, 60, 90]),
    }
}

#[test]
fn session_corpus() {
    crate::corpus::run("session", session);
}
