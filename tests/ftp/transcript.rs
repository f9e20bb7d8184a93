//! Golden transcripts: sessions as text files, replies in full. A line begins with who speaks:
//!
//! ```text
//! # remark
//! O: option value      before the first step: idle, connect, control, data, blocks, nodes,
//!                      client, passive, upload, rate, total_rate, codecs; root and welcome of anna's account; or
//!                      `ipv6` alone, or `inspect` for her right to it
//! F: /path = content   before the first step: a file; `F: /path/` is a directory
//! L: anna              USER and PASS of an account, and the replies to them
//! C: line              the client sends a line; CRLF is added
//! C: (finish)          the client half-closes the control connection; (reset) breaks it
//! E: bytes             the client sends bytes, nothing is added
//! S: line              the server replies; CRLF is added
//! S: (closed)          the server has closed the control connection
//! --                   a causal point: the client has read the replies before it goes on
//! D: connect           the data connection comes about, opened by the client; `accept` and the
//!                      address that the server connects to: opened by the server
//! D: refuse            ... or it fails; also `unreachable`
//! D> bytes             the client sends data; `D>|` with FIN in the last segment
//! D< bytes             what the client has received since; it acknowledges them
//! D: finish, reset     the client sends FIN, or RST
//! D: (end), ack        the server's FIN has come; the client acknowledges it
//! D: (open) (none) (listening) (reset)   what became of the data connection
//! T: 300s              time goes by; also `ms`
//! H: hold, release     storage waits, goes on
//! H: fail io           the next call of storage fails; also `busy`, `full`, `denied`, `name`
//! H: no port, no slot  the next Listen or Connect fails
//! H: shutdown 10s      the server is told to stop
//! F? /path = content   what is in storage now; `F? /path (absent)`
//! ```
//!
//! Bytes are written with `\r \n \e \0 \\ \xNN`; `(N bytes)` is a pattern of that length.
//!
//! At each causal point everything that the server has sent is compared, so a reply that is
//! not there was not sent. Between two of them (`--`, and all lines but `C: E: S:`) the client
//! need not wait, so its bytes are cut at will: [`Cut`] has the ways. The replies must not hang
//! on it.

use std::path::PathBuf;
use std::time::Duration;

use tinyftp::auth::Rights;
use tinyftp::service::{ConnectError, Service};
use tinyftp::storage::{Error, Path};

use crate::net::{DATE, DataEnd, Net, REPLY_MAX, Setup, with_net};
use crate::random::Random;

/// How the bytes of the client are cut into segments.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// A line, then its reply.
    Lines,
    /// Byte by byte.
    Bytes,
    /// As much as the causal points allow.
    Whole,
    /// The same, but sessions with nothing to do are polled as well, and the control connection
    /// holds no more than the longest reply.
    Tight,
    /// The same as the first, but storage says only in the polls what it does not do.
    Late,
    /// Anyhow.
    Random(u64),
}

const CUTS: [Cut; 10] = [
    Cut::Lines,
    Cut::Bytes,
    Cut::Whole,
    Cut::Tight,
    Cut::Late,
    Cut::Random(1),
    Cut::Random(2),
    Cut::Random(3),
    Cut::Random(4),
    Cut::Random(5),
];

/// A line of a transcript.
enum Step {
    Say(Vec<u8>),
    Finish,
    Expect(String),
    /// Anything else: a word for who speaks, and what.
    Event(&'static str, String),
}

/// Runs the transcript of that name at every cut.
pub fn run(name: &str) {
    let text = std::fs::read_to_string(directory().join(format!("{name}.txt"))).expect(name);
    for cut in CUTS {
        let (mut setup, files, steps) = parse(name, &text);
        let tight = matches!(cut, Cut::Tight);
        if tight {
            setup.control = REPLY_MAX;
        }
        with_net(setup, |net| {
            for (path, content) in &files {
                net.ftp.storage().make(path, content, DATE);
            }
            let at = net.connect().expect("a session");
            net.restless = tight;
            net.ftp.storage().late = matches!(cut, Cut::Late);
            let seed = if let Cut::Random(seed) = cut { seed } else { 0 };
            let mut player =
                Player { name, net, at, cut, random: Random::new(seed), place: String::new() };
            player.play(&steps);
        });
    }
}

/// The names of all transcripts that there are.
pub fn names() -> Vec<String> {
    let files = std::fs::read_dir(directory()).expect("the directory of the transcripts");
    let name = |path: PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut names: Vec<_> = files.filter_map(|file| name(file.ok()?.path())).collect();
    names.sort();
    names
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

type Files = Vec<(String, Vec<u8>)>;

fn parse(name: &str, text: &str) -> (Setup, Files, Vec<(usize, Step)>) {
    let (mut setup, mut files, mut steps) = (Setup::default(), Vec::new(), Vec::new());
    for (line, number) in text.lines().zip(1..) {
        let (who, what) = line.split_at(line.len().min(2));
        let what = what.strip_prefix(' ').unwrap_or(what);
        let mut add = |step| steps.push((number, step));
        match who {
            "" | "# " | "#" => {}
            "O:" => option(&mut setup, what),
            "F:" => {
                let (path, content) = what.split_once(" = ").unwrap_or((what, ""));
                files.push((path.to_owned(), bytes(content)));
            }
            "L:" => {
                let (password, reply) = match what {
                    "anna" => ("secret", "230 Logged in"),
                    "otto" => ("", "230 Logged in, read only"),
                    _ => ("me@example.org", "230 Logged in, read only"),
                };
                add(Step::Say(format!("USER {what}\r\n").into_bytes()));
                add(Step::Expect("331 Password please".into()));
                add(Step::Say(format!("PASS {password}\r\n").into_bytes()));
                add(Step::Expect(reply.into()));
            }
            "C:" if what == "(finish)" => add(Step::Finish),
            "C:" if what == "(reset)" => add(Step::Event("C:", what.into())),
            "C:" => add(Step::Say([&bytes(what)[..], b"\r\n"].concat())),
            "E:" => add(Step::Say(bytes(what))),
            "S:" if what == "(closed)" => add(Step::Event("S:", what.into())),
            "S:" => add(Step::Expect(String::from_utf8_lossy(&bytes(what)).into_owned())),
            _ => {
                const EVENTS: [&str; 7] = ["--", "D:", "D>", "D<", "T:", "H:", "F?"];
                let event = EVENTS.iter().find(|event| **event == who);
                let event = event.unwrap_or_else(|| panic!("{name}:{number}: who is {who}?"));
                add(Step::Event(event, what.into()));
            }
        }
    }
    (setup, files, steps)
}

fn option(setup: &mut Setup, what: &str) {
    let (name, value) = what.split_once(' ').unwrap_or((what, ""));
    let count = || value.parse().expect("a number");
    match name {
        "idle" => setup.config.idle_timeout = span(value),
        "connect" => setup.config.connect_timeout = span(value),
        "passive" => setup.config.passive_address = Some(value.parse().expect("an address")),
        "upload" => setup.config.max_upload = Some(count() as u64),
        "rate" => setup.config.rate = Some(count() as u64),
        "total_rate" => setup.config.total_rate = Some(count() as u64),
        "root" => setup.accounts[0].grant.root = Path::new(leak(value)).expect("a path"),
        "welcome" => setup.accounts[0].grant.welcome = str::from_utf8(leak(value)).expect("text"),
        "inspect" => {
            let grant = &mut setup.accounts[0].grant;
            grant.rights = grant.rights | Rights::INSPECT;
        }
        "codecs" => setup.codecs = count(),
        "control" => setup.control = count(),
        "data" => setup.data = count(),
        "blocks" => setup.blocks = count(),
        "nodes" => setup.nodes = count(),
        "client" => setup.client = value.parse().expect("an endpoint"),
        "ipv6" => {
            setup.local = "[2001:db8::1]:21".parse().expect("an endpoint");
            setup.client = "[2001:db8::2]:40000".parse().expect("an endpoint");
        }
        _ => panic!("there is no option {name}"),
    }
}

fn failure(name: &str) -> Error {
    match name {
        "io" => Error::Io,
        "busy" => Error::Busy,
        "full" => Error::Full,
        "denied" => Error::Denied,
        "name" => Error::BadName,
        _ => panic!("there is no error {name}"),
    }
}

fn span(text: &str) -> Duration {
    let number = |unit| text.strip_suffix(unit).and_then(|number: &str| number.parse().ok());
    match (number("ms"), number("s")) {
        (Some(millis), _) => Duration::from_millis(millis),
        (_, Some(seconds)) => Duration::from_secs(seconds),
        _ => panic!("{text} is no time span"),
    }
}

/// The bytes of `text` for the rest of the tests.
fn leak(text: &str) -> &'static [u8] {
    bytes(text).leak()
}

/// Bytes as a transcript writes them.
fn bytes(text: &str) -> Vec<u8> {
    let count = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(" bytes)"));
    if let Some(count) = count {
        return pattern(count.parse().expect("a number of bytes"));
    }
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes().iter().copied());
    while let Some(byte) = rest.next() {
        let escape = if byte == b'\\' { rest.next() } else { None };
        let mut hex = || char::from(rest.next().unwrap_or(b'?')).to_digit(16).expect("hex") as u8;
        bytes.push(match escape {
            None => byte,
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b'e') => 0x1b,
            Some(b'0') => 0,
            Some(b'x') => hex() << 4 | hex(),
            Some(other) => other,
        });
    }
    bytes
}

/// Bytes of all values, in no short period.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// Plays a transcript against a server.
struct Player<'a, 's, 'd> {
    name: &'a str,
    net: &'a mut Net<'s, 'd>,
    at: usize,
    cut: Cut,
    random: Random,
    /// Where it is, for those who read of its failure.
    place: String,
}

impl Player<'_, '_, '_> {
    fn play(&mut self, steps: &[(usize, Step)]) {
        let mut rest = steps;
        self.net.settle();
        while let Some((number, first)) = rest.first() {
            self.at_line(*number);
            if let Step::Event(who, what) = first {
                self.replied(&[]);
                self.event(who, what);
                self.net.settle();
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(|(_, step)| matches!(step, Step::Event(..)));
            let group;
            (group, rest) = rest.split_at(end.unwrap_or(rest.len()));
            self.exchange(group);
        }
        self.replied(&[]);
    }

    fn at_line(&mut self, number: usize) {
        self.place = format!("tests/transcripts/{}.txt:{number}, cut {:?}", self.name, self.cut);
    }

    /// Lines and replies up to the next causal point.
    fn exchange(&mut self, group: &[(usize, Step)]) {
        let expected = |step: &Step| matches!(step, Step::Expect(_));
        let silent = group.iter().take_while(|(_, step)| expected(step)).count();
        let (before, mut group) = group.split_at(silent);
        self.replied(before);
        while !group.is_empty() {
            let said = group.iter().position(|(_, step)| expected(step)).unwrap_or(group.len());
            let heard = group[said..].iter().position(|(_, step)| !expected(step));
            let end = heard.map_or(group.len(), |heard| said + heard);
            let end = if matches!(self.cut, Cut::Lines | Cut::Late) { end } else { group.len() };
            let part;
            (part, group) = group.split_at(end);
            self.at_line(part[0].0);
            self.say(part);
            self.replied(part);
        }
    }

    fn say(&mut self, group: &[(usize, Step)]) {
        let said = |step: &Step| match step {
            Step::Say(bytes) => bytes.clone(),
            _ => Vec::new(),
        };
        let line: Vec<u8> = group.iter().flat_map(|(_, step)| said(step)).collect();
        let finish = group.iter().any(|(_, step)| matches!(step, Step::Finish));
        let mut rest = &line[..];
        while !rest.is_empty() {
            let n = self.segment().min(rest.len());
            self.net.clients[self.at].control.send(&rest[..n]);
            rest = &rest[n..];
            if !(finish && rest.is_empty()) {
                self.net.settle();
            }
        }
        if finish {
            self.net.clients[self.at].control.send_fin();
        }
        self.net.settle();
    }

    fn segment(&mut self) -> usize {
        match self.cut {
            Cut::Lines | Cut::Whole | Cut::Tight | Cut::Late => usize::MAX,
            Cut::Bytes => 1,
            Cut::Random(_) => 1 + self.random.below(20) as usize,
        }
    }

    /// Compares what the server has said with what it was to say.
    fn replied(&mut self, group: &[(usize, Step)]) {
        let mut expected = String::new();
        for (_, step) in group {
            if let Step::Expect(line) = step {
                expected.push_str(line);
                expected.push_str("\r\n");
            }
        }
        let replies = self.net.clients[self.at].take_replies();
        assert_eq!(replies, expected, "{}: left is what was sent", self.place);
    }

    fn event(&mut self, who: &str, what: &str) {
        let place = self.place.clone();
        match who {
            "S:" => assert!(self.net.clients[self.at].closed(), "{place}: still open"),
            "C:" => {
                self.net.clients[self.at].control.reset();
                self.net.wake(self.at);
            }
            "D:" => self.data(what),
            "D>" => self.send_data(what),
            "D<" => {
                let received = self.net.receive(self.at);
                assert_eq!(text(&received), text(&bytes(what)), "{place}: left was received");
            }
            "T:" => self.net.elapse(span(what)),
            "H:" => self.host(what),
            "F?" => self.file(what),
            _ => {}
        }
    }

    fn data(&mut self, what: &str) {
        let (at, place) = (self.at, self.place.clone());
        let (verb, address) = what.split_once(' ').unwrap_or((what, ""));
        let client = &mut self.net.clients[at];
        match verb {
            "connect" => {
                assert!(matches!(client.data, DataEnd::Listening(_)), "{place}: no listener");
                self.open_data();
            }
            "accept" => {
                let DataEnd::Connecting { remote, local } = client.data else {
                    panic!("{place}: the server does not connect");
                };
                let place = &self.place;
                assert_eq!(remote.to_string(), address, "{place}: left is where it connects to");
                assert_eq!(local.port(), 20, "{place}");
                self.open_data();
            }
            "refuse" => self.net.fail_data(at, ConnectError::Refused),
            "unreachable" => self.net.fail_data(at, ConnectError::Unreachable),
            "(none)" => assert!(matches!(client.data, DataEnd::Absent), "{place}: there is one"),
            "(listening)" => assert!(matches!(client.data, DataEnd::Listening(_)), "{place}"),
            "(open)" => assert!(matches!(client.data, DataEnd::Open(_)), "{place}"),
            _ => self.stream(what),
        }
    }

    fn open_data(&mut self) {
        let segment = self.segment();
        self.net.open_data(self.at).segment = segment;
    }

    /// What the client does with, or sees of, the stream of the data connection.
    fn stream(&mut self, what: &str) {
        use tinyftp::stream::{Status, Stream};
        let place = self.place.clone();
        let wire = self.net.clients[self.at].data_wire().expect("a data connection");
        match what {
            "finish" => wire.send_fin(),
            "reset" => wire.reset(),
            "ack" => wire.acknowledge_fin(),
            "ack only" => wire.acknowledge_fin_only(),
            "(end)" => assert!(wire.ended(), "{place}: FIN has not come"),
            "(reset)" => assert!(wire.status() == Status::Broken, "{place}: not reset"),
            _ => panic!("{place}: {what} cannot be done"),
        }
        self.net.wake(self.at);
    }

    fn send_data(&mut self, what: &str) {
        let fin = what.strip_prefix("| ");
        let wire = self.net.clients[self.at].data_wire().expect("a data connection");
        wire.send(&bytes(fin.unwrap_or(what)));
        if fin.is_some() {
            wire.send_fin();
        }
    }

    fn host(&mut self, what: &str) {
        match what.split_once(' ').unwrap_or((what, "")) {
            ("hold", _) => self.net.ftp.storage().held = true,
            ("release", _) => self.net.ftp.storage().held = false,
            ("fail", error) => self.net.ftp.storage().failure = Some(failure(error)),
            ("no", "port") => self.net.refusal = Some(ConnectError::NoPort),
            ("no", "slot") => self.net.refusal = Some(ConnectError::NoSlot),
            ("shutdown", time) => {
                self.net.ftp.shutdown(self.net.now + span(time));
                self.net.wake(self.at);
            }
            _ => panic!("{}: {what} cannot be done", self.place),
        }
    }

    fn file(&mut self, what: &str) {
        let place = &self.place;
        if let Some(path) = what.strip_suffix(" (absent)") {
            return assert!(self.net.ftp.storage().content(path).is_none(), "{place}: it is there");
        }
        let (path, content) = what.split_once(" = ").expect("a path and its content");
        let found = self.net.ftp.storage().content(path).expect("the file");
        assert_eq!(text(&found), text(&bytes(content)), "{place}: left is in storage");
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
