//! Nothing in the library allocates: an FTP server is put on the memory that it is lent, and then
//! every allocation of this thread is counted while clients come and go.

// The allocator that counts is the only unsafe code here.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::net::SocketAddr;

use tinyftp::auth::{Account, Accounts, Grant, Rights};
use tinyftp::ftp::{Config, Desk, Ftp, Session};
use tinyftp::service::{Action, Data, Io, Service, SessionId};
use tinyftp::storage::ram::{Block, Node, RamDisk};
use tinyftp::stream::{Status, Stream};
use tinyftp::time::{Duration, Instant};

/// The longest line, and the longest path.
const LINE: usize = 128;
/// Bytes of a buffer of a connection: those of the longest reply, and more.
const BUFFER: usize = 1024;
/// Polls until a command must be done.
const POLLS_MAX: usize = 1000;
/// From one poll to the next.
const A_TURN: Duration = Duration::from_micros(100);
/// Sessions, one after the other.
const SESSIONS: usize = 40;

/// A file of several buffers, and of several blocks of the disk.
const FILE: [u8; 3000] = {
    let mut file = [0; 3000];
    let mut i = 0;
    while i < file.len() {
        file[i] = (i % 251) as u8;
        i += 1;
    }
    file
};

/// What a client says, and the code of the final reply.
const SESSION: [(&str, u16); 44] = [
    ("USER anonymous", 331),
    ("PASS me@example.org", 230),
    ("NOOP", 200),
    ("SYST", 215),
    ("FEAT", 211),
    ("HELP", 214),
    ("HELP STOR", 214),
    ("STAT", 211),
    ("BOGUS", 500),
    ("TYPE I", 200),
    ("MODE S", 200),
    ("STRU F", 200),
    ("OPTS UTF8 ON", 200),
    ("PWD", 257),
    ("MKD directory", 257),
    ("MKD directory", 550),
    ("CWD directory", 250),
    ("PASV", 227),
    ("STOR file", 226),
    ("EPSV", 229),
    ("APPE file", 226),
    ("SIZE file", 213),
    ("MDTM file", 213),
    ("MLST file", 250),
    ("STAT file", 212),
    ("HASH file", 213),
    ("XCRC file", 250),
    ("REST 3000", 350),
    ("PASV", 227),
    ("RETR file", 226),
    ("PASV", 227),
    ("RETR nothing", 550),
    ("PASV", 227),
    ("LIST -la", 226),
    ("PASV", 227),
    ("NLST *", 226),
    ("EPSV", 229),
    ("MLSD", 226),
    ("RNFR file", 350),
    ("RNTO other", 250),
    ("DELE other", 250),
    ("CDUP", 250),
    ("RMD directory", 250),
    ("QUIT", 221),
];

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The allocator of the system, with a count of what each thread asks of it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    fn count() {
        // No thread counts any more while it ends.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
    }
}

// SAFETY: the allocator of the system does it all. The count is in a thread-local that needs
// neither memory nor a destructor, so counting does not come back here.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count();
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

/// How often this thread has asked for memory while `work` was done.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// Bytes on their way in one direction.
struct Buffer {
    bytes: [u8; BUFFER],
    len: usize,
}

impl Buffer {
    const EMPTY: Self = Self { bytes: [0; BUFFER], len: 0 };

    fn consume(&mut self, n: usize) {
        self.bytes.copy_within(n..self.len, 0);
        self.len -= n;
    }

    /// Takes as much of `bytes` as there is room for, and leaves the rest there.
    fn fill(&mut self, bytes: &mut &[u8]) {
        let n = bytes.len().min(BUFFER - self.len);
        let (now, later) = bytes.split_at(n);
        self.bytes[self.len..self.len + n].copy_from_slice(now);
        self.len += n;
        *bytes = later;
    }
}

/// A connection, as the server sees it.
struct Pipe {
    receive: Buffer,
    transmit: Buffer,
    peer_finished: bool,
    finished: bool,
}

impl Pipe {
    const NEW: Self = Self {
        receive: Buffer::EMPTY,
        transmit: Buffer::EMPTY,
        peer_finished: false,
        finished: false,
    };
}

impl Stream for Pipe {
    fn readable(&mut self) -> &[u8] {
        &self.receive.bytes[..self.receive.len]
    }

    fn consume(&mut self, n: usize) {
        self.receive.consume(n);
    }

    fn writable(&mut self) -> &mut [u8] {
        &mut self.transmit.bytes[self.transmit.len..]
    }

    fn commit(&mut self, n: usize) {
        self.transmit.len += n;
    }

    fn room(&self) -> usize {
        BUFFER - self.transmit.len
    }

    fn finish(&mut self) {
        self.finished = true;
    }

    fn status(&self) -> Status {
        let delivered = self.finished && self.transmit.len == 0;
        match (delivered, self.peer_finished) {
            (true, true) => Status::Closed,
            (true, false) => Status::Delivered,
            (false, true) => Status::PeerFinished,
            (false, false) => Status::Open,
        }
    }
}

/// The data connection.
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation")]
enum DataEnd {
    Absent,
    Listening,
    Open(Pipe),
}

/// A client, which sends the file when it stores one, and has the bytes checked that it gets.
struct Client<'f> {
    id: SessionId,
    control: Pipe,
    data: DataEnd,
    upload: &'f [u8],
    /// Bytes that came over data connections.
    downloaded: usize,
    is_closed: bool,
    now: Instant,
}

type Server<'a> = Ftp<'a, RamDisk<'a>, Accounts<'a>, LINE>;

impl Client<'_> {
    fn connect(ftp: &mut Server<'_>) -> Self {
        let id = ftp.open(address(21), address(40_000), Instant::ZERO).expect("no session is free");
        let (control, data) = (Pipe::NEW, DataEnd::Absent);
        let mut client = Self {
            id,
            control,
            data,
            upload: &[],
            downloaded: 0,
            is_closed: false,
            now: Instant::ZERO,
        };
        assert_eq!(client.final_reply(ftp), 220);
        client
    }

    /// Says a line, and returns the code of the final reply to it.
    fn say(&mut self, ftp: &mut Server<'_>, line: &str) -> u16 {
        self.control.receive.fill(&mut line.as_bytes());
        self.control.receive.fill(&mut &b"\r\n"[..]);
        let is_upload = line.starts_with("STOR") || line.starts_with("APPE");
        self.upload = if is_upload { &FILE } else { &[] };
        if let DataEnd::Listening = self.data
            && !line.starts_with("PASV")
            && !line.starts_with("EPSV")
        {
            self.data = DataEnd::Open(Pipe { peer_finished: !is_upload, ..Pipe::NEW });
        }
        self.final_reply(ftp)
    }

    /// Polls the session until it has replied, and reads that.
    fn final_reply(&mut self, ftp: &mut Server<'_>) -> u16 {
        let mut last = 0;
        for _ in 0..POLLS_MAX {
            self.poll(ftp);
            self.move_data();
            let Buffer { bytes, len } = &mut self.control.transmit;
            let code =
                bytes[..*len].split(|&byte| byte == b'\n').filter_map(end_of_reply).next_back();
            *len = 0;
            last = code.unwrap_or(last);
            if last >= 200 && (last != 221 || self.is_closed) {
                return last;
            }
        }
        panic!("there is no final reply, the last one was {last}");
    }

    fn poll(&mut self, ftp: &mut Server<'_>) {
        let data = match &mut self.data {
            DataEnd::Absent => Data::Absent,
            DataEnd::Listening => Data::Opening(address(50_000)),
            DataEnd::Open(pipe) => Data::Open(pipe),
        };
        let io = Io { control: &mut self.control, data, listed: None };
        self.now = self.now + A_TURN;
        match ftp.poll(self.id, io, self.now) {
            Action::Listen => self.data = DataEnd::Listening,
            Action::DropData => self.data = DataEnd::Absent,
            Action::Close => self.is_closed = true,
            Action::Connect { .. } | Action::Connections(_) => panic!("nobody has asked for this"),
            Action::Wait(_) | Action::Pending | Action::Yield => {}
        }
    }

    /// What the network does for the data connection.
    fn move_data(&mut self) {
        if let DataEnd::Open(pipe) = &mut self.data {
            pipe.receive.fill(&mut self.upload);
            pipe.peer_finished |= self.upload.is_empty();
            self.downloaded += pipe.transmit.len;
            pipe.transmit.len = 0;
        }
    }
}

/// The code of a line that ends a reply (RFC 959 section 4.2).
fn end_of_reply(line: &[u8]) -> Option<u16> {
    let code = line.get(..4)?.strip_suffix(b" ")?;
    str::from_utf8(code).ok()?.parse().ok()
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

/// A session from its beginning to its end. Returns how many transfers there were.
fn play(ftp: &mut Server<'_>) -> usize {
    let mut client = Client::connect(ftp);
    let mut transfers = 0;
    for (line, code) in SESSION {
        let before = client.downloaded;
        assert_eq!(client.say(ftp, line), code, "{line}");
        transfers += usize::from(code == 226);
        if line == "RETR file" {
            assert_eq!(client.downloaded - before, FILE.len());
        }
    }
    ftp.close(client.id);
    transfers
}

#[test]
fn nothing_is_allocated_once_the_server_runs() {
    assert!(allocations(|| drop(black_box(Box::new(1)))) > 0, "allocations are not counted");

    let (mut nodes, mut blocks) = ([Node::EMPTY; 8], [Block::EMPTY; 32]);
    let mut sessions: [Session<_, LINE>; 2] = Default::default();
    let mut desks = [const { MaybeUninit::<Desk<_, LINE>>::uninit() }; 2];
    let anonymous = Some(Account::anonymous(Grant::new(Rights::ALL)));
    let accounts = Accounts { accounts: &mut [], anonymous };
    let mut transfers = 0;
    let allocations = allocations(|| {
        let disk = RamDisk::new(&mut nodes, &mut blocks);
        let mut ftp = Ftp::new(disk, accounts, Config::default(), &mut sessions, &mut desks);
        for _ in 0..SESSIONS {
            transfers += play(&mut ftp);
        }
    });
    let commands = SESSIONS * SESSION.len();
    assert!(commands >= 1000 && transfers >= 100, "{commands} commands, {transfers} transfers");
    assert_eq!(allocations, 0, "after {commands} commands and {transfers} transfers");
}
