//! The server as it is on Linux, with a disk in memory, on a device that keeps frames.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Address};
use tinyftp::auth::{Account, Accounts, Grant, Rights};
use tinyftp::ftp::{self, Ftp};
use tinyftp::net::{
    Address, Binding, Bucket, Buffers, Config, Memory, Net, Outbox, Slot, Timer, smoltcp,
};
use tinyftp::services::discard::Discard;
use tinyftp::services::echo::Echo;
use tinyftp::services::simple::Simple;
use tinyftp::storage::Path;
use tinyftp::storage::ram::{BLOCK_SIZE, Block, Node, RamDisk};
use tinyftp::time::{Duration, Instant, Timestamp};

use crate::wire::Mac;

pub const HARDWARE: Mac = EthernetAddress([2, 0, 0, 0, 0, 1]);
pub const ADDRESS: Ipv4Address = Ipv4Address::new(192, 168, 69, 1);
pub const FTP: u16 = 21;
pub const ECHO: u16 = 7;
pub const DISCARD: u16 = 9;
/// In its directory.
pub const FILES: usize = 100;
/// Bytes of each of them but one.
pub const SMALL: usize = 1024;

const MTU: usize = 1500;
const FRAME: usize = MTU + 14;
/// Frames that the device keeps.
const FRAMES: usize = 4096;
/// How long its sessions may be idle: longer than anything here lasts.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// The time between two things that the peer does.
const MOMENT: Duration = Duration::from_micros(100);

/// The server, its device, and the time.
pub struct Server {
    net: Net<'static>,
    ftp: Ftp<'static, RamDisk<'static>, Accounts<'static>, 512>,
    echo: Simple<'static, Echo>,
    discard: Simple<'static, Discard>,
    device: Kept,
    now: Instant,
    /// The port that the peer had last for a connection.
    pub port: u16,
}

/// One turn: all that is counted.
#[inline(never)]
pub fn turn(
    net: &mut Net<'_>,
    device: &mut Kept,
    services: &mut [Binding<'_>],
    now: Instant,
) -> Option<Instant> {
    net.poll(device, services, now)
}

impl Server {
    /// With room for so many sessions, and a large file.
    pub fn new(sessions: usize, large: usize) -> Self {
        let now = Instant::from_micros(1_000_000);
        let mut device = Kept::new();
        let config = Config {
            hardware: HARDWARE,
            addresses: &[Address::Fixed(IpCidr::new(ADDRESS.into(), 24))],
            routes: &[],
            host_name: None,
            passive_ports: 49_152..=65_535,
            seed: 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978,
        };
        let ftp_config = ftp::Config {
            max_sessions: sessions,
            idle_timeout: PATIENCE,
            ..ftp::Config::default()
        };
        let accounts = Accounts {
            accounts: &mut [],
            anonymous: Some(Account::anonymous(Grant::new(Rights::ALL))),
        };
        let (places, desks) =
            (lend(sessions, Default::default), Box::leak(Box::new_uninit_slice(sessions)));
        let mut server = Self {
            net: Net::new(&config, memory(sessions), &mut device, now).unwrap(),
            ftp: Ftp::new(disk(large), accounts, ftp_config, places, desks),
            echo: Simple::new(Echo, lend(1, || None), PATIENCE),
            discard: Simple::new(Discard, lend(1, || None), PATIENCE),
            device,
            now,
            port: 1024,
        };
        server.rest();
        server
    }

    /// Takes frames, and works until it waits for something; the frames that it sends.
    pub fn exchange(&mut self, frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
        self.device.inbox.extend(frames);
        self.now = self.now + MOMENT;
        self.work();
        self.device.take()
    }

    /// Lets it do what it has put off: delayed acknowledgements, and what it says of its own
    /// accord.
    pub fn rest(&mut self) {
        let end = self.now + Duration::from_secs(10);
        while let Some(due) = self.work().filter(|due| *due <= end) {
            self.now = due;
        }
        self.now = end;
        self.device.take();
    }

    /// Waits until it does something by itself; the frames that it sends then.
    pub fn wait(&mut self) -> Vec<Vec<u8>> {
        self.now = self.work().expect("it waits for something");
        self.work();
        self.device.take()
    }

    /// Turns, as long as they are due; when the next one is.
    fn work(&mut self) -> Option<Instant> {
        let mut services = [
            Binding::tcp("ftp", FTP, &mut self.ftp),
            Binding::tcp("echo", ECHO, &mut self.echo),
            Binding::tcp("discard", DISCARD, &mut self.discard),
        ];
        loop {
            let due = turn(&mut self.net, &mut self.device, &mut services, self.now);
            if due.is_none_or(|due| due > self.now) {
                return due;
            }
        }
    }
}

/// With as many connections for the small services and for data as are needed.
fn memory(sessions: usize) -> Memory<'static> {
    let (control, data) = (sessions + 2, 4);
    let slots = control + data;
    let bytes = |count| lend(count, || 0u8);
    Memory {
        control,
        bulk: 0,
        slots: lend(slots, Slot::default),
        sockets: lend(slots, Default::default),
        timers: lend(slots, Timer::default),
        buckets: lend(2 * slots, Bucket::default),
        control_buffers: Buffers {
            receive: bytes(control * 2048),
            transmit: bytes(control * 2048),
        },
        bulk_buffers: Buffers::default(),
        data_buffers: Buffers {
            receive: bytes(data * 256 * 1024),
            transmit: bytes(data * 512 * 1024),
        },
        message: &mut [],
        outbox: Outbox::default(),
    }
}

fn disk(large: usize) -> RamDisk<'static> {
    // What is stored has as many bytes, and is there twice while it is replaced.
    let blocks = 3 * large.div_ceil(BLOCK_SIZE) + FILES * SMALL.div_ceil(BLOCK_SIZE);
    let mut disk = RamDisk::new(lend(2 * FILES, || Node::EMPTY), lend(blocks, || Block::EMPTY));
    let mut insert = |name: &str, content: &[u8]| {
        disk.insert(Path::new(name.as_bytes()).unwrap(), content, Timestamp(0)).unwrap();
    };
    for number in 0..FILES - 1 {
        insert(&format!("/small{number:02}"), &[b's'; SMALL]);
    }
    insert("/large", &vec![b'l'; large]);
    disk
}

fn lend<T>(count: usize, value: impl FnMut() -> T) -> &'static mut [T] {
    std::iter::repeat_with(value).take(count).collect::<Vec<T>>().leak()
}

/// A device that keeps what came and what is sent: as with a real one, no memory is taken or given
/// back for a frame.
pub struct Kept {
    inbox: Vec<Vec<u8>>,
    /// How many of them were received.
    received: usize,
    outbox: Outgoing,
}

struct Outgoing {
    frames: Vec<[u8; FRAME]>,
    /// How long each of them is that was sent.
    lens: Vec<usize>,
}

impl Kept {
    fn new() -> Self {
        let outbox =
            Outgoing { frames: vec![[0; FRAME]; FRAMES], lens: Vec::with_capacity(FRAMES) };
        Self { inbox: Vec::new(), received: 0, outbox }
    }

    /// What was sent; what was received is forgotten.
    fn take(&mut self) -> Vec<Vec<u8>> {
        assert_eq!(self.received, self.inbox.len());
        self.inbox.clear();
        self.received = 0;
        let sent = self.outbox.frames.iter().zip(self.outbox.lens.drain(..));
        sent.map(|(frame, len)| frame[..len].to_vec()).collect()
    }
}

impl Device for Kept {
    type RxToken<'d> = Received<'d>;
    type TxToken<'d> = Place<'d>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received<'_>, Place<'_>)> {
        let frame = self.inbox.get(self.received)?;
        self.received += 1;
        Some((Received(frame), Place(&mut self.outbox)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Place<'_>> {
        (self.outbox.lens.len() < FRAMES).then_some(Place(&mut self.outbox))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        capabilities
    }
}

pub struct Received<'d>(&'d [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Where the next frame goes.
pub struct Place<'d>(&'d mut Outgoing);

impl TxToken for Place<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let Outgoing { frames, lens } = self.0;
        let result = f(&mut frames[lens.len()][..len]);
        lens.push(len);
        result
    }
}
