//! The network: smoltcp behind a demultiplexer of its own.
//!
//! smoltcp looks at every socket for every frame. Here each socket is alone in its set, and a
//! frame finds its socket by a keyed hash of the 4-tuple; sockets that nothing happens to are
//! not looked at. A listening port is a row of the service table and takes no socket; an
//! expected data connection is an entry of the index, with a slot set aside for it.
//!
//! ```text
//!            frame                              deadline
//!              |                                   |
//!  demux: 4-tuple -> slot, port -> service      timers
//!              |                                   |
//!              +---------> ready <-----------------+
//!                            |
//!            serve: Service::poll, egress, next deadline
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `mod` | [`Net`] and its turn |
//! | `config`, `memory`, `table` | what the owner gives it: who we are, where it works, what it serves |
//! | `demux` | a frame finds its slot, or the service of its port |
//! | `serve` | a slot's turn: the service, then egress |
//! | `addressing` | our own addresses, and the routes that come with them |
//! | `data` | data connections |
//! | `cookies` | requests for connections beyond those that may have a slot |
//! | `call` | connections that we open for a service |
//! | `datagram`, `outbox` | UDP |
//! | `neighbors` | where on the link a peer is |
//! | `connections` | what `netstat` shows |
//! | `frame` | what the demultiplexer reads of a frame |
//! | `slots`, `index`, `timers`, `secret` | what they say |
//! | `stream`, `device` | between our traits and smoltcp's |
//!
//! In the library, only this module names smoltcp.

mod addressing;
mod call;
mod config;
mod connections;
mod cookies;
mod data;
mod datagram;
mod demux;
mod device;
mod frame;
mod index;
mod memory;
mod neighbors;
mod outbox;
mod secret;
mod serve;
mod slots;
mod stream;
mod table;
mod timers;

use core::net::{IpAddr, SocketAddr};
use core::ops::RangeInclusive;

use smoltcp::iface::{Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities};
use smoltcp::socket::tcp::State;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, IpEndpoint};

use crate::budget::Budget;
use crate::time::{Duration, Instant};
use addressing::Addressing;
use index::Index;
use memory::{Furniture, furnish};
use secret::Secret;
use slots::{Kind, Pending, Pools, Ready, Role};
use table::service_at;
use timers::Timers;

pub use addressing::{Address, HostName, Plan, Route, is_host};
pub use config::{Config, ConfigError};
pub use index::Bucket;
pub use memory::{Buffers, Memory};
pub use outbox::Outbox;
pub use slots::Slot;
/// The smoltcp whose types are in the signatures of this module.
pub use smoltcp;
pub use table::{Binding, Protocol};
pub use timers::Timer;

/// Frames that one turn receives at most, and those that connections may have sent when the next
/// one begins: what the peers answer must not wait so long that the device loses it.
const FRAMES_A_TURN: usize = 64;
/// How long a handshake may take: time for four retransmissions, which a bad path needs. How many
/// there may be at once is limited by their number.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// How long a connection may take to close: RFC 9293 sets no limit, and a peer that is gone
/// never closes.
const LINGER: Duration = Duration::from_secs(30);
/// RST and ICMP answers a second to what nobody asked for.
const ANSWERS_A_SECOND: u64 = 1000;
/// As many of them may be sent at once.
const ANSWERS_AT_ONCE: u64 = 250;
/// The address that nobody has.
#[cfg(feature = "ipv4")]
const UNSPECIFIED: IpAddress = IpAddress::Ipv4(core::net::Ipv4Addr::UNSPECIFIED);
#[cfg(not(feature = "ipv4"))]
const UNSPECIFIED: IpAddress = IpAddress::Ipv6(core::net::Ipv6Addr::UNSPECIFIED);
/// When something is looked at again that waits for more than the network, or that smoltcp
/// calls due and that yet has sent nothing.
const RETRY: Duration = Duration::from_millis(1);
/// However many sessions wait for something besides the network, one is polled so often at most.
const A_LOOK: Duration = Duration::from_micros(20);
/// Questions for neighbors a second, besides smoltcp's one.
const QUESTIONS_A_SECOND: u64 = 100;
/// As many of them may be asked at once.
const QUESTIONS_AT_ONCE: u64 = 32;
/// Slots that are woken when a neighbor becomes known; the others look again after a second.
const NEIGHBOR_WAITERS: usize = 32;

/// A network interface with the connections to its services.
///
/// The owner calls [`poll`](Self::poll) in a loop, and between two calls waits until there is
/// a frame, or the instant that the last call returned, or something happened that a service
/// said it waits for: then it calls [`wake`](Self::wake) first.
pub struct Net<'a> {
    iface: Interface,
    addressing: Addressing<'a>,
    hardware: EthernetAddress,
    capabilities: DeviceCapabilities,
    secret: Secret,
    passive_ports: RangeInclusive<u16>,
    /// No number of a slot that is kept anywhere is wrong. If one were, nothing would happen.
    slots: &'a mut [Slot<'a>],
    /// How many of the slots are for connections to services: all but those for data connections.
    control: usize,
    /// How many of these, the last ones, have the larger buffers.
    bulk: usize,
    index: Index<'a>,
    timers: Timers<'a>,
    ready: Ready,
    pending: Pending,
    free: Pools,
    /// Slots whose connection has ended but for the peer's last word: they may be had if no
    /// free one is left.
    ended: Pools,
    half_open: Pools,
    /// When the last cookie has lost its worth that was handed out.
    cookies_until: Instant,
    /// Frames that connections have sent in this turn.
    sent: usize,
    /// Slots that wait to learn the hardware address of a neighbor.
    neighborless: heapless::Vec<u16, NEIGHBOR_WAITERS>,
    /// Questions for neighbors that may be asked.
    questions: Budget,
    /// RST and ICMP answers that may be sent.
    answers: Budget,
    accepting: bool,
    /// Whether the groups that services want are joined.
    grouped: bool,
    /// Since when all this is there.
    since: Instant,
    /// Where services over UDP write.
    message: &'a mut [u8],
    outbox: Outbox<'a>,
    /// When one of them may have something to send.
    emission: Option<Instant>,
    /// Rows of the service table that they were asked from.
    rows: usize,
}

impl<'a> Net<'a> {
    /// A network interface on `device`. Checksums that its capabilities say it takes care of are
    /// left to it, and so is what is longer than the MTU, if it cuts that into segments. It is asked
    /// whether a frame may be sent before it is known if there is one: its tokens may be dropped.
    pub fn new(
        config: &Config<'_>,
        memory: Memory<'a>,
        device: &mut (impl Device + ?Sized),
        now: Instant,
    ) -> Result<Self, ConfigError> {
        if !config.hardware.is_unicast() {
            return Err(ConfigError::NotUnicast);
        }
        let mut smoltcp_config = smoltcp::iface::Config::new(config.hardware.into());
        let mut secret = Secret::new(config.seed);
        smoltcp_config.random_seed = secret.draw();
        let mut iface = Interface::new(smoltcp_config, device, instant(now));
        let (control, bulk) = (memory.control + memory.bulk, memory.bulk);
        let capabilities = device.capabilities();
        let Furniture { slots, index, timers, message, outbox, spare } = furnish(memory)?;
        let addressing =
            Addressing::new(config, spare, capabilities.ip_mtu(), secret.branch(), now)?;
        addressing.apply(&mut iface);
        let mut net = Self {
            iface,
            addressing,
            hardware: config.hardware,
            capabilities,
            secret,
            passive_ports: config.passive_ports.clone(),
            slots,
            control,
            bulk,
            index,
            timers,
            ready: Ready::new(),
            pending: Pending::new(),
            free: Pools::new(),
            ended: Pools::new(),
            half_open: Pools::new(),
            cookies_until: Instant::ZERO,
            sent: 0,
            neighborless: heapless::Vec::new(),
            questions: Budget::new(QUESTIONS_A_SECOND, QUESTIONS_AT_ONCE),
            answers: Budget::new(ANSWERS_A_SECOND, ANSWERS_AT_ONCE),
            accepting: true,
            grouped: false,
            since: now,
            message,
            outbox,
            emission: Some(now),
            rows: 0,
        };
        for slot in 0..net.slots.len() as u16 {
            let kind = net.kind(slot);
            net.free.of(kind).push(net.slots, slot);
        }
        Ok(net)
    }

    /// One turn: receives frames, lets the services work, sends frames; all of it bounded.
    /// Returns when the next turn is due, `now` if there is more to do; `None` is never,
    /// unless something happens.
    pub fn poll<D: Device + ?Sized>(
        &mut self,
        device: &mut D,
        services: &mut [Binding<'_>],
        now: Instant,
    ) -> Option<Instant> {
        // What has gone by now is not answered for; what frames have changed is true at once.
        self.readdress(device, services, now);
        let more = self.receive(device, services, now);
        self.readdress(device, services, now);
        while let Some(slot) = self.timers.pop_due(now) {
            self.mark(slot);
        }
        self.sent = 0;
        for _ in 0..self.ready.len() {
            if self.sent < FRAMES_A_TURN
                && let Some(slot) = self.ready.pop(self.slots)
            {
                self.serve(slot, device, services, now);
            }
        }
        self.emit(device, services, now);
        if more || self.ready.len() > 0 {
            return Some(now);
        }
        let waiting = self.outbox.send(&mut self.iface, device, now);
        let dues = [self.timers.next(), self.emission, self.addressing.due(), waiting];
        dues.into_iter().flatten().min()
    }

    /// There is news for sessions that wait for something besides the network
    /// ([`Action::Pending`](crate::service::Action::Pending)): they are polled in the next turn.
    /// Where nobody says so, they are polled in a millisecond, or later if many wait.
    pub fn wake(&mut self) {
        while let Some(slot) = self.pending.pop(self.slots) {
            self.mark(slot);
        }
    }

    /// Stops accepting connections, and tells the services to end theirs until `until`.
    pub fn shutdown(&mut self, services: &mut [Binding<'_>], until: Instant) {
        self.accepting = false;
        for binding in services {
            match &mut binding.protocol {
                Protocol::Tcp(service) => service.shutdown(until),
                Protocol::Udp(service) => service.shutdown(),
            }
        }
        self.emission = Some(Instant::ZERO);
        for kind in [Kind::Control, Kind::Bulk] {
            while let Some(slot) = self.half_open.of(kind).pop(self.slots) {
                self.release(slot);
            }
        }
        for slot in 0..self.slots.len() as u16 {
            self.mark(slot);
        }
    }

    /// Ends every session at once: services let go of what they hold. Nothing is sent.
    pub fn abandon(&mut self, services: &mut [Binding<'_>]) {
        for slot in 0..self.control as u16 {
            if let Role::Session(_) = self.role(slot) {
                self.end(slot, services);
            }
        }
    }

    /// Our addresses, each with the prefix of its network. Those that are not known yet to be
    /// ours alone are not among them.
    pub fn addresses(&self) -> &[IpCidr] {
        self.iface.ip_addrs()
    }

    /// The servers for names that a DHCP server has told us.
    pub fn dns_servers(&self) -> &[IpAddr] {
        self.addressing.name_servers()
    }

    /// Whether no service has a connection any more, and every byte of theirs has been
    /// acknowledged.
    pub fn is_idle(&self) -> bool {
        self.slots.iter().all(|slot| match slot.role {
            Role::Free => true,
            Role::Closing { .. } => matches!(slot.state(), State::FinWait2 | State::TimeWait),
            _ => false,
        })
    }

    /// How many slots are free: for connections to services, and for data connections. Those
    /// in TIME-WAIT are not counted, although they can be had.
    pub fn free_slots(&self) -> (usize, usize) {
        (self.free.control.len() + self.free.bulk.len(), self.free.data.len())
    }

    /// Sees to our addresses: what is left of connections from one that has gone ends with it.
    fn readdress<D: Device + ?Sized>(
        &mut self,
        device: &mut D,
        services: &mut [Binding<'_>],
        now: Instant,
    ) {
        if !core::mem::replace(&mut self.grouped, true) {
            self.join_groups(services, now);
        }
        if !self.addressing.turn(&mut self.iface, device, now) {
            return;
        }
        // Services over UDP may have something to say about it.
        self.emission = Some(now);
        self.outbox.withdraw(&self.iface);
        for at in 0..self.slots.len() as u16 {
            let has_gone = |slot: &Slot<'_>| {
                !matches!(slot.role, Role::Free) && !self.iface.has_ip_addr(slot.tuple.local.addr)
            };
            if self.slots.get(usize::from(at)).is_some_and(has_gone) {
                self.end(at, services);
            }
        }
    }

    fn join_groups(&mut self, services: &[Binding<'_>], now: Instant) {
        for binding in services.iter().filter(|binding| binding.port != 0) {
            if let Protocol::Udp(service) = &binding.protocol {
                self.addressing.join(service.groups(), now);
            }
        }
    }

    /// Ends whatever a slot is used for: its service lets go of what it has. Nothing is sent.
    fn end(&mut self, at: u16, services: &mut [Binding<'_>]) {
        let Some(&Slot { role, tuple, .. }) = self.slots.get(usize::from(at)) else { return };
        self.release(at);
        match role {
            Role::Session(session) => {
                session.data.into_iter().for_each(|data| self.release(data));
                if let Some(service) = service_at(services, session.service) {
                    service.close(session.id);
                }
            }
            Role::Calling { service } => {
                if let Some(service) = service_at(services, service) {
                    service.refused(socket_address(tuple.remote));
                }
            }
            _ => {}
        }
    }

    /// When a session is polled again that waits for something besides the network, and nobody
    /// says that there is news.
    fn retry_at(&self, now: Instant) -> Instant {
        now + RETRY.max(A_LOOK.saturating_mul(self.pending.len() as u32))
    }

    /// Puts a slot, or the owner of a data slot, on the list of those to be served.
    fn mark(&mut self, slot: u16) {
        match self.role(slot) {
            Role::Free => {}
            Role::Expecting { owner } | Role::Data { owner } => self.ready.push(self.slots, owner),
            _ => self.ready.push(self.slots, slot),
        }
    }

    /// What a slot is used for; a slot that there is not, for nothing.
    fn role(&self, slot: u16) -> Role {
        self.slots.get(usize::from(slot)).map_or(Role::Free, |slot| slot.role)
    }

    fn kind(&self, slot: u16) -> Kind {
        match usize::from(slot) {
            slot if slot >= self.control => Kind::Data,
            slot if slot >= self.control - self.bulk => Kind::Bulk,
            _ => Kind::Control,
        }
    }
}

/// Our instants are smoltcp's, from the same zero.
fn instant(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

/// When smoltcp wants to look at sockets again.
fn due_at(iface: &mut Interface, sockets: &SocketSet<'_>, now: Instant) -> Option<Instant> {
    let due = iface.poll_at(instant(now), sockets)?;
    let due = u64::try_from(due.total_micros()).unwrap_or(0);
    Some(Instant::from_micros(due).max(now + RETRY))
}

fn socket_address(endpoint: IpEndpoint) -> SocketAddr {
    SocketAddr::new(endpoint.addr.into(), endpoint.port)
}

/// An endpoint of a version of IP that there is here.
fn endpoint(address: SocketAddr) -> Option<IpEndpoint> {
    let ip = match address.ip() {
        #[cfg(feature = "ipv4")]
        IpAddr::V4(ip) => ip.into(),
        #[cfg(feature = "ipv6")]
        IpAddr::V6(ip) => ip.into(),
        #[cfg(not(all(feature = "ipv4", feature = "ipv6")))]
        _ => return None,
    };
    Some(IpEndpoint::new(ip, address.port()))
}
