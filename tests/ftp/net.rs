//! A network in memory: it carries out the [`Action`]s of the server as `net` does, on a clock
//! that stands still until the test lets it run.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use tinyftp::auth::{Account, Accounts, Grant, Rights};
use tinyftp::connection::{self, Connection, Listed, State, Transport};
use tinyftp::ftp::{Codec, Config, Ftp, Session};
use tinyftp::service::{Action, ConnectError, Data, Io, Service, SessionId};
use tinyftp::storage::ram::{Block, Node, RamDisk};
use tinyftp::stream::{Status, Stream};
use tinyftp::time::{Instant, Timestamp};

use crate::watched::Watched;
use crate::wire::Wire;
use crate::zlib::Oxide;

/// The longest line, and the longest path.
pub const LINE: usize = 256;
/// The longest reply.
pub const REPLY_MAX: usize = Ftp::<Watched<'static>, Accounts<'static>, LINE>::REPLY_MAX;
/// 2026-11-21 12:34:56.
pub const DATE: Timestamp = Timestamp(1_795_264_496);

/// Actions in a row that are followed by another poll at once, while no command is taken: more
/// are an endless chain.
const CHAIN_MAX: usize = 4;
/// Polls of storage that one poll of a session makes, at most.
const SHARE_MAX: u64 = 400;
/// Turns without anything that moves, before it is quiet.
const QUIET_TURNS: usize = 64;
/// How near a deadline is that everybody waits for.
const AT_ONCE: Duration = Duration::from_micros(200);
/// Turns until it must be quiet.
const TURNS_MAX: usize = 1_000_000;

/// What a test may choose.
#[derive(Clone)]
pub struct Setup {
    pub config: Config,
    pub accounts: Vec<Account<'static>>,
    pub sessions: usize,
    /// Sessions that may be at work at once.
    pub desks: usize,
    /// Sessions that may be in MODE Z at once.
    pub codecs: usize,
    /// Bytes of each buffer of a control connection.
    pub control: usize,
    /// Bytes of each buffer of a data connection.
    pub data: usize,
    pub nodes: usize,
    pub blocks: usize,
    pub local: SocketAddr,
    pub client: SocketAddr,
}

impl Default for Setup {
    fn default() -> Self {
        let config = Config { start: DATE, ..Config::default() };
        Self {
            config,
            accounts: vec![
                Account::new("anna", "secret", Grant::new(Rights::ALL)),
                Account::new("otto", "", Grant::new(Rights::NONE)),
            ],
            sessions: 4,
            desks: 16,
            codecs: 0,
            control: 1024,
            data: 1024,
            nodes: 24,
            blocks: 64,
            local: SocketAddr::from(([192, 0, 2, 1], 21)),
            client: SocketAddr::from(([192, 0, 2, 2], 40_000)),
        }
    }
}

/// The data connection of a session, as the network sees it.
pub enum DataEnd {
    Absent,
    Listening(SocketAddr),
    Connecting { remote: SocketAddr, local: SocketAddr },
    Open(Wire),
    Failed(ConnectError),
}

impl DataEnd {
    fn lend(&mut self) -> Data<'_> {
        match self {
            DataEnd::Absent => Data::Absent,
            DataEnd::Listening(local) | DataEnd::Connecting { local, .. } => Data::Opening(*local),
            DataEnd::Open(wire) => Data::Open(wire),
            DataEnd::Failed(error) => Data::Failed(*error),
        }
    }
}

/// When a session is to be polled, unless one of its streams moves before.
enum Wake {
    Now,
    At(Option<Instant>),
}

/// A client, with its control connection and its data connection.
pub struct Client {
    id: Option<SessionId>,
    pub control: Wire,
    pub data: DataEnd,
    /// The last data connection that the server let go of; what it queued still arrives.
    pub dropped: Option<Wire>,
    /// Data connections that the server asked for.
    pub asked: usize,
    /// Whether the client reads its replies.
    pub reads: bool,
    /// The replies that it has read.
    pub replies: Vec<u8>,
    wake: Wake,
    peer: SocketAddr,
    since: Instant,
    /// What its session has asked for.
    listed: Option<Listed>,
}

impl Client {
    /// Whether the server has closed the control connection.
    pub fn closed(&self) -> bool {
        self.id.is_none()
    }

    /// The replies since the last call.
    pub fn take_replies(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.replies)).into_owned()
    }

    /// The data connection, or what is left of the last one.
    pub fn data_wire(&mut self) -> Option<&mut Wire> {
        match &mut self.data {
            DataEnd::Open(wire) => Some(wire),
            _ => self.dropped.as_mut(),
        }
    }

    fn drop_data(&mut self) {
        if let DataEnd::Open(mut wire) = std::mem::replace(&mut self.data, DataEnd::Absent) {
            if !wire.is_finished() {
                wire.take();
                wire.reset();
            }
            self.dropped = Some(wire);
        }
    }

    /// Whether a segment arrived.
    fn arrive(&mut self) -> bool {
        let data = match &mut self.data {
            DataEnd::Open(wire) => wire.arrive(),
            _ => false,
        };
        self.control.arrive() | data
    }

    fn read(&mut self) -> bool {
        let news = if self.reads { self.control.take() } else { Vec::new() };
        self.replies.extend_from_slice(&news);
        !news.is_empty()
    }
}

/// A server and its clients.
pub struct Net<'s, 'd> {
    pub ftp: Ftp<'s, Watched<'d>, Accounts<'s>, LINE>,
    pub clients: Vec<Client>,
    pub now: Instant,
    pub setup: Setup,
    /// The next passive port.
    port: u16,
    /// What becomes of the next Listen or Connect, if not what the client makes of it.
    pub refusal: Option<ConnectError>,
    /// Polls sessions that have nothing to do, too: that must change nothing.
    pub restless: bool,
    /// The most bytes that a poll of a session has read from storage.
    pub most_read: u64,
}

thread_local! {
    /// The codecs of tests before: what they compress with lives for ever.
    static CODECS: RefCell<Vec<Codec>> = const { RefCell::new(Vec::new()) };
}

fn codec() -> Codec {
    Codec::new(Box::leak(Box::new(Oxide::new())))
}

/// Runs `test` with a server, and checks that nothing is left of it afterwards.
pub fn with_net(setup: Setup, test: impl FnOnce(&mut Net<'_, '_>)) {
    let mut nodes: Vec<Node> = (0..setup.nodes).map(|_| Node::EMPTY).collect();
    let mut blocks: Vec<Block> = (0..setup.blocks).map(|_| Block::EMPTY).collect();
    let mut sessions: Vec<Session<_, LINE>> = Vec::new();
    sessions.resize_with(setup.sessions, Session::default);
    let mut desks = Box::new_uninit_slice(setup.desks);
    let disk = RamDisk::new(&mut nodes, &mut blocks);
    let mut list = setup.accounts.clone();
    let anonymous = Some(Account::anonymous(Grant::new(Rights::READ_ONLY)));
    let accounts = Accounts { accounts: &mut list, anonymous };
    let mut codecs = CODECS.take();
    codecs.resize_with(codecs.len().max(setup.codecs), codec);
    let ftp = Ftp::new(Watched::new(disk), accounts, setup.config, &mut sessions, &mut desks);
    let ftp = ftp.with_codecs(&mut codecs[..setup.codecs]);
    assert!(setup.control >= REPLY_MAX, "no room for a reply");
    let mut net = Net {
        ftp,
        clients: Vec::new(),
        now: Instant::ZERO,
        setup,
        port: 50_000,
        refusal: None,
        restless: false,
        most_read: 0,
    };
    test(&mut net);
    net.end();
    CODECS.set(codecs);
}

impl Net<'_, '_> {
    /// Another client connects. `None`: the connection was reset.
    pub fn connect(&mut self) -> Option<usize> {
        let mut peer = self.setup.client;
        peer.set_port(peer.port() + self.clients.len() as u16);
        let id = self.ftp.open(self.setup.local, peer, self.now)?;
        self.clients.push(Client {
            id: Some(id),
            control: Wire::new(self.setup.control),
            data: DataEnd::Absent,
            dropped: None,
            asked: 0,
            reads: true,
            replies: Vec::new(),
            wake: Wake::Now,
            peer,
            since: self.now,
            listed: None,
        });
        Some(self.clients.len() - 1)
    }

    /// One turn of the network; whether anything moved.
    fn turn(&mut self) -> bool {
        let mut moved = false;
        for at in 0..self.clients.len() {
            let client = &mut self.clients[at];
            let arrived = client.arrive();
            let due = match client.wake {
                Wake::Now => true,
                Wake::At(deadline) => deadline.is_some_and(|at| at <= self.now),
            };
            if arrived || due || self.restless {
                moved |= self.poll(at) | arrived;
            }
            if self.clients[at].read() {
                self.clients[at].wake = Wake::Now;
                moved = true;
            }
        }
        moved
    }

    /// Polls a session as the contract wants it; whether it may have more to do.
    fn poll(&mut self, at: usize) -> bool {
        let (mut moved, mut chain) = (false, 0);
        while chain < CHAIN_MAX {
            let client = &mut self.clients[at];
            let Some(id) = client.id else { return moved };
            let (ready, read) = (self.ftp.storage().ready, self.ftp.storage().read);
            let broken = client.control.status() == Status::Broken;
            let unread = client.control.unread();
            let (data, listed) = (client.data.lend(), client.listed.take());
            let io = Io { control: &mut client.control, data, listed: listed.as_ref() };
            let action = self.ftp.poll(id, io, self.now);
            moved |= self.ftp.storage().ready != ready;
            self.most_read = self.most_read.max(self.ftp.storage().read - read);
            assert!(self.ftp.storage().ready - ready <= SHARE_MAX, "more than its share");
            // Clients are confused by a reply that comes in pieces.
            assert!(client.control.is_at_line_end(), "half a reply is queued");
            assert!(!broken || action == Action::Close, "{action:?} after a reset");
            client.wake = Wake::At(None);
            chain = if client.control.unread() < unread { 0 } else { chain + 1 };
            match action {
                Action::Wait(deadline) => {
                    assert!(deadline.is_none_or(|at| at > self.now), "waits for what is past");
                    client.wake = Wake::At(deadline);
                    return moved;
                }
                Action::Pending => {
                    client.wake = Wake::Now;
                    return moved;
                }
                Action::Yield => {
                    client.wake = Wake::Now;
                    return true;
                }
                Action::Listen => self.listen(at),
                Action::Connect { remote, local_port } => self.dial(at, remote, local_port),
                Action::DropData => client.drop_data(),
                Action::Connections(place) => {
                    client.wake = Wake::Now;
                    self.clients[at].listed = Some(self.next_connection(place));
                    return true;
                }
                Action::Close => {
                    client.id = None;
                    client.drop_data();
                    self.ftp.close(id);
                    return true;
                }
            }
            moved = true;
        }
        panic!("an endless chain of actions");
    }

    /// The port is in the first place; then there is one for each client that has come.
    fn next_connection(&self, place: usize) -> Listed {
        let places = 1 + self.clients.len();
        let next = (place + 1 < places).then_some(place + 1);
        let Some(at) = place.checked_sub(1) else {
            return Listed { connection: Some(self.port_connection()), next };
        };
        let there = self.clients.get(at).and_then(|client| Some((client, client.id?)));
        let connection = there.map(|(client, id)| Connection {
            local: self.setup.local,
            foreign: client.peer,
            state: Some(State::Established),
            account: self.ftp.account(id).into(),
            age: self.now.since(client.since),
            ..self.port_connection()
        });
        Listed { connection, next }
    }

    fn port_connection(&self) -> Connection {
        let anybody = SocketAddr::from(([0; 4], 0));
        Connection {
            transport: Transport::Tcp,
            receive_queue: 0,
            send_queue: 0,
            local: SocketAddr::new(anybody.ip(), self.setup.local.port()),
            foreign: anybody,
            state: Some(State::Listen),
            service: "ftp",
            data: false,
            account: connection::Account::default(),
            received: 0,
            sent: 0,
            age: self.now.since(Instant::ZERO),
        }
    }

    fn listen(&mut self, at: usize) {
        let local = SocketAddr::new(self.setup.local.ip(), self.port);
        self.port += 1;
        self.offer(at, DataEnd::Listening(local));
    }

    fn dial(&mut self, at: usize, remote: SocketAddr, local_port: u16) {
        let local = SocketAddr::new(self.setup.local.ip(), local_port);
        self.offer(at, DataEnd::Connecting { remote, local });
    }

    fn offer(&mut self, at: usize, data: DataEnd) {
        let client = &mut self.clients[at];
        client.drop_data();
        client.asked += 1;
        client.data = match self.refusal.take() {
            Some(error) => DataEnd::Failed(error),
            None => data,
        };
    }

    // The client's end of the data connection.

    /// The data connection comes about, from whichever side: the client connects to the
    /// announced port, or accepts.
    pub fn open_data(&mut self, at: usize) -> &mut Wire {
        let client = &mut self.clients[at];
        let awaited = matches!(client.data, DataEnd::Listening(_) | DataEnd::Connecting { .. });
        assert!(awaited, "there is nothing to connect to");
        client.data = DataEnd::Open(Wire::new(self.setup.data));
        client.wake = Wake::Now;
        client.data_wire().expect("it is open")
    }

    /// The data connection fails.
    pub fn fail_data(&mut self, at: usize, error: ConnectError) {
        self.clients[at].data = DataEnd::Failed(error);
        self.wake(at);
    }

    /// Something about the client has changed.
    pub fn wake(&mut self, at: usize) {
        self.clients[at].wake = Wake::Now;
    }

    /// Takes all that the data connection brings; the end is not acknowledged.
    pub fn receive(&mut self, at: usize) -> Vec<u8> {
        let mut received = Vec::new();
        loop {
            let news = self.clients[at].data_wire().map(Wire::take).unwrap_or_default();
            if news.is_empty() {
                return received;
            }
            received.extend_from_slice(&news);
            self.wake(at);
            self.settle();
        }
    }

    // Time.

    /// Runs for some turns.
    pub fn turns(&mut self, count: usize) {
        for _ in 0..count {
            self.turn();
        }
    }

    /// Runs until nothing moves, while the clock stands still.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..TURNS_MAX {
            let waits = |client: &Client| matches!(client.wake, Wake::Now);
            quiet = if self.turn() { 0 } else { quiet + 1 };
            let nothing = !self.clients.iter().any(|client| !client.closed() && waits(client));
            if quiet > QUIET_TURNS || (quiet > 1 && nothing) {
                match self.due_at_once() {
                    Some(due) => (self.now, quiet) = (due, 0),
                    None => return,
                }
            }
        }
        panic!("it never comes to rest");
    }

    /// The next deadline, if that is so near that everybody waits for it.
    fn due_at_once(&self) -> Option<Instant> {
        let deadlines = self.clients.iter().filter(|client| !client.closed());
        let deadlines = deadlines.filter_map(|client| match client.wake {
            Wake::At(deadline) => deadline.filter(|&at| at > self.now),
            Wake::Now => None,
        });
        deadlines.min().filter(|&at| at <= self.now + AT_ONCE)
    }

    /// Lets `span` go by: the clock jumps from one deadline to the next.
    pub fn elapse(&mut self, span: Duration) {
        let until = self.now + span;
        self.settle();
        while let Some(next) = self.next_deadline().filter(|&at| at <= until) {
            self.now = next;
            self.settle();
        }
        self.now = until;
        self.settle();
    }

    fn next_deadline(&self) -> Option<Instant> {
        let deadline = |client: &Client| match client.wake {
            Wake::At(deadline) if !client.closed() => deadline,
            _ => None,
        };
        self.clients.iter().filter_map(deadline).min()
    }

    // Lines.

    /// Sends a line, lets it be answered, and returns what the client has read since.
    pub fn say(&mut self, at: usize, line: &str) -> String {
        self.send(at, format!("{line}\r\n").as_bytes());
        self.clients[at].take_replies()
    }

    /// Sends bytes over the control connection and lets them be answered.
    pub fn send(&mut self, at: usize, bytes: &[u8]) {
        self.clients[at].control.send(bytes);
        self.settle();
    }

    /// Logs in as somebody who may do everything.
    pub fn log_in(&mut self, at: usize) {
        self.settle();
        self.clients[at].take_replies();
        assert_eq!(self.say(at, "USER anna"), "331 Password please\r\n");
        assert_eq!(self.say(at, "PASS secret"), "230 Logged in\r\n");
    }

    /// The end of a test: all clients go, and nothing of theirs may be left.
    fn end(&mut self) {
        for client in &mut self.clients {
            client.control.reset();
            client.wake = Wake::Now;
        }
        self.settle();
        assert!(self.clients.iter().all(Client::closed), "a session outlives its connection");
        let (nodes, blocks) = (self.setup.nodes, self.setup.blocks);
        let storage = self.ftp.storage();
        assert_eq!(storage.live, 0, "jobs that nobody has ended");
        storage.wipe();
        assert_eq!(storage.disk.free_nodes(), nodes, "nodes leak");
        assert_eq!(storage.disk.free_blocks(), blocks, "blocks leak");
    }
}
