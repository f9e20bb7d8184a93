//! The client's side: the textbook's echo client, on the same network stack as the server.
//!
//! It has an address of its own on a TAP device, finds the host by name, calls each of its
//! addresses until one answers, and then copies standard input to the peer, and what the peer
//! says to standard output:
//!
//! ```text
//! $ scripts/setup-tap.sh --tap tap1 --address 192.168.70.100/24
//! $ echo hello | cargo run --example echo_client -- --tap tap1 --address 192.168.70.2/24 192.168.70.100 echo
//! ```

#[path = "echo_client/connection.rs"]
mod connection;
#[path = "../src/host/offload.rs"]
mod offload;
#[path = "echo_client/ports.rs"]
mod ports;
#[path = "echo_client/resolver.rs"]
mod resolver;
#[path = "../src/host/sys.rs"]
mod sys;
#[path = "../src/host/tap.rs"]
mod tap;

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Parser;
use connection::{Connection, State};
use resolver::Resolver;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tap::Tap;
use tinyftp::net::smoltcp::socket::udp::PacketMetadata;
use tinyftp::net::smoltcp::wire::{EthernetAddress, IpAddress};
use tinyftp::net::{
    Address, Binding, Bucket, Buffers, Config, Memory, Net, Outbox, Route, Slot, Timer,
};
use tinyftp::service::ConnectError;
use tinyftp::time::{Duration, Instant};

/// Copies standard input to a port of HOST, and what comes back to standard output.
#[derive(Parser)]
struct Arguments {
    /// Name or address; names in .local are asked for on the link
    host: String,
    /// Port, or name of a service
    #[arg(value_parser = ports::parse)]
    port: u16,
    /// TAP device to be on
    #[arg(long, default_value = "tap0")]
    tap: String,
    /// Own address with the prefix of its network, `dhcp` or `auto`; may be repeated
    #[arg(long = "address", value_name = "ADDRESS", default_value = "192.168.69.2/24",
          value_parser = address)]
    addresses: Vec<Address>,
    /// Router to other networks; once for IPv4, once for IPv6
    #[arg(long = "gateway", value_name = "IP")]
    gateways: Vec<IpAddr>,
    /// DNS server, in place of those that DHCP tells; may be repeated
    #[arg(long = "dns", value_name = "IP")]
    servers: Vec<IpAddr>,
}

fn address(text: &str) -> Result<Address, String> {
    match text {
        "dhcp" => Ok(Address::Dhcp),
        "auto" => Ok(Address::Auto),
        _ => text.parse().map(Address::Fixed).map_err(|()| {
            "expected an address with a prefix, such as 192.168.69.2/24, dhcp or auto".into()
        }),
    }
}

/// How long there may be no address of our own.
const CONFIGURATION: Duration = Duration::from_secs(30);
/// How long an address of our own may take to be found free.
const SETTLING: Duration = Duration::from_secs(3);
/// Bytes of a buffer.
const BUFFER: usize = 64 * 1024;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let mut stack = Stack::open(arguments)?;
    stack.wait_for_an_address()?;
    let hosts = stack.resolve(&arguments.host, &arguments.servers)?;
    let peers = hosts.into_iter().map(|host| SocketAddr::new(host, arguments.port));
    stack.talk(peers.collect())
}

/// The network stack, and when it was started.
struct Stack {
    net: Net<'static>,
    tap: Tap,
    start: std::time::Instant,
}

impl Stack {
    fn open(arguments: &Arguments) -> Result<Self, String> {
        let mut tap = Tap::open(&arguments.tap, None)?;
        let routes: Vec<Route> =
            arguments.gateways.iter().map(|&router| Route::default_via(router.into())).collect();
        let [a, b, c, d] = random::<4>()?;
        let config = Config {
            // Locally administered, and nobody else's.
            hardware: EthernetAddress([0x02, 0x01, a, b, c, d]),
            addresses: &arguments.addresses,
            routes: &routes,
            host_name: None,
            passive_ports: 0..=0,
            seed: u128::from_ne_bytes(random()?),
        };
        let net = Net::new(&config, memory(), &mut tap, Instant::ZERO)
            .map_err(|error| format!("the network cannot be set up: {error}"))?;
        Ok(Self { net, tap, start: std::time::Instant::now() })
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    fn wait_for_an_address(&mut self) -> Result<(), String> {
        let deadline = Instant::ZERO + CONFIGURATION;
        loop {
            let due = self.poll(&mut [])?;
            if self.net.addresses().iter().any(|cidr| is_of_use(cidr.address())) {
                return Ok(());
            }
            if self.now() >= deadline {
                return Err("there is no address to be had".into());
            }
            self.sleep(earlier(due, deadline), false)?;
        }
    }

    /// The addresses of a host.
    fn resolve(&mut self, host: &str, servers: &[IpAddr]) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let told = self.net.dns_servers().to_vec();
        let servers = if servers.is_empty() { &told } else { servers };
        let mut resolver = Resolver::new(host, servers, u32::from_ne_bytes(random()?))?;
        let port = u16::from_ne_bytes(random()?) | 0xc000; // one of the dynamic ports
        loop {
            let due = self.poll(&mut [Binding::udp("dns", port, &mut resolver)])?;
            match resolver.addresses() {
                Some(addresses) if addresses.is_empty() => {
                    return Err(format!("{host} is not known"));
                }
                Some(addresses) => return Ok(addresses),
                None => self.sleep(due, false)?,
            };
        }
    }

    /// Calls the peers in turn until one answers, and talks to that one.
    fn talk(&mut self, mut peers: VecDeque<SocketAddr>) -> Result<(), String> {
        let mut connection = Connection { state: State::Refused, ..Connection::default() };
        loop {
            let due = self.poll(&mut [Binding::tcp("client", 0, &mut connection)])?;
            match &connection.state {
                State::Refused => {
                    let peer = peers.pop_front().ok_or("nobody answers")?;
                    connection.state = self.call(peer)?;
                    continue;
                }
                State::Closed if self.net.is_idle() => return Ok(()),
                State::Broken(error) => return Err(error.clone()),
                State::Idle | State::Open | State::Closed => {}
            }
            // What there was has to be on its way first.
            let wants_input = connection.state == State::Open
                && !connection.is_complete
                && connection.outgoing.is_empty();
            if self.sleep(due, wants_input)? {
                read(&mut connection)?;
            }
        }
    }

    /// Calls a peer. Its network may be one that we get an address of only now.
    fn call(&mut self, peer: SocketAddr) -> Result<State, String> {
        let deadline = Instant::ZERO + SETTLING;
        loop {
            let due = self.poll(&mut [])?;
            let now = self.now();
            match self.net.call(0, peer, now) {
                Ok(()) => return Ok(State::Idle),
                Err(ConnectError::Unreachable) if now < deadline => {
                    self.sleep(earlier(due, deadline), false)?;
                }
                Err(error) => {
                    eprintln!("{peer} cannot be called: {error:?}");
                    return Ok(State::Refused);
                }
            }
        }
    }

    /// A turn of the network; says when the next is due.
    fn poll(&mut self, services: &mut [Binding<'_>]) -> Result<Option<Instant>, String> {
        let now = self.now();
        let due = self.net.poll(&mut self.tap, services, now);
        match self.tap.failure() {
            Some(error) => Err(format!("the device is gone: {error}")),
            None => Ok(due),
        }
    }

    /// Sleeps until a frame comes, or the time, or what there is on standard input if that is
    /// wanted. Says whether there is something.
    fn sleep(&self, until: Option<Instant>, for_input: bool) -> Result<bool, String> {
        let timeout = until.map(|until| {
            let delay = until.since(self.now());
            Timespec { tv_sec: delay.as_secs() as i64, tv_nsec: delay.subsec_nanos().into() }
        });
        let stdin = io::stdin();
        let mut fds = [
            PollFd::from_borrowed_fd(self.tap.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN),
        ];
        let fds = if for_input { &mut fds[..] } else { &mut fds[..1] };
        poll(fds, timeout.as_ref()).map_err(|error| format!("cannot wait: {error}"))?;
        Ok(fds.get(1).is_some_and(|fd| !fd.revents().is_empty()))
    }
}

fn earlier(due: Option<Instant>, deadline: Instant) -> Option<Instant> {
    Some(due.map_or(deadline, |due| due.min(deadline)))
}

/// Takes what there is on standard input.
fn read(connection: &mut Connection) -> Result<(), String> {
    let mut bytes = vec![0; BUFFER];
    let n = io::stdin().lock().read(&mut bytes).map_err(|error| error.to_string())?;
    connection.outgoing.extend_from_slice(&bytes[..n]);
    connection.is_complete = n == 0;
    Ok(())
}

/// Whether other hosts can be reached from an address: an IPv6 address of the link alone is
/// there from the start.
fn is_of_use(address: IpAddress) -> bool {
    match IpAddr::from(address) {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    }
}

/// Memory for one connection and one datagram.
fn memory() -> Memory<'static> {
    Memory {
        control: 1,
        bulk: 0,
        slots: Box::leak(Box::new([Slot::default()])),
        // One more for DHCP.
        sockets: Box::leak(Box::new([Default::default(), Default::default()])),
        timers: Box::leak(Box::new([Timer::default()])),
        buckets: Box::leak(Box::new([Bucket::default(); 2])),
        control_buffers: Buffers { receive: bytes(BUFFER), transmit: bytes(BUFFER) },
        bulk_buffers: Buffers::default(),
        data_buffers: Buffers::default(),
        message: bytes(BUFFER),
        outbox: Outbox::new(
            Box::leak(Box::default()),
            Box::leak(Box::new([PacketMetadata::EMPTY])),
            bytes(BUFFER),
        ),
    }
}

fn bytes(count: usize) -> &'static mut [u8] {
    vec![0; count].leak()
}

fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(bytes)
}
