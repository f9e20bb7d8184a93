//! A network in memory: a virtual clock that jumps to the next event, a wire with faults, the
//! server at one end of it and hosts at the other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use smoltcp::iface::{Config as HostConfig, Interface, SocketSet, SocketStorage};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::Socket;
use smoltcp::socket::udp::PacketMetadata;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, Ipv4Address, Ipv6Address};
use tinyftp::auth::{Account, Accounts, Grant, Rights};
use tinyftp::connection::Connection;
use tinyftp::ftp::{Config as FtpConfig, Ftp};
use tinyftp::net::{
    Address, Binding, Bucket, Buffers, Config, HostName, Memory, Net, Outbox, Route, Slot, Timer,
};
use tinyftp::service::{
    Action, ConnectError, Datagram, DatagramService, Emission, Io, Service, SessionId,
};
use tinyftp::services::daytime::Daytime;
use tinyftp::services::discard::Discard;
use tinyftp::services::echo::Echo;
use tinyftp::services::simple::Simple;
use tinyftp::storage::Path;
use tinyftp::storage::ram::{Block, Node, RamDisk};
use tinyftp::time::{Duration, Instant, Timestamp};

use crate::offload;
use crate::stuck::Hanging;
use crate::wire::{self, Mac, Seen, Segment};

pub const SERVER_MAC: Mac = EthernetAddress([2, 0, 0, 0, 0, 1]);
pub const SERVER_V4: Ipv4Address = Ipv4Address::new(192, 168, 69, 1);
pub const SERVER_V6: Ipv6Address = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
/// RFC 4291 appendix A.
pub const SERVER_LINK_LOCAL: Ipv6Address = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);
pub const GATEWAY_V4: Ipv4Address = Ipv4Address::new(192, 168, 69, 254);
pub const GATEWAY_V6: Ipv6Address = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 0xfe);
pub const FTP: u16 = 21;
pub const ECHO: u16 = 7;
pub const DISCARD: u16 = 9;
pub const DAYTIME: u16 = 13;
pub const DAYTIME_ADDRESSES: [IpAddr; 1] = [IpAddr::V4(SERVER_V4)];
pub const BEACON: u16 = 5000;
pub const GROUPS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Address::new(239, 1, 2, 3)),
    IpAddr::V6(Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 0x99)),
];
/// Seconds since 1970 when the clock stood at zero.
pub const DATE: u64 = 1_795_326_203;
/// Ports from here on belong to raw peers: the stacks of hosts are not told of them.
pub const FIRST_RAW_PORT: u16 = 60_000;

/// How long a server speaks of its addresses when it starts.
const START: Micros = 10 * S;
/// Turns that the server may want in one and the same instant.
const TURNS_AT_ONCE: u32 = 10_000;

/// Frames that are received in one turn, or sent by one slot in one turn, at most.
const FRAMES_A_TURN: usize = 64;

/// Microseconds of virtual time.
pub type Micros = u64;
pub const MS: Micros = 1_000;
pub const S: Micros = 1_000_000;

/// The one source of chance: the same seed gives the same run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2_654_435_761).wrapping_add(88_172_645_463_325_252))
    }

    pub fn next(&mut self) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    pub fn below(&mut self, n: u32) -> u32 {
        self.next() % n.max(1)
    }

    pub fn percent(&mut self, n: u32) -> bool {
        self.below(100) < n
    }
}

/// Bytes that tell where they stand, so that no two parts of a file are alike.
pub fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..len).map(|_| random.next() as u8).collect()
}

/// What the wire does to frames.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    pub latency: Micros,
    /// Per cent of frames that are lost.
    pub loss: u32,
    /// Per cent of frames that are overtaken by those behind them.
    pub reorder: u32,
    /// Per cent of frames that arrive twice.
    pub duplicate: u32,
}

impl Faults {
    pub const NONE: Self = Self { latency: MS, loss: 0, reorder: 0, duplicate: 0 };
}

/// How large the server is.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub control: usize,
    /// Connections to discard, of 4096 bytes in each buffer.
    pub bulk: usize,
    pub data: usize,
    pub control_receive: usize,
    pub control_transmit: usize,
    pub data_receive: usize,
    pub data_transmit: usize,
    pub passive_ports: (u16, u16),
    pub seed: u128,
    pub addresses: &'static [Address],
    pub routes: &'static [Route],
    pub host_name: Option<&'static HostName>,
    pub mtu: usize,
    /// Whether its device computes checksums, and cuts and merges segments.
    pub offload: bool,
}

/// How long a session of the server may be idle.
pub const IDLE: Micros = 60 * S;

impl Shape {
    /// As on a microcontroller.
    pub const SMALL: Self = Self {
        control: 4,
        bulk: 0,
        data: 2,
        control_receive: 512,
        control_transmit: 1024,
        data_receive: 4096,
        data_transmit: 4096,
        passive_ports: (50_000, 50_999),
        seed: 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978,
        addresses: &[
            Address::Fixed(IpCidr::new(IpAddress::Ipv4(SERVER_V4), 24)),
            Address::Fixed(IpCidr::new(IpAddress::Ipv6(SERVER_V6), 64)),
        ],
        routes: &[
            Route::default_via(IpAddress::Ipv4(GATEWAY_V4)),
            Route::default_via(IpAddress::Ipv6(GATEWAY_V6)),
        ],
        host_name: None,
        mtu: 1500,
        offload: false,
    };
    /// All receive buffers larger than a window without scaling can tell.
    pub const LARGE: Self = Self {
        control: 8,
        data: 4,
        control_receive: 128 * 1024,
        control_transmit: 64 * 1024,
        data_receive: 1024 * 1024,
        data_transmit: 256 * 1024,
        ..Self::SMALL
    };
    /// As on Linux.
    pub const OFFLOAD: Self = Self { data_transmit: 1024 * 1024, offload: true, ..Self::LARGE };
}

/// An end of the wire: frames that came, frames that go.
pub struct Port {
    pub inbox: VecDeque<Vec<u8>>,
    pub outbox: Vec<Vec<u8>>,
    /// Frames that it takes in one turn, if there is a limit.
    pub room: Option<usize>,
    /// Bytes of the longest IP packet.
    pub mtu: usize,
    pub offload: bool,
    /// Frames that it has taken since they were last counted, before they were cut.
    pub taken: usize,
    pub longest_sent: usize,
    pub longest_received: usize,
}

impl Default for Port {
    fn default() -> Self {
        Self {
            inbox: VecDeque::new(),
            outbox: Vec::new(),
            room: None,
            mtu: 1500,
            offload: false,
            taken: 0,
            longest_sent: 0,
            longest_received: 0,
        }
    }
}

pub struct Received(Vec<u8>);

pub struct Sender<'p> {
    port: &'p mut Port,
    /// Bytes of payload of each segment, if it is to be more than one.
    segment: Option<usize>,
}

impl<'p> Sender<'p> {
    fn new(port: &'p mut Port) -> Self {
        Self { port, segment: None }
    }
}

impl Device for Port {
    type RxToken<'p> = Received;
    type TxToken<'p> = Sender<'p>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sender<'_>)> {
        let frame = self.inbox.pop_front()?;
        self.longest_received = self.longest_received.max(frame.len());
        Some((Received(frame), Sender::new(self)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sender<'_>> {
        let full = self.room.is_some_and(|room| self.outbox.len() >= room);
        (!full).then(|| Sender::new(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.mtu + 14;
        if self.offload {
            offload::declare(&mut capabilities);
        }
        capabilities
    }
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Sender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.port.taken += 1;
        self.port.longest_sent = self.port.longest_sent.max(len);
        match self.port.offload {
            true => self.port.outbox.extend(offload::cut(frame, self.segment, self.port.mtu)),
            false => self.port.outbox.push(frame),
        }
        result
    }

    #[cfg(feature = "host")]
    fn set_meta(&mut self, meta: smoltcp::phy::PacketMeta) {
        self.segment = meta.segmentation_offload_size.map(|size| size.get().into());
    }
}

/// The server under test. It gets a turn when a frame came or when it asked for one, and at
/// no other time: a wake-up that it forgets is missed.
pub struct Server {
    pub net: Net<'static>,
    pub services: Services,
    pub port: Port,
    pub due: Option<Micros>,
    /// Turns that it had.
    pub turns: u64,
}

/// What runs behind its ports.
pub struct Services {
    pub ftp: Ftp<'static, Hanging, Accounts<'static>, 256>,
    echo: Simple<'static, Echo>,
    discard: Simple<'static, Discard>,
    daytime: Simple<'static, Daytime>,
    echo_udp: Echo,
    discard_udp: Discard,
    daytime_udp: Daytime,
    pub beacon: Beacon,
    pub caller: Caller,
}

/// The row of [`Caller`] in the service table.
pub const CALLER: usize = 8;

impl Services {
    pub fn table(&mut self) -> [Binding<'_>; 9] {
        [
            Binding::tcp("ftp", FTP, &mut self.ftp),
            Binding::tcp("echo", ECHO, &mut self.echo),
            Binding::tcp("discard", DISCARD, &mut self.discard).bulk(),
            Binding::tcp("daytime", DAYTIME, &mut self.daytime),
            Binding::udp("echo", ECHO, &mut self.echo_udp),
            Binding::udp("discard", DISCARD, &mut self.discard_udp),
            // At one address only.
            Binding::udp("daytime", DAYTIME, &mut self.daytime_udp).at(&DAYTIME_ADDRESSES),
            Binding::udp("beacon", BEACON, &mut self.beacon),
            Binding::tcp("caller", 0, &mut self.caller),
        ]
    }
}

/// The client's side of echo: for each connection that it is given it says hello, and hangs up
/// when it has heard it.
#[derive(Default)]
pub struct Caller {
    pub opened: Vec<(SocketAddr, SocketAddr)>,
    pub refused: Vec<SocketAddr>,
    pub heard: Vec<u8>,
    /// Whether it has said all with that.
    pub finishes: bool,
    said: usize,
}

impl Service for Caller {
    fn open(&mut self, local: SocketAddr, peer: SocketAddr, _: Instant) -> Option<SessionId> {
        self.opened.push((local, peer));
        Some(self.opened.len())
    }

    fn refused(&mut self, peer: SocketAddr) {
        self.refused.push(peer);
    }

    fn poll(&mut self, id: SessionId, io: Io<'_>, _: Instant) -> Action {
        assert_eq!(id, self.opened.len(), "one at a time");
        if self.said < self.opened.len() {
            self.said += 1;
            io.control.write(b"hello");
            if self.finishes {
                io.control.finish();
            }
        }
        let bytes = io.control.readable();
        self.heard.extend_from_slice(bytes);
        let n = bytes.len();
        io.control.consume(n);
        if self.heard.len() < 5 { Action::Wait(None) } else { Action::Close }
    }

    fn close(&mut self, _: SessionId) {}

    fn shutdown(&mut self, _: Instant) {}
}

/// A service that listens to groups, and says to each what it is told to, when it is time.
#[derive(Default)]
pub struct Beacon {
    pub heard: Vec<(SocketAddr, Vec<u8>)>,
    pub to_say: VecDeque<(Micros, SocketAddr, Vec<u8>)>,
    pub addresses: Vec<IpAddr>,
}

impl DatagramService for Beacon {
    fn answer(&mut self, datagram: &Datagram<'_>, reply: &mut [u8], _: Instant) -> Option<usize> {
        self.heard.push((datagram.local, datagram.payload.to_vec()));
        reply[..5].copy_from_slice(b"heard");
        Some(5)
    }

    fn groups(&self) -> &[IpAddr] {
        &GROUPS
    }

    fn poll(&mut self, addresses: &[IpAddr], message: &mut [u8], now: Instant) -> Emission {
        self.addresses = addresses.to_vec();
        match self.to_say.front() {
            Some(&(at, ..)) if at > now.as_micros() => Emission::Wait(Some(instant(at))),
            Some((_, to, text)) => {
                let (to, len) = (*to, text.len());
                message[..len].copy_from_slice(text);
                self.to_say.pop_front();
                Emission::Send { to, len }
            }
            None => Emission::Wait(None),
        }
    }

    fn shutdown(&mut self) {
        for group in GROUPS {
            self.to_say.push_back((0, SocketAddr::new(group, BEACON), b"bye".to_vec()));
        }
    }
}

fn accounts() -> Accounts<'static> {
    let anna = Account::new("anna", "secret", Grant::new(Rights::ALL));
    let anonymous = Some(Account::anonymous(Grant::new(Rights::READ_ONLY)));
    let admin = Account::new("admin", "secret", Grant::new(Rights::INSPECT));
    Accounts { accounts: Box::leak(Box::new([anna, admin])), anonymous }
}

/// The FTP service has this many sessions more than it lets in.
const SPARE_SESSIONS: usize = 4;

impl Server {
    fn new(shape: &Shape, files: &[(&str, &[u8])], now: Micros) -> Self {
        let mut port = Port { mtu: shape.mtu, offload: shape.offload, ..Port::default() };
        let net = Net::new(&config(shape), memory(shape), &mut port, instant(now)).unwrap();
        let blocks: usize = files.iter().map(|file| file.1.len().div_ceil(512)).sum();
        let mut disk =
            RamDisk::new(lend(64, || Node::EMPTY), lend(blocks + 4_500, || Block::EMPTY));
        for (name, content) in files {
            disk.insert(Path::new(name.as_bytes()).unwrap(), content, Timestamp(0)).unwrap();
        }
        let idle_timeout = Duration::from_micros(IDLE);
        let config =
            FtpConfig { max_sessions: shape.control, idle_timeout, ..FtpConfig::default() };
        let sessions = lend(shape.control + SPARE_SESSIONS, Default::default);
        let desks = Box::leak(Box::new_uninit_slice(shape.control + SPARE_SESSIONS));
        let places = || lend(shape.control, || None);
        // That is when tests begin.
        let start = Timestamp(DATE - START / S);
        let services = Services {
            ftp: Ftp::new(Hanging::new(disk), accounts(), config, sessions, desks),
            echo: Simple::new(Echo, places(), idle_timeout),
            discard: Simple::new(Discard, places(), idle_timeout),
            daytime: Simple::new(Daytime { start }, places(), idle_timeout),
            echo_udp: Echo,
            discard_udp: Discard,
            daytime_udp: Daytime { start },
            beacon: Beacon::default(),
            caller: Caller::default(),
        };
        Self { net, services, port, due: Some(now), turns: 0 }
    }

    /// Ends every session at once, as a program does that stops.
    pub fn abandon(&mut self) {
        self.net.abandon(&mut self.services.table());
    }

    /// Has it open a connection to `peer`.
    pub fn call(&mut self, peer: SocketAddr, now: Micros) -> Result<(), ConnectError> {
        self.due = Some(now);
        self.net.call(CALLER, peer, instant(now))
    }

    /// Tells it to stop.
    pub fn shutdown(&mut self, now: Micros) {
        self.net.shutdown(&mut self.services.table(), instant(now));
        self.due = Some(now);
    }

    /// The table of its connections.
    pub fn connections(&mut self, now: Micros) -> Vec<Connection> {
        self.net.connections(&self.services.table(), instant(now)).collect()
    }

    fn turn(&mut self, now: Micros) {
        let due = self.net.poll(&mut self.port, &mut self.services.table(), instant(now));
        self.due = due.map(|due| due.as_micros().max(now));
        self.turns += 1;
    }
}

pub fn config(shape: &Shape) -> Config<'static> {
    Config {
        hardware: SERVER_MAC,
        addresses: shape.addresses,
        routes: shape.routes,
        host_name: shape.host_name,
        passive_ports: shape.passive_ports.0..=shape.passive_ports.1,
        seed: shape.seed,
    }
}

/// Memory for the rest of the test.
pub fn lend<T>(count: usize, value: impl FnMut() -> T) -> &'static mut [T] {
    std::iter::repeat_with(value).take(count).collect::<Vec<T>>().leak()
}

pub fn memory(shape: &Shape) -> Memory<'static> {
    let slots = shape.control + shape.bulk + shape.data;
    let bytes = |count| lend(count, || 0u8);
    Memory {
        control: shape.control,
        bulk: shape.bulk,
        slots: lend(slots, Slot::default),
        // One more for DHCP.
        sockets: lend(slots + 1, Default::default),
        timers: lend(slots, Timer::default),
        buckets: lend(2 * slots, Bucket::default),
        control_buffers: Buffers {
            receive: bytes(shape.control * shape.control_receive),
            transmit: bytes(shape.control * shape.control_transmit),
        },
        bulk_buffers: Buffers {
            receive: bytes(shape.bulk * 4096),
            transmit: bytes(shape.bulk * 4096),
        },
        data_buffers: Buffers {
            receive: bytes(shape.data * shape.data_receive),
            transmit: bytes(shape.data * shape.data_transmit),
        },
        message: bytes(1500),
        outbox: Outbox::new(
            &mut lend(1, Default::default)[0],
            Box::leak(Box::new([PacketMetadata::EMPTY])),
            bytes(1500),
        ),
    }
}

pub fn instant(now: Micros) -> Instant {
    Instant::from_micros(now)
}

pub fn cidr(address: IpAddress) -> IpCidr {
    IpCidr::new(address, if address.version() == smoltcp::wire::IpVersion::Ipv4 { 24 } else { 64 })
}

/// A client's machine, with smoltcp for a network stack.
pub struct Host {
    pub iface: Interface,
    pub sockets: SocketSet<'static>,
    pub port: Port,
    pub mac: Mac,
    pub v4: Ipv4Address,
    pub due: Option<Micros>,
    pub next_port: u16,
}

impl Host {
    fn new(number: u8, now: Micros) -> Self {
        let mac = EthernetAddress([2, 0, 0, 0, 1, number]);
        let v4 = Ipv4Address::new(192, 168, 69, number);
        let v6 = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into());
        let mut port = Port::default();
        let mut config = HostConfig::new(mac.into());
        config.random_seed = number.into();
        let mut iface = Interface::new(config, &mut port, stack_instant(now));
        iface.update_ip_addrs(|addresses| {
            addresses.push(cidr(v4.into())).unwrap();
            addresses.push(cidr(v6.into())).unwrap();
        });
        let sockets = SocketSet::new(lend(64, SocketStorage::default));
        Self { iface, sockets, port, mac, v4, due: None, next_port: 40_000 }
    }

    fn turn(&mut self, now: Micros) {
        let now_there = stack_instant(now);
        self.iface.poll(now_there, &mut self.port, &mut self.sockets);
        let due = self.iface.poll_at(now_there, &self.sockets);
        self.due = due.map(|due| (due.total_micros() as Micros).max(now + 1));
    }
}

fn stack_instant(now: Micros) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(now as i64)
}

/// A frame under way: when it arrives, in which order, where, and the frame.
type Flight = (Micros, u64, Place, Vec<u8>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Server,
    Host(usize),
}

/// The server, the hosts, the wire between them, and the time.
pub struct World {
    pub now: Micros,
    pub server: Server,
    pub hosts: Vec<Host>,
    pub faults: Faults,
    pub shape: Shape,
    flights: BinaryHeap<Reverse<Flight>>,
    serial: u64,
    random: Random,
    turns_at_once: u32,
    /// Addresses that belong to nobody's stack: the test itself sends for them. Whoever asks
    /// for their hardware address is told.
    phantoms: Vec<(IpAddress, Mac)>,
    /// What the server sent since it was last looked at.
    sent: Vec<Vec<u8>>,
    /// Sockets that hosts do not use any more.
    pub used_sockets: Vec<Socket<'static>>,
}

impl World {
    pub fn new(shape: Shape) -> Self {
        Self::with_files(shape, &[])
    }

    /// A server that has told everybody of its addresses, and is silent now.
    pub fn with_files(shape: Shape, files: &[(&str, &[u8])]) -> Self {
        let mut world = Self::started(shape, files);
        world.run(START);
        world.sent.clear();
        assert_eq!(world.server.due, None, "an idle server wakes up");
        world.server.turns = 0;
        world
    }

    /// A server that has not had its first turn.
    pub fn started(shape: Shape, files: &[(&str, &[u8])]) -> Self {
        let now = S;
        Self {
            now,
            server: Server::new(&shape, files, now),
            hosts: Vec::new(),
            faults: Faults::NONE,
            shape,
            flights: BinaryHeap::new(),
            serial: 0,
            random: Random::new(0),
            turns_at_once: 0,
            phantoms: Vec::new(),
            sent: Vec::new(),
            used_sockets: Vec::new(),
        }
    }

    /// Makes the wire bad from now on.
    pub fn faults(&mut self, faults: Faults, seed: u64) {
        self.faults = faults;
        self.random = Random::new(seed);
    }

    /// A new host, 192.168.69.`number`.
    pub fn host(&mut self, number: u8) -> usize {
        self.hosts.push(Host::new(number, self.now));
        self.hosts.len() - 1
    }

    /// An address for which the test itself sends and receives.
    pub fn phantom(&mut self, address: IpAddress, mac: Mac) {
        self.phantom_unheard(address, mac);
        let hello = match address {
            IpAddress::Ipv4(v4) => wire::arp((v4, mac), (SERVER_V4, Mac::BROADCAST)),
            IpAddress::Ipv6(v6) => wire::neighbor((v6, mac), (SERVER_V6, SERVER_MAC)),
        };
        self.exchange([hello]);
    }

    /// The same, but the server has never heard of it.
    pub fn phantom_unheard(&mut self, address: IpAddress, mac: Mac) {
        self.phantoms.push((address, mac));
    }

    // What the test does to the server.

    /// Gives the server frames, at once and all together; says what it sends, until it waits.
    pub fn exchange(&mut self, frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Seen> {
        self.inject(frames);
        self.sent()
    }

    /// Gives the server frames, at once and all together.
    pub fn inject(&mut self, frames: impl IntoIterator<Item = Vec<u8>>) {
        self.sent.clear();
        self.server.port.inbox.extend(frames);
        self.settle();
    }

    /// What the server sent since it was last looked at.
    pub fn sent(&mut self) -> Vec<Seen> {
        self.sent.drain(..).map(|frame| wire::read(&frame)).collect()
    }

    /// The TCP segments among it.
    pub fn segments(&mut self) -> Vec<Segment> {
        self.sent().into_iter().filter_map(segment).collect()
    }

    // Time.

    /// Lets time pass; says what the server sends in it, and after how many milliseconds.
    pub fn watch(&mut self, time: Micros) -> Vec<(u64, Seen)> {
        let (start, mut seen) = (self.now, Vec::new());
        self.sent.clear();
        while self.next_event().is_some_and(|at| at <= start + time) {
            self.step();
            let after = (self.now - start) / MS;
            seen.extend(self.sent().into_iter().map(|sent| (after, sent)));
        }
        self.now = start + time;
        self.turns_at_once = 0;
        seen
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Micros) {
        let end = self.now + time;
        while self.next_event().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
        self.turns_at_once = 0;
    }

    /// Lets happen what happens now.
    pub fn settle(&mut self) {
        while self.next_event() == Some(self.now) {
            self.step();
        }
    }

    /// When something happens next; `now` if something is due.
    pub fn next_event(&self) -> Option<Micros> {
        let busy = !self.server.port.inbox.is_empty()
            || self.hosts.iter().any(|host| !host.port.inbox.is_empty());
        if busy {
            return Some(self.now);
        }
        let flight = self.flights.peek().map(|flight| flight.0.0);
        let hosts = self.hosts.iter().filter_map(|host| host.due).min();
        [flight, hosts, self.server.due].into_iter().flatten().min().map(|at| at.max(self.now))
    }

    /// Lets the next thing happen; `false`: nothing ever will.
    pub fn step(&mut self) -> bool {
        let Some(next) = self.next_event() else { return false };
        if next > self.now {
            self.now = next;
            self.turns_at_once = 0;
        }
        while self.flights.peek().is_some_and(|flight| flight.0.0 <= self.now) {
            let Some(Reverse((_, _, place, frame))) = self.flights.pop() else { break };
            match place {
                Place::Server => self.server.port.inbox.push_back(frame),
                Place::Host(host) => self.hosts[host].port.inbox.push_back(frame),
            }
        }
        self.server_turn();
        self.host_turns();
        true
    }

    fn server_turn(&mut self) {
        let now = self.now;
        let wants =
            !self.server.port.inbox.is_empty() || self.server.due.is_some_and(|at| at <= now);
        if !wants {
            return;
        }
        self.turns_at_once += 1;
        assert!(self.turns_at_once < TURNS_AT_ONCE, "the server never waits");
        if self.shape.offload {
            offload::merge(&mut self.server.port.inbox);
        }
        self.server.turn(now);
        let frames = std::mem::take(&mut self.server.port.outbox);
        let count = std::mem::take(&mut self.server.port.taken);
        // The answers to those that came, the share of all slots, and that of the slot which was
        // last, with its data connection.
        assert!(count <= 4 * FRAMES_A_TURN, "{count} in one turn");
        for frame in frames {
            self.route(&frame);
            self.sent.push(frame);
        }
    }

    fn host_turns(&mut self) {
        for host in 0..self.hosts.len() {
            let there = &mut self.hosts[host];
            let wants = !there.port.inbox.is_empty() || there.due.is_some_and(|at| at <= self.now);
            if wants {
                there.turn(self.now);
                for frame in std::mem::take(&mut self.hosts[host].port.outbox) {
                    self.fly(Place::Server, frame);
                }
            }
        }
    }

    // The wire.

    fn route(&mut self, frame: &[u8]) {
        let to = EthernetAddress::from_bytes(&frame[..6]);
        // The destination port of TCP over IPv4 without options.
        let is_tcp = frame[12..14] == [8, 0] && frame[23] == 6;
        if is_tcp && u16::from_be_bytes([frame[36], frame[37]]) >= FIRST_RAW_PORT {
            return;
        }
        for host in 0..self.hosts.len() {
            if to == self.hosts[host].mac || to.is_multicast() || to.is_broadcast() {
                self.fly(Place::Host(host), frame.to_vec());
            }
        }
        if to.is_multicast() || to.is_broadcast() {
            self.introduce_phantom(frame);
        }
    }

    fn introduce_phantom(&mut self, question: &[u8]) {
        let asked = match wire::read(question) {
            Seen::ArpRequest(address) => IpAddress::Ipv4(address),
            Seen::Solicit(address) => IpAddress::Ipv6(address),
            _ => return,
        };
        let Some(&(_, mac)) = self.phantoms.iter().find(|phantom| phantom.0 == asked) else {
            return;
        };
        let answer = match asked {
            IpAddress::Ipv4(v4) => wire::arp((v4, mac), (SERVER_V4, SERVER_MAC)),
            IpAddress::Ipv6(v6) => wire::neighbor((v6, mac), (SERVER_V6, SERVER_MAC)),
        };
        self.arrive(self.now, Place::Server, answer);
    }

    /// Sends a frame over the wire, which does with it what it does.
    fn fly(&mut self, place: Place, frame: Vec<u8>) {
        let Faults { latency, loss, reorder, duplicate } = self.faults;
        if self.random.percent(loss) {
            return;
        }
        if self.random.percent(duplicate) {
            let late = self.now + latency + u64::from(self.random.below(5 * MS as u32));
            self.arrive(late, place, frame.clone());
        }
        let late =
            if self.random.percent(reorder) { self.random.below(5 * MS as u32).into() } else { 0 };
        self.arrive(self.now + latency + late, place, frame);
    }

    fn arrive(&mut self, at: Micros, place: Place, frame: Vec<u8>) {
        self.serial += 1;
        self.flights.push(Reverse((at, self.serial, place, frame)));
    }

    // The end.

    /// Leaves the server alone until it has forgotten everybody: every slot must be free, and
    /// nothing left to wake up for.
    pub fn finish(mut self) {
        self.hosts.clear();
        self.flights.clear();
        self.run(5 * IDLE);
        let Shape { control, bulk, data, .. } = self.shape;
        assert_eq!(self.server.net.free_slots(), (control + bulk, data), "slots are lost");
        assert!(self.server.net.is_idle());
        assert_eq!(self.server.due, None, "an idle server wakes up");
        assert!(self.server.port.outbox.is_empty());
    }
}

pub fn segment(seen: Seen) -> Option<Segment> {
    match seen {
        Seen::Tcp(segment) => Some(segment),
        _ => None,
    }
}
